"""Which events an export holds: filters by column, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from portal.audit.models import Detail, Event, EventQuerySet

PARTIAL = ("target", "network", "reference")
COLUMNS = ("actor", "kind", "result", "target", "network", "reference")


def select(filters: Mapping[str, Any]) -> EventQuerySet:
    """Return the events that fit all filters, in the order of their numbers.

    `from_ts` and `to_ts` are microseconds since 1970 (UTC), the second one excluded. A ticket is found
    only as long as the details are kept.
    """
    events = Event.objects.filter(**{name: filters[name] for name in COLUMNS if filters.get(name)})
    for name in PARTIAL:
        if filters.get(name):
            events = events.exclude(**{name: ""})  # else the index, which has no empty values, is of no use
    if filters.get("from_ts") is not None:
        events = events.filter(ts__gte=filters["from_ts"])
    if filters.get("to_ts") is not None:
        events = events.filter(ts__lt=filters["to_ts"])
    if ticket := filters.get("ticket"):
        events = events.filter(seq__in=Detail.objects.filter(ticket=ticket).exclude(ticket="").values("seq"))
    return events.order_by("seq")


def about(target: str) -> EventQuerySet:
    """Return the events about a target, with those of the same operations: an intent to create knows no target yet."""
    own = Event.objects.filter(target=target).exclude(target="")
    shared = Event.objects.filter(reference__in=own.exclude(reference="").values("reference")).exclude(reference="")
    return Event.objects.filter(Q(seq__in=own.values("seq")) | Q(seq__in=shared.values("seq"))).order_by("seq")
