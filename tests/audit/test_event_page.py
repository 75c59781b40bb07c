"""One event's page: who may open it, its facts, its operation, its record, and its proof."""

import json
import re

import pytest
from django.db import connection

from portal import audit
from portal.audit import checkpoints, presentation, triggers
from portal.audit.canonical import commitment
from portal.audit.merkle import BLOCK
from portal.audit.models import Detail, Event
from tests.chain import digest


@pytest.fixture
def key_in(tmp_path, settings):
    settings.AUDIT_KEY_FILE = tmp_path / "keys" / "audit.pem"


def page_of(browser, event):
    answer = browser.get(f"/audit/{event.seq}/")
    assert answer.status_code == 200
    return answer.content.decode()


def facts_on(page):
    """Return the facts of the page, without their markup, by their label."""
    pairs = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page, re.DOTALL)
    return {label: re.sub(r"<[^>]*>", "", value).strip() for label, value in pairs}


@pytest.mark.parametrize("who", ["agent", "colleague", "lead", "auditor", "admin"])
def test_people_open_what_they_see_in_the_log(request, agent, browser_of, vendor, who):
    event = audit.record("signout", result="ok", actor=agent)
    expected = 404 if who == "colleague" else 200
    assert browser_of(request.getfixturevalue(who)).get(f"/audit/{event.seq}/").status_code == expected


@pytest.mark.parametrize("seq", ["0", "999", "9" * 25])
def test_an_event_that_does_not_exist_is_404(auditor, browser_of, vendor, seq):
    assert browser_of(auditor).get(f"/audit/{seq}/").status_code == 404


def test_opening_an_event_is_an_event(auditor, browser_of, vendor):
    event = audit.record("signout")
    page_of(browser_of(auditor), event)
    look = Event.objects.get(kind="audit.event_viewed")
    assert (look.facts, look.actor_id) == ({"event": event.seq}, auditor.pk)


def test_every_fact_is_said_in_words(agent, auditor, browser_of, vendor):
    event = audit.record(
        "invitation.connect",
        phase="outcome",
        result="ok",
        reference=audit.new_reference(),
        actor=agent,
        target_type="invitation",
        target_id="abc",
        target_label="Tilda",
        facts={"precision_seconds": 3, "new_fact": True},
        details={"ticket": "HD-7", "reason": "asked by phone"},
        up={"ms": 412, "status": 200, "key": "4f2a", "host": "go.getscreen.me", "link": "a1b2", "record": False},
    )
    page = page_of(browser_of(auditor), event)
    assert "got a link into the computer of <a" in page
    facts = facts_on(page)
    assert facts["Who"] == agent.display_name
    assert facts["Roles then"] == "Agent"
    assert facts["Ticket"] == "HD-7"
    assert facts["Reason"] == "asked by phone"
    assert facts["Duration"] == "412 ms"
    assert facts["HTTP status"] == "200"
    assert facts["Recording"] == "no"
    assert facts["New fact"] == "yes"
    assert facts["Host of the link"] == "go.getscreen.me"


def test_addresses_and_salts_are_for_those_who_see_everything(agent, lead, auditor, browser_of, vendor):
    browser_of(agent).get("/audit/", REMOTE_ADDR="203.0.113.77", headers={"user-agent": "Firefox of the agent"})
    event = Event.objects.get(kind="audit.viewed")
    everything = page_of(browser_of(auditor), event)
    detail = Detail.objects.get(pk=event.pk)
    assert all(text in everything for text in ("203.0.113.77", "Firefox of the agent", detail.salt))
    for person in (lead, agent):
        page = page_of(browser_of(person), event)
        assert "203.0.113.0/24" in page
        assert not any(text in page for text in ("203.0.113.77", "Firefox of the agent", detail.salt))


def test_intent_outcome_and_settlement_stand_together(agent, colleague, auditor, browser_of, vendor):
    about = {"reference": audit.new_reference(), "actor": agent, "target_type": "invitation", "target_label": "Tilda"}
    events = [
        audit.record("invitation.close", phase="intent", **about),
        audit.record("invitation.close", phase="outcome", result="unknown", **about),
        audit.record("invitation.close", phase="reconciled", result="ok", **about),
    ]
    audit.record("invitation.close", phase="intent", **about | {"reference": audit.new_reference()})
    answer = browser_of(auditor).get(f"/audit/{events[1].seq}/")
    assert [event.seq for event in answer.context["operation"]] == [event.seq for event in events]
    page = answer.content.decode()
    assert all(text in page for text in ("Started", "Ended: Unknown", "Settled later: Done", "This event"))
    assert f'href="/audit/?reference={about["reference"]}"' in page


