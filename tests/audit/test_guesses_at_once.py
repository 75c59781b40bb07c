"""Many bad sign-ins at the same moment, in threads, on either database: as many are checked as one after the other."""

from collections import Counter

import pytest

from portal.accounts import hashing, tries
from portal.accounts.models import Tally, User
from tests.conftest import PASSWORD, Browser

LOGIN = "/accounts/login/"


@pytest.fixture(autouse=True)
def room(monkeypatch):
    """Let all check their passwords at the same moment: it is the counting that is tried here."""
    monkeypatch.setattr(hashing, "places", hashing.Places(8, 8, 60))


def answer_of(password):
    form = {"login": "agent", "password": password}
    answer = Browser().post(LOGIN, form, REMOTE_ADDR="203.0.113.7")
    if answer.status_code == 302:
        return "in"
    return "stopped" if "Too many failed attempts" in answer.content.decode() else "wrong"


def test_of_many_bad_sign_ins_at_once_five_are_checked(at_once):
    at_once(1, lambda _: User.objects.create_user("agent", "agent@example.org", PASSWORD))
    answers = Counter(at_once(8, lambda number: [answer_of("wrong") for _ in range(2)] and answer_of(PASSWORD)))
    assert answers == {"stopped": 8}
    name = tries.counter(tries.SIGN_IN_NAME, "agent", "203.0.113.7").key
    assert at_once(1, lambda _: Tally.objects.get(key=name).count) == [5]


def test_of_many_good_sign_ins_at_once_none_is_counted(at_once):
    at_once(1, lambda _: User.objects.create_user("agent", "agent@example.org", PASSWORD))
    assert at_once(4, lambda _: answer_of(PASSWORD)) == ["in"] * 4
    assert at_once(1, lambda _: set(Tally.objects.values_list("count", flat=True))) == [{0}]
