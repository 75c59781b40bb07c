"""Events that anybody can cause without an account, limited so that strangers cannot fill the disk.

One per minute, kind and network is written; those in between are counted, and the next one says how many.
"""

import time
from typing import Any

from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpRequest

from portal import audit
from portal.audit import origin
from portal.audit.kinds import Result

QUIET = 60  # seconds
EACH = 60  # of one kind, from everywhere together
REMEMBERED = 24 * 60 * 60  # seconds


def record(kind: str, **facts: Any) -> None:
    """Record a refusal of a stranger, or count it if one of its kind came from there a moment ago.

    Raises nothing: a refusal stays one even where the log cannot be written.
    """
    key = f"audit:{kind}:{origin.network_of(origin.current().ip or '')}"
    try:
        is_news = cache.add(f"{key}:quiet", 1, QUIET)
        left_out = cache.get(f"{key}:left_out", 0)
        if is_news:
            cache.delete(f"{key}:left_out")
        else:
            cache.set(f"{key}:left_out", left_out + 1, REMEMBERED)
    except DatabaseError:
        is_news, left_out = True, 0  # the counters are in the same database: the log says what is wrong
    if is_news:
        audit.record_anyway(kind, facts={"left_out_before": left_out}, **facts)


def record_each(kind: str, **facts: Any) -> None:
    """Record every such refusal, as many of a kind as EACH a minute; further ones as `record` does.

    For those that cost something to cause, and are told apart by what was tried.
    """
    key = f"audit:{kind}:each:{int(time.time() // QUIET)}"
    try:
        cache.add(key, 0, 2 * QUIET)
        is_flood = cache.incr(key) > EACH
    except (DatabaseError, ValueError):  # the latter where it has run out meanwhile
        is_flood = False
    if is_flood:
        record(kind, **facts)
    else:
        audit.record(kind, **facts)


def record_refusal(kind: str, request: HttpRequest) -> None:
    """Record that a page was refused to whoever asked for it: a person each time, a stranger as above."""
    about = {"result": Result.DENIED, "target_type": "page", "target_label": origin.path_of(request)}
    if request.user.is_authenticated:
        audit.record_anyway(kind, actor=request.user, **about)
    else:
        record(kind, **about)
