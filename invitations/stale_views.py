"""The page on which old invitations are closed together, after a look at which these are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from invitations import actions, stale
from invitations.context import snapshot_of
from invitations.models import Invitation
from invitations.tokens import new_token, sound
from portal.accounts import roles
from portal.accounts.access import SignedInRequest, require

PAGE = "invitations/stale.html"
ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


@require_http_methods(["GET", "POST"])
@require(roles.MANAGE_OWN, roles.MANAGE_ANY)
def stale_ones(request: SignedInRequest) -> HttpResponse:
    """Show what would be closed; a POST closes what was chosen and says of each how it went."""
    if request.method == "GET":
        return render(request, PAGE, preview(request))
    wanted = {public_id for public_id in request.POST.getlist("invitation") if ID.fullmatch(public_id)}
    problem = problem_with(len(wanted))
    if problem:
        context = preview(request, wanted) | {"problem": problem}
        return render(request, PAGE, context, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    request.form_page = (PAGE, preview(request, wanted))  # type: ignore[attr-defined]
    found = Invitation.objects.visible_to(request.user).filter(public_id__in=wanted).order_by("created_at", "pk")
    mine = [invitation for invitation in found if actions.may_manage(request.user, invitation)]
    holders = {one.public_id: request.POST.get(f"holder-{one.public_id}", "") for one in mine}
    token = sound(request.POST.get("token", "")) or new_token()
    lines = stale.close_all(mine, by=request.user, token=token, holders=holders)
    context = {"lines": lines, "summary": summary(lines, lost=len(wanted) - len(mine)), "hours": asked_hours(request)}
    return render(request, "invitations/stale_done.html", context)


def problem_with(count: int) -> str:
    if not count:
        return _("Nothing is chosen. Tick what is to be closed.")
    if count > stale.MOST:
        return _("At most %(most)s can be closed at once. Nothing was closed.") % {"most": stale.MOST}
    return ""


def preview(request: SignedInRequest, ticked: Container[str] | None = None) -> dict[str, Any]:
    """Return what the page shows, with the ticks that were sent where some were."""
    hours = asked_hours(request)
    rows = stale.candidates(request.user, account=snapshot_of(request).account, hours=hours)
    shown = [stale.candidate(invitation, ticked) for invitation in rows[: stale.MOST]]
    return {
        "candidates": shown,
        "more": rows.count() - len(shown) if len(shown) == stale.MOST else 0,
        "hours": hours,
        "ages": stale.AGES.items(),
        "form_token": new_token(),
    }


def asked_hours(request: SignedInRequest) -> int:
    wanted = (request.POST if request.method == "POST" else request.GET).get("hours", "")
    return int(wanted) if wanted in map(str, stale.AGES) else stale.USUAL


def summary(lines: list[stale.Line], *, lost: int) -> list[str]:
    """Return what has happened, in whole sentences, the best first."""
    count = Counter(line.how for line in lines)
    sentences = {
        "closed": ngettext("%(n)s was closed.", "%(n)s were closed.", count["closed"]),
        "already": ngettext("%(n)s was closed already.", "%(n)s were closed already.", count["already"]),
        "joined": ngettext(
            "%(n)s is in use by now and stays open.", "%(n)s are in use by now and stay open.", count["joined"]
        ),
        "claimed": ngettext(
            "%(n)s has been claimed by now and stays open.",
            "%(n)s have been claimed by now and stay open.",
            count["claimed"],
        ),
        "failed": ngettext("%(n)s could not be closed.", "%(n)s could not be closed.", count["failed"]),
        "unknown": ngettext(
            "Of %(n)s nobody knows: the board shows it within a minute.",
            "Of %(n)s nobody knows: the board shows them within a minute.",
            count["unknown"],
        ),
        "left": ngettext("%(n)s was not tried any more.", "%(n)s were not tried any more.", count["left"]),
    }
    told = [sentence % {"n": count[how]} for how, sentence in sentences.items() if count[how]]
    if lost:
        told.append(ngettext("%(n)s is not yours to close.", "%(n)s are not yours to close.", lost) % {"n": lost})
    return told
