"""What one event holds, and where it says that it came from."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction

from portal import audit
from portal.audit import origin
from portal.audit.kinds import KINDS, Phase
from portal.audit.models import Event
from tests.conftest import Browser


def test_an_unknown_kind_is_a_bug_and_leaves_nothing(db):
    with pytest.raises(KeyError):
        audit.record("invitation.explode")
    assert not Event.objects.exists()


def test_people_are_kept_by_value(agent):
    event = audit.record("signout", actor=agent)
    agent.first_name, agent.last_name = "Somebody", "Else"
    agent.save()
    agent.groups.clear()
    found = Event.objects.get(pk=event.pk)
    assert (found.actor_id, found.actor_name, found.actor_roles) == (agent.pk, "Mika Lind", "Agent")
    agent.delete()
    assert Event.objects.get(pk=event.pk).actor_name == "Mika Lind"


@pytest.mark.parametrize("nobody", [None, AnonymousUser()])
def test_nobody_is_named_by_what_they_typed(db, nobody):
    event = audit.record("signin.failed", actor=nobody, actor_name="x" * 200)
    assert (event.actor_id, event.actor_name, event.actor_roles) == (None, "x" * 150, "")


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "x" * 1000, "<b>&'\"", "🛟", "\u202e"])
def test_every_text_can_be_stored(db, text):
    audit.record(
        "signin.failed",
        actor_name=text,
        target_label=text,
        target_id=text[:64].replace("\x00", "").encode("utf-8", "replace").decode(),
        data={"deep": [{text: text}, (text, 1, None, True)]},
    )
    event = Event.objects.get()
    assert "\x00" not in event.actor_name + event.target_label + str(event.data)
    assert event.data["deep"][1][1:] == [1, None, True]


def test_an_intent_has_no_result(db):
    audit.record("invitation.close", phase=Phase.INTENT)
    with pytest.raises(IntegrityError), transaction.atomic():
        audit.record("invitation.close", phase=Phase.INTENT, result="ok")


def test_events_speak_in_sentences(db):
    assert audit.record("signout").sentence == "Signed out"
    assert str(audit.record("signout")) == "2 signout"
    assert Event(kind="from.a.later.release").sentence == "from.a.later.release"
    assert all(str(sentence)[0].isupper() for sentence in KINDS.values())


def test_references_are_random(db):
    assert len({audit.new_reference() for _ in range(50)}) == 50
    assert len(audit.new_reference()) == 32


@pytest.mark.parametrize(
    ("peer", "kept"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:0DB8:0::1", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("", None),
        ("unix:", None),
        ("not an address", None),
    ],
)
def test_the_address_is_kept_in_one_form(agent, browser_of, vendor, peer, kept):
    browser_of(agent).get("/audit/", REMOTE_ADDR=peer)
    event = Event.objects.get()
    assert (event.origin_ip, event.user_agent) == (kept, "test")


def test_a_long_or_strange_browser_name_does_not_stop_an_event(agent, browser_of, vendor):
    browser_of(agent).get("/audit/", headers={"user-agent": "\x00é" * 400})
    assert len(Event.objects.get().user_agent) == 200


def test_outside_of_requests_events_come_from_nowhere(agent, browser_of, vendor):
    browser_of(agent).get("/audit/")
    assert origin.current() == origin.NOWHERE
    event = audit.record("system.started")
    assert (event.origin_ip, event.user_agent, event.auth_method) == (None, "", "")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3::9", "2001:db8:1:2::/64"),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_limits_count_by_network(address, network):
    assert origin.network_of(address) == network


def test_a_path_without_a_route_is_kept_as_it_is(rf):
    request = rf.get("/nowhere/")
    request.resolver_match = None
    assert origin.path_of(request) == "/nowhere/"


def test_denials_of_signed_in_people_are_all_recorded(agent, browser_of, vendor):
    browser = browser_of(agent)
    for _ in range(3):
        browser.get("/admin/")
    assert Event.objects.filter(kind="access.denied", actor_id=agent.pk).count() == 3


def test_forms_without_token_are_recorded_for_people_and_counted_for_strangers(agent, browser_of, vendor):
    strict = Browser(enforce_csrf_checks=True)
    for _ in range(5):
        assert strict.post("/accounts/login/", {"login": "agent"}).status_code == 403
    strict.force_login(agent)
    for _ in range(2):
        assert strict.post("/invitations/new/", {"client_name": "x"}).status_code == 403
    found = Event.objects.filter(kind="access.csrf").order_by("seq")
    assert [event.actor_name for event in found] == ["", "Mika Lind", "Mika Lind"]
    assert [event.target_label for event in found] == ["/accounts/login/", "/invitations/new/", "/invitations/new/"]
    assert not vendor.ledger.requests
