"""The portal as it is delivered, before a simulated vendor on a port of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from portal.getscreen.simulator import Simulator
from tests.benchmarks.portal import Portal, running


@contextmanager
def served(workers: int = 2, threads: int = 8, **settings: str) -> Iterator[tuple[Simulator, Portal, int]]:
    """A portal that answers, with the sizes and intervals that `serve` has by itself, and its first process."""
    delivered = {"DJANGO_SETTINGS_MODULE": "portal.settings", "MALLOC_ARENA_MAX": "2"}  # as image and units set it
    with running(**delivered | settings) as (simulator, portal):
        server = portal.serve(workers=workers, threads=threads)
        yield simulator, portal, server.pid
