"""A portal with data is backed up, destroyed and restored: nobody is let in by the past, and what is lost is said."""

from __future__ import annotations

import io
import re
import sqlite3
import zipfile
from contextlib import closing, contextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.utils import timezone

from invitations import sync
from invitations.models import Delivery, Invitation, Snapshot, Status
from portal import audit
from portal.accounts import reset_tokens
from portal.accounts.models import OneTimeLink, Session, User
from portal.audit import anchors, checkpoints, keys, triggers
from portal.audit.models import Event
from portal.audit.verification import Cut, Verification
from portal.backups import archive, making, restoring, schema, targets
from portal.getscreen import configured
from tests.portal.backups.test_making import again

ON_SQLITE = connection.vendor == "sqlite"


def restore(file, *words):
    out = io.StringIO()
    call_command("restore", str(file), *words, stdout=out)
    return out.getvalue()


def refused(file, *words):
    with pytest.raises(CommandError) as caught:
        restore(file, *words)
    assert str(caught.value).startswith("Nothing was restored.")
    return str(caught.value)


def verified(place):
    checkpoints.seal()
    return Verification(anchors.read([place]), [keys.current().public]).run()


@pytest.fixture
def backup(helpdesk, place):
    return archive.open_backup(making.make(place / "b")[0])


@contextmanager
def everything_in_it(monkeypatch):
    """Leave nothing out of backups: as if one of another origin were restored."""
    with monkeypatch.context() as patch:
        patch.setattr("portal.backups.sources.LEFT_OUT", ())
        yield


def test_the_drill(helpdesk, place, empty, monkeypatch, vendor):
    with everything_in_it(monkeypatch):
        Session.objects.create(session_key="c" * 32, session_data="x", expire_date=timezone.now() + timedelta(hours=1))
        OneTimeLink.objects.issue(OneTimeLink.Purpose.INVITE, User.objects.get(username="joss"))
        link = reset_tokens.ResetTokens().make_token(User.objects.get(username="mika"))
        assert reset_tokens.ResetTokens().check_token(User.objects.get(username="mika"), link)
        file, said = making.make(place / "b")
    # What is lost: a colleague is disabled, and a checkpoint of that is outside.
    mika = User.objects.get(username="mika")
    about = {"target_type": "user", "target_id": str(mika.pk), "target_label": "mika"}
    lost = audit.record("user.disabled", result="ok", **about)
    line = f'{{"log": "audit", "seq": {lost.seq}, "hash": "{lost.hash}", "kind": "user.disabled"}}\nnot of ours\n'
    (place / "portal.log").write_text(line)
    checkpoints.seal()

    empty()
    call_command("upgrade", "--dir", str(place / "none"), stdout=io.StringIO())
    assert schema.is_unused()
    assert not (place / "none").exists()
    told = restore(file, "--anchors", str(place / "portal.log"))
    after = said.events
    assert f"LOST: events {after + 1} to {lost.seq}, of after the backup (1 user.disabled)" in told
    assert "mika (Agent)" in told
    assert re.search(r"never hold: [1-9]\d* sessions, [1-9]\d* one-time links, [1-9]\d* waiting deliveries", told)
    assert (Session.objects.count(), OneTimeLink.objects.count()) == (0, 0)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"cancelled"}
    assert not reset_tokens.ResetTokens().check_token(User.objects.get(username="mika"), link)
    event = Event.objects.filter(kind="backup.restored").get()
    assert event.facts["head"] == after
    assert (event.facts["hash"], event.facts["cut"]) == (said.head, [after + 1, lost.seq])
    assert triggers.are_installed(connection)
    assert schema.left_undone() == []
    assert not schema.is_unfinished()
    report = verified(place)
    assert report.state == "incomplete"
    assert report.sentences == [
        f"A backup was restored, says event {event.seq}: events {after + 1} to {lost.seq} of before it are lost."
    ]
    assert report.covered == report.size
    # Rows that are open here and unknown there are closed by the first looks, as any that were closed outside.
    assert Invitation.objects.exclude(status=Status.CLOSED).count() > 5
    for _ in range(3):
        sync.run_round(configured.client())
    assert not Invitation.objects.exclude(status=Status.CLOSED).exists()
    assert Snapshot.load().trouble == ""
    # Not twice: now there is a portal in it.
    assert "There is a portal in" in refused(file)


