"""Finding events, newest first, at the same price in a log of a thousand and of a million.

Nothing is counted and nothing skipped: a page goes on from a place in the order. One filter reads its
index; of several the one that reaches furthest back is read for at most 2,000 events, and where that
window ends before the page is full the page says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

from django.db.models import QuerySet

from portal.audit.models import Detail, Event, Person, actor_of, actors_watched_by

PAGE_SIZE = 50
WINDOW = 2_000  # events read at most for one page
COLUMNS = ("ts", "seq", "kind", "result", "actor", "target", "network", "reference")
SOMETIMES = ("target", "network", "reference")  # their indexes leave the empty ones out
LATEST = 2**62
HIGHEST = 10**18 - 1  # of the numbers that a place can be written with
Row = tuple[Any, ...]


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """A place in the order of events, written into addresses as `ts-seq`."""

    ts: int
    seq: int

    def __str__(self) -> str:
        return f"{self.ts}-{self.seq}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ValueError for what is no place."""
        found = re.fullmatch(r"([0-9]{1,18})-([0-9]{1,18})", text, re.ASCII)
        if not found:
            raise ValueError("not a place in the log")
        return cls(int(found[1]), int(found[2]))

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.ts // 1_000_000, UTC)


@dataclass(frozen=True)
class Criteria:
    """What an event must have: columns by value, a ticket, and times in microseconds, both ends included."""

    equal: dict[str, str] = field(default_factory=dict)
    ticket: str = ""
    since: int | None = None
    until: int | None = None
    among: frozenset[str] | None = None  # of these actors alone

    def fits(self, row: Row) -> bool:
        if not (self.since or 0) <= row[0] <= (LATEST if self.until is None else self.until):
            return False
        if self.among is not None and row[COLUMNS.index("actor")] not in self.among:
            return False
        return all(row[COLUMNS.index(column)] == value for column, value in self.equal.items())


@dataclass(frozen=True)
class Page:
    """Events, newest first, and where to go on. `cut` is where the window ended before the page was full."""

    events: list[Event]
    older: Place | None = None
    newer: Place | None = None
    cut: Place | None = None
    is_cut_forward: bool = False


def scope_of(user: Person) -> str:
    """Return whose events somebody sees, as `EventQuerySet.visible_to` decides it: all, team or own."""
    if user.has_perm("audit.view_all_events"):
        return "all"
    return "team" if user.has_perm("audit.view_team_events") else "own"


def find(viewer: Person, criteria: Criteria, *, before: Place | None = None, after: Place | None = None) -> Page:
    """Return the page that ends before a place (or begins after one), of what the viewer may see."""
    scope = scope_of(viewer)
    if scope == "own":
        criteria = replace(criteria, equal=criteria.equal | {"actor": actor_of(viewer)})
    elif scope == "team":
        criteria = replace(criteria, among=actors_watched_by(viewer))
    if after is not None:
        page = forwards(viewer, criteria, after)
        if page is not None:
            return page
        before = None  # the newest events: their page is a whole one
    rows, cut = Walk(criteria, before, is_forward=False).rows()
    has_more = len(rows) > PAGE_SIZE
    rows = rows[:PAGE_SIZE]
    return Page(
        load(viewer, rows),
        older=place_of(rows[-1]) if has_more else cut,
        newer=(place_of(rows[0]) if rows else before) if before else None,
        cut=None if has_more else cut,
    )


def forwards(viewer: Person, criteria: Criteria, after: Place) -> Page | None:
    """Return the page that begins after a place; None if the newest page has all of it."""
    rows, cut = Walk(criteria, after, is_forward=True).rows()
    has_more = len(rows) > PAGE_SIZE
    if not has_more and cut is None:
        return None
    rows = rows[:PAGE_SIZE][::-1]
    return Page(
        load(viewer, rows),
        older=place_of(rows[-1]) if rows else after,
        newer=place_of(rows[0]) if has_more else cut,
        cut=None if has_more else cut,
        is_cut_forward=True,
    )


def place_of(row: Row) -> Place:
    return Place(row[0], row[1])


def load(viewer: Person, rows: list[Row]) -> list[Event]:
    """Return the events of these rows, which the viewer may see, with their details: two queries."""
    found = Event.objects.visible_to(viewer).in_bulk([row[1] for row in rows])
    events = [found[row[1]] for row in rows if row[1] in found]
    give_details(events)
    return events


