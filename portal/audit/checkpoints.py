"""Signed statements of what the log adds up to, made as it grows and copied to a second place.

A checkpoint says: so many events, this Merkle root, this last hash. Whoever keeps an old one can show
that nothing under it was changed, without a secret.
"""

from __future__ import annotations

import base64
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import OperationalError
from django.utils import timezone

from portal import audit
from portal.audit import keys
from portal.audit.appending import newest
from portal.audit.canonical import leaf
from portal.audit.kinds import Result
from portal.audit.merkle import BLOCK, Tree, proof
from portal.audit.models import Block, Checkpoint, Event, Standing

logger = logging.getLogger(__name__)

EVERY_EVENTS = 256
EVERY_SECONDS = 15 * 60
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Statement:
    """What a note says."""

    origin: str
    size: int
    root: bytes
    head: str
    ts: int  # UTC, microseconds

    def text(self) -> str:
        at = datetime.fromtimestamp(self.ts // MICROSECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\nhead {self.head}\ntime {self.ts} {at}\n"

    @classmethod
    def read(cls, text: str) -> Statement:
        """Return what a note's text says. Raises ValueError if it is none."""
        origin, size, root, head, at, *_ = [*text.split("\n"), "", "", ""]
        if not (origin.startswith(ORIGIN) and head.startswith("head ") and at.startswith("time ") and size.isdecimal()):
            raise ValueError("not a checkpoint of an audit log")
        moment = at[5:].split(" ")[0]
        return cls(origin, int(size), base64.b64decode(root, validate=True), head[5:], int(moment))

    @property
    def is_purge(self) -> bool:
        return self.origin.endswith(PURGE)


ORIGIN = f"{keys.NAME}/audit/"
PURGE = "/purge"  # behind the origin of a watermark's note: no checkpoint can stand in for one, nor the other way


def is_due() -> bool:
    """Say whether there is news for a checkpoint: 256 events, or any after 15 minutes."""
    last, size = Checkpoint.objects.order_by("-size").values_list("size", "ts").first() or (0, 0), newest().seq
    age = time.time_ns() // 1000 - last[1]
    return size // EVERY_EVENTS > last[0] // EVERY_EVENTS or (
        size > last[0] and abs(age) >= EVERY_SECONDS * MICROSECONDS
    )


