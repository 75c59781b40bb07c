"""Pages and buttons of claims: take care of a client, take over, release, hand over."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from invitations import claims
from invitations.claim_forms import HandOverForm, Recipients
from invitations.context import policy_of
from invitations.models import Invitation
from invitations.refusals import Taken
from invitations.views import find, row_for
from portal.accounts import roles
from portal.accounts.access import SignedInRequest, require


def back_to(request: HttpRequest, invitation: Invitation) -> str:
    """Return the page of ours to go to afterwards: the one that asked for it, or else the invitation's."""
    wanted = request.POST.get("back") or request.GET.get("back", "")
    is_ours = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if is_ours else reverse("invitation", kwargs={"public_id": invitation.public_id})


def context_of(request: SignedInRequest, invitation: Invitation) -> dict[str, Any]:
    return {"invitation": invitation, "row": row_for(request, invitation), "back": back_to(request, invitation)}


@require_http_methods(["GET", "POST"])
@require(roles.CONNECT)
def claim(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Take care of a client. Where a colleague does, the answer is a question that names them."""
    invitation = find(request, public_id)
    if request.method == "GET":
        return render(request, "invitations/claim.html", context_of(request, invitation))
    try:
        claims.claim(invitation=invitation, by=request.user, take_over=request.POST.get("take_over", ""))
    except Taken:
        context = context_of(request, invitation) | {"was_refused": True}
        return render(request, "invitations/claim.html", context, status=HTTPStatus.CONFLICT)
    messages.success(request, _("You take care of %(name)s now.") % {"name": invitation.display_name})
    return redirect(back_to(request, invitation))


@require_POST
@require(roles.CONNECT, roles.MANAGE_ANY)
def release(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Give a client back to the queue."""
    invitation = find(request, public_id)
    claims.release(invitation=invitation, by=request.user, named=request.POST.get("holder", ""))
    messages.success(request, _("Nobody has %(name)s now.") % {"name": invitation.display_name})
    return redirect(seen_by(request, invitation))


@require_http_methods(["GET", "POST"])
@require(roles.CONNECT, roles.MANAGE_ANY)
def hand_over(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Give a client to a colleague or a team, with a note."""
    invitation = find(request, public_id)
    if not claims.may_give(request.user, invitation):
        name = invitation.taken_by_name
        raise PermissionDenied(
            _("%(name)s has this client. Only they or a team lead may hand it over.") % {"name": name}
        )
    found = Recipients.of(invitation, request.user)
    form = HandOverForm(request.POST or None, found=found, policy=policy_of(request))
    context = context_of(request, invitation) | {"form": form}
    if request.method == "POST" and form.is_valid():
        request.form_page = ("invitations/hand_over.html", context)  # type: ignore[attr-defined]
        to, named = form.recipient, request.POST.get("holder", "")
        claims.hand_over(invitation=invitation, by=request.user, to=to, note=form.cleaned_data["note"], named=named)
        return told(request, invitation, str(getattr(to, "display_name", to)))
    status = HTTPStatus.UNPROCESSABLE_ENTITY if request.method == "POST" else HTTPStatus.OK
    return render(request, "invitations/hand_over.html", context, status=status)


def told(request: SignedInRequest, invitation: Invitation, to: str) -> HttpResponse:
    """Say whose the client is now, on a page that the person still may see."""
    words = _("%(name)s is handed over to %(to)s.") % {"name": invitation.display_name, "to": to}
    messages.success(request, words)
    return redirect(seen_by(request, invitation))


def seen_by(request: SignedInRequest, invitation: Invitation) -> str:
    """Return where to go back to, or the board where the person sees the invitation no longer."""
    is_seen = Invitation.objects.visible_to(request.user).filter(pk=invitation.pk).exists()
    return back_to(request, invitation) if is_seen else reverse("board")
