"""Run the watcher alone, without a web server."""

import signal
import threading
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from invitations.background import Background
from invitations.management.commands.serve import begin, refuse_unmigrated
from portal import log, reports
from portal.audit import forwarding, lines, program

LOOK_EVERY = 1.0  # seconds


class Command(BaseCommand):
    requires_system_checks = ()  # some need the database, whose trouble is told better below
    help = "Keep the list of invitations fresh. Ends on SIGTERM and Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.GETSCREEN_API_KEY:
            raise CommandError("Set GETSCREEN_API_KEY (Getscreen profile, Integration → HTTP API).")
        log.speak()
        lines.speak()
        refuse_unmigrated()
        self.check()
        begin()
        reports.begin()
        stopping, background = threading.Event(), Background()

        def stop(signum: int, frame: FrameType | None) -> None:
            stopping.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        background.start()
        while background.watcher.thread.is_alive() and not stopping.wait(LOOK_EVERY):
            pass
        background.stop()
        program.stopped()
        forwarding.flush()
        reports.end()
        if not stopping.is_set():
            raise CommandError("The watcher has ended by itself; the log says why. Start it again.")
