"""Run the portal for real: the web server with a watcher in each of its processes."""

import argparse
import logging
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from invitations import static_files
from invitations.operations import abandon_interrupted
from invitations.server import Server
from portal import audit, log
from portal.audit import lines, program
from portal.backups import schema
from portal.checks import is_dangerous, outspoken
from portal.getscreen.links import is_loopback

logger = logging.getLogger(__name__)
UNWRITABLE = "The audit log cannot be written, so the portal does not start: %s"


class Command(BaseCommand):
    requires_system_checks = ()  # some need the database, whose trouble is told better below
    help = "Run the production server. Prepare the database with `upgrade` first."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1:8000", metavar="HOST:PORT")
        parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
        parser.add_argument("--threads", type=int, default=8, help="requests at once per process (default 8)")

    def handle(self, *args: Any, **options: Any) -> None:
        log.speak()
        lines.speak()
        refuse_unmigrated()
        refuse_unwritable()
        judge_settings()
        refuse_open_debugging(options["bind"])
        static_files.ensure_collected()
        begin()
        logger.info("Listening on %s", options["bind"])
        Server(bind=options["bind"], workers=options["workers"], threads=options["threads"]).run()


def begin() -> None:
    """Settle what a crash has left and record the start. Raises CommandError if that cannot be recorded."""
    try:
        abandon_interrupted()
        program.started()
    except audit.Unavailable as error:
        raise CommandError(UNWRITABLE % error) from None


def refuse_unwritable() -> None:
    """Raise CommandError before the checks, which would call a locked database one that knows no JSON."""
    try:
        audit.ensure_writable()
    except audit.Unavailable as error:
        raise CommandError(UNWRITABLE % error) from None


def judge_settings() -> None:
    """Log what is unwise, like everything else a server says. Raises CommandError with all that is dangerous."""
    found = outspoken()
    for one in found:
        if not is_dangerous(one):
            logger.warning("%s: %s %s", one.id, one.msg, one.hint or "")
    if dangerous := [f"{one.id}: {one.msg} {one.hint or ''}" for one in found if is_dangerous(one)]:
        raise CommandError("The portal does not start with these settings:\n" + "\n".join(dangerous))


def refuse_open_debugging(bind: str) -> None:
    if settings.DEBUG and not is_loopback(bind.rpartition(":")[0].strip("[]")):
        raise CommandError(f"DEBUG is on, and --bind {bind} lets others reach it. Remove DEBUG.")


def refuse_unmigrated() -> None:
    """Raise CommandError with what to do if the database is missing or older than the code."""
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise CommandError(f"The database cannot be used: {error}. Check DATABASE_URL.") from None
    if pending:
        raise CommandError("The database is not prepared for this release. Run `manage.py upgrade` first.")
    if schema.is_unfinished():
        raise CommandError("A restore into this database was interrupted. Run `manage.py restore` again.")
    if newer := schema.unknown(schema.applied()):
        # One release ahead everything works (docs/decisions/0025), which is how replicas are upgraded one by one.
        logger.warning("The database is of a newer release than this one: upgrade this one soon. %s", ", ".join(newer))
