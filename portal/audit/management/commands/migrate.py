"""Django's command, with the event of what it has changed in a database that had a log already."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.loader import MigrationLoader

from portal import audit
from portal.audit.kinds import Result

Names = set[tuple[str, str]]


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, then record it: the triggers are back by then, and the log has its newest form.

        A database that is made only now has nothing to tell.
        """
        using = options["database"]
        had_log = "audit_event" in connections[using].introspection.table_names()
        before = applied(using)
        super().handle(*args, **options)
        if had_log and using == DEFAULT_DB_ALIAS and is_log_complete(using):
            record(before, applied(using))


def applied(using: str) -> Names:
    return set(MigrationLoader(connections[using]).applied_migrations)


def is_log_complete(using: str) -> bool:
    """Say whether the log has the form in which this release writes: it may just have been taken back."""
    loader = MigrationLoader(connections[using])
    return set(loader.graph.leaf_nodes("audit")) <= set(loader.applied_migrations)


def record(before: Names, after: Names) -> None:
    facts = {"applied": named(after - before), "taken_back": named(before - after)}
    if not any(facts.values()):
        return
    try:
        audit.record("system.migrated", result=Result.OK, facts=facts)
    except audit.Unavailable as error:
        raise CommandError(f"The database was migrated, but the audit log could not record it: {error}") from None


def named(migrations: Names) -> list[str]:
    return [f"{app}.{name}" for app, name in sorted(migrations)]
