"""The demo around the portal: a simulator in a process of its own, and one person per role."""

from __future__ import annotations

import logging
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import Group

from invitations import sync
from invitations.models import Entry, Invitation, Policy, Status
from portal.accounts import roles
from portal.accounts.models import User
from portal.getscreen import configured

PEOPLE = (
    (roles.AGENT, "agent", "Mika", "Lindqvist"),
    (roles.TEAM_LEAD, "lead", "Ada", "Ferreira"),
    (roles.AUDITOR, "auditor", "Ines", "Rademacher"),
    (roles.ADMINISTRATOR, "admin", "Noor", "Sandoval"),
)


# What the demo's people have noted, in the order of the simulator's rows. Some notes are empty.
TICKETS = ("HD-20418", "HD-20431", "HD-20433", "", "HD-20377", "HD-20390", "HD-20427", "")


@contextmanager
def simulator() -> Iterator[None]:
    """Run the simulator on the port that the settings name, for as long as the body runs."""
    port = urlsplit(settings.GETSCREEN_API_URL).port
    command = [sys.executable, "-m", "portal.getscreen.simulator", "--demo", "--port", str(port)]
    with subprocess.Popen(  # noqa: S603  # our own module, our own port
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=settings.BASE_DIR, text=True
    ) as process:
        try:
            if process.stdout is None or not process.stdout.readline().startswith("ready"):
                raise RuntimeError("The simulator did not start.")
            yield
        finally:
            process.terminate()


def furnish() -> None:
    """Fetch the simulator's rows, close what an earlier start left, and share most of the new ones out."""
    known = set(Invitation.objects.values_list("pk", flat=True))
    with silence("portal.getscreen"):
        settle()
    people = list(User.objects.filter(username__in=["agent", "lead", "admin"]).order_by("username"))
    rows = Invitation.objects.open().filter(is_external=True).exclude(pk__in=known).order_by("created_at")
    used = set(Invitation.objects.open().exclude(ticket="").values_list("ticket", flat=True))
    tickets = iter([ticket for ticket in TICKETS if ticket not in used])
    for number, row in enumerate(rows):
        if number % 4 == 3:
            continue  # some stay external, as in real life
        person = people[number % len(people)]
        row.is_external, row.created_by, row.created_by_name = False, person, person.display_name
        row.ticket = next(tickets, "")
        if row.status == Status.ACTIVE:
            row.taken_by, row.taken_by_name, row.taken_at = person, person.display_name, row.active_at
        row.save()
        row.entries.filter(kind=Entry.Kind.FOUND).update(
            kind=Entry.Kind.CREATED, at=row.created_at, actor_name=person.display_name, precision=None
        )


def settle() -> None:
    """Look until every row that the simulator no longer knows is closed: a look confirms only a few."""
    sync.run_round(configured.client())
    left = Invitation.objects.open().count()
    while sync.run_round(configured.client()) and (now := Invitation.objects.open().count()) < left:
        left = now


@contextmanager
def silence(name: str) -> Iterator[None]:
    """Keep the warnings of a logger out of the terminal: rows of an earlier start are expected to be unknown."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def seed() -> list[tuple[str, str, str]]:
    """Make or renew one person per role and return (role, user name, new password) of each."""
    Policy.objects.update_or_create(pk=1, defaults={"helpdesk_name": "Quillmere IT Helpdesk"})
    people = []
    for role, username, first, last in PEOPLE:
        password = secrets.token_urlsafe(9)
        fields = {"first_name": first, "last_name": last, "email": f"{username}@demo.example", "is_active": True}
        user, _ = User.objects.update_or_create(username=username, defaults=fields)
        user.set_password(password)
        user.save(update_fields=["password"])
        user.groups.set([Group.objects.get(name=role)])
        people.append((role, username, password))
    return people
