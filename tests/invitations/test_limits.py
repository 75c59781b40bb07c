"""How often one person may connect and create: refused before the vendor hears of it, said once, never by accident."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from invitations import actions, limits
from invitations.models import Invitation, Operation, Policy
from invitations.refusals import LimitReached, NotJoined, SentTwice
from portal import audit
from portal.accounts.models import Tally
from portal.audit.models import Event
from portal.getscreen.errors import GetscreenError, Unavailable
from tests.conftest import known


def allow(**changes):
    Policy.load()
    Policy.objects.update(**changes)


@pytest.fixture
def client(vendor, look):
    """A client who has joined."""
    number = vendor.add("Tilda", status=1)
    look()
    return known(number)


def refusals():
    return list(Event.objects.filter(kind="limit.reached").order_by("seq").values_list("actor", flat=True))


def test_a_connect_beyond_the_limit_is_refused_before_the_vendor_hears_of_it(agent, browser_of, vendor, client):
    allow(connects_per_ten_minutes=2)
    browser, address = browser_of(agent), f"/invitations/{client.public_id}/connect/"
    assert [browser.post(address).status_code for _ in range(2)] == [303, 303]
    before = len(vendor.ledger.requests)
    answers = [browser.post(address, {"record": "yes", "token": "t" * 32}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429] * 3
    assert len(vendor.ledger.requests) == before
    assert 590 <= int(answers[0].headers["Retry-After"]) <= 600
    page = answers[0].content.decode()
    assert "Too many connections in a short time" in page
    assert "Try again in 10 minutes." in page
    assert 'name="record" value="yes"' in page
    assert not Operation.objects.filter(token="t" * 32).exists()
    assert "location" not in answers[0].headers


def test_a_create_beyond_the_limit_keeps_what_was_typed(agent, browser_of, vendor, look):
    look()
    allow(creates_per_hour=1)
    browser, form = browser_of(agent), {"client_name": "Tilda Öst", "ticket": "HD-7", "note": "second floor"}
    assert browser.post("/invitations/new/", form).status_code == 302
    answer = browser.post("/invitations/new/", form | {"client_name": "Bo Ek"})
    page = answer.content.decode()
    assert answer.status_code == 429
    assert 3590 <= int(answer.headers["Retry-After"]) <= 3600
    assert all(word in page for word in ("Bo Ek", "HD-7", "second floor", "Too many invitations", "in 60 minutes"))
    assert Invitation.objects.count() == len(vendor.rows()) == 1


def test_the_refusal_is_one_event_per_window_and_no_other(agent, colleague, browser_of, client):
    allow(connects_per_ten_minutes=1)
    for person in (agent, colleague):
        browser = browser_of(person)
        for _ in range(4):
            browser.post(f"/invitations/{client.public_id}/connect/", {"take_over": str(agent.pk)})
    assert refusals() == [f"user:{agent.pk}", f"user:{colleague.pk}"]
    event = Event.objects.filter(kind="limit.reached").first()
    assert event.result == "denied"
    assert event.facts == {"limit": "invitation.connects", "allowed": 1, "seconds": 600}
    assert not Event.objects.filter(kind__startswith="access.").exists()
    Tally.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    for _ in range(3):
        browser.post(f"/invitations/{client.public_id}/connect/")
    assert len(refusals()) == 3


def test_an_hour_later_one_may_again(agent, vendor, look):
    look()
    allow(creates_per_hour=1)
    actions.create(by=agent)
    with pytest.raises(LimitReached) as caught:
        actions.create(by=agent)
    assert 3590 <= caught.value.wait_seconds <= 3600
    Tally.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    actions.create(by=agent)
    assert Invitation.objects.count() == 2


def test_a_policy_changed_meanwhile_counts_at_once(agent, client):
    allow(connects_per_ten_minutes=1)
    actions.connect(invitation=client, by=agent)
    refused = []
    for allowed in (1, 2, 2, 0, 0, 1):
        allow(connects_per_ten_minutes=allowed)
        try:
            actions.connect(invitation=client, by=agent)
        except LimitReached:
            refused.append(allowed)
    assert refused == [1, 2, 1]
    facts = [event.facts["allowed"] for event in Event.objects.filter(kind="limit.reached").order_by("seq")]
    assert facts == [1, 2]  # each limit once in this window


def test_zero_switches_a_limit_off_and_counts_nothing(agent, vendor, look):
    look()
    allow(creates_per_hour=0, connects_per_ten_minutes=0)
    for _ in range(5):
        row = actions.create(by=agent)
    vendor.join(row.vendor_id)
    actions.connect(invitation=row, by=agent)
    assert not Tally.objects.exists()
    limits.give_back("connect", by=agent)


def test_who_may_not_takes_no_place_and_hears_of_no_limit(outsider, auditor, vendor, client):
    allow(connects_per_ten_minutes=1, creates_per_hour=1)
    for person in (outsider, auditor):
        for _ in range(3):
            with pytest.raises(PermissionDenied):
                actions.connect(invitation=client, by=person)
            with pytest.raises(PermissionDenied):
                actions.create(by=person)
    assert not Tally.objects.exists()
    assert not refusals()


def test_other_actions_are_not_limited(agent, vendor, look):
    look()
    allow(connects_per_ten_minutes=1, creates_per_hour=1)
    row = actions.create(by=agent)
    for name in ("a", "b", "c"):
        actions.rename(invitation=row, by=agent, client_name=name)
    actions.close(invitation=row, by=agent)
    assert Tally.objects.count() == 1


def test_a_form_sent_twice_takes_one_place_and_shows_what_it_made(agent, client):
    allow(creates_per_hour=1, connects_per_ten_minutes=2)
    row = actions.create(by=agent, client_name="Bo", token="f" * 32)
    assert actions.create(by=agent, client_name="Bo", token="f" * 32) == row
    for expected in (None, SentTwice):
        if expected is None:
            actions.connect(invitation=client, by=agent, token="g" * 32)
        else:
            with pytest.raises(expected):
                actions.connect(invitation=client, by=agent, token="g" * 32)
    actions.connect(invitation=client, by=agent, token="h" * 32)
    with pytest.raises(SentTwice):  # not the limit, which its first sending has used up
        actions.connect(invitation=client, by=agent, token="h" * 32)
    assert not refusals()


def test_an_outage_takes_nobody_s_place(agent, vendor, client):
    allow(connects_per_ten_minutes=1, creates_per_hour=1)
    for operation, act in (
        ("info", lambda: actions.connect(invitation=client, by=agent)),
        ("create", lambda: actions.create(by=agent)),
    ):
        vendor.fail(operation, "status_429", times=None)
        for _ in range(3):
            with pytest.raises(Unavailable):
                act()
        vendor.clear()
        act()
        with pytest.raises(LimitReached):
            act()


@pytest.mark.parametrize("fault", ["status_403", "html"])
def test_what_the_vendor_has_heard_of_counts(agent, vendor, client, fault):
    allow(connects_per_ten_minutes=1)
    vendor.fail("connect", fault, times=None)
    with pytest.raises(GetscreenError):
        actions.connect(invitation=client, by=agent)
    vendor.clear()
    with pytest.raises(LimitReached):
        actions.connect(invitation=client, by=agent)


def test_a_client_who_has_not_joined_counts_because_the_vendor_was_asked(agent, vendor, look):
    allow(connects_per_ten_minutes=1)
    number = vendor.add("Tilda")
    look()
    with pytest.raises(NotJoined):
        actions.connect(invitation=known(number), by=agent)
    with pytest.raises(LimitReached):
        actions.connect(invitation=known(number), by=agent)


def test_without_the_log_nothing_is_counted(agent, vendor, client, monkeypatch):
    allow(connects_per_ten_minutes=1)

    def full(*args, **kwargs):
        raise audit.Unavailable("full")

    with monkeypatch.context() as patched:
        patched.setattr("portal.audit.appending.append", full)
        with pytest.raises(audit.Unavailable):
            actions.connect(invitation=client, by=agent)
    actions.connect(invitation=client, by=agent)
    assert not refusals()
