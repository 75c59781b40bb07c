"""The page that exports the log: what is chosen stands in the address, as on the log's page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from portal.audit.downloads import Download, respond
from portal.audit.export import Export
from portal.audit.forms import FilterForm
from portal.audit.keys import KeyUnusable
from portal.audit.models import PORTAL, STRANGER, EventQuerySet
from portal.audit.selection import select

FORMS = {
    "zip": (_("ZIP with proofs"), "application/zip"),
    "jsonl": (_("JSON lines"), "application/jsonl"),
    "csv": (_("CSV table"), "text/csv; charset=utf-8"),
}


def selection_of(chosen: FilterForm) -> EventQuerySet | None:
    """Return the events that the filters name; None for the whole log."""
    criteria = chosen.criteria
    times = {"from_ts": criteria.since, "to_ts": None if criteria.until is None else criteria.until + 1}
    return select({**criteria.equal, **times, "ticket": criteria.ticket}) if chosen.filters else None


def actor_of(who: str) -> str:
    """Return how the log calls somebody, given in its way, or by user name or e-mail address; else what was given."""
    if not who or who in (PORTAL, STRANGER) or who.startswith("user:"):
        return who
    found = get_user_model().objects.filter(Q(username__iexact=who) | Q(email__iexact=who)).first()
    return f"user:{found.pk}" if found else who


class ChoiceForm(forms.Form):
    """How they are exported."""

    form = forms.ChoiceField(
        label=_("Format"),
        choices=[(name, label) for name, (label, _type) in FORMS.items()],
        widget=forms.RadioSelect,
        initial="zip",
    )
    details = forms.BooleanField(
        label=_("With personal details"),
        help_text=_("Client names, tickets, notes, IP addresses, browsers"),
        required=False,
        initial=True,
    )


@require_http_methods(["GET", "POST"])
def export(request: HttpRequest) -> HttpResponseBase:
    """Say what an export would hold, and send it. Both the asking and what was sent are events."""
    chosen, how = FilterForm(request.GET), ChoiceForm(request.POST if request.method == "POST" else None)
    if not chosen.is_valid() or (how.is_bound and not how.is_valid()):
        return page(request, chosen, how, status=422)
    if request.method != "POST":
        return page(request, chosen, how)
    try:
        return send(request, chosen, **how.cleaned_data)
    except KeyUnusable:
        return page(request, chosen, how, status=503, has_no_key=True)


def page(request: HttpRequest, chosen: FilterForm, how: ChoiceForm, *, status: int = 200, **more: Any) -> HttpResponse:
    context = {"chosen": chosen, "how": how, "query": request.GET.urlencode(), **more}
    return render(request, "audit/export.html", context, status=status)


def send(request: HttpRequest, chosen: FilterForm, *, form: str, details: bool) -> HttpResponseBase:
    used = chosen.filters
    download = Download(
        "audit.exported",
        lambda: Export(selection_of(chosen), form=form, with_details=details),
        actor=request.user,
        facts={"format": form, "filters": sorted(used), "with_details": details},
        details={"filters": used},
    )
    return respond(download, name=file_name(form), content_type=FORMS[form][1])


def file_name(form: str) -> str:
    return f"audit-{timezone.localtime():%Y-%m-%d-%H%M}.{form}"
