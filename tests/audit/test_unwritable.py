"""The log cannot be written: nothing that needs it happens, the person is told, and reading goes on."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections
from django.utils import timezone

from invitations import actions, operations, orphans, sync
from invitations.models import Invitation, Operation, Policy
from portal import audit
from portal.accounts import roles
from portal.accounts.models import OneTimeLink, Team, User
from portal.audit import appending
from portal.audit.models import Event
from portal.getscreen import configured
from portal.getscreen.simulator import Ledger
from tests.conftest import PASSWORD, POLICY_LIMITS, Browser

POSTGRESQL = connection.vendor == "postgresql"
TITLE = "The audit log cannot be written"
NOTHING = "The audit log cannot be written. Nothing was done."
NEW = "another long and quiet passphrase"
BREAK = {
    "trigger": [
        "CREATE TRIGGER zz BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'disk on fire'); END",
    ],
    "no table": ["ALTER TABLE audit_event RENAME TO audit_event_away"],
}
if POSTGRESQL:
    BREAK["trigger"] = [
        "CREATE FUNCTION zz() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'disk on fire'; END$$",
        "CREATE TRIGGER zz BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION zz()",
    ]
    # Still to be read: in the one transaction of a test, PostgreSQL refuses everything after a first error.
    BREAK["no table"].append("CREATE VIEW audit_event AS SELECT * FROM audit_event_away LIMIT 1000000")
WAYS = [*BREAK] if POSTGRESQL else [*BREAK, "locked"]


class Desk:
    """People at work, with everything prepared that a form needs, before the log fails."""

    def __init__(self, vendor: Any) -> None:
        self.vendor = vendor
        vendor.add("Tilda", status=1, client_os="win")
        sync.run_round(configured.client())
        self.agent, self.admin = person("agent", roles.AGENT), person("admin", roles.ADMINISTRATOR)
        self.outsider = person("outsider")
        self.invitation = Invitation.objects.get()
        Invitation.objects.update(created_by=self.agent, is_external=False)
        self.here = f"/invitations/{self.invitation.public_id}/"
        self.policy, self.team = Policy.load().pk, Team.objects.create(name="First line").pk
        self.by = {user.username: signed_in(user) for user in (self.agent, self.admin, self.outsider)}
        self.stranger, self.forgetful = Browser(), Browser()
        self.reset = self.open_reset_link()
        vendor.ledger = Ledger()
        self.events = Event.objects.count()

    def open_reset_link(self) -> str:
        self.forgetful.post("/accounts/password/reset/", {"email": self.outsider.email})
        link = re.search(r"https://testserver(\S+)", mail.outbox.pop().body)
        assert link
        return self.forgetful.get(link[1], follow=True).redirect_chain[0][0]

    def state(self) -> dict[str, Any]:
        """Everything that a refused form must leave as it was."""
        people = list(User.objects.order_by("pk").values("pk", "username", "password", "is_active", "last_login"))
        rows = Invitation.objects.values("pk", "client_name", "status", "taken_by")
        policies, links = Policy.objects.values("recording"), OneTimeLink.objects.count()
        rest = {"links": links, "open": Operation.objects.count(), "teams": list(Team.objects.values("name"))}
        return {"people": people, "rows": [*rows, *policies], **rest}


def person(name: str, *names: str) -> User:
    user = User.objects.create_user(name, f"{name}@example.org", PASSWORD)
    user.groups.set(Group.objects.filter(name__in=names))
    return user


def signed_in(user: User) -> Browser:
    browser = Browser()
    browser.force_login(user)
    return browser


Act = Callable[[Desk], Any]
ACTIONS: dict[str, Act] = {
    "create": lambda desk: desk.by["agent"].post("/invitations/new/", {"client_name": "Bo Keep", "ticket": "T-77"}),
    "connect": lambda desk: desk.by["agent"].post(f"{desk.here}connect/"),
    "rename": lambda desk: desk.by["agent"].post(f"{desk.here}rename/", {"client_name": "Bo Keep"}),
    "close": lambda desk: desk.by["agent"].post(f"{desk.here}close/"),
    "preview": lambda desk: desk.by["agent"].get(f"{desk.here}preview/"),
    "qr": lambda desk: desk.by["agent"].get(f"{desk.here}qr/"),
    "copied": lambda desk: desk.by["agent"].post(f"{desk.here}copied/", {"what": "code"}),
    "sign in": lambda desk: desk.stranger.post("/accounts/login/", {"login": "Bo Keep", "password": PASSWORD}),
    "sign in rightly": lambda desk: desk.stranger.post("/accounts/login/", {"login": "agent", "password": PASSWORD}),
    "change the password": lambda desk: desk.by["agent"].post(
        "/accounts/password/change/", {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    ),
    "confirm the password": lambda desk: desk.by["agent"].post("/accounts/reauthenticate/", {"password": PASSWORD}),
    "ask for a reset": lambda desk: desk.stranger.post("/accounts/password/reset/", {"email": "agent@example.org"}),
    "ask for a reset of nobody": lambda desk: desk.stranger.post(
        "/accounts/password/reset/", {"email": "keep@example.org"}
    ),
    "reset": lambda desk: desk.forgetful.post(desk.reset, {"password1": NEW, "password2": NEW}),
    "log": lambda desk: desk.by["agent"].get("/audit/"),
    "log in the administration": lambda desk: desk.by["admin"].get("/admin/audit/event/"),
    "event of the log": lambda desk: desk.by["admin"].get("/audit/1/"),
    "ask for a check": lambda desk: desk.by["admin"].post("/audit/verify/"),
    "export the log": lambda desk: desk.by["admin"].post("/audit/export/", {"form": "jsonl"}),
    "export the evidence": lambda desk: desk.by["admin"].post(f"{desk.here}evidence/"),
    "export the history": lambda desk: desk.by["agent"].post("/history/export/"),
    "add a person": lambda desk: desk.by["admin"].post(
        "/admin/accounts/user/add/", {"username": "keep-me", "password1": NEW, "password2": NEW}
    ),
    "invite a person": lambda desk: desk.by["admin"].post("/admin/accounts/user/invite/", {"username": "keep-me"}),
    "import people": lambda desk: desk.by["admin"].post(
        "/admin/accounts/user/import/", {"text": "username\nkeep-me", "step": "all"}
    ),
    "make a link": lambda desk: desk.by["admin"].post(f"/admin/accounts/user/{desk.agent.pk}/link/"),
    "remove factors": lambda desk: desk.by["admin"].post(
        f"/admin/accounts/user/{desk.agent.pk}/factors/", {"reason": "Bo Keep called"}
    ),
    "disable a person": lambda desk: desk.by["admin"].post(
        f"/admin/accounts/user/{desk.agent.pk}/change/",
        {"username": "agent", "email": desk.agent.email, "first_name": "Bo Keep"},
    ),
    "disable people from the list": lambda desk: desk.by["admin"].post(
        "/admin/accounts/user/", {"action": "disable", "_selected_action": str(desk.agent.pk)}
    ),
    "add a role": lambda desk: desk.by["admin"].post(
        "/admin/auth/group/add/", {"name": "Bo Keep", "actions": "invitations.see_board"}
    ),
    "change a role": lambda desk: desk.by["admin"].post(
        f"/admin/auth/group/{desk.agent.groups.get().pk}/change/", {"actions": "invitations.see_board"}
    ),
    "add a team": lambda desk: desk.by["admin"].post("/admin/accounts/team/add/", {"name": "Bo Keep"}),
    "delete a team": lambda desk: desk.by["admin"].post(f"/admin/accounts/team/{desk.team}/delete/", {"post": "yes"}),
    "set a password": lambda desk: desk.by["admin"].post(
        f"/admin/accounts/user/{desk.agent.pk}/password/", {"password1": NEW, "password2": NEW}
    ),
    "change the policy": lambda desk: desk.by["admin"].post(
        f"/admin/invitations/policy/{desk.policy}/change/",
        POLICY_LIMITS | {"helpdesk_name": "Bo Keep", "recording": "off", "previews": "click"},
    ),
}
KEEPING = {
    "create": "Bo Keep",
    "rename": "Bo Keep",
    "sign in": "Bo Keep",
    "ask for a reset of nobody": "keep@example",
    "add a person": 'value="keep-me"',
    "invite a person": 'value="keep-me"',
    "import people": "keep-me",
    "remove factors": 'value="Bo Keep called"',
    "disable a person": 'value="Bo Keep"',
    "add a role": 'value="Bo Keep"',
    "add a team": 'value="Bo Keep"',
    "change a role": 'value="invitations.see_board" id="id_actions_0_0" checked',
    "change the policy": 'value="Bo Keep"',
}
READING = ("/", "/board/rows/", "/board/waiting/", "/history/", "{here}", "{here}live/", "/accounts/login/")


@contextmanager
def held(file: str) -> Iterator[None]:
    """Somebody else writes to the database, for longer than anybody waits."""
    other = sqlite3.connect(file, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
    finally:
        other.close()


@pytest.fixture(params=WAYS)
def without_log(request, vendor, monkeypatch) -> Callable[[Callable[[Desk], None]], None]:
    """Return a function that prepares a desk, breaks the log in one of the ways, and runs the test's body."""
    if request.param != "locked":
        request.getfixturevalue("db")

        def in_a_transaction(body: Callable[[Desk], None]) -> None:
            desk = Desk(vendor)
            with connection.cursor() as cursor:
                for statement in BREAK[request.param]:
                    cursor.execute(statement)
            body(desk)

        return in_a_transaction
    at_once = request.getfixturevalue("at_once")
    monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "timeout", 0.01)
    monkeypatch.setattr("allauth.core.internal.ratelimit.CACHE_LOCK_WAIT_TIMEOUT", 0.01)

    def in_a_file(body: Callable[[Desk], None]) -> None:
        def work(_: int) -> None:
            desk = Desk(vendor)
            with held(connection.settings_dict["NAME"]):
                body(desk)

        (outcome,) = at_once(1, work)
        if outcome is not None:
            raise outcome

    return in_a_file