def test_nothing_is_lost_where_nothing_came_after_it(backup, place, empty):
    empty()
    told = restore(backup.file)
    assert "Nothing outside speaks of an event after the backup." in told
    assert verified(place).state == "intact"
    assert Event.objects.get(kind="backup.restored").facts["cut"] == []
    assert Session.objects.count() == 0


@pytest.mark.parametrize(
    ("size", "ts", "is_explained"), [(6, 10, True), (8, 10, False), (5, 10, False), (6, 15, False)]
)
def test_the_log_explains_no_more_than_it_says_was_lost(size, ts, is_explained):
    """Copies of other events, or made after the restore, still show that something was changed."""
    cut = Cut(event=20, ts=15, first=6, last=7)
    assert cut.explains(SimpleNamespace(size=size, ts=ts)) == is_explained


def test_what_is_no_backup_of_this_portal_is_refused_before_anything_is_touched(backup, place, empty, settings):
    empty()
    good = backup.file.read_bytes()

    def forged(**changes):
        text = backup.raw
        for name, value in changes.items():
            text = re.sub(
                rb'"%s": [^\n]*?(,?)\n' % name.encode(), rb'"%s": %s\1' % (name.encode(), value) + b"\n", text
            )
        assert text != backup.raw
        backup.file.write_bytes(good)
        again(backup.file, text)
        return backup.file

    other = b'"postgresql"' if ON_SQLITE else b'"sqlite"'
    assert "DATABASE_URL names" in refused(forged(database=other))
    assert "newer than this one (0." in refused(forged(release=b'"99.0"'))
    assert "is not signed by a key that is trusted" in refused(forged(events=b"1"))
    assert "log ends at event" in refused(backup.file, "--anyway")
    backup.file.write_bytes(good[:-2000])
    assert "damaged" in refused(backup.file)
    backup.file.write_bytes(good)
    raw = backup.raw.replace(b'"accounts.0001_initial"', b'"accounts.0999_later"')
    again(backup.file, raw)
    assert "Unknown here: accounts.0999_later" in refused(backup.file)
    backup.file.write_bytes(good)
    assert "no such file" in refused(backup.file, "--anchors", str(place / "nothing"))
    assert "no public key" in str(caught(lambda: restore(backup.file, "--pubkey", "x")))
    settings.AUDIT_KEY_FILE = place / "another.pem"
    assert "Put the signing key back first" in refused(backup.file)
    assert "Audit log: not checked" in restore(backup.file, "--anyway")
    assert Event.objects.filter(kind="backup.restored").exists()


def caught(act):
    with pytest.raises(CommandError) as found:
        act()
    return found.value


def test_a_log_that_was_changed_before_the_backup_is_refused(helpdesk, place, empty, monkeypatch):
    event = Event.objects.order_by("seq")[3]
    triggers.drop(connection)
    change = "UPDATE audit_event SET kind = %s WHERE seq = %s"
    with connection.cursor() as cursor:
        cursor.execute(change, ["signout", event.seq])
    triggers.reinstall()
    try:
        file, _ = making.make(place / "b")
    finally:
        triggers.drop(connection)
        with connection.cursor() as cursor:
            cursor.execute(change, [event.kind, event.seq])
        triggers.reinstall()
    empty()
    assert "say something else than its record" in refused(file)
    assert schema.is_unfinished() != ON_SQLITE  # a file beside it is gone; a server's database is told unfinished
    assert "tampered" in restore(file, "--anyway")
    assert not schema.is_unfinished()


