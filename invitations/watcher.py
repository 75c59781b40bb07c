"""The thread that keeps the rows fresh: in every `serve` process, and alone as `manage.py watch`.

All watchers compete for one lease; whoever holds it asks once per interval. It survives whatever a
round does: an unforeseen error is logged and the next round comes.
"""

from __future__ import annotations

import logging
import threading

from django.conf import settings
from django.db import close_old_connections, connection
from django.utils import timezone

from invitations import operations, sync
from invitations.models import Snapshot
from portal.getscreen import configured

logger = logging.getLogger(__name__)


class Watcher:
    """Runs rounds until told to stop."""

    def __init__(self) -> None:
        self.lease = sync.Lease()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, name="watcher", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Ask the loop to end and wait for it; it gives the lease back."""
        self.stopping.set()
        if self.thread.is_alive():
            self.thread.join(timeout)

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self.tick()
                self.stopping.wait(settings.POLL_SECONDS)
            self.lease.release()
        except Exception:
            logger.exception("The watcher could not give its lease back")
        finally:
            connection.close()

    def tick(self) -> None:
        """Settle what was interrupted, and run one round if it is our turn and the vendor lets us."""
        for step in (close_old_connections, operations.abandon_interrupted, self.look):
            try:
                step()
            except Exception:
                logger.exception("A round of the watcher failed")

    def look(self) -> None:
        if settings.GETSCREEN_API_KEY and self.lease.take() and not is_paused():
            sync.run_round(configured.watching_client(), lease=self.lease)


def is_paused() -> bool:
    until = Snapshot.load().pause_until
    return until is not None and until > timezone.now()
