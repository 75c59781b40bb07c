"""One door: a session that has shown a password alone reaches nothing where a second factor is demanded."""

from __future__ import annotations

import time
from contextlib import closing

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import resolve

from invitations.models import Invitation, Policy
from portal.accounts import roles
from portal.accounts.middleware import SETTING_UP, SHOWING
from portal.audit.models import Event
from tests.accounts.second_steps import SECURITY, by_code, by_password, code, give_app
from tests.conftest import PASSWORD, Browser
from tests.test_access import EVERY, OTHER_METHODS, Cast, send

HX = {"HX-Request": "true"}
CODE_AGAIN = "/accounts/reauthenticate/code/"


def weak(user):
    """A session that shows nothing but who it is, as one from before a policy would."""
    browser = Browser()
    browser.force_login(user)
    return browser


@pytest.fixture
def everyone(settings):
    settings.REQUIRE_MFA = "everyone"


@pytest.fixture
def still_clock(monkeypatch):
    start = time.time() // 30 * 30 + 1
    monkeypatch.setattr(time, "time", lambda: start)
    return lambda seconds: monkeypatch.setattr(time, "time", lambda: start + seconds)


@pytest.mark.parametrize("route", EVERY)
def test_a_password_alone_opens_no_address(everyone, make_person, vendor, look, route):
    cast = Cast(make_person, vendor, look)
    cast.paths(route, "root")
    give_app(cast.people["admin"])
    told = Event.objects.exclude(kind="signout")  # those the addresses of events are made of
    before = told.count()
    for who, open_names, target in (("root", SETTING_UP, SECURITY), ("admin", SHOWING, CODE_AGAIN)):
        for path in cast.paths(route, who)[:1]:
            if resolve(path).view_name in open_names:
                continue
            for method in ("GET", "POST", *OTHER_METHODS):
                answer = send(weak(cast.people[who]), method, path)
                assert answer.status_code == 302, (who, method)
                assert answer.headers["Location"].startswith(target)
    assert told.count() == before
    assert not cast.vendor.ledger.requests


def test_what_stays_open_without_the_second_step_is_little():
    assert {"account_logout", "mfa_reauthenticate", "mfa_reauthenticate_webauthn"} == SHOWING
    assert not {"account_change_password", "mfa_deactivate_totp", "mfa_view_recovery_codes"} & SETTING_UP


@pytest.mark.parametrize("path", ["/board/rows/", "/board/waiting/"])
def test_a_part_of_a_page_sends_the_whole_page(everyone, agent, vendor, path):
    answer = weak(agent).get(path, headers=HX)
    assert answer.status_code == 200
    assert answer.headers["HX-Redirect"].startswith(SECURITY)


def test_signing_out_and_static_files_stay_open(everyone, agent, lasting_connection):
    browser = weak(agent)
    with closing(browser.get("/static/css/base.css")) as answer:
        assert answer.status_code == 200
    assert browser.post("/accounts/logout/").status_code == 302
    assert "_auth_user_id" not in browser.session


@pytest.mark.parametrize(
    ("role", "is_stopped"),
    [(roles.AGENT, False), (roles.TEAM_LEAD, False), (roles.AUDITOR, True), (roles.ADMINISTRATOR, True)],
)
def test_staff_are_those_who_administer_or_see_the_whole_log(settings, make_person, vendor, role, is_stopped):
    settings.REQUIRE_MFA = "staff"
    answer = weak(make_person("somebody", role)).get("/")
    assert (answer.status_code == 302) is is_stopped


def test_whoever_has_a_factor_shows_it_without_any_policy(agent, colleague, vendor):
    give_app(agent)
    assert weak(agent).get("/").headers["Location"] == f"{CODE_AGAIN}?next=%2F"
    assert weak(colleague).get("/").status_code == 200


def test_a_session_from_before_becomes_whole_by_showing_the_factor(everyone, agent, vendor):
    give_app(agent)
    browser = weak(agent)
    where = browser.get("/history/").headers["Location"]
    assert b"Use your password" not in browser.get(where).content
    assert browser.post(where, {"code": code()}).headers["Location"] == "/history/"
    assert browser.get("/history/").status_code == 200
    assert Event.objects.filter(kind="factor.confirmed").count() == 1


def test_a_provider_that_vouches_is_enough(everyone, agent, vendor):
    for vouched, status in ((True, 200), (False, 302), ("yes", 302)):
        browser = weak(agent)
        session = browser.session
        session["account_authentication_methods"] = [{"method": "socialaccount", "at": 1.0, "vouched": vouched}]
        session["account_authentication_methods_user"] = str(agent.pk)
        session.save()
        assert browser.get("/").status_code == status


def test_what_somebody_else_has_shown_does_not_count(everyone, agent, colleague, vendor):
    browser = weak(agent)
    session = browser.session
    session["account_authentication_methods"] = [{"method": "mfa", "type": "totp", "at": time.time()}]
    session["account_authentication_methods_user"] = str(colleague.pk)
    session.save()
    assert browser.get("/").status_code == 302


