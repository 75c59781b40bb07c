"""A backup holds the whole portal and no way into it, and says whether it is what was written."""

from __future__ import annotations

import io
import os
import stat
import threading
import zipfile
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from portal import audit
from portal.accounts.models import OneTimeLink, Session, User
from portal.audit import keys
from portal.audit.appending import newest, refuse_without_space
from portal.audit.models import Checkpoint, Event
from portal.backups import archive, keeping, locks, making, programs, schedule, sources
from portal.backups.archive import Damaged
from portal.getscreen.types import Secret
from tests.databases import fresh
from tests.portal.backups.conftest import used

ON_SQLITE = connection.vendor == "sqlite"


def run(*words):
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def made(folder):
    file, _ = making.make(folder)
    return archive.open_backup(file)


def test_it_says_where_the_log_ended_and_the_log_says_that_it_was_made(helpdesk, place):
    before = newest()
    backup = made(place / "b")
    said = backup.manifest
    assert (said.events, said.head) >= (before.seq, "")
    assert Event.objects.get(seq=said.events).hash == said.head
    assert Checkpoint.objects.get(size=said.events).note == said.checkpoint
    event = Event.objects.order_by("-seq").first()
    assert (event.kind, event.result, event.facts["file"]) == ("backup.made", "ok", backup.file.name)
    assert event.facts["sha256"] == said.sha256
    backup.check()
    assert backup.is_signed_by([keys.current().public])


