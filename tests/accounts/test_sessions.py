"""How sessions end: limits that activity and saves do not put off, ends from elsewhere, and nothing wakes one."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.sessions.backends.base import UpdateError
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal import audit
from portal.accounts import factor_views, farewells, roles, sessions, user_agents
from portal.accounts.admin.people import SESSION_ENDING
from portal.accounts.models import Session, User
from portal.accounts.session_pages import PERSON
from portal.accounts.session_store import SessionStore
from portal.audit import sentences
from portal.audit.models import Event
from portal.checks import check_session_limits
from portal.getscreen.simulator import Ledger
from tests.conftest import PASSWORD, Browser, known

NEW = "another long and quiet passphrase"
HX = {"HX-Request": "true"}
POLLS = ("/board/rows/", "/board/waiting/", "/invitations/{}/live/")
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1"
)


class Clock:
    """The portal's clock, which a test turns."""

    def __init__(self) -> None:
        self.real, self.ahead = timezone.now, timedelta()

    def now(self) -> Any:
        return self.real() + self.ahead

    def turn(self, **by: float) -> None:
        self.ahead += timedelta(**by)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock.now)
    return clock


def sign_in(name: str = "agent", password: str = PASSWORD, **about: str) -> Browser:
    """Through the page, so that the session knows how and from where."""
    browser = Browser(
        headers={"user-agent": about.get("agent", FIREFOX)}, REMOTE_ADDR=about.get("address", "192.0.2.10")
    )
    assert browser.post("/accounts/login/", {"login": name, "password": password}).status_code == 302
    return browser


def key_of(browser: Browser) -> str:
    return str(browser.cookies[settings.SESSION_COOKIE_NAME].value)


def with_key(key: str) -> Browser:
    browser = Browser()
    browser.cookies[settings.SESSION_COOKIE_NAME] = key
    return browser


def row_of(browser: Browser) -> Session:
    return Session.objects.get(pk=key_of(browser))


def is_in(browser: Browser, path: str = "/accounts/security/") -> bool:
    return bool(browser.get(path).status_code == 200)


def told(kind: str) -> list[dict[str, Any]]:
    return [event.facts for event in Event.objects.filter(kind=kind).order_by("seq")]


# --- Limits ------------------------------------------------------------------------------------------


def test_twelve_hours_after_the_sign_in_it_ends_however_busy_one_was(agent, vendor, look, clock):
    look()
    browser = sign_in()
    for _ in range(12):
        assert is_in(browser, "/")
        browser.get("/board/rows/", headers=HX)
        browser.post("/board/alerts/", {"sound": "on"})  # leaves a notice, which is saved in the session
        clock.turn(minutes=59, seconds=50)
    assert is_in(browser)
    clock.turn(minutes=3)
    answer = browser.get("/history/?q=x")
    assert answer.headers["Location"] == "/accounts/login/?next=%2Fhistory%2F%3Fq%3Dx"
    page = browser.get(answer.headers["Location"]).content.decode()
    assert "You were signed out because you signed in more than 12 hours ago." in page
    assert 'value="/history/?q=x"' in page
    assert told("session.expired") == [{"limit": "absolute", "minutes": 720}]


def test_no_save_puts_the_end_off(agent, browser_of, vendor, clock):
    browser = browser_of(agent)
    before = row_of(browser)
    clock.turn(hours=3)
    session = browser.session
    session["something"] = "new"
    session.save()
    after = row_of(browser)
    assert (after.expire_date, after.created_at, after.active_at) == (
        before.expire_date,
        before.created_at,
        before.active_at,
    )
    assert before.expire_date - before.created_at == timedelta(hours=12)


def test_neither_does_a_confirmation_which_changes_the_name(agent, vendor, clock):
    browser = sign_in()
    before = row_of(browser)
    clock.turn(hours=3)
    assert browser.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
    after = row_of(browser)
    assert after.pk != before.pk
    assert (after.created_at, after.expire_date) == (before.created_at, before.expire_date)


