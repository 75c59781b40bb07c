"""Say whether this installation is as it should be."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from portal import self_check

MARKS = {self_check.OK: "ok ", self_check.UNWISE: " ! ", self_check.WRONG: "!! ", self_check.UNKNOWN: " ? "}


class Command(BaseCommand):
    requires_system_checks = ()  # they are among what is looked at
    help = "Look at all that can be wrong and say how to mend it. Ends with 1 if something is wrong."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--offline", action="store_true", help="ask neither Getscreen nor the mail server")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            findings = self_check.run(calls=not options["offline"])
        except DatabaseError as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(
                f"The database cannot be used ({reason}). Check DATABASE_URL, and run `manage.py upgrade` first."
            ) from error
        for one in findings:
            self.stdout.write(f"{MARKS[one.state]} {one.topic}: {one.says}")
            if one.fix:
                self.stdout.write(f"      → {one.fix}")
        if any(one.state == self_check.WRONG for one in findings):
            raise SystemExit(1)
