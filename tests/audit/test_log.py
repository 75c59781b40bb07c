"""The audit log's page: who sees what, filters, places, bad input, and that looking is itself an event."""

import re

import pytest
from django.db import connection
from django.utils import timezone

from portal import audit
from portal.audit.models import Event
from portal.audit.search import PAGE_SIZE

LOG = "/audit/"
REFERENCE = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def events(agent, colleague, lead, auditor, admin, vendor):
    """One event of everybody's and one of nobody's."""
    for person in (agent, colleague, lead, auditor, admin):
        audit.record("signout", result="ok", actor=person, target_label=f"of {person.username}")
    audit.record("vendor.trouble", result="failed", target_label="of nobody")


def shown(answer):
    return {event.target_label for event in answer.context["page"].events} - {""}


def listed(answer):
    return [event.target_label for event in answer.context["page"].events]


ALL = {f"of {name}" for name in ("agent", "colleague", "lead", "auditor", "admin", "nobody")}


@pytest.mark.parametrize(
    ("who", "scope", "labels"),
    [
        ("agent", "Your own actions", {"of agent"}),
        ("colleague", "Your own actions", {"of colleague"}),
        ("lead", "Your team’s actions", ALL),
        ("auditor", "Everybody’s actions", ALL),
        ("admin", "Everybody’s actions", ALL),
    ],
)
def test_everybody_sees_their_share(request, events, browser_of, who, scope, labels):
    answer = browser_of(request.getfixturevalue(who)).get(LOG)
    assert shown(answer) == labels
    assert scope in answer.content.decode()
    for missing in ALL - labels:
        assert missing not in answer.content.decode()


def queries_about(colleague):
    return [
        "",
        f"who=user:{colleague.pk}",
        "who=portal",
        "kind=signout",
        "kind=vendor.trouble",
        "result=ok&kind=signout",
        "result=failed",
        "invitation=public-id",
        "ticket=HD-1",
        f"reference={REFERENCE}",
        "network=203.0.113.0/24",
        "before=999999999999999999-999999999",
        "after=0-0",
        "actor=portal",
        "page=2",
    ]


@pytest.mark.parametrize("number", range(15))
def test_no_filter_widens_an_agent_s_share(events, agent, colleague, browser_of, number):
    about = {"target_type": "invitation", "target_id": "public-id", "reference": REFERENCE}
    for person in (agent, colleague):
        details = {"ticket": "HD-1", "secret": person.username}
        audit.record(
            "signout", result="ok", actor=person, target_label=f"of {person.username}", details=details, **about
        )
    answer = browser_of(agent).get(f"{LOG}?{queries_about(colleague)[number]}")
    assert answer.status_code == 200
    assert shown(answer) <= {"of agent"}
    assert "of colleague" not in answer.content.decode()


@pytest.mark.parametrize(("who", "may"), [("agent", False), ("lead", True), ("auditor", True)])
def test_only_who_sees_others_may_choose_among_them(request, events, browser_of, colleague, who, may):
    page = browser_of(request.getfixturevalue(who)).get(LOG).content.decode()
    assert (colleague.display_name in page) == may
    assert ("Not signed in" in page) == may


def test_without_the_right_there_is_nothing_to_see(outsider):
    audit.record("signout", actor=outsider)
    assert not Event.objects.visible_to(outsider).exists()


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("kind=vendor.trouble", {"of nobody"}),
        ("kind=vendor.left", set()),
        ("result=failed", {"of nobody"}),
        ("result=ok&kind=signout", ALL - {"of nobody"}),
        ("result=failed&kind=signout", set()),
        ("who=portal", {"of nobody"}),
        ("who=stranger", set()),
        ("to=2001-01-01", set()),
        ("from=2999-01-01", set()),
        ("from=2001-01-01&to=2999-12-31", ALL),
        ("from=2001-01-01&to=2999-12-31&result=failed&kind=vendor.trouble&who=portal", {"of nobody"}),
    ],
)
def test_filters(events, auditor, browser_of, query, labels):
    answer = browser_of(auditor).get(f"{LOG}?{query}")
    assert answer.status_code == 200
    assert shown(answer) == labels


def test_one_person_s_actions(events, auditor, lead, browser_of):
    browser = browser_of(auditor)
    assert shown(browser.get(LOG, {"who": f"user:{lead.pk}"})) == {"of lead"}
    assert shown(browser.get(LOG, {"who": f"user:{lead.pk}", "result": "failed"})) == set()
    assert shown(browser.get(LOG, {"who": f"user:{lead.pk}", "result": "ok"})) == {"of lead"}


