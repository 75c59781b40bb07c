"""The database's own refusal to change, remove or renumber events, on SQLite and PostgreSQL.

Triggers are installed after every migration and compared with the text below by the readiness probe.
"""

import re
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

SQLITE = {
    "audit_no_update": """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit_event
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    "audit_no_delete": """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit_event
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    # Also stops INSERT OR REPLACE, which would overwrite a row without firing the two above.
    "audit_next": """CREATE TRIGGER audit_next BEFORE INSERT ON audit_event
        WHEN NEW.seq IS NOT 1 + COALESCE((SELECT MAX(seq) FROM audit_event), 0)
        BEGIN SELECT RAISE(ABORT, 'the audit log has no gaps'); END""",
}

FUNCTIONS = {
    "audit_refuse": """
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END""",
    "audit_check_next": """
BEGIN
    IF NEW.seq IS DISTINCT FROM 1 + COALESCE((SELECT MAX(seq) FROM audit_event), 0) THEN
        RAISE EXCEPTION 'the audit log has no gaps' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END""",
}
POSTGRESQL = {
    "audit_no_change": "BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "audit_no_truncate": "BEFORE TRUNCATE ON audit_event FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
    "audit_next": "BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_check_next()",
}
# The same as PostgreSQL keeps it: what fires it in bits (1 row, 2 before, 4 insert, 8 delete, 16 update,
# 32 truncate), and its function.
POSTGRESQL_STORED = {
    "audit_no_change": (1 + 2 + 8 + 16, "audit_refuse"),
    "audit_no_truncate": (2 + 32, "audit_refuse"),
    "audit_next": (1 + 2 + 4, "audit_check_next"),
}
POSTGRESQL_LOOK = """
    SELECT t.tgname, t.tgtype, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE t.tgrelid = 'audit_event'::regclass AND t.tgenabled = 'A' AND t.tgqual IS NULL AND t.tgattr = ''
"""


def reinstall(using: str = "default", **_: Any) -> None:
    """Put every trigger in place, whatever was there before. Does nothing while the table is missing."""
    connection = connections[using]
    if "audit_event" not in connection.introspection.table_names():
        return
    with transaction.atomic(using=using), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            _install_postgresql(cursor)
        else:
            _install_sqlite(cursor)


def _install_sqlite(cursor: Any) -> None:
    for name, statement in SQLITE.items():
        cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        cursor.execute(statement)


def _install_postgresql(cursor: Any) -> None:
    for name, body in FUNCTIONS.items():
        cursor.execute(f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$")
    for name, rest in POSTGRESQL.items():
        cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON audit_event")
        cursor.execute(f"CREATE TRIGGER {name} {rest}")
        # ALWAYS: they fire for replication roles as well.
        cursor.execute(f"ALTER TABLE audit_event ENABLE ALWAYS TRIGGER {name}")


def drop(connection: BaseDatabaseWrapper) -> None:
    """Remove the triggers, for a migration that must rebuild the table."""
    with connection.cursor() as cursor:
        for name in POSTGRESQL if connection.vendor == "postgresql" else SQLITE:
            on = " ON audit_event" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}{on}")


def are_installed(connection: BaseDatabaseWrapper) -> bool:
    """Compare what the database has with what it should have."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRESQL_LOOK)
            stored = {name: (fires, _squeeze(body)) for name, fires, body in cursor.fetchall()}
            wanted = {name: (fires, _squeeze(FUNCTIONS[used])) for name, (fires, used) in POSTGRESQL_STORED.items()}
            return all(stored.get(name) == facts for name, facts in wanted.items())
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        found = {name: _squeeze(sql) for name, sql in cursor.fetchall()}
    return all(found.get(name) == _squeeze(statement) for name, statement in SQLITE.items())


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
