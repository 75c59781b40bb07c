"""A long audit log, made in a minute: `python -m tests.benchmarks.audit_log FILE COUNT`.

FILE becomes an SQLite database of the portal with COUNT events of a busy helpdesk: people who sign in,
invite, connect and close, failures, refusals, and what was seen at Getscreen. The chain, the details and
the blocks are as the portal makes them, so that `audit_verify` finds it intact; indexes and triggers are
taken away meanwhile and put back. The same COUNT gives the same log but for its salts' randomness.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from portal.audit.canonical import GENESIS, VERSION, canonical, commitment, hash_of
from portal.audit.merkle import Tree
from tests.installation import ROOT

SECOND = 1_000_000  # in microseconds
BEGIN = 1_700_000_000 * SECOND
NOISE = 2 * 60 * SECOND  # between two events at most
BATCH = 5_000
PEOPLE = 8
NETWORKS = [f"203.0.{number}.0/24" for number in range(6)]
RELEASE = {"release": "0.1.0", "node": "desk-1", "pid": 4242, "program": "serve"}
MAKE_PEOPLE = """
from django.contrib.auth.models import Group
from portal.accounts.models import User
for number in range(1, {count} + 1):
    role = "Auditor" if number == 1 else "Agent"
    user = User.objects.create_user(f"person-{{number}}", first_name="Person", last_name=str(number))
    user.groups.set(Group.objects.filter(name=role))
"""
EVENT = "INSERT INTO audit_event (seq, ts, kind, phase, result, reference, actor, target, network, prev, hash, record) \
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
DETAIL = "INSERT INTO audit_detail (seq, salt, data, ticket) VALUES (?, ?, ?, ?)"
BLOCK = "INSERT INTO audit_block (number, root) VALUES (?, ?)"
THINGS = """
    SELECT type, name, sql FROM sqlite_master
    WHERE tbl_name IN ('audit_event', 'audit_detail', 'audit_block') AND type IN ('index', 'trigger')
        AND sql IS NOT NULL
"""
Told = dict[str, Any]


class Desk:
    """A helpdesk at work: yields what happens, without end, the same for the same seed."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.count = 0

    def events(self) -> Iterator[tuple[Told, Told]]:
        """Yield contents (without number, time and chain) and their details."""
        while True:
            part = self.random.choices(
                (self.invitation, self.visit, self.stranger, self.refusal, self.portal), (60, 25, 6, 4, 5)
            )[0]
            yield from part()

    def invitation(self) -> Iterator[tuple[Told, Told]]:
        self.count += 1
        person, target = self.person(), f"invitation:inv-{self.count}"
        about = {
            "target": f"Client {self.count % 500}",
            "ticket": f"HD-{self.count}",
            "code": f"…{self.count % 1000:03}",
        }
        yield from self.operation("invitation.create", person, target, about)
        yield self.event("vendor.joined", "portal", "ok", target, about, facts={"precision_seconds": 3})
        yield from self.operation("invitation.connect", person, target, about)
        yield self.event("vendor.session", "portal", "ok", target, about, facts={"precision_seconds": 3})
        if self.random.random() < 0.5:
            yield self.event("invitation.revealed", person, "ok", target, about, facts={"what": "code"})
        yield from self.operation("invitation.close", person, target, about)

    def operation(self, kind: str, person: str, target: str, about: Told) -> Iterator[tuple[Told, Told]]:
        reference = f"{self.random.getrandbits(128):032x}"
        result = self.random.choices(("ok", "failed", "unknown"), (92, 5, 3))[0]
        vendor = {"key": "4f2a9c01", "ms": self.random.randrange(80, 900)}
        if result != "ok":
            vendor |= {"class": "Unavailable", "method": "support/connect", "status": 503, "reason": "no answer"}
        first = "invitation" if kind == "invitation.create" else target
        yield self.event(kind, person, "", first, about, phase="intent", reference=reference, up={"key": "4f2a9c01"})
        yield self.event(kind, person, result, target, about, phase="outcome", reference=reference, up=vendor)
        if result == "unknown":
            yield self.event(kind, person, "ok", target, about, phase="reconciled", reference=reference, up=vendor)

    def visit(self) -> Iterator[tuple[Told, Told]]:
        person = self.person()
        yield self.event("signin.ok", person, "ok")
        if self.random.random() < 0.3:
            yield self.event("audit.viewed", person, "ok", facts={"filters": ["kind"]})
        yield self.event("signout", person, "ok")

    def stranger(self) -> Iterator[tuple[Told, Told]]:
        about = {"claimed": self.random.choice(("admin", "root", "tilda", "support"))}
        yield self.event("signin.failed", "stranger", "denied", details=about)

    def refusal(self) -> Iterator[tuple[Told, Told]]:
        yield self.event("access.denied", self.person(), "denied", "page", {"target": "/admin/"})

    def portal(self) -> Iterator[tuple[Told, Told]]:
        yield self.event("vendor.trouble", "portal", "failed", up={"class": "Unavailable", "reason": "no answer"})
        yield self.event("vendor.recovered", "portal", "ok", facts={"after": "unreachable"})

    def person(self) -> str:
        return f"user:{self.random.randint(1, PEOPLE)}"

    def event(
        self, kind: str, actor: str, result: str, target: str = "", details: Told | None = None, **more: Any
    ) -> tuple[Told, Told]:
        is_person, network = actor.startswith("user:"), ""
        told = dict(details or {})
        if actor != "portal":
            network = self.random.choice(NETWORKS)
            told |= {
                "ip": network.replace("0/24", str(self.random.randrange(256))),
                "agent": "Mozilla/5.0 (Desk) Firefox/140.0",
            }
        who = {
            "id": actor,
            "name": f"Person {actor[5:]}" if is_person else "",
            "roles": ["Agent"] if is_person else [],
            "method": "password" if is_person else "",
            "session": f"{self.random.getrandbits(64):016x}" if is_person else "",
        }
        content = {
            "v": VERSION,
            "kind": kind,
            "phase": more.get("phase", "single"),
            "result": result,
            "reference": more.get("reference", ""),
            "actor": who,
            "origin": {"network": network, "proxied": bool(network), "agent": "8c1f22aa" if network else ""},
            "target": target,
            "facts": more.get("facts", {}),
            "up": more.get("up", {}),
            "sys": RELEASE,
        }
        return content, told


