"""Stops asking a service that does not answer, and finds out gently when it does again.

Counts only what says that the service is in trouble: no answer, a failing server, an answer nobody
understands. An answer that says no is an answer. Knows nothing of calls but their outcome.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable


class Breaker:
    """One per process, for all its clients. Safe to use from several threads.

    Closed: calls go out. Open: none does. Then one probe at a time, until two have succeeded.
    """

    CONSECUTIVE = 5  # failures in a row that open it
    SHARE, LEAST, WINDOW = 0.5, 10, 30.0  # or this share of at least so many calls within so many seconds
    JITTER = 0.2  # how far the time it stays open varies between processes
    ENOUGH = 2  # successful probes that close it
    LOST_AFTER = 30.0  # seconds after which a probe that never ended counts for nothing
    SOON = 1.0  # seconds to wait while a probe is out

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, open_for: float = 15.0) -> None:
        self._clock = clock
        self.open_for = open_for  # seconds
        self.was_open = False  # as was said last
        self._lock = threading.Lock()
        self._open_until: float | None = None
        self._outcomes: deque[tuple[float, bool]] = deque()
        self._in_a_row = 0
        self._probing_since: float | None = None
        self._good_probes = 0

    def wait(self, *, is_probe: bool) -> float:
        """Return 0 if the call may go out now, else in how many seconds to try again.

        Only a probe may go out first after an outage; who is let go must tell `ended`.
        """
        with self._lock:
            if self._open_until is None:
                return 0.0
            now = self._clock()
            if now < self._open_until:
                return self._open_until - now
            is_out = self._probing_since is not None and now - self._probing_since < self.LOST_AFTER
            if not is_probe or is_out:
                return self.SOON
            self._probing_since = now
            return 0.0

    @property
    def is_open(self) -> bool:
        """Say whether it holds calls back, or lets out one probe at a time."""
        with self._lock:
            return self._open_until is not None

    @property
    def wants_probe(self) -> bool:
        """Say whether it has been open for long enough, and somebody has to find out."""
        with self._lock:
            return self._open_until is not None and self._clock() >= self._open_until

    def ended(self, *, well: bool) -> None:
        """Take in how a call ended that was let go."""
        with self._lock:
            if self._open_until is None:
                self._count(well)
            elif self._probing_since is not None:  # else it had begun before it opened, and says nothing new
                self._probing_since = None
                self._good_probes = self._good_probes + 1 if well else 0
                if not well:
                    self._open()
                elif self._good_probes >= self.ENOUGH:
                    self._open_until = None

    def _count(self, well: bool) -> None:
        now = self._clock()
        self._outcomes.append((now, well))
        while self._outcomes[0][0] < now - self.WINDOW:
            self._outcomes.popleft()
        self._in_a_row = 0 if well else self._in_a_row + 1
        failures = sum(1 for _, is_well in self._outcomes if not is_well)
        is_mostly_bad = len(self._outcomes) >= self.LEAST and failures >= self.SHARE * len(self._outcomes)
        if not well and (self._in_a_row >= self.CONSECUTIVE or is_mostly_bad):
            self._open()

    def _open(self) -> None:
        spread = random.uniform(1 - self.JITTER, 1 + self.JITTER)  # noqa: S311  # spreads load, guards nothing
        self._open_until = self._clock() + self.open_for * spread
        self._outcomes.clear()
        self._in_a_row = self._good_probes = 0
