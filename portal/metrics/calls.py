"""Counts calls of the remote API by method and outcome, and says whether this process has stopped asking."""

from __future__ import annotations

from portal.getscreen.client import METHODS
from portal.getscreen.outcomes import NOT_ASKED, OUTCOMES
from portal.metrics import memory
from portal.metrics.counts import Family

CALLS = Family(
    "portal_vendor_calls",
    "Calls of the Getscreen API by method and outcome; several tries of one call count once.",
    ("method", "outcome"),
    (METHODS, OUTCOMES),
)
SECONDS = Family(
    "portal_vendor_call_seconds",
    "How long calls of the Getscreen API took that were sent, all tries together.",
    ("method",),
    (METHODS,),
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
BREAKER = Family(
    "portal_breaker_open",
    "Web processes that hold calls back because Getscreen has not been answering them.",
    is_gauge=True,
)
FAMILIES = (CALLS, SECONDS, BREAKER)


def count(method: str, outcome: str, seconds: float, *, is_open: bool) -> None:
    """Count a call that has ended or was not sent, where anybody counts: not in a watcher without a web server."""
    counts = memory.current
    if counts is None:
        return
    counts.add(CALLS, (method, outcome))
    if outcome != NOT_ASKED:
        counts.observe(SECONDS, (method,), seconds)
    counts.set(BREAKER, (), float(is_open))
