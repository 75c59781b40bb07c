"""The audit log's page: who sees what, filters, bad input, and that looking is itself an event."""

import pytest
from django.db import connection
from django.utils import timezone

from portal import audit
from portal.audit.models import Event
from portal.audit.views import PAGE_SIZE

LOG = "/audit/"


@pytest.fixture
def events(agent, colleague, lead, auditor, admin, vendor):
    """One event of everybody's and one of nobody's."""
    for person in (agent, colleague, lead, auditor, admin):
        audit.record("signout", result="ok", actor=person, target_label=f"of {person.username}")
    audit.record("vendor.trouble", result="failed", target_label="of nobody")


def shown(answer):
    return {event.target_label for event in answer.context["page_obj"]} - {""}


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


@pytest.mark.parametrize(
    "query", ["who=colleague", "who=Joss", "q=of+colleague", "kind=signout", "page=2", "actor_id=1"]
)
def test_no_filter_widens_an_agent_s_share(events, agent, browser_of, query):
    assert shown(browser_of(agent).get(f"{LOG}?{query}")) <= {"of agent"}


def test_without_the_right_there_is_nothing_to_see(outsider):
    audit.record("signout", actor=outsider)
    assert not Event.objects.visible_to(outsider).exists()


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("who=mika", {"of agent"}),
        ("who=nobody+like+this", set()),
        ("kind=vendor.trouble", {"of nobody"}),
        ("result=failed", {"of nobody"}),
        ("result=ok&who=lead", {"of lead"}),
        ("q=OF+AGENT", {"of agent"}),
        ("q=203.0.113.", set()),
        ("to_date=2001-01-01", set()),
        ("from_date=2999-01-01", set()),
        ("from_date=2001-01-01&to_date=2999-12-31", ALL),
    ],
)
def test_filters(events, auditor, browser_of, query, labels):
    answer = browser_of(auditor).get(f"{LOG}?{query}")
    assert answer.status_code == 200
    assert shown(answer) == labels


def test_days_begin_and_end_where_the_installation_is(auditor, browser_of, vendor, settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    audit.record("signout", target_label="now")
    timezone.activate("Pacific/Auckland")
    today = timezone.localdate()
    try:
        for query, labels in (
            (f"from_date={today}&to_date={today}", {"now"}),
            (f"from_date={today + timezone.timedelta(days=1)}", set()),
            (f"to_date={today - timezone.timedelta(days=1)}", set()),
        ):
            assert shown(browser_of(auditor).get(f"{LOG}?{query}")) == labels, query
    finally:
        timezone.deactivate()


def test_the_search_finds_addresses_references_and_targets(auditor, browser_of, vendor):
    reference = audit.new_reference()
    audit.record("invitation.close", result="ok", reference=reference, target_id="public-id", target_label="by id")
    browser = browser_of(auditor)
    for text in (reference, "public-id"):
        assert shown(browser.get(LOG, {"q": text})) == {"by id"}
    browser.get(LOG, REMOTE_ADDR="203.0.113.77")
    browser.get(LOG, REMOTE_ADDR="2001:db8::77")
    for text in ("203.0.113.", "203.0.113.77", "2001:db8::77"):
        found = browser.get(LOG, {"q": text}).context["page_obj"]
        assert [event.kind for event in found] == ["audit.viewed"], text


@pytest.mark.parametrize(
    "query",
    [
        "from_date=0001-01-01",
        "from_date=9999-12-31",
        "to_date=9999-12-31",
        "to_date=0001-01-01",
        "from_date=yesterday",
        "from_date=2026-02-30",
        "kind=invitation.explode",
        "result=fine",
        "who=" + "x" * 151,
        "q=" + "x" * 101,
        "q=%00",
        "who=a%00b",
        "kind=%00",
    ],
)
def test_wrong_filters_are_422_beside_their_field(events, auditor, browser_of, query):
    answer = browser_of(auditor).get(f"{LOG}?{query}")
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.content.decode()


@pytest.mark.parametrize("page", ["0", "-1", "999999999999999999999", "x", "", "1e9", "%00", "last", "١"])
def test_any_page_number_leads_somewhere(events, auditor, browser_of, page):
    assert browser_of(auditor).get(f"{LOG}?page={page}").status_code == 200


def test_long_logs_have_pages_newest_first(auditor, browser_of, vendor):
    for number in range(PAGE_SIZE + 3):
        audit.record("signout", target_label=f"n{number}")
    browser = browser_of(auditor)
    first = [event.target_label for event in browser.get(LOG).context["page_obj"]]
    assert (len(first), first[0]) == (PAGE_SIZE, f"n{PAGE_SIZE + 2}")
    assert "n0" in shown(browser.get(f"{LOG}?page=2"))


def test_a_page_of_the_log_asks_the_database_rarely(events, auditor, browser_of, django_assert_max_num_queries):
    browser = browser_of(auditor)
    browser.get(LOG)
    with django_assert_max_num_queries(20):
        browser.get(LOG)


def test_looking_is_an_event(auditor, browser_of, vendor):
    browser = browser_of(auditor)
    browser.get(LOG)
    browser.get(f"{LOG}?who=mika&result=ok")
    found = Event.objects.filter(kind="audit.viewed").order_by("seq")
    assert [event.data for event in found] == [{"filters": []}, {"filters": ["result", "who"]}]
    assert {event.actor_id for event in found} == {auditor.pk}


def test_looking_in_the_administration_is_an_event_too(admin, browser_of, vendor):
    browser_of(admin).get("/admin/audit/event/?q=tilda")
    assert Event.objects.get().kind == "audit.viewed"
    assert Event.objects.get().data == {"filters": ["q"], "in": "admin"}


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


def test_a_log_that_cannot_be_written_shows_nothing(auditor, browser_of, vendor):
    full = {
        "postgresql": "ALTER TABLE audit_event ADD CONSTRAINT full_disk CHECK (false)",
        "sqlite": "CREATE TRIGGER full_disk BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    }
    with connection.cursor() as cursor:
        cursor.execute(full[connection.vendor])
    browser = browser_of(auditor)
    browser.raise_request_exception = False
    assert browser.get(LOG).status_code == 500
