"""The nine attacks on a log by somebody who owns its database, without and with the stolen signing key.

Works on rows in memory and writes them back past the triggers, as an owner can.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from django.db import connection

from portal.audit import keys, triggers
from portal.audit.canonical import GENESIS, canonical, hash_of
from portal.audit.checkpoints import Statement
from portal.audit.merkle import Tree
from portal.audit.models import Block, Checkpoint, Detail, Event

Row = dict[str, Any]
COLUMNS = [field.column for field in Event._meta.concrete_fields]


class Log:
    """The rows of a log, to be damaged."""

    def __init__(self, events: list[Row]) -> None:
        self.events = events

    @classmethod
    def load(cls) -> Log:
        details = {row.pop("seq"): row for row in Detail.objects.values()}
        return cls([row | {"detail": details.get(row["seq"])} for row in Event.objects.order_by("seq").values()])

    def copy(self) -> Log:
        return Log(deepcopy(self.events))

    def rechain(self, begin: int = 0) -> None:
        """Number and hash everything from row `begin` anew, as if it had always been so."""
        prev = self.events[begin - 1]["hash"] if begin else GENESIS
        for seq, row in enumerate(self.events[begin:], start=begin + 1):
            said = json.loads(row["record"]) | {"seq": seq, "prev": prev}
            row["record"] = canonical(said)
            row["seq"], row["prev"] = seq, prev
            prev = row["hash"] = hash_of(row["record"])

    def store(self, *, stolen: keys.SigningKey | None = None) -> None:
        """Replace the database's rows, and with a stolen key every checkpoint so that it fits them."""
        notes = list(Checkpoint.objects.order_by("size").values())
        triggers.drop(connection)
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM audit_event")
            cursor.execute("DELETE FROM audit_detail")
            cursor.executemany(
                "INSERT INTO audit_detail (seq, salt, data, ticket) VALUES (%s, %s, %s, %s)",
                [(row["seq"], *row["detail"].values()) for row in self.events if row["detail"]],
            )
            cursor.executemany(
                f"INSERT INTO audit_event ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})",
                [tuple(row[column] for column in COLUMNS) for row in self.events],
            )
            if stolen is not None:
                cursor.execute("DELETE FROM audit_checkpoint")
                cursor.execute("DELETE FROM audit_block")
        triggers.reinstall()
        if stolen is not None:
            self.resign(notes, stolen)

    def resign(self, notes: list[Row], stolen: keys.SigningKey) -> None:
        tree, sizes, blocks = Tree(), {note["size"]: note for note in notes}, 0
        for row in self.events:
            if whole := tree.add(row["hash"]):
                Block(number=blocks, root=whole.hex()).save()
                blocks += 1
            if row["seq"] in sizes:
                old = Statement.read(sizes[row["seq"]]["note"])
                said = Statement(old.origin, row["seq"], tree.root(), row["hash"], old.ts)
                Checkpoint(
                    size=said.size, root=said.root.hex(), head=said.head, ts=said.ts, note=stolen.note(said.text())
                ).save()


def edit(row: Row, rng: random.Random) -> None:
    """Let another person have done it."""
    said = json.loads(row["record"])
    said["actor"] |= {"id": f"user:{rng.randrange(1000, 2000)}", "name": "Somebody Else"}
    row["record"], row["actor"] = canonical(said), said["actor"]["id"]


# Each takes the log, the number of the last event under an outside anchor, and a source of chance; changes
# something up to that event and returns the first event that is no longer what it was.
Attack = Callable[[Log, int, random.Random], int]


def edit_a_row(log: Log, anchored: int, rng: random.Random) -> int:
    at = rng.randrange(anchored)
    edit(log.events[at], rng)
    return at + 1


def edit_and_recompute(log: Log, anchored: int, rng: random.Random) -> int:
    at = edit_a_row(log, anchored, rng)
    log.rechain(at - 1)
    return at


def delete_a_row(log: Log, anchored: int, rng: random.Random) -> int:
    at = rng.randrange(anchored - 1)
    del log.events[at]
    return at + 1


def delete_and_recompute(log: Log, anchored: int, rng: random.Random) -> int:
    at = delete_a_row(log, anchored, rng)
    log.rechain(at - 1)
    return at


def swap_two_rows(log: Log, anchored: int, rng: random.Random) -> int:
    first, second = sorted(rng.sample(range(anchored), 2))
    one, other = log.events[first], log.events[second]
    for name in one.keys() - {"seq"}:
        one[name], other[name] = other[name], one[name]
    return first + 1


def insert_and_recompute(log: Log, anchored: int, rng: random.Random) -> int:
    at = rng.randrange(anchored)
    forged = deepcopy(log.events[rng.randrange(len(log.events))])
    edit(forged, rng)
    log.events.insert(at, forged)
    log.rechain(at)
    return at + 1


def cut_the_end(log: Log, anchored: int, rng: random.Random) -> int:
    left = rng.randrange(1, anchored)
    del log.events[left:]
    return left + 1


def restore_an_old_backup(log: Log, anchored: int, rng: random.Random) -> int:
    """The end is cut off, and work goes on from there, past the anchor."""
    left = rng.randrange(1, anchored)
    later = deepcopy(log.events[:1]) * (anchored - left + rng.randrange(1, 20))
    del log.events[left:]
    for row in map(deepcopy, later):
        edit(row, rng)
        log.events.append(row)
    log.rechain(left)
    return left + 1


def replace_everything(log: Log, anchored: int, rng: random.Random) -> int:
    for row in log.events:
        edit(row, rng)
    log.rechain()
    return 1


ATTACKS: dict[str, Attack] = {
    "edit a row": edit_a_row,
    "edit a row and recompute the rest": edit_and_recompute,
    "delete a row": delete_a_row,
    "delete a row and recompute the rest": delete_and_recompute,
    "swap two rows": swap_two_rows,
    "insert a forged row and recompute the rest": insert_and_recompute,
    "cut the end off": cut_the_end,
    "restore an old backup and go on": restore_an_old_backup,
    "replace the whole log": replace_everything,
}
