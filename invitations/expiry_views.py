"""What keeps an invitation open: its time is extended, or its long session confirmed."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from invitations import expiry, long_sessions
from invitations.presentation import day_and_time
from invitations.views import find
from portal.accounts import roles
from portal.accounts.access import SignedInRequest, require


@require_POST
@require(roles.MANAGE_OWN, roles.MANAGE_ANY, roles.CONNECT)
def extend(request: SignedInRequest, public_id: str) -> HttpResponse:
    invitation = find(request, public_id)
    if not expiry.may_extend(request.user, invitation):
        raise PermissionDenied(_("Only its owner, a team lead or whoever has claimed it may extend this invitation."))
    hours = request.POST.get("hours", "")
    if hours not in map(str, expiry.HOURS):
        return HttpResponseBadRequest()
    expiry.extend(invitation=invitation, by=request.user, hours=int(hours))
    until = day_and_time(invitation.expires_at)
    messages.success(request, _("The invitation is valid until %(when)s.") % {"when": until})
    return redirect("invitation", public_id=public_id)


@require_POST
@require(roles.MANAGE_OWN, roles.MANAGE_ANY, roles.CONNECT)
def still(request: SignedInRequest, public_id: str) -> HttpResponse:
    """Note that a long session goes on, and show the page on which that was asked again."""
    invitation = find(request, public_id)
    if long_sessions.confirm(invitation=invitation, by=request.user):
        messages.success(request, _("Noted: the session with %(name)s goes on.") % {"name": invitation.display_name})
    if request.POST.get("from") == "board":
        return redirect("board")
    return redirect("invitation", public_id=public_id)
