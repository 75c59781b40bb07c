"""Single sign-on as the only way in, the way past it and out of it, and its settings."""

from __future__ import annotations

from io import StringIO
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command

from portal import checks, self_check
from portal.accounts import openid, roles
from portal.accounts.models import OneTimeLink
from portal.audit import forwarding, syslog
from portal.audit.kinds import Result
from portal.getscreen.types import Secret
from tests.accounts.at_provider import (
    BACK,
    START,
    come,
    is_in,
    last,
)
from tests.accounts.second_steps import by_password, give_app
from tests.conftest import PASSWORD, Browser, whole_log
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET


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


def printed(name: str) -> str:
    out = StringIO()
    call_command("sign_in_link", name, stdout=out)
    return out.getvalue()


def made_link(name: str = "agent") -> str:
    return urlsplit(printed(name).split()[-1]).path


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
    event = last("signin.link_used")
    assert event.actor_id == agent.pk, "it is spent, whoever it was"
    assert forwarding.message_of(event).severity == syslog.CRITICAL


def test_a_link_changes_who_is_signed_in(provider, agent, colleague, browser_of):
    browser = browser_of(colleague)
    browser.post(made_link())
    assert browser.session["_auth_user_id"] == str(agent.pk)


@pytest.mark.parametrize("name", ["AGENT", "Agent@Example.org"])
def test_a_link_is_for_whoever_has_that_name_or_address(agent, name):
    assert "signs in as agent, once" in printed(name)
    assert last("signin.link_made").target_id == str(agent.pk)


@pytest.mark.parametrize("name", ["nobody", "", "nobody@example.org"])
def test_there_is_no_link_for_nobody_but_a_word_about_who_there_is(admin, agent, make_person, name):
    make_person("rut", is_superuser=True)
    make_person("former", roles.ADMINISTRATOR, is_active=False)
    with pytest.raises(CommandError, match=r"nobody .* administer the portal: admin, rut$"):
        call_command("sign_in_link", name)


def test_there_is_no_link_where_a_name_is_somebody_else_s_address(agent, make_person):
    make_person("agent@example.org")
    with pytest.raises(CommandError, match=r"Several people .* agent, agent@example.org. .* nobody yet"):
        call_command("sign_in_link", "agent@example.org")


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


def test_the_self_check_asks_the_provider(provider, settings, monkeypatch):
    def states(*, calls: bool) -> list[str]:
        here = self_check.Circumstances(None, calls)
        return [state for state, *_more in self_check.look_at_provider(here)]

    assert states(calls=False) == [self_check.UNKNOWN]
    assert states(calls=True) == [self_check.OK]
    settings.OIDC_CLIENT_SECRET = Secret("")
    assert states(calls=True) == [self_check.UNWISE, self_check.OK], "a public client is told of"
    settings.OIDC_CLIENT_SECRET = Secret(CLIENT_SECRET)
    provider.broken = {"/keys": lambda handler: handler.say({"keys": []})}
    assert states(calls=True) == [self_check.WRONG]
    provider.broken = {}
    monkeypatch.setattr(openid, "LEEWAY", -1)
    assert states(calls=True) == [self_check.OK, self_check.WRONG]