@pytest.mark.parametrize(
    ("role", "minutes", "words"),
    [
        (roles.AGENT, 480, "after 8 hours without activity"),
        (roles.ADMINISTRATOR, 30, "after 30 minutes without activity"),
    ],
)
def test_without_activity_it_ends_and_says_so(make_person, vendor, clock, role, minutes, words):
    make_person("agent", role)
    browser = sign_in()
    clock.turn(minutes=minutes // 3)
    assert is_in(browser)
    clock.turn(minutes=minutes)
    answer = browser.get("/accounts/security/")
    assert answer.headers["Location"] == "/accounts/login/?next=%2Faccounts%2Fsecurity%2F"
    assert f"You were signed out {words}." in browser.get(answer.headers["Location"]).content.decode()
    assert told("session.expired") == [{"limit": "idle", "minutes": minutes}]
    assert Event.objects.get(kind="session.expired").actor_name == User.objects.get().display_name
    assert not Session.objects.filter(user__isnull=False).exists()


def test_inside_the_administration_half_an_hour_is_enough(admin, clock, vendor):
    browser = sign_in("admin")
    assert is_in(browser, "/admin/accounts/user/")
    clock.turn(minutes=31)
    answer = browser.get("/admin/accounts/user/")
    assert answer.headers["Location"] == "/accounts/login/?next=%2Fadmin%2Faccounts%2Fuser%2F"
    answer = browser.post(answer.headers["Location"], {"login": "admin", "password": PASSWORD, "next": "/admin/"})
    assert answer.headers["Location"] == "/admin/"
    assert "signed out" not in browser.get("/accounts/security/").content.decode()
    assert sessions.ENDED not in browser.session


@pytest.mark.parametrize(
    ("seconds", "is_met"), [(0, False), (1799, False), (1800, True), (10**9, True), (-299, False), (-301, True)]
)
def test_the_edges_of_a_limit(seconds, is_met):
    now = timezone.now()
    assert sessions.is_over(now - timedelta(seconds=seconds), 30, now) == is_met


@pytest.mark.parametrize("path", POLLS)
def test_polls_are_no_activity_and_end_with_the_rest(admin, vendor, look, clock, path):
    number = vendor.add("Somebody", status=1)
    look()
    path = path.format(known(number).public_id)
    browser = sign_in("admin")
    for _ in range(6):
        assert browser.get(path, headers=HX).status_code == 200
        clock.turn(minutes=5)
    answer = browser.get(path, headers=HX)
    target = answer.headers["HX-Redirect"]
    assert (urlsplit(target).path, answer.content) == ("/accounts/login/", b"")
    assert parse_qs(urlsplit(target).query)["next"][0] in ("/", f"/invitations/{known(number).public_id}/")
    for _ in range(2):  # in whichever tab it is opened
        assert "after 30 minutes without activity" in browser.get(target).content.decode()


def test_a_form_that_comes_too_late_does_nothing(admin, vendor, clock):
    browser = sign_in("admin")
    clock.turn(minutes=31)
    answer = browser.post("/invitations/new/", {"client_name": "Tilda"})
    assert answer.headers["Location"] == "/accounts/login/?next=%2Finvitations%2Fnew%2F"
    assert not vendor.ledger.requests


def test_activity_is_written_once_a_minute_by_one_statement_and_polls_write_nothing(
    agent, browser_of, vendor, look, clock
):
    look()
    browser = browser_of(agent)
    began = row_of(browser).active_at
    for path in ("/", "/accounts/security/"):
        browser.get(path)
        assert row_of(browser).active_at == began
    clock.turn(seconds=61)
    for path in POLLS[:2]:
        assert not writes_of(browser, path, **HX)
    (statement,) = writes_of(browser, "/")
    assert statement.startswith('UPDATE "accounts_session" SET "active_at"')
    assert row_of(browser).active_at - began >= timedelta(seconds=61)
    assert not writes_of(browser, "/")


def writes_of(browser: Browser, path: str, **headers: str) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(path, headers=headers).status_code == 200
    return [query["sql"] for query in queries if not query["sql"].startswith("SELECT")]


def test_of_two_tabs_one_writes(agent, browser_of):
    row = row_of(browser_of(agent))
    Session.objects.update(active_at=timezone.now() - timedelta(minutes=2))
    stale = Session.objects.get()
    sessions.note_activity(stale)
    first = Session.objects.get().active_at
    sessions.note_activity(stale)
    assert Session.objects.get().active_at == first > row.active_at - timedelta(minutes=1)


def test_where_nothing_can_be_written_a_page_is_read_all_the_same(agent, browser_of, vendor, monkeypatch, clock):
    browser = browser_of(agent)
    clock.turn(minutes=5)

    def full(*_: Any, **__: Any) -> None:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr("django.db.models.query.QuerySet.update", full)
    assert is_in(browser, "/")


def test_a_limit_holds_also_where_its_event_cannot_be_written(agent, browser_of, vendor, monkeypatch, clock):
    browser = browser_of(agent)
    key = key_of(browser)
    clock.turn(hours=9)

    def away(*_: Any, **__: Any) -> None:
        raise audit.Unavailable("no")

    with monkeypatch.context() as patch:
        patch.setattr(audit, "record", away)
        assert browser.get("/").headers["Location"] == "/accounts/login/?next=%2F"
        assert with_key(key).get("/").status_code == 302
    assert with_key(key).get("/").status_code == 302
    assert len(told("session.expired")) == 1


def test_clocks_that_are_set_back_or_forward_keep_nobody_in(agent, browser_of, vendor, clock):
    early, late = browser_of(agent), browser_of(agent)
    clock.turn(minutes=-3)  # as clocks of two machines differ
    assert is_in(early)
    clock.turn(hours=-1)
    assert not is_in(early)
    clock.turn(hours=1, minutes=3)
    assert not is_in(early)
    clock.turn(days=400)
    assert not is_in(late)


@pytest.mark.parametrize(
    ("hours", "idle", "administrators", "is_sensible"),
    [(12, 8, 30, True), (8, 8, 480, True), (8, 9, 30, False), (12, 1, 61, False)],
)
def test_limits_that_contradict_each_other_are_refused(settings, hours, idle, administrators, is_sensible):
    settings.SESSION_HOURS, settings.SESSION_IDLE_HOURS = hours, idle
    settings.SESSION_IDLE_ADMIN_MINUTES = administrators
    assert [error.id for error in check_session_limits()] == ([] if is_sensible else ["portal.E019"])


def test_shorter_settings_hold_for_sessions_that_run(agent, browser_of, vendor, settings, clock):
    browser = browser_of(agent)
    clock.turn(hours=2)
    settings.SESSION_HOURS = 1
    assert not is_in(browser)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (sessions.Limit(sessions.IDLE, 60), "1 hour"),
        (sessions.Limit(sessions.IDLE, 90), "90 minutes"),
        (sessions.Limit(sessions.IDLE, 480), "8 hours"),
    ],
)
def test_limits_are_told_in_words(limit, words):
    assert limit.in_words == words
    assert limit.why_ended == f"You were signed out after {words} without activity."


