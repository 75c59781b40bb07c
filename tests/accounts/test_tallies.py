"""Limits that hold across processes: a window of time, its end, and what is given back."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from portal.accounts import tallies
from portal.accounts.models import Tally

pytestmark = pytest.mark.django_db


def allowed(times, limit=3, seconds=60, key="a"):
    return [tallies.take(key, limit, seconds).allowed for _ in range(times)]


def ends_in(**time):
    Tally.objects.update(ends_at=timezone.now() + timedelta(**time))


def test_so_many_are_allowed_and_no_more():
    assert allowed(5) == [True, True, True, False, False]
    assert Tally.objects.get().count == 3


def test_a_limit_of_nothing_allows_nothing():
    assert tallies.take("a", 0, 60) == (False, 1)


def test_every_key_has_its_own():
    assert allowed(3) == allowed(3, key="b") == [True] * 3


def test_a_refusal_says_how_long_to_wait():
    allowed(3)
    assert 55 <= tallies.take("a", 3, 60).wait_seconds <= 60
    ends_in(seconds=9.5)  # by our clock: the database, whose clock has milliseconds here, may be a little behind
    assert 5 <= tallies.take("a", 3, 60).wait_seconds <= 10


def test_a_window_that_is_over_begins_anew():
    allowed(4)
    ends_in(seconds=-1)
    assert allowed(4) == [True, True, True, False]
    assert Tally.objects.get().ends_at > timezone.now() + timedelta(seconds=30)


def test_a_refused_try_does_not_make_the_wait_longer():
    allowed(3)
    before = Tally.objects.get().ends_at
    allowed(5)
    assert Tally.objects.get().ends_at == before


def test_another_limit_counts_at_once_in_the_window_that_runs():
    assert allowed(3) == [True] * 3
    assert allowed(3, limit=5) == [True, True, False]
    assert allowed(1, limit=2) == [False]


def test_a_window_from_a_clock_that_was_wrong_is_over():
    allowed(3)
    ends_in(days=400)
    assert allowed(1) == [True]


def test_what_was_nothing_is_given_back():
    allowed(3)
    tallies.give_back("a")
    assert allowed(2) == [True, False]
    ends_in(seconds=-1)
    for _ in range(3):
        tallies.give_back("a")
    assert Tally.objects.get().count == 3
    tallies.give_back("never counted")


def test_a_transaction_that_is_rolled_back_was_never_counted():
    with transaction.atomic():
        allowed(3)
        transaction.set_rollback(True)
    assert not Tally.objects.exists()
