"""What the watcher does over time, whatever the clocks and the vendor do."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from django.conf import settings
from django.db import OperationalError
from django.utils import timezone

from invitations import actions, operations, sync
from invitations.models import LATE_AFTER, RECENTLY_CLOSED, UNSETTLED_ON_BOARD, Invitation, Operation, Snapshot, Status
from invitations.watcher import Watcher
from portal.audit.models import Event
from portal.getscreen.errors import QuotaExhausted
from tests.conftest import known
from tests.invitations.watching import pass_time

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("jump", [-HOUR, HOUR], ids=["back", "forward"])
def test_a_clock_that_jumps_stops_nothing(vendor, watcher, jump):
    watcher.tick()
    number = vendor.add("Payroll")
    pass_time(jump.total_seconds())
    other = Watcher()
    other.tick()
    assert Invitation.objects.get(vendor_id=number).client_name == "Payroll"
    snapshot = Snapshot.load()
    assert abs(timezone.now() - snapshot.good_at) < timedelta(minutes=1)
    assert snapshot.lease_token == other.lease.token


@pytest.mark.parametrize("jump", [-HOUR, HOUR], ids=["back", "forward"])
def test_a_clock_that_jumps_undoes_no_change_of_a_person_and_keeps_none_for_ever(lead, vendor, watcher, jump):
    number = vendor.add("Old")
    watcher.tick()
    actions.rename(invitation=Invitation.objects.get(), by=lead, client_name="New")
    pass_time(jump.total_seconds())
    vendor.rename(number, "Newest")
    watcher.lease.release()
    Watcher().tick()
    assert Invitation.objects.get().client_name == "Newest"


def test_first_seen_is_never_more_precise_than_the_interval_after_a_jump(vendor, watcher):
    watcher.tick()
    vendor.add("Payroll")
    pass_time(-3600)
    Watcher().tick()
    entry = Invitation.objects.get().entries.get()
    assert entry.precision == settings.POLL_SECONDS


def test_an_outage_is_told_once_in_the_log_and_in_the_audit(vendor, look, caplog):
    caplog.set_level("INFO")
    look()
    vendor.fail("list", "status_503", times=None)
    for _ in range(5):
        look()
    vendor.clear()
    look()
    lines = [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert len([line for line in lines if "not refreshed" in line.message]) == 1
    assert len(lines) <= 2
    assert "refreshed again" in caplog.text
    assert Event.objects.filter(kind="vendor.trouble").count() == 1
    assert Event.objects.filter(kind="vendor.recovered").count() == 1


@pytest.mark.parametrize("is_down", [False, True])
def test_a_closed_row_that_leaves_and_a_row_that_becomes_late_move_the_revision(vendor, look, is_down):
    number = vendor.add("Payroll")
    look()
    if is_down:
        vendor.fail("list", "refused", times=None)
        look()
    now = timezone.now()
    for changes in (
        {"created_at": now - LATE_AFTER - timedelta(seconds=1)},
        {"status": Status.CLOSED, "closed_at": now - RECENTLY_CLOSED - timedelta(seconds=1)},
    ):
        Invitation.objects.filter(vendor_id=number).update(**changes)
        if "closed_at" in changes:
            vendor.remove(number)
        before = Snapshot.load().revision
        Snapshot.objects.update(good_at=now - timedelta(seconds=3), attempted_at=now - timedelta(seconds=3))
        assert look().revision == before + 1
        assert look().revision == before + 1


def test_an_enormous_plan_is_kept_as_far_as_it_fits(vendor, look):
    vendor.remaining = 9_999_999_999
    assert look().remaining == 2**31 - 1


def test_an_unknown_outcome_of_yesterday_leaves_with_a_new_revision(agent, look):
    look()
    now = timezone.now()
    Operation.objects.create(
        reference="x",
        verb="create",
        by=agent,
        state=Operation.State.UNKNOWN,
        started_at=now - UNSETTLED_ON_BOARD - timedelta(seconds=1),
    )
    Snapshot.objects.update(good_at=now - timedelta(seconds=3))
    before = Snapshot.load().revision
    assert look().revision == before + 1


def test_a_client_who_comes_back_needs_somebody_again(agent, vendor, look):
    number = vendor.add("Payroll", status=1)
    look()
    actions.connect(invitation=Invitation.objects.get(), by=agent)
    for change in (vendor.leave, vendor.join):
        change(number)
        look()
    row = Invitation.objects.get()
    assert (row.status, row.taken_by, row.taken_by_name, row.taken_at) == (1, None, "", None)


def test_a_used_up_plan_found_by_a_create_is_told_once(agent, vendor, look):
    revision = look().revision
    vendor.fail("create", "status_402", times=1)
    with pytest.raises(QuotaExhausted):
        actions.create(by=agent, client_name="Lena")
    snapshot = Snapshot.load()
    assert (snapshot.trouble, snapshot.revision > revision) == (Snapshot.Trouble.QUOTA, True)
    look()
    kinds = [event.kind for event in Event.objects.filter(kind__startswith="vendor.")]
    assert kinds.count("vendor.trouble") == kinds.count("vendor.recovered") == 1


def test_a_tick_survives_whatever_a_round_does(vendor, db, monkeypatch, caplog):
    monkeypatch.setattr("invitations.watcher.close_old_connections", lambda: None)  # the test's own is one
    watcher = Watcher()
    watcher.tick()
    assert Snapshot.load().good_at is not None

    def broken(*args, **kwargs):
        raise RuntimeError("a bug")

    monkeypatch.setattr(sync, "run_round", broken)
    Snapshot.objects.update(attempted_at=None)
    watcher.not_before = 0
    watcher.tick()
    assert "A round of the watcher failed" in caplog.text


def test_a_database_that_is_away_is_told_once_and_without_a_traceback(db, monkeypatch, caplog):
    def away(*args, **kwargs):
        raise OperationalError from psycopg.OperationalError("the connection is closed")

    watcher = Watcher()
    with monkeypatch.context() as patch:
        patch.setattr("invitations.watcher.close_old_connections", away)
        patch.setattr(Snapshot, "load", away)
        for _ in range(3):
            watcher.tick()
            assert watcher.rest() > 0
    said = [record for record in caplog.records if record.name == "invitations.watcher"]
    assert [record.getMessage() for record in said] == ["The watcher cannot reach the database, and tries again"]
    assert said[0].exc_info is None
    assert watcher.is_cut_off


def test_the_watcher_thread_ends_when_told(vendor, db, monkeypatch):
    watcher = Watcher()
    ticks = []
    monkeypatch.setattr(watcher, "tick", lambda: ticks.append(watcher.stopping.set()))
    monkeypatch.setattr(watcher.lease, "release", lambda: None)
    watcher.start()
    watcher.ask()
    watcher.join(10)
    assert ticks
    assert not watcher.thread.is_alive()


def test_only_the_watcher_with_the_lease_looks_whether_a_backup_is_due(vendor, db, monkeypatch):
    looks = []
    monkeypatch.setattr("invitations.watcher.schedule.back_up_if_due", lambda: looks.append(1))
    first, second = Watcher(), Watcher()
    first.back_up()
    second.back_up()
    first.back_up()  # within the minute
    assert looks == [1]


def test_an_interrupted_operation_becomes_unknown(agent, vendor, look, monkeypatch):
    monkeypatch.setattr("invitations.watcher.close_old_connections", lambda: None)  # the test's own is one
    number = vendor.add("Tilda", status=1)
    look()
    op = operations.begin("connect", by=agent, account="x", invitation=known(number), token="")
    assert operations.abandon_interrupted() == 0
    Operation.objects.filter(pk=op.pk).update(started_at=timezone.now() - timedelta(minutes=5))
    vendor.fail("list", "refused", times=None)
    Watcher().tick()
    op.refresh_from_db()
    assert op.state == Operation.State.UNKNOWN, "an outage is no reason to leave it open"
    events = Event.objects.filter(reference=op.reference).order_by("seq")
    assert [(event.phase, event.result) for event in events] == [("intent", ""), ("reconciled", "unknown")]