def test_the_database_of_another_program_is_left_alone(backup, empty):
    """Though it has none of our tables, and migrations as ours would."""
    empty()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE django_migrations (id integer, app text, name text, applied timestamp)")
        cursor.execute("CREATE TABLE shop_order (said text)")
    assert "something of another program" in refused(backup.file)
    assert schema.tables() == {"django_migrations", "shop_order"}


def test_what_was_begun_in_the_database_meanwhile_is_kept(backup, empty, monkeypatch):
    if not ON_SQLITE:
        pytest.skip("of SQLite's files; tests/run.sh runs both")
    file = empty().url.removeprefix("sqlite:///")
    call_command("upgrade", "--no-backup", stdout=io.StringIO())

    def begin(found):
        other.execute("INSERT INTO invitations_outcome (name, position, is_offered) VALUES ('Begun', 1, 1)")
        leave_behind(found)

    leave_behind = restoring.leave_behind
    monkeypatch.setattr(restoring, "leave_behind", begin)
    connection.close()
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        assert "Another process works with" in refused(backup.file)
        assert other.execute("SELECT name FROM invitations_outcome WHERE name = 'Begun'").fetchone()


def test_what_is_put_in_its_place_after_the_check_is_refused(backup, empty, monkeypatch):
    """Whoever may write to the folder of backups cannot sign, and may be quick."""
    empty()
    check = archive.Backup.check

    def change(it):
        check(it)
        with zipfile.ZipFile(it.file) as old:
            members = {name: old.read(name) for name in old.namelist()}
        content = members[it.manifest.content]
        members[it.manifest.content] = content.replace(b"joss", b"jess")
        assert members[it.manifest.content] != content
        with zipfile.ZipFile(it.file, "w") as new:
            for name, text in members.items():
                new.writestr(name, text)

    monkeypatch.setattr(archive.Backup, "check", change)
    assert "its content is not what was written" in refused(backup.file)
    assert schema.is_unfinished() != ON_SQLITE


def test_a_database_that_another_process_works_with_is_refused(backup, empty, monkeypatch):
    if not ON_SQLITE:
        pytest.skip("of SQLite's files; tests/run.sh runs both")
    database = empty()
    real = targets.Path(database.url.removeprefix("sqlite:///"))
    real.with_name(f"{real.name}-wal").write_bytes(b"")
    assert "Another process works with" in refused(backup.file)


def test_what_the_server_or_the_disk_refuses_is_told(monkeypatch, place, backup):
    def fail(*_, **__):
        raise OSError("no space")

    monkeypatch.setattr(restoring, "restore", fail)
    assert "no space" in refused(backup.file)
    assert "unfinished" not in refused(backup.file)  # it had not begun
    monkeypatch.setattr(schema, "is_unfinished", lambda: True)
    assert ("run this again" in refused(backup.file)) != ON_SQLITE

    def away():
        raise DatabaseError("no such host")

    monkeypatch.setattr(schema, "is_unfinished", away)
    assert "unfinished" not in refused(backup.file)


def test_nobody_and_nothing_are_said_as_well(backup, helpdesk, monkeypatch):
    from portal.management.commands.restore import told

    counts = dict.fromkeys(("sessions", "links", "deliveries"), 0)
    nothing = {"report": None, "cut": None, "told_outside": 0, "lost_kinds": {}}
    quiet = SimpleNamespace(backup=backup, applied=["a.0002"], counts=counts, **nothing)
    monkeypatch.setattr(restoring.webhooks, "unreadable", lambda: ["Chat"])
    User.objects.update(awaits_approval=True)
    try:
        text = "\n".join(told(quiet))
    finally:
        User.objects.update(awaits_approval=False)
    assert "It was brought to release" in text
    assert "LOST, perhaps" in text
    assert "No SECRET_KEY here opens: webhook Chat." in text
    assert "nobody: run `manage.py create_admin`" in text
