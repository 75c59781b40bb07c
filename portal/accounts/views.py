"""Enrolment of the first administrator. Signing in and out is allauth's."""

from allauth.account import views as allauth
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from portal import audit
from portal.accounts.forms import EnrolmentForm
from portal.accounts.models import Enrolment, User, administrators, lock_administrator_role
from portal.audit.kinds import Result


@login_not_required
def password_reset(request: HttpRequest) -> HttpResponseBase:
    """allauth's page, where mails can be sent. Elsewhere it says whom to ask."""
    if not settings.MAILERS:
        return render(request, "accounts/no_mail.html")
    answer: HttpResponseBase = allauth.password_reset(request)
    return answer


@login_not_required
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def enrol(request: HttpRequest, token: str) -> HttpResponse:
    """Make the first administrator. The link works once, for 15 minutes, while there is none."""
    form = EnrolmentForm(request.POST if request.method == "POST" else None)
    if not is_open(token):
        return render(request, "accounts/enrol_expired.html", status=410)
    if not form.is_valid():
        return render(request, "accounts/enrol.html", {"form": form}, status=422 if form.is_bound else 200)
    if enrol_administrator(form, token) is None:
        return render(request, "accounts/enrol_expired.html", status=410)
    messages.success(request, _("Your account is ready. Sign in with it."))
    return redirect("account_login")


def is_open(token: str) -> bool:
    return Enrolment.objects.valid(token).exists() and not administrators().exists()


@transaction.atomic
def enrol_administrator(form: EnrolmentForm, token: str) -> User | None:
    """Spend every link and make the account; of two people at once only one wins, the other gets None."""
    role = lock_administrator_role()
    if not is_open(token):
        return None
    Enrolment.objects.all().delete()
    user: User = form.save()
    user.groups.add(role)
    audit.record("enrolment.used", result=Result.OK, actor=user)
    return user
