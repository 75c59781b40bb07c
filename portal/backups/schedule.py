"""When a backup is due, and the program of its own that makes it: never the process that answers people.

The audit log knows when the last one was made. Whoever holds the watcher's lease looks; a lock lets one make it.
"""

from __future__ import annotations

import logging
import subprocess
from datetime import datetime, time, timedelta
from time import monotonic

from django.conf import settings
from django.utils import timezone

from portal import aside
from portal.audit.kinds import Result
from portal.audit.models import Event

logger = logging.getLogger(__name__)

AHEAD = timedelta(hours=1)  # an event further ahead than this was told by a clock that was wrong, and does not count
TRY_AGAIN = timedelta(hours=1)  # after a failure
_running: subprocess.Popen[bytes] | None = None
_failed_at: float | None = None  # monotonic; of a failure that the log may not know, as of a program that was killed


def back_up_if_due() -> None:
    """Start the backup that is due. For the watcher that has the lease, once a minute."""
    global _running, _failed_at
    if _running is not None:
        code = _running.poll()
        if code is None:
            return
        _running, _failed_at = None, monotonic() if code else None
        if code:
            logger.warning("A backup has ended with code %d. The next one is tried in an hour at the earliest.", code)
    if _failed_at is not None and monotonic() - _failed_at < TRY_AGAIN.total_seconds():
        return
    if settings.BACKUP_DIR is not None and is_due(timezone.now()):
        logger.info("A backup begins")
        _running = aside.start("backup", "--scheduled")


def is_due(now: datetime) -> bool:
    """Say whether the last good backup is from before the last hour set for one, and no try has failed just now."""
    good, tried = last_made(now), last(now, result=Result.FAILED)
    if tried is not None and abs(now - tried.at) < TRY_AGAIN and (good is None or tried.at > good):
        return False
    return good is None or good < last_set_hour(now)


def last_made(now: datetime | None = None) -> datetime | None:
    """Return when the last good backup was made, as far as the log tells."""
    event = last(now or timezone.now(), result=Result.OK)
    return event.at if event else None


def last(now: datetime, *, result: str) -> Event | None:
    upto = int((now + AHEAD).timestamp()) * 1_000_000
    return Event.objects.filter(kind="backup.made", result=result, ts__lte=upto).order_by("-ts").first()


def last_failure() -> str:
    """Return why the newest try failed; nothing if it did not."""
    event = Event.objects.filter(kind="backup.made").order_by("-seq").first()
    return str(event.details.get("reason", "")) if event is not None and event.result == Result.FAILED else ""


def last_set_hour(now: datetime) -> datetime:
    """Return the last moment for which a backup was set, in the site's time zone."""
    today = timezone.localdate(now)
    days = (today, today - timedelta(days=1))
    moments = [timezone.make_aware(datetime.combine(day, time(hour))) for day in days for hour in settings.BACKUP_HOURS]
    return max(moment for moment in moments if moment <= now)


def hours_since_backup(now: datetime | None = None) -> int | None:
    """Return how old the last good backup is, None if there is none."""
    now = now or timezone.now()
    made = last_made(now)
    return None if made is None else max(0, int((now - made).total_seconds() // 3600))
