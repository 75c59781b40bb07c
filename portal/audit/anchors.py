"""What is known of the log outside of its database: checkpoints in their second place, lines of a log host.

Reads only; what is written there is not trusted before its signature was checked.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portal.audit import keys
from portal.audit.checkpoints import Statement

SIGNED = f"{keys.DASH} {keys.NAME} "
HALF_DASH = re.compile(rb"\xe2\x80?(?=\n|\Z)")  # where a note was cut off inside of it
# What Compose, Docker and journald put before a line of the portal's output. Some Compose clear the line first.
BEFORE = re.compile(
    r"(?:\x1b\[[0-9;]*[A-Za-z])*"
    r"(?:[\w.-]+ +\| |[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ \S+\[\d+\]: )?"
    r"(?:\x1b\[[0-9;]*[A-Za-z])*"
    r"(?:\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-][\d:]+) )?(?={)"
)
WHOLE = len(SIGNED) + 92  # characters; a shorter signature was cut off while it was written, and its note comes again


class AnchorsUnreadable(Exception):
    """A file of anchors cannot be read or holds something else."""


@dataclass(frozen=True, slots=True)
class Note:
    """One signed checkpoint, read from outside."""

    statement: Statement
    note: str
    source: str


@dataclass(slots=True)
class Anchors:
    """Everything that was found outside."""

    notes: list[Note] = field(default_factory=list)
    conflicts: set[int] = field(default_factory=set)  # events printed twice, differently: the end was cut off between
    hashes: dict[int, str] = field(default_factory=dict)  # of single events, from lines of `serve` and `watch`

    @property
    def newest(self) -> int:
        """The last event that anything outside speaks of, 0 if nothing does."""
        return max([0, *self.hashes, *(note.statement.size for note in self.notes)])


def read(places: Iterable[Path]) -> Anchors:
    """Return what the files, and all files of the folders, hold. Raises AnchorsUnreadable."""
    anchors, named = Anchors(), list(places)
    for file in files_of(named):
        try:
            content = HALF_DASH.sub(b"", file.read_bytes()).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise AnchorsUnreadable(f"{file}: {error}") from None
        if not take(content, str(file), anchors) and file in named:
            raise AnchorsUnreadable(f"{file}: there is neither a checkpoint nor a line of the audit log in it")
    return anchors


def files_of(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_dir():
            yield from sorted(place.glob("checkpoints-*.txt"))
        elif place.exists():
            yield place
        else:
            raise AnchorsUnreadable(f"{place}: there is no such file or folder")


def take(content: str, source: str, anchors: Anchors) -> int:
    """Add what `content` holds, and return how many: signed notes, and lines of JSON with `seq` and `hash`.

    Others may stand between.
    """
    lines, taken = content.split("\n"), 0
    for number, line in enumerate(lines):
        if said := said_in(line):
            take_line(said, anchors)
            taken += 1
        elif line.startswith(SIGNED) and len(line) >= WHOLE:
            start = number - 6  # five lines of text and an empty one stand before the signature
            note = "\n".join(lines[max(start, 0) : number + 1]) + "\n"
            try:
                text, _, _ = keys.signer_of(note)
                anchors.notes.append(Note(Statement.read(text.decode()), note, f"{source}:{number + 1}"))
            except (ValueError, OverflowError) as error:
                raise AnchorsUnreadable(f"{source}:{number + 1}: {error}") from None
            taken += 1
    return taken


def said_in(line: str) -> dict[str, Any] | None:
    """Return what a line of the portal's output says of an event, whatever a log collector put before it."""
    if not (before := BEFORE.match(line)):
        return None
    with suppress(ValueError, AttributeError):  # another program's line
        said = json.loads(line[before.end() :])
        if said.get("log") == "audit" and isinstance(said.get("seq"), int) and isinstance(said.get("hash"), str):
            return dict(said)
    return None


def take_line(said: dict[str, Any], anchors: Anchors) -> None:
    seq, event_hash = said["seq"], said["hash"]
    if anchors.hashes.setdefault(seq, event_hash) != event_hash:
        anchors.conflicts.add(seq)


def kinds_in(places: Iterable[Path], *, after: int) -> Counter[str]:
    """Count the kinds of events after number `after` that lines of the portal's output tell of, each event once."""
    kinds: dict[int, str] = {}
    for file in files_of(places):
        for line in file.read_bytes().decode(errors="replace").split("\n"):
            if (said := said_in(line)) and said["seq"] > after:
                kinds[said["seq"]] = str(said.get("kind", ""))
    return Counter(kinds.values())
