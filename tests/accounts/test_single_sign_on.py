"""Single sign-on against a real provider on loopback: who comes in, and as what."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.core.management import CommandError, call_command

from portal import audit
from portal.accounts import people, roles
from portal.accounts.models import User
from tests.accounts.at_provider import (
    BACK,
    START,
    come,
    is_in,
    last,
)
from tests.accounts.second_steps import by_password, give_app
from tests.conftest import PASSWORD, Browser, whole_log
from tests.openid_provider import CLIENT_SECRET


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
    assert account.extra_data == {"issuer": provider.issuer, "subject": "maya-1", "name": "maya@example.org"}
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
    assert SocialAccount.objects.get().extra_data["name"] == "renamed@example.org", "as the person knows it there"
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
    assert b"Continue with" not in answer.content, "the provider would only be refused again"
    assert not is_in(anonymous)
    assert not SocialAccount.objects.exists()


def test_a_taken_user_name_gets_a_number(provider, agent, anonymous):
    provider.claims["preferred_username"] = "Agent"
    come(anonymous)
    assert User.objects.get(email="maya@example.org").username == "Agent2"


def test_a_person_s_own_address_may_be_their_user_name(provider, anonymous):
    provider.claims["preferred_username"] = "Maya@example.org"
    come(anonymous)
    assert User.objects.get().username == "Maya@example.org"


def test_a_user_name_like_somebody_s_address_does_not_keep_them_out(provider, agent, anonymous):
    provider.claims["preferred_username"] = "Agent@Example.org"
    come(anonymous)
    assert User.objects.get(email="maya@example.org").username == "maya"
    browser = Browser()
    assert browser.post("/accounts/login/", {"login": agent.email, "password": PASSWORD}).status_code == 302
    assert browser.session["_auth_user_id"] == str(agent.pk)


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


def test_the_page_of_somebody_who_waits_says_so_and_lets_them_in(provider, settings, admin, browser_of, vendor):
    settings.OIDC_APPROVE = True
    come(Browser())
    office, maya = browser_of(admin), User.objects.get(username="maya")
    path = f"/admin/accounts/user/{maya.pk}/"
    assert "waits to be let in" in office.get(f"{path}change/").content.decode()
    page = office.post(f"{path}approve/", follow=True).content.decode()
    assert "You have let maya in." in page
    assert "waits to be let in" not in page
    assert (last("user.approved").target_label, last("user.approved").actor_id) == ("maya", admin.pk)
    assert come(Browser()).headers["Location"] == "/"


def test_nobody_lets_themselves_in_by_that_button(admin, browser_of, vendor):
    page = browser_of(admin).post(f"/admin/accounts/user/{admin.pk}/approve/", follow=True).content.decode()
    assert "cannot do this to your own account" in page
    assert last("user.change_refused").facts == {"reason": people.OWN_ACCOUNT}


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
