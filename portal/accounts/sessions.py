"""How long people stay signed in, and every way in which that ends before they sign out."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import ngettext

from portal import audit
from portal.accounts import farewells, user_agents
from portal.accounts.models import Session, User, is_administrator
from portal.audit import origin
from portal.audit.kinds import Result

logger = logging.getLogger(__name__)

ABSOLUTE, IDLE = "absolute", "idle"
ENDED = "ended"  # key in the session of a stranger: which limit, or whose reason, has ended the one before
NOTED_EVERY = timedelta(minutes=1)  # activity is written no more often
CLOCKS_DIFFER = timedelta(minutes=5)  # a time further ahead than this was told by a clock that was wrong
AT_ONCE = timedelta(minutes=30)  # two networks within it are two places at once
# An ended session is kept so long, unusable, so that the browser that comes back is told why.
REMEMBERED = timedelta(days=1)


class Limit(NamedTuple):
    """What ends a session by itself: so many minutes after the sign-in, or after the last activity."""

    name: str
    minutes: int

    @property
    def hours(self) -> int:
        """Whole hours; 0 if it is not a number of them."""
        return 0 if self.minutes % 60 else self.minutes // 60

    @property
    def in_words(self) -> str:
        """Return for example "30 minutes"."""
        if self.hours:
            return ngettext("%(count)s hour", "%(count)s hours", self.hours) % {"count": self.hours}
        return ngettext("%(count)s minute", "%(count)s minutes", self.minutes) % {"count": self.minutes}

    @property
    def why_ended(self) -> str:
        """Return what a person reads whom the limit has signed out."""
        hours = self.hours
        if self.name == ABSOLUTE:
            return ngettext(
                "You were signed out because you signed in more than %(count)s hour ago.",
                "You were signed out because you signed in more than %(count)s hours ago.",
                hours,
            ) % {"count": hours}
        if hours:
            return ngettext(
                "You were signed out after %(count)s hour without activity.",
                "You were signed out after %(count)s hours without activity.",
                hours,
            ) % {"count": hours}
        return ngettext(
            "You were signed out after %(count)s minute without activity.",
            "You were signed out after %(count)s minutes without activity.",
            self.minutes,
        ) % {"count": self.minutes}


# --- Limits ------------------------------------------------------------------------------------------


def limits_of(user: Any) -> tuple[Limit, Limit]:
    """Return how long a session of that person may last, and how long without activity."""
    idle = settings.SESSION_IDLE_ADMIN_MINUTES if is_administrator(user) else settings.SESSION_IDLE_HOURS * 60
    return Limit(ABSOLUTE, settings.SESSION_HOURS * 60), Limit(IDLE, idle)


def is_too_old(row: Session) -> bool:
    """Say whether too much time has passed since the sign-in, whoever it is and whatever they did meanwhile."""
    now = timezone.now()
    return row.expire_date <= now or is_over(row.created_at, settings.SESSION_HOURS * 60, now)


def is_over(since: datetime, minutes: int, now: datetime) -> bool:
    """Say whether so many minutes have passed. A time to come tells nothing, and counts as too long ago."""
    return not -CLOCKS_DIFFER <= now - since < timedelta(minutes=minutes)


def limit_met(row: Session, user: Any) -> Limit | None:
    """Return the limit that the session has reached."""
    absolute, idle = limits_of(user)
    if is_too_old(row):
        return absolute
    return idle if is_over(row.active_at, idle.minutes, timezone.now()) else None


def end_by_limit(request: HttpRequest, row: Session, limit: Limit) -> None:
    """Go on with the request as a stranger's, who is told why; also where that cannot be written down."""
    request.session = type(request.session)()
    user, request.user = row.user, AnonymousUser()
    with suppress(audit.Unavailable), audit.writing():
        count, _ = Session.objects.filter(pk=row.pk).delete()
        if count:
            facts = {"limit": limit.name, "minutes": limit.minutes}
            audit.record("session.expired", result=Result.OK, actor=user, facts=facts)
        request.session[ENDED] = list(limit)


def explain_end(request: HttpRequest, key: str) -> None:
    """Tell a stranger who comes with the key of a session that somebody has ended, why that was."""
    if reason := farewells.take(key):
        request.session[ENDED] = reason


def note_activity(row: Session) -> None:
    """Write that the person did something now, and from where, unless somebody has done so within the minute."""
    now, here = timezone.now(), origin.current()
    if now - row.active_at < NOTED_EVERY:
        return
    with suppress(OperationalError):  # a page can be read while nothing can be written
        rows = Session.objects.filter(pk=row.pk, active_at__lte=now - NOTED_EVERY)
        rows.update(active_at=now, ip=here.ip, user_agent=here.user_agent)


