"""Clients who wait while whoever has them is away: they return to the queue. The watcher's work, under its lease.

Of running sessions nothing is returned: somebody is with that client, whatever the portal sees of them. While the
list is old nobody knows which sessions run: whoever is only away keeps the client until it is fresh.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Max, Q
from django.utils import timezone

from invitations import assignment, recipients
from invitations.assignment import NOBODY
from invitations.escalation import is_old
from invitations.models import CONNECTING_FOR, Entry, Invitation, Policy, Snapshot, Status
from invitations.operations import targeted
from invitations.rows import lock, save
from portal import audit
from portal.accounts.models import User
from portal.audit.kinds import Result

# Why, in one word for the log.
AWAY, UNABLE, INTERRUPTED = "away", "unable", "interrupted"


def return_orphans() -> int:
    """Return to the queue whoever waits for somebody absent; return how many there were."""
    rows, policy = list(candidates()), Policy.load()
    if is_old(Snapshot.load(), timezone.now()):
        policy.orphaned_after_minutes = 0  # for this look: nobody counts as away
    holders = {person.pk: person for person in recipients.people().filter(pk__in={row.taken_by_id for row in rows})}
    return sum(settle(row, holders.get(row.taken_by_id or 0), policy) for row in rows)


def candidates() -> Iterable[Invitation]:
    """Return those who have joined and are somebody's, and those whose connection has died with its process."""
    died = Q(connecting_at__lt=timezone.now() - CONNECTING_FOR)
    held = Q(status=Status.JOINED, taken_by__isnull=False)
    return Invitation.objects.open().filter(held | died)


def settle(row: Invitation, holder: User | None, policy: Policy) -> bool:
    """Return one to the queue if it must; say whether it did. Locks the row and looks at it once more."""
    if assignment.is_connecting(row) or not (row.connecting_at or why(row, holder, policy)):
        return False
    known = (row.status, row.taken_by_id, row.taken_at, row.connecting_at)
    with audit.writing():
        lock(row)
        if (row.status, row.taken_by_id, row.taken_at, row.connecting_at) != known:
            return False  # somebody has just come to it
        is_for_connection = row.connecting_at is not None and row.taken_at == row.connecting_at
        reason = INTERRUPTED if is_for_connection else why(row, holder, policy)
        if row.status == Status.ACTIVE or not reason:
            save(row, connecting_at=None)
            return False
        before = row.taken_by_name
        save(row, **NOBODY)
        Entry.objects.create(invitation=row, kind=Entry.Kind.RETURNED, detail=before)
        audit.record("invitation.return", result=Result.OK, facts={"reason": reason}, **targeted(row, holder=before))
    return True


def why(row: Invitation, holder: User | None, policy: Policy) -> str:
    """Return why the holder cannot serve a client who waits, or nothing."""
    if row.status != Status.JOINED:
        return ""
    if holder is None or not recipients.can_take(holder, row):
        return UNABLE
    if not policy.orphaned_after_minutes or not recipients.is_away(holder, policy):
        return ""
    since = row.taken_at or given_at(row)
    return AWAY if since is None or timezone.now() - since > recipients.away_after(policy) else ""


def given_at(row: Invitation) -> datetime | None:
    """Return when the client was handed over, while whoever got them has not taken them up."""
    at: datetime | None = row.entries.filter(kind=Entry.Kind.HANDED_OVER).aggregate(at=Max("at"))["at"]
    return at
