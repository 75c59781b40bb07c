"""Requests are counted by view, method and status: whatever is asked for, the labels do not become more."""

import pytest
from django.urls import resolve

from portal.metrics import memory, traffic
from tests.conftest import Browser
from tests.test_access import EVERY
from tests.test_architecture import sample

COUNTED = "portal_http_requests_total"


def test_every_address_of_the_site_map_has_its_name_among_the_labels():
    views = set(traffic.families()[0].values[0])
    assert {resolve(sample(route)).view_name for route in EVERY} <= views
    assert len(views) < 250


def test_whatever_is_asked_for_no_label_is_new(db, scrape):
    """Each address as it is, and with a made-up end, by every method: at most what the families allow is told."""
    browser = Browser()
    asked = 0
    for number, route in enumerate(sorted(EVERY)):
        for path in (sample(route), f"{sample(route)}x{number}/../%00"):
            for method in ("get", "put") if number % 2 else ("head", "options"):
                getattr(browser, method)(path)
                asked += 1
    for method in ("BREW", "X" * 300, "g\u00e9t"):
        browser.generic(method, "/")
    found = scrape()
    known = traffic.families()[0]
    assert {label["view"] for label in found.labels(COUNTED)} <= set(known.values[0])
    assert {label["method"] for label in found.labels(COUNTED)} == {"GET", "HEAD", "other"}
    assert {label["status"] for label in found.labels(COUNTED)} == set(traffic.STATUSES)
    assert sum(value for (name, _), value in found.samples.items() if name == COUNTED) == asked + 3


@pytest.mark.parametrize("path", ["/nothing", "/wp-login.php", "/invitations/%ff/", "/" + "x" * 3000])
def test_unknown_addresses_are_one_label(db, scrape, path):
    Browser().get(path)
    found = scrape()
    assert {label["view"] for label in found.labels(COUNTED)} == {"none"}
    assert found.get(COUNTED, view="none", method="GET", status="4xx") == 1
    assert path not in found.text


def test_a_forged_host_is_one_as_well(db, scrape):
    Browser().get("/accounts/login/", headers={"host": "evil.example"})
    assert scrape().get(COUNTED, view="none", method="GET", status="4xx") == 1


def test_addresses_that_are_secrets_show_nothing_but_their_view(db, scrape):
    Browser().get("/accounts/enrol/a-one-time-link/")
    found = scrape()
    assert found.get(COUNTED, view="enrol", method="GET", status="4xx") == 1
    assert "one-time" not in found.text


def test_what_middleware_answers_has_names_too(lasting_connection, scrape):
    for path in ("/healthz", "/readyz", "/static/css/base.css", "/static/nothing.css"):
        Browser().get(path).close()
    scrape()
    found = scrape()
    assert {label["view"] for label in found.labels(COUNTED)} == {"healthz", "readyz", "static", "metrics"}
    assert found.get(COUNTED, view="metrics", method="GET", status="2xx") == 1


def test_our_own_fault_is_counted_and_its_first_time_is_an_increase(
    agent, browser_of, vendor, look, scrape, monkeypatch
):
    look()
    browser = browser_of(agent)
    browser.raise_request_exception = False
    browser.get("/")
    assert scrape().get(COUNTED, view="board", method="GET", status="5xx") == 0

    def fail(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr("invitations.views.Board", fail)
    browser.get("/")
    found = scrape()
    assert found.get(COUNTED, view="board", method="GET", status="5xx") == 1
    assert found.get(COUNTED, view="board", method="GET", status="2xx") == 1


def test_durations_have_a_histogram_by_view(db, scrape):
    Browser().get("/accounts/login/")
    found = scrape()
    labels = {"view": "account_login", "method": "GET"}
    assert found.get("portal_http_request_seconds_bucket", le="+Inf", **labels) == 1
    assert found.get("portal_http_request_seconds_count", **labels) == 1
    assert found.get("portal_http_request_seconds_sum", **labels) > 0


def test_memory_is_made_once_whoever_comes_first():
    assert traffic.begin() is traffic.begin(regions=5) is memory.current
