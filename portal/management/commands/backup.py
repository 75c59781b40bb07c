"""Make a backup, list those that there are, or check one."""

import argparse
import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from portal import audit
from portal.audit import keys
from portal.backups import archive, keeping, making, schedule
from portal.backups.archive import Manifest
from portal.backups.sources import Unmakeable


class Command(BaseCommand):
    requires_system_checks = ()
    help = "Make a backup of the whole database in one file, while the portal works on. Keys are not in it."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--dir", type=Path, help="the folder (default: BACKUP_DIR, or beside the database)")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--list", action="store_true", help="say which backups there are")
        what.add_argument("--check", type=Path, metavar="FILE", help="read a backup and say whether it is whole")
        what.add_argument("--scheduled", action="store_true", help="as the watcher starts it: only if one is due")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = options["dir"] or making.default_folder()
        if options["check"]:
            self.check_file(options["check"])
        elif options["list"]:
            self.tell_all(folder)
        else:
            self.make(folder, scheduled=options["scheduled"])

    def make(self, folder: Path, *, scheduled: bool) -> None:
        if scheduled:
            os.nice(10)
        try:
            made = making.make(folder, waits=not scheduled, is_wanted=is_due if scheduled else lambda: True)
        except Unmakeable as error:
            raise CommandError(f"No backup was made. {error}") from None
        except audit.Unavailable as error:
            raise CommandError(f"The backup was made, but the audit log could not record it: {error}") from None
        if made:
            self.stdout.write(f"{made[0]}\n{described(made[1])}")

    def tell_all(self, folder: Path) -> None:
        there = keeping.backups_in(folder)
        if not there:
            self.stdout.write(f"There are no backups in {folder}.")
        for at, file in there:
            self.stdout.write(f"{timezone.localtime(at):%Y-%m-%d %H:%M}  {file.stat().st_size:>13,} bytes  {file}")

    def check_file(self, file: Path) -> None:
        try:
            backup = archive.open_backup(file)
            backup.check()
        except archive.Damaged as error:
            raise CommandError(str(error)) from None
        ours = keys.key_file().exists() and backup.is_signed_by([keys.current().public])
        signed = "signed by this portal's key" if ours else f"signed by the key {backup.signer or '(none)'}, not ours"
        self.stdout.write(f"{file} is whole, and {signed}.\n{described(backup.manifest)}")


def is_due() -> bool:
    return schedule.is_due(timezone.now())


def described(manifest: Manifest) -> str:
    return (
        f"Made {manifest.made_at} by release {manifest.release} on {manifest.database} {manifest.server}; "
        f"audit log up to event {manifest.events}, {manifest.head}."
    )
