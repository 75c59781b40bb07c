"""The page that exports the log: what is chosen stands in the address, as on the log's page."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from portal.audit.downloads import Download, respond
from portal.audit.export import Export
from portal.audit.keys import KeyUnusable
from portal.audit.kinds import KINDS, Result
from portal.audit.models import PORTAL, STRANGER
from portal.audit.origin import parse_address, wider_network_of
from portal.audit.selection import select

SENSIBLE = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2999, 12, 31))]
FORMS = {
    "zip": (_("ZIP with proofs"), "application/zip"),
    "jsonl": (_("JSON lines"), "application/jsonl"),
    "csv": (_("CSV table"), "text/csv; charset=utf-8"),
}


class FilterForm(forms.Form):
    """Which events: everything is optional. Names are those of the log's page."""

    who = forms.CharField(label=_("Who"), required=False, max_length=150)
    kind = forms.ChoiceField(label=_("Action"), required=False, choices=[(name, name) for name in KINDS])
    result = forms.ChoiceField(label=_("Outcome"), required=False, choices=Result.choices)
    invitation = forms.SlugField(label=_("Invitation"), required=False, max_length=64)
    ticket = forms.CharField(label=_("Ticket"), required=False, max_length=100)
    network = forms.CharField(label=_("Network"), required=False, max_length=60)
    reference = forms.RegexField(r"[0-9a-f]{32}", label=_("Reference"), required=False)

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        for name, label in (("from", _("From")), ("to", _("To"))):  # `from` cannot be an attribute
            self.fields[name] = forms.DateField(label=label, required=False, validators=SENSIBLE)

    def clean_network(self) -> str:
        """Return the /24 or /48 that the log keeps."""
        text: str = self.cleaned_data["network"]
        if text and not parse_address(text.partition("/")[0]):
            raise forms.ValidationError(_("This is no IP address and no network."))
        return wider_network_of(text.partition("/")[0])

    @property
    def used(self) -> dict[str, str]:
        """The filters in force, as the address says them."""
        return {name: str(value) for name, value in self.cleaned_data.items() if value}

    @property
    def shown(self) -> list[tuple[Any, str]]:
        """Label and value of each, to be read."""
        return [(self.fields[name].label, value) for name, value in self.used.items()]

    @property
    def filters(self) -> dict[str, Any]:
        """What they mean to the log's columns. Raises UnknownPerson."""
        data = self.cleaned_data
        return {
            "from_ts": start_of(data["from"]) if data["from"] else None,
            "to_ts": start_of(data["to"] + timedelta(days=1)) if data["to"] else None,
            "actor": actor_of(data["who"]),
            "target": f"invitation:{data['invitation']}" if data["invitation"] else "",
            **{name: data[name] for name in ("kind", "result", "network", "reference", "ticket")},
        }


def start_of(day: date) -> int:
    """Return the first moment of a day where the installation is, in microseconds."""
    return int(timezone.make_aware(datetime.combine(day, time.min)).timestamp()) * 1_000_000


def actor_of(who: str) -> str:
    """Return how the log calls somebody, given in its way, or by user name or address. Strangers are "nobody"."""
    if not who or who in (PORTAL, STRANGER) or who.startswith("user:"):
        return who
    found = get_user_model().objects.filter(Q(username__iexact=who) | Q(email__iexact=who)).first()
    return f"user:{found.pk}" if found else "nobody"


class ChoiceForm(forms.Form):
    """How they are exported."""

    form = forms.ChoiceField(
        label=_("Format"),
        choices=[(name, label) for name, (label, _type) in FORMS.items()],
        widget=forms.RadioSelect,
        initial="zip",
    )
    details = forms.BooleanField(
        label=_("With personal details: client names, tickets, notes, IP addresses"), required=False, initial=True
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
    used = chosen.used
    download = Download(
        "audit.exported",
        lambda: Export(select(chosen.filters) if used else None, form=form, with_details=details),
        actor=request.user,
        facts={"format": form, "filters": sorted(used), "with_details": details},
        details={"filters": used},
    )
    return respond(download, name=file_name(form), content_type=FORMS[form][1])


def file_name(form: str) -> str:
    return f"audit-{timezone.localtime():%Y-%m-%d-%H%M}.{form}"
