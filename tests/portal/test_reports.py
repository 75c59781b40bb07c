"""What leaves for Sentry, read where it arrives: where in the code something broke, and nothing that anybody said."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from invitations import courier, outbox
from invitations.models import Delivery, Invitation
from invitations.watcher import Watcher
from portal import reports
from portal.getscreen.types import Secret

CANARIES = {
    "key": "test-key-not-real",
    "session": "canary-of-a-session",
    "code": "987654321",
    "password": "canary horse battery",
    "link": "https://go.getscreen.me/connect/canary-link?llt=canary",
    "name": "Tilda Canary",
    "path": "canary-in-the-address",
}


class Receiver:
    """A Sentry that keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((self.path, dict(self.headers), body))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def dsn(self) -> str:
        return f"http://key@127.0.0.1:{self.server.server_port}/1"

    def events(self) -> list[dict[str, Any]]:
        assert reports.client is not None
        reports.client.flush(timeout=20)
        return [json.loads(body.split(b"\n")[2]) for _, _, body in self.requests]

    def everything(self) -> str:
        return str(self.requests)


@pytest.fixture
def sentry(settings: Any) -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.thread.start()
    settings.SENTRY_DSN = Secret(receiver.dsn)
    reports.begin()
    assert reports.client is not None
    reports.client.transport._compression_level = 0  # so that it can be read
    pool = reports.client.transport._pool
    yield receiver
    reports.end()
    pool.clear()
    receiver.server.shutdown()
    receiver.server.server_close()
    receiver.thread.join()


@pytest.fixture(autouse=True)
def nothing_told_yet(monkeypatch: pytest.MonkeyPatch) -> reports.Handler:
    """Each test's own memory of what was told."""
    (handler,) = [each for each in logging.getLogger().handlers if isinstance(each, reports.Handler)]
    monkeypatch.setattr(handler, "told", {})
    return handler


def fail(*args: Any, **kwargs: Any) -> None:
    """Break with all that must not leave, in the text, in its cause and in the variables."""
    canaries = dict(CANARIES)
    try:
        raise KeyError(*canaries.values())
    except KeyError as error:
        raise ValueError(f"{canaries} {args} {kwargs}") from error


def assert_silent(receiver: Receiver) -> None:
    text = receiver.everything()
    assert text
    for canary in CANARIES.values():
        assert canary not in text
    assert "canary" not in text.lower()


def test_a_fault_in_a_page_is_reported_by_its_places_alone(agent, browser_of, vendor, look, sentry, monkeypatch):
    vendor.add(CANARIES["name"], status=1, code=CANARIES["code"])
    look()
    browser = browser_of(agent)
    browser.raise_request_exception = False
    monkeypatch.setattr("invitations.views.Board", fail)
    browser.cookies["x"] = "canary-cookie"
    headers = {"user-agent": "canary-agent", "referer": "https://testserver/canary", "x-canary": "canary"}
    answer = browser.get(f"/?q={CANARIES['path']}", headers=headers)
    assert answer.status_code == 500
    (event,) = sentry.events()
    assert_silent(sentry)
    assert "testserver" not in sentry.everything()
    assert event["logger"] == "django.request"
    assert event["logentry"]["message"] == "%s: %s"
    assert event["tags"]["request"] == answer.wsgi_request.reference
    assert event["tags"]["view"] == "board"
    assert [each["type"] for each in event["exception"]["values"]] == ["KeyError", "ValueError"]
    last = event["exception"]["values"][-1]["stacktrace"]["frames"][-1]
    assert (last["function"], last["filename"]) == ("fail", "tests/portal/test_reports.py")
    assert set(event) <= {*reports.KEPT, "_meta"}


