"""A helpdesk of two teams with an invitation of every kind, and who should see which, in plain words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product

from django.contrib.auth.models import Group
from django.utils import timezone

from invitations.models import Invitation, Policy, Snapshot, Status
from portal.accounts import roles
from portal.accounts.models import Membership, Team, User
from tests.conftest import Browser

POLICIES = [*product(("everyone", "teams"), (False, True))]
TEAMS = ("first", "second", None)
PEOPLE = {  # role, team, leads it
    "maker": (roles.AGENT, "first", False),
    "mate": (roles.AGENT, "first", False),
    "head": (roles.AGENT, "first", True),
    "manager": (roles.TEAM_LEAD, "first", False),
    "elsewhere": (roles.AGENT, "second", False),
    "head elsewhere": (roles.TEAM_LEAD, "second", True),
    "holder": (roles.AGENT, "second", False),
    "alone": (roles.AGENT, None, False),
    "auditor": (roles.AUDITOR, None, False),
    "admin": (roles.ADMINISTRATOR, None, False),
    "root": ("", None, False),
    "nobody": ("", "first", True),
}


@dataclass
class Thing:
    """One invitation: open or closed, of a team, private, made and held by somebody or not."""

    row: Invitation
    team: str | None
    is_private: bool
    maker: str | None
    holder: str | None


class World:
    """Everybody, two teams, and an invitation of every kind, whose client is named by its number."""

    def __init__(self, account: str) -> None:
        self.teams = {name: Team.objects.create(name=name) for name in ("first", "second")}
        self.people = {name: self.person(name, *about) for name, about in PEOPLE.items()}
        kinds = product(TEAMS, (False, True), ("maker", None), ("holder", None), (Status.JOINED, Status.CLOSED))
        self.things = [self.thing(number, account, *kind) for number, kind in enumerate(kinds, start=1001)]

    def person(self, name: str, role: str, team: str | None, leads: bool) -> User:
        user = User.objects.create_user(name.replace(" ", "-"), is_superuser=name == "root")
        user.groups.set(Group.objects.filter(name=role))
        if team:
            Membership.objects.create(user=user, team=self.teams[team], is_lead=leads)
        return user

    def thing(self, number, account, team, is_private, maker, holder, status) -> Thing:
        made, held = self.people.get(maker), self.people.get(holder)
        row = Invitation.objects.create(
            account=account,
            vendor_id=number,
            client_name=f"client{number}",
            code=str(100_000_000 + number),
            invite_url=f"https://go.getscreen.me/{number}",
            status=status,
            joined_at=timezone.now(),
            closed_at=timezone.now() if status == Status.CLOSED else None,
            team=self.teams.get(team),
            is_private=is_private,
            created_by=made,
            created_by_name=made.username if made else "",
            taken_by=held,
            taken_by_name=held.username if held else "",
            is_external=made is None,
        )
        return Thing(row, team, is_private, maker, holder)


def should_see(name: str, thing: Thing, visibility: str, is_private_allowed: bool) -> bool:
    role, team, leads = PEOPLE[name]
    if name == "root" or role in (roles.AUDITOR, roles.ADMINISTRATOR):
        return True
    if not role:
        return False
    if name in (thing.maker, thing.holder):
        return True
    if is_private_allowed and thing.is_private:
        return leads and team == thing.team
    return visibility == "everyone" or thing.team is None or thing.team == team


def decide(visibility: str = "everyone", is_private_allowed: bool = False) -> None:
    Policy.load()
    Policy.objects.update(visibility=visibility, is_private_allowed=is_private_allowed)
    Snapshot.bump()


def signed_in(user: User) -> Browser:
    browser = Browser()
    browser.force_login(user)
    return browser


def clients_in(text: str) -> set[str]:
    return set(re.findall(r"client\d{4}", text))


def text_of(answer) -> str:
    return b"".join(answer).decode(errors="replace") if answer.streaming else answer.content.decode()