# --- Ends from elsewhere -----------------------------------------------------------------------------


def change_password(browser: Browser) -> None:
    browser.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW})


def test_a_new_password_ends_the_others_with_the_reason(agent, vendor):
    here, other = sign_in(), sign_in()
    change_password(here)
    assert (is_in(here), is_in(other)) == (True, False)
    assert told("session.ended") == [{"count": 1, "reason": "password"}]


def test_another_role_ends_everything_and_another_name_nothing(agent, admin, browser_of, vendor):
    theirs, office = browser_of(agent), browser_of(admin)
    path = f"/admin/accounts/user/{agent.pk}/change/"
    form = {"username": "agent", "email": agent.email, "is_active": "on", "groups": [agent.groups.get().pk]}
    office.post(path, form | {"first_name": "Miko"})
    assert is_in(theirs)
    office.post(path, form | {"first_name": "Miko", "groups": [Group.objects.get(name=roles.TEAM_LEAD).pk]})
    assert (is_in(theirs), is_in(office)) == (False, True)
    assert told("session.ended") == [{"count": 1, "reason": "roles"}]


def test_what_a_role_may_do_is_asked_each_time_and_ends_nothing(agent, browser_of, vendor):
    browser = browser_of(agent)
    agent.groups.get().permissions.clear()
    assert (browser.get("/").status_code, is_in(browser)) == (403, True)


