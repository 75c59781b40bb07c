"""Which team an invitation belongs to: its creator's, or the one of theirs that they choose."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied

from invitations.models import Operation
from portal.accounts.models import Team, User


def names() -> dict[int, str]:
    """Return the name of each team, in the order of lists."""
    return dict(Team.objects.values_list("pk", "name"))


def of(user: User) -> dict[int, str]:
    """Return the name of each team that somebody is in."""
    own = user.teams_led()
    return dict(Team.objects.filter(pk__in=own).values_list("pk", "name")) if own else {}


def used_last(user: User, own: dict[int, str]) -> int | None:
    """Return the team of the person's last invitation, if they are in it still, else their first."""
    created = Operation.objects.filter(by=user, verb="create", team__in=own).order_by("-started_at", "-pk")
    found: int | None = created.values_list("team_id", flat=True).first()
    return found or next(iter(own), None)


def named(text: str, own: dict[int, str]) -> int | None:
    """Return which of these teams a link means by its name, in any case, or by its number."""
    wanted = " ".join(text.split()).casefold()
    return next((pk for pk, name in own.items() if wanted in (name.casefold(), str(pk))), None)


def chosen(user: User, team: int | None) -> int | None:
    """Return the team that a new invitation belongs to. Raises PermissionDenied for one they are not in."""
    own = of(user)
    if team is None:
        return next(iter(own), None) if len(own) < 2 else used_last(user, own)
    if team not in own:
        raise PermissionDenied
    return team
