"""Single sign-on against a real provider on loopback: who comes in, as what, and whom nothing lets in."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.core.management import CommandError, call_command

from invitations.models import Policy
from portal import audit, checks, self_check
from portal.accounts import openid, people, roles
from portal.accounts.models import OneTimeLink, User
from portal.audit import forwarding, syslog
from portal.audit.kinds import Result
from portal.audit.models import Event
from portal.getscreen.types import Secret
from tests.accounts.second_steps import by_password, give_app
from tests.conftest import PASSWORD, Browser, whole_log
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, MAYA, OTHER_KEY, Provider, signed
from tests.test_access import EVERY

START, BACK = "/accounts/single-sign-on/", "/accounts/single-sign-on/callback/"
CONNECT, DISCONNECT = f"{START}connect/", f"{START}disconnect/"
CONFIRM = f"{START}confirm/"


@pytest.fixture(scope="module")
def one_provider() -> Iterator[Provider]:
    with closing(Provider()) as provider:
        yield provider


@pytest.fixture
def provider(one_provider, settings, db) -> Provider:
    """The provider, telling the truth, and the portal set to it."""
    one_provider.claims, one_provider.document, one_provider.token = dict(MAYA), {}, {}
    one_provider.sign, one_provider.broken, one_provider.signed_in_at = signed, {}, int(time.time())
    one_provider.asked.clear()
    openid.memory.documents.clear()
    settings.OIDC_ISSUER = one_provider.issuer
    settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = CLIENT_ID, Secret(CLIENT_SECRET)
    settings.OIDC_NAME = "Example SSO"
    settings.OIDC_ROLES = {"helpdesk": roles.AGENT, "leads": roles.TEAM_LEAD, "admins": roles.ADMINISTRATOR}
    return one_provider


def go(browser: Browser, path: str = START) -> str:
    """Begin a sign-in and return where the provider sends the browser back to."""
    answer = browser.get(path)
    assert answer.status_code == 302, answer.content
    return back_from(answer.headers["Location"])


def back_from(address: str) -> str:
    answer = requests.get(address, allow_redirects=False, timeout=5)
    parts = urlsplit(answer.headers["Location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"https://testserver{BACK}"
    return f"{parts.path}?{parts.query}"


def come(browser: Browser, path: str = START) -> Any:
    return browser.get(go(browser, path))


def is_in(browser: Browser) -> bool:
    return "_auth_user_id" in browser.session


def last(kind: str) -> Event:
    return Event.objects.filter(kind=kind).latest("seq")


def test_somebody_new_gets_an_account_with_the_role_of_their_group(provider, anonymous, vendor):
    answer = come(anonymous, f"{START}?next=/history/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/history/")
    maya = User.objects.get(username="maya")
    assert (maya.email, maya.display_name, maya.role_names) == ("maya@example.org", "Maya Okafor", [roles.AGENT])
    assert not maya.has_usable_password()
    assert last("signin.ok").facts["methods"] == ["single_sign_on"]
    assert last("user.created").facts["by"] == "single_sign_on"
    assert anonymous.get("/history/").status_code == 200


def test_what_is_kept_of_a_token_is_who_it_is_about(provider, anonymous):
    come(anonymous)
    account = SocialAccount.objects.get()
    assert account.extra_data == {"issuer": provider.issuer, "subject": "maya-1"}
    assert not SocialToken.objects.exists()
    kept = whole_log() + str(dict(anonymous.session))
    assert CLIENT_SECRET not in kept
    assert "maya-1" not in whole_log()


def test_the_portal_asks_with_pkce_state_and_nonce(provider, anonymous):
    address = anonymous.get(START).headers["Location"]
    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == [f"https://testserver{BACK}"]
    assert asked["scope"] == ["openid email profile"]
    assert len(asked["nonce"][0]) > 40
    assert len(asked["state"][0]) >= 16
    assert "prompt" not in asked
    verifier = next(iter(anonymous.session["socialaccount_states"].values()))[0]["verifier"]
    assert verifier not in address


def test_a_second_sign_in_finds_the_same_account_whatever_the_address_is_now(provider, anonymous):
    come(anonymous)
    provider.claims |= {"email": "renamed@example.org", "preferred_username": "admin"}
    again = Browser()
    assert come(again).status_code == 302
    assert User.objects.get().username == "maya"
    assert is_in(again)


def test_the_same_subject_at_another_issuer_is_somebody_else(provider, anonymous):
    come(anonymous)
    SocialAccount.objects.update(uid="of another issuer")
    answer = come(Browser())
    assert answer.status_code == 403
    assert last("signin.refused").facts == {"reason": "email_taken"}


@pytest.mark.parametrize("address", ["agent@example.org", "AGENT@Example.org"])
def test_no_address_leads_to_an_account_that_exists(provider, agent, anonymous, address):
    provider.claims |= {"email": address, "preferred_username": "agent"}
    answer = come(anonymous)
    assert answer.status_code == 403
    assert b"You have an account here already" in answer.content
    assert not is_in(anonymous)
    assert not SocialAccount.objects.exists()


def test_a_taken_user_name_gets_a_number(provider, agent, anonymous):
    provider.claims["preferred_username"] = "Agent"
    come(anonymous)
    assert User.objects.get(email="maya@example.org").username == "Agent2"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"email_verified": False}, "unverified_email"),
        ({"email_verified": None}, "unverified_email"),
        ({"email_verified": 1.5}, "unverified_email"),
        ({"email": None}, "unverified_email"),
        ({"email": ["maya@example.org"]}, "unverified_email"),
        ({"email": "maya@example.org\nBcc: x@example.org"}, "unverified_email"),
        ({"email": f"{'x' * 300}@example.org"}, "unverified_email"),
        ({"email": "maya@example.org.evil.example"}, "foreign_domain"),
        ({"email": "maya@sub.example.org"}, "foreign_domain"),
        ({"groups": []}, "no_role"),
        ({"groups": None}, "no_role"),
        ({"groups": {"helpdesk": 1}}, "no_role"),
        ({"groups": [["helpdesk"], 7, "Helpdesk"]}, "no_role"),
    ],
)
def test_who_may_not_come_in_is_told_why_and_so_is_the_log(provider, settings, anonymous, claims, reason):
    settings.OIDC_ALLOWED_DOMAINS = ["example.org"]
    provider.claims |= claims
    answer = come(anonymous)
    assert answer.status_code == 403
    assert b"Example SSO" in answer.content
    assert last("signin.refused").facts == {"reason": reason}
    assert not is_in(anonymous)
    assert not User.objects.exists()


def test_addresses_without_a_word_about_them_may_be_trusted_by_setting(provider, settings, anonymous):
    settings.OIDC_TRUST_EMAIL = True
    provider.claims["email_verified"] = None
    come(anonymous)
    assert is_in(anonymous)
    provider.claims["email_verified"] = False
    assert come(Browser()).status_code == 403


def test_at_google_the_organisation_counts_and_not_the_address(provider, settings, anonymous, monkeypatch):
    monkeypatch.setattr("portal.accounts.single_sign_on.GOOGLE", provider.issuer)
    settings.OIDC_ALLOWED_DOMAINS = ["example.org"]
    assert come(anonymous).status_code == 403
    provider.claims["hd"] = "example.org"
    assert come(Browser()).status_code == 302


def test_a_disabled_person_is_stopped_after_the_provider(provider, anonymous):
    come(anonymous)
    User.objects.update(is_active=False)
    browser = Browser()
    assert come(browser).headers["Location"] == "/accounts/inactive/"
    assert last("signin.refused").facts == {"reason": "disabled"}
    assert not is_in(browser)


def test_somebody_new_waits_until_an_administrator_lets_them_in(provider, settings, anonymous, admin, vendor):
    settings.OIDC_APPROVE = True
    answer = come(anonymous)
    assert answer.headers["Location"] == "/accounts/waiting/"
    assert anonymous.get("/accounts/waiting/").status_code == 200
    assert last("signin.refused").facts == {"reason": "awaits_approval"}
    assert not is_in(anonymous)
    maya = User.objects.get(username="maya")
    assert maya.awaits_approval
    with audit.writing():
        people.approve(maya, admin)
    come(anonymous)
    assert anonymous.get("/").status_code == 200


def test_who_awaits_approval_comes_in_no_other_way_either(agent, anonymous, browser_of):
    inside = browser_of(agent)
    User.objects.filter(pk=agent.pk).update(awaits_approval=True)
    assert inside.get("/").status_code == 302
    anonymous.post("/accounts/login/", {"login": "agent", "password": PASSWORD})
    assert not is_in(anonymous)
    with pytest.raises(CommandError, match="may not sign in"):
        call_command("sign_in_link", "agent")


def test_who_is_disabled_between_two_steps_does_not_get_past_the_second(agent):
    from tests.accounts.second_steps import code, show

    give_app(agent)
    browser = by_password(agent)
    User.objects.update(is_active=False)
    show(browser, code())
    assert not is_in(browser)


# --- Roles -------------------------------------------------------------------------------------------


def test_roles_follow_the_groups_at_every_sign_in(provider, anonymous, admin):
    come(anonymous)
    maya = User.objects.get(username="maya")
    provider.claims["groups"] = ["leads", "unknown", "admins"]
    come(Browser())
    assert set(User.objects.get(pk=maya.pk).role_names) == {roles.TEAM_LEAD, roles.ADMINISTRATOR}
    changed = last("user.roles_changed")
    assert changed.facts == {"fields": ["groups"], "by": "single_sign_on"}
    assert '"groups":[["Agent"],["Administrator","Team lead"]]' in whole_log()
    assert anonymous.get("/").status_code == 302, "the session with the old roles is over"


def test_who_has_lost_their_groups_loses_their_roles_and_does_not_come_in(provider, anonymous):
    come(anonymous)
    provider.claims["groups"] = []
    assert come(Browser()).status_code == 403
    assert User.objects.get(username="maya").role_names == []


def test_roles_that_no_group_gives_are_left_alone(provider, settings, anonymous, make_person):
    settings.OIDC_ROLES = {"helpdesk": roles.AGENT}
    come(anonymous)
    maya = User.objects.get(username="maya")
    from django.contrib.auth.models import Group

    maya.groups.add(Group.objects.get(name=roles.AUDITOR))
    provider.claims["groups"] = []
    assert come(Browser()).status_code == 302
    assert User.objects.get(pk=maya.pk).role_names == [roles.AUDITOR]


def test_without_a_table_of_groups_roles_are_the_administrators_business(provider, settings, anonymous):
    settings.OIDC_ROLES = {}
    come(anonymous)
    assert is_in(anonymous)
    assert User.objects.get().role_names == []


def test_the_last_administrator_stays_one_whatever_the_groups_say(provider, anonymous):
    provider.claims["groups"] = ["admins"]
    come(anonymous)
    provider.claims["groups"] = ["helpdesk"]
    come(Browser())
    assert set(User.objects.get().role_names) == {roles.AGENT, roles.ADMINISTRATOR}
    assert last("user.roles_changed").facts["kept_last_administrator"] is True


def test_an_administrator_who_is_not_the_last_loses_the_role(provider, anonymous, admin):
    provider.claims["groups"] = ["admins"]
    come(anonymous)
    provider.claims["groups"] = ["helpdesk"]
    come(Browser())
    assert User.objects.get(username="maya").role_names == [roles.AGENT]


def test_groups_may_lie_deeper_in_the_token(provider, settings, anonymous):
    settings.OIDC_GROUPS_CLAIM = "realm_access.roles"
    provider.claims["realm_access"] = {"roles": ["leads"]}
    come(anonymous)
    assert User.objects.get().role_names == [roles.TEAM_LEAD]


def test_groups_that_the_provider_left_out_are_not_taken_for_none(provider, anonymous):
    come(anonymous)
    provider.claims |= {"groups": None, "_claim_names": {"groups": "src1"}}
    assert come(Browser()).status_code == 403
    assert User.objects.get().role_names == [roles.AGENT]


def test_hostile_names_are_cleaned(provider, anonymous):
    provider.claims |= {
        "preferred_username": "<b>ma\u202eya</b>\x00" + "x" * 500,
        "given_name": {"a": 1},
        "family_name": "\x1b[31mOka\u202efor" * 100,
        "name": ["x"],
    }
    come(anonymous)
    user = User.objects.get()
    assert user.username.startswith("bmayab")
    assert len(user.username) <= 150
    assert user.first_name == ""
    assert user.last_name.isprintable()
    assert len(user.last_name) <= 150


@pytest.mark.parametrize("subject", [None, "", 7, "x" * 256, "a\x00b", ["maya-1"]])
def test_a_person_without_a_proper_name_is_nobody(provider, anonymous, subject):
    provider.claims["sub"] = subject
    assert come(anonymous).status_code == 403
    assert not User.objects.exists()


# --- Tokens that are not right -----------------------------------------------------------------------


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


# --- The second factor -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trusted", "claims", "is_enough"),
    [
        (["mfa", "otp"], {"amr": ["pwd", "mfa"]}, True),
        (["gold"], {"acr": "gold"}, True),
        (["mfa"], {"amr": ["pwd"]}, False),
        ([], {"amr": ["pwd", "mfa"], "acr": "gold"}, False),
        (["mfa"], {"amr": "mfa"}, False),
        (["mfa"], {"amr": [["mfa"], None], "acr": ["mfa"]}, False),
    ],
)
def test_the_providers_word_counts_as_the_second_step_where_the_setting_trusts_it(
    provider, settings, anonymous, vendor, trusted, claims, is_enough
):
    settings.REQUIRE_MFA, settings.OIDC_TRUST_AMR = "everyone", trusted
    provider.claims |= claims
    come(anonymous)
    assert (anonymous.get("/").status_code == 200) is is_enough


def test_who_has_a_factor_here_is_asked_for_it_unless_the_provider_vouches(provider, settings, anonymous):
    come(anonymous)
    give_app(User.objects.get())
    browser = Browser()
    assert come(browser).headers["Location"] == "/accounts/login/code/"
    assert not is_in(browser)
    settings.OIDC_TRUST_AMR = ["mfa"]
    provider.claims["amr"] = ["mfa"]
    again = Browser()
    come(again)
    assert is_in(again)


def want_fresh_factor(minutes: int = 5) -> None:
    policy = Policy.load()
    policy.fresh_factor_minutes = minutes
    policy.save()


@pytest.fixture
def vouched(provider, settings):
    settings.REQUIRE_MFA, settings.OIDC_TRUST_AMR = "everyone", ["mfa"]
    provider.claims["amr"] = ["mfa"]
    want_fresh_factor()
    return provider


def test_a_sign_in_at_the_provider_long_ago_is_no_fresh_factor_and_a_new_one_is(vouched, anonymous):
    vouched.signed_in_at = int(time.time()) - 3600
    come(anonymous)
    answer = anonymous.get(f"{CONNECT}")
    assert answer.headers["Location"].startswith(CONFIRM)
    page = anonymous.get(answer.headers["Location"])
    assert b"sign in at Example SSO again" in page.content
    asked = anonymous.get(START, {"next": "/accounts/security/"}).headers["Location"]
    assert {"prompt=login", "max_age=0"} <= set(urlsplit(asked).query.split("&"))
    key = anonymous.session.session_key
    assert anonymous.get(back_from(asked)).headers["Location"] == "/accounts/security/"
    assert anonymous.session.session_key != key
    assert last("sso.confirmed").facts == {"vouched": True}
    assert anonymous.get(CONNECT).status_code == 200


def test_a_vouched_sign_in_at_no_known_time_is_not_fresh(vouched, anonymous):
    vouched.token = {"auth_time": None}
    come(anonymous)
    assert anonymous.get("/").status_code == 200
    assert anonymous.get(CONNECT).status_code == 302


@pytest.mark.parametrize(
    ("token", "title"),
    [
        ({"auth_time": 1_700_000_000}, b"You were not asked again"),
        ({"auth_time": None}, b"You were not asked again"),
        ({"auth_time": 9_000_000_000}, b"You were not asked again"),
        ({"sub": "somebody-else"}, b"That was another account"),
    ],
)
def test_no_other_answer_confirms(vouched, anonymous, token, title):
    come(anonymous)
    vouched.token = token
    answer = come(anonymous)
    assert answer.status_code == 403
    assert title in answer.content
    assert not Event.objects.filter(kind="sso.confirmed").exists()


def test_who_must_set_up_a_factor_may_confirm_at_the_provider_first(provider, settings, anonymous):
    settings.REQUIRE_MFA = "everyone"
    provider.signed_in_at = int(time.time()) - 3600
    come(anonymous)
    answer = anonymous.get("/accounts/security/app/")
    assert answer.headers["Location"].startswith(CONFIRM)
    come(anonymous)
    assert anonymous.get("/accounts/security/app/").status_code == 200
    assert not Authenticator.objects.exists()


# --- An account of one's own -------------------------------------------------------------------------


def connect(browser: Browser) -> Any:
    answer = browser.post(CONNECT)
    assert answer.status_code == 200
    return browser.get(back_from(answer.headers["Refresh"].removeprefix("0; url=")))


def test_who_is_signed_in_connects_their_account_and_disconnects_it(provider, agent, anonymous):
    browser, elsewhere = by_password(agent), by_password(agent)
    assert b"does not sign you in here" in browser.get("/accounts/security/").content
    assert b"Connect with Example SSO" in browser.get(CONNECT).content
    assert connect(browser).headers["Location"] == "/accounts/security/"
    assert not Event.objects.filter(kind="signout").exists()
    assert elsewhere.get("/accounts/security/").status_code == 302
    come(anonymous)
    assert anonymous.session["_auth_user_id"] == str(agent.pk)
    assert b"Disconnect Example SSO" in browser.get(DISCONNECT).content
    assert browser.post(DISCONNECT).status_code == 302
    assert not SocialAccount.objects.exists()
    assert last("sso.disconnected").actor_id == agent.pk


def test_an_account_at_the_provider_opens_one_account_here(provider, agent, colleague):
    connect(by_password(agent))
    assert connect(by_password(colleague)).status_code == 403
    assert SocialAccount.objects.get().user == agent


def test_the_person_is_told_of_a_connection_by_mail(provider, agent, mailoutbox, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        browser = by_password(agent)
        connect(browser)
        browser.post(DISCONNECT)
    assert ["disconnected" in mail.body for mail in mailoutbox] == [False, True]


def test_a_new_connection_takes_the_place_of_the_one_before(provider, agent):
    browser = by_password(agent)
    connect(browser)
    provider.claims["sub"] = "maya-2"
    connect(browser)
    assert SocialAccount.objects.get().extra_data["subject"] == "maya-2"


def test_who_has_no_password_is_not_asked_to_change_it(provider, anonymous, vendor):
    come(anonymous)
    assert anonymous.get("/accounts/password/change/").headers["Location"] == "/accounts/security/"
    assert b"Change password" not in anonymous.get("/").content


def test_no_page_stumbles_over_somebody_without_a_password(provider, anonymous, vendor):
    come(anonymous)
    for route in EVERY:
        if route.startswith("accounts/") and "<" not in route and "logout" not in route:
            assert anonymous.get(f"/{route}").status_code < 500, route


def test_connecting_asks_for_the_same_as_coming_in(provider, settings, agent):
    settings.OIDC_ALLOWED_DOMAINS = ["elsewhere.example"]
    assert connect(by_password(agent)).status_code == 403
    assert not SocialAccount.objects.exists()


def test_connecting_wants_a_confirmation_first(provider, agent, browser_of):
    assert browser_of(agent).post(CONNECT).headers["Location"].startswith("/accounts/reauthenticate/")


def test_who_has_no_other_way_in_stays_connected(provider, anonymous):
    come(anonymous)
    assert b"Disconnect" not in anonymous.get("/accounts/security/").content
    anonymous.post(DISCONNECT)
    assert SocialAccount.objects.exists()


def test_a_mailbox_does_not_lead_past_the_provider(provider, anonymous, mailoutbox):
    come(anonymous)
    Browser().post("/accounts/password/reset/", {"email": "maya@example.org"})
    assert not mailoutbox


# --- Single sign-on only -----------------------------------------------------------------------------


@pytest.fixture
def only(provider, settings):
    settings.SSO_ONLY = True
    return provider


def test_every_other_way_in_is_closed_and_says_so(only, agent, anonymous):
    token = OneTimeLink.objects.issue(OneTimeLink.Purpose.RESET, agent)
    page = anonymous.get("/accounts/login/").content
    assert b"Continue with Example SSO" in page
    assert b"password" not in page
    for method, path in (
        ("POST", "/accounts/login/"),
        ("GET", "/accounts/login/passkey/"),
        ("POST", "/accounts/login/passkey/"),
        ("GET", "/accounts/password/reset/"),
        ("POST", "/accounts/password/reset/"),
        ("GET", "/accounts/password/reset/key/1-set-password/"),
        ("POST", f"/accounts/invite/{token}/"),
    ):
        answer = anonymous.generic(
            method, path, f"login=agent&password={PASSWORD}", content_type="application/x-www-form-urlencoded"
        )
        assert answer.status_code == 403, path
        assert b"This way in is closed" in answer.content
    assert not is_in(anonymous)
    assert last("signin.closed").result == Result.DENIED
    assert come(anonymous).status_code == 302
    assert is_in(anonymous)


def test_a_password_sign_in_that_was_under_way_ends_as_well(provider, settings, agent):
    from tests.accounts.second_steps import code, show

    give_app(agent)
    browser = by_password(agent)
    settings.SSO_ONLY = True
    show(browser, code())
    assert not is_in(browser)
    assert last("signin.refused").facts == {"reason": "single_sign_on_only"}


def made_link(name: str = "agent") -> str:
    out = StringIO()
    call_command("sign_in_link", name, stdout=out)
    return urlsplit(out.getvalue().split()[-1]).path


def test_a_link_of_the_command_line_still_signs_in_once_and_loudly(only, agent, anonymous, vendor):
    path = made_link()
    event = last("signin.link_made")
    assert event.target_label == "agent"
    assert forwarding.message_of(event).severity == syslog.CRITICAL
    assert path.split("/")[-2] not in whole_log() + str(list(OneTimeLink.objects.values()))
    assert anonymous.get(path).status_code == 200
    assert not is_in(anonymous), "a preview of the link spends nothing"
    assert anonymous.post(path).status_code == 302
    assert anonymous.session["_auth_user_id"] == str(agent.pk)
    assert last("signin.ok").facts["methods"] == ["one_time_link"]
    for method in ("get", "post"):
        assert getattr(Browser(), method)(path).status_code == 410


def test_a_link_does_not_lead_past_the_second_factor(provider, agent, anonymous):
    give_app(agent)
    assert anonymous.post(made_link()).headers["Location"] == "/accounts/login/code/"
    assert not is_in(anonymous)


def test_a_link_changes_who_is_signed_in(provider, agent, colleague, browser_of):
    browser = browser_of(colleague)
    browser.post(made_link())
    assert browser.session["_auth_user_id"] == str(agent.pk)


def test_there_is_no_link_for_nobody(db):
    with pytest.raises(CommandError, match="nobody"):
        call_command("sign_in_link", "nobody")


# --- Out ---------------------------------------------------------------------------------------------


def test_signing_out_leads_on_to_the_provider_after_a_session_that_began_there(provider, anonymous):
    come(anonymous)
    assert anonymous.post("/accounts/logout/").headers["Location"] == "/accounts/signed-out/"
    answer = anonymous.get("/accounts/signed-out/")
    address = answer.headers["Refresh"].removeprefix("0; url=")
    assert address.startswith(f"{provider.issuer}/end?client_id={CLIENT_ID}&")
    assert "post_logout_redirect_uri=https%3A%2F%2Ftestserver%2Faccounts%2Flogin%2F" in address
    assert provider.issuer not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("document", [{"end_session_endpoint": None}, {"issuer": "https://sso.evil.example"}])
def test_signing_out_ends_here_where_the_provider_has_no_page_for_it(provider, anonymous, document):
    come(anonymous)
    anonymous.post("/accounts/logout/")
    provider.document = document
    openid.memory.documents.clear()
    assert anonymous.get("/accounts/signed-out/").headers["Location"] == "/accounts/login/"


def test_other_sessions_end_here(provider, agent):
    assert by_password(agent).post("/accounts/logout/").headers["Location"] == "/accounts/login/"


# --- Settings ----------------------------------------------------------------------------------------


def test_without_a_provider_there_is_no_trace_of_it(agent, anonymous, browser_of):
    assert b"Continue with" not in anonymous.get("/accounts/login/").content
    assert b"single-sign-on" not in browser_of(agent).get("/accounts/security/").content
    for path in (START, BACK, "/accounts/signed-out/"):
        assert anonymous.get(path).status_code == 404


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        ({"OIDC_CLIENT_ID": ""}, ["portal.E013"]),
        ({"OIDC_ISSUER": ""}, ["portal.E013"]),
        ({"OIDC_ISSUER": "", "OIDC_CLIENT_ID": "", "OIDC_CLIENT_SECRET": "", "OIDC_ROLES": {}}, []),
        (
            {"OIDC_ISSUER": "", "OIDC_CLIENT_ID": "", "OIDC_CLIENT_SECRET": "", "OIDC_ROLES": {}, "SSO_ONLY": True},
            ["portal.E014"],
        ),
        ({"OIDC_ISSUER": "http://sso.example.org"}, ["portal.E015"]),
        ({"OIDC_ISSUER": "https://sso.example.org/?x"}, ["portal.E015"]),
        ({"OIDC_ISSUER": "https://[sso"}, ["portal.E015"]),
        ({"OIDC_ROLES": {"x": "Nothing"}}, ["portal.E016"]),
        ({"OIDC_ISSUER": openid.GOOGLE}, ["portal.E017"]),
        ({"OIDC_ISSUER": openid.GOOGLE, "OIDC_APPROVE": True}, []),
        ({"OIDC_CA_FILE": "/nowhere"}, ["portal.E018"]),
    ],
)
def test_settings_that_fit_nothing_are_refused_at_start(provider, settings, values, expected):
    for name, value in values.items():
        setattr(settings, name, value)
    assert [one.id for one in checks.check_single_sign_on()] == expected


def test_the_self_check_asks_the_provider(provider, monkeypatch):
    def states(*, calls: bool) -> list[str]:
        here = self_check.Circumstances(None, calls)
        return [state for state, *_more in self_check.look_at_provider(here)]

    assert states(calls=False) == [self_check.UNKNOWN]
    assert states(calls=True) == [self_check.OK]
    provider.broken = {"/keys": lambda handler: handler.say({"keys": []})}
    assert states(calls=True) == [self_check.WRONG]
    provider.broken = {}
    monkeypatch.setattr(openid, "LEEWAY", -1)
    assert states(calls=True) == [self_check.OK, self_check.WRONG]
