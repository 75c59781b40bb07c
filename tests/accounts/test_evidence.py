"""What becomes of sessions, passwords and limits, as the log tells it."""

from __future__ import annotations

import pytest
from django.core import mail
from django.core.management import CommandError, call_command

from portal import audit
from portal.accounts import people
from portal.accounts.models import Session, User
from portal.audit import sentences
from portal.audit.models import Event
from tests.conftest import PASSWORD, Browser, pass_a_minute

NEW = "another long and quiet passphrase"
GETPASS = "django.contrib.auth.management.commands.changepassword.getpass.getpass"


def ended() -> list[tuple[str, int]]:
    return [(event.actor_name, event.facts["count"]) for event in Event.objects.filter(kind="session.ended")]


def kinds() -> list[str]:
    return [event.kind for event in Event.objects.order_by("seq")]


def test_a_changed_password_ends_the_other_sessions_and_counts_them(agent, colleague, browser_of, vendor):
    here, elsewhere, theirs = browser_of(agent), [browser_of(agent), browser_of(agent)], browser_of(colleague)
    here.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW})
    assert ended() == [("Mika Lind", 2)]
    assert here.get("/").status_code == theirs.get("/").status_code == 200
    assert {browser.get("/").status_code for browser in elsewhere} == {302}
    assert Session.objects.filter(user__isnull=False).count() == 2
    assert sentences.of(Event.objects.get(kind="session.ended")) == "ended 2 sessions of agent"


def test_where_there_is_no_other_session_nothing_is_said(agent, browser_of, vendor):
    form = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    browser_of(agent).post("/accounts/password/change/", form)
    assert kinds() == ["password.changed"]


def test_a_disabled_account_wakes_no_session_when_it_is_enabled_again(agent, admin, browser_of, vendor):
    theirs, administration = browser_of(agent), browser_of(admin)
    form = {"username": "agent", "email": agent.email, "groups": [agent.groups.get().pk]}
    path = f"/admin/accounts/user/{agent.pk}/change/"
    assert administration.post(path, form).status_code == 302
    assert administration.post(path, form | {"is_active": "on"}).status_code == 302
    assert ended() == [("admin", 1)]
    assert theirs.get("/").status_code == 302
    assert administration.get("/").status_code == 200


def test_other_changes_end_no_session(agent, admin, browser_of, vendor):
    theirs = browser_of(agent)
    form = {"username": "agent", "email": "new@example.org", "is_active": "on", "groups": [agent.groups.get().pk]}
    browser_of(admin).post(f"/admin/accounts/user/{agent.pk}/change/", form)
    assert theirs.get("/").status_code == 200
    assert ended() == []


def test_a_confirmed_password_and_a_wrong_one_are_events(agent, browser_of, vendor):
    browser = browser_of(agent)
    for password in ("wrong", PASSWORD):
        browser.post("/accounts/reauthenticate/", {"password": password})
    found = Event.objects.order_by("seq")
    assert [(event.kind, event.result, event.actor_id) for event in found] == [
        ("reauthentication.failed", "denied", agent.pk),
        ("reauthentication.ok", "ok", agent.pk),
    ]


def test_limits_are_events_of_people_and_counted_for_strangers(agent, browser_of, vendor, settings):
    settings.ACCOUNT_RATE_LIMITS = {"reauthenticate": "1/m/user", "login": "1/m/ip"}
    browser = browser_of(agent)
    assert [browser.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code for _ in range(3)] == [
        302,
        429,
        429,
    ]
    stranger = Browser()
    answers = [stranger.post("/accounts/login/", {"login": "x", "password": "y"}).status_code for _ in range(4)]
    assert answers == [200, 429, 429, 429]
    found = Event.objects.filter(kind="access.limited").order_by("seq")
    assert [(event.actor_id, event.target_label) for event in found] == [
        (agent.pk, "/accounts/reauthenticate/"),
        (agent.pk, "/accounts/reauthenticate/"),
        (None, "/accounts/login/"),
    ]


def test_a_used_reset_link_is_an_event_without_the_link(agent, anonymous, vendor):
    anonymous.get("/accounts/password/reset/key/1-aaaaaa-bbbbbbbbbbbb/")
    event = Event.objects.get()
    assert (event.kind, event.result, event.actor_id) == ("password.reset_refused", "denied", None)
    assert "bbbbbb" not in event.record + str(event.details)


def test_strangers_cannot_fill_the_log_with_refused_links(db, anonymous):
    for _ in range(5):
        anonymous.get("/accounts/enrol/nothing/")
    assert kinds() == ["enrolment.refused"]
    pass_a_minute("audit:enrolment.refused:127.0.0.1")
    anonymous.get("/accounts/enrol/nothing/")
    assert Event.objects.last() is not None
    assert [event.facts for event in Event.objects.order_by("seq")] == [{"left_out_before": 0}, {"left_out_before": 4}]


def test_createsuperuser_leaves_an_event(db, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", NEW)
    call_command("createsuperuser", username="root", email="root@example.org", interactive=False, verbosity=0)
    event = Event.objects.get()
    assert (event.kind, event.actor, event.target_label) == ("user.created", "portal", "root")
    assert event.facts == {"superuser": True}
    assert User.objects.get().is_superuser
    User.objects.create_user("later")
    assert kinds() == ["user.created"], "only the command's own"


def test_changepassword_ends_links_that_could_undo_it(agent, admin, monkeypatch):
    with audit.writing():
        people.make_link(agent, admin)
    monkeypatch.setattr(GETPASS, lambda prompt: NEW)
    call_command("changepassword", "agent", verbosity=0)
    assert not agent.one_time_links.exists()


def test_who_is_made_by_command_can_reset_their_password(db, anonymous, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", NEW)
    call_command("createsuperuser", username="root", email="Root@Example.org", interactive=False, verbosity=0)
    assert User.objects.get().email == "root@example.org"
    anonymous.post("/accounts/password/reset/", {"email": "Root@Example.org"})
    assert [message.to for message in mail.outbox] == [["root@example.org"]]


def test_changepassword_leaves_an_event_and_ends_sessions(agent, browser_of, vendor, monkeypatch):
    browser = browser_of(agent)
    monkeypatch.setattr(GETPASS, lambda prompt: NEW)
    call_command("changepassword", "agent", verbosity=0)
    assert kinds() == ["user.password_set", "session.ended"]
    assert browser.get("/").status_code == 302
    assert NEW not in "".join(Event.objects.values_list("record", flat=True))


def test_changepassword_takes_nothing_back_that_was_done_while_somebody_typed(agent, admin, monkeypatch):
    def typed(prompt):
        with audit.writing():
            people.disable(User.objects.get(pk=agent.pk), admin)
        return NEW

    monkeypatch.setattr(GETPASS, typed)
    call_command("changepassword", "agent", verbosity=0)
    agent.refresh_from_db()
    assert (agent.is_active, agent.check_password(NEW)) == (False, True)


def test_a_command_that_gives_up_leaves_nothing(agent, monkeypatch):
    monkeypatch.setattr(GETPASS, lambda prompt: "short")
    with pytest.raises(CommandError, match="Aborting"):
        call_command("changepassword", "agent", verbosity=0)
    assert kinds() == []


def test_a_command_holds_no_lock_while_somebody_types(agent, monkeypatch):
    began = []
    writing = audit.writing
    monkeypatch.setattr(audit, "writing", lambda **options: began.append(1) or writing(**options))
    monkeypatch.setattr(GETPASS, lambda prompt: NEW if not began else pytest.fail("the log is locked"))
    call_command("changepassword", "agent", verbosity=0)
    assert began
