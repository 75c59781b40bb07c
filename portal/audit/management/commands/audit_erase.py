"""Erase the personal details of events, for a request or because of their age."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.audit import purging
from portal.audit.management.commands.audit_purge import day
from portal.audit.models import Detail, Event


class Command(BaseCommand):
    help = (
        "Erase the personal details (names, addresses, tickets, notes) beside events. The events stay, and stay "
        "provable. Backups and exports made before still hold the details."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--before", type=day, metavar="DATE", help="of all events before a day")
        which.add_argument("--name", help="of events that name this client or person, exactly")
        which.add_argument("--invitation", metavar="ID", help="of the events of one invitation")
        which.add_argument("--ticket", help="of events with this ticket")
        which.add_argument("--events", metavar="FIRST-LAST", help="of these events")
        parser.add_argument("--reason", required=True, help="why, for the log: without naming the person")
        parser.add_argument("--yes", action="store_true", help="do it; without it only how many is said")

    def handle(self, *args: Any, **options: Any) -> None:
        numbers = sorted(set(Detail.objects.filter(seq__in=chosen(options)).values_list("seq", flat=True)))
        if not numbers:
            self.stdout.write("No event with details fits. Nothing was erased.")
        elif not options["yes"]:
            self.stdout.write(
                f"The details of {len(numbers)} events ({numbers[0]} to {numbers[-1]}) would be erased. Add --yes."
            )
        else:
            count = purging.erase(numbers, reason=options["reason"])
            self.stdout.write(f"The details of {count} events were erased. The events themselves stay.")


def chosen(options: dict[str, Any]) -> Any:
    """Return the numbers of the events that were asked for, as a query where that is possible."""
    before: datetime | None = options["before"]
    if before is not None:
        return Event.objects.filter(ts__lt=int(before.timestamp()) * 1_000_000).values("seq")
    if options["invitation"]:
        return Event.objects.filter(target=f"invitation:{options['invitation']}").values("seq")
    if options["ticket"]:
        return Detail.objects.filter(ticket=options["ticket"]).values("seq")
    if options["name"]:
        return Detail.objects.filter(seq__in=listed(purging.naming(options["name"]))).values("seq")
    match = re.fullmatch(r"(\d+)-(\d+)", options["events"])
    if match is None:
        raise CommandError("--events takes two numbers, such as 120-180.")
    return Event.objects.filter(seq__gte=int(match[1]), seq__lte=int(match[2])).values("seq")


def listed(numbers: Iterable[int]) -> list[int]:
    """Return the numbers, refusing more than one query can take."""
    found = list(numbers)
    if len(found) > 30_000:
        raise CommandError("More than 30,000 events name somebody like that. Erase them by --events or --before.")
    return found
