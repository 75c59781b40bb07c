"""Signing in and out through the real pages: by name or address, limits, events, sessions, where one lands."""

import re

import pytest

from portal import audit
from portal.accounts import people
from portal.accounts.adapter import AccountAdapter
from portal.accounts.backend import Backend
from portal.accounts.models import Session, User
from portal.audit.models import Event
from tests.conftest import PASSWORD, Browser, pass_a_minute, whole_log

LOGIN = "/accounts/login/"
WRONG = "not the password of anybody"


def sign_in(browser, login="agent", password=PASSWORD, *, ip="203.0.113.7", **data):
    return browser.post(LOGIN, {"login": login, "password": password, **data}, REMOTE_ADDR=ip)


def kinds():
    return list(Event.objects.order_by("seq").values_list("kind", flat=True))


@pytest.mark.parametrize("login", ["agent", "AGENT", "agent@example.org", "Agent@Example.Org"])
def test_one_signs_in_by_user_name_or_address(agent, anonymous, vendor, login):
    answer = sign_in(anonymous, login)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/"
    assert anonymous.get("/").status_code == 200
    event = Event.objects.get(kind="signin.ok")
    assert (event.actor_id, event.actor_name, event.actor_roles) == (agent.pk, "Mika Lind", "Agent")
    assert (event.result, event.origin_ip) == ("ok", "203.0.113.7")


@pytest.mark.parametrize(
    ("login", "password"),
    [("agent", WRONG), ("agent@example.org", WRONG), ("nobody", PASSWORD), ("nobody@example.org", PASSWORD)],
)
def test_a_wrong_try_is_recorded_with_the_name_and_without_the_password(agent, anonymous, login, password):
    answer = sign_in(anonymous, login, password)
    assert answer.status_code == 200
    assert "_auth_user_id" not in anonymous.session
    event = Event.objects.get()
    assert (event.kind, event.result, event.actor_id, event.actor_name) == ("signin.failed", "denied", None, login)
    assert password not in whole_log()


def test_a_known_and_an_unknown_name_get_the_same_words(agent, anonymous):
    def words(login):
        page = sign_in(Browser(), login, WRONG).content.decode().replace(login, "").split("csrfmiddlewaretoken")[0]
        return re.sub(r'data-now="\d+"', "", page)

    assert words("agent") == words("nobody")


def test_a_disabled_person_cannot_sign_in_and_nobody_learns_that_the_password_was_right(agent, anonymous):
    User.objects.update(is_active=False)
    assert "User name or password is wrong" in sign_in(anonymous).content.decode()
    assert anonymous.get("/").status_code == 302
    assert kinds() == ["signin.failed"]


def test_who_is_disabled_while_the_password_is_looked_at_does_not_come_in(agent, admin, anonymous, vendor, monkeypatch):
    look = Backend.authenticate

    def looked_at(*args, **more):
        found = look(*args, **more)
        with audit.writing():
            people.disable(User.objects.get(pk=agent.pk), admin)
        return found

    monkeypatch.setattr(Backend, "authenticate", looked_at)
    assert sign_in(anonymous).headers["Location"] == "/accounts/inactive/"
    assert kinds() == ["user.disabled", "signin.refused"]
    with audit.writing():
        people.enable(agent, admin)
    assert anonymous.get("/").status_code == 302  # no session has slept meanwhile


@pytest.mark.parametrize("name", ["a\x00b", "", "x" * 10_000])
def test_strange_names_are_refused_politely(anonymous, db, name):
    assert sign_in(anonymous, name, WRONG).status_code == 200


def test_five_wrong_passwords_stop_further_tries_from_there(agent, anonymous):
    for _ in range(5):
        sign_in(anonymous, "agent", WRONG)
    assert "_auth_user_id" not in anonymous.session
    answer = sign_in(anonymous, "agent", PASSWORD)
    assert answer.status_code == 200
    assert "Too many failed attempts. Wait 15 minutes" in answer.content.decode()
    assert kinds() == ["signin.failed"] * 5 + ["limit.reached", "signin.limited"]
    event = Event.objects.get(kind="signin.limited")
    assert (event.result, event.actor_name, event.origin_ip) == ("denied", "agent", "203.0.113.7")