def test_disabling_and_resets_give_their_reasons(agent, admin, browser_of, vendor):
    office = browser_of(admin)
    browser_of(agent)
    office.post(f"/admin/accounts/user/{agent.pk}/factors/", {"reason": "lost phone"})
    browser_of(agent)
    office.post("/admin/accounts/user/", {"action": "end_sessions", "_selected_action": [agent.pk]})
    browser_of(agent)
    office.post("/admin/accounts/user/", {"action": "disable", "_selected_action": [agent.pk]})
    assert [facts["reason"] for facts in told("session.ended")] == ["factor", "administrator", "disabled"]


def test_a_session_that_a_limit_has_ended_is_no_news(agent, browser_of, vendor, clock):
    browser_of(agent)
    clock.turn(hours=9)
    assert sessions.end_all(agent, reason="password") == 0
    assert not Session.objects.exists()
    assert not told("session.ended")


def test_a_disabled_person_is_out_with_every_kind_of_request(agent, browser_of, vendor, look):
    number = vendor.add("Somebody", status=1)
    look()
    here = f"/invitations/{known(number).public_id}/"
    browser = browser_of(agent)
    assert is_in(browser, here)
    User.objects.filter(pk=agent.pk).update(is_active=False)
    vendor.ledger = Ledger()
    for path in ("/", here, "/history/", f"{here}qr/", "/accounts/security/sessions/", "/audit/"):
        assert browser.get(path).headers["Location"].startswith("/accounts/login/"), path
    for path in (*POLLS[:2], f"{here}live/"):
        assert browser.get(path, headers=HX).headers["HX-Redirect"].startswith("/accounts/login/"), path
    for path in ("/invitations/new/", f"{here}connect/", f"{here}close/", "/history/export/", "/board/alerts/"):
        assert browser.post(path, {"client_name": "Tilda"}).headers["Location"].startswith("/accounts/login/"), path
    assert not vendor.ledger.requests


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("roles", "Your roles have changed, so you were signed out. Sign in again to go on where you were."),
        ("password", "Your password was changed, so you were signed out. Was it not you?"),
        ("administrator", "An administrator has signed you out."),
        ("disabled", "An administrator has signed you out."),
        ("everybody", "An administrator has signed everybody out."),
    ],
)
def test_who_comes_back_with_an_ended_session_is_told_why_and_nobody_else(agent, vendor, reason, words):
    browser = sign_in()
    key = key_of(browser)
    if reason == "everybody":
        sessions.end_everybodys()
    else:
        sessions.end_all(agent, reason=reason)
    assert "signed" not in banner_of(Browser())
    assert "signed" not in banner_of(with_key("x" * 32))
    target = browser.get("/board/rows/", headers=HX).headers["HX-Redirect"]
    for _ in range(2):  # in whichever tab it is opened
        assert words in browser.get(target).content.decode()
    assert "signed" not in banner_of(with_key(key)), "it is told once, to the first who asks"
    assert browser.post("/accounts/login/", {"login": "agent", "password": PASSWORD}).status_code == 302
    assert sessions.ENDED not in browser.session


def banner_of(browser: Browser) -> str:
    return "".join(re.findall(r'<div class="banner".*?</div>', browser.get("/accounts/login/").content.decode()))


def test_every_reason_for_an_end_has_words(agent):
    """All that the portal itself gives as a reason."""
    given = set()
    for path in (Path(settings.BASE_DIR) / "portal" / "accounts").rglob("*.py"):
        given |= set(re.findall(r'end_(?:all|one|others)\([^)]*reason="(\w+)"', path.read_text(encoding="utf-8")))
    assert len(given) > 4
    assert given | set(SESSION_ENDING.values()) | {PERSON, "everybody"} <= set(farewells.WORDS)
    assert sessions.words_of("something of a later release") == ""