@pytest.mark.parametrize("name", ACTIONS)
def test_nothing_happens_that_cannot_be_recorded(without_log, name):
    def body(desk: Desk) -> None:
        before = desk.state()
        answer = ACTIONS[name](desk)
        page = answer.content.decode()
        assert (answer.status_code, NOTHING in page) == (503, True)
        assert KEEPING.get(name, "") in page
        assert NEW not in page
        assert "Location" not in answer.headers
        assert "__Host-sessionid" not in answer.cookies
        assert not desk.vendor.ledger.requests
        assert not mail.outbox
        assert desk.state() == before
        assert desk.by["agent"].get("/").status_code == 200, "still signed in"

    without_log(body)


def test_reading_goes_on(without_log):
    def body(desk: Desk) -> None:
        browser = desk.by["agent"]
        for path in READING[:-1]:
            assert browser.get(path.format(here=desk.here)).status_code == 200, path
        assert desk.stranger.get(READING[-1]).status_code == 200
        assert "Tilda" in browser.get("/").content.decode()

    without_log(body)


def test_a_refusal_stays_one(without_log, caplog):
    def body(desk: Desk) -> None:
        assert desk.by["outsider"].get("/").status_code == 403
        strict = Browser(enforce_csrf_checks=True)
        assert strict.post("/accounts/login/", {"login": "agent"}).status_code == 403
        assert desk.stranger.get("/accounts/enrol/nothing/").status_code == 410
        assert desk.stranger.get("/accounts/password/reset/key/1-x/").status_code == 200

    without_log(body)
    lines = [record.getMessage() for record in caplog.records if "could not be recorded" in record.getMessage()]
    assert "An event (access.denied) could not be recorded: the audit log cannot be written" in lines
    assert not any("outsider" in line for line in lines)