def test_all_spellings_of_a_name_are_one_to_the_limit(agent, anonymous):
    for login in ("agent", "AGENT", "Agent", " ａgent ", "ＡＧＥＮＴ"):
        sign_in(anonymous, login, WRONG)
    sign_in(anonymous, "agent")
    assert kinds()[-1] == "signin.limited"


def test_a_limit_does_not_tell_which_address_belongs_to_a_name(agent, anonymous):
    for _ in range(6):
        sign_in(anonymous, "agent", WRONG)
    assert kinds()[-1] == "signin.limited"
    sign_in(anonymous, "agent@example.org", WRONG)
    assert kinds()[-1] == "signin.failed"


def test_a_stranger_s_guesses_do_not_lock_the_person_out(agent, colleague, anonymous):
    for _ in range(8):
        sign_in(anonymous, "agent", WRONG)
    assert sign_in(Browser(), "agent", ip="198.51.100.9").status_code == 302  # the person, elsewhere
    assert sign_in(Browser(), "colleague").status_code == 302  # another one, same network


def test_one_network_s_tries_end_whatever_the_name(agent, anonymous):
    for number in range(31):
        sign_in(anonymous, f"guess-{number}", WRONG)
    assert kinds().count("signin.failed") == 30
    assert kinds()[-1] == "signin.limited"
    assert sign_in(Browser(), "agent").status_code == 200
    assert sign_in(Browser(), "agent", ip="198.51.100.9").status_code == 302


def test_an_ipv6_customer_is_one_network(agent, anonymous):
    for last in range(6):
        sign_in(anonymous, "agent", WRONG, ip=f"2001:db8:1:2::{last}")
    assert kinds() == ["signin.failed"] * 5 + ["limit.reached", "signin.limited"]
    assert sign_in(Browser(), "agent", ip="2001:db8:1:3::1").status_code == 302


def test_signing_in_well_uses_no_tries_up(agent, anonymous):
    for _ in range(8):
        assert sign_in(Browser()).status_code == 302


def test_a_flood_of_limited_tries_is_one_event_a_minute_and_the_next_one_counts(agent, anonymous):
    for _ in range(15):
        sign_in(anonymous, "agent", WRONG)
    assert kinds() == ["signin.failed"] * 5 + ["limit.reached", "signin.limited"]
    pass_a_minute("audit:signin.limited:203.0.113.7")
    sign_in(anonymous, "agent", WRONG)
    assert [event.facts for event in Event.objects.filter(kind="signin.limited").order_by("seq")] == [
        {"left_out_before": 0},
        {"left_out_before": 9},
    ]


def test_a_signed_in_person_meets_no_second_door(agent, browser_of, vendor):
    assert browser_of(agent).get(LOGIN).headers["Location"] == "/"


def test_the_session_changes_with_the_sign_in(agent, anonymous, vendor):
    session = anonymous.session
    session["planted"] = "yes"
    session.save()
    before = session.session_key
    anonymous.cookies["__Host-sessionid"] = before
    sign_in(anonymous)
    assert anonymous.cookies["__Host-sessionid"].value != before
    assert not Session.objects.filter(session_key=before).exists()


def test_cookies_are_host_only_secure_and_hidden(agent, anonymous, vendor):
    anonymous.get(LOGIN)
    sign_in(anonymous)
    assert {"__Host-sessionid", "__Host-csrftoken"} <= set(anonymous.cookies)
    for name in ("__Host-sessionid", "__Host-csrftoken"):
        cookie = anonymous.cookies[name]
        assert cookie["secure"]
        assert cookie["httponly"]
        assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Lax", "/", "")
    assert anonymous.cookies["__Host-sessionid"]["max-age"] == ""


