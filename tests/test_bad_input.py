"""Whatever is typed, pasted or made up: no form, no query and no address ends in our own fault.

Walks the table of `tests/test_access.py`. Which fields a form has is read off the page itself, so that a
new address and a new field are tried without anything being added here.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote_from_bytes, urlsplit

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from invitations import board
from tests import batteries
from tests.conftest import Browser
from tests.test_access import EXPECTED, PUBLIC, Cast, send

EXAMPLES = int(os.environ.get("EXAMPLES") or batteries.count(short=15, long=2000))  # of each form, query, address
FEW = max(3, EXAMPLES // 40)  # where the method is refused: no form is there, only what stands before views reads
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=edge"
# What forms do not show on their pages: what scripts send, what the address of a page takes.
HIDDEN_NAMES = (
    "next",
    "page",
    "q",
    "f",
    "team",
    "private",
    "record",
    "what",
    "token",
    "code",
    "credential",
    "_method",
    "csrfmiddlewaretoken",
)
NUMBERS = [b"9223372036854775808", b"9" * 5000]  # more than a database has, more digits than Python reads
FIXED = [
    *NUMBERS,
    b"",
    b"\x00",
    b"a\x00b",
    b"\xff\xfe",
    b"\xc0\xaf",
    b"\xed\xa0\x80",  # a lone surrogate
    b"\xf4\x90\x80\x80",  # past the last character
    b"-1",
    b"0",
    b"9223372036854775807",
    b"-9223372036854775809",
    b"1e400",
    b"NaN",
    "١٢٣".encode(),
    "²".encode(),
    "\u202egnp.exe\u202c".encode(),
    "שלום".encode(),
    "👩‍👩‍👧‍👦🏳️‍🌈".encode(),
    "\ufeff\u2028\u0085".encode(),
    "e\u0301".encode() * 200,
    "\ufdfa".encode() * 100,  # one letter that becomes eighteen
    b"' OR 1=1 --",
    b"%s%n{0}{{7}}${7}",
    b"../../etc/passwd",
    b"//elsewhere.example",
    b"javascript:alert(1)",
    b"\r\nX: y",
    b"2026-02-30",
    b"0000-00-00",
    b"999999-01-01",
    b"0001-01-01",
    b"9999-12-31T23:59:59Z",
    b'{"id": "x", "rawId": "x", "type": "public-key", "response": {}}',
    b'{"a": "\\ud800"}',
    b"[" * 3000,
    b"[]",
    b"null",
    b"a@b",
    b"x" * 1_000_000,
]
VALUES = st.one_of(
    st.sampled_from(FIXED),
    st.text(max_size=60).map(str.encode),
    st.binary(max_size=40),
    st.integers(-(2**70), 2**70).map(lambda number: str(number).encode()),
)
PATH_VALUES = st.one_of(
    st.sampled_from([value for value in FIXED if 0 < len(value) < 6000]), st.binary(min_size=1, max_size=40)
)
PARAMETERS = (
    "<slug:public_id>",
    "<slug:tag>",
    "<int:seq>",
    "<int:pk>",
    "<str:token>",
    "<path:code>",
    "<path:object_id>",
    "<path:content_type_id>",
)


@pytest.fixture
def cast(make_person, vendor, look) -> Cast:
    return Cast(make_person, vendor, look)


class Fields(HTMLParser):
    """The names, and the values that stand there, of all that a page's forms and links would send."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[bytes, bytes] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        has = dict(attributes)
        if tag in ("input", "select", "textarea", "button") and (name := has.get("name")):
            self.found.setdefault(name.encode(), (has.get("value") or "").encode())
        for name, value in parse_qsl(urlsplit(has.get("href") or "").query):
            self.found.setdefault(name.encode(), value.encode())


def fields(browser: Browser, path: str) -> dict[bytes, bytes]:
    answer = browser.get(path)
    is_page = answer.headers.get("Content-Type", "").startswith("text/html")
    return Fields(answer.content.decode()).found if is_page else {}