def make() -> Checkpoint | None:
    """Sign what the log adds up to now. Returns the newest checkpoint, None for an empty log.

    Raises KeyUnusable without a key that may be used.
    """
    key = keys.current()
    introduce(key)
    end = newest()
    last = Checkpoint.objects.order_by("-size").first()
    if not end.seq or (last is not None and last.size >= end.seq):
        return last
    root = grow(end.seq)
    said = Statement(origin_of(last), end.seq, root, end.hash, time.time_ns() // 1000)
    checkpoint = Checkpoint(size=said.size, root=root.hex(), head=end.hash, ts=said.ts, note=key.note(said.text()))
    with suppress(OperationalError), audit.writing():  # a busy database has time for it later
        if not Checkpoint.objects.filter(size__gte=end.seq).exists():  # else another process was quicker
            checkpoint.save()
    return Checkpoint.objects.order_by("-size").first()


def introduce(key: keys.SigningKey) -> None:
    """Let the log say which key its checkpoints are signed with, before the first one is."""
    said = Event.objects.filter(kind__in=("audit.key_created", "audit.key_rotated")).order_by("-seq").first()
    if said is None or said.facts["public"] != key.public.hex:
        audit.record("audit.key_created", result=Result.OK, facts={"key": key.public.id, "public": key.public.hex})


def origin_of(last: Checkpoint | None) -> str:
    """Return the log's own name: by its first checkpoint, which takes the first event's hash."""
    if last is not None:
        return Statement.read(last.note).origin
    first = Event.objects.order_by("seq").values_list("hash", flat=True).first() or ""
    return f"{ORIGIN}{first[:16]}"


def grow(size: int) -> bytes:
    """Return the root over the first `size` events, and keep the roots of the blocks that are whole."""
    roots = [bytes.fromhex(root) for root in Block.objects.order_by("number").values_list("root", flat=True)]
    tree = Tree(roots)
    new = [whole for event_hash in hashes(after=tree.size, upto=size) if (whole := tree.add(event_hash))]
    for number, whole in enumerate(new, start=len(roots)):
        try:
            with audit.writing():
                if not Block.objects.filter(number=number).exists():  # else another process was quicker
                    Block(number=number, root=whole.hex()).save()
        except OperationalError:
            break  # without them the next time only takes longer
    if tree.size != size:
        raise ValueError("Events or the roots of removed ones are missing: there is nothing to sign.")
    return tree.root()


def hashes(*, after: int, upto: int) -> Iterator[str]:
    rows = Event.objects.filter(seq__gt=after, seq__lte=upto).order_by("seq")
    return rows.values_list("hash", flat=True).iterator(chunk_size=2000)


class Prover:
    """Proofs that events are under one checkpoint. Reads each block once while events come in order."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        whole = checkpoint.size // BLOCK
        stored = Block.objects.filter(number__lt=whole).order_by("number").values_list("root", flat=True)
        self.roots = [bytes.fromhex(root) for root in stored]
        if len(self.roots) != whole:
            raise ValueError("The roots of some blocks are not stored yet.")
        self.tail = self.leaves(whole)
        self.block: tuple[int, list[bytes]] = (whole, self.tail)

    def leaves(self, number: int) -> list[bytes]:
        end = min((number + 1) * BLOCK, self.checkpoint.size)
        return [leaf(event_hash) for event_hash in hashes(after=number * BLOCK, upto=end)]

    def path(self, seq: int) -> list[str]:
        """Return the audit path of event `seq` as hex digits, from the bottom up."""
        number = (seq - 1) // BLOCK
        if self.block[0] != number:
            self.block = (number, self.leaves(number))
        return [step.hex() for step in proof(seq - 1, self.block[1], self.roots, self.tail)]


def anchor() -> None:
    """Append checkpoints that the second place does not have yet. A place that fails is tried again later."""
    place: Path | None = settings.AUDIT_CHECKPOINT_DIR
    standing = Standing.load()
    if place is None:
        return
    # What stands there is no evidence: a size that no checkpoint has sends all of them again.
    known = Checkpoint.objects.filter(size=standing.anchored_size).exists()
    waiting = list(Checkpoint.objects.filter(size__gt=standing.anchored_size if known else 0).order_by("size"))
    if not waiting:
        return
    try:
        append_notes(place, [checkpoint.note for checkpoint in waiting])
    except OSError as error:
        trouble(standing, f"{place}: {error.strerror or error}"[:200])
        return
    if standing.anchor_error:
        audit.record("audit.anchor", result=Result.OK)
    Standing.note(anchored_size=waiting[-1].size, anchored_at=timezone.now(), anchor_error="")


def trouble(standing: Standing, reason: str) -> None:
    if not standing.anchor_error:
        logger.warning("A checkpoint could not be written to its second place: %s", reason)
        audit.record("audit.anchor", result=Result.FAILED)
    Standing.note(anchor_error=reason)


def append_notes(place: Path, notes: list[str]) -> None:
    """Append notes to this month's file, durably. Each ends in an empty line."""
    file = place / f"checkpoints-{timezone.now():%Y-%m}.txt"
    content = "".join(f"{note}\n" for note in notes).encode()
    if was_interrupted(file):
        content = b"\n\n" + content  # what was cut off must not spoil what follows
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        while content:  # a disk that fills up takes a part of it first
            content = content[os.write(descriptor, content) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def was_interrupted(file: Path) -> bool:
    """Say whether the last note in the file is not whole: the disk was full, or the machine crashed."""
    try:
        with file.open("rb") as handle:
            handle.seek(max(handle.seek(0, os.SEEK_END) - 2, 0))
            return handle.read() not in (b"", b"\n\n")
    except OSError:
        return False  # there is none, or it may only be added to


def tend() -> None:
    """Make the checkpoint that is due, and see that the second place has all. For the watcher, every second."""
    if is_due():
        make()
    anchor()


def seal() -> None:
    """Make and anchor a checkpoint now: at shutdown, before a backup, a purge or an export."""
    make()
    anchor()
