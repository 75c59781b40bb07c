"""The whole log is checked once a night, and when somebody asks, by one process of several."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from portal import audit
from portal.audit import nightly
from portal.audit.models import Standing

NOW = timezone.make_aware(datetime(2026, 5, 12, 14, 0))
TWO = timezone.make_aware(datetime(2026, 5, 12, 2, 0))


class Started:
    """Stands in for the check, which is a program of its own."""

    programs: list[list[str]] = []

    def __init__(self, arguments, **options):
        self.ended = None
        Started.programs.append(arguments)

    def poll(self):
        return self.ended


@pytest.fixture
def started(monkeypatch):
    Started.programs = []
    monkeypatch.setattr(nightly.subprocess, "Popen", Started)
    monkeypatch.setattr(nightly, "_running", None)
    return Started.programs


@pytest.mark.parametrize(
    ("began", "asked", "is_due"),
    [
        (TWO - timedelta(hours=1), None, True),
        (TWO, None, False),
        (TWO + timedelta(hours=3), None, False),
        (TWO + timedelta(hours=3), TWO + timedelta(hours=4), True),
        (TWO + timedelta(hours=5), TWO + timedelta(hours=4), False),
        (None, None, False),
        (None, NOW, False),
    ],
)
def test_it_is_due_once_a_night_and_when_somebody_asks(db, began, asked, is_due):
    standing = Standing(verify_began_at=began, verify_requested_at=asked, verified_at=began)
    assert nightly.is_due(standing, NOW) is is_due


def test_a_check_that_came_to_no_end_is_begun_again(db):
    standing = Standing(verify_began_at=TWO, verified_at=TWO - timedelta(days=1))
    assert not nightly.is_due(standing, TWO + timedelta(hours=2))
    assert nightly.is_due(standing, TWO + timedelta(hours=4))
    standing.verified_at = TWO + timedelta(minutes=1)
    assert not nightly.is_due(standing, TWO + timedelta(hours=4))


def test_the_night_belongs_to_the_day_before_until_two():
    assert nightly.last_night(TWO - timedelta(minutes=1)) == TWO - timedelta(days=1)
    assert nightly.last_night(TWO) == TWO


def test_a_new_log_waits_for_its_first_night_unless_somebody_asks(db):
    audit.record("signout", result="ok")
    now = timezone.now()
    assert not nightly.is_due(Standing(), now)
    assert nightly.is_due(Standing(), now + timedelta(days=1))
    assert nightly.is_due(Standing(verify_requested_at=now), now)


def test_of_several_processes_one_takes_it(db, started, monkeypatch):
    audit.record("signout", result="ok")
    Standing.note(verify_requested_at=timezone.now())
    stale = Standing.load()
    nightly.verify_if_due()
    assert [arguments[-2:] for arguments in started] == [["audit_verify", "--quietly"]]
    assert not nightly.take(stale, timezone.now())
    nightly.verify_if_due()
    assert len(started) == 1
    nightly._running.ended = 0
    nightly.verify_if_due()
    assert len(started) == 1
    Standing.note(verify_requested_at=timezone.now())
    nightly.verify_if_due()
    assert len(started) == 2
