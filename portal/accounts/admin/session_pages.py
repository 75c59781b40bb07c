"""Pages of the administration about sessions: one person's, and the end of everybody's."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import auth, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from portal import audit
from portal.accounts import factors, people, sessions
from portal.accounts.admin.person_pages import find, show, whole
from portal.accounts.models import User


@require_http_methods(["GET", "POST"])
def of_person(request: Any, id: str) -> HttpResponse:  # what Django's admin calls it in addresses
    """Show where a person is signed in; end one session, or all where the form names none."""
    user = find(request, id)
    if request.method == "GET":
        context = {"person": user, "is_own": user == request.user, "places": sessions.places(user)}
        return render(request, "admin/person_sessions.html", whole(request, _("Sessions"), context))
    end(request, user, request.POST.get("session", ""))
    return redirect(request.path)


def end(request: Any, user: User, tag: str) -> None:
    try:
        with audit.writing():
            if tag:
                people.end_session(user, request.user, tag)
                words = _("One session of %(name)s is ended.")
            else:
                people.end_sessions(user, request.user)
                words = _("All sessions of %(name)s are ended.")
    except ValidationError as error:
        people.tell_refusal(user, request.user, error)
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, words % {"name": user})


@require_http_methods(["GET", "POST"])
def end_everybodys(request: Any) -> HttpResponse:
    """Ask for a fresh confirmation, then end every session there is, the administrator's own as well."""
    if not factors.is_fresh(request, factors.FRESH_SECONDS):
        return redirect(factors.confirmation_page(request, request.path))
    if request.method == "POST":
        with audit.writing():
            sessions.end_everybodys(by=request.user)
        return sign_in_again(request)
    explanation = _(
        "Everybody is signed out at once, you as well, and what they have not saved is lost. Sessions with "
        "customers that are open at Getscreen go on. Passwords and second factors stay as they are: whoever knows "
        "them can sign in again, so disable accounts that you do not trust first."
    )
    title = _("End every session of everybody")
    return show(request, title, form=forms.Form(), explanation=explanation, button=_("End every session"))


def sign_in_again(request: HttpRequest) -> HttpResponse:
    auth.logout(request)  # its row is gone, and nothing may be saved there
    messages.success(request, _("Every session was ended. Sign in again."))
    return redirect("account_login")
