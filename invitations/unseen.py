"""What the audit log leaves out for leads: what their people did with invitations that they may not know of."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Substr

from invitations.models import Invitation, Operation, sight_of

ABOUT = "invitation:"  # before the public id, in an event's target


def events_about(person: Any) -> Q | None:
    """Return what holds for events about an invitation that the person may not see; None if they may see every one.

    The intent to create one names none yet: its operation does.
    """
    sight = sight_of(person)
    if sight.is_whole:
        return None
    public_id = Substr(OuterRef("target"), len(ABOUT) + 1)
    is_seen = Exists(Invitation.objects.filter(sight.condition(), public_id=public_id))
    operations = Operation.objects.filter(reference=OuterRef("reference"))
    is_told = Exists(operations.filter(sight.of_operations))
    return (Q(target__startswith=ABOUT) & ~is_seen) | (Q(Exists(operations)) & ~is_told)
