"""Counts requests by the name of their view, never by their address: addresses are endless, and some are secrets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, URLResolver, get_resolver

from portal.metrics import calls, memory
from portal.metrics.counts import Counts, Family

REQUESTS, SECONDS = "portal_http_requests", "portal_http_request_seconds"
MAKING = threading.Lock()
METHODS = ("GET", "HEAD", "POST", "other")
STATUSES = ("2xx", "3xx", "4xx", "5xx")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# What middleware answers. NONE is no view: unknown addresses, forged hosts, redirects to https.
ANSWERED_BEFORE = {"/healthz": "healthz", "/readyz": "readyz", "/metrics": "metrics"}
STATIC, NONE = "static", "none"


class CountRequests:
    """Outermost, so that nothing is missed. A download counts as long as until its first byte."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        response = self.get_response(request)
        count(request, response.status_code, time.perf_counter() - began)
        return response


def count(request: HttpRequest, status: int, seconds: float) -> None:
    counts = memory.current or begin()
    requests, durations = counts.families[REQUESTS], counts.families[SECONDS]
    method = request.method if request.method in METHODS else METHODS[-1]
    labels = view_of(request), method or ""
    if labels not in durations.rows:
        labels = NONE, labels[1]
    counts.add(requests, (*labels, STATUSES[min(max(status // 100, 2), 5) - 2]))
    counts.observe(durations, labels, seconds)


def view_of(request: HttpRequest) -> str:
    match = request.resolver_match
    if match is not None:
        return match.view_name
    if request.path.startswith(settings.STATIC_URL):
        return STATIC
    return ANSWERED_BEFORE.get(request.path, NONE)


def begin(regions: int = 1) -> Counts:
    """Make the memory for all that web processes count, unless there is one."""
    with MAKING:
        return memory.current or memory.share([*families(), *calls.FAMILIES], regions)


def families() -> tuple[Family, Family]:
    views = tuple(sorted({*ANSWERED_BEFORE.values(), STATIC, NONE, *view_names(get_resolver().url_patterns)}))
    return (
        Family(
            REQUESTS,
            "Requests by view, method and status. What no view answers is one view: none.",
            ("view", "method", "status"),
            (views, METHODS, STATUSES),
        ),
        Family(
            SECONDS,
            "How long requests took, until the first byte of the answer.",
            ("view", "method"),
            (views, METHODS),
            buckets=BUCKETS,
        ),
    )


def view_names(patterns: Iterable[Any], namespaces: Sequence[str | None] = ()) -> Iterator[str]:
    """Yield what `ResolverMatch.view_name` can be."""
    for entry in patterns:
        if isinstance(entry, URLResolver):
            yield from view_names(entry.url_patterns, [*namespaces, entry.namespace])
        else:
            yield ResolverMatch(entry.callback, (), {}, entry.name, namespaces=list(namespaces)).view_name