def test_of_an_operation_people_see_what_is_theirs(agent, colleague, browser_of, vendor):
    about = {"reference": audit.new_reference(), "target_type": "invitation"}
    event = audit.record("invitation.close", phase="intent", actor=agent, **about)
    audit.record("invitation.close", phase="outcome", result="ok", actor=colleague, **about)
    assert browser_of(agent).get(f"/audit/{event.seq}/").context["operation"] == []


def test_what_an_administrator_changed_stands_before_and_after(admin, browser_of, vendor):
    changes = {
        "first_name": ["Ilse", "<b>Ilsa</b>"],
        "groups": [["Agent"], ["Agent", "Auditor"]],
        "is_active": [True, False],
    }
    event = audit.record("user.changed", result="ok", actor=admin, details={"changes": changes})
    page = page_of(browser_of(admin), event)
    assert "What was changed" in page
    assert '<th scope="row">first name</th><td>Ilse</td><td>&lt;b&gt;Ilsa&lt;/b&gt;</td>' in page
    assert "<td>Agent</td><td>Agent, Auditor</td>" in page
    assert "<td>yes</td><td>no</td>" in page


def test_the_record_is_shown_as_it_is_hashed(auditor, browser_of, vendor):
    event = audit.record("invitation.close", result="ok", target_label="Täst “Q” <i>", details={"ticket": "1"})
    answer = browser_of(auditor).get(f"/audit/{event.seq}/")
    page = answer.content.decode()
    assert digest("portal-audit-v1", event.record) == event.hash
    assert event.hash in page
    assert event.prev in page
    shown = answer.context["commitment"]
    assert commitment(shown.salt, shown.data) == event.content["details"]
    assert "<i>" not in page


def test_what_was_erased_says_so(agent, auditor, browser_of, vendor):
    event = audit.record("invitation.close", result="ok", actor=agent, target_label="Tilda", target_type="invitation")
    triggers.drop(connection)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_detail WHERE seq = %s", [event.seq])
    triggers.reinstall()
    page = page_of(browser_of(auditor), event)
    assert "closed the invitation for [erased]" in page
    assert "erased; the event itself is unchanged" in page
    assert "Tilda" not in page
    assert "[erased]" in browser_of(auditor).get("/audit/").content.decode()


def test_an_event_waits_for_its_checkpoint(auditor, browser_of, vendor):
    assert "next checkpoint, within 15 minutes" in page_of(browser_of(auditor), audit.record("signout"))


def test_the_proof_leads_to_the_newest_checkpoint(key_in, auditor, browser_of, vendor):
    events = [audit.record("signout") for _ in range(BLOCK + 20)]
    checkpoint = checkpoints.make()
    audit.record("signout")
    browser = browser_of(auditor)
    for event in (events[0], events[BLOCK - 1], events[BLOCK], events[-1]):
        answer = browser.get(f"/audit/{event.seq}/")
        proof = answer.context["proof"]
        content = json.loads(proof.text)
        assert (proof.state, content["hash"], content["checkpoint"]) == ("proven", event.hash, checkpoint.note)
        assert all(step in answer.content.decode() for step in content["proof"])
        assert f"one of the {checkpoint.size} under a signed checkpoint" in answer.content.decode()


def test_a_changed_event_has_no_proof(key_in, auditor, browser_of, vendor):
    events = [audit.record("signout") for _ in range(5)]
    checkpoints.make()
    triggers.drop(connection)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_event SET hash = %s WHERE seq = %s", ["f" * 64, events[1].seq])
    triggers.reinstall()
    page = page_of(browser_of(auditor), Event.objects.get(pk=events[3].seq))
    assert "does not lead to the signed checkpoint" in page


def test_beside_removed_events_there_is_no_proof_and_no_alarm(key_in, auditor, browser_of, vendor):
    events = [audit.record("signout") for _ in range(10)]
    checkpoints.make()
    triggers.drop(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_watermark (upto, head, root, ts, note) VALUES (%s, %s, %s, 0, '')",
            [events[3].seq, events[3].hash, "0" * 64],
        )
        cursor.execute("DELETE FROM audit_event WHERE seq <= %s", [events[3].seq])
    triggers.reinstall()
    assert "removed for their age" in page_of(browser_of(auditor), events[7])


def test_values_of_every_shape_become_words():
    assert [presentation.in_words(value) for value in (True, None, "", [], ["a", 1], {"a": [1]}, 7)] == [
        "yes", "–", "–", "–", "a, 1", '{"a":[1]}', "7",
    ]  # fmt: skip


def test_an_event_of_another_release_is_shown_by_its_name(auditor, browser_of, vendor, monkeypatch):
    from portal.audit.kinds import KINDS, Kind

    monkeypatch.setitem(KINDS, "future.100%s", Kind("x", "y"))
    event = audit.record("future.100%s", result="ok")
    monkeypatch.delitem(KINDS, "future.100%s")
    assert "future.100%s" in page_of(browser_of(auditor), event)
    assert "future.100%s" in browser_of(auditor).get("/audit/").content.decode()
