"""The one place where allauth's sign-in is bent to our rules: closed sign-up, every attempt recorded."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import STATE_SESSION_KEY
from allauth.account.internal.stagekit import clear_login
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse, ReauthenticationRequired
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.core.mail import EmailMessage, send_mail
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from portal import audit, languages
from portal.accounts import devices, factors, hashing, helpdesk, openid, sessions, tries
from portal.accounts.models import User
from portal.audit import strangers
from portal.audit.kinds import Result
from portal.middleware import SAFE_METHODS

logger = logging.getLogger(__name__)
SHOWN_ON_BOARD = ("account/messages/password_changed.txt",)

PAST_SSO_ONLY = ("socialaccount", "one_time_link")  # first steps that count where single sign-on is the only way in


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts are made by administrators; signing in and out leaves events."""

    # The same words for a wrong password and an unknown name, so that nobody learns which names exist.
    error_messages = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": _("User name or password is wrong."),
        "email_password_mismatch": _("User name or password is wrong."),
        "invalid_login": _("User name or password is wrong."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the network of the address that the trusted-proxies middleware has settled."""
        return tries.network(request)

    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        """Forget no failures when a password was reset: allauth's counters are not used."""

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Check a password, if no limit is reached. Raises `tries.Reached`, and `hashing.Crowded`."""
        name, person = claimed_name(credentials), request.user
        about: dict[str, Any] = {"actor_name": name}
        if person.is_authenticated:  # it is their password asked again
            counters, about = [tries.counter(tries.CONFIRMATION, str(person.pk))], {"actor": person}
        else:
            counters = devices.of_sign_in(request, name)
        try:
            tries.refuse_reached(counters)
            # Whoever finds no place here has written nothing yet: a storm must not keep others from writing either.
            is_known = len(counters) == 1  # a known device, or somebody who is signed in
            with hashing.places.taken(is_known=is_known):
                audit.ensure_writable()
                user = self.authenticate_once(request, counters, about, credentials)
        except tries.Reached:
            strangers.record("signin.limited", result=Result.DENIED, **about)
            raise
        return user

    def authenticate_once(
        self, request: HttpRequest, counters: list[tries.Counter], about: dict[str, Any], credentials: dict[str, Any]
    ) -> User | None:
        with tries.counted(counters, **about) as attempt:
            user: User | None = super().authenticate(request, **credentials)
            if user:
                attempt.succeed()
        return user

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        super().authentication_failed(request, **credentials)
        if request.user.is_anonymous:  # else it is their password asked again, which has a kind of its own
            strangers.record_each("signin.failed", result=Result.DENIED, actor_name=claimed_name(credentials))

    def pre_login(self, request: HttpRequest, user: User, **more: Any) -> HttpResponse | None:
        """Every way in passes here: stop whoever may not come in, after they have proved who they are."""
        return refusal(request, user)

    def login(self, request: HttpRequest, user: User) -> None:
        try:
            with audit.writing():
                # Things may have changed while a password or a code was looked at. Nobody can change them from here on.
                response = refusal(request, User.objects.get(pk=user.pk))
                if response is None:
                    self.let_in(request, user)
        except audit.Unavailable:
            request.user = AnonymousUser()  # Django has set it already, and the page that refuses would greet them
            raise
        if response is not None:
            raise ImmediateHttpResponse(response)

    def let_in(self, request: HttpRequest, user: User) -> None:
        super().login(request, user)
        forget_copied_addresses(user)
        steps = factors.methods(request, user)
        audit.record("signin.ok", result=Result.OK, actor=user, facts={"methods": steps})
        request.session.pop(sessions.ENDED, None)
        sessions.record_concurrent(user, request.session.session_key)

    def post_login(self, request: HttpRequest, user: User, **more: Any) -> HttpResponse:
        """Answer the last step of a sign-in, and know the device from now on."""
        response: HttpResponse = super().post_login(request, user, **more)
        devices.remember(request, response, user)
        return response

    def logout(self, request: HttpRequest) -> None:
        """End the session, also where that cannot be recorded: nobody is kept signed in by a broken log."""
        user = request.user
        super().logout(request)
        audit.record_anyway("signout", result=Result.OK, actor=user)

    def get_logout_redirect_url(self, request: HttpRequest) -> str:
        """Lead on to the provider's sign-out after a session that began there."""
        records = get_authentication_records(request, request.user)
        if openid.is_configured() and any(record.get("method") == "socialaccount" for record in records):
            return reverse("signed_out")
        return str(super().get_logout_redirect_url(request))

    def reauthenticate(self, user: User, password: str) -> bool:
        is_confirmed = bool(super().reauthenticate(user, password))
        if is_confirmed:
            audit.record("reauthentication.ok", result=Result.OK, actor=user)
        else:
            audit.record("reauthentication.failed", result=Result.DENIED, actor=user)
        return is_confirmed

    def get_login_stages(self) -> list[str]:
        ours = {"allauth.mfa.stages.AuthenticateStage": "portal.accounts.factors.SecondStep"}
        return [ours.get(stage, stage) for stage in super().get_login_stages()]

    def is_reauthentication_required(self, *, app: str, **more: Any) -> bool:
        """Take a sign-in of a moment ago for the confirmation that changes of factors need."""
        if self.request.method in SAFE_METHODS:  # somebody opens such a page anew: a form kept before was given up
            self.request.session.pop(STATE_SESSION_KEY, None)
        needs = bool(super().is_reauthentication_required(app=app, **more))
        is_needed = needs and not factors.is_fresh(self.request, factors.FRESH_SECONDS)
        if is_needed and factors.confirms_at_provider(self.request.user):
            raise ReauthenticationRequired  # allauth asks nobody who has neither password nor factor
        return is_needed

    def get_reauthentication_methods(self, user: User) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        if not found and factors.confirms_at_provider(user):
            return [{"id": "single_sign_on", "url": reverse("single_sign_on_confirm")}]
        return found

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """Tell the person of a change of their factors, once it is certain, and where mails can be sent."""
        if template_prefix.startswith("mfa/email/") and settings.MAILERS and user.email:
            what = f"{template_prefix.removeprefix('mfa/email/')}.txt"
            transaction.on_commit(lambda: mail_change(user, what))

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **more: Any
    ) -> None:
        """Say what the board will show in the board's language, not in that of this page."""
        is_for_board = message_template in SHOWN_ON_BOARD and request.user.is_authenticated
        with languages.untranslated() if is_for_board else nullcontext():
            super().add_message(request, level, message_template, *args, **more)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("board")

    def set_password(self, user: User, password: str) -> None:
        """Write the password alone: whatever else the person was when they were read may have changed since."""
        match = self.request.resolver_match
        is_reset = match.url_name == "account_reset_password_from_key"
        with hashing.writing():
            user.set_password(password)
            rows = User.objects.filter(pk=user.pk, is_active=True)
            if is_reset:  # the link was looked at before we waited: something may have ended it since
                rows = rows.filter(links_ended_at=user.links_ended_at)
            if not rows.update(password=user.password):
                raise PermissionDenied
            user.end_links()
            audit.record("password.reset" if is_reset else "password.changed", result=Result.OK, actor=user)
            sessions.end_others(self.request, user, reason="password")

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the link for the mail, under the portal's own address whatever host was asked for."""
        path = urlsplit(super().get_reset_password_from_key_url(key)).path
        return f"{settings.PUBLIC_URL}{path}"

    def render_mail(self, template_prefix: str, email: str, context: dict[str, Any], **more: Any) -> EmailMessage:
        """Name the helpdesk in the subject as well: allauth renders that without what every page knows."""
        context = context | {"portal": {"name": helpdesk.name(self.request)}}
        mail: EmailMessage = super().render_mail(template_prefix, email, context, **more)
        return mail

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        """Mail the link, and record whether the server took it. Behind the answer: see `portal.accounts.behind`."""
        result = Result.OK
        try:
            super().send_password_reset_mail(user, email, context)
        except OSError:  # what smtplib and sockets raise
            logger.exception("The mail with a password reset link could not be sent.")
            result = Result.FAILED
        audit.record(
            "password.reset_requested",
            result=result,
            actor_name=email,
            target_type="user",
            target_id=str(user.pk),
            target_label=user.username,
        )


