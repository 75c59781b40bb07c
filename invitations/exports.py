"""What leaves the portal as a file: the evidence about one invitation, and the closed invitations as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Q
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_POST

from invitations.models import Entry, Invitation, InvitationQuerySet
from invitations.operations import targeted
from invitations.presentation import line_of
from invitations.views import asked_for, find
from portal import audit
from portal.accounts import roles
from portal.accounts.access import SignedInRequest, require
from portal.audit import cells, selection
from portal.audit.downloads import Download, respond
from portal.audit.export import Export
from portal.audit.keys import KeyUnusable

BATCH = 500  # rows in memory
TIMELINE = ("time", "what", "who", "up_to_seconds_after", "text")
SAID = ("ticket", "reason", "note", "outcome")
COLUMNS = ("closed", "created", "joined", "client", "system", *SAID, "created_by", "taken_by", "invitation")


@require_POST
@require(roles.AUDIT_ALL)
def evidence(request: SignedInRequest, public_id: str) -> HttpResponseBase:
    """Send what the portal can show about one invitation: its timeline, its events, and what proves them."""
    invitation = find(request, public_id)
    try:
        download = Download(
            "audit.evidence",
            lambda: Export(selection.about(f"invitation:{public_id}"), extra=timeline_files(invitation)),
            actor=request.user,
            facts={"format": "zip"},
            **targeted(invitation),
        )
    except KeyUnusable as error:
        raise audit.Unavailable(str(error)) from error
    return respond(download, name=f"evidence-{public_id}.zip", content_type="application/zip")


def timeline_files(invitation: Invitation) -> Iterator[tuple[str, list[bytes]]]:
    """Yield the timeline as a table and as lines to read."""
    entries = list(invitation.entries.all())
    yield "timeline.csv", [cells.header(TIMELINE), cells.encode(map(entry_cells, entries))]
    lines = [line_of(entry, None) for entry in entries]
    text = "".join(f"{line.at:%Y-%m-%d %H:%M:%S} UTC  {line.title}  {line.detail}".rstrip() + "\n" for line in lines)
    yield "timeline.txt", [text.encode()]


def entry_cells(entry: Entry) -> tuple[Any, ...]:
    return entry.at.isoformat(), entry.kind, entry.actor_name, entry.precision, entry.detail


@require_POST
@require(roles.SEE)
def history(request: SignedInRequest) -> HttpResponseBase:
    """Send the closed invitations that the search finds, as a table. Codes only to who may see them."""
    query, may_see_codes = asked_for(request), request.user.has_perm(roles.SEE_CODES)
    rows = Invitation.objects.visible_to(request.user).closed(query, may_see_codes=may_see_codes)
    download = Download(
        "history.exported",
        lambda: Table(rows, may_see_codes=may_see_codes),
        actor=request.user,
        facts={"format": "csv", "filters": ["q"] if query else [], "with_codes": may_see_codes},
        details={"filters": {"q": query}} if query else {},
    )
    name = f"invitations-{timezone.localtime():%Y-%m-%d-%H%M}.csv"
    return respond(download, name=name, content_type="text/csv; charset=utf-8")


class Table:
    """Invitations as lines of a CSV, in batches."""

    def __init__(self, invitations: InvitationQuerySet, *, may_see_codes: bool) -> None:
        self.invitations = invitations
        self.may_see_codes = may_see_codes
        self.rows = 0

    def __iter__(self) -> Iterator[bytes]:
        yield cells.header([*COLUMNS, "code"] if self.may_see_codes else COLUMNS)
        rest = self.invitations
        while batch := list(rest[:BATCH]):
            self.rows += len(batch)
            yield cells.encode(map(self.cells, batch))
            last = batch[-1]
            rest = self.invitations.filter(
                Q(closed_at__lt=last.closed_at) | Q(closed_at=last.closed_at, pk__lt=last.pk)
            )

    def cells(self, invitation: Invitation) -> list[Any]:
        times = (invitation.closed_at, invitation.created_at, invitation.joined_at)
        said = (getattr(invitation, name) for name in ("client_name", "client_os", *SAID))
        people = (invitation.created_by_name, invitation.taken_by_name)
        found: list[Any] = [at and at.isoformat() for at in times]
        found += [*said, *people, invitation.public_id]
        return [*found, invitation.code] if self.may_see_codes else found