class Writer:
    """Numbers, chains and stores what happens."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.tree = Tree()
        self.head, self.ts = GENESIS, BEGIN
        self.random = random.Random(2)

    def write(self, count: int) -> None:
        happening = Desk().events()
        for start in range(0, count, BATCH):
            rows, details = [], []
            for content, told in islice(happening, min(BATCH, count - start)):
                row, detail = self.chained(content, told)
                rows.append(row)
                details += [detail] if told else []
            self.connection.executemany(EVENT, rows)
            self.connection.executemany(DETAIL, details)

    def chained(self, content: Told, told: Told) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        self.ts += self.random.randrange(1, NOISE)
        salt, data = f"{self.random.getrandbits(128):032x}", canonical(told)
        details = commitment(salt, data) if told else ""
        seq = self.tree.size + 1
        content |= {"seq": seq, "ts": self.ts, "prev": self.head, "details": details}
        record = canonical(content)
        prev, self.head = self.head, hash_of(record)
        if (whole := self.tree.add(self.head)) is not None:
            self.connection.execute(BLOCK, [self.tree.blocks.size - 1, whole.hex()])
        names = ("kind", "phase", "result", "reference")
        searched = (content["actor"]["id"], content["target"], content["origin"]["network"])
        row = (seq, self.ts, *(content[name] for name in names), *searched, prev, self.head, record)
        return row, (seq, salt, data, told.get("ticket", ""))


def environment(file: Path) -> dict[str, str]:
    """Return what the portal needs to work on this database."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "ENV_FILE": "none",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "SECRET_KEY": "a-key-for-benchmarks-only-and-nothing-else-0123456789-0123456789",
        "DATABASE_URL": f"sqlite:///{file.resolve()}",
        "STATIC_ROOT": str(file.resolve().with_suffix(".static")),
        "AUDIT_KEY_FILE": str(file.resolve().with_suffix(".pem")),
        "PUBLIC_URL": "http://127.0.0.1",
        "INSECURE_HTTP": "1",
        "REQUIRE_MFA": "off",
    }


def manage(file: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment(file), capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"manage.py {arguments[0]} failed:\n{done.stdout}{done.stderr}")


def make(file: Path, count: int) -> None:
    """Make the database. Raises FileExistsError if there is one."""
    if file.exists():
        raise FileExistsError(file)
    manage(file, "migrate", "--verbosity", "0")
    manage(file, "shell", "-v", "0", "-c", MAKE_PEOPLE.format(count=PEOPLE))
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        things = connection.execute(THINGS).fetchall()
        for kind, name, _sql in things:
            connection.execute(f'DROP {kind} "{name}"')
        for table in ("event", "detail", "block"):
            connection.execute(f"DELETE FROM audit_{table}")  # what the migration has recorded
        Writer(connection).write(count)
        for _kind, _name, sql in things:
            connection.execute(sql)
        connection.execute("COMMIT")
    manage(file, "audit_checkpoint")


def main(name: str, count: str) -> None:
    began = time.monotonic()
    make(Path(name), int(count))
    print(f"{int(count):,} events in {time.monotonic() - began:.0f} s")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
