"""What a good list says about operations of which nobody knew whether they happened.

A create is looked for by `adoption`; a rename and a close show in the list. A connect shows nowhere:
nobody ever saw its link, and it counts as unknown until somebody connects or the invitation is closed. Runs
inside the round's transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from invitations.adoption import SLOW_VENDOR
from invitations.models import Entry, Invitation, Operation, Snapshot, Status
from invitations.operations import described
from portal import audit
from portal.audit.kinds import Phase, Result
from portal.getscreen.types import Listing, RemoteInvitation

State = Operation.State
CLOSING = ("close", "expire")
CHECKED_FOR = timedelta(days=1)  # what no list has settled by then is for people


def settle(account: str, listing: Listing, began: datetime) -> bool:
    """Settle what the list of `account`, asked for at `began`, gives evidence of; say whether it did any."""
    listed = {remote.id: remote for remote in listing.invitations}
    unknown = Operation.objects.select_related("by", "invitation").filter(
        state=State.UNKNOWN, account=account, invitation__isnull=False, started_at__gte=began - CHECKED_FOR
    )
    return any([settle_one(op, listed, began) for op in unknown])  # noqa: C419  # every one, not the first


def settle_one(op: Operation, listed: dict[int, RemoteInvitation], began: datetime) -> bool:
    if op.invitation is None:
        return False
    evidence = evidence_of(op, op.invitation, listed.get(op.invitation.vendor_id), began)
    if evidence:
        state, found = evidence
        conclude(op, state, found)
    return bool(evidence)


def evidence_of(
    op: Operation, invitation: Invitation, remote: RemoteInvitation | None, began: datetime
) -> tuple[State, str] | None:
    """Return how it ended and what shows it, or None while that may still change."""
    is_closed = invitation.status == Status.CLOSED
    is_over = began - (op.finished_at or op.started_at) > SLOW_VENDOR
    if op.verb == "rename" and remote is not None:
        if remote.client_name == op.client_name:
            return State.OK, "the list has the new name"
        is_ours = is_over and not later(op).exists()
        return (State.FAILED, "the list has another name") if is_ours else None
    if op.verb in CLOSING and is_closed:
        return State.OK, "the invitation is closed"
    if op.verb in CLOSING and remote is not None and is_over:
        return State.FAILED, "the list still has it open"
    if op.verb == "connect" and (is_closed or later(op).filter(state=State.OK).exists()):
        return State.FAILED, "nobody got the link, and it is not needed any more"
    return None


def later(op: Operation) -> QuerySet[Operation]:
    """Return what people did of the same kind afterwards: the list may show theirs instead."""
    return Operation.objects.filter(verb=op.verb, invitation=op.invitation, started_at__gt=op.started_at)


def conclude(op: Operation, state: State, evidence: str) -> None:
    op.state = state
    op.finished_at = op.finished_at or timezone.now()
    op.save(update_fields=["state", "finished_at"])
    invitation = op.invitation
    if invitation is not None and op.verb == "rename" and state == State.OK:
        Entry.objects.create(
            invitation=invitation,
            kind=Entry.Kind.RENAMED,
            at=op.started_at,
            actor_name=op.by.display_name if op.by else "",
            detail=f"→ {op.client_name}"[:300],
        )
    audit.record(
        f"invitation.{op.verb}",
        phase=Phase.RECONCILED,
        result=Result.OK if state == State.OK else Result.FAILED,
        actor=op.by,
        facts={"evidence": evidence},
        **described(op),
    )
    Snapshot.bump()
