"""The client's pages: type a code, or follow a link that has one, see who helps, go on to the vendor.

Public, without cookies and without scripts. Looking spends nothing: only the button, a form, leads on. Its answer is
the link that the client would have got otherwise, so a form from elsewhere could do no more than a link could, and
needs no token (docs/decisions/0022).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import get_template
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import get_language
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from invitations import arrivals, codes, guesses, links, phrases
from invitations.codes import Code, Unreadable
from invitations.context import policy_of
from invitations.models import Invitation
from portal.accounts.tries import Reached
from portal.languages import ASKED, asked_by

logger = logging.getLogger(__name__)

SHOWN = 60  # signs of what was typed that the page gives back
HEADERS = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow, noarchive"}
OVER = {"in_use": HTTPStatus.CONFLICT, "expired": HTTPStatus.GONE, "closed": HTTPStatus.GONE}
View = Callable[..., HttpResponse]


class Unknown(Exception):
    """No code of an invitation that is open or was lately."""


class SeeOther(HttpResponseRedirect):
    """To a page that is opened by GET. Nothing learns where the client came from, nothing keeps it."""

    status_code = HTTPStatus.SEE_OTHER
    allowed_schemes = ["https", "http"]  # http passes the link check for loopback only


def for_clients(view: View) -> View:
    """Let everybody in, and answer in the client's words whatever goes wrong."""

    @wraps(view)
    def answer(request: HttpRequest, code: str = "") -> HttpResponse:
        try:
            response = answered(view, request, code)
        except (OperationalError, InterfaceError) as error:  # away, full, or too busy
            logger.error("A client could not be answered: %s", type(error).__name__)
            response = unavailable()
        for name, value in HEADERS.items():
            response.headers[name] = value
        return response

    return login_not_required(csrf_exempt(require_http_methods(["GET", "HEAD", "POST"])(answer)))


def answered(view: View, request: HttpRequest, code: str) -> HttpResponse:
    try:
        return view(request, code)
    except (Unreadable, Unknown) as trouble:
        return start_page(request, typed_by(request, code), trouble)
    except Reached as reached:
        return limited(request, reached)


@for_clients
def start(request: HttpRequest, code: str) -> HttpResponse:
    """Ask for the code. A right one gets an address; what is wrong comes back and stands in none."""
    if request.method != "POST":
        return start_page(request)
    read = codes.read(typed_by(request, code))
    find(request, read)
    return SeeOther(address_of(request, read))


@for_clients
def invited(request: HttpRequest, code: str) -> HttpResponse:
    """Show who helps and what will happen; the button's form goes on to the vendor."""
    read = codes.read(code)
    invitation = find(request, read)
    state, link = arrivals.state_of(invitation), links.vendors(invitation)
    if state == "open" and not link:
        state = "broken"
    if state != "open":
        context = context_of(request, state=state, again=address_of(request, read))
        return render(request, "join/over.html", context, status=OVER.get(state, HTTPStatus.BAD_GATEWAY))
    if request.method == "POST":
        return go_on(request, invitation, link)
    return render(request, "join/invited.html", invited_context(request, invitation, read, link))


def find(request: HttpRequest, code: Code) -> Invitation:
    """Return whose code it is. Raises Unknown, and Reached for typed codes after too many unknown ones.

    A link that was sent is looked for before the limits: nobody can guess one.
    """
    if code.tag and (invitation := arrivals.of_code(code)):
        return invitation
    counters = guesses.open_to(request)
    invitation = None if code.tag else arrivals.of_code(code)
    if invitation is None:
        guesses.count(counters)
        raise Unknown
    return invitation


def go_on(request: HttpRequest, invitation: Invitation, link: str) -> HttpResponse:
    """Send the client to the vendor. The first press of each invitation is recorded."""
    person = request.user if request.user.is_authenticated else None
    if arrivals.go_on(invitation, language=get_language() or settings.LANGUAGE_CODE, by=person):
        guesses.remember(request)
    return SeeOther(link)


# --- pages -------------------------------------------------------------------------------------------


def context_of(request: HttpRequest, **more: Any) -> dict[str, Any]:
    """Return what every page knows: the other languages, and how to stay in the one that was asked for."""
    language, asked = get_language(), asked_by(request)
    others = [(code, name) for code, name in settings.LANGUAGES if code != language]
    query = f"?{urlencode({ASKED: asked})}" if asked else ""
    return {"start": reverse("join") + query, "others": others, "asked": ASKED} | more


def invited_context(request: HttpRequest, invitation: Invitation, code: Code, link: str) -> dict[str, Any]:
    policy = policy_of(request)
    return context_of(
        request,
        here=address_of(request, code),
        invitation=invitation,
        supporter=arrivals.supporter_of(invitation, policy),
        phrase=phrases.words_of(invitation.phrase, get_language() or settings.LANGUAGE_CODE),
        recording=policy.recording,
        host=urlsplit(link).hostname,
    )


def start_page(request: HttpRequest, typed: str = "", trouble: Unreadable | Unknown | None = None) -> HttpResponse:
    """Return the field for the code, with what is wrong about the last one."""
    reason = trouble.reason if isinstance(trouble, Unreadable) else "unknown" if trouble else ""
    is_unreadable = request.method == "POST" and isinstance(trouble, Unreadable)
    status = HTTPStatus.OK if trouble is None else HTTPStatus.NOT_FOUND
    context = context_of(request, typed=typed[:SHOWN], reason=reason, count=getattr(trouble, "count", 0))
    return render(
        request, "join/start.html", context, status=HTTPStatus.UNPROCESSABLE_ENTITY if is_unreadable else status
    )


def limited(request: HttpRequest, reached: Reached) -> HttpResponse:
    """Say how long to wait and what to do instead. The limit is an event already."""
    minutes = math.ceil(reached.seconds / 60)
    context = context_of(request, minutes=minutes)
    response = render(request, "join/limited.html", context, status=HTTPStatus.TOO_MANY_REQUESTS)
    response.headers["Retry-After"] = str(reached.seconds)
    response.is_recorded = True  # type: ignore[attr-defined]
    return response


def unavailable() -> HttpResponse:
    """Answer without a database, and without a request that would ask it who this is."""
    return HttpResponse(get_template("join/unavailable.html").render({}), status=HTTPStatus.SERVICE_UNAVAILABLE)


def typed_by(request: HttpRequest, code: str) -> str:
    return request.POST.get("code", "") if request.method == "POST" and not code else code


def address_of(request: HttpRequest, code: Code) -> str:
    """Return the page of a code in its one spelling, in the language that was asked for."""
    asked = asked_by(request)
    path = reverse("join_code", args=[str(code)])
    return f"{path}?{urlencode({ASKED: asked})}" if asked else path
