"""Export the audit log, or events of it, to a file or to another program."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError

from portal import audit
from portal.audit.downloads import Download
from portal.audit.export import Changed, Export
from portal.audit.export_page import FORMS, actor_of, file_name, selection_of
from portal.audit.forms import FilterForm
from portal.audit.keys import KeyUnusable

OPTIONS = {"from": "DATE", "to": "DATE", "kind": "KIND", "result": "RESULT", "invitation": "ID", "ticket": "TICKET"}


class Command(BaseCommand):
    help = "Export the audit log with what proves it. Without filters the whole log, else chosen events with proofs."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--out", metavar="FILE", help="where to; - for the standard output")
        for name, what in OPTIONS.items():
            parser.add_argument(f"--{name}", metavar=what, default="")
        parser.add_argument("--actor", dest="who", default="", help="a user name, user:NUMBER, portal or stranger")
        parser.add_argument("--network", default="", metavar="ADDRESS", help="an IP address: its /24 or /48")
        parser.add_argument("--reference", default="", metavar="ID", help="of one operation")
        parser.add_argument("--without-details", action="store_true", help="leave personal details out")
        group = parser.add_mutually_exclusive_group()
        for form, (label, _type) in FORMS.items():
            group.add_argument(
                f"--{form}", dest="form", action="store_const", const=form, default="zip", help=str(label)
            )

    def handle(self, *args: Any, **options: Any) -> None:
        asked = {name: options[name] for name in (*OPTIONS, "network", "reference")}
        form = FilterForm(asked | {"who": actor_of(options["who"])})
        if not form.is_valid():
            raise CommandError(
                "\n".join(f"--{name}: {' '.join(map(str, found))}" for name, found in form.errors.items())
            )
        place = options["out"] or file_name(options["form"])
        if place == "-" and sys.stdout.isatty():
            raise CommandError("An export is nothing for a terminal: send it to a file or a program.")
        try:
            download = begin(form, options["form"], with_details=not options["without_details"])
            rows = self.save(download, place)
        except OSError as error:
            raise CommandError(f"{error}. Say with --out where to write, or --out - for the output.") from error
        except (KeyUnusable, Changed, audit.Unavailable) as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"{rows} events, SHA-256 {download.digest.hexdigest()}")

    def save(self, download: Download, place: str) -> int:
        try:
            if place == "-":
                write(download, sys.stdout.buffer)
            else:
                as_new_file(Path(place), lambda file: write(download, file))
        finally:
            download.close()
        return download.content.rows if download.content else 0


def begin(form: FilterForm, kind: str, *, with_details: bool) -> Download:
    used = form.filters
    return Download(
        "audit.exported",
        lambda: Export(selection_of(form), form=kind, with_details=with_details),
        facts={"format": kind, "filters": sorted(used), "with_details": with_details},
        details={"filters": used},
    )


def write(download: Download, file: IO[bytes]) -> None:
    for part in download:
        file.write(part)
    file.flush()


def as_new_file(place: Path, fill: Callable[[IO[bytes]], None]) -> None:
    """Write a file for its owner's eyes, which has its name only when it is whole."""
    draft = place.with_name(f"{place.name}.part")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            fill(file)
            os.fsync(file.fileno())
        draft.replace(place)
    except BaseException:
        draft.unlink()
        raise
