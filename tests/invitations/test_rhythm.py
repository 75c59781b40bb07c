"""How often the vendor is asked, and when pages ask again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from invitations import rhythm, sync
from invitations.models import Snapshot
from invitations.rhythm import Presence, next_poll, seconds_left
from tests.invitations.watching import lists, pass_time, tick

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def nobody_here(monkeypatch):
    """Forget the browsers of other tests."""
    monkeypatch.setattr(rhythm, "here", Presence())


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


@pytest.mark.parametrize(
    ("ago", "expected"), [(0.0, 3.0), (1.0, 2.3), (2.9, 0.4), (3.2, 1.0), (5.0, 1.0), (6.5, 3.0), (600.0, 3.0)]
)
def test_a_page_asks_again_just_after_the_next_list(db, ago, expected):
    now = timezone.now()
    snapshot = Snapshot(attempted_at=now - timedelta(seconds=ago), watched_at=now)
    assert next_poll(snapshot, now) == pytest.approx(expected, abs=0.05)


def test_a_crowd_is_asked_to_come_one_after_the_other(monkeypatch):
    few, many, more = Presence(), Presence(), Presence()
    for here, count in ((few, 10), (many, 200), (more, 5_000)):
        for number in range(count + 1):
            here.seen(100.0 + number * settings.POLL_SECONDS / count)
    assert few.spread < 0.1
    assert many.spread == pytest.approx(1.0, rel=0.02)
    assert more.spread == 0.8 * settings.POLL_SECONDS
    now = timezone.now()
    monkeypatch.setattr(rhythm, "here", many)
    asked = [next_poll(Snapshot(attempted_at=now, watched_at=now), now) for _ in range(500)]
    assert 3.0 <= min(asked) < 3.2
    assert 3.8 < max(asked) <= 4.01


def present(number: int, intervals: int = 1, here: Presence | None = None) -> Presence:
    """So many pages that have polled in each of so many intervals."""
    here = here or Presence()
    begin = max(here._since, 100.0)
    for poll in range(number * intervals + 1):
        here.seen(begin + poll * settings.POLL_SECONDS / number)
    return here


def test_polls_spread_by_what_an_answer_takes():
    here = present(20)
    quick = here.spread
    for _ in range(100):
        here.took(0.03)
    assert quick == pytest.approx(20 * 0.005, rel=0.1)
    assert here.spread == pytest.approx(20 * 2 * 0.03, rel=0.1)
    for _ in range(100):
        here.took(0.001)
    assert here.spread == quick, "never closer than those of a short board"


def test_a_slow_moment_is_forgotten_though_nothing_changes():
    here = present(50)
    for _ in range(16):
        here.took(1.0)
    assert here.spread == 0.8 * settings.POLL_SECONDS
    present(50, intervals=60, here=here)
    assert here.spread == pytest.approx(50 * 0.005, rel=0.1)


def test_a_crowd_that_has_gone_is_forgotten():
    here = Presence()
    for number in range(1_000):
        here.seen(100.0 + number * 0.003)
    here.seen(1_000.0)
    assert here.spread < 0.1


def test_a_page_asks_every_interval_while_the_watcher_pauses(db):
    now = timezone.now()
    assert next_poll(Snapshot(attempted_at=now, pause_until=now + timedelta(seconds=50)), now) == settings.POLL_SECONDS
    assert next_poll(Snapshot(attempted_at=now, watched_at=None), now) == settings.POLL_SECONDS


def test_a_clock_a_little_behind_does_not_make_pages_hurry(db):
    now = timezone.now()
    snapshot = Snapshot(attempted_at=now + timedelta(seconds=2), watched_at=now)
    assert next_poll(snapshot, now) == settings.POLL_SECONDS


def test_a_pause_in_the_far_future_is_no_pause(vendor, watcher):
    tick(watcher)
    Snapshot.objects.update(pause_until=timezone.now() + HOUR, attempted_at=timezone.now() - HOUR)
    tick(watcher)
    assert lists(vendor) == 2


def test_a_round_that_cannot_be_written_does_not_bring_the_next_sooner(vendor, watcher, monkeypatch, caplog):
    monkeypatch.setattr(sync, "write", lambda *args: 1 / 0)
    for _ in range(5):
        watcher.tick()
    assert lists(vendor) == 1
    assert "A round of the watcher failed" in caplog.text


@pytest.mark.parametrize(
    ("fault", "options", "seconds"),
    [("status_402", {}, 60), ("status_429", {"retry_after": 20}, 20), ("status_500", {}, None)],
)
def test_the_watcher_waits_when_asked_to(vendor, look, fault, options, seconds):
    vendor.fail("list", fault, times=None, **options)
    snapshot = look()
    if seconds is None:
        assert snapshot.pause_until is None
        return
    assert round((snapshot.pause_until - snapshot.attempted_at).total_seconds()) == seconds
    assert seconds_left(snapshot, timezone.now()) > seconds - 5
    vendor.clear()
    assert look().pause_until is None
