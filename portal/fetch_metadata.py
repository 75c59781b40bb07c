"""What the browser says about who sent it here: other sites may link to a page, and nothing else.

A second wall behind the CSRF tokens, SameSite cookies and Cross-Origin-Resource-Policy. A client that
says nothing (an old browser, a command) passes: those walls still stand before it.
"""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from portal import audit, views
from portal.audit import strangers
from portal.audit.kinds import Result
from portal.audit.origin import path_of
from portal.middleware import SAFE_METHODS

OURS = ("same-origin", "none", "")  # none: typed, or from a bookmark
PURPOSES = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")


class FetchMetadata:
    """Refuse forms and embedding from elsewhere, and whatever is fetched before anybody asked for it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if is_ahead_of_a_person(request):
            return HttpResponse(status=HTTPStatus.FORBIDDEN)
        if request.headers.get("Sec-Fetch-Site", "") in OURS:
            return self.get_response(request)
        if request.method not in SAFE_METHODS:
            return views.csrf_failure(request, "sent from another site")
        if not is_link(request):
            record_embedding(request)
            return HttpResponse(status=HTTPStatus.FORBIDDEN)
        return self.get_response(request)


def is_ahead_of_a_person(request: HttpRequest) -> bool:
    """Say whether a browser loads the page before anybody has opened it: each look at one is an event."""
    purposes = " ".join(request.headers.get(name, "") for name in PURPOSES)
    return any(word in purposes for word in ("prefetch", "prerender", "preview"))


def is_link(request: HttpRequest) -> bool:
    """Say whether another site's page sent the person here, to see a page in a tab of its own."""
    mode, destination = request.headers.get("Sec-Fetch-Mode", ""), request.headers.get("Sec-Fetch-Dest", "")
    return (mode, destination) == ("navigate", "document")


def record_embedding(request: HttpRequest) -> None:
    about = {"result": Result.DENIED, "target_type": "page", "target_label": path_of(request)}
    if request.user.is_authenticated:
        audit.record_anyway("access.embedded", actor=request.user, **about)
    else:
        strangers.record("access.embedded", **about)
