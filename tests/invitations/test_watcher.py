"""Who asks the vendor, and how often: one lease, one rhythm, whatever the clocks do."""

from __future__ import annotations

import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.utils import timezone

from invitations import rhythm, sync
from invitations.models import Invitation, Snapshot
from invitations.rhythm import Presence, next_poll, seconds_left
from invitations.watcher import Watcher
from portal.audit.models import Event
from portal.getscreen import configured

HOUR = timedelta(hours=1)


@pytest.fixture
def watcher(vendor, db, monkeypatch) -> Watcher:
    monkeypatch.setattr("invitations.watcher.close_old_connections", lambda: None)  # the test's own is one
    monkeypatch.setattr(rhythm, "here", Presence())
    return Watcher()


def lists(vendor) -> int:
    return len(vendor.ledger.find("/v1/support/list"))


def pass_time(seconds: float) -> None:
    """Let everything in the database have happened so much earlier."""
    snapshot = Snapshot.load()
    for name in ("attempted_at", "good_at", "watched_at", "pause_until", "lease_until"):
        value = getattr(snapshot, name)
        setattr(snapshot, name, value and value - timedelta(seconds=seconds))
    snapshot.save()


def tick(watcher: Watcher) -> None:
    """A tick after some time as far as the watcher's own memory goes; what it decides comes from the database."""
    watcher.not_before = 0
    watcher.tick()


# --- One caller -------------------------------------------------------------------------------------


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


# --- Clocks that jump -------------------------------------------------------------------------------


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
    from invitations import actions

    number = vendor.add("Old")
    watcher.tick()
    actions.rename(invitation=Invitation.objects.get(), by=lead, client_name="New")
    pass_time(jump.total_seconds())
    vendor.rename(number, "Newest")
    watcher.lease.release()
    Watcher().tick()
    assert Invitation.objects.get().client_name == "Newest"


def test_a_pause_in_the_far_future_is_no_pause(vendor, watcher):
    tick(watcher)
    Snapshot.objects.update(pause_until=timezone.now() + HOUR, attempted_at=timezone.now() - HOUR)
    tick(watcher)
    assert lists(vendor) == 2


def test_first_seen_is_never_more_precise_than_the_interval_after_a_jump(vendor, watcher):
    watcher.tick()
    vendor.add("Payroll")
    pass_time(-3600)
    Watcher().tick()
    entry = Invitation.objects.get().entries.get()
    assert entry.precision == settings.POLL_SECONDS


# --- How often --------------------------------------------------------------------------------------


def test_it_looks_once_per_interval_while_somebody_looks(vendor, watcher):
    tick(watcher)
    for _ in range(5):
        pass_time(settings.POLL_SECONDS)
        Snapshot.objects.update(watched_at=timezone.now())
        tick(watcher)
        tick(watcher)
    assert lists(vendor) == 6


def test_it_slows_down_when_nobody_looks_and_speeds_up_at_once(vendor, watcher):
    tick(watcher)
    pass_time(rhythm.GONE_AFTER)
    tick(watcher)
    seen = lists(vendor)
    pass_time(settings.IDLE_POLL_SECONDS - 1)
    tick(watcher)
    assert lists(vendor) == seen
    rhythm.here.seen()
    tick(watcher)
    assert lists(vendor) == seen + 1


@pytest.mark.parametrize("ahead", [-HOUR, HOUR], ids=["behind", "ahead"])
def test_a_database_with_another_clock_slows_nothing_down(vendor, watcher, monkeypatch, ahead):
    now = timezone.now
    Snapshot.load()
    rhythm.here.seen()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(timezone, "now", lambda: now() + ahead)
        watcher.tick()
        snapshot = Snapshot.load()
        assert rhythm.interval(snapshot, timezone.now()) == settings.POLL_SECONDS


def test_a_browser_that_polled_is_written_once_in_ten_seconds(db):
    here = Presence()
    Snapshot.load()
    assert not here.write()
    written = []
    for second in range(60):
        here.seen()
        here.seen_at = 1_000.0 + second
        written.append(here.write(1_000.5 + second))
    assert sum(written) == 6
    assert Snapshot.load().watched_at is not None


def test_who_stops_polling_is_not_written_again(db):
    here = Presence()
    here.seen()
    assert here.write()
    assert not any(here.write(here.written_at + second) for second in range(11, 60))


@pytest.mark.parametrize(
    ("fault", "options", "least"), [("status_402", {}, 55), ("status_429", {"retry_after": 20}, 15)]
)
def test_it_waits_when_asked_to_and_returns_to_normal(vendor, watcher, fault, options, least):
    vendor.fail("list", fault, times=None, **options)
    tick(watcher)
    seen = lists(vendor)
    pass_time(least)
    tick(watcher)
    assert lists(vendor) == seen
    vendor.clear()
    pass_time(10)
    tick(watcher)
    assert lists(vendor) == seen + 1
    snapshot = Snapshot.load()
    assert (snapshot.trouble, snapshot.pause_until) == ("", None)
    snapshot.watched_at = timezone.now()
    assert seconds_left(snapshot, timezone.now()) <= settings.POLL_SECONDS


def test_a_rate_limit_without_a_time_doubles_the_wait_up_to_a_minute(vendor, look):
    vendor.fail("list", "status_429", times=None)
    waits = []
    for _ in range(6):
        snapshot = look()
        waits.append(round((snapshot.pause_until - snapshot.attempted_at).total_seconds()))
    assert waits == [6, 12, 24, 48, 60, 60]


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