def pairs(names: dict[bytes, bytes]) -> st.SearchStrategy[list[tuple[bytes, bytes]]]:
    """What the page would send, some of it exchanged, doubled, turned into lists, and more beside it."""
    known = st.sampled_from(sorted(names) + [name.encode() for name in HIDDEN_NAMES])
    ending = st.sampled_from([b"", b"", b"", b"", b"[]", b"[0]", b"__in", b"__gt", b".", b"\x00"])
    name = st.one_of(st.tuples(known, ending).map(b"".join), VALUES.filter(lambda value: len(value) < 200))
    changed = st.lists(st.tuples(name, VALUES), max_size=5)
    doubled = st.booleans()
    start = st.sampled_from([{}, names])

    def together(base: dict[bytes, bytes], new: list[tuple[bytes, bytes]], keep: bool) -> list[tuple[bytes, bytes]]:
        replaced = set() if keep else {name for name, _ in new}
        return [pair for pair in base.items() if pair[0] not in replaced] + new

    return st.builds(together, start, changed, doubled)


def urlencoded(sent: list[tuple[bytes, bytes]]) -> bytes:
    return "&".join(f"{quote_from_bytes(name)}={quote_from_bytes(value)}" for name, value in sent).encode()


def multipart(sent: list[tuple[bytes, bytes]], *, more: bytes = b"", end: bytes = b"--edge--\r\n") -> bytes:
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (name.replace(b'"', b""), more, value)
        for name, value in sent
    ]
    return b"".join(parts) + end


# How a body is written, from the pairs and from bytes that are nothing at all.
BODIES = {
    "form": lambda sent, junk: (urlencoded(sent), FORM),
    "form, raw": lambda sent, junk: (b"&".join(b"=".join(pair) for pair in sent), FORM),
    "form, other characters": lambda sent, junk: (urlencoded(sent), f"{FORM}; charset=utf-16"),
    "form, no such characters": lambda sent, junk: (urlencoded(sent), f"{FORM}; charset=nonsense"),
    "form, many": lambda sent, junk: (b"a=1&" * 500 + urlencoded(sent), FORM),
    "parts": lambda sent, junk: (multipart(sent), MULTIPART),
    "parts, no such characters": lambda sent, junk: (multipart(sent), f"{MULTIPART}; charset=nonsense"),
    "files": lambda sent, junk: (multipart(sent, more=b'; filename="../x\x00.png"'), MULTIPART),
    "files without a name": lambda sent, junk: (multipart(sent, more=b"; filename="), MULTIPART),
    "files, name in another way": lambda sent, junk: (multipart(sent, more=b"; filename*=utf-9''%ff"), MULTIPART),
    "parts in base64": lambda sent, junk: (
        multipart(sent, more=b"\r\nContent-Transfer-Encoding: base64"),
        MULTIPART,
    ),
    "parts in parts": lambda sent, junk: (
        multipart(sent, more=b"\r\nContent-Type: multipart/mixed; boundary=inner"),
        MULTIPART,
    ),
    "parts without an end": lambda sent, junk: (multipart(sent, end=b""), MULTIPART),
    "parts without an edge": lambda sent, junk: (multipart(sent), "multipart/form-data"),
    "parts with a long edge": lambda sent, junk: (multipart(sent), f"multipart/form-data; boundary={'e' * 300}"),
    "parts with an odd edge": lambda sent, junk: (multipart(sent), "multipart/form-data; boundary=\xe9\xff"),
    "parts of nothing": lambda sent, junk: (junk, MULTIPART),
    "junk": lambda sent, junk: (junk, FORM),
    "JSON": lambda sent, junk: (junk, "application/json"),
    "text": lambda sent, junk: (junk, "text/plain"),
    "no kind": lambda sent, junk: (junk, ""),
    "an odd kind": lambda sent, junk: (junk, "/;=,\x7f"),
}


@contextmanager
def undone() -> Iterator[None]:
    """Forget what one example has done, so that the next one meets the same people and invitations."""
    block = transaction.atomic()
    block._from_testcase = True  # as the test's own: what must be committed by itself may be inside
    with block:
        yield
        transaction.set_rollback(True)
    board.forget()


def confirmed(browser: Browser, person: Any) -> Browser:
    """Let the session be of somebody who has just shown who they are, whom pages about factors let in."""
    session = browser.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time(), "username": str(person)}]
    session["account_authentication_methods_user"] = str(person.pk)
    session.save()
    return browser


