"""Who sees which invitations: the one place that knows.

The policy lets everybody see everything, or people their own teams' invitations and those of no team; and it
may let people make private ones, for themselves, whoever has taken them and the leads of their team. Whoever
may see the whole audit log or administers sees everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from django.db.models import Q

from invitations.models.policy import Policy
from portal.accounts import roles

if TYPE_CHECKING:
    from invitations.models.invitation import Invitation
    from portal.accounts.models import User


class Rules(Protocol):
    """What the policy says about it: a policy, or a snapshot, which reads it along."""

    @property
    def visibility(self) -> Any: ...

    @property
    def is_private_allowed(self) -> Any: ...


@dataclass(frozen=True)
class Sight:
    """What one person sees now, as a condition for the database and as the facts that decide it."""

    person: int
    teams: tuple[int, ...]
    led: tuple[int, ...]
    oversees: bool  # whatever the policy says
    by_team: bool
    by_person: bool  # some are private

    @property
    def is_whole(self) -> bool:
        return not (self.by_team or self.by_person)

    @property
    def facts(self) -> tuple[object, ...]:
        """Nothing for whoever sees everything; else what makes this sight another than anybody else's."""
        if self.is_whole:
            return ()
        return (self.person, self.by_team, self.by_person, self.teams, self.led)

    def condition(self, prefix: str = "", owners: tuple[str, ...] = ("created_by", "taken_by")) -> Q:
        """Return what holds for the invitations they see, whose columns begin with `prefix`."""
        own = Q.create([(f"{prefix}{owner}", self.person) for owner in owners], connector=Q.OR)
        seen = Q()
        if self.by_team:
            seen &= own | Q(**{f"{prefix}team": None}) | Q(**{f"{prefix}team__in": self.teams})
        if self.by_person:
            seen &= own | Q(**{f"{prefix}is_private": False}) | Q(**{f"{prefix}team__in": self.led})
        return seen

    def covers(self, invitation: Invitation) -> bool:
        """Say of one row what `condition` says of many, without asking the database."""
        if self.person in (invitation.created_by_id, invitation.taken_by_id):
            return True
        if self.by_team and invitation.team_id is not None and invitation.team_id not in self.teams:
            return False
        return not (self.by_person and invitation.is_private) or invitation.team_id in self.led

    @property
    def of_operations(self) -> Q:
        """Return what holds for the operations whose client they may know."""
        if self.is_whole:
            return Q()
        without = Q(invitation=None) & self.condition(owners=("by",))
        return without | (Q(invitation__isnull=False) & self.condition("invitation__"))


def sight_of(user: User, rules: Rules | None = None) -> Sight:
    """Return what somebody sees who may see the board at all. Without `rules` the policy is read."""
    oversees = user.has_perm(roles.AUDIT_ALL) or user.has_perm(roles.ADMINISTER)
    if rules is None:
        rules = Policy.load()
    leads = user.teams_led()
    return Sight(
        person=user.pk,
        teams=tuple(sorted(leads)),
        led=tuple(sorted(team for team, is_lead in leads.items() if is_lead)),
        oversees=oversees,
        by_team=not oversees and rules.visibility == Policy.Visibility.TEAMS,
        by_person=not oversees and bool(rules.is_private_allowed),
    )
