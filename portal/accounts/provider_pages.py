"""The pages of single sign-on: to the provider, back from it, and what is said where that leads nowhere.

All 404 where no provider is set. Forms lead to the provider by a page of ours: browsers apply the
`form-action` of the Content-Security-Policy to redirects after a form, and this one names no provider.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, NamedTuple

from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import get_next_redirect_url, perform_login
from allauth.core.internal import ratelimit
from allauth.socialaccount.internal import statekit
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from portal import audit
from portal.accounts import factors, openid, sessions, single_sign_on
from portal.accounts.access import SignedInRequest
from portal.accounts.models import User
from portal.accounts.openid import ProviderError
from portal.accounts.single_sign_on import PROVIDER, Identity
from portal.audit import strangers
from portal.audit.kinds import Result

logger = logging.getLogger(__name__)
View = Callable[..., HttpResponseBase]
LOGIN, CONFIRM, CONNECT = "login", "confirm", "connect"
confirmed: Callable[[View], View] = reauthentication_required(app="allauth.mfa")
# What providers say by the specifications instead of giving a code. Anything else is nobody's word.
ERRORS = frozenset(
    {
        "access_denied",
        "account_selection_required",
        "consent_required",
        "interaction_required",
        "invalid_request",
        "invalid_scope",
        "login_required",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_response_type",
    }
)
OURS = ("same-origin", "none", "")  # of Sec-Fetch-Site: our own page, a bookmark, an old browser


class Trouble(NamedTuple):
    """What a person reads where single sign-on did not let them in."""

    title: str | Promise
    text: str | Promise


TROUBLES = {
    "unverified_email": Trouble(
        gettext_lazy("Your e-mail address is not confirmed"),
        gettext_lazy(
            "%(provider)s did not say that your e-mail address is confirmed. Confirm it there, or ask your "
            "administrator, then try again."
        ),
    ),
    "foreign_domain": Trouble(
        gettext_lazy("This account may not come in"),
        gettext_lazy(
            "Only accounts of certain organisations may sign in here, and yours at %(provider)s is of another. Sign "
            "out there and choose your account for work."
        ),
    ),
    "no_role": Trouble(
        gettext_lazy("You have no role here"),
        gettext_lazy(
            "%(provider)s knows you, but none of your groups there has a role in this portal. Ask your administrator "
            "for the right group, then sign in again."
        ),
    ),
    "email_taken": Trouble(
        gettext_lazy("You have an account here already"),
        gettext_lazy(
            "An account with your e-mail address exists, and it is not connected with %(provider)s. Sign in to it and "
            "connect them under Security. If you cannot sign in, ask your administrator."
        ),
    ),
    "another_person": Trouble(
        gettext_lazy("That was another account"),
        gettext_lazy(
            "You signed in at %(provider)s with an account that does not belong to this one here; it may open another. "
            "Nothing was changed. Sign out at %(provider)s, then try again with the right account."
        ),
    ),
    "old_sign_in": Trouble(
        gettext_lazy("You were not asked again"),
        gettext_lazy(
            "%(provider)s did not say that you have just signed in there, so this does not confirm that it is you. Try "
            "again; if it stays like this, tell your administrator (claim auth_time)."
        ),
    ),
    "cancelled": Trouble(
        gettext_lazy("You did not sign in"),
        gettext_lazy("The sign-in at %(provider)s was cancelled or refused there. Nothing was changed."),
    ),
    "lost": Trouble(
        gettext_lazy("This sign-in cannot be continued"),
        gettext_lazy(
            "It was begun too long ago, in another browser, or was continued already. Begin again, and finish it in "
            "the same browser."
        ),
    ),
    "provider": Trouble(
        gettext_lazy("The sign-in did not work"),
        gettext_lazy(
            "%(provider)s could not be reached or gave an answer that the portal does not accept. Try again in a "
            "minute. If it stays like this, tell your administrator; the audit log says why."
        ),
    ),
}


def configured(view: View) -> View:
    """Make a page 404 where no provider is set."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not openid.is_configured():
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


