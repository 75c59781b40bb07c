"""What the watcher does for the log at every tick: checkpoints, triggers, the clock.

Each part is guarded, so that one that fails stops neither the others nor the watcher; it is logged when
it begins to fail, not at every tick.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from django.db import connection
from django.utils import timezone

from portal import audit
from portal.audit import checkpoints, nightly, triggers
from portal.audit.kinds import Result
from portal.audit.models import Event, Standing

logger = logging.getLogger(__name__)

TRIGGERS_EVERY = 5 * 60  # seconds
JUMP = 2.0  # seconds by which the wall clock may run ahead of the monotonic one between two ticks
SAME_JUMP = 60  # seconds within which other processes see the same jump

_failing: set[str] = set()


def tend() -> None:
    """Do what is due. For the watcher, at every tick."""
    attempt("the clock", clock.watch)
    attempt("the triggers", watch_triggers)
    attempt("the checkpoints", checkpoints.tend)
    attempt("the nightly check", nightly.verify_if_due)


def attempt(what: str, work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        if what not in _failing:
            logger.exception("The audit log's watch over %s failed", what)
        _failing.add(what)
    else:
        _failing.discard(what)


class Due:
    """Says once per so many seconds of this process that something is due, at first at once."""

    def __init__(self, every: float) -> None:
        self.every = every
        self.last: float | None = None

    def now(self) -> bool:
        at = time.monotonic()
        if self.last is not None and at - self.last < self.every:
            return False
        self.last = at
        return True


triggers_due = Due(TRIGGERS_EVERY)


def watch_triggers() -> None:
    """Compare the triggers with their text every five minutes; record when they are found changed, and when back."""
    if not triggers_due.now():
        return
    wrong = triggers.missing(connection)
    with audit.writing():
        since = Standing.load().triggers_missing_since
        if wrong and since is None:
            logger.error("The audit log's triggers were changed: %s", ", ".join(wrong))
            audit.record("audit.triggers", result=Result.FAILED, facts={"names": wrong})
        if since is not None and not wrong and not were_put_back(since):
            audit.record("audit.triggers", result=Result.OK)
        now = timezone.now()
        Standing.note(triggers_checked_at=now, triggers_missing_since=(since or now) if wrong else None)


def were_put_back(since: datetime) -> bool:
    """Say whether an event tells already that they are back: the command that repairs them leaves one."""
    at = int(since.timestamp() * 1e6)
    return Event.objects.filter(kind="audit.triggers", result=Result.OK, ts__gte=at).exists()


class Clock:
    """Notices that the wall clock was set forward. Backwards shows itself at the next event."""

    def __init__(self) -> None:
        self.last: tuple[float, float] | None = None

    def watch(self) -> None:
        last, self.last = self.last, (time.time(), time.monotonic())
        if last is None:
            return
        ahead = (self.last[0] - last[0]) - (self.last[1] - last[1])
        if ahead > JUMP:
            self.tell(round(ahead))

    def tell(self, seconds: int) -> None:
        """Record the jump, unless another process has just done so."""
        since = (time.time_ns() // 1000) - SAME_JUMP * 1_000_000
        with audit.writing():
            if not Event.objects.filter(kind="system.clock", ts__gte=since).exists():
                audit.record("system.clock", result=Result.OK, facts={"seconds": seconds})


clock = Clock()
