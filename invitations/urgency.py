"""Who waits for longer than the policy bears, so that pages call louder. Follows from the times alone."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q

from invitations.models import Invitation, Policy, Status

# A client is there, and nobody with them.
WAITING = Q(status=Status.JOINED, taken_by_name="", joined_at__isnull=False)


def is_urgent(invitation: Invitation, policy: Policy, now: datetime) -> bool:
    seconds = policy.escalate_page_seconds
    if not seconds or invitation.status != Status.JOINED or invitation.taken_by_name or invitation.joined_at is None:
        return False
    return now - invitation.joined_at >= timedelta(seconds=seconds)


def urgent(policy: Policy, now: datetime) -> Q:
    """Return the same for rows of a query."""
    if not policy.escalate_page_seconds:
        return Q(pk__in=[])
    return WAITING & Q(joined_at__lte=now - timedelta(seconds=policy.escalate_page_seconds))


def has_become_urgent(before: datetime, now: datetime) -> bool:
    """Say whether by time alone anybody's wait has become too long between two looks."""
    joined = list(Invitation.objects.filter(WAITING).order_by().values_list("joined_at", flat=True))
    seconds = Policy.load().escalate_page_seconds if joined else 0
    limit = timedelta(seconds=seconds)
    return bool(seconds) and any(before < at + limit <= now for at in joined if at)