def test_only_its_owner_may_read_it_and_its_folder_and_nothing_is_left_beside_it(helpdesk, place):
    folder = place / "b"
    backup = made(folder)
    assert [entry.name for entry in folder.iterdir()] == [backup.file.name]
    assert stat.S_IMODE(backup.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_it_holds_no_key_and_nothing_that_opens_a_door(helpdesk, place, settings):
    settings.GETSCREEN_API_KEY = Secret("an-api-key-that-must-not-turn-up")
    session = Session.objects.create(
        session_key="a" * 31 + "7", session_data="x", expire_date=timezone.now() + timedelta(hours=1)
    )
    OneTimeLink.objects.issue(OneTimeLink.Purpose.RESET, User.objects.first())
    digests = list(OneTimeLink.objects.values_list("digest", flat=True))
    backup = made(place / "b")
    with backup.chunks() as parts:
        content = b"".join(parts) + backup.raw
    assert b"Tilda" in content or b"HD-1" in content
    pem = settings.AUDIT_KEY_FILE.read_bytes().splitlines()[1]
    found = [session.session_key.encode(), *(each.encode() for each in digests)]
    found += [settings.SECRET_KEY.encode(), b"an-api-key-that-must-not-turn-up", pem]
    assert [secret for secret in found if secret in content] == []


def test_trouble_where_it_is_written_is_not_called_damage(helpdesk, place):
    def write_elsewhere(backup):
        with backup.chunks() as parts:
            next(parts)
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_elsewhere(made(place / "b"))


def test_what_is_written_meanwhile_is_not_in_it_and_is_not_stopped(helpdesk, place, monkeypatch):
    write = archive.write

    def slowly(draft, parts, about):
        audit.record("signout")
        return write(draft, parts, about)

    monkeypatch.setattr(archive, "write", slowly)
    backup = made(place / "b")
    assert Event.objects.get(seq=backup.manifest.events + 1).kind == "signout"


OTHER_MANIFESTS = {
    "a manifest": lambda raw: b"[]",
    "another form": lambda raw: raw.replace(b'"format": 1', b'"format": 9'),
    "another size": lambda raw: raw.replace(b'"size": ', b'"size": 0.'),
    "a deep manifest": lambda raw: b"[" * 500_000,
    "an endless manifest": lambda raw: b" " * archive.ABOUT + raw,
}


@pytest.mark.parametrize("what", ["no file", "no zip", "cut off", "other bytes", "odd names", *OTHER_MANIFESTS])
def test_a_damaged_file_is_told(helpdesk, place, what):
    file = made(place / "b").file
    content = file.read_bytes()
    if what == "no file":
        file.unlink()
    elif what == "no zip":
        file.write_bytes(b"nothing")
    elif what == "cut off":
        file.write_bytes(content[: len(content) // 2])
    elif what == "other bytes":
        middle, end = len(content) // 3, len(content) // 3 + 64  # of one alone its neighbours may take the place
        file.write_bytes(content[:middle] + bytes(byte ^ 0x55 for byte in content[middle:end]) + content[end:])
    elif what == "odd names":
        with zipfile.ZipFile(file, "a") as archived:
            archived.writestr("\u00e9", b"")
        file.write_bytes(file.read_bytes().replace("\u00e9".encode(), b"\xc9\xc9"))
    else:
        again(file, OTHER_MANIFESTS[what](archive.open_backup(file).raw))
    with pytest.raises(CommandError, match="manifest" if what in OTHER_MANIFESTS else file.name):
        run("backup", "--check", str(file))


def again(file, manifest):
    """Write the backup once more, with another manifest under the old signature."""
    with zipfile.ZipFile(file) as archived:
        members = {name: archived.read(name) for name in archived.namelist()}
    with zipfile.ZipFile(file, "w") as archived:
        for name, content in (members | {archive.MANIFEST: manifest}).items():
            archived.writestr(name, content)


def test_another_content_or_manifest_is_not_signed(helpdesk, place):
    backup = made(place / "b")
    again(backup.file, backup.raw.replace(b'"events"', b' "events"'))
    forged = archive.open_backup(backup.file)
    forged.check()
    assert not forged.is_signed_by([keys.current().public])
    assert "not ours" in run("backup", "--check", str(backup.file))
    with zipfile.ZipFile(backup.file, "a") as archived, pytest.warns(UserWarning, match="Duplicate name"):
        archived.writestr(archive.SIGNATURE, "none")
    assert archive.open_backup(backup.file).signer == ""
    with zipfile.ZipFile(backup.file, "a") as archived, pytest.warns(UserWarning, match="Duplicate name"):
        archived.writestr(backup.manifest.content, b"something else")
    with pytest.raises(Damaged, match="not what was written"):
        archive.open_backup(backup.file).check()


def test_the_command_makes_lists_and_checks(helpdesk, place, settings):
    settings.BACKUP_DIR = place / "b"
    assert "There are no backups" in run("backup", "--list")
    told = run("backup")
    file = told.splitlines()[0]
    assert file in run("backup", "--list")
    assert "is whole, and signed by this portal's key" in run("backup", "--check", file)
    assert file not in run("backup", "--list", "--dir", str(place))


def test_without_a_folder_it_is_beside_the_database(helpdesk, place, settings):
    settings.BASE_DIR = place
    beside = Path(helpdesk.url.removeprefix("sqlite:///")).parent if ON_SQLITE else place / "var"
    expected = beside / "backups"
    assert making.default_folder() == expected


@pytest.mark.parametrize("trouble", [OSError(28, "No space left on device"), ValueError("nothing to sign")])
def test_why_it_was_not_made_is_told_and_kept(helpdesk, place, monkeypatch, trouble):
    def fail(*_):
        raise trouble

    monkeypatch.setattr(archive, "write", fail)
    with pytest.raises(CommandError, match=r"No backup was made\. (No space left|nothing to sign)"):
        run("backup", "--dir", str(place / "b"))
    assert list((place / "b").iterdir()) == []
    event = Event.objects.order_by("-seq").first()
    assert (event.kind, event.result) == ("backup.made", "failed")
    assert schedule.last_failure() == event.details["reason"]
    monkeypatch.undo()
    run("backup", "--dir", str(place / "b"))
    assert schedule.last_failure() == ""


def test_a_backup_that_the_log_does_not_take_is_told(helpdesk, place, monkeypatch):
    def refuse(*_, **__):
        raise audit.Unavailable("busy")

    monkeypatch.setattr(making.audit, "record", refuse)
    with pytest.raises(CommandError, match="could not record it"):
        run("backup", "--dir", str(place / "b"))


def test_what_a_killed_one_has_left_is_removed(helpdesk, place):
    folder = place / "b"
    folder.mkdir()
    for name in (".copy.sqlite3.partial", ".copy.sqlite3.partial-journal", ".portal-x.backup.zip.partial"):
        (folder / name).write_text("half")
    (folder / "of somebody else").write_text("whole")
    file = made(folder).file
    assert {entry.name for entry in folder.iterdir()} == {file.name, "of somebody else"}
    assert made(folder).file != file  # within the same second


def test_two_do_not_make_one_at_once(helpdesk, place):
    with locks.held("backup"):
        assert in_a_thread(lambda: making.make(place / "b", waits=False), helpdesk) is None
        waited = []
        waiter = threading.Thread(target=lambda: waited.append(in_a_thread(wait_for_it, helpdesk)))
        waiter.start()
        assert began.wait(10)
    waiter.join(10)
    assert waited == [True]
    assert making.make(place / "b", is_wanted=lambda: False) is None


began = threading.Event()


def wait_for_it():
    with locks.held("backup", notice=began.set) as is_held:
        return is_held


def in_a_thread(work, database):
    from tests.portal.backups.conftest import used

    found = []

    def run_there():
        with used(database):
            found.append(work())

    thread = threading.Thread(target=run_there)
    thread.start()
    thread.join(10)
    return found[0]


@pytest.mark.skipif(not ON_SQLITE, reason="PostgreSQL has no file to damage; tests/run.sh runs both")
def test_a_damaged_database_is_not_backed_up(tmp_path, monkeypatch):
    import sqlite3

    file = tmp_path / "small.sqlite3"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE a (b TEXT)")
        database.executemany("INSERT INTO a VALUES (?)", [("x" * 500,) for _ in range(200)])
    database.close()
    content = bytearray(file.read_bytes())
    content[4096 * 5 : 4096 * 6] = os.urandom(4096)
    file.write_bytes(content)
    database = sqlite3.connect(file, isolation_level=None)
    with pytest.raises((sources.Unmakeable, sqlite3.DatabaseError)):
        sources.leave_out(database)
    database.close()


@pytest.mark.skipif(not ON_SQLITE, reason="of SQLite; tests/run.sh runs both")
def test_a_database_in_memory_is_refused(db, place):
    with pytest.raises(CommandError, match="in memory"):
        run("backup", "--dir", str(place / "b"))


@pytest.mark.skipif(not ON_SQLITE, reason="of SQLite; tests/run.sh runs both")
def test_a_folder_whose_name_speaks_of_memory_is_on_a_disk(place, django_db_blocker, monkeypatch):
    folder = place / "in-memory-of"
    folder.mkdir()
    with django_db_blocker.unblock(), fresh(folder) as database, used(database):
        call_command("migrate", verbosity=0)
        assert archive.open_backup(making.make(folder / "b")[0]).manifest.size
        assert (folder / "fresh.sqlite3.backup.lock").exists()
        monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_bavail=0, f_frsize=1))
        with pytest.raises(audit.Unavailable, match="disk is full"):
            refuse_without_space()


# --- PostgreSQL's programs ---------------------------------------------------------------------------


def program(folder, name, says, *, code=0):
    file = folder / name
    file.write_text(f"#!/bin/sh\n{says}\nexit {code}\n")
    file.chmod(0o755)
    return str(file)


def test_a_program_that_is_missing_or_too_old_is_told_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "PACKAGES", tmp_path / "lib")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(programs.ProgramMissing, match=r"There is no pg_dump here.*postgresql-client-17"):
        programs.find("pg_dump", 170_002)
    program(tmp_path, "pg_dump", "echo 'pg_dump (PostgreSQL) 15.18 (Debian 15)'")
    with pytest.raises(programs.ProgramMissing, match=r"of version 15, and the server is PostgreSQL 17"):
        programs.find("pg_dump", 170_002)
    (tmp_path / "lib" / "17" / "bin").mkdir(parents=True)
    newer = program(tmp_path / "lib" / "17" / "bin", "pg_dump", "echo 'pg_dump (PostgreSQL) 17.6'")
    assert programs.find("pg_dump", 170_002) == newer
    assert programs.version_of(program(tmp_path, "silent", "true")) == 0