def test_addresses_that_are_secrets_are_told_by_their_view(db, sentry, monkeypatch, anonymous):
    anonymous.raise_request_exception = False
    monkeypatch.setattr("portal.accounts.tries.refuse_reached", fail)
    monkeypatch.setattr("invitations.join.find", fail)
    secret = CANARIES["path"]
    for path in (f"/accounts/enrol/{secret}/", f"/accounts/invite/{secret}/", f"/accounts/sign-in/{secret}/"):
        anonymous.post(path, {"password": CANARIES["password"]}, headers={"authorization": "canary"})
    anonymous.get(f"/j/{CANARIES['code']}")
    told = sentry.events()
    assert_silent(sentry)
    assert {"enrol", "choose_password", "sign_in_link", "join_short_code"} <= {event["tags"]["view"] for event in told}


def test_a_fault_of_the_watcher_is_reported(db, vendor, sentry, monkeypatch):
    monkeypatch.setattr("invitations.watcher.close_old_connections", lambda: None)  # the test's own is one
    watcher = Watcher()
    monkeypatch.setattr(watcher, "look", fail)
    watcher.tick()
    (event,) = sentry.events()
    assert_silent(sentry)
    assert event["logentry"]["message"] == "A round of the watcher failed"


def test_a_fault_of_the_outbox_is_reported(vendor, look, sentry, monkeypatch):
    vendor.add(CANARIES["name"])
    look()
    outbox.order_mail(
        invitation=Invitation.objects.get(), to="canary@example.org", subject="canary", body="canary", by=None
    )
    monkeypatch.setattr(courier, "close_old_connections", lambda: None)
    monkeypatch.setattr(outbox, "attempt", fail)
    courier.Lane(Delivery.Kind.MAIL, threading.Event()).tick()
    (event,) = sentry.events()
    assert_silent(sentry)
    assert event["logentry"]["message"] == "A round of the outbox failed"


def test_what_is_written_by_others_brings_its_name_alone(sentry):
    logging.getLogger("somebody.else").error("canary in a text of %s", "canary")
    logging.getLogger("django.security.DisallowedHost").error("canary.example")
    logging.getLogger("portal").error("X-Api-Key: canary")
    others, ours = sentry.events()
    assert_silent(sentry)
    assert (others["logger"], "logentry" in others) == ("somebody.else", False)
    assert ours["logentry"]["message"] == "X-Api-Key: ********"


def test_warnings_and_what_is_told_already_are_not_reported(sentry):
    logger = logging.getLogger("portal")
    logger.warning("nothing")
    for _ in range(50):
        try:
            fail()
        except ValueError:
            logger.exception("It broke")
    assert len(sentry.events()) == 1


def test_only_this_many_faults_are_remembered(sentry, nothing_told_yet):
    nothing_told_yet.told.update(dict.fromkeys(range(reports.MOST), 0.0))
    logging.getLogger("portal").error("one more")
    assert len(nothing_told_yet.told) == 1


def test_the_log_still_has_what_was_not_told(sentry, caplog):
    try:
        fail()
    except ValueError:
        logging.getLogger("portal").exception("It broke")
    assert CANARIES["password"] in caplog.text


def test_a_fault_in_a_cycle_of_causes_is_cut_off(sentry):
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert len(reports.exceptions(first)) == reports.CAUSES


def test_without_an_address_nothing_is_loaded_and_nothing_said(settings):
    assert not settings.SENTRY_DSN
    reports.begin()
    assert reports.client is None
    logging.getLogger("portal").error("nobody hears this")
    reports.end()


def test_a_sentry_that_is_not_there_stops_nothing(settings):
    settings.SENTRY_DSN = Secret("http://key@127.0.0.1:1/1")
    reports.begin()
    pool = reports.client.transport._pool
    logging.getLogger("portal").error("to nobody")
    reports.end()  # waits for a second at most
    pool.clear()
    assert reports.client is None


def test_what_the_library_adds_is_left_out():
    added = {"server_name": "canary", "modules": {}, "extra": {"sys.argv": ["canary"]}, "user": {}, "request": {}}
    assert reports.only_what_is_kept(added | {"level": "error"}, {}) == {"level": "error"}
