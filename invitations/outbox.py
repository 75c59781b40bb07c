"""The outbox: mails and webhooks are ordered inside a transaction and sent afterwards, at least once.

A row of `Delivery` is the order. Whoever sends one claims it first, by moving its next try into the
future: if the process dies, the claim runs out and somebody else tries again. Receivers tell doubles by
the delivery's id. Of a webhook the earliest goes first, and what is later waits for its end.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from invitations.messages import mask
from invitations.models import Delivery, Entry, Invitation, Snapshot, Status, Webhook
from invitations.operations import targeted
from invitations.sending import Outcome, attempt, one_line
from invitations.webhooks import TIMING
from portal import audit
from portal.accounts.models import User
from portal.audit.kinds import Result
from portal.mail.smtp import SHARE

logger = logging.getLogger(__name__)
State, Kind = Delivery.State, Delivery.Kind
WAITS = (30, 120, 600, 3600, 3600)  # seconds after each failed try
MOST_TRIES = len(WAITS) + 1
GIVEN_UP_AFTER = timedelta(hours=24)
KEPT = timedelta(days=30)
AT_ONCE = 20  # in one call of `deliver_due`
WHILE = "waiting_since"  # in a payload: of no use once that client waits no more

_wakers: list[threading.Event] = []  # of this process's couriers


# --- Orders ------------------------------------------------------------------------------------------


def order_mail(
    *,
    invitation: Invitation | None,
    to: str,
    subject: str,
    body: str,
    by: User | None,
    while_waiting_since: datetime | None = None,
) -> Delivery:
    """Have a mail sent once the caller's transaction is committed. Raises ValidationError for what is no address.

    With `while_waiting_since` it is dropped as soon as that client does not wait any more.
    """
    validate_email(to)
    return order(
        kind=Kind.MAIL,
        invitation=invitation,
        to=to,
        subject=one_line(subject)[:200],
        body=body,
        by=by,
        by_name=by.display_name if by else "",
        payload={WHILE: while_waiting_since.isoformat()} if while_waiting_since else {},
    )


def order_webhook(*, webhook: Webhook, invitation: Invitation | None, payload: dict[str, Any]) -> Delivery:
    """Have a webhook called with plain JSON once the caller's transaction is committed, after its earlier calls.

    With `waiting_since` in the payload it is dropped as soon as that client does not wait any more.
    """
    return order(kind=Kind.WEBHOOK, webhook=webhook, invitation=invitation, payload=payload)


def order(**fields: Any) -> Delivery:
    delivery = Delivery.objects.create(**fields)
    transaction.on_commit(wake)
    return delivery


def wake() -> None:
    for waker in _wakers:
        waker.set()


# --- Sending -----------------------------------------------------------------------------------------


def deliver_due(*kinds: str) -> int:
    """Try what is due, of these kinds or of all, one after the other; return how many there were."""
    kinds = kinds or tuple(Kind.values)
    drop_pointless(kinds)
    for count in range(AT_ONCE):
        delivery = claim(kinds)
        if delivery is None:
            return count
        if reason := is_pointless(delivery):
            drop(delivery, reason)
        elif delivery.attempts > MOST_TRIES:  # whoever tried died each time
            settle(delivery, Outcome(_("The portal was interrupted at each try."), is_final=True))
        else:
            settle(delivery, attempt(delivery))
    return AT_ONCE


def drop_pointless(kinds: tuple[str, ...]) -> None:
    """End what waits for its next try and is of no use any more: of a webhook it holds up what is later."""
    now = timezone.now()
    rows = Delivery.objects.filter(state=State.WAITING, kind__in=kinds, next_at__gt=now).exclude(is_claimed(now))
    for row in rows.select_related("webhook", "invitation"):
        if reason := is_pointless(row):
            drop(row, reason)


def due(kinds: tuple[str, ...], now: datetime) -> QuerySet[Delivery]:
    """Return what may be tried now, in order. A next try further away than any wait is a clock that has gone back."""
    furthest = now + timedelta(seconds=2 * max(WAITS))
    earlier = Delivery.objects.filter(state=State.WAITING, webhook=OuterRef("webhook"), pk__lt=OuterRef("pk"))
    is_due = Q(next_at__lte=now) | Q(next_at__gt=furthest)
    return Delivery.objects.filter(is_due, ~Exists(earlier), state=State.WAITING, kind__in=kinds).order_by("pk")


def claim_length(kind: str) -> timedelta:
    """Return longer than any try takes: sooner than that nobody else may try."""
    longest = SHARE * settings.SMTP_TIMEOUT if kind == Kind.MAIL else TIMING.deadline
    return timedelta(seconds=longest + 60)


def claim(kinds: tuple[str, ...]) -> Delivery | None:
    """Return a delivery that is this process's alone to try, if there is one.

    Raises Unavailable while its end could not be recorded: it would be sent again and again.
    """
    now = timezone.now()
    found = list(due(kinds, now).select_related("webhook", "invitation")[:AT_ONCE])
    if found:
        audit.ensure_writable()
    for delivery in found:
        as_seen = Delivery.objects.filter(
            pk=delivery.pk, state=State.WAITING, attempts=delivery.attempts, next_at=delivery.next_at
        )
        until = now + claim_length(delivery.kind)
        if as_seen.update(attempts=delivery.attempts + 1, next_at=until, trouble=""):
            delivery.attempts += 1
            return delivery
    return None


def is_pointless(delivery: Delivery) -> str:
    """Return why nobody needs it any more, or nothing."""
    if delivery.webhook is not None and not delivery.webhook.is_active:
        return _("The webhook is switched off.")
    since = parse_datetime(str(delivery.payload.get(WHILE) or ""))
    if since and delivery.invitation is not None and not waits(delivery.invitation, since):
        return _("The client does not wait any more.")
    if delivery.kind == Kind.MAIL and delivery.invitation is not None and is_over(delivery.invitation):
        return _("The invitation is closed or has expired.")
    return ""


def is_over(invitation: Invitation) -> bool:
    """Say whether its code and link open nothing any more."""
    return invitation.has_expired or not invitation.is_open


def waits(invitation: Invitation, since: datetime) -> bool:
    """Say whether the client of that wait is still there, and nobody is with them."""
    is_same = invitation.joined_at == since
    return is_same and invitation.status == Status.JOINED and not invitation.taken_by_name


# --- How it went -------------------------------------------------------------------------------------


def settle(delivery: Delivery, outcome: Outcome) -> None:
    """Keep the outcome of a try: the end, or when the next one is. What was deleted or claimed anew is left alone."""
    with audit.writing():
        row = Delivery.objects.select_for_update().filter(pk=delivery.pk, attempts=delivery.attempts).first()
        if row is None:
            return
        if not outcome.trouble:
            end(row, State.SENT)
        elif row.state == State.WAITING:
            fail(row, outcome)


def fail(row: Delivery, outcome: Outcome) -> None:
    now = timezone.now()
    row.trouble = outcome.trouble[:200]
    is_old = now - row.ordered_at >= GIVEN_UP_AFTER
    is_last = outcome.is_final or row.attempts >= MOST_TRIES or is_old
    what = "given up" if is_last else "tried again later"
    logger.warning("Delivery %s (%s), try %d: %s It is %s.", row.public_id, row.kind, row.attempts, row.trouble, what)
    if is_last:
        end(row, State.FAILED, row.trouble)
        return
    row.next_at = now + timedelta(seconds=WAITS[row.attempts - 1])
    row.save(update_fields=["trouble", "next_at"])


def drop(delivery: Delivery, reason: str, *, by: User | None = None) -> bool:
    """End a delivery that waits and that nobody needs; say whether it did."""
    with audit.writing():
        row = Delivery.objects.select_for_update().filter(pk=delivery.pk, state=State.WAITING).first()
        if row is not None:
            end(row, State.CANCELLED, reason, by=by)
    return row is not None


def hasten(delivery: Delivery, *, by: User) -> bool:
    """Have a delivery that waits tried now; say whether it still waits."""
    with audit.writing():
        # Not while somebody is trying: that claim is what keeps two from sending it at once.
        rows = Delivery.objects.filter(pk=delivery.pk, state=State.WAITING).exclude(is_claimed(timezone.now()))
        is_hastened = bool(rows.update(next_at=timezone.now()))
        if is_hastened:
            transaction.on_commit(wake)
            record("delivery.hastened", delivery, Result.OK, actor=by)
    return is_hastened


def is_claimed(now: datetime) -> Q:
    """Say of rows whether they may be under way: a try has begun, and no outcome of it is written."""
    return Q(attempts__gt=0, trouble="", next_at__gt=now)


EVENTS = {
    State.SENT: ("delivery.sent", Result.OK),
    State.FAILED: ("delivery.failed", Result.FAILED),
    State.CANCELLED: ("delivery.cancelled", Result.OK),
}


def end(row: Delivery, state: Delivery.State, trouble: str = "", *, by: User | None = None) -> None:
    """Write the end where people see it, and erase what was sent and to whom."""
    row.state, row.trouble, row.ended_at = state, trouble[:200], timezone.now()
    row.to = row.subject = row.body = ""
    row.payload = {}
    row.save()
    if row.invitation is not None:
        # A mail to the client has its line already, which says how it went.
        if state == State.FAILED and not row.by_name:
            what = row.webhook.name if row.webhook else _("To a lead")
            Entry.objects.create(
                invitation=row.invitation, kind=Entry.Kind.NOT_SENT, detail=f"{what}: {row.trouble}"[:300]
            )
        Snapshot.bump()
    kind, result = EVENTS[state]
    record(kind, row, result, actor=by)


def record(kind: str, row: Delivery, result: Result, *, actor: User | None) -> None:
    facts = {"what": row.kind, "tries": row.attempts, "delivery": row.public_id}
    details = {"webhook": row.webhook.name if row.webhook else "", "trouble": row.trouble.rstrip(".")}
    about: dict[str, Any] = {"target_type": "delivery", "target_id": row.public_id, "details": details}
    if row.invitation is not None:
        about = targeted(row.invitation, **details)
    else:
        about["target_label"] = details["webhook"] or str(row.get_kind_display())
    audit.record(kind, result=result, actor=actor, facts=facts, **about)


def remove_old() -> int:
    """Remove what has ended long ago, and from timelines whole addresses of clients; return how many rows."""
    rows = Delivery.objects.filter(ended_at__lt=timezone.now() - KEPT)
    mails = rows.filter(kind=Kind.MAIL, invitation__isnull=False)
    with transaction.atomic():
        for invitation, at in mails.values_list("invitation", "ordered_at"):
            for line in Entry.objects.filter(invitation=invitation, at=at, kind=Entry.Kind.SHARED):
                line.detail = mask(line.detail)
                line.save(update_fields=["detail"])
        return rows.delete()[0]


def listen(waker: threading.Event) -> Callable[[], None]:
    """Have the event set whenever this process orders something; return what ends that."""
    _wakers.append(waker)
    return lambda: _wakers.remove(waker)
