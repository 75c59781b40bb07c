"""Single sign-on against a provider that others have written: `oidc-provider-mock`, on a port of its own."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import oidc_provider_mock
import pytest
import requests

from portal.accounts import openid
from portal.accounts.models import User
from portal.getscreen.types import Secret
from tests.conftest import Browser


@pytest.fixture
def issuer(settings, db) -> Any:
    claims = {"email": "lee@example.org", "email_verified": True, "name": "Lee Aho", "preferred_username": "lee"}
    known = [oidc_provider_mock.User(sub="lee-1", claims=claims)]
    with oidc_provider_mock.run_server_in_thread(port=0, user_claims=known) as server:
        openid.memory.documents.clear()
        settings.OIDC_ISSUER = f"http://localhost:{server.server_port}"
        settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = "portal", Secret("not-a-real-secret")
        yield settings.OIDC_ISSUER


def back(address: str, **form: str) -> str:
    answer = requests.post(address, data=form, allow_redirects=False, timeout=5)
    parts = urlsplit(answer.headers["Location"])
    return f"{parts.path}?{parts.query}"


def test_somebody_comes_in_and_goes_out(issuer, anonymous):
    address = anonymous.get("/accounts/single-sign-on/").headers["Location"]
    assert anonymous.get(back(address, sub="lee-1")).status_code == 302
    lee = User.objects.get(username="lee")
    assert (lee.email, lee.display_name) == ("lee@example.org", "Lee Aho")
    assert anonymous.session["_auth_user_id"] == str(lee.pk)
    anonymous.post("/accounts/logout/")
    out = anonymous.get("/accounts/signed-out/").headers["Refresh"]
    assert out.startswith(f"0; url={issuer}/")


def test_who_says_no_at_the_provider_is_not_in(issuer):
    browser = Browser()
    address = browser.get("/accounts/single-sign-on/").headers["Location"]
    answer = browser.get(back(address, action="deny"))
    assert b"You did not sign in" in answer.content
