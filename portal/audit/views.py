"""The audit log's pages: what happened, newest first, and one event with everything that proves it."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from portal import audit
from portal.audit import presentation, search, verdicts
from portal.audit.forms import FilterForm
from portal.audit.kinds import Result
from portal.audit.models import Event, Standing, actors_watched_by

LAST_LOOK = "audit_look"  # in the session: the digest of the filters that were looked through last


@require_GET
def log(request: Any) -> HttpResponse:
    """Show the events the viewer may see. Opening it, and each new filter, is itself an event."""
    audit.ensure_writable()  # before anything is read of what could not be recorded
    scope = search.scope_of(request.user)
    among = actors_watched_by(request.user) if scope == "team" else None
    form = FilterForm(request.GET, only_own=scope == "own", among=among)
    context: dict[str, Any] = {"form": form, "scope": scope, "sees_all": scope == "all"}
    if form.is_valid():
        places = {name: form.cleaned_data[name] for name in ("before", "after")}
        page = search.find(request.user, form.criteria, **places)  # now: this look itself would push the last row out
        note_look(request, form, is_paging=any(places.values()))
        context |= {"page": page, "days": by_day(page.events), "filters": form.filters}
    if scope == "all":
        context["verdict"] = verdicts.of(Standing.load(), timezone.now())
    return render(request, "audit/log.html", context, status=422 if form.errors else 200)


def note_look(request: Any, form: FilterForm, *, is_paging: bool) -> None:
    """Record a look, unless it only goes on in what was recorded before."""
    if is_paging and request.session.get(LAST_LOOK) == form.digest:
        return
    audit.record("audit.viewed", result=Result.OK, actor=request.user, facts={"filters": sorted(form.filters)})
    if request.session.get(LAST_LOOK) != form.digest:
        request.session[LAST_LOOK] = form.digest


def by_day(events: list[Event]) -> list[tuple[Any, list[Event]]]:
    """Group events by the day they happened on, where the site is."""
    return [(day, list(group)) for day, group in groupby(events, key=lambda event: timezone.localdate(event.at))]


@require_GET
def event(request: Any, seq: int) -> HttpResponse:
    """Show one event with its operation, its record and its proof. That is an event as well."""
    audit.ensure_writable()
    found = get_object_or_404(Event.objects.visible_to(request.user), pk=seq)
    sees_all = search.scope_of(request.user) == "all"
    context = {
        "event": found,
        "sees_all": sees_all,
        "sections": presentation.sections_of(found, sees_all=sees_all),
        "changes": presentation.changes_of(found),
        "operation": operation_of(request.user, found),
        "proof": presentation.proof_of(found),
        "commitment": presentation.commitment_of(found) if sees_all else None,
    }
    audit.record("audit.event_viewed", result=Result.OK, actor=request.user, facts={"event": seq})
    return render(request, "audit/event.html", context)


def operation_of(viewer: Any, found: Event) -> list[Event]:
    """Return what belongs to the same operation, oldest first; nothing if it stands alone."""
    if not found.reference:
        return []
    same = Event.objects.visible_to(viewer).filter(reference=found.reference).exclude(reference="")
    events = sorted(same.order_by()[: search.PAGE_SIZE], key=lambda one: one.seq)
    search.give_details(events)
    return events if len(events) > 1 else []


@require_POST
def verify(request: Any) -> HttpResponse:
    """Ask the watcher to check the whole log now. It takes a while, so the page tells when it is done."""
    with audit.writing():
        Standing.note(verify_requested_at=timezone.now())
        audit.record("audit.verify_requested", result=Result.OK, actor=request.user)
    messages.success(request, _("The whole log will be checked now. The result appears on this page."))
    return redirect("audit_log")
