"""The audit log's page: filters in the address, newest first."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from portal import audit
from portal.audit.forms import FilterForm
from portal.audit.kinds import Result
from portal.audit.models import Event

PAGE_SIZE = 50


@require_GET
def log(request: Any) -> HttpResponse:
    """Show the events the viewer may see. Opening it, and each new filter, is itself an event."""
    audit.ensure_writable()  # before anything is read of what could not be recorded
    form = FilterForm(request.GET)
    filters = form.cleaned_data if form.is_valid() else getattr(form, "cleaned_data", {})
    events = filtered(Event.objects.visible_to(request.user), filters)
    page = Paginator(events, PAGE_SIZE).get_page(request.GET.get("page"))
    page.object_list = list(page.object_list)  # now: the event of this look would push the last row out
    used = {name: str(value) for name, value in filters.items() if value}
    audit.record("audit.viewed", result=Result.OK, actor=request.user, facts={"filters": sorted(used)})
    context = {"page_obj": page, "form": form, "scope": scope_of(request.user), "filters": used}
    return render(request, "audit/log.html", context, status=422 if form.errors else 200)


def scope_of(user: Any) -> str:
    if user.has_perm("audit.view_all_events"):
        return "all"
    return "team" if user.has_perm("audit.view_team_events") else "own"


def filtered(events: QuerySet[Event], filters: dict[str, Any]) -> QuerySet[Event]:
    if filters.get("from_date"):
        events = events.filter(ts__gte=int(start_of(filters["from_date"]).timestamp() * 1e6))
    if filters.get("to_date"):
        events = events.filter(ts__lt=int(start_of(filters["to_date"] + timedelta(days=1)).timestamp() * 1e6))
    for name in ("kind", "result"):
        if filters.get(name):
            events = events.filter(**{name: filters[name]})
    if text := filters.get("q"):
        events = events.filter(Q(target=text) | Q(reference=text))
    return events


def start_of(day: Any) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
