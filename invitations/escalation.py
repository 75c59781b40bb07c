"""Clients who wait and whom nobody takes: first pages get louder, then webhooks are called, then leads get a mail.

Louder pages follow from the times alone: `invitations.urgency`. The other steps are taken by whichever
watcher has the lease, once for each wait: a row of `Escalation` says that a step was taken, or what held it
back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Max, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from invitations import outbox
from invitations.models import Entry, Escalation, Invitation, InvitationQuerySet, Policy, Snapshot, Status, Webhook
from invitations.operations import targeted
from invitations.urgency import WAITING
from invitations.webhooks import EVENT_WAITING
from portal import audit
from portal.accounts import roles
from portal.accounts.models import User
from portal.audit.kinds import Result

logger = logging.getLogger(__name__)
Step = Escalation.Step
QUIET, FLOOD, NOBODY = "quiet", "flood", "nobody"  # what holds a step back
HOUR = timedelta(hours=1)
LOOK_AGAIN = 30.0  # seconds, while something is held back by the hour of the day, or what is known is old


# Whoever is given back, or to a team in which nobody has them yet, waits anew.
GIVEN_BACK = (Entry.Kind.RELEASED, Entry.Kind.RETURNED, Entry.Kind.HANDED_OVER)


class Wait(NamedTuple):
    """One client's one wait."""

    pk: int
    began_at: datetime


# --- Steps -------------------------------------------------------------------------------------------


class Escalator:
    """Remembers when the next step can be due, so that nothing is asked for while nobody waits."""

    def __init__(self) -> None:
        self.revision: int | None = None
        self.due_at: float | None = None  # on the monotonic clock; None: not before the revision moves

    def run(self, snapshot: Snapshot) -> None:
        """Take the steps that are due. For the watcher that has the lease, at every tick."""
        is_due = self.due_at is not None and time.monotonic() >= self.due_at
        if snapshot.revision == self.revision and not is_due:
            return
        seconds = take_due(snapshot, timezone.now())
        self.revision = snapshot.revision
        self.due_at = None if seconds is None else time.monotonic() + seconds


def take_due(snapshot: Snapshot, now: datetime) -> float | None:
    """Take every step that is due; return in how many seconds to look again, None if nobody waits."""
    waiting = waits_of(Invitation.objects.filter(account=snapshot.account))
    if not waiting:
        return None
    if is_old(snapshot, now):  # who is still there nobody knows
        return LOOK_AGAIN
    policy = Policy.load()
    held = {
        (escalation.invitation_id, escalation.joined_at, escalation.step): escalation.held_back
        for escalation in Escalation.objects.filter(invitation__in=[wait.pk for wait in waiting])
    }
    again = LOOK_AGAIN
    for wait, step, at in steps_of(waiting, policy):
        held_back = held.get((*wait, step))
        if at > now:
            again = min(again, (at - now).total_seconds())
        elif held_back is None or (held_back == QUIET and not is_quiet(policy, now)):
            take(wait, step, policy, now)
    return again


def waits_of(rows: InvitationQuerySet) -> list[Wait]:
    """Return the waits of these, from when the client came, or from when somebody who had them gave them back."""
    back = Max("entries__at", filter=Q(entries__kind__in=GIVEN_BACK))
    found = rows.filter(WAITING).annotate(back=back).order_by("joined_at").values_list("pk", "joined_at", "back")
    return [Wait(pk, max(at, back or at)) for pk, at, back in found if at]


def is_old(snapshot: Snapshot, now: datetime) -> bool:
    at = snapshot.good_at
    return at is None or now - at > timedelta(seconds=settings.STALE_SECONDS)


def steps_of(waiting: list[Wait], policy: Policy) -> Iterator[tuple[Wait, Step, datetime]]:
    seconds = {Step.WEBHOOK: policy.escalate_webhook_seconds, Step.MAIL: policy.escalate_mail_seconds}
    for wait in waiting:
        for step, patience in seconds.items():
            if patience:
                yield wait, step, wait.began_at + timedelta(seconds=patience)


def take(wait: Wait, step: Step, policy: Policy, now: datetime) -> None:
    """Take one step, unless that client waits no more or it was taken; write down what held it back."""
    with audit.writing():
        rows = Invitation.objects.filter(pk=wait.pk)
        invitation = rows.select_for_update().first()
        if invitation is None or waits_of(rows) != [wait]:
            return
        about: dict[str, Any] = {"invitation": invitation, "joined_at": wait.began_at, "step": step}
        before = Escalation.objects.filter(**about).first()
        if before is not None and before.held_back != QUIET:
            return
        told = people_or_webhooks(step, invitation)
        held_back = what_holds_back(policy, told, now)
        is_first_of_flood = held_back == FLOOD and not lately(now).filter(held_back=FLOOD).exists()
        Escalation.objects.update_or_create(**about, defaults={"held_back": held_back, "at": now})
        if not held_back:
            tell(step, invitation, told, now)
        elif is_first_of_flood:
            facts = {"allowed": policy.escalations_per_hour}
            audit.record("invitation.escalation_limited", result=Result.DENIED, facts=facts)


