"""The demo around the portal: a simulator in a process of its own, and one person per role."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import Group

from invitations.models import Policy
from portal.accounts import roles
from portal.accounts.models import User

PEOPLE = (
    (roles.AGENT, "agent", "Mika", "Lindqvist"),
    (roles.TEAM_LEAD, "lead", "Ada", "Ferreira"),
    (roles.AUDITOR, "auditor", "Ines", "Rademacher"),
    (roles.ADMINISTRATOR, "admin", "Noor", "Sandoval"),
)


@contextmanager
def simulator() -> Iterator[None]:
    """Run the simulator on the port that the settings name, for as long as the body runs."""
    port = urlsplit(settings.GETSCREEN_API_URL).port
    command = [sys.executable, "-m", "portal.getscreen.simulator", "--demo", "--port", str(port)]
    process = subprocess.Popen(  # noqa: S603  # our own module, our own port
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=settings.BASE_DIR, text=True
    )
    try:
        if process.stdout is None or not process.stdout.readline().startswith("ready"):
            raise RuntimeError("The simulator did not start.")
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)


def seed() -> list[tuple[str, str, str]]:
    """Make or renew one person per role and return (role, user name, new password) of each."""
    Policy.objects.update_or_create(pk=1, defaults={"helpdesk_name": "Quillmere IT Helpdesk"})
    people = []
    for role, username, first, last in PEOPLE:
        password = secrets.token_urlsafe(9)
        names = {"first_name": first, "last_name": last, "email": f"{username}@demo.example"}
        user, _ = User.objects.update_or_create(username=username, defaults=names)
        user.set_password(password)
        user.save(update_fields=["password"])
        user.groups.set([Group.objects.get(name=role)])
        people.append((role, username, password))
    return people