def give_details(events: list[Event]) -> None:
    details = Detail.objects.in_bulk([event.seq for event in events])
    for event in events:
        event.details = details[event.seq].content if event.seq in details else {}


class Walk:
    """One way through the log from a place, backwards or forwards.

    Two steps, because a database that is told to stop after 51 rows may bet on finding them soon in
    another index: the first looks up in the filter's index alone how far as many events reach, the
    second reads all between.
    """

    def __init__(self, criteria: Criteria, start: Place | None, *, is_forward: bool) -> None:
        self.criteria = criteria
        self.start = start
        self.is_forward = is_forward

    def rows(self) -> tuple[list[Row], Place | None]:
        """Return one row more than a page if there are as many, and where the window ended if it did before."""
        columns = list(self.criteria.equal)
        if self.criteria.ticket:
            numbers = list(self.numbers())
            window, end = self.numbered(numbers), numbers[-1] if len(numbers) == WINDOW else None
            last = Place(window[-1][0], end) if end is not None and window else None
        elif "reference" in columns:
            window, last = list(self.along("reference")), None  # an operation has a handful of events
        else:
            is_sieved = len(columns) > 1 or self.criteria.among is not None
            column, reach = self.furthest(columns, WINDOW if is_sieved else PAGE_SIZE + 1)
            window, last = list(self.along(column, reach)), self.end_of(reach)
        found = [row for row in window if self.criteria.fits(row)][: PAGE_SIZE + 1]
        return found, None if len(found) > PAGE_SIZE else last

    def furthest(self, columns: list[str], count: int) -> tuple[str, int | None]:
        """Return the column whose index reaches furthest with so many events, and to when; None: to the end."""
        reaches = {column: self.reach(column, count) for column in columns or [""]}
        for column, reach in reaches.items():
            if reach is None:
                return column, None
        return (max if self.is_forward else min)(reaches.items(), key=lambda pair: pair[1] or 0)

    def reach(self, column: str, count: int) -> int | None:
        """Return the time of the event that comes so many events after the place."""
        events = self.of(column)
        if self.start is not None:
            events = events.filter(**{"ts__gte" if self.is_forward else "ts__lte": self.start.ts})
        times = events.order_by("ts" if self.is_forward else "-ts").values_list("ts", flat=True)
        return next(iter(times[count : count + 1]), None)

    def end_of(self, reach: int | None) -> Place | None:
        if reach is None:
            return None
        return Place(reach, HIGHEST if self.is_forward else 0)

    def along(self, column: str, reach: int | None = None) -> QuerySet[Event, Row]:
        """Read a column's index, or all events, from the place on and up to a time, within the dates."""
        events = self.of(column)
        if self.start is not None and self.is_forward:
            events = events.filter(ts__gte=self.start.ts).exclude(ts=self.start.ts, seq__lte=self.start.seq)
        elif self.start is not None:
            events = events.filter(ts__lte=self.start.ts).exclude(ts=self.start.ts, seq__gte=self.start.seq)
        if reach is not None:
            events = events.filter(**{"ts__lte" if self.is_forward else "ts__gte": reach})
        return events.order_by(*(("ts", "seq") if self.is_forward else ("-ts", "-seq"))).values_list(*COLUMNS)

    def of(self, column: str) -> QuerySet[Event]:
        """Return the events that have what is asked of this column, within the dates."""
        events = Event.objects.order_by()
        if column:
            events = events.filter(**{column: self.criteria.equal[column]})
        if column in SOMETIMES:
            events = events.exclude(**{column: ""})
        if self.criteria.since is not None:
            events = events.filter(ts__gte=self.criteria.since)
        if self.criteria.until is not None:
            events = events.filter(ts__lte=self.criteria.until)
        return events

    def numbers(self) -> QuerySet[Detail, int]:
        """Return the numbers of the events with the ticket, in their order."""
        details = Detail.objects.filter(ticket=self.criteria.ticket).exclude(ticket="")
        if self.start is not None:
            details = details.filter(**{"seq__gt" if self.is_forward else "seq__lt": self.start.seq})
        return details.order_by("seq" if self.is_forward else "-seq").values_list("seq", flat=True)[:WINDOW]

    def numbered(self, numbers: list[int]) -> list[Row]:
        rows = Event.objects.filter(seq__in=numbers).order_by().values_list(*COLUMNS)
        return sorted(rows, key=lambda row: row[1], reverse=not self.is_forward)