@pytest.fixture
def on_server(monkeypatch):
    """Settings as of a server whose password must not be seen."""
    known = {"NAME": "portal", "USER": "web", "PASSWORD": "hunter2", "HOST": "db", "PORT": "5432", "OPTIONS": {}}
    monkeypatch.setattr(programs, "connection", SimpleNamespace(settings_dict=known))


def test_the_password_is_in_no_argument(on_server):
    arguments, environment = programs.command("/bin/pg_dump", ["--format=custom"], names_database=True)
    assert environment["PGPASSWORD"] == "hunter2"
    assert arguments == [
        *("/bin/pg_dump", "--no-password", "--format=custom", "-U", "web", "-h", "db", "-p", "5432"),
        *("--dbname", "portal"),
    ]


def test_what_a_program_complains_of_is_told(on_server, tmp_path):
    bad = program(tmp_path, "pg_dump", "echo half; echo 'no rights' >&2", code=1)
    with programs.speaking(bad, []) as parts, pytest.raises(programs.ProgramFailed, match="pg_dump: no rights"):
        list(parts)
    with pytest.raises(programs.ProgramFailed, match="no rights"):
        programs.feed(bad, [], [b"x" * 100_000] * 3)
    good = program(tmp_path, "cat", "cat > /dev/null")
    programs.feed(good, [], [b"x"])
    with programs.speaking(program(tmp_path, "slow", "exec sleep 60"), []):
        pass  # whoever stops reading stops it


