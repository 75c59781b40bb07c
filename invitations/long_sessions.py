"""Sessions that have lasted for hours: whoever has taken the client is asked whether that is so. Nothing is closed."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.utils import timezone

from invitations import actions
from invitations.models import Entry, Invitation, Policy, Status
from invitations.operations import targeted
from invitations.rows import enter, save
from portal import audit
from portal.accounts.models import User
from portal.audit.kinds import Result


def is_asked(invitation: Invitation, policy: Policy) -> bool:
    """Say whether its session has lasted for so long since it began, or since somebody last said that it goes on."""
    hours, since = policy.long_session_hours, invitation.active_at
    if not hours or since is None or invitation.status != Status.ACTIVE:
        return False
    return timezone.now() - max(since, invitation.still_at or since) > timedelta(hours=hours)


def became_long(before: datetime, now: datetime) -> Q:
    """Return what finds the sessions that `is_asked` has come to name between the two times."""
    length = timedelta(hours=Policy.load().long_session_hours)
    if not length:
        return Q(pk__in=[])
    after, until = before - length, now - length
    is_old = Q(active_at__lt=until) & (Q(still_at=None) | Q(still_at__lt=until))
    return Q(status=Status.ACTIVE) & is_old & (Q(active_at__gte=after) | Q(still_at__gte=after))


def confirm(*, invitation: Invitation, by: User) -> bool:
    """Note that the session goes on; say whether that was a question still."""
    if not actions.may_manage(by, invitation) and invitation.taken_by_id != by.pk:
        raise PermissionDenied
    with audit.writing():
        Invitation.objects.select_for_update().get(pk=invitation.pk)
        invitation.refresh_from_db()
        if not is_asked(invitation, Policy.load()):
            return False
        save(invitation, still_at=timezone.now())
        enter(invitation, Entry.Kind.STILL, by)
        audit.record("invitation.still", result=Result.OK, actor=by, **targeted(invitation))
    return True