def test_signing_out_ends_the_session_and_is_recorded(agent, anonymous, vendor):
    sign_in(anonymous)
    cookie = anonymous.cookies["__Host-sessionid"].value
    assert anonymous.get("/accounts/logout/").status_code == 200  # asks first
    assert anonymous.get("/").status_code == 200
    assert anonymous.post("/accounts/logout/").headers["Location"] == LOGIN
    event = Event.objects.first()
    assert (event.kind, event.actor_id) == ("signout", agent.pk)
    assert not Session.objects.filter(session_key=cookie).exists()
    anonymous.cookies["__Host-sessionid"] = cookie
    assert anonymous.get("/").status_code == 302


def test_later_events_say_how_one_signed_in(agent, anonymous, vendor):
    sign_in(anonymous)
    anonymous.get("/audit/")
    assert Event.objects.get(kind="audit.viewed").auth_method == "password"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "http:evil.example",
        "https:///evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        " //evil.example",
        "\t//evil.example",
        "https://testserver@evil.example/",
        "https://testserver.evil.example/",
    ],
)
def test_nobody_is_sent_elsewhere_after_sign_in(agent, target, vendor):
    for path in (LOGIN, f"{LOGIN}?next={target}"):
        browser = Browser()
        answer = browser.post(path, {"login": "agent", "password": PASSWORD, "next": target})
        assert answer.headers["Location"] == "/"
    signed_in = Browser()
    signed_in.force_login(agent)
    assert signed_in.get(LOGIN, {"next": target}).headers["Location"] == "/"
    admins = signed_in.get("/admin/login/", {"next": target}, follow=True)
    assert [url for url, _ in admins.redirect_chain][-1] == "/"
    assert signed_in.post("/accounts/logout/", {"next": target}).headers["Location"] == LOGIN


def test_the_wanted_page_comes_after_sign_in(agent, anonymous, vendor):
    first = anonymous.get("/history/?q=tilda")
    assert first.headers["Location"] == "/accounts/login/?next=%2Fhistory%2F%3Fq%3Dtilda"
    page = anonymous.get(first.headers["Location"])
    assert 'value="/history/?q=tilda"' in page.content.decode()
    assert sign_in(anonymous, next="/history/?q=tilda").headers["Location"] == "/history/?q=tilda"


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("path", ["/accounts/signup/", "/accounts/signup/?next=/", "/accounts/signup"])
def test_nobody_signs_up(anonymous, agent, browser_of, method, path):
    data = {"username": "eve", "email": "eve@example.org", "password1": PASSWORD, "password2": PASSWORD}
    for browser in (anonymous, browser_of(agent)):
        answer = getattr(browser, method)(path, data, follow=True)
        assert answer.status_code == 404
    assert not User.objects.filter(username="eve").exists()


def test_even_allauth_is_told_that_nobody_signs_up(rf):
    assert AccountAdapter().is_open_for_signup(rf.get("/")) is False


def test_there_is_no_account_in_a_fresh_installation(db):
    assert not User.objects.exists()


@pytest.mark.parametrize("name", ["admin", "root", "guest", "demo", "helpdesk"])
def test_no_usual_pair_of_name_and_password_works(anonymous, db, name):
    assert sign_in(anonymous, name, name).status_code == 200
    assert "_auth_user_id" not in anonymous.session


def test_a_reset_link_leads_to_the_portals_own_address(agent, anonymous, settings, mailoutbox):
    settings.PUBLIC_URL = "https://help.example.org"
    anonymous.post("/accounts/password/reset/", {"email": agent.email})
    assert "https://help.example.org/accounts/password/reset/key/" in mailoutbox[0].body
    assert "testserver" not in mailoutbox[0].body


def test_too_many_tries_get_a_page_in_plain_words(anonymous, db):
    for number in range(21):
        answer = anonymous.get(f"/accounts/invite/guess-{number}/")
    assert answer.status_code == 429
    assert 840 < int(answer.headers["Retry-After"]) <= 900
    assert "Too many attempts" in answer.content.decode()
    assert "Wait 15 minutes" in answer.content.decode()
