"""How a person's change gets into an invitation's row and onto its timeline, always inside the caller's transaction."""

from __future__ import annotations

from typing import Any

from invitations.models import Entry, Invitation, Snapshot
from portal.accounts.models import User


def lock(invitation: Invitation) -> None:
    """Read the row afresh and keep others from it until the end of the transaction."""
    invitation.refresh_from_db(from_queryset=Invitation.objects.select_for_update())


def save(invitation: Invitation, **changes: Any) -> None:
    """Store what a person changed, so that no list asked for earlier can undo it, and let every board know.

    Compared by revision, not by time: clocks may differ between replicas, and jump.
    """
    for name, value in changes.items():
        setattr(invitation, name, value)
    invitation.changed_in = Snapshot.bump()
    invitation.save(update_fields=[*changes, "changed_in"])


def enter(invitation: Invitation, kind: Entry.Kind, by: User, *, detail: str = "") -> None:
    """Write a line of the timeline."""
    Entry.objects.create(invitation=invitation, kind=kind, actor_name=by.display_name, detail=detail[:300])
