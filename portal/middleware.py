"""What every request passes: who is the client, what may the browser do, must one sign in first.

Knows nothing of invitations or of the vendor.
"""

import secrets
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch, reverse
from django.utils.cache import patch_vary_headers
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect

from portal import log
from portal.audit.origin import parse_address

GetResponse = Callable[[HttpRequest], HttpResponseBase]
METHODS = ("GET", "HEAD", "POST")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
# Addresses that are parts of a page, not pages to come back to.
PARTS = frozenset(
    {
        "alerts",
        "board_rows",
        "board_waiting",
        "invitation_live",
        "invitation_connect",
        "invitation_copied",
        "invitation_preview",
        "invitation_qr",
        "invitation_evidence",
        "history_export",
    }
)


class TrustedProxies:
    """Take the client's address and scheme from forwarding headers, but only from a listed proxy."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.TRUSTED_PROXIES and is_trusted(request.META.get("REMOTE_ADDR", "")):
            request.META["REMOTE_ADDR"] = client_address(request)
            request.is_proxied = True  # type: ignore[attr-defined]
            if request.META.get("HTTP_X_FORWARDED_PROTO", "").strip().lower() == "https":
                request.META["wsgi.url_scheme"] = "https"
        return self.get_response(request)


def is_trusted(address: str) -> bool:
    ip = parse_address(address)
    return ip is not None and any(ip in network for network in settings.TRUSTED_PROXIES)


def client_address(request: HttpRequest) -> str:
    """Return the right-most address of X-Forwarded-For that is not itself a trusted proxy."""
    peer: str = request.META["REMOTE_ADDR"]
    for hop in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        address = parse_address(hop.strip())
        if address is None:
            break
        peer = str(address)
        if not is_trusted(peer):
            break
    return peer


class RequestReference:
    """Give every request a short reference that error pages show, log lines carry and the answer names."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        request_finished.connect(forget_reference, dispatch_uid="reference")

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.reference = secrets.token_hex(4)  # type: ignore[attr-defined]
        log.reference.set(request.reference)  # type: ignore[attr-defined]
        response = self.get_response(request)
        response.headers["X-Request-Id"] = request.reference  # type: ignore[attr-defined]
        return response


def forget_reference(**_: Any) -> None:
    """The thread's next lines are nobody's. Only now: a stream still logs after its view has returned."""
    log.reference.set("")


FILE_STATUSES = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.NOT_MODIFIED)


class ResponseHeaders:
    """Headers that Django has no setting for. Answers of the portal are private and never cached."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault(
            "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
        )
        # Not every answer below /static/ is a file: error pages name the person who is signed in.
        is_file = request.path.startswith(settings.STATIC_URL) and response.status_code in FILE_STATUSES
        if not is_file and not getattr(response, "is_lasting", False):
            response.headers["Cache-Control"] = "no-store"
            patch_vary_headers(response, ["Cookie", "HX-Request"])
        return response


class SignInRequired(LoginRequiredMiddleware):
    """Private by default, and aware of what the browser can do with a redirect.

    A fragment must send the whole page to sign-in. A POST whose session has ended comes back to a
    page that can be opened, never to a path that only takes POST.
    """

    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponse:
        destination = page_to_return_to(request)
        if request.method not in SAFE_METHODS:  # a button of a page that is older than the end of its session
            messages.warning(request, _("You were signed out, so nothing was done. Sign in, and do it again."))
        target = f"{reverse(settings.LOGIN_URL)}?{urlencode({'next': destination})}"
        return redirect_whole_page(request, target)


def is_part(request: HttpRequest) -> bool:
    """Say whether only a part of a page was asked for, which has no room to say what went wrong."""
    return request.headers.get("HX-Request") == "true"


def redirect_whole_page(request: HttpRequest, target: str) -> HttpResponse:
    """Send the browser to `target`, also where a part of a page was asked for, in whose place it would appear."""
    return HttpResponseClientRedirect(target) if is_part(request) else HttpResponseRedirect(target)


class KnownMethods:
    """Refuse methods that no page is made for: some views would take a PUT for a POST."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> HttpResponse | None:
        return None if request.method in METHODS else HttpResponseNotAllowed(METHODS)


def page_to_return_to(request: HttpRequest) -> str:
    """Return the path of the page to open after sign-in, for any request."""
    match = request.resolver_match
    is_page = request.method in SAFE_METHODS and not is_part(request)
    if match is None or (is_page and match.url_name not in PARTS):
        return request.get_full_path()
    if "public_id" in match.kwargs:
        return reverse("invitation", kwargs={"public_id": match.kwargs["public_id"]})
    try:
        return reverse("board" if match.url_name in PARTS else match.view_name)
    except NoReverseMatch:
        return reverse("board")