def test_an_end_is_not_told_where_nothing_can_be_written(agent, vendor, monkeypatch):
    browser = sign_in()
    sessions.end_all(agent, reason="roles")

    def full(*_: Any, **__: Any) -> None:
        raise OperationalError("attempt to write a readonly database")

    monkeypatch.setattr("django.core.cache.backends.db.DatabaseCache.delete", full)
    assert browser.get("/").headers["Location"] == "/accounts/login/?next=%2F"


# --- The person's own page ---------------------------------------------------------------------------


def test_people_see_where_they_are_signed_in(agent, colleague, vendor):
    here = sign_in()
    sign_in(agent=SAFARI, address="198.51.100.7")
    sign_in("colleague", address="203.0.113.9")
    page = here.get("/accounts/security/sessions/").content.decode()
    shown = re.findall(r"<b>([^<]+)</b>\s*<span class=\"soft\">([\d.]+) ", page)
    assert shown == [("Firefox on Windows · this one", "192.0.2.10"), ("Mobile Safari on iOS", "198.51.100.7")]
    assert not [key for key in Session.objects.values_list("pk", flat=True) if key in page]


def test_one_session_is_ended_after_a_question(agent, vendor):
    here, phone, desk = sign_in(), sign_in(agent=SAFARI), sign_in()
    tag = next(place.tag for place in sessions.places(agent) if "Safari" in place.device)
    path = f"/accounts/security/sessions/{tag}/end/"
    assert "End this session" in here.get(path).content.decode()
    assert is_in(phone)
    assert here.post(path).headers["Location"] == "/accounts/security/sessions/"
    assert (is_in(here), is_in(phone), is_in(desk)) == (True, False, True)
    assert told("session.ended") == [{"count": 1, "reason": "person"}]
    assert here.get(path).status_code == 404


def test_all_others_are_ended_after_a_question(agent, colleague, vendor):
    here, phone, desk, theirs = sign_in(), sign_in(agent=SAFARI), sign_in(), sign_in("colleague")
    path = "/accounts/security/sessions/others/end/"
    assert "End 2 sessions" in here.get(path).content.decode()
    assert "2 sessions were ended." in here.post(path, follow=True).content.decode()
    assert [is_in(browser) for browser in (here, phone, desk, theirs)] == [True, False, False, True]
    assert "nothing to end" in here.get(path).content.decode()
    assert "There was no other session any more." in here.post(path, follow=True).content.decode()


def test_the_own_session_ends_by_signing_out(agent, vendor):
    here = sign_in()
    (place,) = sessions.places(agent, key_of(here))
    assert here.post(f"/accounts/security/sessions/{place.tag}/end/").headers["Location"] == "/accounts/logout/"


def test_ending_needs_a_fresh_confirmation_and_looking_does_not(agent, browser_of, vendor):
    here, other = browser_of(agent), browser_of(agent)  # neither has shown anything
    tag = sessions.places(agent, key_of(here))[1].tag
    assert is_in(here, "/accounts/security/sessions/")
    for path in (f"/accounts/security/sessions/{tag}/end/", "/accounts/security/sessions/others/end/"):
        assert here.post(path).headers["Location"].startswith("/accounts/reauthenticate/")
    assert is_in(other)


def test_nobody_ends_a_colleague_s_session(agent, colleague, vendor):
    here, theirs = sign_in(), sign_in("colleague")
    (place,) = sessions.places(colleague)
    assert here.post(f"/accounts/security/sessions/{place.tag}/end/").status_code == 404
    assert is_in(theirs)
    with audit.writing():
        assert sessions.end_one(agent, place.tag, reason="person", by=agent) == 0


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Windows"),
        ("curl/8.5.0", "curl"),
        ("", "Unknown browser"),
        ("x" * 200, "Unknown browser"),
        ("<script>alert(1)</script>", "Unknown browser"),
    ],
)
def test_a_browser_is_named_as_its_owner_knows_it(agent, name):
    assert user_agents.name_of(agent) == name