# --- Which are kept ----------------------------------------------------------------------------------

NOON = timezone.datetime(2026, 3, 18, 12, tzinfo=timezone.get_fixed_timezone(0))


def test_all_of_the_last_day_then_one_a_day_then_one_a_week_are_kept():
    every_six_hours = [NOON - timedelta(hours=6 * number) for number in range(4 * 60)]
    kept = sorted(keeping.to_keep(every_six_hours, days=7, weeks=4), reverse=True)
    assert kept[:5] == every_six_hours[:5]
    days = [at.date() for at in kept[5:]]
    assert days[:5] == [(NOON - timedelta(days=number)).date() for number in range(2, 7)]
    assert [NOON.date() - day for day in days[5:]] == [timedelta(days=10), timedelta(days=17)]
    assert all(at.hour == 18 for at in kept[6:])


@pytest.mark.skipif(not ON_SQLITE, reason="of SQLite; tests/run.sh runs both")
def test_a_lock_that_cannot_be_opened_is_told_like_any_other_failure(place, django_db_blocker):
    with django_db_blocker.unblock(), fresh(place) as database, used(database):
        call_command("migrate", verbosity=0)
        (place / "fresh.sqlite3.backup.lock").mkdir()
        with pytest.raises(CommandError, match=r"No backup was made\. Is a directory: .*backup\.lock"):
            run("backup", "--dir", str(place / "b"))
        assert Event.objects.filter(kind="backup.made", result="failed").count() == 1


def test_where_backups_fail_the_last_good_ones_stay(settings, tmp_path):
    settings.BACKUP_KEEP_DAYS, settings.BACKUP_KEEP_WEEKS = 2, 0
    times = [NOON - timedelta(days=number) for number in range(4)]
    names = [keeping.name_of(at) for at in times]
    for name in (*names, "portal-2026.backup.zip", "portal-20269999T000000Z.backup.zip", "notes.txt"):
        (tmp_path / name).write_text("")
    assert sorted(file.name for file in keeping.remove_old(tmp_path)) == sorted(names[2:])
    assert len(list(tmp_path.iterdir())) == 5
    assert keeping.remove_old(tmp_path) == []
    assert keeping.to_keep([], days=1, weeks=1) == set()


# --- When one is due ---------------------------------------------------------------------------------


def note(result, hours_ago, monkeypatch):
    real = timezone.now()
    moment = (real - timedelta(hours=hours_ago)).timestamp()
    monkeypatch.setattr("portal.audit.appending.time.time_ns", lambda: int(moment * 1e9))
    audit.record("backup.made", result=result, facts={"file": "x"})
    monkeypatch.undo()


