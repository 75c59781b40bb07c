"""How one person wants to be told that a client has joined: two switches, saved.

Whether the browser lets the page play a sound or show a notification is the browser's secret; this
knows nothing of it, nor of who has joined.
"""

from __future__ import annotations

from http import HTTPStatus

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from invitations.models import AlertChoice
from portal.accounts import roles
from portal.accounts.access import SignedInRequest, require
from portal.middleware import is_part


@require_POST
@require(roles.SEE)
def alerts(request: SignedInRequest) -> HttpResponse:
    """Save both switches as they were sent; one that is missing is off, as forms send it."""
    wanted = {name: name in request.POST for name in ("sound", "notification")}
    AlertChoice.objects.update_or_create(user=request.user, defaults=wanted)
    if is_part(request):
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    messages.success(request, _("Your choice of alerts is saved."))
    return redirect("board")
