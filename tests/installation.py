"""A real installation for tests in a browser, screenshots and benchmarks.

A simulated vendor on a loopback port of this process, and beside it `manage.py migrate` and
`manage.py serve` as subprocesses with an environment and a SQLite file of their own. Nothing of
the caller's environment reaches them.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from portal.embedded import free_port
from portal.getscreen.simulator import Simulator
from portal.getscreen.simulator.server import Server

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "correct horse battery staple"
API_KEY = "test-key-not-real"
START_SECONDS = 30.0

# User name, first and last name, role.
PEOPLE = (
    ("agent", "Mika", "Lindqvist", "Agent"),
    ("colleague", "Joss", "Imre", "Agent"),
    ("lead", "Ada", "Ferreira", "Team lead"),
    ("auditor", "Ines", "Rademacher", "Auditor"),
    ("admin", "Noor", "Sandoval", "Administrator"),
    ("newcomer", "Wren", "Abara", ""),
    ("forgetful", "Tove", "Halm", "Agent"),
    ("careful", "Emre", "Solak", "Agent"),
)
MAKE_PEOPLE = """
import json, sys
from django.contrib.auth.models import Group
from invitations.models import Policy
from portal.accounts.models import User
Policy.load()
for username, first, last, role in json.loads({people!r}):
    user = User.objects.create_user(
        username, f"{{username}}@example.org", {password!r}, first_name=first, last_name=last
    )
    user.groups.set(Group.objects.filter(name=role))
"""


def wait_until(what: Callable[[], Any], *, seconds: float = START_SECONDS, says: str = "") -> Any:
    """Return the first true value of `what`. Raises TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > deadline:
            raise TimeoutError(says or f"waited {seconds} s in vain")
        time.sleep(0.02)
    return found


class Installation:
    """The portal as an operator runs it. Also a context manager: leaving it ends every process."""

    def __init__(self, folder: Path, vendor: Server, **settings: str) -> None:
        self.folder = folder
        self.vendor = vendor
        self.database = folder / "portal.sqlite3"
        self.mails = folder / "mails"
        self._processes: list[subprocess.Popen[str]] = []
        self.port = free_port()
        self.secure_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "PYTHONWARNINGS": "ignore",
            "ENV_FILE": "none",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "DATABASE_URL": f"sqlite:///{self.database}",
            "STATIC_ROOT": str(folder / "static"),
            "AUDIT_KEY_FILE": str(folder / "audit.pem"),
            "WEBHOOK_PRIVATE_HOSTS": "localhost",
            "EMAIL_URL": f"filemail:///{self.mails}",
            "GETSCREEN_API_KEY": API_KEY,
            "GETSCREEN_API_URL": vendor.url,
            "GETSCREEN_LINK_HOSTS": f"127.0.0.1:{vendor.port}",
            "POLL_SECONDS": "1",
            "IDLE_POLL_SECONDS": "1",
            "REQUIRE_MFA": "off",
            "INSECURE_HTTP": "1",
            "PUBLIC_URL": self.url,
        } | settings

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._processes):
            stop(process)

    def manage(self, *arguments: str) -> str:
        """Run a management command to its end and return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"manage.py {arguments[0]} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def prepare(self, people: tuple[tuple[str, str, str, str], ...] = PEOPLE) -> None:
        self.manage("migrate", "--verbosity", "0")
        self.manage("shell", "-c", MAKE_PEOPLE.format(people=json.dumps(people), password=PASSWORD))

    def serve(
        self, *, port: int | None = None, workers: int = 1, threads: int = 8, **settings: str
    ) -> subprocess.Popen[str]:
        """Start `manage.py serve` and return once it answers. `settings` are this process's alone."""
        port = port or self.port
        size = ["--workers", str(workers), "--threads", str(threads)]
        log = (self.folder / f"serve-{port}.log").open("w", encoding="utf-8")
        with log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", "--bind", f"127.0.0.1:{port}", *size],
                cwd=ROOT,
                env=self.environment | settings,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self._processes.append(process)
        wait_until(
            lambda: answers(f"http://127.0.0.1:{port}/readyz") or process.poll() is not None,
            says=f"serve does not answer:\n{self.log(port)}",
        )
        if process.poll() is not None:
            raise RuntimeError(f"serve ended:\n{self.log(port)}")
        return process

    def watch(self) -> subprocess.Popen[str]:
        """Start `manage.py watch`: a watcher without a web server."""
        process = subprocess.Popen(
            [sys.executable, "manage.py", "watch"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._processes.append(process)
        return process

    def warm_starter(self) -> subprocess.Popen[str]:
        """Start the program of `tests.crashes.warm`, which starts others without the seconds that imports take."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.crashes.warm"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def log(self, port: int | None = None) -> str:
        return (self.folder / f"serve-{port or self.port}.log").read_text(encoding="utf-8")

    # The database, seen and changed from outside: quicker than a management command.

    def ask(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run one SQL statement in a transaction of its own."""
        with closing(sqlite3.connect(self.database, timeout=10)) as connection, connection:
            return connection.execute(
                statement, [str(each) if isinstance(each, datetime) else each for each in parameters]
            ).fetchall()

    def known(self, vendor_id: int, status: int | None = None) -> str:
        """Return the public id of an invitation, once the watcher has seen it (in this status)."""
        wanted = "SELECT public_id FROM invitations_invitation WHERE vendor_id = ? AND (? IS NULL OR status = ?)"
        rows = wait_until(lambda: self.ask(wanted, vendor_id, status, status), seconds=10, says="not seen")
        return str(rows[0][0])

    def trouble(self, name: str) -> None:
        """Wait until the watcher has noticed this trouble, or that there is none."""
        wait_until(
            lambda: self.ask("SELECT 1 FROM invitations_snapshot WHERE trouble = ? AND good_at IS NOT NULL", name),
            seconds=15,
            says=f"no trouble {name!r}: {self.ask('SELECT trouble FROM invitations_snapshot')}",
        )

    def finish_round(self, simulator: Simulator) -> None:
        """Wait until the watcher has written what it asked for last, so that nothing older turns up later."""
        asked = max((request.at for request in simulator.ledger.requests if request.operation == "list"), default=0.0)
        attempt = "SELECT (julianday(attempted_at) - 2440587.5) * 86400 FROM invitations_snapshot"
        # Before its first round there is no row to look at.
        wait_until(lambda: any((at or 0.0) > asked - 0.5 for (at,) in self.ask(attempt)), seconds=20)

    def forget_everything(self) -> None:
        """Empty the board, the history and the sign-in limits; people, policy and audit log stay."""
        for table in ("entry", "operation", "escalation", "delivery", "invitation"):
            self.ask(f"DELETE FROM invitations_{table}")
        self.ask("DELETE FROM portal_cache")
        self.ask("DELETE FROM accounts_tally")
        self.ask(
            "UPDATE invitations_snapshot SET revision = revision + 1, trouble = '', trouble_since = NULL,"
            " pause_until = NULL, remaining = ?",
            100,
        )

    def set_policy(self, **values: str) -> None:
        names = ", ".join(f"{name} = ?" for name in values)
        self.ask(f"UPDATE invitations_policy SET {names}", *values.values())
        self.ask("UPDATE invitations_snapshot SET revision = revision + 1")


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


@contextmanager
def vendor_on_a_port(**options: Any) -> Iterator[tuple[Simulator, Server]]:
    """A simulated vendor whose links lead to its own port."""
    simulator = Simulator(api_key=API_KEY, **options)
    with Server(simulator) as server:
        simulator.public_url = server.origin
        yield simulator, server
