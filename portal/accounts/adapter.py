"""The one place where allauth's sign-in is bent to our rules: closed sign-up, every attempt recorded."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from portal import audit
from portal.accounts import factors, sessions
from portal.accounts.models import User
from portal.audit import strangers
from portal.audit.kinds import Result
from portal.audit.origin import network_of

logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts are made by administrators; signing in and out leaves events."""

    # The same words for a wrong password and an unknown name, so that nobody learns which names exist.
    error_messages = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": _("User name or password is wrong."),
        "email_password_mismatch": _("User name or password is wrong."),
        "invalid_login": _("User name or password is wrong."),
        "too_many_login_attempts": _("Too many failed attempts. Wait 15 minutes, or ask your administrator."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the network of the address that the trusted-proxies middleware has settled."""
        return network_of(request.META.get("REMOTE_ADDR", ""))

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Return what failed sign-ins are counted by: one account from one network, under whatever name.

        allauth counts by the typed name alone. Then a stranger's five guesses would lock out the
        person, and user name and e-mail address would give ten.
        """
        name = claimed_name(credentials).casefold()
        person = User.objects.filter(Q(username__iexact=name) | Q(email__iexact=name)).order_by("pk").first()
        return f"{person.pk if person else name}|{self.get_client_ip(request)}"

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            strangers.record("signin.limited", result=Result.DENIED, actor_name=claimed_name(credentials))
            raise

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        super().authentication_failed(request, **credentials)
        if request.user.is_anonymous:  # else it is their password asked again, which has a kind of its own
            audit.record("signin.failed", result=Result.DENIED, actor_name=claimed_name(credentials))

    def login(self, request: HttpRequest, user: User) -> None:
        try:
            with audit.writing():
                super().login(request, user)
                forget_copied_addresses(user)
                steps = factors.methods(request, user)
                audit.record("signin.ok", result=Result.OK, actor=user, facts={"methods": steps})
                request.session.pop(sessions.ENDED, None)
                sessions.record_concurrent(user, request.session.session_key)
        except audit.Unavailable:
            request.user = AnonymousUser()  # Django has set it already, and the page that refuses would greet them
            raise

    def logout(self, request: HttpRequest) -> None:
        """End the session, also where that cannot be recorded: nobody is kept signed in by a broken log."""
        user = request.user
        super().logout(request)
        audit.record_anyway("signout", result=Result.OK, actor=user)

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
        needs = bool(super().is_reauthentication_required(app=app, **more))
        return needs and not factors.is_fresh(self.request, factors.FRESH_SECONDS)

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """Tell the person of a change of their factors, once it is certain, and where mails can be sent."""
        if template_prefix.startswith("mfa/email/") and settings.MAILERS and user.email:
            what = f"{template_prefix.removeprefix('mfa/email/')}.txt"
            transaction.on_commit(lambda: mail_change(user, what))

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("board")

    def set_password(self, user: User, password: str) -> None:
        match = self.request.resolver_match
        is_reset = match.url_name == "account_reset_password_from_key"
        with audit.writing():
            super().set_password(user, password)
            user.one_time_links.all().delete()  # whoever holds one could undo it
            audit.record("password.reset" if is_reset else "password.changed", result=Result.OK, actor=user)
            sessions.end_all(user, reason="password", by=user, keep=self.request.session.session_key)

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the link for the mail, under the portal's own address whatever host was asked for."""
        path = urlsplit(super().get_reset_password_from_key_url(key)).path
        return f"{settings.PUBLIC_URL}{path}"

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        """Mail the link. A mail server that fails must not answer whether the address is known."""
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