def test_days_begin_and_end_where_the_installation_is(auditor, browser_of, vendor, settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    audit.record("signout", target_label="now")
    timezone.activate("Pacific/Auckland")
    today = timezone.localdate()
    try:
        for query, labels in (
            (f"from={today}&to={today}", {"now"}),
            (f"from={today + timezone.timedelta(days=1)}", set()),
            (f"to={today - timezone.timedelta(days=1)}", set()),
        ):
            assert shown(browser_of(auditor).get(f"{LOG}?{query}")) == labels, query
    finally:
        timezone.deactivate()


@pytest.mark.parametrize(
    "query",
    [
        {"invitation": "Public_id-1"},
        {"invitation": "https://testserver/invitations/Public_id-1/"},
        {"invitation": "/invitations/Public_id-1/rename/?next=/#top"},
        {"ticket": " HD-7 "},
        {"reference": REFERENCE},
        {"reference": f" {REFERENCE.upper()} "},
        {"reference": REFERENCE, "kind": "invitation.close", "ticket": "HD-7"},
        {"invitation": "Public_id-1", "kind": "invitation.close", "result": "ok"},
    ],
)
def test_what_an_event_is_about_finds_it(auditor, browser_of, vendor, query):
    for number, reference in (("1", REFERENCE), ("2", audit.new_reference())):
        audit.record(
            "invitation.close",
            result="ok",
            reference=reference,
            target_type="invitation",
            target_id=f"Public_id-{number}",
            target_label=f"n{number}",
            details={"ticket": f"HD-{'7' if number == '1' else '77'}"},
        )
    assert shown(browser_of(auditor).get(LOG, query)) == {"n1"}


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("203.0.113.77", "203.0.113.77"),
        ("203.0.113.77", "203.0.113.5"),
        ("203.0.113.77", "203.0.113.0/24"),
        ("203.0.113.77", "::ffff:203.0.113.1"),
        ("203.0.113.77", "203.0.113.64/27"),
        ("2001:db8::77", "2001:db8::1"),
        ("2001:db8::77", "2001:db8::/48"),
        ("2001:db8::77", "2001:db8:0:5::/64"),
    ],
)
def test_an_address_finds_what_came_from_its_network(auditor, browser_of, vendor, address, text):
    browser = browser_of(auditor)
    browser.get(LOG, REMOTE_ADDR="198.51.100.1")
    browser.get(LOG, REMOTE_ADDR=address)
    answer = browser.get(LOG, {"network": text})
    (event,) = answer.context["page"].events
    assert event.origin_ip == address
    assert address in answer.content.decode()


def test_addresses_are_for_those_who_see_everything(lead, auditor, browser_of, vendor):
    browser_of(auditor).get(LOG, REMOTE_ADDR="203.0.113.77")
    assert "203.0.113.77" in browser_of(auditor).get(LOG).content.decode()
    page = browser_of(lead).get(LOG).content.decode()
    assert "203.0.113.77" not in page
    assert "203.0.113.0/24" in page


@pytest.mark.parametrize(
    "query",
    [
        "from=0001-01-01",
        "from=9999-12-31",
        "to=9999-12-31",
        "to=0001-01-01",
        "from=yesterday",
        "from=2026-02-30",
        "from=2026-02-02&to=2026-02-01",
        "kind=invitation.explode",
        "kind=%00",
        "result=fine",
        "who=user:999999",
        "who=mika",
        "who=a%00b",
        "invitation=not+an+id",
        "invitation=https://testserver/history/",
        "invitation=%00",
        "ticket=" + "x" * 101,
        "ticket=%00",
        "network=203.0.113.",
        "network=10.0.0.0/8",
        "network=2001:db8::/32",
        "network=%00",
        "reference=0123",
        "reference=x" * 3,
        "reference=%00",
    ],
)
def test_wrong_filters_are_422_beside_their_field_and_nothing_is_searched(events, auditor, browser_of, query):
    answer = browser_of(auditor).get(f"{LOG}?{query}")
    page = answer.content.decode()
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in page
    assert "Nothing was searched" in page
    assert "of agent" not in page
    assert not Event.objects.filter(kind="audit.viewed").exists()


def test_looking_is_an_event_and_so_is_each_new_filter(auditor, lead, browser_of, vendor):
    for _ in range(PAGE_SIZE + 5):
        audit.record("signout", actor=lead, result="ok")
    browser = browser_of(auditor)
    older = browser.get(LOG).context["page"].older
    browser.get(LOG, {"before": older})
    browser.get(LOG, {"who": f"user:{lead.pk}", "result": "ok"})
    browser.get(LOG, {"who": f"user:{lead.pk}", "result": "ok", "before": older})
    browser.get(LOG, {"result": "ok", "before": older})  # by hand: other filters, so another look
    found = Event.objects.filter(kind="audit.viewed").order_by("seq")
    assert [event.facts["filters"] for event in found] == [[], ["result", "who"], ["result"]]
    assert {event.actor_id for event in found} == {auditor.pk}


