"""Every address, whatever it answers: the headers are there, nothing is kept, and nothing names what runs here.

Walks the table of `tests/test_access.py`; answers that a table cannot cause are in `test_middleware.py`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.core.handlers.base import BaseHandler

from tests.conftest import Browser
from tests.portal.test_middleware import EVERYWHERE
from tests.test_access import EVERY, Cast, send

# How to ask so that answers of every kind come back, from people who may and people who may not.
WAYS = ("GET", "HEAD", "POST", "PUT", "OPTIONS")
NO_REFERRER = ("connect/", "preview/", "accounts/enrol/", "password/reset/key/", "join/", "j/")


@pytest.fixture
def cast(make_person, vendor, look) -> Cast:
    return Cast(make_person, vendor, look)


def assert_guarded(answer: Any, route: str) -> None:
    found = {name: answer.headers.get(name) for name in EVERYWHERE}
    referrer = found.pop("Referrer-Policy")
    assert referrer == "same-origin" or (referrer == "no-referrer" and any(part in route for part in NO_REFERRER))
    assert found == {name: value for name, value in EVERYWHERE.items() if name != "Referrer-Policy"}
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "nonce" not in policy
    assert "no-store" in answer.headers["Cache-Control"]
    assert {"Cookie", "HX-Request"} <= set(answer.headers["Vary"].split(", "))
    assert not {"Server", "X-Powered-By", "Access-Control-Allow-Origin"} & set(answer.headers)
    for cookie in answer.cookies.values():
        assert cookie.key.startswith("__Host-") or cookie.key == "messages"
        # What is deleted has no value to protect.
        assert not cookie.value or (cookie["secure"] and cookie["httponly"] and cookie["samesite"] == "Lax")


@pytest.mark.parametrize("route", EVERY)
def test_every_answer_of_every_address_carries_the_headers(cast, route):
    for who in ("anon", "none", "own", "root"):
        for method in WAYS:
            path = cast.paths(route, who)[0]
            assert_guarded(send(cast.browser(who), method, path), route)
    path = cast.paths(route, "root")[0]
    browser = cast.browser("root")
    for answer in (
        browser.post(path, {"note": "x" * 300_000}),  # too large
        browser.get(path, headers={"host": "elsewhere.example"}),
        browser.get(f"{path}nothing/here"),
        browser.get(path, headers={"hx-request": "true"}),
        browser.get(path, headers={"sec-purpose": "prefetch"}),
    ):
        assert_guarded(answer, route)


def test_the_sweep_sees_answers_of_every_kind(cast):
    """Or it would say little."""
    seen: Counter[int] = Counter()
    for route in EVERY:
        for who in ("anon", "own", "root"):
            for method in ("GET", "POST"):
                seen[send(cast.browser(who), method, cast.paths(route, who)[0]).status_code] += 1
    assert {200, 302, 400, 403, 404, 405, 410, 422} <= set(seen)


def test_our_own_fault_carries_the_headers_everywhere(cast, monkeypatch):
    browser: Browser = cast.browser("root")
    browser.raise_request_exception = False

    def fail(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError("secret detail")

    for route in EVERY:
        path = cast.paths(route, "root")[0]
        with monkeypatch.context() as broken:
            # What becomes of every view before it is called.
            broken.setattr(BaseHandler, "make_view_atomic", lambda self, view: fail)
            answer = browser.get(path)
        assert answer.status_code == 500
        assert b"secret detail" not in answer.content
        assert_guarded(answer, route)
