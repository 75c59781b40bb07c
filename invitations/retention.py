"""Erasing what is personal in invitations that were closed long ago, if the policy says after how many days.

What stays tells nothing of a client: ticket, times, who has worked on it, how it ended. The audit log has a
retention of its own, because only the owner of its tables may change it: `manage.py audit_erase`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from invitations.models import Entry, Invitation, Note, Operation, Policy, Status
from portal import audit
from portal.audit.kinds import Result

BATCH = 200  # in one transaction, which keeps other writers waiting
NOTHING = {"client_name": "", "reason": "", "note": ""}


def erase_old() -> int:
    """Erase the names, codes, notes and typed words of what is due; return of how many invitations."""
    days = Policy.load().erased_after_days
    if not days:
        return 0
    before, total = timezone.now() - timedelta(days=days), 0
    while count := erase_some(before, days):
        total += count
    # Also of what never became an invitation.
    Operation.objects.filter(invitation=None, started_at__lt=before).exclude(**NOTHING).update(**NOTHING)
    return total


def erase_some(before: datetime, days: int) -> int:
    """Erase one batch and record it, in one transaction; return how many invitations there were."""
    with audit.writing():
        due = Invitation.objects.filter(status=Status.CLOSED, closed_at__lt=before, erased_at__isnull=True)
        keys = list(due.order_by("closed_at").values_list("pk", flat=True)[:BATCH])
        if keys:
            Entry.objects.filter(invitation__in=keys).exclude(detail="").update(detail="")
            Note.objects.filter(invitation__in=keys).delete()
            Operation.objects.filter(invitation__in=keys).update(**NOTHING)
            Invitation.objects.filter(pk__in=keys).update(**NOTHING, code="", invite_url="", erased_at=timezone.now())
            audit.record("invitation.erase", result=Result.OK, facts={"count": len(keys), "days": days})
    return len(keys)