def test_one_is_due_after_each_hour_that_is_set(db, settings, monkeypatch):
    settings.BACKUP_HOURS, settings.TIME_ZONE = (3, 15), "UTC"
    now = timezone.now()
    assert schedule.is_due(now)
    assert schedule.hours_since_backup() is None
    note("ok", 0, monkeypatch)
    assert schedule.hours_since_backup() == 0
    assert not schedule.is_due(schedule.last_made())
    assert schedule.is_due(now + timedelta(hours=13))
    assert schedule.is_due(now - timedelta(hours=2))  # made by a clock that was ahead
    evening = now.replace(hour=20)
    assert schedule.last_set_hour(evening).hour == 15
    assert schedule.last_set_hour(now.replace(hour=14)).hour == 3
    assert schedule.last_set_hour(now.replace(hour=1)).hour == 15


def test_a_clock_that_was_ahead_once_does_not_make_one_every_minute(db, settings, monkeypatch):
    settings.BACKUP_HOURS = (3,)
    for result in ("ok", "failed"):
        note(result, -30 * 24, monkeypatch)
    now = timezone.now()
    assert schedule.is_due(now)
    assert schedule.hours_since_backup() is None
    note("failed", 0, monkeypatch)
    assert not schedule.is_due(now)
    note("ok", 0, monkeypatch)
    assert schedule.hours_since_backup() == 0
    assert not schedule.is_due(schedule.last_made())


def test_after_a_failure_it_is_tried_again_an_hour_later(db, settings, monkeypatch):
    settings.BACKUP_HOURS = tuple(range(24))
    note("failed", 0, monkeypatch)
    now = timezone.now()
    assert not schedule.is_due(now)
    assert schedule.is_due(now + timedelta(minutes=61))


def test_a_due_backup_is_made_by_a_program_of_its_own(db, settings, monkeypatch, tmp_path):
    started = []

    class Running:
        is_over = False

        def __init__(self, words, **_):
            started.append(words[-2:])

        def poll(self):
            return 0 if self.is_over else None

    monkeypatch.setattr(schedule, "_running", None)
    monkeypatch.setattr(schedule.subprocess, "Popen", Running)
    settings.BACKUP_DIR = None
    schedule.back_up_if_due()
    assert started == []
    settings.BACKUP_DIR = tmp_path
    schedule.back_up_if_due()
    schedule.back_up_if_due()  # it still runs
    assert started == [["backup", "--scheduled"]]
    Running.is_over = True
    schedule.back_up_if_due()  # it has left no event: it was killed
    assert len(started) == 2
    note("ok", 0, monkeypatch)
    Running.is_over = True
    schedule.back_up_if_due()
    assert len(started) == 2


@pytest.mark.parametrize("code", [1, -9])
def test_one_that_ended_badly_is_not_started_again_at_once(db, settings, monkeypatch, tmp_path, caplog, code):
    """The log may know nothing of it: it was killed, or the log takes no event of the file that was made."""
    started, now = [], [1000.0]
    settings.BACKUP_DIR = tmp_path
    monkeypatch.setattr(schedule, "_running", None)
    monkeypatch.setattr(schedule, "_failed_at", None)
    monkeypatch.setattr(schedule, "monotonic", lambda: now[0])
    monkeypatch.setattr(
        schedule.subprocess, "Popen", lambda *_, **__: started.append(1) or SimpleNamespace(poll=lambda: code)
    )
    for seconds in (0, 60, 3500):
        now[0] += seconds
        schedule.back_up_if_due()
    assert len(started) == 1
    assert f"ended with code {code}" in caplog.text
    now[0] += 3600
    schedule.back_up_if_due()
    assert len(started) == 2


def test_what_the_watcher_starts_makes_one_only_if_it_is_due(helpdesk, place, settings, monkeypatch):
    monkeypatch.setattr("os.nice", lambda by: by)
    settings.BACKUP_DIR = place / "b"
    due = iter([True, False])
    monkeypatch.setattr(schedule, "is_due", lambda _: next(due))
    assert run("backup", "--scheduled")
    assert run("backup", "--scheduled") == ""
    assert len(keeping.backups_in(place / "b")) == 1
