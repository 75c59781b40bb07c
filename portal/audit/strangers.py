"""Events that anybody can cause without an account, limited so that strangers cannot fill the disk.

One per minute, kind and network is written (where reasons are told apart: of each reason), and of all together so many;
those in between are counted, and the next one says how many. Each process counts by itself and asks the others, through
the database, once a minute: a flood must not keep people from writing.
"""

import time
from dataclasses import dataclass
from threading import Lock
from typing import Any

from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils.text import slugify

from portal import audit
from portal.audit import origin
from portal.audit.kinds import Result

QUIET = 60  # seconds
REMEMBERED = 24 * 60 * 60  # seconds
EACH = 30  # events of one kind a minute, from everywhere together, in one process
EVERYWHERE = "everywhere"
MOST = 10_000  # networks and kinds that a process counts at a time


@dataclass
class Held:
    """What this process has held back of one kind from one network, until when (monotonic seconds)."""

    until: float
    count: int = 0


class Memory:
    """What this process remembers."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.forget()

    def forget(self) -> None:
        self._held: dict[str, Held] = {}
        self._each: dict[str, tuple[int, int]] = {}

    def hold(self, key: str, before: int) -> int | None:
        """Count one more and those before it and return None; after a minute return how many were held back."""
        now = time.monotonic()
        with self._lock:
            held = self._held.get(key)
            if held and now < held.until:
                held.count += 1 + before
                return None
            if len(self._held) >= MOST:
                self._held = {name: each for name, each in self._held.items() if now < each.until}
            self._held[key] = Held(now + QUIET)
            return before + (held.count if held else 0)

    def is_flood(self, kind: str) -> bool:
        """Count one more of a kind; say whether there were too many of it in this minute."""
        minute = int(time.monotonic() // QUIET)
        with self._lock:
            before, count = self._each.get(kind, (minute, 0))
            self._each[kind] = (minute, count + 1 if before == minute else 1)
            return self._each[kind][1] > EACH


memory = Memory()


def record(kind: str, *, reason: str = "", **facts: Any) -> None:
    """Record a refusal of a stranger, or count it if one of its kind came from there a moment ago.

    Raises nothing: a refusal stays one even where the log cannot be written. `reason`, which must be one of few and of
    our own words, goes into the event's details; a refusal for another one is another refusal.
    """
    place = origin.network_of(origin.current().ip or "")
    if reason:
        place, facts = f"{place}:{slugify(reason)}", facts | {"details": {"reason": reason}}
    record_once(kind, place, facts)


def record_once(kind: str, place: str, facts: dict[str, Any], before: int = 0) -> None:
    """Record it, or count it and those `before` it if one of its kind at that place was recorded a moment ago."""
    key = f"audit:{kind}:{place}"
    held = memory.hold(key, before)
    if held is None:
        return
    if place != EVERYWHERE and memory.is_flood(kind):  # from ever new networks
        record_once(kind, EVERYWHERE, facts, held)
        return
    try:
        is_news = cache.add(f"{key}:quiet", 1, QUIET)
        left_out = cache.get(f"{key}:left_out", 0) + held
        if is_news:
            cache.delete(f"{key}:left_out")
        else:  # another process has written one a moment ago
            cache.set(f"{key}:left_out", left_out + 1, REMEMBERED)
    except DatabaseError:
        is_news, left_out = True, held  # the counters are in the same database: the log says what is wrong
    if is_news:
        audit.record_anyway(kind, facts={"left_out_before": left_out}, **facts)


def record_each(kind: str, **facts: Any) -> None:
    """Record every such refusal, as many of a kind as EACH a minute; further ones are one event with their number.

    For those that cost something to cause, and are told apart by what was tried.
    """
    if memory.is_flood(kind):
        record_once(kind, EVERYWHERE, facts)
    else:
        audit.record(kind, **facts)


def record_refusal(kind: str, request: HttpRequest) -> None:
    """Record that a page was refused to whoever asked for it: a person each time, a stranger as above."""
    about = {"result": Result.DENIED, "target_type": "page", "target_label": origin.path_of(request)}
    if request.user.is_authenticated:
        audit.record_anyway(kind, actor=request.user, **about)
    else:
        record(kind, **about)
