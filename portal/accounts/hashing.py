"""Argon2id, few at once: a hash takes 64 MiB and tens of milliseconds, and a storm must leave threads for pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, local

from django.contrib.auth.hashers import Argon2PasswordHasher

from portal import audit

AT_ONCE = 1  # hashes in one process; each has several lanes of its own
# Further requests that may wait for their turn, of the eight threads of a process: so many of strangers, and so many of
# known devices, whom a storm of strangers cannot keep out.
WAITING = 2
PATIENCE = 3.0  # seconds


class Crowded(Exception):
    """Too many passwords are being checked now. Nothing was done; a moment later it works."""


class Places:
    """Room for so many at once, and for so many strangers and so many known who wait."""

    def __init__(self, at_once: int, waiting: int, patience: float) -> None:
        self._inside = BoundedSemaphore(at_once)
        self._strangers, self._known = (BoundedSemaphore(at_once + waiting) for _ in range(2))
        self._patience = patience
        self._mine = local()

    @contextmanager
    def taken(self, *, is_known: bool = False) -> Iterator[None]:
        """Wait for a place, within `patience` seconds, or keep the one this thread has. Raises Crowded."""
        if getattr(self._mine, "is_inside", False):
            yield
            return
        queue = self._known if is_known else self._strangers
        if not queue.acquire(blocking=False):
            raise Crowded
        try:
            if not self._inside.acquire(timeout=self._patience):
                raise Crowded
            self._mine.is_inside = True
            try:
                yield
            finally:
                self._mine.is_inside = False
                self._inside.release()
        finally:
            queue.release()


places = Places(AT_ONCE, WAITING, PATIENCE)


@contextmanager
def writing() -> Iterator[None]:
    """Open the transaction in which a password is hashed: a place first, then the log's lock.

    A sign-in writes while it has its place. In the other order the two would wait for each other, and everybody
    else who writes for both. Raises Crowded, and Unavailable.
    """
    with places.taken(is_known=True), audit.writing():
        yield


class Hasher(Argon2PasswordHasher):
    """With the second set of parameters that RFC 9106 recommends: 64 MiB, 3 passes, 4 lanes."""

    time_cost = 3
    memory_cost = 64 * 1024  # KiB
    parallelism = 4

    def encode(self, password: str, salt: str) -> str:
        with places.taken():
            return str(super().encode(password, salt))

    def verify(self, password: str, encoded: str) -> bool:
        with places.taken():
            return bool(super().verify(password, encoded))
