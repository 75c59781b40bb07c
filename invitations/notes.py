"""The rules about what people write down: a note that keeps its versions, a ticket that looks like one, an outcome.

Nothing here asks the vendor, and a note that somebody else has changed meanwhile is never overwritten unseen.
"""

from __future__ import annotations

from invitations import tickets
from invitations.models import Invitation, Note, Policy, Status
from invitations.refusals import NoteChanged, OutcomeMissing, ReasonMissing, TicketMalformed, TicketMissing
from portal.accounts.models import User


def check_ticket(*, ticket: str, reason: str) -> None:
    """Raise TicketMissing, ReasonMissing or TicketMalformed where the policy wants another ticket."""
    policy = Policy.load()
    if ticket and not tickets.fits(policy.ticket_pattern, ticket):
        raise TicketMalformed
    if policy.is_ticket_required and not ticket:
        if not policy.is_reason_enough:
            raise TicketMissing
        if not reason:
            raise ReasonMissing


def needs_outcome(invitation: Invitation, policy: Policy) -> bool:
    """Say whether it is closed with an outcome only: where a client has come."""
    return policy.is_outcome_required and invitation.status != Status.WAITING


def check_outcome(invitation: Invitation, outcome: str) -> None:
    """Raise OutcomeMissing where the policy wants one."""
    if not outcome and needs_outcome(invitation, Policy.load()):
        raise OutcomeMissing(invitation)


def version(invitation: Invitation) -> int:
    """Return how many versions the note has: what a form has shown, and sends back."""
    return invitation.notes.count()


def begin(invitation: Invitation) -> None:
    """Keep the note an invitation is made with as its first version. Inside the caller's transaction."""
    if invitation.note and not invitation.notes.exists():
        add(invitation, text=invitation.note, by=invitation.created_by, name=invitation.created_by_name)


def is_new(invitation: Invitation, *, text: str, seen: int) -> bool:
    """Say whether the note would change. Raises NoteChanged if somebody has changed it since the `seen` version."""
    if text == invitation.note:
        return False
    if version(invitation) != seen:
        raise NoteChanged(invitation)
    return True


def revise(invitation: Invitation, *, text: str, by: User, seen: int) -> bool:
    """Add a version if its words are new, and say whether they were. Inside a transaction with the row locked.

    Raises NoteChanged if there is a newer version than the one that was `seen`.
    """
    if not is_new(invitation, text=text, seen=seen):
        return False
    begin(invitation)  # written before versions were kept
    add(invitation, text=text, by=by, name=by.display_name)
    invitation.note = text
    return True


def add(invitation: Invitation, *, text: str, by: User | None, name: str) -> None:
    Note.objects.create(invitation=invitation, by=by, by_name=name, text=text)
