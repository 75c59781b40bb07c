"""Checking the whole log: every event against the chain, the chain against checkpoints, those against outside copies.

Streams: memory does not grow with the log. Changes nothing.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.utils.translation import gettext as _

from portal.audit import triggers
from portal.audit.anchors import Anchors
from portal.audit.canonical import GENESIS, commitment, hash_of
from portal.audit.checkpoints import MICROSECONDS, Statement
from portal.audit.findings import Grade, Report
from portal.audit.keys import PublicKey, signer_of
from portal.audit.merkle import BLOCK, Tree
from portal.audit.models import Block, Checkpoint, Watermark
from portal.audit.ranges import Ranges
from portal.audit.rotation import Trust

CHUNK = 2000  # rows
DOWNLOADS = ("audit.exported", "audit.evidence", "history.exported")
OPEN_FOR = 300 * MICROSECONDS  # so long an operation may be without its outcome
ROWS = """
    SELECT e.seq, e.ts, e.kind, e.phase, e.result, e.reference, e.actor, e.target, e.network, e.prev, e.hash, e.record,
        d.salt, d.data, d.ticket
    FROM audit_event e LEFT JOIN audit_detail d ON d.seq = e.seq
    WHERE e.seq > %s ORDER BY e.seq
"""


class Cut(NamedTuple):
    """What the log says of a restore: which events were lost with it."""

    event: int
    ts: int
    first: int
    last: int

    def explains(self, said: Statement) -> bool:
        """Say whether a statement is about events of before the restore that are lost, and not about later ones."""
        return self.first <= said.size <= self.last and said.ts < self.ts


class Verification:
    """One check. `run` returns the report; a log that cannot be read raises what the database raises."""

    def __init__(self, anchors: Anchors | None, trusted: Iterable[PublicKey]) -> None:
        self.anchors = anchors or Anchors()
        self.given = list(trusted)
        self.trust = Trust(self.given)
        self.report = Report()
        self.tree = Tree()
        self.roots: dict[int, str] = {}  # of the sizes that checkpoints speak of
        self.heads: dict[int, str] = {}
        self.open: dict[str, tuple[int, int, str]] = {}  # operations: their intent's number, time and kind
        self.lost, self.erased = Ranges(), Ranges()
        self.cuts: list[Cut] = []
        self.purges: set[tuple[int, str]] = set()
        self.now = time.time_ns() // 1000

    def run(self) -> Report:
        began = time.monotonic()
        self.checkpoints = list(Checkpoint.objects.order_by("size"))
        self.watermark = Watermark.objects.order_by("-upto").first()
        self.blocks = list(Block.objects.order_by("number").values_list("number", "root"))
        self.sizes = {checkpoint.size for checkpoint in self.checkpoints}
        self.sizes |= {note.statement.size for note in self.anchors.notes}
        self.sizes |= {self.watermark.upto} if self.watermark else set()
        self.begin()
        self.walk()
        self.check_watermark()
        self.check_checkpoints()
        self.check_anchors()
        self.check_rest()
        newest = Watermark.objects.order_by("-upto").values_list("upto", flat=True).first()
        if newest != (self.watermark.upto if self.watermark else None):
            return Verification(
                self.anchors, self.given
            ).run()  # a purge came in between: what was read is of two times
        self.report.seconds = time.monotonic() - began
        return self.report

    def begin(self) -> None:
        """Start where the log starts: at its first event, or after what a purge has removed."""
        upto = self.watermark.upto if self.watermark else 0
        self.report.first, self.report.size = upto + 1, upto
        self.head = self.watermark.head if self.watermark else GENESIS
        whole = [root for number, root in self.blocks if number < upto // BLOCK]
        if upto % BLOCK or len(whole) != upto // BLOCK:
            self.report.tampered(_("What is kept of the removed events does not reach up to event %d.") % upto, upto)
            self.tree = Tree([bytes(32)] * (upto // BLOCK))  # adds up to nothing, as it should
        else:
            self.tree = Tree(bytes.fromhex(root) for root in whole)
        self.note_root()

    def walk(self) -> None:
        last_ts = 0
        for row in rows(after=self.report.size):
            seq, ts, event_hash, record = row[0], row[1], row[10], row[11]
            if seq != self.report.size + 1:
                self.report.tampered(
                    _("Events %(first)s to %(last)s are missing.") % {"first": self.report.size + 1, "last": seq - 1},
                    self.report.size + 1,
                )
            if row[9] != self.head:
                self.report.tampered(_("Event %d does not continue the one before it.") % seq, seq)
            if not isinstance(record, str) or not isinstance(ts, int) or hash_of(record) != event_hash:
                self.report.tampered(_("Event %d was changed: its hash does not fit.") % seq, seq)
            try:
                self.check_event(row)
            except Exception:  # whatever somebody has written there must not stop the check
                self.report.tampered(_("Event %d cannot be read.") % seq, seq)
            ts = ts if isinstance(ts, int) else last_ts
            if last_ts - ts > 2 * MICROSECONDS and row[2] != "system.clock":
                self.report.add(Grade.REMARK, _("The clock goes back at event %d, and no event says so.") % seq, seq)
            last_ts, self.head, self.report.size = ts, event_hash, seq
            self.count(event_hash)

    def count(self, event_hash: str) -> None:
        if not is_hash(event_hash):
            event_hash = GENESIS  # said already: it fits nothing
        whole = self.tree.add(event_hash)
        if whole is not None:
            number = self.tree.blocks.size - 1
            stored = self.blocks[number][1] if number < len(self.blocks) else None
            if stored is not None and stored != whole.hex():
                last = self.report.size
                self.report.tampered(
                    _("Events %(first)s to %(last)s do not add up to what was kept of them.")
                    % {"first": last - BLOCK + 1, "last": last},
                    last - BLOCK + 1,
                    is_exact=False,
                )
        self.note_root()

    def note_root(self) -> None:
        size = self.report.size
        if size in self.sizes and size:
            self.roots[size], self.heads[size] = self.tree.root().hex(), self.head
        if size in self.anchors.conflicts or self.anchors.hashes.get(size, self.head) != self.head:
            self.report.tampered(_("Event %d is not the one that was printed when it was written.") % size, size)

    def check_event(self, row: tuple[Any, ...]) -> None:
        """Compare the columns with the record, the details with their commitment, and follow operations."""
        seq, ts, kind, phase, _result, reference = row[:6]
        try:
            said = json.loads(row[11])
            told = (
                said["seq"], said["ts"], said["kind"], said["phase"], said["result"], said["reference"],
                said["actor"]["id"], said["target"], said["origin"]["network"], said["prev"],
            )  # fmt: skip
            committed = said["details"]
        except (ValueError, KeyError, TypeError):
            self.report.tampered(_("Event %d cannot be read.") % seq, seq)
            return
        if told != row[:10]:
            self.report.tampered(_("The columns of event %d say something else than its record.") % seq, seq)
        self.check_details(seq, committed, row[12], row[13], row[14])
        if reference:
            if phase == "intent":
                self.open[reference] = (seq, ts, kind)
            else:
                self.open.pop(reference, None)
        if kind.startswith(("audit.", "backup.")):
            self.follow(seq, kind, said["facts"])
            if kind == "backup.restored" and said["facts"].get("cut"):
                self.cuts.append(Cut(seq, ts, *said["facts"]["cut"]))

    def check_details(self, seq: int, committed: str, salt: str | None, data: str | None, ticket: str | None) -> None:
        if salt is None or data is None:
            if committed:
                self.lost.add(seq)
        elif not committed or commitment(salt, data) != committed:
            self.report.tampered(_("The details of event %d were changed.") % seq, seq)
        elif ('"ticket"' in data or ticket) and str(json.loads(data).get("ticket", ""))[:100] != ticket:
            self.report.tampered(_("The ticket beside event %d is not the one of its details.") % seq, seq)

    def follow(self, seq: int, kind: str, facts: dict[str, Any]) -> None:
        """Remember what the log says about itself."""
        if kind == "audit.erased":
            for first, last in facts.get("ranges", []):
                self.erased.add(first, last)
        elif kind == "audit.purged" and "upto" in facts:
            self.purges.add((facts["upto"], facts.get("root", "")))
            for told in facts.get("keys", []):
                self.trust.learn(told, at=facts["upto"])
        elif kind in ("audit.key_created", "audit.key_rotated"):
            self.trust.learn(facts, at=seq)

    def check_watermark(self) -> None:
        mark = self.watermark
        if mark is None:
            return
        about = _("the end of the removed events, %d") % mark.upto
        text = self.checked_note(mark.note, about, mark.upto, is_purge=True)
        if text and (text.size, text.root.hex(), text.head) != (mark.upto, mark.root, mark.head):
            self.report.tampered(_("The note about the removed events says something else."), mark.upto)
        if self.roots.get(mark.upto, mark.root) != mark.root or (mark.upto, mark.root) not in self.purges:
            self.report.tampered(_("Events up to %d were removed, and no event says so.") % mark.upto, mark.upto)

    def check_checkpoints(self) -> None:
        good = self.report.first - 1
        for checkpoint in self.checkpoints:
            about = _("checkpoint %d") % checkpoint.size
            said = self.checked_note(checkpoint.note, about, checkpoint.size)
            stored = (checkpoint.size, checkpoint.root, checkpoint.head)
            if said and (said.size, said.root.hex(), said.head) != stored:
                self.report.tampered(_("The columns of %s say something else than its note.") % about, checkpoint.size)
            elif said and self.fits(said, about, good):
                good = max(good, said.size)
        self.report.checkpoints = len(self.checkpoints)

    def check_anchors(self) -> None:
        good, here = self.report.first - 1, {checkpoint.size for checkpoint in self.checkpoints}
        for note in sorted(self.anchors.notes, key=lambda note: note.statement.size):
            about = _("the outside copy at event %d") % note.statement.size
            said = self.checked_note(note.note, about, note.statement.size)
            if not said or self.is_lost(said) or not self.fits(said, about, good):
                continue
            if said.size not in here and said.size >= self.report.first:
                self.report.tampered(_("The checkpoint at event %d was removed from the database.") % said.size)
            good = said.size
            self.cover(said.size, said.ts)
        for seq in self.anchors.hashes:
            if seq > self.report.size:
                cut = _("Event %d was printed and is missing: the end was cut off.") % seq
                self.report.tampered(cut, self.report.size + 1, is_exact=False)
            elif seq >= self.report.first:
                self.cover(seq, None)

    def is_lost(self, said: Statement) -> bool:
        """Say whether an outside copy is of events that a restore has lost, and says so: no tampering, but a gap."""
        is_as_it_was = (self.roots.get(said.size), self.heads.get(said.size)) == (said.root.hex(), said.head)
        return not is_as_it_was and any(cut.explains(said) for cut in self.cuts)

    def cover(self, size: int, ts: int | None) -> None:
        if size > self.report.covered:
            self.report.covered = size
            self.report.covered_at = datetime.fromtimestamp(ts / MICROSECONDS, UTC) if ts else None

    def fits(self, said: Statement, about: str, good: int) -> bool:
        """Say whether the events add up to a checkpoint; if not, report it. `good` is the last size that fits."""
        if said.size > self.report.size:
            self.report.tampered(
                _("There were %(then)s events at %(about)s, now there are %(now)s: the end was cut off.")
                % {"then": said.size, "about": about, "now": self.report.size},
                self.report.size + 1,
                is_exact=False,
            )
            return False
        if said.size < self.report.first - 1:
            return True  # removed since; the watermark answers for it
        if (self.roots.get(said.size), self.heads.get(said.size)) == (said.root.hex(), said.head):
            return True
        self.report.tampered(
            _("The events do not add up to %(about)s: something from event %(first)s to %(last)s was changed.")
            % {"about": about, "first": good + 1, "last": said.size},
            good + 1,
            is_exact=False,
        )
        return False

    def checked_note(self, note: str, about: str, seq: int, *, is_purge: bool = False) -> Statement | None:
        """Return what a signed note says, or report why nobody can rely on it."""
        try:
            text, key_hash, signature = signer_of(note)
            said = Statement.read(text.decode())
            if said.is_purge != is_purge:
                raise ValueError("a note of another kind")
        except (ValueError, OverflowError):
            self.report.tampered(_("The note of %s cannot be read.") % about, seq)
            return None
        match self.trust.judge(key_hash, signature, text, size=said.size):
            case "trusted":
                return said
            case "unendorsed":
                self.report.incomplete(
                    _("The key %(key)s of %(about)s was replaced without its own signature: give it with --pubkey.")
                    % {"key": key_hash.hex(), "about": about}
                )
                return said
            case "unknown":
                self.report.tampered(
                    _("Nobody knows the key %(key)s of %(about)s.") % {"key": key_hash.hex(), "about": about}, seq
                )
            case _:
                self.report.tampered(_("The signature of %s is wrong.") % about, seq)
        return None

    def check_rest(self) -> None:
        """Say what is not complete: no outside copy, details without an erasure, operations without an end."""
        if not self.report.covered:
            self.report.incomplete(
                _(
                    "There is no outside copy to compare with: whoever owns the database could have rewritten all of "
                    "it. Set AUDIT_CHECKPOINT_DIR, or give --anchors."
                )
            )
        for cut in self.cuts:
            self.report.incomplete(
                _("A backup was restored, says event %(event)s: events %(first)s to %(last)s of before it are lost.")
                % {"event": cut.event, "first": cut.first, "last": cut.last},
                cut.event,
            )
        for first, last in self.lost.without(self.erased):
            self.report.incomplete(
                _("The details of events %(first)s to %(last)s are missing, and no event says that they were erased.")
                % {"first": first, "last": last},
                first,
            )
        for seq, ts, kind in self.open.values():
            if self.now - ts > OPEN_FOR:
                # A download that was cut off has changed nothing; what is done at the vendor must have an end.
                grade = Grade.REMARK if kind in DOWNLOADS else Grade.INCOMPLETE
                self.report.add(grade, _("The operation of event %d has no outcome.") % seq, seq)
        if missing := triggers.missing(connection):
            self.report.incomplete(
                _("The database protects the log no longer: %s. Run `manage.py audit_triggers`.") % ", ".join(missing)
            )


def is_hash(text: Any) -> bool:
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text) is not None


def rows(*, after: int) -> Iterator[tuple[Any, ...]]:
    """Yield events with their details, a few at a time from the database's own cursor."""
    # PostgreSQL keeps a cursor inside a transaction only; SQLite's would lock out writers.
    context = transaction.atomic() if connection.vendor == "postgresql" else nullcontext()
    with context, connection.chunked_cursor() as cursor:
        cursor.execute(ROWS, [after])
        while chunk := cursor.fetchmany(CHUNK):
            yield from chunk
