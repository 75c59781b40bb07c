"""Who takes care of which client: claim, take over, release, hand over.

Like `invitations.actions`: each checks the person's right and whether they still see the invitation,
holds its row, and changes row, timeline and log in one transaction. The vendor knows nothing of it.
`named` is the key of whoever has the client as far as the person was shown: nobody is taken from
silently, and never somebody else than was meant. Raises PermissionDenied or ActionRefused.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from invitations import assignment, recipients
from invitations.assignment import NOBODY, given_to
from invitations.models import Entry, Invitation
from invitations.operations import targeted
from invitations.refusals import AlreadyClosed, CannotTake, Taken
from invitations.rows import enter, save
from portal import audit
from portal.accounts import roles
from portal.accounts.models import Team, User
from portal.audit.kinds import Result


def held_by(person: User) -> QuerySet[Invitation]:
    """Return the open invitations whose clients the person has, those who wait longest first."""
    return Invitation.objects.open().filter(taken_by=person).order_by("-status", "joined_at", "pk")


def may_give(user: User, invitation: Invitation) -> bool:
    """Say whether `user` may hand the client over and release it: what others have, only leads."""
    if user.has_perm(roles.MANAGE_ANY):
        return True
    return user.has_perm(roles.CONNECT) and invitation.taken_by_id in (None, user.pk)


def claim(*, invitation: Invitation, by: User, take_over: str = "") -> None:
    """Take care of the client; from a colleague only if `take_over` names them."""
    refuse_without(by, roles.CONNECT)
    with audit.writing():
        refusal = assignment.refuse(invitation, by, take_over, "invitation.claim")
        if refusal is None:
            refuse_lost(invitation, by)
            take(invitation, by)
    if refusal is not None:  # only now: the event about it had to be committed
        raise refusal


def take(invitation: Invitation, by: User) -> None:
    """Write down that `by` has the client. Taking up what one was given is a change, pressing twice is none."""
    before, is_mine = invitation.taken_by_name, invitation.taken_by_id == by.pk
    if is_mine and invitation.taken_at is not None:
        return
    changes = {} if is_mine else given_to(by)
    save(invitation, **changes | {"taken_at": timezone.now()})
    if before and not is_mine:
        tell(invitation, by, Entry.Kind.TAKEN_OVER, "invitation.take_over", detail=before, holder=before)
    else:
        tell(invitation, by, Entry.Kind.CLAIMED, "invitation.claim")


def release(*, invitation: Invitation, by: User, named: str = "") -> None:
    """Give the client back to the queue: nobody has them. Where nobody does already that is a success."""
    refuse_without(by, roles.CONNECT, roles.MANAGE_ANY)
    with audit.writing():
        refusal = refuse_others(invitation, by, named, "invitation.release")
        if refusal is None:
            refuse_lost(invitation, by)
            give_up(invitation, by)
    if refusal is not None:
        raise refusal


def give_up(invitation: Invitation, by: User) -> None:
    before, is_mine = invitation.taken_by_name, invitation.taken_by_id == by.pk
    if not before:
        return
    save(invitation, **NOBODY)
    whose = "" if is_mine else before
    tell(invitation, by, Entry.Kind.RELEASED, "invitation.release", detail=whose, holder=before)


def hand_over(*, invitation: Invitation, by: User, to: User | Team, note: str = "", named: str = "") -> None:
    """Give the client to a colleague, who has them from now on, or to a team, in which nobody has them yet.

    Raises CannotTake if the colleague may not connect to this client, or nobody in the team sees it, at this moment.
    """
    refuse_without(by, roles.CONNECT, roles.MANAGE_ANY)
    with audit.writing():
        refusal = refuse_others(invitation, by, named, "invitation.hand_over")
        if refusal is None:
            refuse_lost(invitation, by)
            give(invitation, by, to, note)
    if refusal is not None:
        raise refusal


def give(invitation: Invitation, by: User, to: User | Team, note: str) -> None:
    # As they are now, not as a form has read them.
    if isinstance(to, Team):
        if not recipients.teams_for(invitation).filter(pk=to.pk).exists():
            raise CannotTake(invitation)
        save(invitation, **NOBODY, team=to)
        name, recipient = to.name, "team"
    else:
        person = recipients.people().filter(pk=to.pk).first()
        if person is None or not recipients.can_take(person, invitation):
            raise CannotTake(invitation)
        save(invitation, **given_to(to))
        name, recipient = to.display_name, "person"
    detail = f"{name}: {note}" if note else name
    facts = {"recipient": recipient}
    tell(invitation, by, Entry.Kind.HANDED_OVER, "invitation.hand_over", detail=detail, facts=facts, to=name, note=note)


def tell(
    invitation: Invitation,
    by: User,
    kind: Entry.Kind,
    event: str,
    *,
    detail: str = "",
    facts: dict[str, Any] | None = None,
    **details: str,
) -> None:
    """Write a line of the timeline and, last in the transaction, the event."""
    enter(invitation, kind, by, detail=detail)
    audit.record(event, result=Result.OK, actor=by, facts=facts or {}, **targeted(invitation, **details))


def refuse_without(by: User, *permissions: str) -> None:
    if not any(by.has_perm(permission) for permission in permissions):
        raise PermissionDenied(_("Your role does not let you take care of clients."))


def refuse_others(invitation: Invitation, by: User, named: str, kind: str) -> Taken | None:
    """Return that somebody else has the client: for a lead, only if it is not whom they were shown."""
    return assignment.refuse(invitation, by, named if by.has_perm(roles.MANAGE_ANY) else "", kind)


def refuse_lost(invitation: Invitation, by: User) -> None:
    """Raise if, with the row in hand, the person sees the invitation no longer, or it is closed."""
    recipients.refuse_lost(by, invitation)
    if not invitation.is_open:
        raise AlreadyClosed(invitation)
