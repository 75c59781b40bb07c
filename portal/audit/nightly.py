"""The check of the whole log that runs every night, and when somebody asks for it, as a program of its own.

A check of a million events takes half a minute of one processor: never in a process that answers people.
"""

from __future__ import annotations

import logging
import subprocess
from datetime import datetime, time, timedelta

from django.utils import timezone

from portal import aside
from portal.audit.models import Event, Standing

logger = logging.getLogger(__name__)

AHEAD = timedelta(hours=1)
GIVEN_UP_AFTER = timedelta(hours=3)  # a million events take half a minute
AT = time(2)  # in the site's time zone
_running: subprocess.Popen[bytes] | None = None


def verify_if_due() -> None:
    """Start the check once a night, whichever process notices first. For the watcher."""
    global _running
    if _running is not None:
        if _running.poll() is None:
            return
        _running = None
    standing, now = Standing.load(), timezone.now()
    if is_due(standing, now) and take(standing, now):
        logger.info("The nightly check of the audit log begins")
        _running = aside.start("audit_verify", "--quietly")


def is_due(standing: Standing, now: datetime) -> bool:
    """Say whether the last check began before the last night, or before somebody asked for one."""
    began = standing.verify_began_at or age_of_log()
    if began is None:
        return False
    if began > now + AHEAD:
        return True  # by a clock that was ahead then
    if not has_ended(standing, began) and now - began > GIVEN_UP_AFTER:
        return True  # its process was killed
    asked = standing.verify_requested_at
    if asked is not None and (standing.verify_began_at is None or asked > standing.verify_began_at):
        return True
    return began < last_night(now)


def has_ended(standing: Standing, began: datetime) -> bool:
    """Say whether the check that began then has left a result, good or bad. Before the first one there is none."""
    done = standing.verified_at
    return standing.verify_began_at is None or (done is not None and done >= began)


def last_night(now: datetime) -> datetime:
    today = timezone.make_aware(datetime.combine(timezone.localdate(now), AT))
    return today if today <= now else today - timedelta(days=1)


def age_of_log() -> datetime | None:
    first = Event.objects.order_by("seq").first()
    return first.at if first else None


def take(standing: Standing, now: datetime) -> bool:
    """Claim the check; of two processes one gets it."""
    rows = Standing.objects.filter(pk=1)
    if standing.verify_began_at is None:
        rows = rows.filter(verify_began_at__isnull=True)
    else:
        rows = rows.filter(verify_began_at=standing.verify_began_at)
    return bool(rows.update(verify_began_at=now))
