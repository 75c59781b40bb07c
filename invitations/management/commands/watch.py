"""Run the watcher alone, without a web server."""

import signal
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from invitations.courier import Courier
from invitations.management.commands.serve import begin, refuse_unmigrated
from invitations.watcher import Watcher
from portal import log, reports
from portal.audit import lines, program
from portal.audit.forwarding import Forwarder


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
        watcher, forwarder, courier = Watcher(), Forwarder(), Courier()

        def stop(signum: int, frame: FrameType | None) -> None:
            watcher.stopping.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        forwarder.start()
        courier.start()
        watcher.run()
        program.stopped()
        forwarder.stop()
        courier.stop()
        reports.end()
