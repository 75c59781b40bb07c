"""The provider's word for a second factor, and accounts that are connected with it."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount

from invitations.models import Policy
from portal.accounts.models import User
from portal.audit.models import Event
from tests.accounts.at_provider import (
    CONFIRM,
    CONNECT,
    DISCONNECT,
    START,
    back_from,
    come,
    connect,
    is_in,
    last,
)
from tests.accounts.second_steps import by_password, give_app
from tests.conftest import Browser
from tests.test_access import EVERY


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
