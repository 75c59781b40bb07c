"""What runs beside the pages, in each process of `serve` and in `watch`: the watcher, the forwarder, the courier.

Responsible for their common beginning and end. Refuses to know what they do.
"""

from __future__ import annotations

import time

from invitations.courier import Courier
from invitations.watcher import Watcher
from portal.audit.forwarding import Forwarder

# Seconds for all of them together: as long as a webhook may take. A mail may take longer, and is then sent again.
PATIENCE = 12.0


class Background:
    """The threads of one process."""

    def __init__(self) -> None:
        self.watcher, self.forwarder, self.courier = Watcher(), Forwarder(), Courier()
        self.asked_at: float | None = None  # on the monotonic clock

    def start(self) -> None:
        self.watcher.start()
        self.forwarder.start()
        self.courier.start()

    def ask(self) -> None:
        """Ask all of them to end, and wait for none."""
        if self.asked_at is None:
            self.asked_at = time.monotonic()
            for part in (self.watcher, self.forwarder, self.courier):
                part.ask()

    def stop(self, timeout: float = PATIENCE) -> None:
        """Ask them, unless they were, and wait until so many seconds after that.

        What is cut off by then loses nothing: a lease and a claim run out, and another process goes on.
        """
        self.ask()
        deadline = (self.asked_at or 0.0) + timeout
        for part in (self.watcher, self.forwarder, self.courier):
            part.join(max(0.0, deadline - time.monotonic()))
