"""Argon2id, few at once: a hash takes 64 MiB and tens of milliseconds, and a storm must leave threads for pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from django.contrib.auth.hashers import Argon2PasswordHasher

AT_ONCE = 1  # hashes in one process; each has several lanes of its own
WAITING = 3  # further requests that may wait for their turn, of the eight threads of a process
PATIENCE = 2.0  # seconds


class Crowded(Exception):
    """Too many passwords are being checked now. Nothing was done; a moment later it works."""


class Places:
    """Room for so many at once, and for so many who wait."""

    def __init__(self, at_once: int, waiting: int, patience: float) -> None:
        self._inside = BoundedSemaphore(at_once)
        self._anywhere = BoundedSemaphore(at_once + waiting)
        self._patience = patience

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for a place, within `patience` seconds. Raises Crowded."""
        if not self._anywhere.acquire(blocking=False):
            raise Crowded
        try:
            if not self._inside.acquire(timeout=self._patience):
                raise Crowded
            try:
                yield
            finally:
                self._inside.release()
        finally:
            self._anywhere.release()


places = Places(AT_ONCE, WAITING, PATIENCE)


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
