"""Adding one event to the log: its number, its place in the chain, its details beside it."""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError, OperationalError, connection, transaction

from portal.audit import Unavailable, lines, origin
from portal.audit.canonical import GENESIS, VERSION, canonical, commitment, hash_of, plain, storable
from portal.audit.kinds import KINDS, Phase
from portal.audit.models import PORTAL, STRANGER, Detail, Event, Person
from portal.line import Line

APPEND_LOCK = 7_203_911  # any constant; held until the appending transaction ends
LOCK_WAIT = 10_000  # milliseconds that whoever writes waits for others, in the whole of its transaction
MOST_SILENCE = 15_000  # milliseconds between two statements of a transaction that holds the log, or it is ended
LOCK = """SELECT set_config('lock_timeout', %s, true), set_config('idle_in_transaction_session_timeout', %s, true),
    pg_advisory_xact_lock(%s)"""
SECOND = 1_000_000  # in microseconds
STEP = 0.002  # seconds at most between two looks whether SQLite can be written
ROOM = 1024 * 1024  # bytes that must be free on SQLite's disk
JUMP = 2 * SECOND  # by so much the clock may go back before it is an event of its own
NODE = socket.gethostname()[:64]
writers = Line()  # of this process, before SQLite
PROGRAM = (sys.argv[1] if len(sys.argv) > 1 else "")[:40]  # of manage.py


class Head(NamedTuple):
    """The newest event: what the next one continues."""

    seq: int
    hash: str
    ts: int


def append(
    kind: str,
    *,
    phase: str = Phase.SINGLE,
    result: str = "",
    reference: str = "",
    actor: Person | AnonymousUser | None = None,
    actor_name: str = "",
    target_type: str = "",
    target_id: str = "",
    target_label: str = "",
    facts: dict[str, Any] | None = None,
    details: dict[str, Any] | None = None,
    up: dict[str, Any] | None = None,
) -> Event:
    """Append one event in the caller's transaction (or its own) and return it.

    `facts` and `up` (what the vendor answered) hold plain JSON and stay for ever: no secrets, nothing
    personal, nothing typed. `details`, the target's label and `actor_name` (what somebody without an
    account called themselves) go to the erasable side table. Raises KeyError for a kind that is not
    registered and Unavailable if the database does not take it.
    """
    KINDS[kind]
    where = origin.current()
    personal = {
        "claimed": actor_name[:150],
        "target": target_label[:250],
        "ip": where.ip or "",
        "agent": where.user_agent,
        **(details or {}),
    }
    told = plain({name: value for name, value in personal.items() if value not in ("", None)})
    content = {
        "v": VERSION,
        "kind": kind,
        "phase": str(phase),
        "result": str(result),
        "reference": storable(reference)[:32],
        "actor": actor_by_value(actor, where),
        "origin": {
            "network": origin.wider_network_of(where.ip or ""),
            "proxied": where.is_proxied,
            "agent": tag(where.user_agent),
        },
        "target": storable(f"{target_type}:{target_id}" if target_id else target_type)[:110],
        "facts": plain(facts or {}),
        "up": plain(up or {}),
        "sys": plain({"release": settings.RELEASE, "node": NODE, "pid": os.getpid(), "program": PROGRAM}),
    }
    try:
        with transaction.atomic():
            return add(content, told)
    except DatabaseError as error:
        raise Unavailable(f"The audit log could not be written: {error}") from error


