"""Pages behind one-time links: a GET shows a form, a POST spends the link, and a link that is over answers 410."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import SetPasswordForm
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from portal import audit
from portal.accounts import hashing, sessions, tries
from portal.accounts.models import OneTimeLink, User
from portal.audit import strangers
from portal.audit.kinds import Result

PASSWORD_PURPOSES = (OneTimeLink.Purpose.INVITE, OneTimeLink.Purpose.RESET)


def limited(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Look at no link while too many that were none have come from the same network."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            tries.refuse_reached(tries.of_links(request))
        except tries.Reached as reached:
            return tries.page(request, reached)
        return view(request, *args, **kwargs)

    return guarded


class Page(NamedTuple):
    """What one kind of link opens. `spend` returns None if somebody else was quicker."""

    template: str
    expired_template: str
    refused_kind: str
    done: Any  # a text translated when it is shown
    spend: Callable[[Any, str], User | None]


def answer(request: HttpRequest, page: Page, token: str, form: Any, context: dict[str, Any]) -> HttpResponse:
    """Answer for a link; `form` is None where it is over."""
    if form is None:
        return refuse(request, page)
    context = {"form": form} | context
    if not form.is_valid():
        return render(request, page.template, context, status=422 if form.is_bound else 200)
    request.form_page = (page.template, context)  # type: ignore[attr-defined]
    if page.spend(form, token) is None:
        return refuse(request, page)
    messages.success(request, page.done)
    return redirect("account_login")


def refuse(request: HttpRequest, page: Page) -> HttpResponse:
    strangers.record(page.refused_kind, result=Result.DENIED)
    tries.fail(tries.of_links(request))
    return render(request, page.expired_template, status=410)


def find(token: str) -> OneTimeLink | None:
    """Return the link with which somebody may choose a password now."""
    for purpose in PASSWORD_PURPOSES:
        links = OneTimeLink.objects.valid(purpose, token).filter(user__is_active=True, user__awaits_approval=False)
        if link := links.select_related("user").first():
            return link
    return None


@hashing.writing()
def spend_password_link(form: SetPasswordForm[User], token: str) -> User | None:
    """Set the password, end every link and session of the person; second factors stay."""
    link = find(token)
    if link is None or link.user is None:
        return None
    user, purpose = link.user, link.purpose
    form.user = user
    form.save()
    user.end_links()
    audit.record("user.link_used", result=Result.OK, actor=user, facts={"purpose": purpose})
    sessions.end_all(user, reason="password", by=user)
    return user


CHOOSE_PASSWORD = Page(
    "accounts/choose_password.html",
    "accounts/link_expired.html",
    "user.link_refused",
    _("Your password is set. Sign in with it."),
    spend_password_link,
)


@login_not_required
@limited
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def choose_password(request: HttpRequest, token: str) -> HttpResponse:
    """Choose the password of an account that an administrator has made a link for."""
    link = find(token)
    data = request.POST if request.method == "POST" else None
    form = SetPasswordForm(link.user, data) if link and link.user else None
    return answer(request, CHOOSE_PASSWORD, token, form, {"person": link.user if link else None})


@audit.writing()
def spend_sign_in_link(token: str) -> User | None:
    """End the link and return whose it was; None if somebody else was quicker."""
    link = OneTimeLink.objects.valid(OneTimeLink.Purpose.SIGN_IN, token).select_related("user").first()
    if link is None or link.user is None:
        return None
    link.delete()
    audit.record("signin.link_used", result=Result.OK, actor=link.user)
    return link.user


@login_not_required
@limited
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest, token: str) -> HttpResponse:
    """Sign in by the link of `manage.py sign_in_link`, past single sign-on, but not past the second factor."""
    if request.method != "POST" and OneTimeLink.objects.valid(OneTimeLink.Purpose.SIGN_IN, token).exists():
        return render(request, "accounts/sign_in_link.html")
    user = None
    if request.method == "POST":
        audit.ensure_writable()
        user = spend_sign_in_link(token)
    if user is None:
        return refuse(request, CHOOSE_PASSWORD)
    if request.user.is_authenticated:
        get_adapter().logout(request)
    record_authentication(request, user, "one_time_link")
    response: HttpResponse = perform_login(request, user)
    return response


def address_of(token: str) -> str:
    """Return the link to hand over, under the portal's own address whatever host was asked for."""
    return f"{settings.PUBLIC_URL}{reverse('choose_password', args=[token])}"
