"""The provider's word for a second factor, and accounts that are connected with it."""

from __future__ import annotations

import re
import time
from urllib.parse import urlsplit

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount

from invitations.models import Policy
from portal.accounts import people, roles
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
    assert b"You have now: Agent. Make sure first" in browser.get(CONNECT).content
    assert connect(browser).headers["Location"] == "/accounts/security/"
    assert not Event.objects.filter(kind="signout").exists()
    assert elsewhere.get("/accounts/security/").status_code == 302
    come(anonymous)
    assert anonymous.session["_auth_user_id"] == str(agent.pk)
    shown = browser.get("/accounts/security/").content
    assert b"<b>maya@example.org</b>" in shown, "the account there, which is not this one's address"
    assert b"connected since" in shown
    assert b"Disconnect Example SSO" in browser.get(DISCONNECT).content
    assert b"Disconnected. Example SSO no longer signs you in here." in browser.post(DISCONNECT, follow=True).content
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


def test_signing_out_says_what_one_will_need_again(provider, settings, agent, anonymous, vendor):
    come(anonymous)
    assert b"You will need Example SSO to sign in again." in anonymous.get("/accounts/logout/").content
    browser = by_password(agent)
    assert b"You will need your password to sign in again." in browser.get("/accounts/logout/").content
    settings.SSO_ONLY = True
    assert b"You will need Example SSO to sign in again." in browser.get("/accounts/logout/").content
    settings.SSO_ONLY, settings.OIDC_ISSUER = False, ""
    assert b"You will have to sign in again." in anonymous.get("/accounts/logout/").content
    waiting = anonymous.get("/accounts/inactive/").content.decode()
    assert "an administrator has not let you in yet" in waiting


def test_no_page_stumbles_over_somebody_without_a_password(provider, anonymous, vendor):
    come(anonymous)
    for route in EVERY:
        if route.startswith("accounts/") and "<" not in route and "logout" not in route:
            assert anonymous.get(f"/{route}").status_code < 500, route


def test_connecting_asks_for_the_same_as_coming_in(provider, settings, agent):
    settings.OIDC_ALLOWED_DOMAINS = ["elsewhere.example"]
    assert connect(by_password(agent)).status_code == 403
    assert not SocialAccount.objects.exists()


def test_before_connecting_people_read_what_becomes_of_their_roles(provider, settings, agent):
    settings.OIDC_ROLES = {"leads": roles.TEAM_LEAD}
    page = by_password(agent).get(CONNECT).content.decode()
    assert "decide at every sign-in whether you have these roles: Team lead." in page
    assert "You have now" not in page
    settings.OIDC_ROLES = {}
    assert "decide at every sign-in" not in by_password(agent).get(CONNECT).content.decode()


def test_who_could_not_sign_in_without_it_reads_why_it_stays(provider, settings, anonymous, vendor):
    come(anonymous)
    page = anonymous.get("/accounts/security/").content.decode()
    assert "you have no password, so you could not sign in any more" in page
    assert DISCONNECT not in page
    settings.SSO_ONLY = True
    assert "it is the only way in here" in anonymous.get("/accounts/security/").content.decode()


def test_with_single_sign_on_alone_security_says_what_the_other_ways_are_good_for(provider, settings, agent):
    browser = by_password(agent)
    assert "and as the only one" in browser.get("/accounts/security/").content.decode()
    settings.SSO_ONLY = True
    page = browser.get("/accounts/security/").content.decode()
    assert "and as the only one" not in page
    assert "your password does not let you in" in page
    settings.REQUIRE_MFA = "everyone"
    assert "no password with it" not in browser.get("/accounts/security/").content.decode()


def test_administrators_see_who_is_connected_and_disconnect_them(provider, settings, agent, admin, browser_of):
    theirs, office = by_password(agent), browser_of(admin)
    path = f"/admin/accounts/user/{agent.pk}/"
    assert "Not connected" in office.get(f"{path}change/").content.decode()
    connect(theirs)
    page = office.get(f"{path}change/").content.decode()
    assert re.search(r"Connected since .*: maya@example.org", page)
    assert f"{path}disconnect/" in page
    assert "may connect again" in office.get(f"{path}disconnect/").content.decode()
    page = office.post(f"{path}disconnect/", follow=True).content.decode()
    assert "Single sign-on is off for agent." in page
    assert f"{path}disconnect/" not in page
    assert not SocialAccount.objects.exists()
    event = last("sso.disconnected")
    assert (event.actor_id, event.target_id) == (admin.pk, str(agent.pk))
    assert theirs.get("/accounts/security/").status_code == 302
    settings.OIDC_ISSUER = ""
    assert "Not connected" not in office.get(f"{path}change/").content.decode()


def test_administrators_leave_everybody_a_way_in(provider, settings, anonymous, admin, browser_of):
    come(anonymous)
    office, maya = browser_of(admin), User.objects.get(username="maya")
    path = f"/admin/accounts/user/{maya.pk}/disconnect/"
    assert "has no password and could not sign in any more" in office.post(path).content.decode()
    settings.SSO_ONLY = True
    assert "the only way in here" in office.post(path).content.decode()
    assert SocialAccount.objects.exists()
    own = f"/admin/accounts/user/{admin.pk}/disconnect/"
    assert "cannot do this to your own account" in office.post(own).content.decode()
    assert last("user.change_refused").facts == {"reason": people.OWN_ACCOUNT}


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
