"""No secret leaves: the key, the reusable operator links of every answer, the one-time links, the pictures' addresses.

A tour through every page and action, under every fault, with DEBUG on and off. Each byte that is answered,
logged, mailed or stored is searched for each secret, as it is, encoded and reversed. The one allowed place is the
`Location` of a connect answer.
"""

from __future__ import annotations

import base64
import logging
import pickle
import re
from urllib.parse import quote, urlsplit

import pytest
from django.core import mail
from django.db import connection

from invitations import actions
from invitations.models import Invitation, Policy
from portal.accounts.models import Session
from portal.getscreen.errors import GetscreenError
from portal.getscreen.simulator.faults import TABLE
from tests.conftest import known

ACTIONS = ("list", "info", "create", "update", "connect", "close", "preview")


WINDOW = 16


class Searcher:
    """Collects whatever leaves the process and looks for secrets in it."""

    def __init__(self) -> None:
        self.lines: dict[str, str] = {}
        self.delivered: list[str] = []

    def take(self, answer):
        headers = dict(answer.headers)
        if answer.status_code == 303:
            self.delivered.append(headers.pop("Location"))
        cookies = answer.cookies.output()
        self.note(answer.request["PATH_INFO"], f"{headers}{cookies}{answer.content.decode('latin-1')}")
        return answer

    def note(self, where: str, text: str) -> None:
        self.lines.update((line, where) for line in text.splitlines())

    def find(self, secrets: set[str]) -> list[str]:
        """Return where the beginning of any secret stands, in any of its forms."""
        needles = {form[:WINDOW] for secret in secrets for form in written(secret)}
        found = set()
        for line, where in self.lines.items():
            for run in re.findall(r"[\w+/%-]{16,}", line):
                found.update(where for at in range(len(run) - WINDOW + 1) if run[at : at + WINDOW] in needles)
        return sorted(found)


def written(secret: str) -> set[str]:
    """The secret as it is, percent-encoded, in base64 and reversed."""
    plain = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {secret, quote(secret, safe=""), plain, secret[::-1]}


def secrets_of(vendor) -> set[str]:
    links = [*vendor.ledger.links, *vendor.ledger.turbo_links]
    tokens = {token for link in links for token in re.findall(r"[A-Za-z0-9]{24,}", urlsplit(link).path + "?" + link)}
    pictures = {request.path.rsplit("/", 1)[1] for request in vendor.ledger.requests if "/preview/" in request.path}
    assert tokens
    return {"test-key-not-real"} | tokens | pictures


def stored() -> str:
    """Every value in the database, sessions decoded."""
    texts = [repr(session.get_decoded()) for session in Session.objects.all()]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            texts += [repr(row) for row in cursor.fetchall()]
            if table == "portal_cache":
                cursor.execute("SELECT value FROM portal_cache")
                texts += [repr(pickle.loads(base64.b64decode(row[0]))) for row in cursor.fetchall()]
    return "\n".join(texts)


def tour(searcher, browser, row, action):
    """Everything a person can do, the faulty action among it."""
    base = f"/invitations/{row.public_id}/"
    searcher.take(browser.get(base))
    if action in ("list", "preview"):
        for path in ("/", "/board/rows/", "/board/waiting/", f"{base}live/", f"{base}preview/", f"{base}qr/"):
            searcher.take(browser.get(path))
    if action == "create":
        searcher.take(browser.post("/invitations/new/", {"client_name": "Canary"}))
    if action == "update":
        searcher.take(browser.post(f"{base}rename/", {"client_name": "Bird"}))
    if action in ("connect", "info"):
        searcher.take(browser.post(f"{base}connect/"))
    if action == "close":
        searcher.take(browser.post(f"{base}close/"))


@pytest.mark.parametrize("debug", [False, True])
def test_no_secret_leaves_but_in_one_location(debug, settings, admin, browser_of, vendor, look, caplog, capsys):
    settings.DEBUG = debug
    for name in ("", "urllib3", "requests", "portal", "invitations"):
        caplog.set_level(logging.DEBUG, logger=name)
    caplog.set_level(logging.INFO, logger="django.db.backends")
    vendor.remaining = 10_000
    Policy.objects.create(creates_per_hour=0, connects_per_ten_minutes=0)
    searcher, browser = Searcher(), browser_of(admin)
    browser.raise_request_exception = False
    for name, fault in TABLE.items():
        for action in ACTIONS:
            if action not in fault.fits or name == "many_rows":
                continue
            number = vendor.add("Tilda", status=1, client_os="win")
            look()
            vendor.fail(action, name, times=None)
            look()
            tour(searcher, browser, known(number), action)
            vendor.clear()
            for left in vendor.rows():
                vendor.remove(left)
            Invitation.objects.all().delete()  # boards stay short
    for path in ("/history/", "/audit/", "/admin/", "/admin/audit/event/", "/admin/invitations/invitation/"):
        searcher.take(browser.get(path))
    browser.post("/accounts/password/reset/", {"email": admin.email})
    for message in mail.outbox:
        searcher.note("mail", str(message.message()))
    searcher.note("log", caplog.text)
    searcher.note("output", "".join(capsys.readouterr()))
    searcher.note("database", stored())
    secrets = secrets_of(vendor)
    assert searcher.find(secrets) == []
    normal = {link.replace("&amp;", "&").replace("https://https://", "https://") for link in vendor.ledger.links}
    assert searcher.delivered
    assert set(searcher.delivered) <= normal
    assert len(searcher.delivered) == len(set(searcher.delivered))


@pytest.mark.parametrize("debug", [False, True])
def test_a_link_whose_outcome_cannot_be_stored_is_thrown_away(
    debug, settings, agent, browser_of, vendor, look, monkeypatch, caplog
):
    settings.DEBUG = debug
    number = vendor.add("Tilda", status=1)
    look()

    def broken(*args, **kwargs):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(actions, "enter", broken)
    browser, searcher = browser_of(agent), Searcher()
    browser.raise_request_exception = False
    answer = searcher.take(browser.post(f"/invitations/{known(number).public_id}/connect/"))
    assert answer.status_code == 500
    assert len(vendor.ledger.links) == 1
    searcher.note("log", caplog.text)
    assert searcher.find(secrets_of(vendor)) == []


def test_errors_carry_no_secret(agent, vendor, look):
    number = vendor.add("Tilda", status=1)
    look()
    vendor.fail("connect", "truncated", times=None)
    with pytest.raises(GetscreenError) as caught:
        actions.connect(invitation=known(number), by=agent)
    texts = []
    error = caught.value
    while error is not None:
        texts.append(f"{error!r}{error.__dict__}")
        error = error.__cause__ or error.__context__
    searcher = Searcher()
    searcher.note("error", "\n".join(texts))
    assert searcher.find(secrets_of(vendor)) == []


def test_the_search_finds_a_secret_in_every_form():
    secret = "abcdefghijklmnop1234567890qrstuv"
    for form in written(secret):
        searcher = Searcher()
        searcher.note("here", f"some text ={form}& more")
        assert searcher.find({secret}) == ["here"]