# --- The administration ------------------------------------------------------------------------------


def test_administrators_see_and_end_a_person_s_sessions(agent, admin, browser_of, vendor):
    phone, desk, office = sign_in(agent=SAFARI), sign_in(), browser_of(admin)
    path = f"/admin/accounts/user/{agent.pk}/sessions/"
    page = office.get(path).content.decode()
    assert "Mobile Safari on iOS" in page
    assert "192.0.2.10" in page
    tag = next(place.tag for place in sessions.places(agent) if "Safari" in place.device)
    assert "One session of agent is ended." in office.post(path, {"session": tag}, follow=True).content.decode()
    assert (is_in(phone), is_in(desk)) == (False, True)
    office.post(path)
    assert not is_in(desk)
    assert told("session.ended") == [{"count": 1, "reason": "administrator"}] * 2
    assert "not signed in anywhere" in office.get(path).content.decode()


def test_administrators_end_their_own_elsewhere_and_none_of_a_superuser(admin, make_person, browser_of, vendor):
    root, office = make_person("rut", is_superuser=True), browser_of(admin)
    theirs = browser_of(root)
    own = f"/admin/accounts/user/{admin.pk}/sessions/"
    assert "/accounts/security/sessions/" in office.get(own).content.decode()
    assert "cannot do this to your own account" in office.post(own, follow=True).content.decode()
    assert told("user.change_refused") == [{"reason": "own account"}]
    assert office.post(f"/admin/accounts/user/{root.pk}/sessions/").status_code == 404
    assert is_in(office)
    assert is_in(theirs)


def test_the_kill_switch_asks_and_ends_everything(admin, agent, browser_of, vendor):
    office, theirs = sign_in("admin"), [sign_in(), sign_in()]
    path = "/admin/accounts/user/end-every-session/"
    assert path in office.get("/admin/accounts/user/").content.decode()
    assert "you as well" in office.get(path).content.decode()
    assert all(map(is_in, theirs))
    answer = office.post(path)
    assert answer.headers["Location"] == "/accounts/login/"
    assert "Every session was ended." in office.get("/accounts/login/").content.decode()
    assert not any(map(is_in, [office, *theirs]))
    assert not Session.objects.filter(user__isnull=False).exists()
    (event,) = Event.objects.filter(kind="session.all_ended")
    assert (event.actor_name, event.facts) == ("admin", {"count": 3, "people": 2})


