"""Check the whole audit log. Exit code: 0 intact, 1 tampered with, 2 incomplete, 3 cannot run."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from portal import audit
from portal.audit import anchors, evidence, keys
from portal.audit.findings import Report
from portal.audit.keys import KeyUnusable, PublicKey
from portal.audit.kinds import Result
from portal.audit.models import Standing
from portal.audit.verification import Verification

CANNOT_RUN = 3
RESULTS = {"intact": Result.OK, "tampered": Result.FAILED, "incomplete": Result.UNKNOWN}


class Command(BaseCommand):
    requires_system_checks = ()
    help = (
        "Check every event, the chain, the checkpoints and their outside copies. "
        "Exit code: 0 intact, 1 tampered with, 2 incomplete, 3 cannot run."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        evidence.add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="print the result as JSON")
        parser.add_argument("--quietly", action="store_true", help="at low priority, as the watcher starts it")
        parser.add_argument("--read-only", action="store_true", help="leave no event and no result: for copies")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["quietly"]:
            os.nice(10)
        try:
            if not options["read_only"]:
                Standing.note(verify_began_at=timezone.now())
            report = Verification(anchors.read(evidence.outside(options)), trusted(options)).run()
        except (anchors.AnchorsUnreadable, KeyUnusable, CommandError, DatabaseError) as error:
            self.give_up(str(error), keep=not options["read_only"])
        except Exception as bug:  # an exit code of 1 would call the log tampered with
            self.give_up(f"{type(bug).__name__}: {bug}", keep=not options["read_only"])
        text = (
            json.dumps(report.as_json(), indent=2, ensure_ascii=False) if options["json"] else "\n".join(report.lines())
        )
        self.stdout.write(text)
        if not options["read_only"]:
            try:
                keep(report)
            except DatabaseError as error:
                self.stderr.write(f"The result could not be kept: {error}")
        sys.exit(report.exit_code)

    def give_up(self, reason: str, *, keep: bool) -> NoReturn:
        self.stderr.write(f"The audit log could not be checked: {reason}")
        if keep:
            try:
                Standing.note(verified_at=timezone.now(), verified_state="failed", verified_findings=[reason[:500]])
            except DatabaseError:
                self.stderr.write("The database does not take the result either.")
        sys.exit(CANNOT_RUN)


def trusted(options: dict[str, Any]) -> list[PublicKey]:
    found = evidence.trusted(options)
    if not found:
        raise CommandError(f"there is no key at {keys.key_file()}, and none was given with --pubkey")
    return found


def keep(report: Report) -> None:
    """Let the page show the result, and the log say that it was checked."""
    Standing.note(
        verified_at=timezone.now(),
        verified_state=report.state,
        verified_upto=report.covered,
        verified_size=report.size,
        verified_findings=report.sentences,
    )
    facts = {"state": report.state, "upto": report.covered, "size": report.size, "bad": report.first_bad}
    finding = {"finding": report.sentences[0]} if report.sentences else {}
    audit.record("audit.verified", result=RESULTS[report.state], facts=facts, details=finding)