# --- What pages are told ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ago", "expected"), [(0.0, 3.0), (1.0, 2.3), (2.9, 0.4), (3.2, 1.0), (5.0, 1.0), (6.5, 3.0), (600.0, 3.0)]
)
def test_a_page_asks_again_just_after_the_next_list(db, ago, expected):
    now = timezone.now()
    snapshot = Snapshot(attempted_at=now - timedelta(seconds=ago), watched_at=now)
    assert next_poll(snapshot, now) == pytest.approx(expected, abs=0.05)


def test_a_page_asks_every_interval_while_the_watcher_pauses(db):
    now = timezone.now()
    assert next_poll(Snapshot(attempted_at=now, pause_until=now + timedelta(seconds=50)), now) == settings.POLL_SECONDS
    assert next_poll(Snapshot(attempted_at=now, watched_at=None), now) == settings.POLL_SECONDS


# --- What time alone changes ------------------------------------------------------------------------


@pytest.mark.parametrize("is_down", [False, True])
def test_a_closed_row_that_leaves_and_a_row_that_becomes_late_move_the_revision(vendor, look, is_down):
    from invitations.models import LATE_AFTER, RECENTLY_CLOSED, Status

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


def test_a_long_first_list_is_written_in_parts(vendor, look, monkeypatch):
    monkeypatch.setattr(sync, "BATCH", 10)
    monkeypatch.setattr(sync, "BREATH", 0)
    seen: list[int] = []
    upsert = sync.upsert

    def counting(turn, news, precision):
        seen.append(len(news))
        return upsert(turn, news, precision)

    monkeypatch.setattr(sync, "upsert", counting)
    for number in range(25):
        vendor.add(f"Client {number}")
    revision = look().revision
    assert seen == [10, 10, 5]
    assert Invitation.objects.count() == 25
    assert look().revision == revision
    assert seen[3:] == [0], "an unchanged list writes no row"


def test_a_lease_lost_between_two_parts_ends_the_round(vendor, watcher, monkeypatch):
    monkeypatch.setattr(sync, "BATCH", 10)
    monkeypatch.setattr(sync, "BREATH", 0)
    upsert = sync.upsert

    def lose(turn, news, precision):
        changed = upsert(turn, news, precision)
        Snapshot.objects.update(lease_token="somebody else")
        return changed

    monkeypatch.setattr(sync, "upsert", lose)
    for number in range(25):
        vendor.add(f"Client {number}")
    assert watcher.lease.take()
    assert not sync.run_round(configured.client(), lease=watcher.lease)
    assert Invitation.objects.count() == 10
    assert Snapshot.load().good_at is None


def test_rows_written_before_a_round_broke_off_are_shown(vendor, watcher, monkeypatch):
    monkeypatch.setattr(sync, "BATCH", 10)
    monkeypatch.setattr(sync, "BREATH", 0)
    monkeypatch.setattr(sync, "BREATH", 0)
    for number in range(25):
        vendor.add(f"Client {number}")
    before = Snapshot.load().revision
    monkeypatch.setattr(sync, "succeed", lambda *args: 1 / 0)
    watcher.tick()
    assert Invitation.objects.count() == 20
    assert Snapshot.load().revision > before


def test_a_round_that_cannot_be_written_does_not_bring_the_next_sooner(vendor, watcher, monkeypatch, caplog):
    monkeypatch.setattr(sync, "write", lambda *args: 1 / 0)
    for _ in range(5):
        watcher.tick()
    assert lists(vendor) == 1
    assert "A round of the watcher failed" in caplog.text


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


def test_an_enormous_plan_is_kept_as_far_as_it_fits(vendor, look):
    vendor.remaining = 9_999_999_999
    assert look().remaining == 2**31 - 1


def test_a_clock_a_little_behind_does_not_make_pages_hurry(db):
    now = timezone.now()
    snapshot = Snapshot(attempted_at=now + timedelta(seconds=2), watched_at=now)
    assert next_poll(snapshot, now) == settings.POLL_SECONDS


def test_an_unknown_outcome_of_yesterday_leaves_with_a_new_revision(agent, look):
    from invitations.models import UNSETTLED_ON_BOARD, Operation

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
    from invitations import actions

    number = vendor.add("Payroll", status=1)
    look()
    actions.connect(invitation=Invitation.objects.get(), by=agent)
    for change in (vendor.leave, vendor.join):
        change(number)
        look()
    row = Invitation.objects.get()
    assert (row.status, row.taken_by, row.taken_by_name, row.taken_at) == (1, None, "", None)


def test_a_confirmation_answered_403_asks_for_no_further_list(vendor, look):
    number = vendor.add("Payroll")
    look()
    vendor.remove(number)
    vendor.fail("info", "status_403", times=None)
    before = lists(vendor)
    look()
    assert lists(vendor) == before + 1
    assert not Invitation.objects.get().is_open


def test_a_used_up_plan_found_by_a_create_is_told_once(agent, vendor, look):
    from invitations import actions
    from portal.getscreen.errors import QuotaExhausted

    revision = look().revision
    vendor.fail("create", "status_402", times=1)
    with pytest.raises(QuotaExhausted):
        actions.create(by=agent, client_name="Lena")
    snapshot = Snapshot.load()
    assert (snapshot.trouble, snapshot.revision > revision) == (Snapshot.Trouble.QUOTA, True)
    look()
    kinds = [event.kind for event in Event.objects.filter(kind__startswith="vendor.")]
    assert kinds.count("vendor.trouble") == kinds.count("vendor.recovered") == 1
