"""What a provider may answer, and somebody in between: tokens, states and a provider that is ill."""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.accounts import openid
from portal.accounts.models import User
from portal.audit.kinds import Result
from portal.audit.models import Event
from portal.getscreen.types import Secret
from tests.accounts.at_provider import (
    BACK,
    START,
    back_from,
    come,
    go,
    is_in,
    last,
)
from tests.conftest import PASSWORD, Browser, whole_log
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, OTHER_KEY, signed


def unsigned(claims: dict[str, Any]) -> str:
    def part(content: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'kid': 'one'})}.{part(claims)}."


def by_the_secret(claims: dict[str, Any]) -> str:
    from joserfc.jwk import OctKey

    key = OctKey.import_key("not-a-real-secret-but-one-that-is-long-enough")
    return signed(claims, key, {"alg": "HS256", "kid": "one"})


def changed_later(claims: dict[str, Any]) -> str:
    head, _body, signature = signed(claims).split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims | {"sub": "somebody-else"}).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


SIGNATURES = {
    "unsigned": unsigned,
    "signed with a shared secret": by_the_secret,
    "changed after it was signed": changed_later,
    "signed with another key of the same name": lambda claims: signed(claims, OTHER_KEY),
    "signed with a key of an unknown name": lambda claims: signed(claims, OTHER_KEY, {"alg": "RS256", "kid": "two"}),
    "no token": lambda claims: "garbage",
    "no text": lambda claims: 7,
}


@pytest.mark.parametrize("what", SIGNATURES)
def test_a_token_with_a_wrong_signature_lets_nobody_in(provider, anonymous, what):
    provider.sign = SIGNATURES[what]
    answer = come(anonymous)
    assert answer.status_code == 403
    assert b"The sign-in did not work" in answer.content
    assert last("sso.failed").result == Result.FAILED
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"nonce": 7},
        {"iss": "https://sso.evil.example"},
        {"iss": None},
        {"aud": "somebody-else"},
        {"aud": [CLIENT_ID, "somebody-else"]},
        {"aud": None},
        {"azp": "somebody-else"},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"iat": 9_000_000_000},
        {"iat": None},
        {"exp": "tomorrow"},
    ],
)
def test_a_token_for_another_time_place_or_purpose_lets_nobody_in(provider, anonymous, claims):
    provider.token = claims
    assert come(anonymous).status_code == 403
    assert last("sso.failed").facts["left_out_before"] == 0
    assert not User.objects.exists()


def test_a_token_for_several_is_taken_where_it_says_that_it_is_for_us(provider, anonymous):
    provider.token = {"aud": [CLIENT_ID, "somebody-else"], "azp": CLIENT_ID}
    assert come(anonymous).status_code == 302


def test_a_key_that_is_new_is_looked_up(provider, anonymous):
    openid.memory.documents[f"{provider.issuer}/keys"] = (time.monotonic() - 60, {"keys": [{"kid": "old"}]})
    assert come(anonymous).status_code == 302


# --- State -------------------------------------------------------------------------------------------


def test_an_answer_is_good_once_and_only_in_the_browser_that_began(provider, anonymous):
    back = go(anonymous)
    assert Browser().get(back).status_code == 403
    assert anonymous.get(back).status_code == 302
    assert is_in(anonymous)
    anonymous.post("/accounts/logout/")
    again = anonymous.get(back)
    assert again.status_code == 403
    assert b"This sign-in cannot be continued" in again.content


def test_an_answer_of_a_sign_in_begun_before_somebody_else_signed_in_is_over(provider, anonymous, agent):
    back = go(anonymous)
    anonymous.post("/accounts/login/", {"login": "agent", "password": PASSWORD})
    assert anonymous.get(back).status_code == 403
    assert anonymous.session["_auth_user_id"] == str(agent.pk)


@pytest.mark.parametrize("query", ["", "?code=x", "?code=x&state=y", "?state=", "?error=access_denied"])
def test_an_answer_that_nobody_asked_for_is_refused(provider, anonymous, query):
    assert anonymous.get(f"{BACK}{query}").status_code == 403
    assert "/token" not in provider.asked


def test_a_code_of_another_sign_in_is_refused_by_the_provider(provider, anonymous):
    """Whoever slips their code to somebody lacks the verifier that belongs to it."""
    stolen = parse_qs(urlsplit(go(Browser())).query)["code"][0]
    own = parse_qs(urlsplit(go(anonymous)).query)["state"][0]
    assert anonymous.get(BACK, {"code": stolen, "state": own}).status_code == 403


def test_an_answer_that_names_another_provider_is_refused(provider, anonymous):
    assert anonymous.get(f"{go(anonymous)}&iss=https://sso.evil.example").status_code == 403
    assert "/token" not in provider.asked


