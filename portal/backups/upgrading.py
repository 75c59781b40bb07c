"""Bringing the database to this release: one process at a time, a backup first, and again after any crash.

Migrations of one release only add (docs/decisions/0025), so the release before works on beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from portal import audit
from portal.audit import triggers
from portal.audit.kinds import Result
from portal.backups import locks, making, schema

Say = Callable[[str], None]


class Refused(Exception):
    """The database is not upgraded: why, and what to do."""


def upgrade(*, folder: Path | None, say: Say) -> None:
    """Migrate if there is anything to migrate, with a backup in `folder` before it (None: without one).

    Waits while another process upgrades; then there is nothing left to do. Raises Refused, Unmakeable and what
    migrations raise.
    """
    with locks.held("upgrade", notice=lambda: say("Another process upgrades this database. Waiting for its end.")):
        refuse()
        if waiting := schema.pending():
            if schema.tables() and not schema.is_unused():
                back_up(folder, say)
            say(f"Applying {len(waiting)} migration{'' if len(waiting) == 1 else 's'}.")
            migrate(say)
        elif undone := schema.left_undone():
            finish(undone, say)
        else:
            say(f"The database is at release {settings.RELEASE} already: nothing to do.")
            return
        if left := [*schema.pending(), *schema.left_undone()]:
            raise Refused(f"After the migration these are missing: {', '.join(left)}. Run this again.")
        say(f"The database is at release {settings.RELEASE}.")


def refuse() -> None:
    if schema.is_unfinished():
        raise Refused("A restore has begun in this database and was interrupted. Run `manage.py restore` again.")
    if names := schema.unknown(schema.applied()):
        raise Refused(
            f"The database is of a newer release than this one ({settings.RELEASE}); unknown here: {', '.join(names)}. "
            "Install that release again, or restore the backup that was made before its upgrade. "
            "`serve` and `watch` of the release just before it work meanwhile: docs/operations.md, Upgrade."
        )


def back_up(folder: Path | None, say: Say) -> None:
    if folder is None:
        say("Without a backup, as asked for.")
        return
    say("Making a backup first.")
    if made := making.make(folder):
        say(f"Backup: {made[0]}")


def migrate(say: Say) -> None:
    """Migrate while nobody makes a backup: what is read cannot be changed, and everybody would wait for both."""
    with locks.held("backup", notice=lambda: say("A backup is being made. Waiting for its end.")):
        call_command("migrate", interactive=False, verbosity=0)


def finish(undone: list[str], say: Say) -> None:
    """Do what follows the last migration again. Missing triggers are told in the log: nobody knows who removed them."""
    say(f"Finishing what was interrupted or removed: {', '.join(undone)}.")
    wrong = triggers.missing(connection)
    migrate(say)
    if wrong:
        audit.record("audit.triggers", result=Result.OK, facts={"names": wrong})