def test_the_number_of_filters_is_said_and_can_be_reset(auditor, browser_of, vendor):
    browser = browser_of(auditor)
    page = browser.get(LOG, {"kind": "signout", "result": "ok", "ticket": ""}).content.decode()
    assert "Filters (2)" in page
    assert ">Reset<" in page
    assert ">Reset<" not in browser.get(LOG).content.decode()


@pytest.mark.parametrize(
    ("result", "phase", "word"),
    [
        ("ok", "single", "Done"),
        ("denied", "single", "Refused"),
        ("failed", "outcome", "Failed"),
        ("unknown", "reconciled", "Unknown"),
        ("", "intent", "Started"),
    ],
)
def test_each_way_to_end_looks_different(auditor, browser_of, vendor, result, phase, word):
    event = audit.record("invitation.close", result=result, phase=phase, target_label="Tilda")
    page = browser_of(auditor).get(LOG).content.decode()
    assert f'data-outcome="{result or "started"}"' in page
    assert word in page
    assert f'href="/audit/{event.seq}/"' in page


def test_a_sentence_leads_to_the_invitation_for_those_who_may_see_it(auditor, browser_of, vendor):
    audit.record("invitation.close", result="ok", target_type="invitation", target_id="abc-1", target_label="<Tilda>")
    audit.record("invitation.close", result="ok", target_type="invitation", target_id="a b/c", target_label="Odd")
    page = browser_of(auditor).get(LOG).content.decode()
    assert 'closed the invitation for <a href="/invitations/abc-1/">&lt;Tilda&gt;</a>' in page
    assert "closed the invitation for Odd" in page


def test_an_export_takes_the_filters_along(auditor, lead, browser_of, vendor):
    browser = browser_of(auditor)
    query = {"kind": "signout", "invitation": "https://testserver/invitations/abc-1/", "before": "1-1"}
    page = browser.get(LOG, query).content.decode()
    address = re.search(r'href="(/audit/export/[^"]*)"', page)[1].replace("&amp;", "&")
    assert "before" not in address
    exporting = browser.get(address)
    assert dict(exporting.context["chosen"].shown) == {"Action": "Sign-out", "Invitation": "abc-1"}
    assert "/evidence/" in page
    assert "/export/" not in browser_of(lead).get(LOG, query).content.decode()


def test_looking_in_the_administration_is_an_event_too(admin, browser_of, vendor):
    browser_of(admin).get("/admin/audit/event/?q=tilda")
    assert Event.objects.get().kind == "audit.viewed"
    assert Event.objects.get().facts == {"filters": ["q"], "in": "admin"}


@pytest.mark.parametrize("role", ["admin", "superuser"])
def test_in_the_administration_events_are_to_look_at(request, make_person, browser_of, vendor, role):
    person = make_person("rut", is_superuser=True) if role == "superuser" else request.getfixturevalue(role)
    event = audit.record("signout", actor=person)
    browser = browser_of(person)
    page = browser.get(f"/admin/audit/event/{event.pk}/change/").content.decode()
    assert 'name="_save"' not in page
    for tail in (f"{event.pk}/change/", f"{event.pk}/delete/", "add/"):
        assert browser.post(f"/admin/audit/event/{tail}", {"post": "yes", "kind": "signout"}).status_code == 403
    browser.post("/admin/audit/event/", {"action": "delete_selected", "_selected_action": ["1"], "post": "yes"})
    assert Event.objects.filter(pk=event.pk).exists()


def test_what_strangers_typed_is_shown_as_text(auditor, browser_of, anonymous, vendor):
    bad = "<script>alert(1)</script>"
    anonymous.post("/accounts/login/", {"login": bad, "password": "x"})
    audit.record("invitation.create", target_type="invitation", target_label=bad)
    page = browser_of(auditor).get(LOG).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_log_that_cannot_be_written_shows_nothing(events, auditor, browser_of):
    full = {
        "postgresql": "ALTER TABLE audit_event ADD CONSTRAINT full_disk CHECK (false) NOT VALID",
        "sqlite": "CREATE TRIGGER full_disk BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    }
    with connection.cursor() as cursor:
        cursor.execute(full[connection.vendor])
    browser = browser_of(auditor)
    browser.raise_request_exception = False
    answer = browser.get(LOG)
    assert answer.status_code == 503
    assert "of agent" not in answer.content.decode()


@pytest.mark.parametrize("written", ["{}", "+{}", "000{}", "%20{}", "0_{}"])
def test_however_its_number_is_written_an_event_is_not_looked_at_unseen(admin, browser_of, written):
    event = audit.record("system.started")
    answer = browser_of(admin).get(f"/admin/audit/event/{written.format(event.seq)}/change/")
    looks = Event.objects.filter(kind="audit.event_viewed")
    assert [look.facts["event"] for look in looks] == ([event.seq] if answer.status_code == 200 else [])
