"""Many at once: numbers without gaps, whoever rolls back, and one administrator, whoever hurries."""

import threading
import time
from collections import Counter
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from invitations import actions
from invitations.models import Policy, Snapshot
from invitations.refusals import LimitReached
from portal import audit
from portal.accounts import hashing, roles, tallies
from portal.accounts.forms import EnrolmentForm
from portal.accounts.models import OneTimeLink, Tally, User, administrators, digest
from portal.accounts.views import enrol_administrator
from portal.audit import appending
from portal.audit.models import Event
from tests import chain
from tests.accounts import second_steps
from tests.conftest import PASSWORD, Browser

POSTGRESQL = connection.vendor == "postgresql"


class ChangedMind(Exception):
    pass


def numbers(count):
    return list(range(1, count + 1))


def test_one_writer_counts_from_one(db):
    assert [audit.record("signout").seq for _ in range(3)] == numbers(3)


def test_events_of_many_writers_have_no_gaps(at_once):
    def write(number):
        return [audit.record("signout", actor_name=f"writer {number}").seq for _ in range(10)]

    written = at_once(8, write)
    assert sorted(seq for seqs in written for seq in seqs) == numbers(80)
    assert all(seqs == sorted(seqs) for seqs in written)
    assert at_once(1, lambda _: sorted(Event.objects.values_list("seq", flat=True))) == [numbers(80)]
    assert at_once(1, lambda _: chain.faults_here()) == [[]]


def test_whoever_rolls_back_leaves_no_gap(at_once):
    def write(number):
        for turn in range(6):
            try:
                with transaction.atomic():
                    audit.record("signout")
                    if (number + turn) % 2:
                        raise ChangedMind
            except ChangedMind:
                pass

    assert at_once(6, write) == [None] * 6
    assert at_once(1, lambda _: sorted(Event.objects.values_list("seq", flat=True))) == [numbers(18)]
    assert at_once(1, lambda _: chain.faults_here()) == [[]]


@pytest.fixture
def room(monkeypatch):
    """Let all who choose a password wait for their turn: it is the link that is tried here."""
    monkeypatch.setattr(hashing, "places", hashing.Places(1, 8, 60))


def test_of_two_people_with_a_link_only_one_becomes_administrator(at_once, room):
    def prepare(_):
        for token in ("left", "right"):
            OneTimeLink.objects.create(
                purpose="administrator", digest=digest(token), expires_at=timezone.now() + timedelta(minutes=5)
            )

    def enrol(number):
        name = ("left", "right")[number % 2]
        fields = {"username": f"{name}{number}", "email": "", "password1": PASSWORD, "password2": PASSWORD}
        form = EnrolmentForm(fields)
        assert form.is_valid(), form.errors
        return enrol_administrator(form, name)

    assert at_once(1, prepare) == [None]
    results = at_once(4, enrol)
    assert sum(isinstance(result, User) for result in results) == 1, results
    assert sum(result is None for result in results) == 3, results
    assert at_once(1, lambda _: (administrators().count(), OneTimeLink.objects.count())) == [(1, 0)]


def test_of_two_links_made_at_once_one_works(at_once, capsys):
    assert at_once(2, lambda _: call_command("create_admin")) == [None, None]
    assert at_once(1, lambda _: OneTimeLink.objects.count()) == [1]
    assert capsys.readouterr().out.count("/accounts/enrol/") == 2


def test_an_administrator_made_meanwhile_ends_the_making_of_links(at_once):
    at_once(1, lambda _: User.objects.create_superuser("rut", "", PASSWORD))
    assert [type(result) for result in at_once(2, lambda _: call_command("create_admin"))] == [CommandError] * 2


def test_of_many_sign_ins_with_the_same_code_one_gets_in(at_once, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)  # no half minute ends meanwhile

    def prepare(_):
        second_steps.give_app(User.objects.create_user("agent", "agent@example.org", PASSWORD))

    at_once(1, prepare)
    # One after the other: of many passwords at once some are told to wait.
    (browsers,) = at_once(1, lambda _: [second_steps.by_password(User.objects.get()) for _ in range(4)])
    code = second_steps.code()
    assert Counter(at_once(4, lambda number: second_steps.show(browsers[number], code).status_code)) == {302: 1, 422: 3}
    at_once(1, lambda _: cache.clear())  # what was counted about them


