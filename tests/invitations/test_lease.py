"""One watcher calls the vendor, and another soon when it has died."""

from __future__ import annotations

import threading
from datetime import timedelta
from types import SimpleNamespace

from django.conf import settings
from django.utils import timezone

from invitations import rhythm, sync
from invitations.models import Invitation, Snapshot, Status
from invitations.watcher import Watcher
from portal.getscreen import configured
from tests.conftest import known
from tests.invitations.watching import lists, pass_time


def test_one_watcher_holds_the_lease(vendor, db):
    first, second = sync.Lease(), sync.Lease()
    assert first.take()
    assert not second.take()
    assert first.take()
    first.release()
    assert second.take()


def test_a_dead_watchers_lease_runs_out(vendor, db):
    first, second = sync.Lease(), sync.Lease()
    assert first.take()
    Snapshot.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert second.take()
    vendor.add("Tilda")
    assert not sync.run_round(configured.client(), lease=first), "its answer comes too late"
    assert Invitation.objects.count() == 0
    vendor.fail("list", "status_500", times=3)
    sync.run_round(configured.client(), lease=first)
    assert Snapshot.load().trouble == Snapshot.Trouble.STARTING
    assert sync.run_round(configured.client(), lease=second)


def test_the_lease_is_kept_through_a_long_round(vendor, look):
    numbers = [vendor.add(f"Client {n}") for n in range(3)]
    look()
    for number in numbers:
        vendor.close(number)
    first, second = sync.Lease(), sync.Lease()
    assert first.take()

    def others_try():
        Snapshot.objects.update(lease_until=timezone.now() + timedelta(seconds=1))
        assert not second.take()

    vendor.before("info", others_try)
    assert sync.run_round(configured.client(), lease=first)
    assert Snapshot.load().lease_until > timezone.now() + timedelta(seconds=3), "renewed on the way"
    assert Invitation.objects.filter(status=Status.CLOSED).count() == 3


def test_a_lease_lost_on_the_way_ends_the_round(vendor, look):
    number = vendor.add("Tilda")
    look()
    vendor.close(number)
    first = sync.Lease()
    assert first.take()
    vendor.after("list", lambda: Snapshot.objects.update(lease_token="somebody else"))
    assert not sync.run_round(configured.client(), lease=first)
    assert known(number).is_open
    assert not vendor.ledger.find("/v1/support/info")


def test_of_two_watchers_one_calls(vendor, watcher):
    other = Watcher()
    for _ in range(3):
        watcher.tick()
        other.tick()
    assert lists(vendor) == 1


def test_a_dead_watcher_is_replaced_within_two_intervals(vendor, watcher):
    other = Watcher()
    watcher.tick()
    # The dead one took the lease just now; the other asks every third of an interval.
    pass_time(settings.POLL_SECONDS * 2 - settings.POLL_SECONDS / 3)
    rhythm.here.seen()
    other.tick()
    assert Snapshot.load().lease_token == other.lease.token
    assert lists(vendor) == 2


def test_a_watcher_that_wakes_late_neither_writes_nor_calls(vendor, watcher):
    """Stopped while the vendor answered; meanwhile its lease ended and another took over."""
    other = Watcher()
    number = vendor.add("Payroll")

    def sleep_long() -> None:
        pass_time(60)
        other.tick()
        vendor.rename(number, "Payroll desktop")

    vendor.after("list", sleep_long)
    watcher.tick()
    assert Snapshot.load().lease_token == other.lease.token
    row = Invitation.objects.get()
    assert [entry.kind for entry in row.entries.all()] == ["found"], "written once, by the other"
    before = lists(vendor)
    watcher.tick()
    assert lists(vendor) == before
    assert Snapshot.load().lease_token == other.lease.token


def test_an_answer_older_than_anothers_round_is_dropped_even_with_the_lease_back(vendor, watcher):
    other = Watcher()
    number = vendor.add("Old name")

    def another_round() -> None:
        pass_time(60)
        vendor.rename(number, "New name")
        other.tick()
        other.lease.release()
        assert watcher.lease.take()

    vendor.after("list", another_round)
    watcher.tick()
    assert Invitation.objects.get().client_name == "New name"


def test_a_long_call_keeps_the_lease(vendor, watcher, monkeypatch):
    renewed = threading.Event()
    take = watcher.lease.take

    def counting() -> bool:
        if threading.current_thread().name == "lease":
            renewed.set()
            return True
        return take()

    monkeypatch.setattr(watcher.lease, "take", counting)
    monkeypatch.setattr(settings, "POLL_SECONDS", 0.05)
    vendor.after("list", lambda: renewed.wait(5))
    watcher.tick()
    assert renewed.is_set()
    assert Snapshot.load().good_at


def test_a_clean_stop_gives_the_lease_back(vendor, watcher, monkeypatch):
    monkeypatch.setattr("invitations.watcher.connection", SimpleNamespace(close=lambda: None))  # the test's own
    watcher.tick()
    watcher.stopping.set()
    watcher.run()
    assert Watcher().lease.take()


def test_a_watcher_that_alone_cannot_reach_the_vendor_lets_another_try(vendor, watcher):
    other = Watcher()
    vendor.fail("list", "refused", times=None)
    for _ in range(5):
        watcher.not_before = 0
        watcher.tick()
        pass_time(settings.POLL_SECONDS)
        Snapshot.objects.update(watched_at=timezone.now())
    vendor.clear()
    watcher.tick()
    assert Snapshot.load().trouble == Snapshot.Trouble.UNREACHABLE
    other.tick()
    assert Snapshot.load().trouble == ""
    watcher.stepped_back_until = 0
    watcher.tick()
    assert Snapshot.load().lease_token == other.lease.token