def browsers(cast: Cast, route: str) -> list[Browser]:
    """The mightiest person's, before whom no door hides a view, and where it is public, nobody's."""
    mighty = confirmed(cast.browser("root"), cast.people["root"])
    return [mighty, cast.browser("anon")] if route in PUBLIC else [mighty]


def same(browser: Browser) -> Browser:
    """A browser with the same cookies, which the answers to one example do not change."""
    fresh = Browser()
    fresh.cookies.load(browser.cookies.output(header="", sep=";"))
    return fresh


def attack(data: Any, browser: Browser, method: str, path: str, sending: st.SearchStrategy[Any]) -> Any:
    query = urlencoded(data.draw(sending, label="query")) if data.draw(st.booleans(), label="has query") else b""
    environ = {"QUERY_STRING": query.decode("latin-1")}
    if method == "GET":
        return same(browser).generic("GET", path, **environ)
    way = data.draw(st.sampled_from(sorted(BODIES)), label="way")
    body, kind = BODIES[way](data.draw(sending, label="sent"), data.draw(VALUES, label="junk"))
    return same(browser).generic(method, path, body, kind, **environ)


def try_out(attempt: Any, examples: int = EXAMPLES) -> None:
    """Run `attempt(data)` with as much made-up data as this run is about."""
    quiet = settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    quiet(given(st.data())(attempt))()


@pytest.mark.parametrize(("route", "method"), EXPECTED, ids=lambda value: value)
def test_nothing_that_is_sent_ends_in_our_fault(cast, route, method):
    path = cast.paths(route, "root")[0]
    statuses: Counter[int] = Counter()

    def sender(browser: Browser, names: dict[bytes, bytes]) -> Any:
        sending = pairs(names)  # once, not for each example: building it anew would be a seventh of the time

        def send_one(data: Any) -> None:
            cast.vendor.remaining = 100
            with undone():
                status = attack(data, browser, method, path, sending).status_code
            statuses[status] += 1
            assert status < 500

        return send_one

    for browser in browsers(cast, route):
        with undone():
            is_refused = same(browser).generic(method, path).status_code == HTTPStatus.METHOD_NOT_ALLOWED
        try_out(sender(browser, fields(browser, path)), FEW if is_refused else EXAMPLES)
    found = ", ".join(f"{status}: {number}" for status, number in sorted(statuses.items()))
    batteries.report(f"bad input, {method} {route}: {statuses.total()} requests, our fault 0 ({found})")


@pytest.mark.parametrize("route", sorted({route for route, _ in EXPECTED if any(one in route for one in PARAMETERS)}))
def test_nothing_in_an_address_ends_in_our_fault(cast, route):
    browser = confirmed(cast.browser("root"), cast.people["root"])
    cast.paths(route, "root")
    before, _, after = next(route.partition(one) for one in PARAMETERS if one in route)

    def ask(method: str, made_up: bytes) -> None:
        rest = cast.path(after).removeprefix("/") if "<" in after else after.removeprefix("/")
        # A server hands a path over decoded, as if each byte were a character.
        path = f"/{before}{made_up.decode('latin-1')}/{rest}"
        with undone():
            assert same(browser).generic(method, "/", "", FORM, PATH_INFO=path).status_code < 500

    for number in NUMBERS:
        ask("GET", number)
    try_out(lambda data: ask(data.draw(st.sampled_from(["GET", "POST"])), data.draw(PATH_VALUES)))
    batteries.report(f"bad input in the address {route}: {EXAMPLES} requests, our fault 0")


def test_a_page_s_own_form_is_what_is_changed(cast):
    """Or all of the above would only ever try names that nothing reads."""
    browser = confirmed(cast.browser("root"), cast.people["root"])
    assert {b"client_name", b"ticket", b"note"} <= set(fields(browser, "/invitations/new/"))
    assert {b"username", b"email"} <= set(fields(browser, "/admin/accounts/user/add/"))
    assert b"login" in fields(cast.browser("anon"), "/accounts/login/")
    assert send(browser, "POST", "/invitations/new/").status_code == 302
