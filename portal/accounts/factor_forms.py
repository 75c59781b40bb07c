"""allauth's forms around second factors, with our labels, our origin, and an event for each failure."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import Any

from allauth.core import context
from allauth.mfa.base import forms as base
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp
from allauth.mfa.totp.internal.auth import TOTP
from allauth.mfa.webauthn import forms as webauthn
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from fido2.utils import websafe_decode

from portal import audit
from portal.accounts import devices, factors, tries
from portal.accounts.forms import WithoutPlaceholders
from portal.accounts.models import User
from portal.audit import strangers
from portal.audit.kinds import Result

MALFORMED = (AttributeError, KeyError, TypeError, ValueError)  # what libraries raise over JSON that is no answer


class CodeField:
    """A code of an authenticator app or a recovery code: digits, whatever is typed between them."""

    fields: dict[str, Any]
    label = _("Code")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        code = self.fields["code"]
        code.label, code.max_length = self.label, 40
        code.widget.attrs = {"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}


class ChecksCode(CodeField):
    user: Any

    def clean_code(self) -> str:
        try:
            with counted(self.user) as attempt:
                code = str(super().clean_code())  # type: ignore[misc]
                attempt.succeed()
        except ValidationError as error:
            record_failure(self.user, error)
            raise
        return code


def counted(user: Any) -> AbstractContextManager[tries.Attempt]:
    """Count a try to show a second factor; for whoever has shown nothing yet, one of their network."""
    request = context.request
    if user is None:
        return tries.counted([tries.counter(tries.PASSKEY, tries.network(request))])
    return tries.counted(devices.of_second_step(request, user), actor_name=user.username)


def record_failure(user: Any, error: ValidationError) -> None:
    if isinstance(error, tries.Reached):
        strangers.record("signin.limited", result=Result.DENIED, actor_name=user.username)
    else:
        audit.record("signin.factor_failed", result=Result.DENIED, actor=user)


class AuthenticateForm(ChecksCode, base.AuthenticateForm):  # type: ignore[misc]
    label = _("Code of your authenticator app, or a recovery code")


class ReauthenticateForm(ChecksCode, base.ReauthenticateForm):  # type: ignore[misc]
    label = _("Code of your authenticator app, or a recovery code")


class GivenSeed(forms.Form):
    """In the place of allauth's beginning, which keeps the seed in the session as it is."""

    def __init__(self, *args: Any, user: User, seed: str, **kwargs: Any) -> None:
        forms.Form.__init__(self, *args, **kwargs)
        self.user, self.secret = user, seed


class ActivateTOTPForm(CodeField, GivenSeed, totp.ActivateTOTPForm):  # type: ignore[misc]
    label = _("The code that the app shows now")

    def clean_code(self) -> str:
        code = str(super().clean_code())
        # The code that proves the new app is used up like any other.
        TOTP(Authenticator(user=self.user))._mark_code_used(code)
        return code


def demand_own_origin(credential: Any) -> None:
    """Refuse what a browser answered to another address. allauth would take it from any host below ours."""
    told = json.loads(websafe_decode(credential["response"]["clientDataJSON"]))
    if told["origin"] != factors.origin():
        raise refusal()


def refusal() -> ValidationError:
    error: ValidationError = factors.FactorAdapter().validation_error("incorrect_code")
    return error


class ChecksPasskey:
    """The answer of a passkey; each failure leaves an event."""

    user: Any
    cleaned_data: dict[str, Any]

    def clean_credential(self) -> Any:
        try:
            with counted(self.user) as attempt:
                shown = self.checked_credential()
                attempt.succeed()
        except ValidationError as error:
            self.record_failure(error)
            raise
        return shown

    def checked_credential(self) -> Any:
        try:
            demand_own_origin(self.cleaned_data["credential"])
            return super().clean_credential()  # type: ignore[misc]
        except MALFORMED:
            raise refusal() from None

    def record_failure(self, error: ValidationError) -> None:
        record_failure(self.user, error)


class AuthenticateWebAuthnForm(ChecksPasskey, webauthn.AuthenticateWebAuthnForm):  # type: ignore[misc]
    pass


class ReauthenticateWebAuthnForm(ChecksPasskey, webauthn.ReauthenticateWebAuthnForm):  # type: ignore[misc]
    pass


class LoginWebAuthnForm(ChecksPasskey, webauthn.LoginWebAuthnForm):  # type: ignore[misc]
    def record_failure(self, error: ValidationError) -> None:
        """Whoever it is has shown nothing yet, not even a name."""
        kind = "signin.limited" if isinstance(error, tries.Reached) else "signin.factor_failed"
        strangers.record(kind, result=Result.DENIED)


class AddWebAuthnForm(webauthn.AddWebAuthnForm):  # type: ignore[misc]
    """Every passkey can be the only step: the device keeps it, and asks for a PIN, a finger or a face."""

    passwordless = None
    name = forms.CharField(label=_("Name, such as the device's"), max_length=60, required=False)

    def clean(self) -> dict[str, Any]:
        try:
            if credential := self.cleaned_data.get("credential"):
                demand_own_origin(credential)
            values: dict[str, Any] = super().clean()
        except MALFORMED:
            raise refusal() from None
        return values


class EditWebAuthnForm(WithoutPlaceholders, webauthn.EditWebAuthnForm):  # type: ignore[misc]
    name = forms.CharField(label=_("Name"), max_length=60)
