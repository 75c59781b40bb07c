"""Forms around accounts: allauth's with our labels, and the one it does not bring."""

from typing import Any

from allauth.account import forms as allauth
from allauth.socialaccount.models import SocialAccount
from django import forms
from django.contrib.auth.forms import BaseUserCreationForm, UsernameField
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from portal import audit
from portal.accounts import behind, tries
from portal.accounts.models import User
from portal.audit import strangers
from portal.audit.kinds import Result


class WithoutPlaceholders:
    """A label says what belongs into a field; a placeholder in its place vanishes with the first letter."""

    fields: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)


class LoginForm(WithoutPlaceholders, allauth.LoginForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("User name or e-mail address")
        self.fields["login"].widget.attrs["autofocus"] = True
        self.fields["password"].help_text = ""  # the page links to the reset after the field, not before it


class ChangePasswordForm(WithoutPlaceholders, allauth.ChangePasswordForm):  # type: ignore[misc]
    def clean_oldpassword(self) -> str:
        """Whoever does not know the password of somebody who left their desk leaves an event, and soon has to wait."""
        counters = [tries.counter(tries.CONFIRMATION, str(self.user.pk))]
        try:
            with tries.counted(counters, actor=self.user) as attempt:
                password = str(super().clean_oldpassword())
                attempt.succeed()
        except tries.Reached:
            strangers.record("signin.limited", result=Result.DENIED, actor=self.user)
            raise
        except ValidationError:
            audit.record("reauthentication.failed", result=Result.DENIED, actor=self.user)
            raise
        return password


class ResetPasswordForm(WithoutPlaceholders, allauth.ResetPasswordForm):  # type: ignore[misc]
    users: list[User]

    def clean_email(self) -> str:
        """Mail no link to those who come by single sign-on alone: a mailbox must not lead past the provider."""
        address = str(super().clean_email())
        found = [user for user in self.users if not user.awaits_approval]
        connected = set(SocialAccount.objects.filter(user__in=found).values_list("user_id", flat=True))
        self.users = [user for user in found if user.has_usable_password() or user.pk not in connected]
        return address

    def save(self, request: HttpRequest, **more: Any) -> str:
        """Do whatever takes longer for a known address behind the answer."""
        behind.run(super().save, request, **more)
        return str(self.cleaned_data["email"])


class ResetPasswordKeyForm(WithoutPlaceholders, allauth.ResetPasswordKeyForm):  # type: ignore[misc]
    pass


class ReauthenticateForm(WithoutPlaceholders, allauth.ReauthenticateForm):  # type: ignore[misc]
    pass


class EnrolmentForm(BaseUserCreationForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """The first administrator's user name, e-mail address and password."""

    class Meta:
        model = User
        fields = ("username", "email")
        labels = {"username": _("User name"), "email": _("E-mail address")}


class InviteForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A new person, who chooses their password themselves."""

    class Meta:
        model = User
        fields = ("username", "first_name", "last_name", "email", "groups")
        labels = {"groups": _("Roles")}
        help_texts = {"groups": ""}
        widgets = {"groups": forms.CheckboxSelectMultiple}
        field_classes = {"username": UsernameField}  # as on the other form: one way to write a name

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        for name in ("first_name", "last_name"):
            if not str(values.get(name, "")).isprintable():
                self.add_error(name, _("Use visible characters only."))
        return values
