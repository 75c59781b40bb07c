"""Bring the database to this release."""

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from portal import audit
from portal.backups import making, upgrading
from portal.backups.sources import Unmakeable


class Command(BaseCommand):
    requires_system_checks = ()  # some need the database as this release has it
    help = "Back up and migrate the database, if there is anything to migrate. For every start; one process at a time."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--dir", type=Path, help="where the backup goes (default: BACKUP_DIR, or beside the database)"
        )
        parser.add_argument("--no-backup", action="store_true", help="only where the database was saved otherwise")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = None if options["no_backup"] else options["dir"] or making.default_folder()
        try:
            upgrading.upgrade(folder=folder, say=self.stdout.write)
        except upgrading.Refused as error:
            raise CommandError(str(error)) from None
        except Unmakeable as error:
            raise CommandError(
                f"Nothing was changed, because the backup before it failed: {error} "
                "If the database is saved otherwise, add --no-backup."
            ) from None
        except audit.Unavailable as error:
            raise CommandError(f"{error} Run this again.") from None
        except DatabaseError as error:
            raise CommandError(f"The database cannot be upgraded: {error} Mend that, then run this again.") from None
