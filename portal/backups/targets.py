"""Where a backup is restored to: a database that was never used, which is either whole afterwards or refused.

SQLite is filled in a file beside the real one, which gets its name at the very end. PostgreSQL is filled in place, and
a table says until the end that it is not finished: nothing serves such a database, and the restore can be run again.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from django.db import connection

from portal.audit.keys import sync_folder
from portal.backups import programs, schema
from portal.backups.archive import Backup

OPTIONS = ["--format=custom", "--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
OWNED = """
    SELECT c.relname FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace
        AND c.relkind IN ('r', 'p') AND c.relowner = current_user::regrole AND c.relname <> %s
"""
FUNCTIONS = """
    SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace
        AND p.proowner = current_user::regrole AND p.prokind = 'f'
"""


class Occupied(Exception):
    """There is something in the database already, or somebody works with it: what to do about it."""


def filled(backup: Backup) -> AbstractContextManager[None]:
    """Have the backup's database in place while the body brings it up to date; at its end it is this portal's.

    If the body raises, SQLite is as it was before, and PostgreSQL stays unfinished. Raises Occupied, Damaged and
    ProgramFailed.
    """
    return in_server(backup) if connection.vendor == "postgresql" else in_file(backup)


@contextmanager
def in_file(backup: Backup) -> Iterator[None]:
    real = Path(str(connection.settings_dict["NAME"]))
    refuse_used(real)
    draft = real.with_name(f"{real.name}.restoring")
    forget(draft)
    try:
        unpack(backup, draft)
        connection.settings_dict["NAME"] = str(draft)
        yield
        connection.close()
        come_to_rest(draft)
        connection.settings_dict["NAME"] = str(real)
        refuse_used(real)  # once more: somebody may have begun to work with it meanwhile
        forget(real)  # it was never used; its log must not be taken for the new one's
        draft.rename(real)
        sync_folder(real)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = str(real)
        forget(draft)


def refuse_used(real: Path) -> None:
    if real.exists():
        refuse_others(str(real))
    if real.exists() and not schema.is_unused():
        raise Occupied(
            f"There is a portal in {real} already. Stop it and move that file (with -wal and -shm, if they are there) "
            "to another folder, then run this again."
        )
    connection.close()
    if real.with_name(f"{real.name}-wal").exists():
        raise Occupied(f"Another process works with {real}. Stop the portal, then run this again.")


def refuse_others(database: str) -> None:
    """Raise Occupied for the database of another program, which DATABASE_URL may name by mistake."""
    if others := schema.of_others():
        raise Occupied(
            f"There is something of another program in {database}: {', '.join(others[:5])}. "
            "Let DATABASE_URL name an empty database, then run this again."
        )


def unpack(backup: Backup, draft: Path) -> None:
    with (
        os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle,
        backup.chunks() as parts,
    ):
        for part in parts:
            handle.write(part)
        handle.flush()
        os.fsync(handle.fileno())


def come_to_rest(draft: Path) -> None:
    """Have everything in the one file and on the disk."""
    with closing(sqlite3.connect(draft)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    descriptor = os.open(draft, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def forget(file: Path) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        file.with_name(f"{file.name}{end}").unlink(missing_ok=True)


@contextmanager
def in_server(backup: Backup) -> Iterator[None]:
    program = programs.find("pg_restore", connection.pg_version)  # type: ignore[attr-defined]
    if not schema.is_unfinished():
        name = connection.settings_dict["NAME"]
        refuse_others(f"the database {name}")
        if not schema.is_unused():
            raise Occupied(
                f"There is a portal in the database {name} already. Stop it, then make an empty one: rename that "
                "database or drop it, create it anew with the same owner, and run this again."
            )
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {schema.UNFINISHED} (began timestamptz DEFAULT now())")
        make_empty(cursor)
    with backup.chunks() as parts:
        programs.feed(program, OPTIONS, parts)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # nothing is known of the new tables, and the check reads all of them
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {schema.UNFINISHED}")


def make_empty(cursor: Any) -> None:
    """Remove what a migration, or a restore that was interrupted, has made here."""
    from psycopg import sql

    cursor.execute(OWNED, [schema.UNFINISHED])
    for (table,) in cursor.fetchall():
        cursor.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(table)))
    cursor.execute(FUNCTIONS)
    for (function,) in cursor.fetchall():
        cursor.execute(f"DROP FUNCTION {function} CASCADE")  # as the server itself writes it
