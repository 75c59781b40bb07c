"""Checkpoints: when they are made, what they prove, and how they get to their second place."""

from __future__ import annotations

import os
import stat
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.management import CommandError, call_command
from django.utils import timezone

from portal import audit
from portal.audit import anchors, checkpoints, keys, merkle
from portal.audit.checkpoints import Prover, Statement
from portal.audit.keys import KeyUnusable, SigningKey
from portal.audit.models import Block, Checkpoint, Event, Standing


@pytest.fixture(autouse=True)
def key(settings, tmp_path):
    settings.AUDIT_KEY_FILE = tmp_path / "keys" / "audit.pem"
    return settings.AUDIT_KEY_FILE


def write(count):
    for number in range(count):
        audit.record("signout", result="ok", facts={"n": number})


def test_an_empty_log_needs_none(db):
    assert not checkpoints.is_due()


def test_the_first_events_are_due_at_once_and_then_every_256_or_15_minutes(db, monkeypatch):
    write(1)
    assert checkpoints.is_due()
    checkpoints.tend()
    assert Checkpoint.objects.get().size == 2  # with the event of the new key
    write(250)
    assert not checkpoints.is_due()
    write(4)
    assert checkpoints.is_due()
    checkpoints.tend()
    write(1)
    assert not checkpoints.is_due()
    later = time.time_ns() + 15 * 60 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later)
    assert checkpoints.is_due()


def test_nothing_new_makes_no_new_one(db):
    write(3)
    assert checkpoints.make() == checkpoints.make()
    assert Checkpoint.objects.count() == 1


def test_the_key_is_made_once_for_its_owner_only(db, key):
    write(1)
    checkpoints.make()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert keys.current().public == keys.current().public
    event = Event.objects.get(kind="audit.key_created")
    assert event.facts == {"key": keys.current().public.id, "public": keys.current().public.hex}
    assert "PRIVATE" not in "".join(Event.objects.values_list("record", flat=True))
    assert repr(keys.current()) == f"<SigningKey {keys.current().public.id}>"


def test_a_key_others_can_read_is_refused(db, key):
    keys.current()
    key.chmod(0o640)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        keys.current()


def test_a_file_that_is_no_key_is_refused(db, key):
    key.parent.mkdir()
    other = generate_private_key(SECP256R1())
    for content in (b"", b"rubbish", other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())):
        key.write_bytes(content)
        key.chmod(0o600)
        with pytest.raises(KeyUnusable):
            keys.current()


def test_of_two_processes_that_make_a_key_one_wins(key):
    keys.current()
    with pytest.raises(FileExistsError):
        SigningKey.new().write_new(key)
    assert [name for name in os.listdir(key.parent) if name.startswith(".")] == []


def test_a_note_can_be_read_and_checked_by_anybody(db):
    write(5)
    checkpoint = checkpoints.make()
    text, key_hash, signature = keys.signer_of(checkpoint.note)
    said = Statement.read(text.decode())
    assert (said.size, said.root.hex(), said.head) == (checkpoint.size, checkpoint.root, checkpoint.head)
    assert said.origin.startswith("getscreen-portal/audit/")
    public = keys.current().public
    assert key_hash == public.hash
    assert public.verifies(signature, text)
    assert not public.verifies(signature, text + b" ")


def test_every_event_can_be_proven_and_no_other(db):
    write(530)
    checkpoint = checkpoints.make()
    assert Block.objects.count() == 2
    prover = Prover(checkpoint)
    for seq, event_hash in Event.objects.order_by("seq").values_list("seq", "hash"):
        steps = [bytes.fromhex(step) for step in prover.path(seq)]
        assert merkle.climb(event_hash, seq - 1, checkpoint.size, steps).hex() == checkpoint.root
    with pytest.raises(ValueError, match="no such leaf"):
        merkle.climb(event_hash, checkpoint.size, checkpoint.size, steps)


def test_the_second_place_gets_every_checkpoint_once(db, settings, tmp_path):
    settings.AUDIT_CHECKPOINT_DIR = tmp_path
    for _round in range(3):
        write(2)
        checkpoints.seal()
        checkpoints.seal()
    (file,) = tmp_path.glob("checkpoints-*.txt")
    notes = [checkpoint.note for checkpoint in Checkpoint.objects.order_by("size")]
    assert file.read_text() == "".join(f"{note}\n" for note in notes)
    assert Standing.load().anchored_size == Checkpoint.objects.order_by("-size").first().size


def test_a_place_that_is_away_is_said_once_and_gets_all_when_it_is_back(db, settings, tmp_path):
    settings.AUDIT_CHECKPOINT_DIR = tmp_path / "away"
    write(2)
    checkpoints.seal()
    checkpoints.seal()
    assert "No such file" in Standing.load().anchor_error
    assert list(Event.objects.filter(kind="audit.anchor").values_list("result", flat=True)) == ["failed"]
    (tmp_path / "away").mkdir()
    write(2)
    checkpoints.seal()
    assert Standing.load().anchor_error == ""
    assert Event.objects.filter(kind="audit.anchor").first().result == "ok"
    (file,) = (tmp_path / "away").glob("*.txt")
    assert (
        file.read_text().count("getscreen-portal/audit/")
        == Checkpoint.objects.filter(size__lte=Standing.load().anchored_size).count()
    )


def test_the_command_prints_a_note_to_keep(db, capsys, key):
    write(2)
    call_command("audit_checkpoint")
    assert Checkpoint.objects.get().note in capsys.readouterr().out
    key.chmod(0o644)
    with pytest.raises(CommandError, match="chmod 600"):
        call_command("audit_checkpoint")


def test_rotation_keeps_the_old_key_beside_the_new_one(db, key, capsys):
    write(2)
    checkpoints.seal()
    old = keys.current().public
    call_command("audit_rotate_key")
    new = keys.current().public
    assert new.verifier in capsys.readouterr().out
    assert SigningKey.read(key.with_name(f"audit.pem.{old.id}")).public == old
    event = Event.objects.get(kind="audit.key_rotated")
    assert (event.facts["old"], event.facts["key"]) == (old.id, new.id)
    write(1)
    assert keys.signer_of(checkpoints.make().note)[1] == new.hash
    assert Event.objects.filter(kind="audit.key_created").count() == 1


def test_a_note_that_was_cut_off_anywhere_spoils_no_other(db, settings, tmp_path):
    """A full disk or a crash leaves the beginning of a note; it is written again, and the rest still counts."""
    settings.AUDIT_KEY_FILE = tmp_path / "keys" / "audit.pem"
    notes = []
    for _ in range(2):
        audit.record("signout", result="ok")
        notes.append(checkpoints.make().note)
    whole = "".join(f"{note}\n" for note in notes).encode()
    first = len(notes[0].encode()) + 1
    for end in range(first, len(whole) + 1):
        place = tmp_path / str(end)
        place.mkdir()
        file = place / f"checkpoints-{timezone.now():%Y-%m}.txt"
        file.write_bytes(whole[:end])
        checkpoints.append_notes(place, notes[1:])
        found = [note.note for note in anchors.read([place]).notes]
        assert found in (notes, [*notes, notes[1]]), end


def test_a_disk_that_takes_only_a_part_of_a_note_gets_the_rest(settings, tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:7]))
    checkpoints.append_notes(tmp_path, ["a note that is longer than that\n"])
    (file,) = tmp_path.iterdir()
    assert file.read_text(encoding="utf-8") == "a note that is longer than that\n\n"
