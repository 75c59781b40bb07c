"""Forms that no page of ours has sent: refused at every address, before anything is done or asked of the vendor."""

import pytest

from invitations.models import Operation
from portal.audit.models import Event
from tests.conftest import Browser
from tests.test_access import EXPECTED, TOKENLESS, Cast

ADDRESSES = sorted({route for route, method in EXPECTED if method == "POST"} - TOKENLESS)
TOKEN = "a" * 32
# Each with a token that would be right, but for what makes it an attack.
ATTACKS = {
    "no token": ({}, None),
    "wrong token": ({}, "b" * 32),
    "foreign origin": ({"origin": "https://elsewhere.example"}, TOKEN),
    "hidden origin": ({"origin": "null"}, TOKEN),
    "foreign page": ({"referer": "https://elsewhere.example/"}, TOKEN),
    "another site": ({"origin": "https://testserver", "sec-fetch-site": "cross-site"}, TOKEN),
    "a sibling": ({"origin": "https://testserver", "sec-fetch-site": "same-site"}, TOKEN),
}


@pytest.fixture
def cast(make_person, vendor, look) -> Cast:
    return Cast(make_person, vendor, look)


def strict(cast: Cast) -> Browser:
    """The mightiest person's browser, in which the checks are on."""
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(cast.people["root"])
    browser.cookies["__Host-csrftoken"] = TOKEN
    return browser


@pytest.mark.parametrize("route", ADDRESSES)
def test_a_form_from_elsewhere_does_nothing(route, cast):
    browser = strict(cast)
    path = cast.paths(route, "root")[0]
    for name, (headers, token) in ATTACKS.items():
        body = {"client_name": "Tilda"} | ({"csrfmiddlewaretoken": token} if token else {})
        answer = browser.post(path, body, headers={"referer": "https://testserver/"} | headers)
        assert answer.status_code == 403, name
        assert Event.objects.order_by("seq").last().kind == "access.csrf", name
    assert not Operation.objects.exists()
    assert not cast.vendor.ledger.requests


def test_the_same_form_from_the_portal_s_own_page_is_taken(cast):
    headers = {"origin": "https://testserver", "sec-fetch-site": "same-origin", "referer": "https://testserver/"}
    body = {"client_name": "Tilda", "csrfmiddlewaretoken": TOKEN}
    assert strict(cast).post("/invitations/new/", body, headers=headers).status_code == 302
    assert len(cast.vendor.ledger.effects) == 1
