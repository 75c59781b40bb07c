"""The portal under load: real processes with the default interval, and as many people signed in as asked for.

Responsible for starting, naming and ending what is measured. Refuses to know what is measured.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from portal.getscreen.simulator import Simulator
from tests import postgres
from tests.benchmarks.load import Browser
from tests.installation import Installation, vendor_on_a_port, wait_until

# Both in seconds, as the portal has them by default: an installation for tests is less patient.
INTERVAL = 3
IDLE_INTERVAL = 15
SYSTEMS = ("win", "mac", "linux", "")
# Signing in by the form costs a deliberately slow password check and is limited per address.
SIGN_IN = """
import json
from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client
from portal.accounts.models import User
group = Group.objects.get(name={role!r})
cookies = []
for number in range({count}):
    user, made = User.objects.get_or_create(
        username={name!r} + str(number), defaults={{"first_name": "Person", "last_name": str(number)}}
    )
    user.groups.set([group])
    window = Client()
    window.force_login(user)
    cookies.append({{settings.SESSION_COOKIE_NAME: window.cookies[settings.SESSION_COOKIE_NAME].value}})
print("cookies:" + json.dumps(cookies))
"""


class Portal(Installation):
    """An installation whose people need no password, with one more page that is empty."""

    def people(self, count: int, role: str = "Agent") -> list[dict[str, str]]:
        """Return the cookies of `count` people of this role."""
        name = f"{role.split()[-1].lower()}{secrets.token_hex(2)}-"
        said = self.manage("shell", "-v", "0", "-c", SIGN_IN.format(count=count, role=role, name=name))
        line = next(line for line in said.splitlines() if line.startswith("cookies:"))
        found: list[dict[str, str]] = json.loads(line.removeprefix("cookies:"))
        return found

    def browsers(self, cookies: list[dict[str, str]], *ports: int) -> list[Browser]:
        """Return a browser for each person, in turns at each of the ports."""
        ports = ports or (self.port,)
        return [Browser(ports[number % len(ports)], each) for number, each in enumerate(cookies)]


@contextmanager
def running(**settings: str) -> Iterator[tuple[Simulator, Portal]]:
    """A simulated vendor and a prepared portal in a folder of its own; nothing is served yet."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, vendor_on_a_port(seed=7) as (simulator, server):
        simulator.remaining = 1_000_000
        wanted = {
            "DJANGO_SETTINGS_MODULE": "tests.benchmarks.settings",
            "POLL_SECONDS": str(INTERVAL),
            "IDLE_POLL_SECONDS": str(IDLE_INTERVAL),
        } | settings
        with Portal(Path(folder), server, **wanted) as portal:
            portal.prepare(())
            portal.set_policy(creates_per_hour="0", connects_per_ten_minutes="0")
            yield simulator, portal


@contextmanager
def on_postgres(*, durable: bool = False) -> Iterator[dict[str, str]]:
    """A PostgreSQL server of our own, beside any that tests are using. Yields the setting that names it.

    durable: with fsync, for what writes.
    """
    kept = postgres.STATE
    postgres.STATE = Path(tempfile.gettempdir()) / f"portal-benchmark-postgres-{os.getpid()}"
    try:
        yield {"DATABASE_URL": postgres.start(durable=durable)}
    finally:
        postgres.stop()
        shutil.rmtree(postgres.STATE, ignore_errors=True)
        postgres.STATE = kept


def fill(simulator: Simulator, count: int) -> list[int]:
    """Open invitations as a desk has them: half wait, a quarter needs somebody, a quarter is in session."""
    now = time.time()
    return [
        simulator.add(
            f"Client number {number}",
            status=(0, 0, 1, 2)[number % 4],
            client_os=SYSTEMS[number % 4],
            created_at=now - 60 * number,
        )
        for number in range(count)
    ]


def wait_for_list(portal: Portal, count: int) -> None:
    """Wait until the watcher has written at least this many rows."""
    counted = "SELECT COUNT(*) FROM invitations_invitation"
    wait_until(lambda: portal.ask(counted)[0][0] >= count, seconds=60, says="the watcher wrote no list")


def workers_of(master: int) -> list[int]:
    """The worker processes of a `serve` process."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text(encoding="ascii")
    return [int(pid) for pid in children.split()]


def resident(pid: int) -> int:
    """The resident memory of a process in bytes."""
    fields: Any = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
