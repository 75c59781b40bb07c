"""/metrics is for its token, or for this machine itself; for everybody else there is nothing at that address."""

import re

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from invitations.models import Delivery, Invitation
from portal.audit.models import Event
from portal.getscreen.types import Secret
from portal.metrics import gauges
from tests.metrics.conftest import HERE
from tests.portal.test_middleware import EVERYWHERE

TOKEN = "only-for-these-tests"
WITH_TOKEN = {"authorization": f"Bearer {TOKEN}"}
VARYING = ("X-Request-Id", "Content-Length", "HX-Redirect")


def ask(headers=HERE, peer="127.0.0.1", method="get", **more):
    return getattr(Client(), method)("/metrics", headers=headers, REMOTE_ADDR=peer, **more)


@pytest.fixture
def token(settings):
    settings.METRICS_TOKEN = Secret(TOKEN)


# --- who may


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.1", "::1"])
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000"])
def test_without_a_token_this_machine_may_read(db, peer, host):
    assert ask({"host": host}, peer).status_code == 200


@pytest.mark.parametrize("peer", ["10.1.2.3", "8.8.8.8", "", "unix:", "localhost.example"])
def test_without_a_token_no_other_machine_may(db, peer):
    assert ask(peer=peer).status_code in (400, 404)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-proto": "https"},
        {"x-forwarded-host": "localhost"},
        {"x-real-ip": "127.0.0.1"},
        {"forwarded": "for=127.0.0.1"},
        {"via": "1.1 proxy"},
        {"host": "testserver"},  # the site's own name
        {"host": "evil.example"},  # a browser on this machine that a stranger's page has talked into it
        {"host": "127.0.0.1.evil.example"},
        {"host": ""},
    ],
)
def test_what_came_through_a_proxy_on_this_machine_is_not_from_here(db, headers):
    assert ask(HERE | headers).status_code in (400, 404)


@pytest.mark.parametrize("forwarded", ["127.0.0.1", "8.8.8.8", ""])
def test_a_trusted_proxy_is_never_this_machine(db, settings, forwarded):
    from ipaddress import ip_network

    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1/32"), ip_network("10.0.0.0/8")]
    headers = HERE | ({"x-forwarded-for": forwarded} if forwarded else {})
    assert ask(headers).status_code in (400, 404)
    assert ask(headers, peer="10.0.0.1").status_code in (400, 404)


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("peer", ["127.0.0.1", "10.1.2.3"])
@pytest.mark.parametrize("headers", [{"host": "10.9.8.7:8000"}, {"host": "testserver", "x-forwarded-for": "10.1.2.3"}])
def test_with_the_token_everybody_may_under_any_name(db, peer, headers):
    assert ask(headers | WITH_TOKEN, peer).status_code == 200


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize(
    "said",
    [
        "",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer  {TOKEN}",
        "Bearer ",
        "Bearer ********",
        "Bearer \u00fc\u00ff",
    ],
)
def test_with_a_token_nothing_else_counts_not_even_this_machine(db, said):
    assert ask(HERE | {"authorization": said}).status_code in (400, 404)
    assert Client().get(f"/metrics?token={TOKEN}", headers=HERE).status_code in (400, 404)


@pytest.mark.usefixtures("token")
def test_for_everybody_else_the_address_is_like_any_that_does_not_exist(db, agent, browser_of, admin):
    def told(browser, path, **headers):
        answer = browser.get(path, headers=headers)
        kept = {name: text for name, text in answer.headers.items() if name not in VARYING}
        title = re.findall("<title>.*</title>", answer.content.decode())
        return answer.status_code, answer.content.decode().count("portal_"), kept, bool(answer.cookies), title

    for person in (None, agent, admin):
        browser = browser_of(person) if person else Client()
        for headers in ({}, {"authorization": "Bearer wrong-wrong-wrong"}, {"hx-request": "true"}):
            found = told(browser, "/metrics", **headers)
            assert found[0] == 404 or "hx-request" in headers
            assert found[1] == 0
            if person:  # over https, as a person's browser asks
                assert found == told(browser, "/no-such-address", **headers)


@pytest.mark.parametrize("path", ["/metrics/", "/METRICS", "/x/metrics", "//metrics", "/metrics;x", "/metrics/x"])
def test_no_other_spelling_answers(db, path):
    answer = Client().get(path, headers=HERE)
    assert b"portal_" not in answer.content
    assert answer.status_code in (301, 400, 404)


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options", "trace"])
def test_it_is_looked_at_only(db, method):
    answer = ask(method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


# --- what it costs and leaves


def test_a_scrape_has_no_session_leaves_no_event_and_writes_nothing(db, look):
    look()
    events, sessions = Event.objects.count(), Session.objects.count()
    with CaptureQueriesContext(connection) as asked:
        answer = ask(secure=True)
    assert not answer.cookies
    assert {name: answer.headers.get(name) for name in EVERYWHERE} == EVERYWHERE
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert {query["sql"].split()[0] for query in asked} == {"SELECT"}
    assert (Event.objects.count(), Session.objects.count()) == (events, sessions)


def test_the_number_of_queries_does_not_grow(db, look, vendor, settings, tmp_path):
    settings.SYSLOG_URL, settings.AUDIT_CHECKPOINT_DIR = "syslog+tcp://127.0.0.1:1", tmp_path
    ask()
    with CaptureQueriesContext(connection) as few:
        ask()
    for number in range(40):
        vendor.add(f"Client {number}", status=number % 3)
        Delivery.objects.create(kind=Delivery.Kind.MAIL, state=Delivery.State.values[number % 3])
    look()
    assert Invitation.objects.count() == 40
    with CaptureQueriesContext(connection) as many:
        ask()
    assert len(many) <= len(few) <= 14


# --- when something is wrong


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("closed"), ImproperlyConfigured("odd")])
def test_without_a_database_it_says_so_and_the_rest(db, scrape, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    with monkeypatch.context() as without:
        without.setattr(connection, "cursor", fail)
        found = scrape()
    assert (found["portal_database_up"], found["portal_metrics_complete"]) == (0, 0)
    assert found.get("process_resident_memory_bytes", worker="0") > 0
    assert "portal_build_info" in found.families
    assert "gone" not in found.text
    assert scrape()["portal_database_up"] == 1


def test_a_fault_of_ours_takes_away_its_own_numbers_alone(db, scrape, monkeypatch, caplog):
    def fail(known):
        raise ZeroDivisionError
        yield

    monkeypatch.setattr(gauges, "LOOKS", (gauges.sync, fail, gauges.outbox))
    found = scrape()
    assert (found["portal_database_up"], found["portal_metrics_complete"]) == (1, 0)
    assert {"portal_sync_age_seconds", "portal_outbox_waiting"} <= set(found.families)
    assert "Numbers for /metrics could not be read" in caplog.text


# --- what it must not say


def test_no_name_code_ticket_link_or_key_is_told(agent, browser_of, vendor, look, scrape, settings):
    vendor.add("Tilda Kerr", status=1, code="987654321", client_os="win")
    look()
    row = Invitation.objects.get()
    Invitation.objects.update(ticket="INC-4711", note="private words")
    browser_of(agent).post(f"/invitations/{row.public_id}/connect/")
    text = scrape().text
    for secret in ("Tilda", "987654321", "INC-4711", "private", "agent", row.public_id, row.invite_url, row.account):
        assert secret not in text
    for name in ("GETSCREEN_API_KEY", "METRICS_TOKEN"):
        value = getattr(settings, name).reveal()
        assert not value or value not in text
    assert settings.SECRET_KEY not in text
