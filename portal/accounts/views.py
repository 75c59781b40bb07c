"""Enrolment of the first administrator. Signing in and out is allauth's."""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import Group
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from portal import audit
from portal.accounts import roles
from portal.accounts.forms import EnrolmentForm
from portal.accounts.models import Enrolment, User, administrators
from portal.audit.kinds import Result


@login_not_required
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def enrol(request: HttpRequest, token: str) -> HttpResponse:
    """Make the first administrator. The link works once, for 15 minutes, while there is none."""
    if administrators().exists() or not Enrolment.objects.valid(token).exists():
        return render(request, "accounts/enrol_expired.html", status=410)
    form = EnrolmentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        enrol_administrator(form, token)
        return redirect("account_login")
    return render(request, "accounts/enrol.html", {"form": form}, status=422 if form.errors else 200)


@transaction.atomic
def enrol_administrator(form: EnrolmentForm, token: str) -> User:
    """Spend the link and make the account; of two people at once only one wins."""
    if not Enrolment.objects.valid(token).delete()[0] or administrators().exists():
        raise Http404
    user: User = form.save()
    user.groups.add(Group.objects.get(name=roles.ADMINISTRATOR))
    audit.record("admin.enrolled", result=Result.OK, actor=user)
    return user
