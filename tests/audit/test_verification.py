"""Each thing that `audit_verify` looks at is looked at: damage it, and the report says so in words."""

from __future__ import annotations

import json
import time

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from portal import audit
from portal.audit import anchors, checkpoints, keys, purging, rotation, triggers
from portal.audit.findings import MOST, Grade
from portal.audit.keys import SigningKey
from portal.audit.models import Checkpoint, Event, Standing
from portal.audit.ranges import Ranges
from portal.audit.verification import Verification


@pytest.fixture
def log(db, outside):
    """Ten events with details, under a checkpoint that is kept outside as well; the last one brings the key."""
    write(9)
    checkpoints.seal()
    return outside


def write(count):
    for number in range(count):
        audit.record(
            "signin.failed",
            result="denied",
            actor_name=f"N. {number}",
            details={"ticket": f"T-{number}"},
            facts={"n": 1},
        )


def verify(place=None):
    found = anchors.read([place]) if place else None
    return Verification(found, [keys.current().public]).run()


def damage(*statements):
    """Run SQL as the owner of the database would: without the triggers."""
    triggers.drop(connection)
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    triggers.reinstall()


def test_a_good_log_is_intact_up_to_its_outside_copy(log):
    write(3)
    report = verify(log)
    assert (report.state, report.exit_code) == ("intact", 0), report.sentences
    assert (report.first, report.size, report.covered, report.checkpoints) == (1, 13, 10, 1)
    assert report.covered_at is not None


def test_without_an_outside_copy_it_is_incomplete_and_says_of_what(log):
    report = verify()
    assert (report.state, report.exit_code) == ("incomplete", 2)
    assert "no outside copy" in report.sentences[0]


def test_an_empty_log_is_not_called_intact(db, outside):
    assert verify(outside).state == "incomplete"


DAMAGE = {
    "the record": (
        "UPDATE audit_event SET record = replace(record, '\"n\":1', '\"n\":2') WHERE seq = 4", "Event 4 was changed", 4
    ),
    "the record, not JSON": ("UPDATE audit_event SET record = 'x' WHERE seq = 4", "Event 4", 4),
    "the hash": ("UPDATE audit_event SET hash = prev WHERE seq = 4", "Event 4 was changed", 4),
    "no hash at all": ("UPDATE audit_event SET hash = 'x' WHERE seq = 4", "Event 4 was changed", 4),
    "the hash before": ("UPDATE audit_event SET prev = hash WHERE seq = 4", "Event 4 does not continue", 4),
    "the kind": ("UPDATE audit_event SET kind = 'signout' WHERE seq = 5", "columns of event 5", 5),
    "the time": ("UPDATE audit_event SET ts = ts + 1 WHERE seq = 5", "columns of event 5", 5),
    "who": ("UPDATE audit_event SET actor = 'user:1' WHERE seq = 5", "columns of event 5", 5),
    "the result": ("UPDATE audit_event SET result = 'ok' WHERE seq = 5", "columns of event 5", 5),
    "the phase": ("UPDATE audit_event SET phase = 'outcome' WHERE seq = 5", "columns of event 5", 5),
    "the target": ("UPDATE audit_event SET target = 'page' WHERE seq = 5", "columns of event 5", 5),
    "the network": ("UPDATE audit_event SET network = '' , reference = 'x' WHERE seq = 5", "columns of event 5", 5),
    "the details": ("UPDATE audit_detail SET data = replace(data, '2', '9') WHERE seq = 3", "details of event 3", 3),
    "the salt": ("UPDATE audit_detail SET salt = 'x' WHERE seq = 3", "details of event 3", 3),
    "another ticket": ("UPDATE audit_detail SET ticket = 'T-9' WHERE seq = 3", "ticket beside event 3", 3),
    "a hidden ticket": ("UPDATE audit_detail SET ticket = '' WHERE seq = 3", "ticket beside event 3", 3),
    "a row": ("DELETE FROM audit_event WHERE seq = 6", "Events 6 to 6 are missing", 6),
    "the beginning": ("DELETE FROM audit_event WHERE seq < 3", "Events 1 to 2 are missing", 1),
    "the end": ("DELETE FROM audit_event WHERE seq > 7", "the end was cut off", 8),
    "everything": ("DELETE FROM audit_event", "the end was cut off", 1),
    "a checkpoint": ("DELETE FROM audit_checkpoint", "was removed from the database", None),
    "a checkpoint's root": ("UPDATE audit_checkpoint SET root = head", "columns of checkpoint 10", 10),
    "a checkpoint's note": (
        "UPDATE audit_checkpoint SET note = replace(note, 'head', 'tail')", "note of checkpoint 10", 10
    ),
    "a checkpoint's size": (
        "UPDATE audit_checkpoint SET note = replace(note, '\n10\n', '\n9\n')", "signature of checkpoint 10", 10
    ),
}  # fmt: skip


