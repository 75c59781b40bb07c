"""The one place where allauth's sign-in is bent to our rules: closed sign-up, every attempt recorded."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse

from portal import audit
from portal.accounts.models import User
from portal.audit.kinds import Result


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts are made by administrators; signing in and out leaves events."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address that the trusted-proxies middleware has settled."""
        return str(request.META.get("REMOTE_ADDR", ""))

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            audit.record("signin.limited", result=Result.DENIED, actor_name=claimed_name(credentials))
            raise

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        super().authentication_failed(request, **credentials)
        audit.record("signin.failed", result=Result.DENIED, actor_name=claimed_name(credentials))

    def login(self, request: HttpRequest, user: User) -> None:
        super().login(request, user)
        audit.record("signin.ok", result=Result.OK, actor=user)

    def logout(self, request: HttpRequest) -> None:
        user = request.user
        super().logout(request)
        audit.record("signout", result=Result.OK, actor=user)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("board")

    def set_password(self, user: User, password: str) -> None:
        super().set_password(user, password)
        audit.record("password.changed", result=Result.OK, actor=user)


def claimed_name(credentials: dict[str, Any]) -> str:
    """Return what somebody typed as their name. Never the password, even where the fields were mixed up."""
    return str(credentials.get("username") or credentials.get("email") or "")[:150]
