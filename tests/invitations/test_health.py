"""How fresh the board says it is, and whose fault it is when it is not."""

from datetime import timedelta

import pytest
from django.utils import timezone

from invitations.models import Snapshot
from invitations.presentation import gap, health_of
from portal.getscreen.types import Secret

NOW = timezone.now()


def health(**facts):
    snapshot = Snapshot(**{"trouble": "", "good_at": NOW, "attempted_at": NOW, "remaining": 50} | facts)
    return health_of(snapshot, NOW, poll_seconds=3)


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def test_a_fresh_list_is_live():
    assert (health().state, health().trouble, health().can_create) == ("live", "", True)


@pytest.mark.parametrize(
    ("facts", "trouble", "state"),
    [
        ({"trouble": "unreachable", "good_at": ago(20)}, "unreachable", "stale"),
        ({"trouble": "unreachable", "good_at": ago(400)}, "unreachable", "down"),
        ({"trouble": "starting", "good_at": None, "attempted_at": None}, "starting", "down"),
        ({"good_at": ago(20)}, "unreachable", "stale"),
        ({"good_at": ago(60), "attempted_at": ago(60)}, "ours", "stale"),
        ({"trouble": "quota", "attempted_at": ago(50), "pause_until": NOW + timedelta(seconds=10)}, "quota", "stale"),
        ({"trouble": "key", "good_at": None}, "key", "down"),
    ],
)
def test_what_is_wrong_and_how_bad_it_is(facts, trouble, state):
    assert (health(**facts).trouble, health(**facts).state) == (trouble, state)


def test_without_a_key_it_says_so(settings):
    settings.GETSCREEN_API_KEY = Secret("")
    assert health().trouble == "no_key"
    assert not health().can_act


@pytest.mark.parametrize(
    ("facts", "level", "may_create"),
    [
        ({"remaining": 50}, "ok", True),
        ({"remaining": 9}, "low", True),
        ({"remaining": 0}, "out", False),
        ({"remaining": None}, "unknown", True),
        ({"trouble": "quota"}, "out", False),
        ({"trouble": "key"}, "ok", False),
    ],
)
def test_the_meter_decides_about_creating(facts, level, may_create):
    assert (health(**facts).quota_level, health(**facts).can_create) == (level, may_create)


@pytest.mark.parametrize(("seconds", "text"), [(5, ""), (42, "42 s"), (125, "2 min 5 s"), (3720, "1 h 2 min")])
def test_gaps_between_lines_are_words(seconds, text):
    assert gap(NOW, NOW + timedelta(seconds=seconds)) == text
    assert gap(None, NOW) == ""


def test_a_portal_that_stopped_asking_blames_itself(agent, browser_of, vendor, look):
    look()
    Snapshot.objects.update(attempted_at=ago(120), good_at=ago(120))
    assert "has stopped asking Getscreen" in browser_of(agent).get("/").content.decode()
