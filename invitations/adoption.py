"""Who owns an invitation that the vendor has made: the person whose create it was, even if its answer was lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from invitations import notes, observations
from invitations.models import Entry, Invitation, Operation, Policy, Snapshot
from invitations.operations import succeed
from portal import audit
from portal.audit.kinds import Phase
from portal.getscreen.client import Client
from portal.getscreen.errors import GetscreenError
from portal.getscreen.types import Listing, RemoteInvitation

State = Operation.State
KEEP_LOOKING = timedelta(minutes=10)
CLOCK_SLACK = timedelta(seconds=5)
SLOW_VENDOR = timedelta(seconds=30)  # it may act after we stopped waiting


def own(op: Operation, remote: RemoteInvitation, *, is_certain: bool = True) -> Invitation:
    """Store `remote` as made by the operation's person. Inside the caller's transaction.

    Only what is certainly theirs expires by itself: a colleague may have made the one that was found elsewhere.
    """
    now = timezone.now()
    invitation = Invitation.objects.filter(account=op.account, vendor_id=remote.id).first()
    if invitation is None:
        invitation = observations.new_row(remote, account=op.account, at=now)
    invitation.created_by = op.by
    invitation.created_by_name = op.by.display_name if op.by else ""
    invitation.is_external = False
    for name in ("ticket", "reason", "note"):  # what colleagues wrote while it passed for an external one stays
        setattr(invitation, name, getattr(invitation, name) or getattr(op, name))
    op.refresh_from_db(fields=["team"])  # it may have been deleted while the vendor thought
    invitation.team, invitation.is_private = op.team, op.is_private
    invitation.expires_at = end_of(invitation, op) if is_certain else None
    invitation.changed_in = Snapshot.bump()
    is_saved = observations.apply(invitation, remote, at=now, precision=1)
    if not is_saved or not invitation.client_name:
        invitation.client_name = invitation.client_name or op.client_name
        invitation.save()
    notes.begin(invitation)
    Entry.objects.create(
        invitation=invitation,
        kind=Entry.Kind.CREATED,
        at=op.started_at,
        actor_name=invitation.created_by_name,
        detail=op.ticket,
    )
    op.invitation = invitation
    return invitation


def end_of(invitation: Invitation, op: Operation) -> datetime | None:
    """Return when it expires by the policy of this moment, if it does.

    The vendor tells when it was made, but that was not before we asked: a clock that is late there takes nothing off.
    """
    hours = Policy.load().expires_after_hours
    return max(invitation.created_at, op.started_at) + timedelta(hours=hours) if hours else None


def look_for(client: Client, op: Operation) -> Invitation | None:
    """Ask for one list and return the invitation that a lost create has made, if it is there beyond doubt."""
    try:
        listing = client.list()
    except GetscreenError:
        return None
    with audit.writing():
        return adopt(op, listing)


def adopt(op: Operation, listing: Listing) -> Invitation | None:
    """Take the single candidate for `op` from `listing`, or nothing. Inside the caller's transaction."""
    offset = clock_offset(listing)
    found = [remote for remote in listing.invitations if fits(op, remote, offset)]
    if len(found) != 1 or has_rival(op, found[0], offset):
        return None
    invitation = own(op, found[0], is_certain=False)
    succeed(op, phase=Phase.RECONCILED, facts={"adopted": True})
    return invitation


def fits(op: Operation, remote: RemoteInvitation, offset: timedelta) -> bool:
    """Say whether `remote` could be what `op` made: its name, new since the call, made within its window."""
    if remote.client_name != op.client_name or remote.id in op.known_ids:
        return False
    if Invitation.objects.filter(account=op.account, vendor_id=remote.id, is_external=False).exists():
        return False
    if remote.created_at is None:
        return True
    made_at = datetime.fromtimestamp(remote.created_at, UTC) - offset
    end = (op.finished_at or timezone.now()) + SLOW_VENDOR
    return op.started_at - CLOCK_SLACK <= made_at <= end


def has_rival(op: Operation, remote: RemoteInvitation, offset: timedelta) -> bool:
    """Say whether another unsettled create could have made the same invitation."""
    return any(fits(rival, remote, offset) for rival in unsettled_creates(op.account).exclude(pk=op.pk))


def unsettled_creates(account: str) -> QuerySet[Operation]:
    return Operation.objects.select_related("by").filter(
        verb="create",
        account=account,
        state__in=[State.PENDING, State.UNKNOWN],
        started_at__gte=timezone.now() - KEEP_LOOKING,
    )


def recent_creates(account: str) -> list[Operation]:
    """Return every create of late, however it ended: an id that nobody knows may be what one of them made."""
    since = timezone.now() - KEEP_LOOKING
    return list(Operation.objects.filter(verb="create", account=account, started_at__gte=since))


def clock_offset(listing: Listing) -> timedelta:
    """Return how far the vendor's clock is ahead of ours, zero if it did not say."""
    if listing.served_at is None:
        return timedelta()
    offset = datetime.fromtimestamp(listing.served_at, UTC) - timezone.now()
    return offset if abs(offset) > CLOCK_SLACK else timedelta()
