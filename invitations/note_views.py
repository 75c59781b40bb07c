"""The pages about what is written down: note and ticket, outcome, and the text to paste into a ticket."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from invitations import actions, notes, summaries
from invitations.context import policy_of
from invitations.forms import NoteForm, OutcomeForm
from invitations.models import Invitation
from invitations.refusals import NoteChanged
from invitations.views import find
from portal.accounts import roles
from portal.accounts.access import SignedInRequest, require


@require_http_methods(["GET", "POST"])
@require(roles.CONNECT, roles.MANAGE_OWN, roles.MANAGE_ANY)
def note(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Change note and ticket."""
    invitation = find(request, public_id)
    initial = {name: getattr(invitation, name) for name in ("ticket", "reason", "note")}
    form = NoteForm(
        request.POST or None, initial=initial | {"seen": notes.version(invitation)}, policy=policy_of(request)
    )
    return keep(request, invitation, form, "invitations/note.html")


@require_http_methods(["GET", "POST"])
@require(roles.CONNECT, roles.MANAGE_OWN, roles.MANAGE_ANY)
def outcome(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Say how it ended, also when Getscreen or the client has closed it."""
    invitation = find(request, public_id)
    initial = {"outcome": invitation.outcome, "note": invitation.note, "seen": notes.version(invitation)}
    form = OutcomeForm(request.POST or None, initial=initial, is_required=False)
    return keep(request, invitation, form, "invitations/outcome.html")


def keep(request: SignedInRequest, invitation: Invitation, form: NoteForm | OutcomeForm, template: str) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "invitation": invitation}
    if request.method == "GET":
        return render(request, template, context)
    if not form.is_valid():
        return render(request, template, context, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    request.form_page = (template, context)  # type: ignore[attr-defined]
    try:
        actions.annotate(invitation=invitation, by=request.user, **form.told)
    except NoteChanged:
        form.clash(invitation)
        raise
    messages.success(request, _("Saved for %(name)s.") % {"name": invitation.display_name})
    return redirect("invitation", public_id=invitation.public_id)


@require_GET
@require(roles.SEE)
def versions(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Show every version of the note, the newest first."""
    invitation = find(request, public_id)
    return render(
        request, "invitations/versions.html", {"invitation": invitation, "versions": invitation.notes.order_by("-pk")}
    )


@require_GET
@require(roles.SEE)
def summary(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Show the text to paste into a ticket, in three forms."""
    invitation = find(request, public_id)
    return render(request, "invitations/summary.html", {"invitation": invitation, "texts": summaries.texts(invitation)})
