"""/metrics, in the text format of Prometheus: for whoever has its token, or without one for this machine alone.

For everybody else it is an address like any that does not exist: the request goes on and ends as it would. It never
has a session, leaves no event, and counts as nobody's activity.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest

from portal.getscreen.links import is_loopback
from portal.metrics.counted import Counted
from portal.metrics.gauges import Known

PATH = "/metrics"
BY_A_PROXY = ("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP")

registry = CollectorRegistry()
registry.register(Counted())
registry.register(Known())


class Metrics:
    """Answer before anything looks at the host name or the session: a scrape names a machine, not the site."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path != PATH or not may_read(request):
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"})
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def may_read(request: HttpRequest) -> bool:
    token = settings.METRICS_TOKEN.reveal()
    if token:
        return constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {token}")
    return is_from_here(request)


def is_from_here(request: HttpRequest) -> bool:
    """Say whether a program on this machine asks this server itself.

    Behind a proxy on the same machine everybody's requests come from loopback, so whatever a proxy may have touched
    is refused: one that is trusted, one that left a header, and one that left the name of the site, as a browser
    would that a stranger's page has talked into it.
    """
    is_proxied = getattr(request, "is_proxied", False) or any(
        name in BY_A_PROXY or name.startswith("HTTP_X_FORWARDED") for name in request.META
    )
    host, _port = split_domain_port(request.META.get("HTTP_HOST", "").lower())
    names_itself = is_loopback(host.strip("[]"))
    return not is_proxied and names_itself and is_loopback(request.META.get("REMOTE_ADDR", ""))
