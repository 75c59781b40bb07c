"""How a database and this release fit together: which migrations it lacks, and which it has that we do not know."""

from __future__ import annotations

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from portal.audit import triggers

UNFINISHED = "portal_unfinished_restore"  # a table that stands while a restore is under way
FORMER_APPS: frozenset[str] = frozenset()  # of earlier releases: what is left of their migrations is no newer release
NOT_GRANTED = """
    SELECT c.relname FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace
        AND c.relkind IN ('r', 'p') AND c.relowner = current_user::regrole
        AND NOT has_table_privilege(%s, c.oid, 'SELECT')
"""


def applied() -> list[str]:
    """Return the database's migrations, in order."""
    return sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations())


def pending() -> list[str]:
    """Return the migrations that this release would apply."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def unknown(names: list[str]) -> list[str]:
    """Return those of the migrations that this release does not have: a newer one made them."""
    known = MigrationExecutor(None).loader.disk_migrations or {}
    ours = set(known) | {each for migration in known.values() for each in migration.replaces}
    return [
        name for name in names if name.partition(".")[0] not in FORMER_APPS and tuple(name.split(".", 1)) not in ours
    ]


def is_newer(release: str) -> bool:
    """Say whether a release came after this one. What is no release number is taken for one that did."""
    try:
        return numbers(release) > numbers(settings.RELEASE)
    except ValueError:
        return True


def numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))


def tables() -> set[str]:
    return set(connection.introspection.table_names())


def is_unfinished() -> bool:
    """Say whether a restore has begun in this database and has not come to its end."""
    return UNFINISHED in tables()


def is_unused() -> bool:
    """Say whether nothing was ever kept in this database: it has no tables, or they are as a migration made them."""
    there = tables() - {UNFINISHED}
    with connection.cursor() as cursor:
        for table in ("audit_event", "accounts_user", "invitations_invitation"):
            if table in there:
                cursor.execute(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608  # nosec B608  # names of ours
                if cursor.fetchone():
                    return False
    return not there or "django_migrations" in there


def of_others() -> list[str]:
    """Return the tables that are none of ours."""
    ours = {MigrationRecorder.Migration._meta.db_table, settings.CACHES["default"].get("LOCATION"), UNFINISHED}
    return sorted(tables() - ours.union(connection.introspection.django_table_names()))


def left_undone() -> list[str]:
    """Return what follows the last migration and is not there: its process may have died in between."""
    found = [f"trigger {name}" for name in triggers.missing(connection)]
    role = settings.DATABASE_RUNTIME_ROLE
    if role and connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(NOT_GRANTED, [role])
            found += [f"rights on {table}" for (table,) in cursor.fetchall()]
    there = set(Permission.objects.values_list("content_type__app_label", "codename"))
    return found + [f"permission {name}" for name in sorted(wanted_permissions() - there)]


def wanted_permissions() -> set[tuple[str, str]]:
    """Return what Django makes after a migration: for each model its default permissions and its own."""
    found = set()
    for meta in (model._meta for model in apps.get_models()):
        names = [get_permission_codename(action, meta) for action in meta.default_permissions]
        found |= {(meta.app_label, name) for name in (*names, *(codename for codename, _ in meta.permissions))}
    return found