def test_the_door_asks_the_database_nothing(settings, agent, vendor, look):
    look()
    give_app(agent)
    browser = by_code(agent)
    browser.get("/board/rows/", headers=HX)  # renders what all later answers share
    counts = []
    for policy in ("off", "staff", "everyone"):
        settings.REQUIRE_MFA = policy
        with CaptureQueriesContext(connection) as queries:
            assert browser.get("/board/rows/", headers=HX).status_code == 200
        counts.append(len(queries))
        assert not [query for query in queries if query["sql"].startswith('SELECT "mfa_')]
    assert counts[0] == counts[1] == counts[2]


# --- A fresh one before Connect ----------------------------------------------------------------------


@pytest.fixture
def connect(vendor, look, agent):
    """The address of Connect of an invitation, under a policy that asks every ten minutes."""
    Policy.load()
    Policy.objects.update(fresh_factor_minutes=10)
    number = vendor.add("Tilda", status=1, client_os="win")
    look()
    Invitation.objects.filter(vendor_id=number).update(created_by=agent, is_external=False)
    return f"/invitations/{Invitation.objects.get().public_id}/connect/"


def links(vendor):
    return [request for request in vendor.ledger.requests if request.operation == "connect"]


def test_a_sign_in_of_a_moment_ago_is_fresh(agent, vendor, connect, still_clock):
    give_app(agent)
    browser = by_code(agent)
    still_clock(599)
    assert browser.post(connect).status_code == 303


@pytest.mark.parametrize("headers", [{}, HX])
def test_an_old_one_is_asked_again_and_nothing_is_sent(agent, vendor, connect, still_clock, headers):
    give_app(agent)
    browser = by_code(agent)
    still_clock(600)
    answer = browser.post(connect, headers=headers)
    where = answer.headers["HX-Redirect" if headers else "Location"]
    page = connect.removesuffix("connect/")
    assert where.startswith(CODE_AGAIN)
    shown = browser.get(where).content
    assert b"Nothing has been sent yet" in shown
    assert b"Use your password" not in shown, "it would be asked for in vain"
    answer = browser.post(where, {"code": code()})
    assert answer.headers["Location"] == page
    assert not links(vendor), "what was pressed before is not sent by itself"
    assert b"Confirmed. Press Connect again." in browser.get(page).content
    assert browser.post(connect).status_code == 303
    assert [event.result for event in Event.objects.filter(kind="access.fresh_factor_asked")] == ["denied"]


def test_the_password_does_for_those_without_a_factor(agent, vendor, connect, still_clock):
    browser = by_password(agent)
    still_clock(600)
    where = browser.post(connect).headers["Location"]
    assert where.startswith("/accounts/reauthenticate/?")
    assert browser.post(where, {"password": PASSWORD}).status_code == 302
    assert browser.post(connect).status_code == 303


def test_the_password_does_not_do_for_those_with_one(agent, vendor, connect, still_clock):
    give_app(agent)
    browser = by_code(agent)
    still_clock(600)
    browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert browser.post(connect).status_code == 302
    assert not links(vendor)


def test_without_the_policy_nobody_is_asked(agent, vendor, connect, still_clock):
    Policy.objects.update(fresh_factor_minutes=0)
    browser = by_password(agent)
    still_clock(36_000)
    assert browser.post(connect).status_code == 303


def test_a_clock_that_was_set_back_is_not_fresh(agent, vendor, connect, still_clock):
    browser = by_password(agent)
    still_clock(-5_000)
    assert browser.post(connect).status_code == 302


def test_who_has_neither_password_nor_factor_is_led_to_adding_one(agent, vendor, connect, still_clock):
    browser = by_password(agent)
    agent.set_unusable_password()
    agent.save()
    browser.force_login(agent)
    still_clock(600)
    answer = browser.post(connect)
    assert answer.headers["Location"].startswith(SECURITY)
    assert b"Before you connect" in browser.get(answer.headers["Location"]).content
    assert not links(vendor)


def test_a_confirmation_for_something_else_does_not_speak_of_connecting(agent, vendor, connect, still_clock):
    browser = by_password(agent)
    still_clock(600)
    browser.post(connect)
    where = browser.get(f"{SECURITY}app/").headers["Location"]
    browser.post(where, {"password": PASSWORD})
    assert b"Press Connect" not in browser.get(SECURITY).content


@pytest.mark.parametrize("is_given_up", [False, True])
def test_a_form_that_waits_for_a_confirmation_is_done_unless_its_page_was_opened_anew(agent, vendor, is_given_up):
    """Whoever comes back to that page later confirms to see it, not to have the form of then done."""
    path, confirm = "/accounts/security/codes/new/", "/accounts/reauthenticate/"
    give_app(agent)
    browser = by_code(agent)
    session = browser.session
    session["account_authentication_methods"] = [
        record | {"at": time.time() - 3600} for record in session["account_authentication_methods"]
    ]
    session.save()
    asked = browser.post(path).headers["Location"]
    assert asked.startswith(confirm)
    assert browser.get(asked).status_code == 200
    if is_given_up:
        assert browser.get(path).headers["Location"] == asked
    answer = browser.post(confirm, {"password": PASSWORD, "next": path})
    assert answer.headers["Location"] == (path if is_given_up else "/accounts/security/codes/")
    assert Event.objects.filter(kind="factor.recovery_codes").exists() is not is_given_up
