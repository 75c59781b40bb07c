"""A million events backed up and restored: `python -m tests.benchmarks.restore [LOG] [sqlite|postgresql]`.

LOG is a database of `audit_log`; without one it is made. For PostgreSQL its log is copied to a server of our own, which
writes through to the disk.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests import postgres
from tests.benchmarks import audit_log
from tests.benchmarks.audit_export import MEBIBYTE, Run, watched
from tests.benchmarks.audit_whole import SIZE, manage
from tests.benchmarks.portal import on_postgres
from tests.benchmarks.report import Table

GOAL = 120  # seconds
COPIED = ("audit_event", "audit_detail", "audit_block", "audit_checkpoint")


def run(file: Path | None, kinds: list[str]) -> Table:
    table = Table(
        "n",
        f"Backup and restore of {SIZE:,} events",
        f"restored in at most {GOAL} s, the check of the whole log included",
        ("What", "Seconds", "Of a processor", "Of it the server’s", "Memory at most", "File"),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        log = file or folder / "log.sqlite3"
        if not log.exists():
            audit_log.make(log, SIZE)
        if "sqlite" in kinds:
            known = audit_log.environment(log)
            measure(table, "SQLite", known, known | {"DATABASE_URL": f"sqlite:///{folder / 'restored.sqlite3'}"})
        if "postgresql" in kinds:
            with on_postgres(durable=True) as server:
                known = audit_log.environment(log) | server
                watched(manage("migrate", "-v0"), known)
                copy(log, server["DATABASE_URL"])
                with psycopg.connect(server["DATABASE_URL"], autocommit=True) as connection:
                    connection.execute("CREATE DATABASE again")
                again = urlsplit(server["DATABASE_URL"])._replace(path="/again").geturl()
                measure(table, "PostgreSQL", known, known | {"DATABASE_URL": again})
    return table


def measure(table: Table, what: str, known: dict[str, str], empty: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        before = server_seconds()
        made = watched(manage("backup", "--dir", name), known)
        size = sum(file.stat().st_size for file in Path(name).iterdir())
        between = server_seconds()
        row(table, f"{what}, backup", made, between - before, f"{size / MEBIBYTE:.0f} MiB", None)
        restored = watched(manage("restore", *map(str, Path(name).glob("*.zip"))), empty)
        is_met = restored.code == 0 and restored.seconds <= GOAL
        row(table, f"{what}, restore", restored, server_seconds() - between, "", is_met)


def server_seconds() -> float:
    """Return the processor's seconds of our server so far, of connections that have ended; 0 without one."""
    file = postgres.STATE / "data" / "postmaster.pid"
    if not file.exists():
        return 0.0
    fields = Path(f"/proc/{file.read_text().split()[0]}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def row(table: Table, what: str, done: Run, server: float, size: str, met: bool | None) -> None:
    busy = (f"{done.busy + server:.1f}", f"{server:.1f}")
    table.add(what, f"{done.seconds:.1f}", *busy, f"{done.peak / MEBIBYTE:.0f} MiB", size, met=met)
    if done.code:
        table.notes.append(f"{what}: {done.said[-500:]}")


def copy(log: Path, url: str) -> None:
    """Copy the log as it is, past the triggers, which are put back."""
    with closing(sqlite3.connect(log)) as source, psycopg.connect(url) as target, target.cursor() as cursor:
        for table in COPIED:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")  # type: ignore[call-overload]
            names = [name for _, name, *_ in source.execute(f"PRAGMA table_info({table})")]
            statement = f"COPY {table} ({', '.join(names)}) FROM STDIN"
            with cursor.copy(statement) as copying:  # type: ignore[call-overload]
                for values in rows(source, table, names):
                    copying.write_row(values)
            for (trigger,) in triggers_of(cursor, table):
                cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")  # type: ignore[call-overload]


def triggers_of(cursor: psycopg.Cursor[tuple[str]], table: str) -> list[tuple[str]]:
    named = "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal"
    return cursor.execute(named, [table]).fetchall()


def rows(source: sqlite3.Connection, table: str, names: list[str]) -> Iterator[tuple[object, ...]]:
    yield from source.execute(f"SELECT {', '.join(names)} FROM {table}")


if __name__ == "__main__":
    words = sys.argv[1:]
    given = [Path(word) for word in words if word not in ("sqlite", "postgresql")]
    wanted = [word for word in words if word in ("sqlite", "postgresql")] or ["sqlite", "postgresql"]
    print(run(given[0] if given else None, wanted).text())  # noqa: T201