@pytest.mark.parametrize(("statement", "says", "bad"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_found_and_named(log, statement, says, bad):
    damage(statement)
    report = verify(log)
    assert report.exit_code == Grade.TAMPERED
    assert any(says in text for text in report.sentences), report.sentences
    assert report.first_bad == bad


def test_lost_details_without_an_erasure_are_incomplete(log):
    damage("DELETE FROM audit_detail WHERE seq IN (2, 3, 7)")
    report = verify(log)
    assert report.state == "incomplete"
    assert [text.split(" are ")[0] for text in report.sentences] == [
        "The details of events 2 to 3",
        "The details of events 7 to 7",
    ]


def test_added_details_are_found(log):
    damage("DELETE FROM audit_detail WHERE seq = 10", "INSERT INTO audit_detail VALUES (10, 'x', '{}', '')")
    assert "The details of event 10 were changed." in verify(log).sentences


def test_a_damaged_block_is_found(db, outside):
    write(300)
    checkpoints.seal()
    damage("UPDATE audit_block SET root = (SELECT hash FROM audit_event WHERE seq = 1)")
    report = verify(outside)
    assert report.state == "tampered"
    assert "Events 1 to 256 do not add up" in report.sentences[0]


def test_weaker_triggers_are_reported_and_put_back(log, capsys):
    triggers.drop(connection)
    report = verify(log)
    assert report.state == "incomplete"
    assert "audit_event_no_update" in report.sentences[0]
    call_command("audit_triggers")
    assert verify(log).state == "intact"
    event = Event.objects.first()
    assert (event.kind, event.result) == ("audit.triggers", "ok")
    assert "audit_event_no_update" in event.facts["names"]


def test_an_intent_without_an_outcome_is_incomplete_after_a_while(log, monkeypatch):
    audit.record("invitation.close", phase="intent", reference="a" * 32)
    assert verify(log).state == "intact"
    later = time.time_ns() + 301 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later)
    report = verify(log)
    assert report.state == "incomplete"
    assert report.sentences == ["The operation of event 11 has no outcome."]
    audit.record("invitation.close", phase="outcome", result="ok", reference="a" * 32)
    assert verify(log).state == "intact"


def test_a_clock_that_goes_back_without_saying_so_is_a_remark(log):
    assert not [finding for finding in verify(log).findings if finding.grade == Grade.REMARK]


def test_only_the_first_findings_are_kept(log):
    write(2 * MOST)
    damage("UPDATE audit_event SET kind = 'signout' WHERE seq <> 10")
    report = verify(log)
    assert len(report.findings) == MOST
    assert report.left_out > 0
    assert str(report.left_out) in list(report.lines())[-1]


def test_a_self_made_key_is_not_believed(log):
    forged = SigningKey.new()
    checkpoint = Checkpoint.objects.get()
    text = keys.signer_of(checkpoint.note)[0].decode()
    with connection.cursor() as cursor:
        triggers.drop(connection)
        cursor.execute("UPDATE audit_checkpoint SET note = %s", [forged.note(text)])
        triggers.reinstall()
    report = verify(log)
    assert report.state == "tampered"
    assert f"Nobody knows the key {forged.public.id}" in report.sentences[0]


def test_a_rotated_key_vouches_for_what_the_old_one_signed(log):
    first = keys.current().public
    for _turn in range(2):
        rotation.rotate()
        write(2)
        checkpoints.seal()
    assert keys.current().public != first
    report = verify(log)
    assert report.state == "intact", report.sentences
    assert report.checkpoints >= 3
    # The old key alone is not enough: it never said that it trusts what comes after, but the new ones do.
    assert Verification(anchors.read([log]), [first]).run().state == "incomplete"


def test_a_lost_key_is_incomplete_until_it_is_given(log):
    old = keys.current().public
    keys.key_file().unlink()
    write(2)
    checkpoints.seal()
    report = verify(log)
    assert report.state == "incomplete"
    assert f"The key {old.id}" in report.sentences[0]
    assert Verification(anchors.read([log]), [keys.current().public, old]).run().state == "intact"


def test_a_forged_hand_over_counts_for_nothing(log):
    thief, current = SigningKey.new(), keys.current().public
    said = rotation.statement(current.hex, thief.public.hex)
    audit.record(
        "audit.key_rotated",
        result="ok",
        facts={
            "old": current.id,
            "old_public": current.hex,
            "key": thief.public.id,
            "public": thief.public.hex,
            "old_signature": thief.sign(said).hex(),
            "signature": thief.sign(said).hex(),
        },
    )
    assert Verification(anchors.read([log]), [thief.public]).run().state == "incomplete"


def test_after_a_purge_the_rest_is_intact_and_the_watermark_is_checked(db, outside):
    write(600)
    checkpoints.seal()
    assert purging.purge(512, reason="old") == 512
    assert Event.objects.count() == 600 + 2 - 512
    write(300)
    checkpoints.seal()
    report = verify(outside)
    assert report.state == "intact", report.sentences
    assert report.first == 513
    for statement, says in (
        ("UPDATE audit_watermark SET root = head", "note about the removed events"),
        ("UPDATE audit_watermark SET note = replace(note, 'head', 'tail')", "cannot be read"),
        ("DELETE FROM audit_watermark", "Events 1 to 512 are missing"),
        (
            "UPDATE audit_block SET root = (SELECT root FROM audit_block WHERE number = 1) WHERE number = 0",
            "were removed",
        ),
        ("DELETE FROM audit_block WHERE number = 0", "does not reach"),
        ("DELETE FROM audit_event WHERE seq = 513", "Events 513 to 513 are missing"),
    ):
        with transaction.atomic():
            damage(statement)
            report = verify(outside)
            transaction.set_rollback(True)
        assert report.state == "tampered", statement
        assert any(says in text for text in report.sentences), report.sentences


def test_a_purge_that_no_event_tells_of_is_tampering(db, outside):
    write(600)
    checkpoints.seal()
    purging.purge(256, reason="old")
    damage(
        "UPDATE audit_event SET record = replace(record, '\"upto\":256', '\"upto\":255') WHERE kind = 'audit.purged'"
    )
    assert any("no event says so" in text for text in verify(outside).sentences)


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        call_command("audit_verify", *arguments)
    return end.value.code


def test_the_command_says_it_in_words_and_keeps_the_result(log, capsys):
    assert run() == 0
    assert capsys.readouterr().out.startswith("Intact: nothing was changed up to event 10;")
    standing = Standing.load()
    assert (standing.verified_state, standing.verified_upto, standing.verified_size) == ("intact", 10, 10)
    event = Event.objects.first()
    assert (event.kind, event.result) == ("audit.verified", "ok")
    assert event.facts == {"state": "intact", "upto": 10, "size": 10, "bad": None}


def test_the_command_s_exit_codes(log, settings, tmp_path, capsys):
    settings.AUDIT_CHECKPOINT_DIR = None
    assert run("--json", "--read-only") == 2
    assert json.loads(capsys.readouterr().out)["state"] == "incomplete"
    assert run("--anchors", str(log), "--read-only") == 0
    assert run("--anchors", str(tmp_path / "missing"), "--read-only") == 3
    assert "no such file" in capsys.readouterr().err
    assert run("--pubkey", "rubbish", "--anchors", str(log)) == 3
    assert Standing.load().verified_state == "failed"
    size = Event.objects.count()
    damage("UPDATE audit_event SET kind = 'signout' WHERE seq = 5")
    assert run("--anchors", str(log), "--read-only") == 1
    assert Event.objects.count() == size
    assert run("--anchors", str(log)) == 1
    assert Event.objects.first().result == "failed"
    assert Standing.load().verified_state == "tampered"


def test_without_a_key_it_needs_one(log, capsys):
    key = keys.current().public
    keys.key_file().unlink()
    assert run("--read-only") == 3
    assert "--pubkey" in capsys.readouterr().err
    assert run("--read-only", "--pubkey", key.hex) == 0
    assert run("--read-only", "--pubkey", key.verifier) == 0


def test_unreadable_anchors_are_said(log, tmp_path, capsys):
    broken = tmp_path / "broken.txt"
    note = Checkpoint.objects.get().note
    broken.write_text(note.replace("head", "tail"))
    assert run("--anchors", str(broken), "--read-only") == 3
    broken.write_bytes(b"\xff\xfe")
    assert run("--anchors", str(broken), "--read-only") == 3
    broken.write_text('{"log": "audit", "seq": 1, "hash": "a"}\n{"log": "audit", "seq": 1, "hash": "b"}\n')
    assert run("--anchors", str(broken), "--read-only") == 1


def test_ranges_join_and_leave_holes():
    numbers = Ranges([1, 2, 3, 7, 8, 12])
    numbers.add(4, 6)
    assert list(numbers) == [(1, 8), (12, 12)]
    holes = Ranges([2, 3])
    holes.add(8, 20)
    assert list(numbers.without(holes)) == [(1, 1), (4, 7)]
    assert list(numbers.without(Ranges())) == [(1, 8), (12, 12)]
