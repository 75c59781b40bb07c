"""The one place where what the world refused becomes a page or a notice a person can act on."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from invitations.models import Invitation
from invitations.operations import Unrecorded
from invitations.presentation import time_of
from invitations.refusals import ActionRefused, LimitReached, Taken
from invitations.tokens import new_token
from invitations.wordings import WORDINGS, Text, Wording
from portal import audit
from portal.accounts.hashing import Crowded
from portal.getscreen.errors import (
    BadRequest,
    GetscreenError,
    KeyRejected,
    Malformed,
    NotFound,
    QuotaExhausted,
    Unavailable,
)
from portal.outage import is_outage

logger = logging.getLogger(__name__)


KINDS: tuple[tuple[type[GetscreenError], str], ...] = (
    (QuotaExhausted, "quota"),
    (KeyRejected, "key"),
    (NotFound, "address"),
    (BadRequest, "unknown_invitation"),
    (Malformed, "garbled"),
    (Unavailable, "unreachable"),
)
CONNECT = "support/connect"
NO_HARM = _("Sessions that are running are not affected.")
RETRIES = {"unreachable", "maybe_connect", "no_audit", "unrecorded_connect", "garbled", "double", "quota", "not_ready"}
TAKEN = {"connecting", "taken", "handed_over"}
LIMITED = _("If your work needs more, ask your administrator to raise the limit.")
LIMITS = {"limit_connect": LIMITED, "limit_create": LIMITED, "limit_mail": WORDINGS["limit_mail"].next}
RETRIES |= {"limit_connect"}


@dataclass(frozen=True)
class Failure:
    """What a template shows: a wording, and what it is about."""

    kind: str
    wording: Wording
    reference: str  # of the operation in the audit log, or else of the request in the portal's own log
    is_recorded: bool
    may_have_acted: bool
    invitation: Invitation | None
    retry_url: str
    record: str  # the person's choice, which a new try must carry along
    seconds: int = 0  # to wait before a new try makes sense, where that is known
    take_over: str = ""  # whom a new try takes over from, by their key

    @property
    def title(self) -> Text:
        return self.fill(self.wording.title)

    @property
    def text(self) -> Text:
        return self.fill(self.wording.text)

    @property
    def next(self) -> Text:
        if not self.seconds:
            return self.fill(self.wording.next)
        return f"{try_again_in(self.seconds)} {LIMITS.get(self.kind, NO_HARM)}"

    def fill(self, words: Text) -> Text:
        """Name whoever has the client, where that is what it is about."""
        if self.kind not in TAKEN or self.invitation is None:
            return words
        since = self.invitation.connecting_at if self.kind == "connecting" else self.invitation.taken_at
        return str(words) % {"name": self.invitation.taken_by_name, "time": time_of(since)}

    @property
    def is_taken(self) -> bool:
        return self.kind in TAKEN

    @property
    def is_limit(self) -> bool:
        return self.kind in LIMITS


def try_again_in(seconds: int) -> str:
    """Return when, in minutes where that is more than two of them."""
    if seconds <= 120:
        again = ngettext("Try again in %(seconds)s second.", "Try again in %(seconds)s seconds.", seconds)
        return again % {"seconds": seconds}
    minutes = math.ceil(seconds / 60)
    return ngettext("Try again in %(minutes)s minute.", "Try again in %(minutes)s minutes.", minutes) % {
        "minutes": minutes
    }


Failing = GetscreenError | ActionRefused | audit.Unavailable | Crowded


def kind_of(error: Failing) -> str:
    if isinstance(error, Unrecorded):
        return "unrecorded_connect" if error.verb == "connect" else "unrecorded"
    if isinstance(error, audit.Unavailable):
        return "no_audit"
    if isinstance(error, Crowded):
        return "crowded"
    if isinstance(error, ActionRefused):
        return error.reason
    if error.may_have_acted:
        return "maybe_connect" if error.operation == CONNECT else "maybe"
    return next(name for kind, name in KINDS if isinstance(error, kind))


def describe(request: HttpRequest, error: Failing) -> Failure:
    kind = kind_of(error)
    wording = WORDINGS["taken_unchanged" if kind in TAKEN and not is_connect(request) else kind]
    may_retry = kind in RETRIES and (kind != "no_audit" or is_connect(request))
    may_retry |= kind in TAKEN and is_connect(request)
    retry_url = request.path if request.method == "POST" and may_retry else ""
    invitation = getattr(error, "invitation", None) or getattr(request, "invitation", None)
    return Failure(
        kind=kind,
        wording=wording,
        reference=getattr(error, "reference", "") or str(getattr(request, "reference", "")),
        is_recorded=bool(getattr(error, "reference", "")),
        may_have_acted=kind in ("maybe", "maybe_connect", "unrecorded", "unrecorded_connect"),
        invitation=invitation,
        retry_url=retry_url,
        record=request.POST.get("record", ""),
        seconds=seconds_of(error) if kind == "unreachable" or kind in LIMITS else 0,
        take_over=holder_of(error) or request.POST.get("take_over", "")[:20],
    )


def seconds_of(error: Failing) -> int:
    """Return how long to wait, or 0 where nobody knows."""
    return error.wait_seconds if isinstance(error, LimitReached) else int(getattr(error, "retry_after", None) or 0)


def holder_of(error: Failing) -> str:
    """Return the key of whoever has the client, where that is what it is about."""
    return str(error.invitation.taken_by_id or "") if isinstance(error, Taken) and error.invitation else ""


def is_connect(request: HttpRequest) -> bool:
    """Say whether the request can be repeated with no more than its address: other forms hold what was typed."""
    return request.resolver_match is not None and request.resolver_match.url_name == "invitation_connect"


class FailurePages:
    """Turn errors of actions into answers. A view that wants its form back sets `request.form_page`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if is_outage(exception) and not isinstance(exception, Unrecorded):
            return None  # what a page of ours needs is there as well: `portal.views.server_error` needs nothing
        if isinstance(exception, DatabaseError):
            exception = log_trouble(exception) or exception
        if not isinstance(exception, Failing):
            return None
        failure = describe(request, exception)
        template, context = form_page(request, failure)
        answer = render(
            request, template, context | {"failure": failure, "form_token": new_token()}, status=failure.wording.status
        )
        if failure.is_limit:
            answer.headers["Retry-After"] = str(failure.seconds)
            answer.is_recorded = True  # type: ignore[attr-defined]  # once per window: not with every click
        return answer


def log_trouble(error: DatabaseError) -> audit.Unavailable | None:
    """Return what an error of the database means for the log, if that is what cannot be written."""
    if not isinstance(error, audit.Unavailable):
        try:
            audit.ensure_writable()
        except audit.Unavailable as unavailable:
            return log_trouble(unavailable)
        return None
    logger.error("The audit log cannot be written: %s", type(error.__cause__ or error).__name__)
    return error


def form_page(request: HttpRequest, failure: Failure) -> tuple[str, dict[str, Any]]:
    """Return the page to show a failure on: the form that was sent, or a page of its own."""
    own = "invitations/taken.html" if failure.is_taken else "errors/getscreen.html"
    page: tuple[str, dict[str, Any]] = getattr(request, "form_page", (own, {}))
    return page
