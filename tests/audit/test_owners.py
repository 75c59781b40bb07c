"""What the owner of the database may try besides the nine attacks, found by reading the checks as an enemy would."""

from __future__ import annotations

import random

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from portal import audit
from portal.audit import anchors, checkpoints, keys, purging, rotation, triggers
from portal.audit.models import Checkpoint, Event, Standing, Watermark
from portal.audit.verification import Verification
from tests.audit.tampering import ATTACKS, Log
from tests.audit.test_verification import damage, log, run, verify, write  # noqa: F401  # fixtures among them

ON_SQLITE = connection.vendor == "sqlite"


def test_a_checkpoint_is_no_permission_to_remove_what_it_covers(db, outside):
    write(255)
    checkpoints.seal()
    write(256 - Event.objects.count())
    checkpoints.seal()
    write(300)
    checkpoints.seal()
    note = Checkpoint.objects.get(size=256)
    Watermark(upto=256, head=note.head, root=note.root, ts=note.ts, note=note.note).save()
    audit.record("audit.purged", result="ok", facts={"upto": 256, "root": note.root, "head": note.head})
    with connection.cursor() as cursor:
        for table in ("audit_detail", "audit_event"):
            cursor.execute(f"DELETE FROM {table} WHERE seq <= 256")
    assert verify(outside).state == "tampered"


@pytest.mark.skipif(not ON_SQLITE, reason="SQLite's way of dropping a row without a word")
def test_a_trigger_that_drops_events_is_found_and_stops_the_portal(log):  # noqa: F811
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER zz BEFORE INSERT ON audit_event WHEN NEW.kind = 'signout' BEGIN SELECT RAISE(IGNORE); END"
        )
    with pytest.raises(audit.Unavailable), transaction.atomic():
        audit.record("signout")
    assert triggers.missing(connection) == ["zz"]
    assert verify(log).state == "incomplete"
    call_command("audit_triggers")
    assert audit.record("signout").seq
    assert triggers.missing(connection) == []


POISON = [
    "UPDATE audit_event SET record = '{\"details\": 5}' WHERE seq = 4",
    "UPDATE audit_event SET hash = 'zz' || substr(hash, 3) WHERE seq = 4",
    "UPDATE audit_detail SET data = '[]', ticket = 'x' WHERE seq = 4",
    "UPDATE audit_checkpoint SET note = replace(note, 'time 1', 'time x')",
]


@pytest.mark.parametrize("statement", POISON)
def test_poison_is_a_finding_and_no_end_of_the_check(log, statement):  # noqa: F811
    damage(statement)
    assert verify(log).state == "tampered"


def test_a_poisoned_fact_is_a_finding(log):  # noqa: F811
    audit.record("audit.erased", result="ok", facts={"ranges": 5})
    assert verify(log).state == "tampered"


def test_a_check_that_fails_by_a_bug_of_ours_says_that_it_could_not_run(log, monkeypatch):  # noqa: F811
    monkeypatch.setattr(Verification, "walk", lambda self: 1 / 0)
    assert run("--anchors", str(log)) == 3
    assert Standing.load().verified_state == "failed"


def test_a_purge_in_the_middle_of_a_check_is_no_tampering(db, outside, monkeypatch):
    write(600)
    checkpoints.seal()
    walk, purged = Verification.walk, []

    def slow(self):
        if not purged:
            purged.append(purging.purge(256, reason="old"))
        walk(self)

    monkeypatch.setattr(Verification, "walk", slow)
    assert verify(outside).state == "intact"


def test_roots_that_are_not_stored_yet_stop_a_purge(db, outside, monkeypatch):
    write(600)
    checkpoints.seal()
    damage("DELETE FROM audit_block WHERE number = 1")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "grow", lambda size: b"")
        with pytest.raises(audit.Unavailable):
            purging.purge(512, reason="old")
    assert purging.purge(512, reason="old") == 512
    assert verify(outside).state == "intact"


def test_a_key_that_was_handed_over_signs_nothing_new(log):  # noqa: F811
    old = keys.current()
    rotation.rotate()
    write(1100)
    checkpoints.seal()
    assert verify(log).state == "intact"
    checkpoint = Checkpoint.objects.latest("size")
    forged = old.note(keys.signer_of(checkpoint.note)[0].decode())
    triggers.drop(connection)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_checkpoint SET note = %s WHERE size = %s", [forged, checkpoint.size])
    triggers.reinstall()
    assert verify(log).state == "incomplete"


def test_events_printed_twice_with_different_hashes_are_tampering(log, tmp_path):  # noqa: F811
    lines = tmp_path / "portal.log"
    line = '{{"log": "audit", "seq": {}, "hash": "{}"}}\n'
    first = [line.format(event.seq, event.hash) for event in Event.objects.order_by("seq")]
    damaged = Log.load()
    ATTACKS["restore an old backup and go on"](damaged, 8, random.Random(1))
    damaged.store()
    second = [line.format(event.seq, event.hash) for event in Event.objects.order_by("seq")]
    lines.write_text("".join(first + second))
    assert Verification(anchors.read([lines]), [keys.current().public]).run().state == "tampered"


def test_a_forged_standing_keeps_no_checkpoint_from_its_second_place(log):  # noqa: F811
    Standing.note(anchored_size=2**50)
    write(3)
    checkpoints.seal()
    (file,) = log.glob("*.txt")
    assert f"\n{Checkpoint.objects.latest('size').size}\n" in file.read_text()
