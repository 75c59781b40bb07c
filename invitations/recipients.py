"""To whom a client may be handed over, and who of them is there at this moment."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from invitations.models import Invitation, Policy, sight_of
from portal.accounts import roles
from portal.accounts.backend import people as by_key
from portal.accounts.backend import with_permissions
from portal.accounts.models import Membership, Session, Team, User

AWAY_AFTER = timedelta(minutes=15)  # where the policy says nothing


def people() -> QuerySet[User]:
    """Everybody, with their permissions and `seen_at`: when they last did something in a session that is open."""
    sessions = Session.objects.filter(user=OuterRef("pk"), expire_date__gt=timezone.now())
    return with_permissions().annotate(seen_at=Subquery(sessions.order_by("-active_at").values("active_at")[:1]))


def away_after(policy: Policy) -> timedelta:
    return timedelta(minutes=policy.orphaned_after_minutes) or AWAY_AFTER


def is_away(person: User, policy: Policy) -> bool:
    """Say whether one of `people()` has done nothing for so long that their clients would return to the queue."""
    seen_at: datetime | None = getattr(person, "seen_at", None)
    return seen_at is None or timezone.now() - seen_at > away_after(policy)


def can_take(person: User, invitation: Invitation) -> bool:
    """Say whether the person may connect to this client."""
    if not person.is_active or person.awaits_approval or not person.has_perm(roles.CONNECT):
        return False
    return sees(person, invitation)


def sees(person: User, invitation: Invitation) -> bool:
    return Invitation.objects.visible_to(person).filter(pk=invitation.pk).exists()


def refuse_lost(person: User, invitation: Invitation) -> None:
    """Raise PermissionDenied if, with the row in hand, the person sees the invitation no longer.

    Both are read anew: a request may have waited for long since it loaded the person with their rights and teams.
    """
    now = by_key.get(person.pk)
    if now is None or not sees(now, invitation):
        raise PermissionDenied(_("You may not see this invitation any more, so nothing was changed."))


def people_for(invitation: Invitation, *, by: User) -> list[User]:
    """Return whom one may choose, in the order of their names: neither oneself nor whoever has it already."""
    others = people().filter(is_active=True, awaits_approval=False).exclude(pk__in=[by.pk, invitation.taken_by_id or 0])
    policy = Policy.load()
    able = [person for person in others if person.has_perm(roles.CONNECT) and person.has_perm(roles.SEE)]
    seeing = [person for person in able if sight_of(person, policy).covers(invitation)]  # of hundreds: no query each
    return sorted(seeing, key=lambda person: person.display_name.casefold())


def is_for_everybody(invitation: Invitation) -> bool:
    """Say whether whoever may connect sees it, so that nobody has to be asked about one by one."""
    return Policy.load().visibility == Policy.Visibility.EVERYONE and not invitation.is_private


def teams_for(invitation: Invitation) -> QuerySet[Team]:
    """Return the teams in which somebody would see it, of a private one as a lead: it must not wait unseen."""
    if is_for_everybody(invitation):
        return Team.objects.all()
    there = Membership.objects.filter(team=OuterRef("pk"), user__is_active=True, user__awaits_approval=False)
    if invitation.is_private and Policy.load().is_private_allowed:
        there = there.filter(is_lead=True)
    return Team.objects.filter(Exists(there))
