"""What one event holds, and where it says that it came from."""

import unicodedata

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction

from portal import audit
from portal.audit import origin, sentences
from portal.audit.canonical import canonical, hash_of
from portal.audit.kinds import KINDS, Phase
from portal.audit.models import Event
from tests.conftest import Browser, whole_log


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
    event = Event.objects.get(pk=audit.record("signin.failed", actor=nobody, actor_name="x" * 200).pk)
    assert (event.actor_id, event.actor_name, event.actor_roles) == (None, "x" * 150, "")
    assert "xxx" not in event.record, "what somebody typed can be erased"


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "x" * 1000, "<b>&'\"", "🛟", "\u202e", "e\u0301", "\u0958" * 64])
def test_every_text_can_be_stored(db, text):
    audit.record(
        "signin.failed",
        actor_name=text,
        target_label=text,
        target_type="page",
        target_id=text,
        reference=text[:10],
        facts={"deep": [{text: text}, (text, 1, None, True)]},
        details={"deep": [{text: text}, (text, 2**60, None, False)]},
        up={"deep": {text: text}},
    )
    event = Event.objects.get()
    assert "\x00" not in whole_log()
    assert "\\x00" not in whole_log()
    assert event.facts["deep"][1][1:] == [1, None, True]
    assert event.details["deep"][1][1:] == [str(2**60), None, False]
    clean = unicodedata.normalize("NFC", text.replace("\x00", "\ufffd").replace("\ud800", "?"))
    assert event.facts["deep"][1][0] == event.details["deep"][1][0] == event.content["up"]["deep"][clean] == clean
    assert unicodedata.is_normalized("NFC", event.record)
    assert event.hash == hash_of(event.record)
    assert canonical(event.content) == event.record


def test_an_intent_has_no_result(db):
    audit.record("invitation.close", phase=Phase.INTENT)
    with pytest.raises(audit.Unavailable) as caught, transaction.atomic():
        audit.record("invitation.close", phase=Phase.INTENT, result="ok")
    assert isinstance(caught.value.__cause__, IntegrityError)
    assert Event.objects.count() == 1


def test_events_speak_in_sentences(db):
    assert sentences.of(audit.record("signout", result="ok")) == "signed out"
    assert str(audit.record("signout")) == "2 signout"
    event = audit.record("signout")
    event.kind = "from.a.later.release"
    assert sentences.of(event) == "from.a.later.release"
    assert all(str(kind.label)[0].isupper() for kind in KINDS.values())
    told = [text for kind in KINDS.values() for text in (kind.done, kind.tried) if text]
    assert all(str(text % sentences.Names({}))[0].islower() for text in told)


def test_a_sentence_says_what_was_tried_and_what_was_erased(db):
    facts = {"target_type": "invitation", "target_id": "a1", "target_label": "Tilda"}
    intent = audit.record("invitation.connect", phase=Phase.INTENT, **facts)
    outcome = audit.record("invitation.connect", phase=Phase.OUTCOME, result="ok", **facts)
    failed = audit.record("invitation.connect", phase=Phase.OUTCOME, result="failed", **facts)
    assert [sentences.of(event) for event in (intent, outcome, failed)] == [
        "tried to connect to Tilda",
        "got a link into the computer of Tilda",
        "tried to connect to Tilda",
    ]
    outcome.details = {}
    assert sentences.of(outcome) == "got a link into the computer of [erased]"
    assert sentences.of(audit.record("invitation.connect", result="ok")).endswith("of somebody without a name")


def test_an_event_says_who_it_was(db, agent):
    assert sentences.who(audit.record("system.started")) == "The portal"
    assert sentences.who(audit.record("signout", actor=agent)) == "Mika Lind"
    assert sentences.who(Event(actor="stranger", record='{"actor":{"name":""},"details":""}')) == (
        "Somebody who is not signed in"
    )


def test_references_are_random(db):
    assert len({audit.new_reference() for _ in range(50)}) == 50
    assert len(audit.new_reference()) == 32


@pytest.mark.parametrize(
    ("peer", "kept", "network"),
    [
        ("203.0.113.7", "203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2::1", "2001:db8:1:2::1", "2001:db8:1::/48"),
        ("2001:0DB8:0::1", "2001:db8::1", "2001:db8::/48"),
        ("::ffff:203.0.113.7", "203.0.113.7", "203.0.113.0/24"),
        ("fe80::1%eth0", "fe80::1", "fe80::/48"),
        ("", None, ""),
        ("unix:", None, ""),
        ("not an address", None, ""),
    ],
)
def test_the_address_is_kept_in_one_form(agent, browser_of, vendor, peer, kept, network):
    browser_of(agent).get("/audit/", REMOTE_ADDR=peer)
    event = Event.objects.get()
    assert (event.origin_ip, event.details["agent"]) == (kept, "test")
    assert (event.network, event.content["origin"]["network"]) == (network, network)
    assert not kept or f'"{kept}"' not in event.record, "the whole address can be erased"


def test_a_long_or_strange_browser_name_does_not_stop_an_event(agent, browser_of, vendor):
    browser_of(agent).get("/audit/", headers={"user-agent": "\x00é" * 400})
    assert len(Event.objects.get().details["agent"]) == 200


def test_outside_of_requests_events_come_from_nowhere(agent, browser_of, vendor):
    browser_of(agent).get("/audit/")
    assert origin.current() == origin.NOWHERE
    event = audit.record("system.started")
    assert (event.actor, event.origin_ip, event.network, event.auth_method) == ("portal", None, "", "")
    assert event.details == {}
    assert event.content["origin"] == {"network": "", "proxied": False, "agent": ""}


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
    assert Event.objects.filter(kind="access.denied", actor=f"user:{agent.pk}").count() == 3


def test_forms_without_token_are_recorded_for_people_and_counted_for_strangers(agent, browser_of, vendor):
    strict = Browser(enforce_csrf_checks=True)
    for _ in range(5):
        assert strict.post("/accounts/login/", {"login": "agent"}).status_code == 403
    strict.force_login(agent)
    for _ in range(2):
        assert strict.post("/invitations/new/", {"client_name": "x"}).status_code == 403
    found = Event.objects.filter(kind="access.csrf").order_by("seq")
    assert [event.actor for event in found] == ["stranger", *[f"user:{agent.pk}"] * 2]
    assert [event.actor_name for event in found] == ["", "Mika Lind", "Mika Lind"]
    assert [event.target_label for event in found] == ["/accounts/login/", "/invitations/new/", "/invitations/new/"]
    assert not vendor.ledger.requests
