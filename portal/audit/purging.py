"""Removing what is too old: whole events up to a signed watermark, or only the personal details beside them.

Both leave the chain provable, and both are events themselves. On PostgreSQL only the owner's role may.
"""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Iterable, Iterator

from django.db import connection, transaction

from portal import audit
from portal.audit import checkpoints, keys
from portal.audit.checkpoints import Statement
from portal.audit.kinds import Result
from portal.audit.merkle import BLOCK, Tree
from portal.audit.models import Block, Checkpoint, Detail, Erasure, Event, Watermark
from portal.audit.ranges import Ranges

BATCH = 10_000  # rows in one transaction: a desk at work must not wait long for it
RANGES = 500  # in one event of an erasure


class NothingToRemove(Exception):
    """No event is as old as that, or too few to fill a block of 256."""


def last_before(ts: int) -> int:
    """Return the last event of the whole blocks that are older than `ts` (UTC, microseconds), 0 if there are none.

    Blocks are kept or removed whole, so up to 255 events that are older stay.
    """
    first_kept = Event.objects.filter(ts__gte=ts).order_by("seq").values_list("seq", flat=True).first()
    newest = Event.objects.order_by("-seq").values_list("seq", flat=True).first() or 0
    last = (first_kept or newest) - 1  # the newest one always stays: the chain goes on from it
    return max(last, 0) // BLOCK * BLOCK


def purge(upto: int, *, reason: str) -> int:
    """Remove the events up to `upto`, a multiple of 256, and return how many.

    The watermark and the event come first, in one transaction. If the rest is interrupted,
    `finish_purge` removes what is left of it. Raises NothingToRemove, KeyUnusable, Unavailable.
    """
    done = Watermark.objects.order_by("-upto").values_list("upto", flat=True).first() or 0
    if upto <= done or upto % BLOCK:
        raise NothingToRemove
    checkpoints.seal()
    checkpoints.grow(Checkpoint.objects.latest("size").size)  # stores what a busy database did not take before
    roots = list(Block.objects.filter(number__lt=upto // BLOCK).order_by("number").values_list("root", flat=True))
    if len(roots) != upto // BLOCK:
        raise audit.Unavailable("The database is busy: the roots of what would be removed are not all stored yet.")
    head = Event.objects.values_list("hash", flat=True).get(pk=upto)
    root = Tree(bytes.fromhex(root) for root in roots).root()
    origin = checkpoints.origin_of(Checkpoint.objects.order_by("-size").first()) + checkpoints.PURGE
    said = Statement(origin, upto, root, head, time.time_ns() // 1000)
    with audit.writing():
        mark = Watermark(upto=upto, head=head, root=root.hex(), ts=said.ts, note=keys.current().note(said.text()))
        mark.save()
        audit.record(
            "audit.purged",
            result=Result.OK,
            facts={"upto": upto, "count": upto - done, "root": root.hex(), "head": head, "keys": keys_told(upto)},
            details=responsible(reason),
        )
    return finish_purge()


def keys_told(upto: int) -> list[dict[str, str]]:
    """Return what the events up to `upto` say of signing keys: checkpoints, which stay, are signed with these."""
    told: list[dict[str, str]] = []
    about = ("audit.key_created", "audit.key_rotated", "audit.purged")
    for event in Event.objects.filter(kind__in=about, seq__lte=upto).order_by("seq"):
        told += event.facts.get("keys", []) if event.kind == "audit.purged" else [event.facts]
    return [facts for place, facts in enumerate(told) if facts not in told[:place]]


def finish_purge() -> int:
    """Remove the rows that the last watermark has given up, a batch at a time, and return how many events."""
    mark = Watermark.objects.order_by("-upto").first()
    oldest = Event.objects.order_by("seq").values_list("seq", flat=True).first()
    if mark is None or oldest is None:
        return 0
    removed = 0
    for end in range(oldest + BATCH - 1, mark.upto + BATCH, BATCH):
        with transaction.atomic(), connection.cursor() as cursor:
            for table in ("audit_detail", "audit_event"):
                cursor.execute(f"DELETE FROM {table} WHERE seq <= %s", [min(end, mark.upto)])  # noqa: S608  # nosec B608
            removed += cursor.rowcount
    return removed


def erase(numbers: Iterable[int], *, reason: str) -> int:
    """Erase the personal details of the events with these numbers and return of how many.

    What they said cannot be guessed from the chain afterwards: the salt goes with them. Raises Unavailable.
    """
    chosen, count = list(Ranges(numbers)), 0
    wipe_deleted_pages()
    for start in range(0, len(chosen), RANGES):
        count += erase_ranges(chosen[start : start + RANGES], reason=reason)
    return count


def erase_ranges(ranges: list[tuple[int, int]], *, reason: str) -> int:
    with audit.writing():
        count = sum(Detail.objects.filter(seq__gte=first, seq__lte=last).count() for first, last in ranges)
        if not count:
            return 0
        event = audit.record(
            "audit.erased",
            result=Result.OK,
            facts={"ranges": [list(item) for item in ranges], "count": count},
            details=responsible(reason),
        )
        with connection.cursor() as cursor:
            for first, last in ranges:
                Erasure(first=first, last=last, event=event.seq).save()
                cursor.execute("DELETE FROM audit_detail WHERE seq >= %s AND seq <= %s", [first, last])
    return count


def wipe_deleted_pages() -> None:
    """Have SQLite overwrite what is deleted on this connection; PostgreSQL reuses it after a vacuum."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA secure_delete = ON")


def naming(name: str) -> Iterator[int]:
    """Yield the numbers of events whose details name somebody, as client, person or typed name. Reads all details."""
    wanted = name.casefold().strip()
    for seq, data in Detail.objects.order_by("seq").values_list("seq", "data").iterator(chunk_size=2000):
        told = json.loads(data)
        if any(str(told.get(field, "")).casefold().strip() == wanted for field in ("target", "claimed", "name")):
            yield seq


def responsible(reason: str) -> dict[str, str]:
    """Return who ran the command, as far as the machine knows, and why."""
    try:
        operator = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        operator = ""
    return {"reason": reason, "operator": operator}