def closed(view: View) -> View:
    """Close one of the other ways in where single sign-on is the only one."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.SSO_ONLY:
            return view(request, *args, **kwargs)
        if request.method == "POST":
            strangers.record("signin.closed", result=Result.DENIED)
        return render(request, "accounts/single_sign_on_only.html", status=HTTPStatus.FORBIDDEN)

    return login_not_required(guarded)


def failed(request: HttpRequest, reason: str, page: str = "provider") -> HttpResponse:
    """Answer where nobody is known to have proved anything, and say why in both logs. No reason is typed text."""
    logger.warning("Single sign-on failed: %s", reason)
    strangers.record("sso.failed", result=Result.FAILED, reason=reason)
    return trouble(request, page)


def trouble(request: HttpRequest, reason: str) -> HttpResponse:
    title, text = TROUBLES[reason]
    has_account = reason == "email_taken" and not settings.SSO_ONLY  # the provider would only refuse again
    context = {"title": title, "text": str(text) % {"provider": settings.OIDC_NAME}, "has_account": has_account}
    return render(request, "accounts/single_sign_on_trouble.html", context, status=HTTPStatus.FORBIDDEN)


# --- To the provider ---------------------------------------------------------------------------------


@login_not_required
@require_GET
@configured
def start(request: HttpRequest) -> HttpResponse:
    """Send the browser to the provider. Only our own pages begin a sign-in; others lead to ours first."""
    if request.headers.get("Sec-Fetch-Site", "") not in OURS:
        return redirect("account_login")
    if (limited := is_too_often(request)) is not None:
        return limited
    is_again = request.user.is_authenticated
    return leave(request, CONFIRM if is_again else LOGIN, lambda address: redirect(address))


def is_too_often(request: HttpRequest) -> HttpResponse | None:
    """Return the page that says so where one network begins or ends too many sign-ins: each may cost a call."""
    answer: HttpResponse | None = ratelimit.consume_or_429(
        request, app="allauth.account", action="single_sign_on", limit_get=True
    )
    return answer


def leave(request: HttpRequest, process: str, go: Callable[[str], HttpResponse]) -> HttpResponse:
    """Keep in the session what the way back will be checked by, and go to the provider."""
    kept: dict[str, Any] = openid.begin() | {"process": process, "person": request.user.pk}
    if destination := get_next_redirect_url(request):
        kept["next"] = destination
    state_id = statekit.stash_state(request, provider_id=PROVIDER, state=kept)
    try:
        return go(openid.authorization_address(state_id, kept, is_again=process == CONFIRM))
    except ProviderError as error:
        return failed(request, error.reason)


def lead_on(request: HttpRequest, address: str, title: str) -> HttpResponse:
    """Lead to the provider after a form, by a page that goes on by itself."""
    context = {"title": title, "address": address, "provider": settings.OIDC_NAME}
    response = render(request, "accounts/lead_on.html", context)
    response.headers["Refresh"] = f"0; url={address}"
    return response


@require_GET
@configured
def confirm(request: SignedInRequest) -> HttpResponse:
    """Ask somebody who has nothing to show here to sign in at the provider again."""
    context = {"is_for_connect": factors.is_for_connect(request), "destination": get_next_redirect_url(request) or ""}
    return render(request, "accounts/confirm_at_provider.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@configured
@confirmed
def connect(request: SignedInRequest) -> HttpResponse:
    """Connect one's own account with the provider, after a confirmation. The way back ends in `finish_connecting`."""
    if request.method != "POST":
        governed = sorted(set(settings.OIDC_ROLES.values()))
        held = [name for name in request.user.role_names if name in governed]
        context = {"governed": ", ".join(governed), "held": ", ".join(held)}
        return render(request, "accounts/connect_provider.html", context)
    title = _("On to %(provider)s") % {"provider": settings.OIDC_NAME}
    return leave(request, CONNECT, lambda address: lead_on(request, address, title))


@require_http_methods(["GET", "HEAD", "POST"])
@configured
@confirmed
def disconnect(request: SignedInRequest) -> HttpResponse:
    """Take single sign-on off one's own account, where another way in is left. Security says why not."""
    if single_sign_on.why_kept(request.user) or not single_sign_on.connection_of(request.user):
        return redirect("mfa_index")
    if request.method != "POST":
        return render(request, "accounts/disconnect_provider.html")
    with audit.writing():
        single_sign_on.disconnect(request.user, by=request.user, keep=request.session.session_key)
    text = _("Disconnected. %(provider)s no longer signs you in here.") % {"provider": settings.OIDC_NAME}
    messages.success(request, text)
    return redirect("mfa_index")


# --- Back from the provider --------------------------------------------------------------------------