def refusal(request: HttpRequest, user: User) -> HttpResponse | None:
    """Return the page for somebody who may not come in now, whatever they have shown; None for everybody else."""
    records = get_authentication_records(request, user)
    if not user.is_active:
        reason, page = "disabled", "account_inactive"
    elif user.awaits_approval:
        reason, page = "awaits_approval", "account_waiting"
    elif settings.SSO_ONLY and not (records and records[0].get("method") in PAST_SSO_ONLY):
        reason, page = "single_sign_on_only", "account_login"
    else:
        return None
    clear_login(request)
    audit.record("signin.refused", result=Result.DENIED, actor=user, facts={"reason": reason})
    return HttpResponseRedirect(reverse(page))


def mail_change(user: User, what: str) -> None:
    """Mail what has changed. A mail server that fails does not undo it."""
    change = render_to_string(f"mfa/messages/{what}", {"MFA_RECOVERY_CODES_SHOW_ONCE": True}).strip()
    text = render_to_string("mfa/email/changed.txt", {"person": user, "change": change, "address": settings.PUBLIC_URL})
    try:
        send_mail(gettext("Your sign-in was changed"), text, settings.DEFAULT_FROM_EMAIL, [user.email])
    except OSError:  # what smtplib and sockets raise
        logger.exception("The mail about a change of factors could not be sent.")


def forget_copied_addresses(user: User) -> None:
    """Remove the copy of the person's e-mail address that allauth makes when somebody signs in.

    It would outlive a change of the address, and whoever has the old mailbox could reset the password.
    """
    EmailAddress.objects.filter(user_id=user.pk).delete()


def claimed_name(credentials: dict[str, Any]) -> str:
    """Return what somebody typed as their name. Never the password, even where the fields were mixed up."""
    return str(credentials.get("username") or credentials.get("email") or "")[:150]
