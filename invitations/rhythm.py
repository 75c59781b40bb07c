"""How often the vendor is asked: once per interval, less often while nobody has the board open.

Polls are noted without any I/O; the watcher of their process writes them down for the watchers of all.
"""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models.functions import Now

from invitations.models import Snapshot

WRITE_EVERY = 10.0  # seconds, per process
ROOM = 0.005  # seconds for each poll of one process: a changed board of few rows takes about half of it
MEMORY = 0.9  # of what was known about how long an answer takes, each time that another has been given
SPREAD_MOST = 0.8  # of an interval
GONE_AFTER = 30.0  # seconds without a poll
USUAL_ROUND = 0.3  # seconds from asking the vendor to having written the answer
LONGEST_PAUSE = timedelta(minutes=6)  # beyond what the vendor can ask for: a clock has jumped


class Presence:
    """What one process knows of its browsers. Threads may miscount polls a little: it is an estimate."""

    def __init__(self) -> None:
        self.seen_at: float | None = None
        self.written_at: float | None = None
        self.crowd = 0.0  # polls per interval, when last counted
        self.answer = 0.0  # seconds that an answer with a changed board has taken of late
        self._count = 0
        self._since = 0.0

    def seen(self, now: float | None = None) -> None:
        """Note that a browser has asked just now."""
        now = time.monotonic() if now is None else now
        if (lasted := now - self._since) >= settings.POLL_SECONDS:
            self.crowd = self._count * settings.POLL_SECONDS / lasted
            self._count, self._since = 0, now
            self.answer *= MEMORY  # or one slow moment would count for as long as nothing changes
        self._count += 1
        self.seen_at = now

    def took(self, seconds: float) -> None:
        """Note how long an answer with a changed board has taken: long where there are many rows, or much to do."""
        self.answer = MEMORY * self.answer + (1 - MEMORY) * seconds

    @property
    def spread(self) -> float:
        """Return over how many seconds polls should spread, so that a crowd does not come in one moment."""
        return min(self.crowd * max(ROOM, 2 * self.answer), settings.POLL_SECONDS * SPREAD_MOST)

    def write(self, now: float | None = None) -> bool:
        """Write a sighting that is not written yet, at most every ten seconds; say whether it was."""
        now = time.monotonic() if now is None else now
        is_news = self.seen_at is not None and (self.written_at is None or self.seen_at > self.written_at)
        if not is_news or (self.written_at is not None and now - self.written_at < WRITE_EVERY):
            return False
        self.written_at = now
        Snapshot.objects.filter(pk=1).update(watched_at=Now())
        return True


here = Presence()


def lease_length() -> timedelta:
    """Return how long a watcher's right to ask lasts: five thirds of an interval."""
    return timedelta(seconds=settings.POLL_SECONDS * 5 / 3)


def is_watched(snapshot: Snapshot, now: datetime) -> bool:
    """Say whether some browser has polled lately. A time far off in either direction is a clock that jumped.

    Polls and leases are written on the database's clock, which may differ from ours: where there is a
    lease, which is taken all the time, it tells what that clock says.
    """
    if snapshot.lease_until is not None:
        now = snapshot.lease_until - lease_length()
    return snapshot.watched_at is not None and abs((now - snapshot.watched_at).total_seconds()) < GONE_AFTER


def interval(snapshot: Snapshot, now: datetime) -> float:
    """Return how many seconds lie between two looks: more while nobody has the board open."""
    every = float(settings.POLL_SECONDS)
    return every if is_watched(snapshot, now) else max(every, float(settings.IDLE_POLL_SECONDS))


def seconds_left(snapshot: Snapshot, now: datetime) -> float:
    """Return how long the next round has to wait. A time in the future is a clock that jumped, and no reason."""
    if snapshot.pause_until is not None and now < snapshot.pause_until < now + LONGEST_PAUSE:
        return (snapshot.pause_until - now).total_seconds()
    every = interval(snapshot, now)
    if snapshot.attempted_at is None or snapshot.attempted_at > now + timedelta(seconds=every):
        return 0.0
    return min(every, every - (now - snapshot.attempted_at).total_seconds())


def next_poll(snapshot: Snapshot, now: datetime) -> float:
    """Return in how many seconds a page should ask again: just after the next list should have come.

    A page that asks when there can be news shows it one interval after it happened, not two. Of many pages
    each comes a little later, by chance: all at once would wait for one another.
    """
    left, every = seconds_left(snapshot, now), float(settings.POLL_SECONDS)
    later = here.spread * random.random()  # noqa: S311
    if -every < left <= 0:  # the list is on its way
        return min(1.0, every) + later
    return (min(left + USUAL_ROUND, every) if left > 0 else every) + later
