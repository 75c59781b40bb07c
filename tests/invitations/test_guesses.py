"""Guessing codes is hopeless, costs little, and locks nobody out who was sent a link."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from django.db.models import F
from django.test import RequestFactory

from invitations import guesses, links
from invitations.models import Invitation, Policy, Snapshot
from portal.accounts.models import Tally
from portal.accounts.tries import Reached
from portal.audit.models import Event
from tests.conftest import Browser

CODE = "417902365"
DAY = 24 * 60 * 60
CODES, OPEN = 10**9, 200


@pytest.fixture
def invitation(agent, vendor) -> Invitation:
    Snapshot.load()
    Policy.load()
    return Invitation.objects.create(
        account="", vendor_id=1, code=CODE, invite_url="https://go.getscreen.me/invite/1", created_by=agent
    )


def ask(path: str = f"/join/{CODE}", *, ip: str = "192.0.2.1", method: str = "get") -> int:
    return getattr(Browser(REMOTE_ADDR=ip), method)(path).status_code


def guess(times: int, *, ip: str = "192.0.2.1") -> list[int]:
    return [ask(f"/join/{100_000_000 + number}", ip=ip) for number in range(times)]


def fill(limit: guesses.Limit) -> None:
    """Let so many unknown codes have been tried; the request's network is what `guess` has counted."""
    Tally.objects.filter(key__startswith=f"{limit.name}:").update(count=limit.allowed)


def chance(guessed: int) -> float:
    """Return the chance that one of so many different guesses hits one of the open codes."""
    return 1 - math.exp(guessed * math.log1p(-OPEN / CODES))


def in_a_day(*limits: guesses.Limit) -> int:
    """Return how many can be tried at most: a window begins with its first guess, and one may have begun before."""
    return min((DAY // limit.seconds + 1) * limit.allowed for limit in limits)


def test_the_numbers_of_the_decision():
    """docs/decisions/0022-join-page.md says these."""
    assert in_a_day(guesses.NETWORK) == 2_900
    assert in_a_day(guesses.EVERYWHERE) == 29_000
    assert round(100 * chance(2_900), 3) == 0.058
    assert round(100 * chance(29_000), 2) == 0.58
    assert round(100 * chance(1_000 * 2_900)) == 44, "which is why all networks together have a limit"


def test_however_many_networks_guess_they_try_no_more_together(invitation, monkeypatch):
    monkeypatch.setattr(guesses, "EVERYWHERE", guesses.EVERYWHERE._replace(allowed=15))
    factory, tried = RequestFactory(), 0
    for number in range(100):
        request = factory.get("/", REMOTE_ADDR=f"10.0.{number}.1")
        try:
            counters = guesses.open_to(request)
        except Reached:
            continue
        guesses.count(counters)
        tried += 1
    assert tried == guesses.EVERYWHERE.allowed
    events = Event.objects.filter(kind="limit.reached")
    assert [event.facts["limit"] for event in events] == ["join_code.everywhere"]


def test_a_network_waits_after_its_last_unknown_code_and_the_event_is_told_once(invitation):
    assert guess(25) == [404] * 20 + [429] * 5
    assert ask() == 429, "or an attacker would go on until one is right"
    assert ask(method="post") == 429
    assert ask(ip="192.0.2.2") == 200, "another network"
    answer = Browser(REMOTE_ADDR="192.0.2.1").post("/join/", {"code": CODE})
    page = answer.content.decode()
    assert answer.status_code == 429
    assert "Ask our helpdesk to send you the link. It works at once." in page
    assert "Or wait 10 minutes" in page
    assert 590 < int(answer.headers["Retry-After"]) <= 600
    assert [event.facts for event in Event.objects.all()] == [guesses.NETWORK.facts]
    Tally.objects.update(ends_at=F("ends_at") - timedelta(seconds=guesses.WINDOW + 1))
    assert ask() == 200


def test_right_codes_are_never_counted(invitation):
    assert {ask() for _ in range(60)} == {200}
    assert {ask(method="post") for _ in range(3)} == {303}
    assert not Tally.objects.exclude(key__startswith="join_code.familiar").exists()


def test_a_link_that_was_sent_is_let_through_and_a_made_up_one_is_a_guess(invitation):
    link = links.client_link(invitation, Policy(shared_link="join")).removeprefix("https://testserver")
    wrong = link[:-1] + ("a" if link[-1] != "a" else "b")
    assert [ask(wrong) for _ in range(21)] == [404] * 20 + [429]
    assert ask() == 429
    assert ask(link) == 200
    assert ask(link, method="post") == 303


@pytest.mark.parametrize(
    ("same", "other"),
    [("2001:db8:1:2:3::4", "2001:db8:1:3::1"), ("::ffff:192.0.2.1", "192.0.2.2")],
)
def test_who_is_counted_together(invitation, same, other):
    ip = "2001:db8:1:2::1" if ":db8" in same else "192.0.2.1"
    guess(20, ip=ip)
    assert ask(ip=same) == 429
    assert ask(ip=other) == 200


def test_one_customer_s_many_networks_are_counted_together_as_well(invitation):
    guess(1, ip="2001:db8:1:1::1")
    fill(guesses.WIDER)
    assert ask(ip="2001:db8:1:ffff::1") == 429
    assert ask(ip="2001:db8:2::1") == 200


def test_where_everybody_guesses_a_network_that_clients_have_come_from_still_types_codes(invitation):
    office, home = "198.51.100.7", "203.0.113.9"
    assert ask(ip=office, method="post") == 303
    guess(1)
    fill(guesses.EVERYWHERE)
    assert ask(ip=home) == 429
    assert ask(ip=office) == 200
    assert guess(21, ip=office) == [404] * 20 + [429], "and has its own limit there"
    link = links.client_link(invitation, Policy(shared_link="join")).removeprefix("https://testserver")
    assert ask(link, ip=home) == 200


def test_a_network_stays_familiar_for_a_month_after_the_last_client_who_went_on(invitation, agent):
    office = "198.51.100.7"
    assert ask(ip=office, method="post") == 303
    Tally.objects.filter(key__startswith="join_code.familiar:").update(ends_at=F("ends_at") - timedelta(days=29))
    Invitation.objects.create(
        account="", vendor_id=2, code="417902366", invite_url="https://go.getscreen.me/invite/2", created_by=agent
    )
    assert ask("/join/417902366", ip=office, method="post") == 303
    Tally.objects.filter(key__startswith="join_code.familiar:").update(ends_at=F("ends_at") - timedelta(days=2))
    guess(1)
    fill(guesses.EVERYWHERE)
    assert ask(ip=office) == 200


def test_ten_thousand_guesses_a_minute_are_two_reads_each(invitation, django_assert_num_queries):
    guess(21)
    events = Event.objects.count()
    with django_assert_num_queries(50 * 2) as queries:
        assert set(guess(50)) == {429}
    assert all(query["sql"].startswith("SELECT") for query in queries.captured_queries)
    assert Event.objects.count() == events


def test_a_try_that_cannot_be_counted_is_refused_as_unknown_all_the_same(invitation, monkeypatch):
    monkeypatch.setattr(guesses.tries, "take", lambda counters: (_ for _ in ()).throw(Reached(5)))
    assert guess(2) == [404, 404]
