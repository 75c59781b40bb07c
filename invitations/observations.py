"""What an answer of the vendor changes in our rows, and which line of the timeline that becomes.

Called inside a transaction by `actions` and `sync`. Times are when *we* saw it, with the interval
between two looks as their precision.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q

from invitations.models import NAME_LENGTH, Entry, Invitation, Operation, Status
from invitations.operations import targeted
from portal import audit
from portal.audit.kinds import Result
from portal.getscreen.types import RemoteInvitation

Kind = Entry.Kind
KEPT_AFTER_LEAVING = timedelta(hours=1)  # a computer may only be starting anew


def new_row(remote: RemoteInvitation, *, account: str, at: datetime) -> Invitation:
    """Return an unsaved row for an invitation nobody here knows, to be claimed by its creator or not."""
    created_at = datetime.fromtimestamp(remote.created_at, UTC) if remote.created_at else at
    return Invitation(account=account, vendor_id=remote.id, created_at=min(created_at, at))


def apply(invitation: Invitation, remote: RemoteInvitation, *, at: datetime, precision: int) -> bool:
    """Bring the row up to what the vendor says, save it, and return whether a person could see a difference."""
    if invitation.pk and not differs(invitation, remote):
        return False
    old_status = invitation.status if invitation.pk else None
    seen = values_of(invitation, remote)
    status = seen.pop("status")
    for name, value in seen.items():
        setattr(invitation, name, value)
    kind = move(invitation, status, at=at)
    invitation.save()
    if kind and old_status != invitation.status:
        note(invitation, kind, at=at, precision=precision)
    return True


def values_of(invitation: Invitation, remote: RemoteInvitation) -> dict[str, Any]:
    """Return what the row would say after `apply`, times apart."""
    status = Status(int(remote.status))
    return {
        "status": status,
        "raw_status": remote.raw_status if status == Status.UNKNOWN else "",
        "client_name": remote.client_name[:NAME_LENGTH],
        "client_os": remote.client_os or invitation.client_os,
        "has_preview": bool(remote.preview_url),
        "code": remote.code,
        "invite_url": remote.invite_url,
    }


def differs(invitation: Invitation, remote: RemoteInvitation) -> bool:
    """Say whether the vendor says anything else than the row does. What was erased does not come back from there."""
    values = values_of(invitation, remote)
    if invitation.erased_at is not None and values["status"] == Status.CLOSED:
        return False
    return any(getattr(invitation, name) != value for name, value in values.items())


def move(invitation: Invitation, status: Status, *, at: datetime) -> Entry.Kind | None:
    """Set the status with its times and return the timeline's word for the change, if it is one."""
    old, invitation.status = invitation.status, status
    invitation.closed_at = (invitation.closed_at or at) if status == Status.CLOSED else None
    if status != Status.CLOSED:
        invitation.expired_at = invitation.erased_at = None
    if status == Status.WAITING:
        invitation.joined_at = invitation.active_at = None
        if old != Status.WAITING:  # whoever comes back waits anew, and nobody is with them
            invitation.taken_by, invitation.taken_by_name, invitation.taken_at = None, "", None
            invitation.connecting_at = None
        if invitation.expires_at is not None and old != Status.WAITING:
            invitation.expires_at = max(invitation.expires_at, at + KEPT_AFTER_LEAVING)
        return Kind.LEFT if old in (Status.JOINED, Status.ACTIVE) else None
    if status == Status.JOINED:
        if old != Status.JOINED or invitation.joined_at is None:
            invitation.joined_at, invitation.active_at = at, None
        return Kind.JOINED
    if status == Status.ACTIVE:
        invitation.joined_at = invitation.joined_at or at
        invitation.active_at = invitation.active_at or at
        return Kind.ACTIVE
    return Kind.CLOSED_OUTSIDE if status == Status.CLOSED else Kind.UNKNOWN


AUDITED = {
    Kind.JOINED: "vendor.joined",
    Kind.LEFT: "vendor.left",
    Kind.ACTIVE: "vendor.session",
    Kind.CLOSED_OUTSIDE: "vendor.closed",
    Kind.FOUND: "vendor.external",
    Kind.UNKNOWN: "vendor.status",
}


def note(invitation: Invitation, kind: Entry.Kind, *, at: datetime, precision: int | None, detail: str = "") -> None:
    """Write what was observed into the timeline and the audit log."""
    op = closing_of(invitation) if kind == Kind.CLOSED_OUTSIDE else None
    if op is not None:
        kind = Kind.CLOSED if op.by else Kind.EXPIRED  # settling writes the event of the operation
    if kind == Kind.EXPIRED:
        invitation.expired_at = at
        invitation.save(update_fields=["expired_at"])
    name = op.by.display_name if op and op.by else ""
    Entry.objects.create(invitation=invitation, kind=kind, at=at, actor_name=name, precision=precision, detail=detail)
    if kind in AUDITED:
        audit.record(
            AUDITED[kind],
            result=Result.OK,
            facts={"precision_seconds": precision},
            **targeted(invitation, **({"status": invitation.raw_status} if invitation.raw_status else {})),
        )


def closing_of(invitation: Invitation) -> Operation | None:
    """Return the close that had no known outcome until now, a person's or our own, unless a list has refuted it."""
    closes = Operation.objects.unsettled().filter(Q(verb="close", by__isnull=False) | Q(verb="expire"))
    return closes.filter(invitation=invitation).select_related("by").order_by("started_at").last()


def close(invitation: Invitation, *, at: datetime, precision: int) -> None:
    """Mark a vanished invitation as closed, once its fate is confirmed."""
    move(invitation, Status.CLOSED, at=at)
    invitation.save()
    note(invitation, Kind.CLOSED_OUTSIDE, at=at, precision=precision)
