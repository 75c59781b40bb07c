"""No other way of writing an address leads past the sign-in, and no address sets an installation up.

Walks the site map, so a new address is attacked without anything being added here.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.urls import Resolver404, resolve

from portal.accounts.models import User
from portal.audit.models import Event
from tests import batteries
from tests.conftest import Browser
from tests.mutations import METHODS, MUTATIONS, Attempt
from tests.test_access import EVERY, PUBLIC, WRITTEN, Cast

DEFAULT_CREDENTIALS = (
    ("admin", "admin"),
    ("admin", "password"),
    ("admin", "changeme"),
    ("admin", "getscreen"),
    ("administrator", "administrator"),
    ("root", "root"),
    ("root", "toor"),
    ("guacadmin", "guacadmin"),
    ("user", "user"),
    ("test", "test"),
    ("demo", "demo"),
    ("agent", "agent"),
    ("portal", "portal"),
    ("helpdesk", "helpdesk"),
    ("admin@example.org", "admin"),
)


@pytest.fixture
def cast(make_person, vendor, look) -> Cast:
    return Cast(make_person, vendor, look)


def decoded(path: str) -> str:
    """Return what a WSGI server makes of a path."""
    return unquote_to_bytes(path).decode("latin-1")


PROBES = ("/healthz", "/readyz")
# The resolver leaves out where a regular expression begins.
PUBLIC_ROUTES = PUBLIC | {route.replace("/^", "/") for route, written in WRITTEN.items() if written in PUBLIC}


def leads_to_public_page(path: str) -> bool:
    if path in PROBES:
        return True
    try:
        match = resolve(unquote_to_bytes(path).decode(errors="replace"))
    except Resolver404:
        return False
    return match.route in PUBLIC_ROUTES


def ask(browser: Browser, method: str, attempt: Attempt) -> Any:
    """Send what a server would hand to the portal; the test browser would tidy the path up."""
    environ = {"PATH_INFO": decoded(attempt.path), "QUERY_STRING": attempt.query}
    return browser.generic(method, "/", headers=attempt.headers, **environ)


def methods(number: int) -> tuple[str, ...]:
    """Return the methods of one attempt: all in the long run, else each in turn."""
    return METHODS if batteries.IS_LONG else (METHODS[number % len(METHODS)],)


@pytest.mark.parametrize("name", MUTATIONS)
def test_no_way_of_writing_an_address_leads_past_the_sign_in(cast, name):
    """Without the check of forms, which would hide a door that is open behind it."""
    paths = [(route, cast.paths(route, "own")[0]) for route in EVERY]
    asked = 0
    for number, (route, address) in enumerate(paths, start=len(name)):
        attempt = MUTATIONS[name](address)
        for method in methods(number):
            answer = ask(Browser(), method, attempt)
            asked += 1
            assert answer.status_code < 500, (method, attempt)
            if 200 <= answer.status_code < 300:
                is_sent_to_sign_in = answer.headers.get("HX-Redirect", "").startswith("/accounts/login/")
                is_empty = is_sent_to_sign_in and not answer.content
                assert is_empty or leads_to_public_page(attempt.path), (route, method, attempt)
            assert b"Tilda" not in answer.content, (route, method, attempt)
    assert not cast.vendor.ledger.requests
    batteries.report(f"alternate paths, {name}: {asked} requests of nobody signed in, none past the sign-in")


def test_there_are_forty_ways_and_more():
    assert len(MUTATIONS) >= 40


@pytest.mark.parametrize("word", ["setup", "set-up", "install", "wizard", "register", "bootstrap", "first-run", "init"])
def test_no_address_sets_the_portal_up(db, anonymous, word):
    assert not [route for route in EVERY if word in route.lower()]
    for path in (f"/{word}", f"/{word}/", f"/accounts/{word}/", f"/{word.title()}Wizard.aspx/x"):
        assert anonymous.get(path).status_code in (301, 404), path


def test_nobody_is_there_before_somebody_is_made(db):
    assert not User.objects.exists()


@pytest.mark.parametrize(("name", "password"), DEFAULT_CREDENTIALS)
def test_credentials_that_products_come_with_open_nothing(db, anonymous, name, password):
    answer = anonymous.post("/accounts/login/", {"login": name, "password": password})
    assert (answer.status_code, "__Host-sessionid" in answer.cookies) == (200, False)
    assert Event.objects.get().kind == "signin.failed"
    with pytest.raises(ValidationError):
        validate_password(password)