def test_signing_out_works_as_long_as_the_session_can_be_removed(without_log):
    def body(desk: Desk) -> None:
        answer = desk.by["agent"].post("/accounts/logout/")
        is_out = desk.by["agent"].get("/").status_code == 302
        assert (answer.status_code, is_out) in ((302, True), (503, False))

    without_log(body)


def test_the_portal_is_not_ready(without_log):
    def body(desk: Desk) -> None:
        answer = desk.stranger.get("/readyz")
        assert (answer.status_code, answer.json()["problem"]) == (503, "audit")

    without_log(body)


def test_whoever_enrols_keeps_what_they_typed(without_log, monkeypatch):
    class Empty(Desk):
        def __init__(self, vendor: Any) -> None:
            super().__init__(vendor)
            User.objects.filter(username="admin").update(is_active=False)
            self.token = OneTimeLink.objects.issue(OneTimeLink.Purpose.ADMINISTRATOR)

    monkeypatch.setattr("tests.audit.test_unwritable.Desk", Empty)

    def body(desk: Any) -> None:
        before = desk.state()
        form = {"username": "first", "email": "first@example.org", "password1": NEW, "password2": NEW}
        answer = desk.stranger.post(f"/accounts/enrol/{desk.token}/", form)
        assert (answer.status_code, NOTHING in answer.content.decode()) == (503, True)
        assert "first@example.org" in answer.content.decode()
        assert NEW not in answer.content.decode()
        assert desk.state() == before

    without_log(body)


