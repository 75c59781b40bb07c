"""Remove old events for good, under a signed watermark."""

from __future__ import annotations

import argparse
from datetime import date, datetime, time
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from portal.audit import purging
from portal.audit.keys import KeyUnusable
from portal.audit.models import Event


def day(text: str) -> datetime:
    """Return the beginning of a day in the site's time zone."""
    return timezone.make_aware(datetime.combine(date.fromisoformat(text), time.min))


class Command(BaseCommand):
    help = (
        "Remove the events before a day for good. Export them first (audit_export --to DATE): what is removed "
        "cannot be shown any more. The rest stays provable."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--before", type=day, required=True, metavar="DATE", help="such as 2025-01-31")
        parser.add_argument("--reason", required=True, help="why, for the log")
        parser.add_argument("--yes", action="store_true", help="do it; without it only what would be removed is said")

    def handle(self, *args: Any, **options: Any) -> None:
        if left := purging.finish_purge():
            self.stdout.write(f"An earlier removal was interrupted: its last {left} events are removed now.")
        upto = purging.last_before(int(options["before"].timestamp()) * 1_000_000)
        oldest = Event.objects.order_by("seq").values_list("seq", flat=True).first() or 1
        if upto < oldest:
            self.stdout.write("Nothing is that old, or less than a block of 256 events. Nothing was removed.")
            return
        if not options["yes"]:
            self.stdout.write(f"Events {oldest} to {upto} would be removed. Export them, then add --yes.")
            return
        try:
            count = purging.purge(upto, reason=options["reason"])
        except KeyUnusable as error:
            raise CommandError(f"Nothing was removed: {error}") from None
        self.stdout.write(f"{count} events were removed, up to {upto}. The log goes on and stays provable.")
