"""The portal in its own log: started, stopped, with other settings, brought to another release."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from portal import audit
from portal.audit import program
from portal.audit.models import Checkpoint, Event, Standing
from portal.getscreen.types import Secret
from tests.installation import Installation, vendor_on_a_port, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
OLD = "the-secret-before-and-nothing-else-0123456789"


def kinds() -> list[str]:
    return [event.kind for event in Event.objects.order_by("seq")]


def names() -> list[list[str]]:
    return [event.facts["names"] for event in Event.objects.filter(kind="system.configured").order_by("seq")]


def test_the_first_start_knows_no_other_settings(db):
    program.started()
    assert kinds() == ["system.started"]
    assert Standing.load().settings_digests["POLL_SECONDS"]


def test_a_start_with_other_settings_names_them_and_no_value(db, settings):
    program.started()
    settings.POLL_SECONDS, settings.GETSCREEN_API_KEY = 7, Secret("another-key-not-real")
    program.started()
    program.started()
    assert names() == [["GETSCREEN_API_KEY", "POLL_SECONDS"]]
    stored = str(Standing.load().settings_digests) + "".join(Event.objects.values_list("record", flat=True))
    assert "another-key" not in stored


def test_a_setting_that_appears_or_goes_is_named(db):
    program.started()
    before = Standing.load().settings_digests
    del before["TIME_ZONE"]
    Standing.note(settings_digests=before | {"FORMER": "x"})
    program.started()
    assert names() == [["FORMER", "TIME_ZONE"]]


def test_a_new_secret_key_does_not_make_every_secret_look_changed(db, settings):
    program.started()
    settings.SECRET_KEY, settings.POLL_SECONDS = OLD, 7
    program.started()
    assert names() == [["POLL_SECONDS", "SECRET_KEY"]]


@pytest.mark.parametrize("kind", [set, frozenset])
def test_the_order_of_a_set_is_no_change(kind):
    first, second = kind([8, 0]), kind([0, 8])
    assert (first, repr(first)) != (second, repr(second)), "equal, and differently written"
    assert program.shown(first) == program.shown(second)


def test_the_release_is_no_setting(db, settings):
    program.started()
    settings.RELEASE = "9.9.9"
    program.started()
    assert names() == []


@pytest.mark.parametrize("name", ["SECRET_KEY", "SECRET_KEY_FALLBACKS", "GETSCREEN_API_KEY", "DATABASES", "MAILERS"])
def test_what_could_be_secret_has_no_digest_that_can_be_guessed(settings, name):
    value = program.digests()[name]
    settings.SECRET_KEY = OLD
    assert program.digests()[name] != value


def test_a_secret_s_digest_follows_its_value(settings):
    before = program.digests()
    settings.GETSCREEN_API_KEY = Secret("another-key-not-real")
    now = program.digests()
    assert {name for name in now if now[name] != before[name]} == {"GETSCREEN_API_KEY"}


def test_a_clean_end_is_recorded_and_sealed(db):
    program.started()
    program.stopped()
    end = Event.objects.get(kind="system.stopped")
    assert Checkpoint.objects.get().size >= end.seq


def test_an_end_that_cannot_be_recorded_is_still_an_end(db, monkeypatch, caplog):
    def broken(*args: object, **facts: object) -> None:
        raise audit.Unavailable("away")

    monkeypatch.setattr(audit, "record", broken)
    program.stopped()
    assert "could not be recorded" in caplog.text


def test_a_migration_that_changes_nothing_leaves_no_event(db):
    call_command("migrate", verbosity=0)
    assert kinds() == []


def test_a_migration_of_an_existing_log_is_told_with_its_triggers_in_place(db):
    MigrationRecorder(connection).record_unapplied("sessions", "0001_initial")
    call_command("migrate", "sessions", fake=True, verbosity=0)
    event = Event.objects.get(kind="system.migrated")
    assert event.facts == {"applied": ["sessions.0001_initial"], "taken_back": []}


def test_a_migration_that_cannot_be_recorded_says_so(db, monkeypatch):
    MigrationRecorder(connection).record_unapplied("sessions", "0001_initial")

    def broken(*args: object, **facts: object) -> None:
        raise audit.Unavailable("away")

    monkeypatch.setattr(audit, "record", broken)
    with pytest.raises(CommandError, match="could not record it"):
        call_command("migrate", "sessions", fake=True, verbosity=0)


def manage(file: Path, *words: str) -> str:
    environment = {
        "DATABASE_URL": f"sqlite:///{file}",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ENV_FILE": "none",
        "PATH": "",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=environment | {"DJANGO_SETTINGS_MODULE": "portal.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_database_begins_with_an_empty_log_and_an_older_one_says_what_was_done(tmp_path):
    file = tmp_path / "new.sqlite3"
    manage(file, "migrate", "audit", "0001", "-v0")
    manage(file, "migrate", "-v0")
    look = "from portal.audit.models import Event; print([(e.kind, e.facts) for e in Event.objects.all()])"
    told = manage(file, "shell", "-v0", "-c", look)
    assert "system.migrated" in told
    assert "audit.0002_chain" in told
    other = tmp_path / "other.sqlite3"
    manage(other, "migrate", "-v0")
    assert manage(other, "shell", "-v0", "-c", look).strip() == "[]"


@pytest.mark.parametrize("command", ["serve", "watch"])
def test_a_start_and_a_clean_end_are_told_once(tmp_path, command):
    """With two workers as well: each of them leaves through the same door as the process that started them."""
    with vendor_on_a_port() as (_, server), Installation(tmp_path, server) as portal:
        portal.prepare()
        process = portal.serve(workers=2) if command == "serve" else portal.watch()
        look = "SELECT seq FROM audit_event WHERE kind = ?"
        wait_until(lambda: portal.ask(look, "system.started"))
        wait_until(lambda: portal.ask("SELECT 1 FROM audit_standing WHERE triggers_checked_at IS NOT NULL"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        assert len(portal.ask(look, "system.started")) == 1
        ((end,),) = portal.ask(look, "system.stopped")
        assert portal.ask("SELECT MAX(size) FROM audit_checkpoint") == [(end,)]
        if command == "serve":
            said = [json.loads(line) for line in portal.log().splitlines() if '"log": "audit"' in line]
            assert [line["seq"] for line in said if line["kind"].startswith("system.st")][-1] == end
