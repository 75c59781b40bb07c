"""Invitations that nobody has used in time: people extend them, the watcher closes them.

Closed is only what the portal has made with the key in use, whose time is up by both clocks, where nobody is and which
nobody has claimed, and only after the vendor has said so. The vendor closes without a condition, so whoever joins after
that answer loses the invitation: the answer counts for a moment, and nothing is done in between.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.core.exceptions import PermissionDenied
from django.db.models import Count, Max, Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from invitations import actions, recipients
from invitations.adoption import CLOCK_SLACK
from invitations.models import Entry, Invitation, InvitationQuerySet, Operation, Snapshot, Status
from invitations.operations import operation, succeed, targeted
from invitations.refusals import (
    AlreadyClosed,
    ExpiresAlready,
    ExtendedEnough,
    NeverExpires,
    Spared,
    UnderWay,
)
from invitations.rows import enter, save
from invitations.settling import CHECKED_FOR, CLOSING
from portal import audit
from portal.accounts.models import User
from portal.audit.kinds import Result
from portal.getscreen.client import Client
from portal.getscreen.errors import GetscreenError
from portal.getscreen.types import RemoteInvitation
from portal.getscreen.types import Status as RemoteStatus

VERB = "expire"
HOURS = (1, 8, 24)  # by which one may extend
FURTHEST = timedelta(days=7)  # from now
PER_ROUND = 3
CLOSE_WITHIN = 5.0  # seconds after which no further one begins
FRESH_FOR = 2.0  # seconds from asking for the state to closing
PAUSE = timedelta(minutes=1)  # of all, after one that did not end well
AGAIN_AFTER, AGAIN_AT_MOST = timedelta(minutes=5), timedelta(hours=6)  # of one that did not end well, doubling


def may_extend(user: User, invitation: Invitation) -> bool:
    """Say whether `user` may: whoever may close it, and whoever has claimed it."""
    return actions.may_manage(user, invitation) or invitation.taken_by_id == user.pk


def extend(*, invitation: Invitation, by: User, hours: int) -> None:
    """Let the invitation expire so many hours later, or so many from now if its time is up.

    Raises NeverExpires, ExtendedEnough beyond a week from now, and ExpiresAlready while the watcher closes it.
    """
    if not may_extend(by, invitation) or hours not in HOURS:
        raise PermissionDenied
    actions.client_for(invitation)
    with audit.writing():
        # The watcher locks it as well before it begins, so one of the two knows of the other.
        Invitation.objects.select_for_update().get(pk=invitation.pk)
        invitation.refresh_from_db()
        recipients.refuse_lost(by, invitation)
        until = extended(invitation, hours)
        save(invitation, expires_at=until)
        when = date_format(timezone.localtime(until), "D j M, H:i")
        detail = _("By %(hours)s h, until %(when)s") % {"hours": hours, "when": when}
        enter(invitation, Entry.Kind.EXTENDED, by, detail=detail)
        facts = {"hours": hours, "until": until.isoformat(timespec="seconds")}
        audit.record("invitation.extended", result=Result.OK, actor=by, facts=facts, **targeted(invitation))


def extended(invitation: Invitation, hours: int) -> datetime:
    if not invitation.is_open:
        raise AlreadyClosed(invitation)
    if invitation.expires_at is None:
        raise NeverExpires(invitation)
    if Operation.objects.running().filter(verb=VERB, invitation=invitation).exists():
        raise ExpiresAlready(invitation)
    now = timezone.now()
    until = max(invitation.expires_at, now) + timedelta(hours=hours)
    if until > now + FURTHEST:
        raise ExtendedEnough(invitation)
    return until


def close_due(client: Client, *, told_at: int | None, is_ours: Callable[[], bool]) -> None:
    """Close a few whose time is up, as long as it is our turn (`is_ours`) and the vendor does what it is told.

    `told_at`: the vendor's clock in the list that was just taken in. A server whose clock has jumped forward is alone
    with that, and a vendor who does not tell the time is no second opinion: then nothing expires.
    """
    if told_at is None:
        return
    deadline = time.monotonic() + CLOSE_WITHIN
    for invitation in due(client.fingerprint, datetime.fromtimestamp(told_at, UTC)):
        if time.monotonic() > deadline or not is_ours():
            return
        try:
            close(client, invitation, told_at)
        except (Spared, UnderWay):
            continue
        except GetscreenError:
            return


def due(account: str, told: datetime) -> list[Invitation]:
    """Return a few whose time is up, chosen anew each time, so that none that cannot be closed blocks the rest."""
    now = timezone.now()
    rows = Invitation.objects.of_account(account).filter(expires_at__lte=min(now, told))
    rows = rows.filter(status=Status.WAITING, is_external=False, taken_by=None)
    if not rows.exists() or troubled(now, account):
        return []
    ready = [pk for pk, failures, last in attempts(rows, now) if not failures or is_over(now, failures, last)]
    return list(Invitation.objects.filter(pk__in=random.sample(ready, min(PER_ROUND, len(ready)))))


def troubled(now: datetime, account: str) -> bool:
    """Say whether one has not ended well a moment ago."""
    lately = Operation.objects.filter(verb=VERB, account=account, started_at__range=(now - PAUSE, now + PAUSE))
    return lately.exclude(state=Operation.State.OK).exists()


def attempts(rows: InvitationQuerySet, now: datetime) -> list[tuple[int, int, datetime]]:
    """Return rows nobody closes at the moment, with how often it was tried in vain and when last."""
    closing = Operation.objects.unsettled().filter(started_at__gte=now - CHECKED_FOR) | Operation.objects.running()
    busy = closing.filter(verb__in=CLOSING, invitation__isnull=False).values("invitation")
    ours = Q(operations__verb=VERB)
    counted = rows.exclude(pk__in=busy).annotate(
        failures=Count("operations", filter=ours), last=Max("operations__started_at", filter=ours)
    )
    return list(counted.values_list("pk", "failures", "last"))


def is_over(now: datetime, failures: int, last: datetime) -> bool:
    """Say whether the wait after so many failures is over. A clock that has gone back does not prolong it."""
    return abs(now - last) > min(AGAIN_AFTER * (1 << min(failures - 1, 10)), AGAIN_AT_MOST)


def close(client: Client, invitation: Invitation, told_at: int) -> None:
    """Close one whose time is up. Raises Spared if it is in use after all, and GetscreenError."""
    with operation(VERB, by=None, account=client.fingerprint, invitation=invitation) as op:
        asked_at = time.monotonic()
        remote = look_again(client, invitation)
        if remote is None:
            raise Spared(invitation, "in use or closed")
        spare_unless_due(invitation, remote, told_at)
        if time.monotonic() - asked_at > FRESH_FOR:
            raise Spared(invitation, "the answer took too long")
        client.close(invitation.vendor_id)
        with audit.writing():
            mark(invitation)
            succeed(op)


def look_again(client: Client, invitation: Invitation) -> RemoteInvitation | None:
    """Return what the vendor says if nobody is there; else keep what has happened, and return nothing."""
    asked_in = Snapshot.load().revision
    remote = client.info(invitation.vendor_id, before_connect=True, is_key_good=True)
    if remote.status == RemoteStatus.WAITING:
        return remote
    actions.take_in(invitation, remote, asked_in)
    return None


def spare_unless_due(invitation: Invitation, remote: RemoteInvitation, told_at: int) -> None:
    """Raise Spared if somebody has done something with it meanwhile, or the vendor knows another or a younger one."""
    before = invitation.expires_at
    invitation.refresh_from_db()
    if not invitation.can_expire or invitation.expires_at != before or invitation.expires_at is None:
        raise Spared(invitation, "somebody was faster")
    if remote.code != invitation.code:
        raise Spared(invitation, "another code")
    # Our clock may have been wrong when it was made: the vendor's says how old it is.
    lifetime = invitation.expires_at - invitation.created_at
    if remote.created_at is None or timedelta(seconds=told_at - remote.created_at) + CLOCK_SLACK < lifetime:
        raise Spared(invitation, "not as old at Getscreen")


def mark(invitation: Invitation) -> None:
    """Let everybody see that it has expired, unless somebody has closed it in the same moment."""
    Invitation.objects.select_for_update().get(pk=invitation.pk)
    invitation.refresh_from_db()
    if invitation.is_open:
        now = timezone.now()
        save(invitation, status=Status.CLOSED, closed_at=now, expired_at=now)
        Entry.objects.create(invitation=invitation, kind=Entry.Kind.EXPIRED, at=now)
