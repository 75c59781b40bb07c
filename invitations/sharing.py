"""What people do to get an invitation to its client from here: order a mail."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import PermissionDenied

from invitations import limits, links, messages, outbox, recipients
from invitations.models import Entry, Invitation, Policy, Snapshot
from invitations.operations import targeted
from invitations.refusals import AlreadyClosed, Expired, MailOff, NoLink
from portal import audit
from portal.accounts import roles, tallies
from portal.accounts.models import User
from portal.audit.kinds import Result

FORM_SECONDS = 24 * 60 * 60  # so long a form that was sent is known


def refuse_what_is_over(invitation: Invitation) -> None:
    """Raise AlreadyClosed or Expired if a client could do nothing with code and link."""
    if invitation.has_expired:
        raise Expired(invitation)
    if not invitation.is_open:
        raise AlreadyClosed(invitation)


def mail(*, invitation: Invitation, by: User, to: str, language: str, line: str = "", token: str = "") -> Entry | None:
    """Order a mail with link and code to one address. The same form (`token`) sent twice orders one.

    Return when one was ordered for the same address before, if it was.
    Raises AlreadyClosed, Expired, NoLink, MailOff, LimitReached, or Unavailable if it cannot be recorded.
    """
    if not by.has_perm(roles.SEE_CODES):
        raise PermissionDenied
    if not settings.MAILERS:
        raise MailOff(invitation)
    key = f"mail:{by.pk}:{invitation.pk}:{token}"
    with audit.writing():
        locked = Invitation.objects.select_for_update().get(pk=invitation.pk)
        recipients.refuse_lost(by, locked)
        refuse_what_is_over(locked)
        if not links.client_link(locked, Policy.load()):
            raise NoLink(locked)
        if token and not tallies.take(key, 1, FORM_SECONDS).allowed:
            return None
        before = last_mail(locked, to)
        refusal = limits.take("mail", by=by, invitation=locked)
        if refusal is None:
            message = messages.message_for(locked, by=by, policy=Policy.load(), language=language, line=line)
            order(locked, by=by, to=to, message=message, line=line)
        elif token:
            tallies.give_back(key)
    if refusal is not None:  # only now: the event about it had to be committed
        raise refusal
    return before


def order(invitation: Invitation, *, by: User, to: str, message: messages.Message, line: str) -> None:
    delivery = outbox.order_mail(invitation=invitation, to=to, subject=message.subject, body=message.body, by=by)
    # The same moment: it is by this that the line of the timeline finds how its mail went.
    Entry.objects.create(
        invitation=invitation, kind=Entry.Kind.SHARED, at=delivery.ordered_at, actor_name=by.display_name, detail=to
    )
    Snapshot.bump()
    audit.record(
        "invitation.mailed",
        result=Result.OK,
        actor=by,
        facts={"language": message.language, "line": bool(line)},
        **targeted(invitation, address=to, line=line),
    )


def last_mail(invitation: Invitation, to: str) -> Entry | None:
    """Return when a mail to this address was ordered last."""
    return invitation.entries.filter(kind=Entry.Kind.SHARED, detail=to).last()
