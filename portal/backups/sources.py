"""Reading a whole database as it is at one moment, while the portal works on.

What opens a door by itself is left out: whoever steals a backup must not find a session in it that still runs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

from portal.audit.appending import is_in_memory
from portal.audit.canonical import GENESIS
from portal.backups import programs
from portal.backups.archive import CHUNK

LEFT_OUT = ("accounts_session", "accounts_onetimelink", "django_session", "portal_cache")
HEAD = "SELECT seq, hash FROM audit_event ORDER BY seq DESC LIMIT 1"
MARK = "SELECT upto, head FROM audit_watermark ORDER BY upto DESC LIMIT 1"


class Unmakeable(Exception):
    """A backup cannot be made: why, and what to do."""


@dataclass(frozen=True)
class Source:
    """The database at one moment: where its audit log ends, and its content in parts."""

    vendor: str
    server: str
    content: str
    events: int
    head: str
    parts: Iterator[bytes]


def opened(folder: Path) -> AbstractContextManager[Source]:
    """Return the source of this database; it may put large files into `folder` until it is closed."""
    return of_server() if connection.vendor == "postgresql" else of_file(folder / ".copy.sqlite3.partial")


@contextmanager
def of_file(copy: Path) -> Iterator[Source]:
    """Copy SQLite's file, take out what is left out, and check the copy. Raises Unmakeable."""
    if is_in_memory():
        raise Unmakeable("A database in memory cannot be backed up.")
    remove(copy)
    try:
        copy.touch(mode=0o600)  # VACUUM INTO takes an empty file, and its mode with it
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(copy)])
        with closing(sqlite3.connect(copy, isolation_level=None)) as database:
            leave_out(database)
            seq, head = (database.execute(HEAD).fetchone() or database.execute(MARK).fetchone()) or (0, GENESIS)
        with copy.open("rb") as handle:
            parts = iter(lambda: handle.read(CHUNK), b"")
            yield Source("sqlite", sqlite3.sqlite_version, "database.sqlite3", seq, head, parts)
    finally:
        remove(copy)


def remove(copy: Path) -> None:
    copy.unlink(missing_ok=True)
    copy.with_name(f"{copy.name}-journal").unlink(missing_ok=True)


def leave_out(database: sqlite3.Connection) -> None:
    """Empty the tables that are left out, without a trace on the disk. Raises Unmakeable if the copy is damaged."""
    database.execute("PRAGMA journal_mode = MEMORY")
    database.execute("PRAGMA secure_delete = ON")
    there = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table in there.intersection(LEFT_OUT):
        database.execute(f"DELETE FROM {table}")  # noqa: S608  # nosec B608  # names of ours
    wrong = [text for (text,) in database.execute("PRAGMA integrity_check(3)") if text != "ok"]
    if wrong:
        raise Unmakeable(f"The database is damaged: {'; '.join(wrong)}. Keep the backups that there are.")


@contextmanager
def of_server() -> Iterator[Source]:
    """Have pg_dump read what one transaction sees, in which the log's end is looked up. Raises Unmakeable."""
    with closing(connection.copy()) as reading, reading.cursor() as cursor:
        program = programs.find("pg_dump", reading.pg_version)  # type: ignore[attr-defined]
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute("SELECT pg_export_snapshot(), current_setting('server_version')")
        snapshot, server = cursor.fetchone()
        cursor.execute(HEAD)
        row = cursor.fetchone()
        if row is None:
            cursor.execute(MARK)
            row = cursor.fetchone()
        seq, head = row or (0, GENESIS)
        left_out = [f"--exclude-table-data={table}" for table in LEFT_OUT]
        options = ["--format=custom", "--compress=0", "--no-comments", f"--snapshot={snapshot}", *left_out]
        with programs.speaking(program, options) as parts:
            yield Source("postgresql", server, "database.pgdump", seq, head, parts)
