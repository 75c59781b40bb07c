"""What the watcher does for the log: triggers compared, clocks compared, checkpoints made, each on its own."""

from __future__ import annotations

import time

import pytest
from django.db import connection

from invitations import operations
from invitations.watcher import Watcher
from portal import audit
from portal.audit import tending, triggers
from portal.audit.models import Checkpoint, Event, Standing


@pytest.fixture(autouse=True)
def as_at_start(monkeypatch) -> None:
    """Nothing is known from earlier ticks of this process."""
    monkeypatch.setattr(tending, "triggers_due", tending.Due(tending.TRIGGERS_EVERY))
    monkeypatch.setattr(tending, "clock", tending.Clock())
    monkeypatch.setattr(tending, "_failing", set())


def told(kind: str) -> list[str]:
    return [event.result for event in Event.objects.filter(kind=kind).order_by("seq")]


def look_at_triggers() -> None:
    tending.triggers_due.last = None
    tending.watch_triggers()


def test_changed_triggers_are_told_once_and_again_when_they_are_back(db, caplog):
    look_at_triggers()
    assert Standing.load().triggers_checked_at is not None
    triggers.drop(connection)
    look_at_triggers()
    since = Standing.load().triggers_missing_since
    look_at_triggers()
    assert told("audit.triggers") == ["failed"]
    assert Standing.load().triggers_missing_since == since
    assert len([line for line in caplog.records if "triggers were changed" in line.getMessage()]) == 1
    triggers.reinstall()
    look_at_triggers()
    look_at_triggers()
    assert told("audit.triggers") == ["failed", "ok"]
    assert Standing.load().triggers_missing_since is None


def test_triggers_that_a_command_has_put_back_are_not_told_twice(db):
    triggers.drop(connection)
    look_at_triggers()
    triggers.reinstall()
    audit.record("audit.triggers", result="ok")
    look_at_triggers()
    assert told("audit.triggers") == ["failed", "ok"]


def test_triggers_are_compared_at_start_and_every_five_minutes(db, monkeypatch):
    looks = []
    monkeypatch.setattr(triggers, "missing", lambda connection: looks.append(1) or [])
    now = time.monotonic()
    for seconds, expected in ((0, 1), (1, 1), (299, 1), (300, 2), (301, 2), (601, 3)):
        monkeypatch.setattr(time, "monotonic", lambda seconds=seconds: now + seconds)
        tending.watch_triggers()
        assert len(looks) == expected


@pytest.mark.parametrize(("jump", "expected"), [(0, []), (1.5, []), (-3600, []), (2.4, [2]), (3600, [3600])])
def test_a_clock_set_forward_is_told(db, monkeypatch, jump, expected):
    tending.clock.watch()
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + jump)
    tending.clock.watch()
    tending.clock.watch()
    assert [event.facts["seconds"] for event in Event.objects.filter(kind="system.clock")] == expected


def test_several_processes_tell_of_one_jump_once(db, monkeypatch):
    processes = [tending.Clock(), tending.Clock()]
    for clock in processes:
        clock.watch()
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 60)
    for clock in processes:
        clock.watch()
    assert told("system.clock") == ["ok"]


def test_a_clock_set_back_is_told_by_the_next_event(db, monkeypatch):
    audit.record("signout")
    wall = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: wall() - 3_600_000_000_000)
    audit.record("signout")
    audit.record("signout")
    found = Event.objects.order_by("seq")
    assert [event.kind for event in found] == ["signout", "system.clock", "signout", "signout"]
    assert found[1].facts["seconds"] in (-3600, -3599)


@pytest.mark.parametrize("failing", ["clock.watch", "watch_triggers", "checkpoints.tend"])
def test_one_that_fails_stops_neither_the_others_nor_floods_the_output(db, monkeypatch, caplog, failing):
    done = []
    for name in ("clock.watch", "watch_triggers", "checkpoints.tend"):
        monkeypatch.setattr(f"portal.audit.tending.{name}", lambda name=name: done.append(name))

    def broken() -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(f"portal.audit.tending.{failing}", broken)
        for _ in range(3):
            tending.tend()
    assert len(done) == 6
    assert len([record for record in caplog.records if "failed" in record.getMessage()]) == 1
    tending.tend()
    assert len(done) == 9


def test_a_tick_of_the_watcher_tends_the_log(vendor, db, monkeypatch):
    monkeypatch.setattr("invitations.watcher.close_old_connections", lambda: None)  # the test's own is one
    audit.record("signout")
    Watcher().tick()
    assert Checkpoint.objects.exists()
    assert Standing.load().triggers_checked_at is not None


def test_nothing_interrupted_leaves_no_event(db):
    assert operations.abandon_interrupted() == 0
    assert not Event.objects.exists()