def test_the_kill_switch_wants_the_second_factor_where_there_is_one(admin, browser_of, vendor):
    theirs, office = sign_in("admin"), browser_of(admin)
    path = "/admin/accounts/user/end-every-session/"
    assert office.post(path).headers["Location"].startswith("/accounts/reauthenticate/?next=%2Fadmin")
    TOTP.activate(admin, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    assert theirs.post(path).headers["Location"].startswith("/accounts/reauthenticate/code/?next=%2Fadmin")
    assert Session.objects.count() == 2


def run(*words: str) -> str:
    out = StringIO()
    call_command("end_sessions", *words, stdout=out)
    return out.getvalue().strip()


def test_the_command_ends_one_person_s_or_everybody_s(agent, colleague, admin, browser_of, vendor):
    mine, theirs = [browser_of(agent), browser_of(agent)], browser_of(colleague)
    assert run("AGENT") == "2 sessions of agent ended."
    assert [is_in(browser) for browser in (*mine, theirs)] == [False, False, True]
    assert run("--all") == "1 person was signed out."
    assert not is_in(theirs)
    assert told("session.ended") == [{"count": 2, "reason": "command"}]
    assert told("session.all_ended") == [{"count": 1, "people": 1}]
    assert sentences.of(Event.objects.get(kind="session.all_ended")) == "ended every session (sessions: 1, people: 1)"


def test_the_command_says_what_it_cannot_do(agent, browser_of, monkeypatch):
    browser_of(agent)
    with pytest.raises(CommandError, match="nobody with the user name nobody"):
        run("nobody")
    for words in ((), ("agent", "--all")):
        with pytest.raises(CommandError):
            run(*words)

    def away(*_: Any, **__: Any) -> None:
        raise audit.Unavailable("no")

    monkeypatch.setattr(audit, "record", away)
    with pytest.raises(CommandError, match="Nothing was done"):
        run("agent")
    assert Session.objects.exists()


def test_a_session_that_ends_while_its_person_confirms_does_not_live_on_under_another_key(
    agent, browser_of, vendor, monkeypatch
):
    browser, confirm = browser_of(agent), factor_views.Confirming.form_valid

    def ended_first(self, form):
        with audit.writing():
            sessions.end_everybodys()
        return confirm(self, form)

    monkeypatch.setattr(factor_views.Confirming, "form_valid", ended_first)
    assert browser.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 400
    assert not Session.objects.exists()
    assert browser.get("/").status_code == 302


# --- Two places at once ------------------------------------------------------------------------------


def test_a_sign_in_from_another_network_while_one_is_busy_is_told(agent, vendor):
    sign_in()
    sign_in(address="198.51.100.7")
    (event,) = Event.objects.filter(kind="session.concurrent")
    assert event.facts == {"count": 1, "same_browser": True}
    assert event.details["networks"] == ["192.0.2.10"]


def test_the_same_network_another_person_and_old_sessions_are_not(agent, colleague, vendor, clock):
    sign_in()
    sign_in(agent=SAFARI)
    sign_in("colleague", address="198.51.100.7")
    clock.turn(minutes=31)
    sign_in(address="198.51.100.7")
    assert not told("session.concurrent")


# --- Nothing wakes a session -------------------------------------------------------------------------


def test_a_copied_cookie_is_worth_nothing_after_each_kind_of_end(agent, vendor, clock):
    def after_sign_out(browser: Browser) -> None:
        browser.post("/accounts/logout/")

    def after_the_end_of_all(browser: Browser) -> None:
        sessions.end_all(agent, reason="administrator")

    def after_everybody_s(browser: Browser) -> None:
        sessions.end_everybodys()

    def after_the_idle_limit(browser: Browser) -> None:
        clock.turn(hours=8)

    def after_the_absolute_limit(browser: Browser) -> None:
        clock.turn(hours=7)
        browser.get("/")
        clock.turn(hours=5)

    for end in (
        after_sign_out,
        after_the_end_of_all,
        after_everybody_s,
        after_the_idle_limit,
        after_the_absolute_limit,
    ):
        browser = sign_in()
        key = key_of(browser)
        assert is_in(with_key(key)), end
        end(browser)
        for path in ("/", "/board/rows/"):
            assert with_key(key).get(path).status_code == 302, end
        sign_in()
        assert not is_in(with_key(key)), end


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "x" * 32,
        "x" * 100_000,
        '"abc\\000def"',
        "a" * 31 + "\x7f",
        "ä" * 32,
        "' OR 1=1 --",
        "A" * 32,
        "../../x",
    ],
)
def test_a_bad_name_of_a_session_is_a_stranger_s_and_asks_no_database(agent, browser_of, value):
    browser_of(agent)
    browser = Browser()
    is_well_formed = value == "x" * 32
    with CaptureQueriesContext(connection) as queries:
        answer = browser.get("/", headers={"cookie": f"{settings.SESSION_COOKIE_NAME}={value}"})
    assert answer.headers["Location"] == "/accounts/login/?next=%2F"
    assert len([query for query in queries if "accounts_session" in query["sql"]]) == is_well_formed
    assert Session.objects.count() == 1


def test_a_name_that_a_stranger_chose_is_never_somebody_s(agent, vendor):
    """Session fixation: neither a made-up name nor one of an anonymous session survives the sign-in."""
    stranger = Browser()
    stranger.post("/accounts/login/passkey/")  # keeps a challenge, so there is an anonymous session
    anonymous = SessionStore()
    anonymous["planted"] = True
    anonymous.save()
    for planted in ("z" * 32, str(anonymous.session_key)):
        victim = with_key(planted)
        victim.post("/accounts/login/", {"login": "agent", "password": PASSWORD})
        assert key_of(victim) != planted
        assert is_in(victim)
        assert not is_in(with_key(planted))