def add(content: dict[str, Any], told: dict[str, Any]) -> Event:
    """Number, chain and store an event. Holds the lock until the caller's transaction ends."""
    lock()
    head, now = newest(), time.time_ns() // 1000
    if head.ts - now > JUMP and content["kind"] != "system.clock":
        append("system.clock", facts={"seconds": -((head.ts - now) // SECOND)})
        head = newest()
    salt, data = secrets.token_hex(16), canonical(told)
    content |= {"seq": head.seq + 1, "ts": now, "prev": head.hash, "details": commitment(salt, data) if told else ""}
    record = canonical(content)
    event = Event(
        **{name: content[name] for name in ("seq", "ts", "kind", "phase", "result", "reference", "target", "prev")},
        actor=content["actor"]["id"],
        network=content["origin"]["network"],
        hash=hash_of(record),
        record=record,
    )
    event.save()
    if newest().hash != event.hash:
        raise DatabaseError("the database took the event and did not keep it")
    if told:
        Detail(seq=event.seq, salt=salt, data=data, ticket=str(told.get("ticket", ""))[:100]).save()
    event.details = told
    transaction.on_commit(lambda: lines.tell(event))
    return event


def actor_by_value(actor: Person | AnonymousUser | None, where: origin.Origin) -> dict[str, Any]:
    """Return who it was, as they are called now: names and roles change later."""
    who: dict[str, Any] = {"id": STRANGER if where.is_request else PORTAL, "name": "", "roles": []}
    if actor is not None and not isinstance(actor, AnonymousUser):
        who = {
            "id": f"user:{actor.pk}",
            "name": storable(actor.display_name)[:150],
            "roles": [storable(role) for role in actor.role_names],
        }
    return who | {"method": storable(where.auth_method), "session": where.session}


def tag(text: str) -> str:
    """Return eight hex digits that tell one text from another."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8] if text else ""


def lock() -> None:
    """Hold the log until the current transaction ends. SQLite's write lock is held already.

    PostgreSQL waits for ever by itself: for a lock, and for a client that holds one and was cut off from it. Raises
    OperationalError when waiting took too long.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(LOCK, [f"{LOCK_WAIT:.0f}ms", f"{MOST_SILENCE:.0f}ms", APPEND_LOCK])


@contextmanager
def turn(*, durable: bool) -> Iterator[None]:
    """Open a transaction and hold the log's lock in it. Raises OperationalError when waiting took too long."""
    block = transaction.atomic(durable=durable)
    with ExitStack() as stack:
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            patience = connection.settings_dict["OPTIONS"].get("timeout", 5)  # seconds
            deadline = time.monotonic() + patience
            hand_on = stack.enter_context(writers.turn(patience))
            begin_by_short_steps(stack, block, patience, deadline)
            transaction.on_commit(hand_on)  # before what else waits for the commit, which may mail
        else:
            stack.enter_context(block)
        lock()
        yield


def begin_by_short_steps(stack: ExitStack, block: transaction.Atomic, patience: float, deadline: float) -> None:
    """Begin when SQLite can be written, waiting until `deadline`, and give it back its own `patience` in seconds.

    It waits in steps that grow to 100 ms. Writers that come back at once overtake whoever sleeps so long,
    again and again, until it gives up. Of each process one thread looks; the others wait in line for it.
    """
    connection.ensure_connection()
    database: sqlite3.Connection = connection.connection
    database.execute("PRAGMA busy_timeout = 0")
    try:
        while time.monotonic() < deadline:
            # The cheap look first: several writers look hundreds of times a second.
            if can_write(database):
                with suppress(OperationalError):  # somebody slipped in between
                    stack.enter_context(block)
                    return
            time.sleep(random.uniform(STEP / 4, STEP))  # noqa: S311  # so that two do not keep step
        stack.enter_context(block)
    finally:
        database.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")


def can_write(database: sqlite3.Connection) -> bool:
    try:
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY  # any other trouble shows itself at once
    return True


def refuse_without_space() -> None:
    """Raise Unavailable if SQLite's disk is full: it notices only at a commit, which a trial never comes to."""
    if connection.vendor != "sqlite" or is_in_memory():
        return
    name = str(connection.settings_dict["NAME"])
    with suppress(OSError):  # opening the database says it better
        disk = os.statvfs(os.path.dirname(name) or ".")
        if disk.f_bavail * disk.f_frsize < ROOM:
            raise Unavailable("The audit log could not be written: its disk is full")


def is_in_memory() -> bool:
    """Say whether SQLite has the database in memory: a folder on a disk may be called so."""
    return bool(connection.is_in_memory_db())  # type: ignore[attr-defined]


def newest() -> Head:
    """Return the end of the chain: the newest event, or what a purge has left of it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq, hash, ts FROM audit_event ORDER BY seq DESC LIMIT 1")
        row = cursor.fetchone()
        if row is None:
            cursor.execute("SELECT upto, head, ts FROM audit_watermark ORDER BY upto DESC LIMIT 1")
            row = cursor.fetchone() or (0, GENESIS, 0)
    return Head(*row)
