"""Events that anybody can cause without an account, limited so that strangers cannot fill the disk.

One per minute, kind and network is written; those in between are counted, and the next one says how many.
"""

from typing import Any

from django.core.cache import cache

from portal import audit
from portal.audit import origin

QUIET = 60  # seconds
REMEMBERED = 24 * 60 * 60  # seconds


def record(kind: str, **facts: Any) -> None:
    """Record an event of a stranger, or count it if one of its kind came from there a moment ago."""
    key = f"audit:{kind}:{origin.network_of(origin.current().ip or '')}"
    if cache.add(f"{key}:quiet", 1, QUIET):
        left_out = cache.get(f"{key}:left_out", 0)
        cache.delete(f"{key}:left_out")
        audit.record(kind, facts={"left_out_before": left_out}, **facts)
    else:
        cache.set(f"{key}:left_out", cache.get(f"{key}:left_out", 0) + 1, REMEMBERED)
