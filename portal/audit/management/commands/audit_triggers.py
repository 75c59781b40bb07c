"""Compare the database's own protection of the log with what it should be, and put it back."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from portal import audit
from portal.audit import triggers
from portal.audit.kinds import Result


class Command(BaseCommand):
    requires_system_checks = ()
    help = "Put the triggers that make the audit log append-only back. With --check only say whether they are there."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        missing = triggers.missing(connection)
        if not missing:
            self.stdout.write("All triggers of the audit log are as they should be.")
        elif options["check"]:
            raise CommandError(f"Missing or changed: {', '.join(missing)}. Run `manage.py audit_triggers`.")
        else:
            with audit.writing():
                triggers.reinstall()
                audit.record("audit.triggers", result=Result.OK, facts={"names": missing})
            self.stdout.write(f"Put back: {', '.join(missing)}. Check the log now: manage.py audit_verify")