@pytest.mark.parametrize("command", ["create_admin", "createsuperuser", "changepassword", "serve", "watch"])
def test_commands_say_so_and_do_nothing(without_log, monkeypatch, command):
    typed = {"createsuperuser": {"username": "root", "email": "root@example.org", "interactive": False}}
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", NEW)
    monkeypatch.setattr("django.contrib.auth.management.commands.changepassword.getpass.getpass", lambda prompt: NEW)
    monkeypatch.setattr("portal.accounts.management.commands.create_admin.administrators", User.objects.none)
    monkeypatch.setattr("invitations.static_files.ensure_collected", lambda: None)
    monkeypatch.setattr("portal.audit.lines.speak", lambda: None)
    monkeypatch.setattr("django.core.management.base.BaseCommand.check", lambda *args, **kwargs: None)

    def body(desk: Desk) -> None:
        before = desk.state()
        with pytest.raises(CommandError, match="audit log cannot be written"):
            call_command(command, *(["agent"] if command == "changepassword" else []), **typed.get(command, {}))
        assert desk.state() == before

    without_log(body)


FAILING_LATER = {
    "create": lambda agent, row: actions.create(by=agent, client_name="Bo"),
    "connect": lambda agent, row: actions.connect(invitation=row, by=agent),
    "rename": lambda agent, row: actions.rename(invitation=row, by=agent, client_name="Bo"),
    "close": lambda agent, row: actions.close(invitation=row, by=agent),
}


def full_after_the_intent(patch: pytest.MonkeyPatch) -> None:
    add = appending.add

    def full(content: dict[str, Any], told: dict[str, Any]) -> Event:
        if content["phase"] == "intent":
            return add(content, told)
        raise audit.Unavailable("disk full")

    patch.setattr(appending, "add", full)


@pytest.mark.parametrize("verb", FAILING_LATER)
def test_an_outcome_that_cannot_be_recorded_stays_open_until_it_is_settled(
    agent, browser_of, vendor, look, monkeypatch, verb
):
    vendor.add("Tilda", status=1)
    look()
    Invitation.objects.update(created_by=agent, is_external=False)
    row = Invitation.objects.get()
    before = (row.status, row.client_name, row.taken_by_id)
    with monkeypatch.context() as patch:
        full_after_the_intent(patch)
        with pytest.raises(operations.Unrecorded):
            FAILING_LATER[verb](agent, row)
    op = Operation.objects.get()
    assert op.state == Operation.State.PENDING
    early = timezone.now() - timedelta(minutes=5)
    Operation.objects.update(started_at=early)
    Invitation.objects.filter(connecting_at__isnull=False).update(connecting_at=early, taken_at=early)
    assert operations.abandon_interrupted() == 1
    assert orphans.return_orphans() == (verb == "connect")
    row.refresh_from_db()
    assert (row.status, row.client_name, row.taken_by_id) == before
    look()
    found = [(event.kind, event.phase, event.result) for event in Event.objects.order_by("seq")]
    assert (f"invitation.{verb}", "intent", "") in found
    assert (f"invitation.{verb}", "reconciled", "unknown") in found
    assert ("system.recovered", "single", "ok") in found


def test_a_link_whose_connection_cannot_be_recorded_is_thrown_away(agent, browser_of, vendor, look, monkeypatch):
    vendor.add("Tilda", status=1)
    look()
    full_after_the_intent(monkeypatch)
    answer = browser_of(agent).post(f"/invitations/{Invitation.objects.get().public_id}/connect/")
    page = answer.content.decode()
    assert (answer.status_code, TITLE in page) == (503, True)
    assert "Location" not in answer.headers
    (link,) = vendor.ledger.links
    assert str(link) not in page
    assert "turbo" not in page
    assert "Try again" in page


def test_limits_stay_limits(agent, vendor, monkeypatch):
    """A stranger who is stopped stays stopped, whatever becomes of the counters."""

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise DatabaseError

    monkeypatch.setattr(cache, "get", broken)
    assert Browser().get("/accounts/enrol/nothing/").status_code == 410
    assert Event.objects.get().kind == "enrolment.refused"
