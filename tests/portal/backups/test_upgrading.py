"""An upgrade takes over what every release has left, one process at a time, and can be run again after any crash."""

from __future__ import annotations

import io
import logging
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.test import RequestFactory

from invitations.management.commands.serve import refuse_unmigrated
from invitations.models import Invitation, Note
from portal import audit, health
from portal.accounts.models import User
from portal.audit import anchors, checkpoints, keys, triggers
from portal.audit.models import Event
from portal.audit.verification import Verification
from portal.backups import archive, keeping, locks, schema, upgrading
from tests.conftest import Browser
from tests.databases import fresh
from tests.portal.backups.conftest import load, outside_of, used
from tests.releases import RELEASES

PAGES = ("/", "/history/", "/admin/", "/audit/", "/admin/self-check/")


def upgrade(*words):
    out = io.StringIO()
    call_command("upgrade", *words, stdout=out)
    return out.getvalue()


def run(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


def readiness():
    health._migrated = False
    return health.readyz(RequestFactory().get("/readyz"))


@pytest.fixture
def behind(helpdesk):
    """A database that lacks the last migrations."""
    call_command("migrate", "invitations", "0007", verbosity=0)
    yield helpdesk
    call_command("migrate", verbosity=0)


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_release_has_left_is_taken_over_whole(release, place, django_db_blocker):
    with fresh(place) as database, django_db_blocker.unblock(), used(database):
        load(database, release)
        pending = schema.pending()
        told = upgrade("--dir", str(place / "b"))
        assert ("Backup: " in told) == bool(pending)
        assert "nothing to do" in upgrade()
        assert schema.left_undone() == []
        assert (User.objects.count(), Invitation.objects.count(), Note.objects.count()) == (5, 9, 9)
        checkpoints.seal()
        report = Verification(anchors.read([outside_of(release), place]), [keys.current().public]).run()
        assert (report.state, report.covered) == ("intact", report.size)
        window = Browser()
        window.force_login(User.objects.get(username="noor"))
        assert {page: window.get(page).status_code for page in PAGES} == dict.fromkeys(PAGES, 200)
        assert readiness().status_code == 200


def test_a_backup_comes_first_and_holds_what_was_there(behind, place):
    pending = schema.pending()
    told = upgrade("--dir", str(place / "b"))
    assert f"Applying {len(pending)} migration" in told
    ((_, file),) = keeping.backups_in(place / "b")
    assert str(file) in told
    assert not set(pending) & set(archive.open_backup(file).manifest.migrations)
    kinds = list(Event.objects.order_by("-seq").values_list("kind", flat=True)[:2])
    assert kinds == ["system.migrated", "backup.made"]


def test_where_no_backup_can_be_made_nothing_is_changed_unless_asked_for(behind, place):
    (place / "b").write_text("a file in the way")
    with pytest.raises(CommandError, match=r"Nothing was changed.*--no-backup"):
        upgrade("--dir", str(place / "b"))
    assert schema.pending()
    assert "Without a backup" in upgrade("--no-backup")
    assert not schema.pending()


@pytest.mark.parametrize(
    ("error", "says"),
    [(DatabaseError("disk full"), "disk full Mend that"), (audit.Unavailable("busy"), "busy Run this again")],
)
def test_what_goes_wrong_is_told_with_what_to_do(monkeypatch, error, says):
    def fail(**_):
        raise error

    monkeypatch.setattr(upgrading, "upgrade", fail)
    with pytest.raises(CommandError, match=says):
        upgrade()


def test_a_database_of_a_newer_release_is_refused_and_still_served(helpdesk, caplog, monkeypatch):
    run("INSERT INTO django_migrations (app, name, applied) VALUES ('invitations', '9999_later', CURRENT_TIMESTAMP)")
    try:
        with pytest.raises(CommandError, match=r"newer release than this one.*invitations\.9999_later"):
            upgrade()
        with caplog.at_level(logging.WARNING):
            refuse_unmigrated()
        assert "newer release" in caplog.text
        assert readiness().status_code == 200
        monkeypatch.setattr(schema, "FORMER_APPS", {"invitations"})
        assert schema.unknown(schema.applied()) == []
    finally:
        run("DELETE FROM django_migrations WHERE name = '9999_later'")


def test_a_restore_that_was_interrupted_is_neither_upgraded_nor_served(helpdesk):
    run(f"CREATE TABLE {schema.UNFINISHED} (began timestamp)")
    try:
        for act in (upgrade, refuse_unmigrated):
            with pytest.raises(CommandError, match="restore"):
                act()
        answer = readiness()
        assert (answer.status_code, b"migrations" in answer.content) == (503, True)
    finally:
        run(f"DROP TABLE {schema.UNFINISHED}")


@pytest.mark.parametrize("lost", ["a trigger", "a permission"])
def test_what_a_crash_left_undone_is_finished(helpdesk, lost):
    told = Event.objects.filter(kind="audit.triggers")
    before = told.count()
    if lost == "a trigger":
        run("DROP TRIGGER audit_event_no_delete" + (" ON audit_event" if connection.vendor == "postgresql" else ""))
    else:
        run("DELETE FROM accounts_user_user_permissions")
        ours = "SELECT id FROM auth_permission WHERE codename = 'view_delivery'"
        run(f"DELETE FROM auth_group_permissions WHERE permission_id IN ({ours})")
        run("DELETE FROM auth_permission WHERE codename = 'view_delivery'")
    assert len(schema.left_undone()) == 1
    assert "Finishing what was interrupted" in upgrade()
    assert schema.left_undone() == []
    assert triggers.are_installed(connection)
    assert told.count() - before == (lost == "a trigger")


def test_what_stays_undone_is_told(helpdesk, monkeypatch):
    monkeypatch.setattr(schema, "left_undone", lambda: ["trigger x"])
    with pytest.raises(CommandError, match="missing: trigger x"):
        upgrade()


def test_the_second_waits_for_the_first_and_finds_nothing_to_do(helpdesk, monkeypatch):
    held = locks.held

    def busy(what, *, notice):
        notice()
        return held(what)

    monkeypatch.setattr(locks, "held", busy)
    told = upgrade()
    assert told.index("Waiting for its end") < told.index("nothing to do")


def test_releases_are_compared_as_numbers(settings):
    settings.RELEASE = "0.10.0"
    assert [schema.is_newer(each) for each in ("0.9.9", "0.10.0", "0.10.1", "1.0", "next")] == [
        *(False, False, True, True, True)
    ]


def test_rights_that_are_missing_are_found(helpdesk, settings, monkeypatch):
    settings.DATABASE_RUNTIME_ROLE = "nobody-yet"
    if connection.vendor == "sqlite":
        asked = []
        cursor = SimpleNamespace(execute=lambda sql, values: asked.append(values), fetchall=lambda: [("audit_event",)])
        fake = SimpleNamespace(vendor="postgresql", cursor=lambda: Entered(cursor))
        monkeypatch.setattr(schema, "connection", fake)
        monkeypatch.setattr(schema.triggers, "missing", lambda _: [])
        assert schema.left_undone() == ["rights on audit_event"]
        assert asked == [["nobody-yet"]]
    else:
        with pytest.raises(CommandError, match="cannot be upgraded: role"):
            upgrade()


class Entered:
    def __init__(self, cursor):
        self.cursor = cursor

    def __enter__(self):
        return self.cursor

    def __exit__(self, *_):
        pass
