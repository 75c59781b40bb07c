"""What an export of the log holds: every event as it is stored, what proves it, and the program that checks it.

Everything streams, in memory that does not grow with the log, and no read stays open while somebody's
connection is slow. Does not know who exports, nor where to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from portal.audit import archive, cells, checkpoints, keys, sentences
from portal.audit.canonical import canonical
from portal.audit.checkpoints import Prover
from portal.audit.manual import manual
from portal.audit.merkle import BLOCK
from portal.audit.models import Block, Checkpoint, Detail, Erasure, Event, EventQuerySet, Watermark
from portal.audit.verify_export import HEADER, instant

BATCH = 1000  # events in memory
NUMBERS = 50_000  # of chosen events in memory
VERIFIER = Path(__file__).with_name("verify_export.py")
KEY_EVENTS = ("audit.key_created", "audit.key_rotated")
Lookup = dict[str, Any]
Files = Iterable[tuple[str, Iterable[bytes]]]


class Changed(Exception):
    """Something was removed or erased while it was exported: the parts would contradict each other."""


class Export:
    """One export, of the whole log or of chosen events. Signs a checkpoint at once: it holds what is under that.

    Raises KeyUnusable without a key to sign with.
    """

    def __init__(
        self, events: EventQuerySet | None = None, *, form: str = "zip", with_details: bool = True, extra: Files = ()
    ) -> None:
        checkpoints.seal()
        self.checkpoint = Checkpoint.objects.latest("size")
        self.mark = Watermark.objects.order_by("-upto").first()
        self.first = self.mark.upto + 1 if self.mark else 1
        self.last = self.checkpoint.size
        self.events = events
        self.form = form
        self.with_details = with_details
        self.extra = extra
        self.rows = 0

    def __iter__(self) -> Iterator[bytes]:
        forms = {"zip": lambda: archive.pack(self.files()), "jsonl": self.lines, "csv": self.table}
        return forms[self.form]()

    def files(self) -> Files:
        is_whole, erased = self.events is None, self.erased()
        yield "README.txt", [manual(self, is_whole=is_whole).encode()]
        yield VERIFIER.name, [VERIFIER.read_bytes()]
        yield "checkpoint.txt", [self.checkpoint.note.encode()]
        yield "keys.json", [self.keys().encode()]
        if is_whole:
            yield from self.foundations()
        yield from self.extra
        yield "events.jsonl", self.lines()
        yield "events.csv", self.table()
        if self.erased() != erased:
            raise Changed(_("Something was removed from the log while it was exported. Export it again."))

    @staticmethod
    def erased() -> tuple[int, int]:
        return Watermark.objects.count(), Erasure.objects.count()

    def foundations(self) -> Files:
        """All checkpoints, and what is left of the events that were removed for their age."""
        notes = Checkpoint.objects.filter(size__lte=self.last).order_by("size").values_list("note", flat=True)
        yield "checkpoints.txt", (f"{note}\n".encode() for note in notes.iterator())
        if self.mark:
            roots = Block.objects.filter(number__lt=self.mark.upto // BLOCK).order_by("number")
            yield "watermark.txt", [self.mark.note.encode()]
            yield "blocks.txt", (f"{root}\n".encode() for root in roots.values_list("root", flat=True).iterator())

    def keys(self) -> str:
        """Return the public keys that the log names, and the one in use, as JSON."""
        found = []
        for event in Event.objects.filter(kind__in=KEY_EVENTS, seq__lte=self.last).order_by("seq"):
            key = keys.PublicKey.from_hex(event.facts["public"])
            found.append(described(key) | {"event": event.seq, "hash": event.hash, "facts": event.facts})
        current = keys.current().public
        if all(key["public"] != current.hex for key in found):  # its event was removed for its age
            found.append(described(current))
        return json.dumps(found, indent=1) + "\n"

    def lookups(self) -> Iterator[Lookup]:
        """Yield the events batch by batch, as conditions on their numbers."""
        if self.events is None:
            for start in range(self.first, self.last + 1, BATCH):
                yield {"seq__gte": start, "seq__lte": min(start + BATCH - 1, self.last)}
            return
        after = self.first - 1
        while numbers := list(
            self.events.filter(seq__gt=after, seq__lte=self.last)
            .order_by("seq")
            .values_list("seq", flat=True)[:NUMBERS]
        ):
            after = numbers[-1]
            for start in range(0, len(numbers), BATCH):
                yield {"seq__in": numbers[start : start + BATCH]}

    def lines(self) -> Iterator[bytes]:
        """Yield `events.jsonl`: one line for each event, chosen ones with their proofs."""
        prover = None if self.events is None else Prover(self.checkpoint)
        for lookup in self.lookups():
            details = self.details(lookup)
            rows = Event.objects.filter(**lookup).order_by("seq").values_list("seq", "hash", "record")
            lines = [
                line_of(event_hash, record, details.get(seq), prover.path(seq) if prover else None)
                for seq, event_hash, record in rows
            ]
            self.rows += len(lines)
            yield "".join(lines).encode("utf-8", "replace")

    def table(self) -> Iterator[bytes]:
        """Yield `events.csv`."""
        yield cells.header([HEADER[0].lstrip(cells.MARK), *HEADER[1:]])
        for lookup in self.lookups():
            details = self.details(lookup)
            events = list(Event.objects.filter(**lookup).order_by("seq"))
            if self.form == "csv":
                self.rows += len(events)
            yield cells.encode(
                row_of(event, details.get(event.seq), is_left_out=not self.with_details) for event in events
            )

    def details(self, lookup: Lookup) -> dict[int, tuple[str, str]]:
        """Return salt and data by the event's number."""
        if not self.with_details:
            return {}
        found = Detail.objects.filter(**lookup).values_list("seq", "salt", "data")
        return {seq: (salt, data) for seq, salt, data in found}


def described(key: keys.PublicKey) -> dict[str, Any]:
    return {"id": key.id, "public": key.hex, "verifier": key.verifier}


def line_of(event_hash: str, record: str, detail: tuple[str, str] | None, proof: list[str] | None) -> str:
    """Return an event as a line of canonical JSON."""
    parts = {"hash": canonical(event_hash), "record": embedded(record)}
    if detail is not None:
        parts |= {"details": embedded(detail[1]), "salt": canonical(detail[0])}
    if proof is not None:
        parts["proof"] = canonical(proof)
    return "{" + ",".join(f'"{name}":{parts[name]}' for name in sorted(parts)) + "}\n"


def embedded(text: str) -> str:
    """Return canonical JSON as it is. What somebody has made of it in the database becomes a text: never two lines."""
    try:
        is_canonical = canonical(json.loads(text)) == text
    except (ValueError, RecursionError):
        is_canonical = False
    return text if is_canonical else canonical(text)


def row_of(event: Event, detail: tuple[str, str] | None, *, is_left_out: bool) -> list[Any]:
    """Return an event as the cells of `events.csv`; what nobody can read, with its number and hash only."""
    try:
        said, told = event.content, json.loads(detail[1]) if detail else {}
        event.details = told
        who = said["actor"]["name"] or told.get("claimed") or said["actor"]["id"]
        if is_left_out and said["details"]:
            event.details = {"target": _("[left out]"), "claimed": _("[left out]")}
        origin, roles = said["origin"]["network"], ", ".join(said["actor"]["roles"])
        return [
            said["seq"], instant(said["ts"]), said["kind"], sentences.of(event), who, roles, said["result"],
            said["phase"], said["reference"], said["target"], origin, told.get("ip"), told.get("ticket"), event.hash,
        ]  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return [event.seq, "", "", _("cannot be read"), *[""] * 9, event.hash]
