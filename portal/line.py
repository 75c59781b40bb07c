"""Threads that wait their turn, in the order in which they came.

A lock of Python's lets a newcomer pass whoever waits. Knows nothing of what is waited for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Line:
    """One thread at a time. The turn is handed to whoever has waited longest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self, patience: float) -> Iterator[Callable[[], None]]:
        """Run the block as the only one; after `patience` seconds in vain beside the others.

        Yields what hands the turn on before the block ends.
        """
        ours = [self._hand_on] if self._wait(patience) else []

        def over() -> None:
            if ours:
                ours.pop()()

        try:
            yield over
        finally:
            over()

    def _wait(self, patience: float) -> bool:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return True
            called = threading.Event()
            self._waiting.append(called)
        try:
            if called.wait(patience):
                return True
        except BaseException:
            if not self._leave(called):
                self._hand_on()
            raise
        return not self._leave(called)

    def _leave(self, called: threading.Event) -> bool:
        """Leave the line; say whether that was before the turn came."""
        with self._lock:
            if not called.is_set():
                self._waiting.remove(called)
            return not called.is_set()

    def _hand_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._is_taken = False
