"""The database's own refusal to change, remove, renumber or fork what the log keeps, on SQLite and PostgreSQL.

Triggers are installed after every migration and compared with the text below by the readiness probe,
by the watcher and by `audit_verify`.
"""

import re
from typing import Any, NamedTuple

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from portal.audit.canonical import GENESIS

FIXED = ("event", "detail", "checkpoint", "block", "watermark", "erasure")  # nothing there is ever updated
KEPT = ("checkpoint", "block", "watermark", "erasure")  # or deleted


class Insert(NamedTuple):
    """What must not be added, as an SQL condition that both databases understand: `{differs}` compares with NULL."""

    table: str
    wrong: str
    says: str


INSERTS = (
    # Also stops INSERT OR REPLACE, which would overwrite a row without firing a delete trigger.
    Insert(
        "event",
        """NEW.seq {differs} 1 + COALESCE((SELECT MAX(seq) FROM audit_event),
            (SELECT MAX(upto) FROM audit_watermark), 0)
        OR NEW.prev {differs} COALESCE((SELECT hash FROM audit_event ORDER BY seq DESC LIMIT 1),
            (SELECT head FROM audit_watermark ORDER BY upto DESC LIMIT 1), '{genesis}')""",
        "the audit log has no gaps and no forks",
    ),
    Insert(
        "detail",
        "NEW.seq {differs} (SELECT MAX(seq) FROM audit_event) OR NEW.seq IN (SELECT seq FROM audit_detail)",
        "details come with their event",
    ),
    Insert(
        "checkpoint",
        """NEW.head {differs} (SELECT hash FROM audit_event WHERE seq = NEW.size)
        OR NEW.size <= COALESCE((SELECT MAX(size) FROM audit_checkpoint), 0)""",
        "a checkpoint ends at an event and goes on from the last one",
    ),
    Insert(
        "block",
        "NEW.number {differs} COALESCE((SELECT MAX(number) FROM audit_block) + 1, 0)",
        "blocks come in their order",
    ),
    Insert(
        "watermark",
        """NEW.head {differs} (SELECT hash FROM audit_event WHERE seq = NEW.upto)
        OR NEW.upto <= COALESCE((SELECT MAX(upto) FROM audit_watermark), 0)
        OR NEW.upto >= (SELECT MAX(seq) FROM audit_event)""",
        "a watermark names an event that others follow",
    ),
    Insert(
        "erasure",
        # Of the newest event and of none before it: no old erasure is stretched, and none reaches into the future.
        """(SELECT kind FROM audit_event WHERE seq = NEW.event) {differs} 'audit.erased'
        OR NEW.event {differs} (SELECT MAX(seq) FROM audit_event)
        OR NEW.first < 1 OR NEW.last < NEW.first OR NEW.last > NEW.event
        OR NEW.id IN (SELECT id FROM audit_erasure)""",
        "an erasure comes with its event",
    ),
)
DELETES = {
    "event": "OLD.seq > COALESCE((SELECT MAX(upto) FROM audit_watermark), 0)",
    "detail": """OLD.seq > COALESCE((SELECT MAX(upto) FROM audit_watermark), 0)
        AND NOT EXISTS (SELECT 1 FROM audit_erasure WHERE OLD.seq BETWEEN first AND last)""",
}
REFUSAL = "the audit log is append-only"


def sqlite_triggers() -> dict[str, str]:
    """Return name → statement."""
    found = {}
    for table in FIXED:
        found[f"audit_{table}_no_update"] = f"BEFORE UPDATE ON audit_{table}", "", REFUSAL
        condition = DELETES.get(table, "")
        found[f"audit_{table}_no_delete"] = f"BEFORE DELETE ON audit_{table}", condition, REFUSAL
    for table, wrong, says in INSERTS:
        found[f"audit_{table}_next"] = (
            f"BEFORE INSERT ON audit_{table}",
            wrong.format(differs="IS NOT", genesis=GENESIS),
            says,
        )
    return {
        name: f"CREATE TRIGGER {name} {when}{f' WHEN {condition}' if condition else ''} "
        f"BEGIN SELECT RAISE(ABORT, '{says}'); END"
        for name, (when, condition, says) in found.items()
    }


class Guard(NamedTuple):
    """One trigger of PostgreSQL: its table, what fires it, and the body of its function."""

    table: str
    fires: str
    bits: int  # as PostgreSQL keeps it: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate
    body: str


def postgresql_triggers() -> dict[str, Guard]:
    """Return name → guard. Each has a function of its own name."""
    found = {}
    for table in FIXED:
        found[f"audit_{table}_no_update"] = Guard(table, "UPDATE", 1 + 2 + 16, refuse("", REFUSAL, "NEW"))
        found[f"audit_{table}_no_delete"] = Guard(
            table, "DELETE", 1 + 2 + 8, refuse(DELETES.get(table, ""), REFUSAL, "OLD")
        )
        found[f"audit_{table}_no_truncate"] = Guard(table, "TRUNCATE", 2 + 32, refuse("", REFUSAL, "NULL"))
    for table, wrong, says in INSERTS:
        body = refuse(wrong.format(differs="IS DISTINCT FROM", genesis=GENESIS), says, "NEW")
        found[f"audit_{table}_next"] = Guard(table, "INSERT", 1 + 2 + 4, body)
    return found


