"""Enrolment of the first administrator, and allauth's pages as far as the audit log needs more of them."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from allauth.account import views as allauth
from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from portal import audit
from portal.accounts import devices, hashing, one_time, provider_pages, tries
from portal.accounts.access import SignedInRequest
from portal.accounts.forms import EnrolmentForm, LoginForm, ResetPasswordForm
from portal.accounts.models import OneTimeLink, User, administrators, lock_administrator_role
from portal.audit import strangers
from portal.audit.kinds import Result

View = Callable[..., HttpResponseBase]


def recorded(view: View) -> View:
    """Refuse a form before anything else is done with it where the event about it could not be written.

    Limits come after this: they are counted in the same database, and would blame the person.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST":
            audit.ensure_writable()
        return view(request, *args, **kwargs)

    return guarded


@require_POST
def keys(request: SignedInRequest) -> HttpResponse:
    """Save whether single keys do anything for this person, on every device."""
    User.objects.filter(pk=request.user.pk).update(uses_single_keys="on" in request.POST)
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


@login_not_required
def login(request: HttpRequest) -> HttpResponseBase:
    """allauth's page, which comes back with the typed name if signing in cannot be recorded."""
    if request.method == "POST" and settings.SSO_ONLY:
        return provider_pages.closed(allauth.login)(request)
    if request.method == "POST":
        typed = {"login": request.POST.get("login", "").replace("\x00", "")}
        context = {
            "form": LoginForm(request=request, initial=typed),
            "redirect_field_name": REDIRECT_FIELD_NAME,
            "redirect_field_value": request.POST.get(REDIRECT_FIELD_NAME, ""),
        }
        request.form_page = ("account/login.html", context)  # type: ignore[attr-defined]
    # Not `recorded`: the adapter asks whether the event can be written, and only where a password would be checked.
    response: HttpResponseBase = allauth.login(request)
    return response


@login_not_required
def password_reset(request: HttpRequest) -> HttpResponseBase:
    """allauth's page, where mails can be sent. Elsewhere it says whom to ask."""
    if not settings.MAILERS:
        return render(request, "accounts/no_mail.html")
    if request.method == "POST":
        form = ResetPasswordForm(initial={"email": request.POST.get("email", "").replace("\x00", "")})
        request.form_page = ("account/password_reset.html", {"form": form})  # type: ignore[attr-defined]
    # For every address, or the answer would tell which of them are known.
    return recorded(limited_reset)(request)


def change_password(request: HttpRequest) -> HttpResponseBase:
    """allauth's page, for those who have a password. Who comes by single sign-on alone has none to change."""
    user: User = request.user  # type: ignore[assignment]  # behind the sign-in
    if not user.has_usable_password():
        return redirect("mfa_index")
    return recorded(allauth.password_change)(request)


def is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def limited_reset(request: HttpRequest) -> HttpResponseBase:
    address = request.POST.get("email", "").strip()
    try:
        if request.method == "POST" and is_address(address):
            tries.spend(devices.of_reset(request, address), actor_name=address[:150])
    except tries.Reached as reached:
        return tries.page(request, reached)
    response: HttpResponseBase = allauth.password_reset(request)
    return response


class PasswordResetFromKey(allauth.PasswordResetFromKeyView):  # type: ignore[misc]
    """allauth's page, which says so in the log when a link is used or too old, and counts it."""

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        if context.get("token_fail"):
            strangers.record("password.reset_refused", result=Result.DENIED)
            tries.fail(tries.of_links(self.request))
        values: dict[str, Any] = super().get_context_data(**context)
        return values


@login_not_required
@one_time.limited
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def enrol(request: HttpRequest, token: str) -> HttpResponse:
    """Make the first administrator. The link works once, for 15 minutes, while there is none."""
    form = EnrolmentForm(request.POST if request.method == "POST" else None) if is_open(token) else None
    return one_time.answer(request, ENROLMENT, token, form, {})


def is_open(token: str) -> bool:
    return (
        OneTimeLink.objects.valid(OneTimeLink.Purpose.ADMINISTRATOR, token).exists() and not administrators().exists()
    )


@hashing.writing()
def enrol_administrator(form: EnrolmentForm, token: str) -> User | None:
    """Spend every link and make the account; of two people at once only one wins, the other gets None."""
    role = lock_administrator_role()
    if not is_open(token):
        return None
    OneTimeLink.objects.filter(purpose=OneTimeLink.Purpose.ADMINISTRATOR).delete()
    user: User = form.save()
    user.groups.add(role)
    audit.record("enrolment.used", result=Result.OK, actor=user)
    return user


ENROLMENT = one_time.Page(
    "accounts/enrol.html",
    "accounts/enrol_expired.html",
    "enrolment.refused",
    _("Your account is ready. Sign in with it."),
    enrol_administrator,
)
