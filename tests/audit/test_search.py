"""Going through the log page by page: nothing twice, nothing left out, and never more read than a window."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portal import audit
from portal.audit import search
from portal.audit.search import PAGE_SIZE, Criteria, Place, Walk

LOG = "/audit/"


def listed(answer):
    return [event.target_label for event in answer.context["page"].events]


@pytest.fixture
def small_window(monkeypatch):
    """Ten events are read for a page of three."""
    monkeypatch.setattr(search, "WINDOW", 10)
    monkeypatch.setattr(search, "PAGE_SIZE", 3)


@pytest.mark.parametrize("name", ["before", "after"])
@pytest.mark.parametrize("place", ["0", "-1", "9" * 19 + "-1", "x", "1e9-1", "%00", "١-١", "1-1-1", "1-"])
def test_a_place_that_is_none_is_422(auditor, vendor, browser_of, name, place):
    answer = browser_of(auditor).get(f"{LOG}?{name}={place}")
    assert answer.status_code == 422
    assert "Show the newest" in answer.content.decode()


def test_long_logs_have_pages_newest_first(auditor, browser_of, vendor):
    for number in range(PAGE_SIZE + 3):
        audit.record("signout", target_label=f"n{number}")
    browser = browser_of(auditor)
    first = browser.get(LOG)
    assert (len(listed(first)), listed(first)[0]) == (PAGE_SIZE, f"n{PAGE_SIZE + 2}")
    assert first.context["page"].newer is None
    second = browser.get(LOG, {"before": first.context["page"].older})
    assert listed(second) == ["n2", "n1", "n0"]
    assert second.context["page"].older is None
    assert listed(browser.get(LOG, {"after": second.context["page"].newer}))[-1] == "n3"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"kind": "signout"},
        {"who": "portal"},
        {"ticket": "HD-1"},
        {"invitation": "some-id"},
        {"kind": "signout", "result": "ok"},
        {"from": "2001-01-01", "result": "ok"},
        {"ticket": "HD-1", "who": "portal"},
    ],
)
def test_every_event_is_on_exactly_one_page_there_and_back(small_window, auditor, vendor, browser_of, query):
    for number in range(26):
        about = {"target_type": "invitation", "target_id": "some-id", "details": {"ticket": "HD-1"}}
        audit.record("signout", result="failed" if number % 4 == 0 else "ok", target_label=f"n{number}", **about)
    wanted = [f"n{number}" for number in range(25, -1, -1) if "result" not in query or number % 4]
    browser, seen, places = browser_of(auditor), [], []
    answer = browser.get(LOG, query)
    while len(places) < 30:
        seen += [label for label in listed(answer) if label]
        places.append(answer.context["page"])
        if answer.context["page"].older is None:
            break
        answer = browser.get(LOG, query | {"before": answer.context["page"].older})
    assert seen == wanted
    back = [label for label in listed(answer) if label]
    while (newer := answer.context["page"].newer) is not None and len(places) < 60:
        answer = browser.get(LOG, query | {"after": newer})
        places.append(answer.context["page"])
        back = [label for label in listed(answer) if label and label not in back] + back
    assert back == wanted


def test_of_several_filters_the_rarest_is_read(small_window, auditor, browser_of, vendor):
    audit.record("signout", result="failed", target_label="the one")
    for _ in range(40):
        audit.record("signout", result="ok")
    answer = browser_of(auditor).get(LOG, {"kind": "signout", "result": "failed"})
    assert listed(answer) == ["the one"]
    assert answer.context["page"].older is None


def test_a_search_that_would_take_long_says_how_far_it_came(small_window, auditor, browser_of, vendor):
    audit.record("signin.ok", result="failed", target_label="the one")
    for number in range(40):
        audit.record("signin.ok" if number % 2 else "signout", result="ok" if number % 2 else "failed")
    browser, query = browser_of(auditor), {"kind": "signin.ok", "result": "failed"}
    answer = browser.get(LOG, query)
    page = answer.content.decode()
    assert listed(answer) == []
    assert "Searched back to" in page
    assert "Search further back" in page
    assert "Nothing matches" not in page
    looks = 0
    while not listed(answer):
        answer, looks = browser.get(LOG, query | {"before": answer.context["page"].older}), looks + 1
    assert listed(answer) == ["the one"]
    assert looks == 1


def queries_of(browser, query):
    with CaptureQueriesContext(
        connection,
    ) as found:
        assert browser.get(LOG, query).status_code == 200
    return len(found)


@pytest.mark.parametrize("query", [{}, {"kind": "signout"}, {"kind": "signout", "result": "ok"}, {"ticket": "HD-1"}])
def test_a_page_asks_the_database_as_often_for_one_event_as_for_fifty(auditor, browser_of, vendor, query):
    browser = browser_of(auditor)
    browser.get(LOG, query)
    audit.record("signout", result="ok", details={"ticket": "HD-1"})
    few = queries_of(browser, query)
    for _ in range(PAGE_SIZE + 5):
        audit.record("signout", result="ok", details={"ticket": "HD-1"})
    assert queries_of(browser, query) == few <= 32


def plan_of(events):
    """Return how the database would read them in a long log; with nothing in it PostgreSQL takes any index."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    return events.explain()


@pytest.mark.parametrize("is_forward", [False, True])
@pytest.mark.parametrize("start", [None, Place(5_000_000, 5)])
@pytest.mark.parametrize("column", ["", "kind", "result", "actor", "target", "network", "reference"])
def test_each_filter_reads_its_own_index(db, column, start, is_forward):
    criteria = Criteria({column: "something"} if column else {}, since=1_000_000, until=9_000_000)
    walk = Walk(criteria, start, is_forward=is_forward)
    plan = plan_of(walk.along(column, 2_000_000 if column != "reference" else None))
    assert (f"audit_event_{column or 'ts'}" if connection.vendor == "sqlite" else "Index Scan") in plan
    assert "SCAN audit_event" not in plan


def test_a_ticket_reads_its_own_index(db):
    details = Walk(Criteria(ticket="HD-1"), Place(5, 5), is_forward=False).numbers()
    assert "audit_detail_ticket" in plan_of(details)