def what_holds_back(policy: Policy, told: list[Any], now: datetime) -> str:
    if is_quiet(policy, now):
        return QUIET
    if not told:
        return NOBODY
    most = policy.escalations_per_hour
    return FLOOD if most and lately(now).filter(held_back="").count() >= most else ""


def is_quiet(policy: Policy, now: datetime) -> bool:
    """Say whether it is in the quiet hours of TIME_ZONE, which may go over midnight."""
    begin, end = policy.quiet_from, policy.quiet_until
    if begin is None or end is None or begin == end:
        return False
    at = timezone.localtime(now).time()
    return begin <= at < end if begin < end else at >= begin or at < end


def lately(now: datetime) -> Any:
    """Return the steps of the last hour; of the next one as well, which a clock that went back has left."""
    return Escalation.objects.filter(at__gt=now - HOUR, at__lt=now + HOUR)


# --- Whom, and what ----------------------------------------------------------------------------------


def people_or_webhooks(step: Step, invitation: Invitation) -> list[Any]:
    if step == Step.WEBHOOK:
        return list(Webhook.objects.filter(is_active=True))
    return leads_for(invitation) if settings.MAILERS else []


def leads_for(invitation: Invitation) -> list[User]:
    """Return who leads the invitation's team, else everybody who may manage every one.

    All of them may see it and have an address.
    """
    people = User.objects.filter(is_active=True, awaits_approval=False).exclude(email="").order_by("pk")
    leads = people.filter(memberships__team=invitation.team_id, memberships__is_lead=True).distinct()
    found = sees(leads, invitation) if invitation.team_id else []
    return found or sees(people.filter(holds(roles.MANAGE_ANY)).distinct(), invitation)


def holds(permission: str) -> Q:
    label, codename = permission.split(".")
    of_role = Q(groups__permissions__content_type__app_label=label, groups__permissions__codename=codename)
    return Q(is_superuser=True) | of_role


def sees(people: Any, invitation: Invitation) -> list[User]:
    return [user for user in people if Invitation.objects.visible_to(user).filter(pk=invitation.pk).exists()]


def tell(step: Step, invitation: Invitation, told: list[Any], now: datetime) -> None:
    """Order what the step sends, and say so on the timeline and in the log."""
    if step == Step.WEBHOOK:
        for webhook in told:
            outbox.order_webhook(webhook=webhook, invitation=invitation, payload=payload_of(invitation, now))
        words = ngettext("%(count)d webhook is called", "%(count)d webhooks are called", len(told))
    else:
        for lead in told:
            mail(lead, invitation, now)
        words = ngettext("%(count)d lead gets a mail", "%(count)d leads get a mail", len(told))
    detail = words % {"count": len(told)}
    Entry.objects.create(invitation=invitation, kind=Entry.Kind.ESCALATED, at=now, detail=detail)
    Snapshot.bump()
    facts = {"step": str(step), "count": len(told), "seconds": seconds_of(invitation, now)}
    audit.record("invitation.escalated", result=Result.OK, facts=facts, **targeted(invitation))


def seconds_of(invitation: Invitation, now: datetime) -> int:
    return int((now - (invitation.joined_at or now)).total_seconds())


def address_of(invitation: Invitation) -> str:
    return settings.PUBLIC_URL + reverse("invitation", args=[invitation.public_id])


def payload_of(invitation: Invitation, now: datetime) -> dict[str, Any]:
    """Return what a webhook is told: no name, no code, and no link but that of our own page."""
    return {
        "event": EVENT_WAITING,
        "time": now.isoformat(),
        "invitation": invitation.public_id,
        "url": address_of(invitation),
        "status": Status(invitation.status).name.lower(),
        "team": invitation.team.name if invitation.team else None,
        "waiting_since": invitation.joined_at.isoformat() if invitation.joined_at else None,
        "waiting_seconds": seconds_of(invitation, now),
    }


def mail(lead: User, invitation: Invitation, now: datetime) -> None:
    minutes = max(1, seconds_of(invitation, now) // 60)
    helpdesk = Policy.load().helpdesk_name
    text = ngettext(
        "a client has been waiting for %(count)d minute, and nobody takes care of them.",
        "a client has been waiting for %(count)d minutes, and nobody takes care of them.",
        minutes,
    ) % {"count": minutes}
    lines = [_("Hello %(name)s,") % {"name": lead.display_name}, text]
    if invitation.team:
        lines.append(_("Team: %(team)s") % {"team": invitation.team.name})
    lines += [_("See who it is and connect, or hand the client over to somebody:"), address_of(invitation)]
    outbox.order_mail(
        invitation=invitation,
        to=lead.email,
        subject=_("%(helpdesk)s: a client is waiting and nobody is there") % {"helpdesk": helpdesk},
        body="\n\n".join(lines) + "\n",
        by=None,
        while_waiting_since=invitation.joined_at,
    )