def remove_old() -> int:
    """Remove the rows of sessions that are over, as far as nobody has to be told why. Return how many."""
    now = timezone.now()
    is_over = Q(user=None, expire_date__lte=now) | Q(expire_date__lte=now - REMEMBERED)
    return Session.objects.filter(is_over).delete()[0]


# --- Where somebody is signed in ---------------------------------------------------------------------


class Place(NamedTuple):
    """One session as a page may show it: its key stays here."""

    tag: str  # names it in addresses and in the audit log, and opens nothing
    row: Session
    is_here: bool

    @property
    def device(self) -> str:
        return user_agents.name_of(self.row.user_agent)


def running(user: User) -> QuerySet[Session]:
    """Return the person's sessions that no limit has ended."""
    now = timezone.now()
    absolute, idle = (timedelta(minutes=limit.minutes) for limit in limits_of(user))
    rows = Session.objects.filter(user=user, expire_date__gt=now)
    return rows.filter(created_at__gt=now - absolute, active_at__gt=now - idle)


def places(user: User, key: str | None = None) -> list[Place]:
    """Return where the person is signed in, the session with that key first and the last used ones next."""
    rows = running(user).order_by("-active_at", "-created_at")
    found = [Place(origin.keyed_tag("session", row.pk), row, row.pk == key) for row in rows]
    return sorted(found, key=lambda place: not place.is_here)


def record_concurrent(user: User, key: str | None) -> None:
    """Tell auditors where somebody signs in who was busy in another network within the last half hour.

    Not of a second device in the same network: a helpdesk has those. The browser is no part of it,
    because a thief's may look the same.
    """
    here = origin.current()
    busy = running(user).exclude(pk=key or "").filter(active_at__gt=timezone.now() - AT_ONCE)
    others = [row for row in busy if row.ip and here.ip and origin.network_of(row.ip) != origin.network_of(here.ip)]
    if others:
        audit.record(
            "session.concurrent",
            result=Result.OK,
            actor=user,
            facts={"count": len(others), "same_browser": any(row.user_agent == here.user_agent for row in others)},
            details={"networks": sorted({str(row.ip) for row in others})},
        )


# --- Ends. Each inside the caller's transaction ------------------------------------------------------


def end_all(user: User, *, reason: str, by: Any = None, keep: str | None = None) -> int:
    """Remove the person's sessions except the one with the key `keep`; record and return how many there were.

    Without it they would only be asleep: enabling the account again, or setting the old password again,
    would wake them. `reason` is one word for the log.
    """
    rows = Session.objects.filter(user=user).exclude(session_key=keep or "")
    return end(rows, user, reason=reason, by=by)


def end_others(request: HttpRequest, user: User, *, reason: str) -> int:
    """Remove the sessions that somebody has beside this one, by their own doing; record and return how many."""
    return end_all(user, reason=reason, by=user, keep=request.session.session_key)


def end_one(user: User, tag: str, *, reason: str, by: Any) -> int:
    """Remove one session of the person. There is none if it has ended meanwhile, or is somebody else's."""
    keys = [place.row.pk for place in places(user) if place.tag == tag]
    return end(Session.objects.filter(user=user, pk__in=keys), user, reason=reason, by=by)


def end(rows: QuerySet[Session], user: User, *, reason: str, by: Any) -> int:
    # Rows that a limit has ended already are removed as well, and are no news.
    running_keys = set(running(user).values_list("pk", flat=True))
    keys = set(rows.values_list("pk", flat=True))
    rows.delete()
    count = len(keys & running_keys)
    if count:
        farewells.leave(keys & running_keys, reason)
        about = {"target_type": "user", "target_id": str(user.pk), "target_label": user.username}
        facts = {"count": count, "reason": reason}
        audit.record("session.ended", result=Result.OK, actor=by, **about, facts=facts)
    return count


def end_everybodys(*, by: Any = None) -> int:
    """Remove every session there is, the caller's as well; record and return how many people were signed in."""
    rows = Session.objects.filter(user__isnull=False)
    count, people = rows.count(), rows.values("user").distinct().count()
    keys = set(rows.filter(expire_date__gt=timezone.now()).values_list("pk", flat=True))
    Session.objects.all().delete()  # half-done sign-ins as well
    farewells.leave(keys, "everybody")
    audit.record("session.all_ended", result=Result.OK, actor=by, facts={"count": count, "people": people})
    logger.warning("Every session was ended: %d of %d people", count, people)
    return people


def words_of(ended: Any) -> str:
    """Return what a person reads for a value of ENDED."""
    if not ended:
        return ""
    if isinstance(ended, str):
        return str(farewells.WORDS.get(ended, ""))
    name, minutes = ended
    return Limit(str(name), int(minutes)).why_ended