def test_a_cancelled_sign_in_shows_the_way_on(provider, anonymous):
    state = parse_qs(urlsplit(go(anonymous)).query)["state"][0]
    answer = anonymous.get(BACK, {"error": "access_denied", "state": state})
    assert b"You did not sign in" in answer.content
    assert b"Continue with Example SSO" in answer.content
    assert "access_denied" in whole_log()


def test_each_different_reason_is_told_at_once_and_the_same_one_again_is_counted(provider, anonymous, caplog):
    """Whoever mends one thing after the other must not read the reason of the first in the log."""
    for _ in range(2):
        provider.token = {"aud": "somebody-else"}
        come(Browser())
    provider.token, provider.broken = {}, {"/token": lambda handler: handler.say({}, 401)}
    come(anonymous)
    reasons = [event.details["reason"] for event in Event.objects.filter(kind="sso.failed").order_by("seq")]
    assert reasons == ["a token that is not valid (InvalidAudienceError)", "status 401"]
    assert "Single sign-on failed: status 401" in caplog.text
    assert caplog.text.count("InvalidAudienceError") == 2
    provider.broken, provider.claims["email_verified"] = {}, False
    come(Browser())
    assert "Single sign-on refused: unverified_email" in caplog.text


def test_other_sites_do_not_begin_a_sign_in(provider, anonymous):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert anonymous.get(START, headers=headers).headers["Location"] == "/accounts/login/"
    assert not provider.asked


def test_the_way_on_leads_nowhere_else(provider, anonymous):
    assert come(anonymous, f"{START}?next=https://evil.example/").headers["Location"] == "/"


def test_beginning_and_ending_are_limited_for_each_network(provider, settings, anonymous):
    settings.ACCOUNT_RATE_LIMITS = settings.ACCOUNT_RATE_LIMITS | {"single_sign_on": "1/m/ip"}
    anonymous.get(START)
    assert anonymous.get(START).status_code == 429
    assert anonymous.get(BACK).status_code == 429


# --- A provider that is ill --------------------------------------------------------------------------


def drip(handler: Any) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _part in range(20):
        handler.wfile.write(b" " * 9000)


BROKEN = {
    "500": lambda handler: handler.say({}, 500),
    "garbage": lambda handler: handler.write(b"<html>"),
    "a list": lambda handler: handler.say([]),
    "deep": lambda handler: handler.write(b"[" * 100_000),
    "huge": lambda handler: handler.write(b" " * (openid.MOST_BYTES + 1)),
    "a redirect": lambda handler: handler.lead("http://127.0.0.1:1/"),
    "cut off": lambda handler: handler.connection.close(),
}


PLACES = ("/.well-known/openid-configuration", "/token", "/keys")


@pytest.mark.parametrize(
    ("how", "path"), [*zip(BROKEN, PLACES * 3, strict=False), ("500", PLACES[1]), ("garbage", PLACES[2])]
)
def test_an_ill_provider_shows_a_page_with_the_way_on(provider, anonymous, how, path):
    provider.broken = {path: BROKEN[how]}
    answer = anonymous.get(START)
    if answer.status_code == 302:
        answer = anonymous.get(back_from(answer.headers["Location"]))
    assert answer.status_code == 403
    assert b"The sign-in did not work" in answer.content
    provider.broken = {}
    assert come(Browser()).status_code == 302, "the next one works"


def test_a_slow_provider_is_given_up(provider, anonymous, monkeypatch):
    monkeypatch.setattr(openid, "DEADLINE", -1.0)
    provider.broken = {"/.well-known/openid-configuration": drip}
    assert anonymous.get(START).status_code == 403
    assert "takes too long" in whole_log()


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://sso.evil.example"},
        {"issuer": None},
        {"token_endpoint": "http://169.254.169.254/latest"},
        {"token_endpoint": "https://10.0.0.1/token"},
        {"jwks_uri": "http://sso.example.org/keys"},
        {"jwks_uri": "https://localhost/keys"},
        {"jwks_uri": "https://user:x@sso.example.org/"},
        {"jwks_uri": "https://[x/"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://sso.example.org/\nSet-Cookie: x=y"},
        {"authorization_endpoint": 7},
        {"end_session_endpoint": "https://127.0.0.2/"},
    ],
)
def test_a_description_that_leads_astray_is_refused(provider, anonymous, document):
    provider.document = document
    assert anonymous.get(START).status_code == 403


def test_the_portal_uses_the_way_of_authentication_that_the_provider_knows(provider, settings, anonymous):
    seen = []
    provider.document = {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}
    provider.broken = {"/token": lambda handler: (seen.append(handler.headers["Authorization"]), handler.say({}, 401))}
    come(anonymous)
    assert base64.b64decode(seen[0].removeprefix("Basic ")) == f"{CLIENT_ID}:{CLIENT_SECRET}".encode()
    settings.OIDC_CLIENT_SECRET, settings.OIDC_PROXY_URL = Secret(""), "http://127.0.0.1:1"
    come(Browser())
    assert seen[1] is None
