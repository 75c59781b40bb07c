"""Restore a backup into an empty database."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from portal.audit import evidence
from portal.audit.anchors import AnchorsUnreadable
from portal.audit.keys import KeyUnusable
from portal.backups import locks, programs, restoring, schema
from portal.backups.archive import Damaged
from portal.backups.restoring import Refused, Restored
from portal.backups.targets import Occupied


class Command(BaseCommand):
    requires_system_checks = ()
    help = (
        "Restore a backup into an empty database. Stop the portal first; sessions, links and waiting mails end with it."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        evidence.add_arguments(parser)
        parser.add_argument("--anyway", action="store_true", help="though its signature or its audit log is not right")

    def handle(self, *args: Any, **options: Any) -> None:
        wait = "Another process upgrades or restores this database. Waiting for its end."
        try:
            outside, trusted = evidence.outside(options), evidence.trusted(options)
            with locks.held("upgrade", notice=lambda: self.stdout.write(wait)):
                found = restoring.restore(options["file"], outside=outside, trusted=trusted, anyway=options["anyway"])
        except (Damaged, Refused, Occupied, AnchorsUnreadable, KeyUnusable, programs.ProgramMissing) as error:
            raise CommandError(f"Nothing was restored. {error}") from None
        except (DatabaseError, programs.ProgramFailed, OSError) as error:
            again = "The database is unfinished and is not served: run this again." if is_left_unfinished() else ""
            raise CommandError(f"Nothing was restored. {error} {again}".rstrip()) from None
        self.stdout.write("\n".join(told(found)))


def is_left_unfinished() -> bool:
    """Ask the server anew whether the restore had begun; SQLite's real file is never touched before the end."""
    try:
        connection.close_if_unusable_or_obsolete()
        return connection.vendor == "postgresql" and schema.is_unfinished()
    except DatabaseError:
        return False  # nobody knows; `upgrade` and `serve` will say so


def told(found: Restored) -> Iterator[str]:
    """Say what was restored, what is lost, and whom to look at."""
    said, counts = found.backup.manifest, found.counts
    yield f"Restored: the backup of {said.made_at} by release {said.release}, {said.events} events in the audit log."
    if found.applied:
        yield f"It was brought to release {settings.RELEASE}: {', '.join(found.applied)}."
    yield "Everybody has to sign in again, with what they had at the time of the backup; one-time links are over."
    ended = f"{counts['sessions']} sessions, {counts['links']} one-time links"
    yield f"Ended besides what backups never hold: {ended}, {counts['deliveries']} waiting deliveries."
    yield from told_of_log(found)
    if lost := restoring.sealed_by_another_key():
        yield f"No SECRET_KEY here opens: {', '.join(lost)}. Put the former one back, before anybody sets them up anew."
    yield "Open invitations are compared with Getscreen by the first look of `serve` or `watch`."
    changes = restoring.changes_before(found.backup)
    yield f"\nChanged about people in the {restoring.CHANGES_LISTED.days} days before the backup:"
    yield from (f"  {line}" for line in changes or ["nothing"])
    yield "\nThese people can sign in now. Disable whoever was disabled since the backup, before you start the portal:"
    yield from (f"  {line}" for line in restoring.people_who_may_enter() or ["nobody: run `manage.py create_admin`"])


def told_of_log(found: Restored) -> Iterator[str]:
    if found.report is None:
        yield "Audit log: not checked, because there is no key to check it with."
    else:
        yield f"Audit log: {found.report.state}. {' '.join(found.report.sentences)}".rstrip()
    if found.cut:
        first, last = found.cut
        kinds = ", ".join(f"{count} {kind}" for kind, count in found.lost_kinds.items())
        told = f" ({kinds})" if kinds else ""
        yield f"LOST: events {first} to {last}, of after the backup{told}. The log says so itself."
    elif found.told_outside:
        yield "Nothing outside speaks of an event after the backup."
    else:
        yield "LOST, perhaps: nothing outside tells how far the log went. Give --anchors, or set AUDIT_CHECKPOINT_DIR."