@login_not_required
@require_GET
@configured
def callback(request: HttpRequest) -> HttpResponse:
    """Take what the provider sends back: once, in the browser that began, and not from another provider."""
    if (limited := is_too_often(request)) is not None:
        return limited
    state_id = request.GET.get("state", "")
    kept = statekit.unstash_state(request, state_id=state_id, provider_id=PROVIDER)
    if kept is None or kept["person"] != request.user.pk:
        return failed(request, "not begun here, too old or used", "lost")
    if request.GET.get("iss", settings.OIDC_ISSUER) != settings.OIDC_ISSUER:
        return failed(request, "an answer of another provider")
    if (said := request.GET.get("error")) or not request.GET.get("code"):
        return failed(request, said if said in ERRORS else "no code", "cancelled")
    audit.ensure_writable()
    try:
        identity = single_sign_on.identity_of(openid.claims_of(request.GET["code"], kept))
    except ProviderError as error:
        return failed(request, error.reason)
    return FINISH[kept["process"]](request, identity, kept)


def finish_signing_in(request: HttpRequest, identity: Identity, kept: dict[str, Any]) -> HttpResponse:
    try:
        with audit.writing():
            user, reason = single_sign_on.admit(identity)
    except IntegrityError:  # the same person, in another tab, a moment ago
        return failed(request, "not begun here, too old or used", "lost")
    if user is None or reason not in ("", "disabled"):
        return refused(request, identity, user, reason)
    note(request, user, identity)
    response: HttpResponse = perform_login(request, user, redirect_url=kept.get("next"))
    return response


def refused(request: HttpRequest, identity: Identity, user: User | None, reason: str) -> HttpResponse:
    name = {"actor": user} if user else {"actor_name": identity.email[:150] or identity.user_name}
    logger.warning("Single sign-on refused: %s", reason)
    audit.record("signin.refused", result=Result.DENIED, facts={"reason": reason}, **name)
    return trouble(request, reason)


def note(request: HttpRequest, user: User, identity: Identity, **more: Any) -> None:
    """Write into the session's records that the provider has let the person in, when, and whether it vouches.

    Silence about the time counts as long ago where the provider vouches: that would stand for a factor.
    """
    at = identity.signed_in_at if identity.signed_in_at is not None else 0.0 if identity.is_vouched else time.time()
    record_authentication(
        request, user, "socialaccount", provider=PROVIDER, vouched=identity.is_vouched or None, at=at, **more
    )


def finish_confirming(request: HttpRequest, identity: Identity, kept: dict[str, Any]) -> HttpResponse:
    """Count a sign-in of a moment ago as a confirmation, for the person who is signed in here."""
    user: User = request.user  # type: ignore[assignment]  # the state is theirs
    account = single_sign_on.find(identity)
    at = identity.signed_in_at
    if account is None or account.user_id != user.pk:
        return refused(request, identity, user, "another_person")
    if at is None or time.time() - at > factors.FRESH_SECONDS:
        return refused(request, identity, user, "old_sign_in")
    with audit.writing():
        audit.record("sso.confirmed", result=Result.OK, actor=user, facts={"vouched": identity.is_vouched})
    request.session.cycle_key()  # whoever has the old one has confirmed nothing
    note(request, user, identity, reauthenticated=True)
    if request.session.pop(factors.WANTED_FOR_CONNECT, None):
        messages.success(request, _("Confirmed. Press Connect again."))
    return redirect(kept.get("next") or "board")


def finish_connecting(request: HttpRequest, identity: Identity, kept: dict[str, Any]) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]  # the state is theirs
    if reason := single_sign_on.objection(identity):
        return refused(request, identity, user, reason)
    try:
        with audit.writing():
            SocialAccount.objects.filter(user=user).delete()  # one at a time: nobody looks for a second one
            single_sign_on.connect(user, identity)
            get_adapter().send_notification_mail("mfa/email/single_sign_on_connected", user)
            audit.record("sso.connected", result=Result.OK, actor=user)
            sessions.end_others(request, user, reason="provider")
    except IntegrityError:
        return refused(request, identity, user, "another_person")
    messages.success(request, _("Connected. From now on %(provider)s signs you in.") % {"provider": settings.OIDC_NAME})
    return redirect("mfa_index")


FINISH = {LOGIN: finish_signing_in, CONFIRM: finish_confirming, CONNECT: finish_connecting}


# --- Out ---------------------------------------------------------------------------------------------


@login_not_required
@require_GET
@configured
def signed_out(request: HttpRequest) -> HttpResponse:
    """Lead on to the provider's own sign-out, where it has one. Nobody is signed in here any more."""
    try:
        address = openid.end_address() if request.user.is_anonymous else None
    except ProviderError:
        address = None
    if address is None:
        return redirect("account_login")
    return lead_on(request, address, _("You are signed out here"))


@login_not_required
@require_GET
def waiting(request: HttpRequest) -> HttpResponse:
    """Say to somebody new that an administrator has to let them in."""
    return render(request, "accounts/waiting.html")
