"""What the portal's own role may do on PostgreSQL where another one owns the tables: to the log it only adds.

Given anew after every migration, for tables that it has made.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, connections, transaction

ORDINARY = "SELECT, INSERT, UPDATE, DELETE"
ADDED_TO = "SELECT, INSERT"
LOOKED_AT = "SELECT"
RIGHTS = {
    "audit_event": ADDED_TO,
    "audit_detail": ADDED_TO,
    "audit_checkpoint": ADDED_TO,
    "audit_block": ADDED_TO,
    "audit_watermark": LOOKED_AT,
    "audit_erasure": LOOKED_AT,
}
OWNED = """
    SELECT c.relname, c.relkind FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relowner = current_user::regrole
        AND c.relkind IN ('r', 'p', 'S')
"""
MAY_CHANGE = """
    SELECT pg_has_role(current_user, c.relowner, 'MEMBER')
        OR has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER')
    FROM pg_class c WHERE c.oid = to_regclass('audit_event')
"""


def give(using: str = "default", **_: Any) -> None:
    """Give the portal's role its rights, and none beyond them. Raises CommandError if there is no such role."""
    connection, role = connections[using], settings.DATABASE_RUNTIME_ROLE
    if connection.vendor != "postgresql" or not role:
        return
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = %s", [role])
        if cursor.fetchone() is None:
            raise CommandError("The role in DATABASE_URL does not exist. Create it, then migrate again.")
        for statement in statements(cursor, role):
            cursor.execute(statement)


def statements(cursor: Any, role: str) -> list[Any]:
    """Return what gives `role` its rights on everything that the current role owns here."""
    from psycopg import sql

    cursor.execute("SELECT current_database(), current_schema()")
    database, schema = map(sql.Identifier, cursor.fetchone())
    to = sql.Identifier(role)
    found: list[Any] = [
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, to),
        sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, to),
    ]
    cursor.execute(OWNED)
    for name, kind in cursor.fetchall():
        what = sql.SQL("SEQUENCE" if kind == "S" else "TABLE") + sql.SQL(" {}.{}").format(schema, sql.Identifier(name))
        rights = sql.SQL("USAGE, SELECT" if kind == "S" else RIGHTS.get(name, ORDINARY))
        found.append(sql.SQL("REVOKE ALL ON {} FROM {}").format(what, to))
        found.append(sql.SQL("GRANT {} ON {} TO {}").format(rights, what, to))
    return found


@register(deploy=True)
def check_role(**_: Any) -> list[CheckMessage]:
    """Warn if the role that the portal works as could change the log: its triggers would be all that stops it."""
    if connection.vendor != "postgresql":
        return []
    try:
        with connection.cursor() as cursor:
            cursor.execute(MAY_CHANGE)
            may_change = cursor.fetchone() or (False,)
    except DatabaseError:
        return []  # other commands say that better
    if not may_change[0]:
        return []
    hint = "Let another role own the tables: DATABASE_OWNER_URL, for the commands that change them."
    return [Warning("The portal's database role owns its audit log or may change it.", hint=hint, id="portal.W004")]
