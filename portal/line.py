"""Threads that wait their turn, in the order in which they came.

A lock of Python's lets a newcomer pass whoever waits. Knows nothing of what is waited for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Line:
    """One thread at a time. The turn is handed to whoever has waited longest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self, patience: float) -> Iterator[None]:
        """Run the block as the only one; after `patience` seconds in vain beside the others."""
        is_ours = self._wait(patience)
        try:
            yield
        finally:
            if is_ours:
                self._hand_on()

    def _wait(self, patience: float) -> bool:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return True
            called = threading.Event()
            self._waiting.append(called)
        if called.wait(patience):
            return True
        with self._lock:
            if called.is_set():  # in this moment
                return True
            self._waiting.remove(called)
            return False

    def _hand_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._is_taken = False
