"""A person's own sessions: where they are, and how to end what is not them. Ending needs a fresh confirmation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods

from portal import audit
from portal.accounts import sessions
from portal.accounts.access import SignedInRequest, View

PERSON = "person"  # the word in the log for who ended it: the person themselves
confirmed: Callable[[View], View] = reauthentication_required(app="portal.accounts")


@require_GET
def index(request: SignedInRequest) -> HttpResponse:
    places = sessions.places(request.user, request.session.session_key)
    absolute, idle = sessions.limits_of(request.user)
    context = {"places": places, "hours": absolute.minutes // 60, "idle": idle}
    return render(request, "account/sessions.html", context)


@require_http_methods(["GET", "POST"])
@confirmed
def end_one(request: SignedInRequest, tag: str) -> HttpResponse:
    """Ask, then end one session. Its own end is the sign-out."""
    places = sessions.places(request.user, request.session.session_key)
    place = next((place for place in places if place.tag == tag), None)
    if place is None:
        raise Http404
    if place.is_here:
        return redirect("account_logout")
    if request.method == "GET":
        return render(request, "account/session_end.html", {"places": [place]})
    with audit.writing():
        count = sessions.end_one(request.user, tag, reason=PERSON, by=request.user)
    return told(request, count)


@require_http_methods(["GET", "POST"])
@confirmed
def end_others(request: SignedInRequest) -> HttpResponse:
    """Ask, then end every session of the person but this one."""
    if request.method == "GET":
        places = sessions.places(request.user, request.session.session_key)
        return render(request, "account/session_end.html", {"places": [each for each in places if not each.is_here]})
    with audit.writing():
        count = sessions.end_others(request, request.user, reason=PERSON)
    return told(request, count)


def told(request: Any, count: int) -> HttpResponse:
    text = ngettext("%(count)s session was ended.", "%(count)s sessions were ended.", count) % {"count": count}
    messages.success(request, text if count else _("There was no other session any more."))
    return redirect("account_sessions")
