"""The threads that empty the outbox: one for mails and one for webhooks, in each process that has a watcher.

Neither waits for the other, and the watcher for none: a mail server that hangs makes no board old.
"""

from __future__ import annotations

import logging
import threading
import time

from django.db import Error as AnyDatabaseError
from django.db import close_old_connections, connection

from invitations import outbox
from invitations.models import Delivery

logger = logging.getLogger(__name__)
TICK = 3.0  # seconds between two looks; what this process orders itself is sent at once


class Lane:
    """One thread for one kind of delivery."""

    def __init__(self, kind: str, stopping: threading.Event) -> None:
        self.kind, self.stopping = kind, stopping
        self.waker = threading.Event()
        self.thread = threading.Thread(target=self.run, name=f"outbox-{kind}", daemon=True)

    def run(self) -> None:
        stop_listening = outbox.listen(self.waker)
        try:
            while not self.stopping.is_set():
                if not self.tick():
                    self.waker.wait(TICK)
                    self.waker.clear()
        finally:
            stop_listening()
            connection.close()

    def tick(self) -> int:
        """Try what is due. Whatever goes wrong is logged, and the next look comes."""
        try:
            close_old_connections()
            return outbox.deliver_due(self.kind)
        except AnyDatabaseError:
            logger.warning("The outbox could not use the database")
        except Exception:
            logger.exception("A round of the outbox failed")
        return 0


class Courier:
    """All lanes of one process."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.lanes = [Lane(kind, self.stopping) for kind in Delivery.Kind.values]

    def start(self) -> None:
        for lane in self.lanes:
            lane.thread.start()

    def ask(self) -> None:
        """Ask the loops to end."""
        self.stopping.set()
        for lane in self.lanes:
            lane.waker.set()

    def join(self, timeout: float) -> None:
        """Wait for them together. A try that is cut off is tried again when its claim has run out."""
        deadline = time.monotonic() + timeout
        for lane in self.lanes:
            if lane.thread.is_alive():
                lane.thread.join(max(0.0, deadline - time.monotonic()))