def refuse(condition: str, says: str, value: str) -> str:
    raising = f"RAISE EXCEPTION '{says}' USING ERRCODE = 'insufficient_privilege';"
    inside = f"IF {condition} THEN {raising} END IF; RETURN {value};" if condition else raising
    return f"BEGIN {inside} END"


SQLITE = sqlite_triggers()
POSTGRESQL = postgresql_triggers()
# A function looks into the tables beside its own: a temporary table of the same name would come first.
POSTGRESQL_LOOK = """
    SELECT t.tgname, c.relname, t.tgtype, p.proname, p.prosrc
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE p.proconfig = ARRAY['search_path=' || quote_ident(n.nspname) || ', pg_temp'] AND NOT p.prosecdef
        AND c.relname LIKE 'audit\\_%' AND pg_table_is_visible(c.oid)
        AND t.tgenabled = 'A' AND t.tgqual IS NULL AND t.tgattr = '' AND NOT t.tgisinternal
"""


def reinstall(using: str = "default", **_: Any) -> None:
    """Put every trigger in place, whatever was there before. Does nothing while a table is missing."""
    connection = connections[using]
    if not {f"audit_{table}" for table in FIXED} <= set(connection.introspection.table_names()):
        return
    with transaction.atomic(using=using), connection.cursor() as cursor:
        remove_foreign(connection)
        if connection.vendor == "postgresql":
            _install_postgresql(cursor)
        else:
            _install_sqlite(cursor)


def _install_sqlite(cursor: Any) -> None:
    for name, statement in SQLITE.items():
        cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        cursor.execute(statement)


def _install_postgresql(cursor: Any) -> None:
    cursor.execute("SELECT quote_ident(current_schema())")
    (schema,) = cursor.fetchone()
    for name, guard in POSTGRESQL.items():
        each = "STATEMENT" if guard.fires == "TRUNCATE" else "ROW"
        cursor.execute(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql "
            f"SET search_path = {schema}, pg_temp AS $${guard.body}$$"
        )
        cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON audit_{guard.table}")
        cursor.execute(
            f"CREATE TRIGGER {name} BEFORE {guard.fires} ON audit_{guard.table} "
            f"FOR EACH {each} EXECUTE FUNCTION {name}()"
        )
        # ALWAYS: they fire for replication roles as well.
        cursor.execute(f"ALTER TABLE audit_{guard.table} ENABLE ALWAYS TRIGGER {name}")


def drop(connection: BaseDatabaseWrapper) -> None:
    """Remove the triggers, for a migration that must rebuild a table."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for name, guard in POSTGRESQL.items():
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON audit_{guard.table}")
        else:
            for name in SQLITE:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")


SQLITE_ALL = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'audit\\_%' ESCAPE '\\'"
POSTGRESQL_ALL = """
    SELECT t.tgname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relname LIKE 'audit\\_%' AND pg_table_is_visible(c.oid) AND NOT t.tgisinternal
    UNION ALL SELECT rulename, tablename FROM pg_rules WHERE tablename LIKE 'audit\\_%'
"""


def foreign(connection: BaseDatabaseWrapper) -> list[tuple[str, str]]:
    """Return triggers and rules on the log's tables that are none of ours, with their table: they could drop events."""
    ours = POSTGRESQL if connection.vendor == "postgresql" else SQLITE
    with connection.cursor() as cursor:
        cursor.execute(POSTGRESQL_ALL if connection.vendor == "postgresql" else SQLITE_ALL)
        return [(str(name), str(table)) for name, table in cursor.fetchall() if name not in ours]


def remove_foreign(connection: BaseDatabaseWrapper) -> None:
    quote = connection.ops.quote_name
    for name, table in foreign(connection):
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(f"DROP TRIGGER IF EXISTS {quote(name)} ON {quote(table)}")
                cursor.execute(f"DROP RULE IF EXISTS {quote(name)} ON {quote(table)}")
            else:
                cursor.execute(f"DROP TRIGGER IF EXISTS {quote(name)}")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of triggers that are not there, not as they should be, or there and none of ours."""
    found: dict[str, Any]
    wanted: dict[str, Any]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRESQL_LOOK)
            found = {row[0]: (*row[1:4], _squeeze(row[4])) for row in cursor.fetchall()}
            wanted = {
                name: (f"audit_{guard.table}", guard.bits, name, _squeeze(guard.body))
                for name, guard in POSTGRESQL.items()
            }
        else:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            found = {name: _squeeze(sql) for name, sql in cursor.fetchall()}
            wanted = {name: _squeeze(statement) for name, statement in SQLITE.items()}
    weaker = [name for name, facts in wanted.items() if found.get(name) != facts]
    return weaker + [name for name, _table in foreign(connection)]


def are_installed(connection: BaseDatabaseWrapper) -> bool:
    return not missing(connection)


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