def test_the_time_counts_from_the_sign_in_and_not_from_the_page_before(agent, vendor, clock):
    anonymous = SessionStore()
    anonymous["planted"] = True
    anonymous.save()
    browser = with_key(str(anonymous.session_key))
    clock.turn(hours=5)
    browser.post("/accounts/login/", {"login": "agent", "password": PASSWORD})
    row = row_of(browser)
    assert timezone.now() - row.created_at < timedelta(minutes=1)
    assert timezone.now() - row.active_at < timedelta(minutes=1)
    assert row.user == agent


def test_a_session_of_a_deleted_person_is_gone(make_person, browser_of, vendor):
    person = make_person("brief", roles.AGENT)
    browser = browser_of(person)
    Session.objects.filter(user=person).update(user=None)  # as if the row had been left behind
    person.delete()
    assert not is_in(browser)


def test_a_request_that_runs_while_its_session_ends_does_not_bring_it_back(agent, browser_of):
    browser = browser_of(agent)
    running = SessionStore(key_of(browser))
    running["word"] = "for the next page"
    sessions.end_all(agent, reason="administrator")
    with pytest.raises(UpdateError):
        running.save()
    assert not Session.objects.exists()


def test_a_tab_that_saves_late_undoes_neither_activity_nor_a_confirmation(agent, vendor, clock):
    browser = sign_in()
    late, other = SessionStore(key_of(browser)), SessionStore(key_of(browser))
    late["word"] = "late"
    clock.turn(minutes=5)
    other["word"] = "early"
    other.save()
    assert is_in(browser)  # notes the activity
    noted = row_of(browser).active_at
    late.save()
    assert row_of(browser).active_at == noted
    stale = SessionStore(key_of(browser))
    stale["word"] = "older than the confirmation"
    browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
    with pytest.raises(UpdateError):
        stale.save()
    assert len(browser.session["account_authentication_methods"]) >= 1
    assert Session.objects.count() == 1


def test_two_workers_that_meet_the_limit_at_once_leave_one_event(agent, browser_of, rf):
    """Both have read the row before either removes it."""
    row = row_of(browser_of(agent))
    for request in (rf.get("/board/rows/"), rf.get("/board/waiting/")):
        request.session, request.user = SessionStore(row.pk), agent
        assert request.session.row is None
        sessions.end_by_limit(request, row, sessions.Limit(sessions.IDLE, 480))
        assert request.user.is_anonymous
        assert request.session.why_ended
    assert len(told("session.expired")) == 1


# --- Cookies, rows -----------------------------------------------------------------------------------


def test_the_cookie_is_of_this_host_alone_hidden_and_ends_with_the_browser(agent, vendor):
    cookie = sign_in().cookies["__Host-sessionid"]
    assert cookie["secure"]
    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["path"]) == ("Lax", "/")
    assert (cookie["domain"], cookie["max-age"], cookie["expires"]) == ("", "", "")


def test_old_rows_are_removed_and_the_browser_is_told_for_a_day(agent, browser_of, clock):
    browser = browser_of(agent)
    SessionStore().save()
    clock.turn(hours=13)
    sessions.remove_old()
    assert [row.user for row in Session.objects.all()] == [agent]
    answer = browser.get("/")
    assert "more than 12 hours ago" in browser.get(answer.headers["Location"]).content.decode()
    browser_of(agent)
    clock.turn(hours=37)
    call_command("clearsessions")
    assert not Session.objects.exists()


def test_the_watcher_removes_them_every_hour(agent, browser_of, vendor, clock, monkeypatch):
    from invitations.watcher import Watcher

    browser_of(agent)
    clock.turn(days=2)
    watcher = Watcher()
    watcher.tidy()
    assert not Session.objects.exists()
    browser_of(agent)
    clock.turn(days=2)
    watcher.tidy()
    assert Session.objects.exists()  # not before the next hour
