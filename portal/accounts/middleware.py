"""The one door behind the sign-in, and the events about refusals, whatever view, guard or limit they came from."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import urlencode

from portal import audit
from portal.accounts import factors, sessions
from portal.audit import strangers
from portal.audit.kinds import Result
from portal.audit.origin import path_of
from portal.middleware import page_to_return_to, redirect_whole_page

# All that is open to a session that has not passed a second factor: to set one up, or to show it; and the way out.
SETTING_UP = frozenset(
    {
        "account_logout",
        "account_reauthenticate",
        "mfa_index",
        "mfa_activate_totp",
        "mfa_totp_qr",
        "mfa_add_webauthn",
        "single_sign_on",
        "single_sign_on_callback",
        "single_sign_on_confirm",
    }
)
SHOWING = frozenset({"account_logout", "mfa_reauthenticate", "mfa_reauthenticate_webauthn"})


# What pages ask for by themselves. None of it shows that somebody is there.
AUTOMATIC = frozenset({"board_rows", "board_waiting", "invitation_live", "logo", "accent"})


class SessionLimits:
    """End a session that has reached a limit, whatever is asked for; note when somebody did something.

    Also tells the browser of a session that was ended why; that costs a stranger's request with a lost key a question.
    The session's row and the person are read for every request anyway; only activity costs a question,
    once a minute.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        session: Any = request.session
        if SESSION_KEY in session and request.user.is_authenticated:
            row, user = session.row, request.user
        else:
            row, user = session.over, None
        limit = sessions.limit_met(row, user or row.user) if row is not None else None
        if limit is not None:
            sessions.end_by_limit(request, row, limit)
        elif session.lost_key:
            sessions.explain_end(request, session.lost_key)
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> None:
        row, match = request.session.row, request.resolver_match  # type: ignore[attr-defined]  # our own store
        if row is None or match is None or match.url_name in AUTOMATIC:
            return
        if request.user.is_authenticated:
            sessions.note_activity(row)


class SecondFactorRequired:
    """Let a session that has shown a password only see nothing, where a second factor is demanded.

    Asked on every request, polls and administration included, and answered without a question to the
    database: the session says what was shown, and the person was loaded with the rest.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> HttpResponse | None:
        user = request.user
        if not user.is_authenticated or factors.is_strong(request) or not factors.is_demanded(user):
            return None
        is_shown = factors.has_factor(user)
        match = request.resolver_match
        if match is not None and match.view_name in (SHOWING if is_shown else SETTING_UP):
            return None
        if is_shown:
            target = factors.confirmation_page(request, page_to_return_to(request))
        else:
            target = f"{reverse('mfa_index')}?{urlencode({'next': page_to_return_to(request)})}"
        return redirect_whole_page(request, target)


class RecordDenials:
    """Record who was refused which page, and who was stopped after too many tries."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_recorded = getattr(response, "is_recorded", False)  # by what counts, in its own words
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS and not is_recorded:
            strangers.record_refusal("access.limited", request)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        if isinstance(exception, PermissionDenied):
            audit.record_anyway(
                "access.denied",
                result=Result.DENIED,
                actor=request.user,
                target_type="page",
                target_label=path_of(request),
                facts={"method": request.method, "status": int(HTTPStatus.FORBIDDEN)},
            )
