"""Who has taken care of a client, as columns of the invitation's row. Changed in transactions that hold its lock.

`taken_at` is empty as long as whoever it was handed over to has not taken it up; `connecting_at` says
since when whoever has it waits for the vendor's link, and is the same time where they have it only for that.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import F, Q
from django.utils import timezone

from invitations.models import CONNECTING_FOR, Invitation, Status
from invitations.operations import targeted
from invitations.refusals import Taken
from invitations.rows import lock, save
from portal import audit
from portal.accounts.models import User
from portal.audit.kinds import Result

NOBODY: dict[str, Any] = {"taken_by": None, "taken_by_name": "", "taken_at": None, "connecting_at": None}
# Whom a client calls who has it already: they were given it, or took it before the client came.
CALLS_HOLDER = Q(status=Status.JOINED, taken_by__isnull=False, connecting_at__isnull=True) & (
    Q(taken_at__isnull=True) | Q(joined_at__gt=F("taken_at"))
)


def given_to(person: User) -> dict[str, Any]:
    """Return the columns of a client whom `person` has and has not taken up yet."""
    return NOBODY | {"taken_by": person, "taken_by_name": person.display_name}


def is_connecting(invitation: Invitation) -> bool:
    """Say whether somebody waits for a link at this moment. Whoever does for longer has died with their process."""
    at = invitation.connecting_at
    return invitation.is_open and at is not None and abs(timezone.now() - at) < CONNECTING_FOR


def calls_holder(invitation: Invitation) -> bool:
    """Say whether the client waits for the one who has it: `CALLS_HOLDER` for one row."""
    if invitation.status != Status.JOINED or invitation.taken_by_id is None or invitation.connecting_at is not None:
        return False
    taken_at, joined_at = invitation.taken_at, invitation.joined_at
    return taken_at is None or (joined_at is not None and joined_at > taken_at)


def refuse(invitation: Invitation, by: User, named: str, kind: str) -> Taken | None:
    """Lock the row and return, and record as refused, that somebody else has it.

    It is no refusal where that is whom `by` was shown and has named, by their key: then `by` knows.
    """
    lock(invitation)
    if not invitation.is_open or not invitation.taken_by_name or invitation.taken_by_id == by.pk:
        return None
    if invitation.taken_by_id is not None and named == str(invitation.taken_by_id):
        return None
    refusal = Taken(invitation, is_connecting=is_connecting(invitation))
    about = targeted(invitation, holder=invitation.taken_by_name)
    audit.record(kind, result=Result.DENIED, actor=by, facts={"refused": refusal.reason}, **about)
    return refusal


class Connecting:
    """The claim that a connection brings along: taken with its intent, kept or given back with its outcome."""

    def __init__(self, invitation: Invitation, by: User, *, take_over: str = "") -> None:
        self.invitation, self.by, self.take_over = invitation, by, take_over
        self.at: datetime | None = None
        self.before: dict[str, Any] = {}

    def refuse(self) -> Taken | None:
        return refuse(self.invitation, self.by, self.take_over, "invitation.connect")

    def take(self) -> None:
        """Have the client, and say that one connects. Who had it before is remembered until the outcome."""
        row, self.at = self.invitation, timezone.now()
        self.before = {name: getattr(row, name) for name in NOBODY} | {"connecting_at": None}
        is_mine = row.taken_by_id == self.by.pk
        claim = {} if is_mine else given_to(self.by) | {"taken_at": self.at}
        save(row, **claim | {"connecting_at": self.at})

    @property
    def is_held(self) -> bool:
        """Say whether it is still this connection that has the client, after the row was read afresh."""
        return self.invitation.taken_by_id == self.by.pk and self.invitation.connecting_at == self.at

    @property
    def holder_before(self) -> str:
        """Return the name of whoever lost the client to this connection."""
        return str(self.before["taken_by_name"]) if self.before["taken_by"] != self.by else ""

    def keep(self) -> None:
        """Have the client from now on, unless a colleague has taken it over while the vendor thought."""
        lock(self.invitation)
        if self.is_held:
            save(self.invitation, taken_at=timezone.now(), connecting_at=None)

    def give_back(self) -> None:
        """Leave the client as it was before, unless somebody or something has changed that meanwhile."""
        lock(self.invitation)
        if self.is_held:
            save(self.invitation, **self.before)
