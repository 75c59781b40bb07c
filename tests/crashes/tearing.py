"""SQLite's write-ahead log torn in every way a crashed machine can leave it: a program that prints what it found.

`tear COMMITS STEP` writes events, copies the files as they are, and for every sector (of STEP such
sectors one) cuts the write-ahead log there, spoils the sector, and lets zeros follow from there.
`acknowledge COUNT` writes events and says so after each, for somebody who watches the system calls.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402

from portal import audit  # noqa: E402
from portal.audit import anchors, checkpoints, keys  # noqa: E402
from portal.audit.models import Event  # noqa: E402
from portal.audit.verification import Verification  # noqa: E402

SECTOR = 512


@dataclass
class Written:
    """A log, with how long the write-ahead log was when something was acknowledged."""

    hashes: list[str] = field(default_factory=list)
    commits: list[tuple[int, int]] = field(default_factory=list)  # length of the file, events acknowledged
    anchors: list[tuple[int, int]] = field(default_factory=list)  # length of the file, notes in the second place


def append(number: int) -> str:
    with audit.writing(durable=True):
        return audit.record("signout", result="ok", target_label=f"Client {number}", details={"ticket": "HD-1"}).hash


def wal() -> Path:
    return Path(f"{settings.DATABASES['default']['NAME']}-wal")


def write(commits: int) -> Written:
    """Write some events into the database itself and the rest into the write-ahead log."""
    written = Written()
    for number in range(2 * commits):
        if number == commits:
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                cursor.execute("PRAGMA wal_autocheckpoint = 0")
        append(number)
        if number % 3 == 0:
            checkpoints.seal()
        written.commits.append((wal().stat().st_size, Event.objects.count()))
        notes = anchors.read([settings.AUDIT_CHECKPOINT_DIR]).notes
        written.anchors.append((wal().stat().st_size, len(notes)))
    written.hashes = list(Event.objects.order_by("seq").values_list("hash", flat=True))
    base = written.commits[commits - 1][1]
    written.commits = [(0, base), *written.commits[commits:]]
    written.anchors = [(0, written.anchors[commits - 1][1]), *written.anchors[commits:]]
    return written


def torn(content: bytes, step: int) -> Iterator[tuple[str, int, bytes]]:
    """Yield how, where, and what is left of the file."""
    for at in range(0, len(content), SECTOR * step):
        rest = content[at + SECTOR :]
        yield "cut", at, content[:at]
        yield "garbage", at, content[:at] + random.randbytes(min(SECTOR, len(content) - at)) + rest
        yield "zeros", at, content[:at] + bytes(len(content) - at)


def problems_of(written: Written, at: int) -> Iterator[str]:
    """Name what is wrong with the database that stands torn at `at`."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA integrity_check")
        if (said := cursor.fetchall()) != [("ok",)]:
            yield f"integrity: {said}"
    found = list(Event.objects.order_by("seq").values_list("hash", flat=True))
    if found != written.hashes[: len(found)]:
        yield "not a prefix"
    if len(found) < max(events for length, events in written.commits if length <= at):
        yield "an event that was whole on the disk is missing"
    outside = anchors.read([settings.AUDIT_CHECKPOINT_DIR])
    outside.notes = outside.notes[: max(notes for length, notes in written.anchors if length <= at)]
    report = Verification(outside, [keys.current().public]).run()
    if report.state != "intact":
        yield f"{report.state}: {report.sentences}"


def tear(commits: int, step: int) -> dict[str, object]:
    written = write(commits)
    whole = Path(connection.settings_dict["NAME"])
    content, cases, lengths = wal().read_bytes(), Counter[str](), Counter[int]()
    wrong: list[str] = []
    kept = whole.with_name("kept.sqlite3")
    shutil.copy(whole, kept)
    for number, (how, at, left) in enumerate(torn(content, step)):
        connection.close()
        place = whole.with_name(f"torn-{number}.sqlite3")
        shutil.copy(kept, place)
        place.with_name(f"{place.name}-wal").write_bytes(left)
        connection.settings_dict["NAME"] = str(place)
        cases[how] += 1
        wrong += [f"{how} at {at}: {problem}" for problem in problems_of(written, at)]
        lengths[Event.objects.count()] += 1
        append(0)  # it goes on
        connection.close()
        for file in place.parent.glob(f"{place.name}*"):
            file.unlink()
    return {"cases": cases, "bytes": len(content), "prefixes": len(lengths), "problems": wrong[:20]}


def acknowledge(count: int) -> None:
    append(0)
    for number in range(count):
        append(number)
        os.write(1, b"acknowledged\n")


if __name__ == "__main__":
    if sys.argv[1] == "tear":
        print(json.dumps(tear(int(sys.argv[2]), int(sys.argv[3]))))  # noqa: T201
    else:
        acknowledge(int(sys.argv[2]))
