"""Pages for what goes wrong before or after a view: unknown, forbidden, our own fault."""

import logging
import sys

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import get_template
from django.views.decorators.csrf import requires_csrf_token
from django_htmx.http import HttpResponseClientRedirect

from portal.accounts.access import NotVisible
from portal.audit import strangers
from portal.languages import translated
from portal.middleware import SAFE_METHODS, is_part, page_to_return_to
from portal.outage import is_outage

logger = logging.getLogger(__name__)
AGAIN_IN = 5  # seconds


def whole_page(request: HttpRequest) -> HttpResponse:
    """Send the browser to the page itself: it says what has become of the person's role, or of the invitation."""
    return HttpResponseClientRedirect(page_to_return_to(request))


@requires_csrf_token
def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    is_too_large = isinstance(exception, RequestDataTooBig)
    return HttpResponse(get_template("400.html").render({"is_too_large": is_too_large}), status=400)


@requires_csrf_token
def forbidden(request: HttpRequest, exception: PermissionDenied | None = None) -> HttpResponse:
    if is_part(request):
        return whole_page(request)
    if request.user.is_authenticated and not request.user.role_names:
        return no_role(request)
    return render(request, "403.html", {"reason": str(exception or "")}, status=403)


@translated
def no_role(request: HttpRequest) -> HttpResponse:
    """The first page of somebody new, wherever they wanted to go."""
    return render(request, "errors/no_role.html", status=403)


@requires_csrf_token
def not_found(request: HttpRequest, exception: Http404 | None = None) -> HttpResponse:
    if is_part(request):
        return whole_page(request)
    reason = str(exception) if isinstance(exception, NotVisible) else ""
    return render(request, "404.html", {"reason": reason}, status=404)


def database_away(request: HttpRequest) -> HttpResponse:
    """Say so without it, and have a page that was only read come back by itself."""
    is_read = request.method in SAFE_METHODS
    page = get_template("503.html").render({"is_read": is_read})
    headers = {"Retry-After": str(AGAIN_IN)} | ({"Refresh": str(AGAIN_IN)} if is_read and not is_part(request) else {})
    logger.error("The database does not answer: %s", type(sys.exception()).__name__)
    response = HttpResponse(page, status=503, headers=headers)
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django would add a traceback for each request
    return response


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    """Render without a request, a database or a session: any of them may be what is broken."""
    if is_outage(sys.exception()):
        return database_away(request)
    reference = getattr(request, "reference", "")
    return HttpResponse(get_template("500.html").render({"reference": reference}), status=500)


@requires_csrf_token
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without a valid token. Recorded, because it can be somebody else's page at work."""
    strangers.record_refusal("access.csrf", request)
    return render(request, "403_csrf.html", status=403)