@pytest.mark.parametrize("purpose", ["invite", "reset"])
def test_of_two_people_with_the_same_link_only_one_chooses_the_password(at_once, room, purpose):
    def prepare(_):
        user = User.objects.create_user("nia", password=PASSWORD if purpose == "reset" else None)
        OneTimeLink.objects.create(
            purpose=purpose, user=user, digest=digest("shared"), expires_at=timezone.now() + timedelta(minutes=5)
        )

    def choose(number):
        password = f"{PASSWORD} {number}"
        page = Browser().post("/accounts/invite/shared/", {"new_password1": password, "new_password2": password})
        return page.status_code

    def look(_):
        user = User.objects.get(username="nia")
        fits = [number for number in range(4) if user.check_password(f"{PASSWORD} {number}")]
        told = Counter(Event.objects.filter(kind__startswith="user.link").values_list("kind", flat=True))
        return fits, told["user.link_used"], OneTimeLink.objects.count()

    assert at_once(1, prepare) == [None]
    statuses = at_once(4, choose)
    assert Counter(statuses) == {302: 1, 410: 3}, statuses
    assert at_once(1, look) == [([statuses.index(302)], 1, 0)]


def test_of_many_tries_at_once_as_many_pass_as_are_allowed(at_once):
    def hurry(_):
        return [tallies.take("anna", 7, 60).allowed for _ in range(4)]

    assert sum(sum(allowed) for allowed in at_once(6, hurry)) == 7
    assert at_once(1, lambda _: Tally.objects.get(key="anna").count) == [7]


def test_nobody_makes_more_invitations_than_allowed_by_making_them_at_once(at_once, vendor):
    def prepare(_):
        Policy.load()
        Policy.objects.update(creates_per_hour=3)
        Snapshot.load()
        user = User.objects.create_user("anna")
        user.groups.add(Group.objects.get(name=roles.AGENT))
        return user

    (anna,) = at_once(1, prepare)

    def make(_):
        return actions.create(by=User.objects.get(pk=anna.pk)).vendor_id

    results = at_once(6, make)
    assert sum(isinstance(result, LimitReached) for result in results) == 3, results
    assert sorted(vendor.rows()) == sorted(result for result in results if isinstance(result, int))
    assert at_once(1, lambda _: Event.objects.filter(kind="limit.reached").count()) == [1]


if POSTGRESQL:

    def test_whoever_vanishes_while_it_writes_holds_up_the_others_for_a_while_only(at_once, monkeypatch):
        monkeypatch.setattr(appending, "LOCK_WAIT", 100)
        monkeypatch.setattr(appending, "MOST_SILENCE", 2000)
        has_lock, is_over = threading.Event(), threading.Event()
        refusals = []

        def vanish():
            with audit.writing():
                has_lock.set()
                is_over.wait(60)  # as silent as a machine without power
                audit.record("signout")

        def write():
            has_lock.wait(60)
            while not is_over.is_set():
                try:
                    audit.record("signout")
                    is_over.set()
                except audit.Unavailable as refusal:
                    refusals.append(refusal)

        lost, _ = at_once(2, lambda number: write() if number else vanish())
        assert isinstance(lost, audit.Unavailable)
        assert refusals, "told after LOCK_WAIT, not after MOST_SILENCE"
        assert at_once(1, lambda _: Event.objects.count()) == [1]


def test_what_waits_for_a_commit_holds_no_other_writer(at_once):
    """Such as a mail about it, while the mail server hangs."""
    committed, is_written = threading.Event(), threading.Event()

    def hang() -> None:
        committed.set()
        assert is_written.wait(10)

    def work(number: int) -> bool:
        if number == 0:
            with audit.writing():
                transaction.on_commit(hang)
            return True
        committed.wait(10)
        with audit.writing():
            is_written.set()
        return is_written.is_set()

    assert at_once(2, work) == [True, True]


def test_what_is_done_after_a_commit_may_write_again(at_once):
    def write_again() -> None:
        with audit.writing():
            audit.record("system.started")

    def work(number: int) -> float:
        began = time.monotonic()
        with audit.writing():
            transaction.on_commit(write_again)
        return time.monotonic() - began

    assert max(at_once(1, work)) < 3, "nobody waits for their own turn"
