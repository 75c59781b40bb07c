"""(j) Events appended to the audit log per second, each in a durable transaction of its own as an intent is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.load import percentile
from tests.benchmarks.portal import on_postgres
from tests.benchmarks.report import Table, milliseconds
from tests.installation import ROOT, Installation, vendor_on_a_port

GOALS = {"SQLite": 500, "PostgreSQL": 150}  # events per second with four writers
WRITERS = (1, 4)


@dataclass(frozen=True)
class Run:
    """What so many writers did at once."""

    events: int
    seconds: float  # from the first beginning to the last end
    waits: list[float]  # seconds of each append
    slowest: float  # how long the last writer took, compared with the first: 1 is fair
    problems: list[str]

    @property
    def rate(self) -> float:
        return self.events / self.seconds


def run(quick: bool) -> Table:
    table = Table(
        "k",
        "Appending to the audit log",
        "500 events/s on SQLite (synchronous=FULL), 150 on PostgreSQL (fsync on) with 4 writers; none lost",
        ("Database", "Writers", "Events/s", "p50", "p99", "longest", "last/first writer", "Lost, unordered, broken"),
    )
    each, disks = 100 if quick else 2000, []
    for name, goal in GOALS.items():
        with prepared(name) as portal:
            disks.append(f"{syncs_per_second(portal.folder):.0f} ({name})")
            for writers in WRITERS:
                seen = measure(portal, writers, each if name == "SQLite" else each // 2)
                waits = (percentile(seen.waits, 0.5), percentile(seen.waits, 0.99), max(seen.waits))
                table.add(
                    name,
                    str(writers),
                    f"{seen.rate:.0f}",
                    *map(milliseconds, waits),
                    f"{seen.slowest:.2f}",
                    ", ".join(seen.problems) or "0",
                    met=not seen.problems and (writers == 1 or seen.rate >= goal),
                )
    table.notes.append(
        "Each writer is a process that calls `audit.record` inside `audit.writing(durable=True)` with the facts and "
        "details of an intent to connect, one event per transaction. Afterwards every event that a writer was told "
        "is looked up, its own are in its order, and the whole chain is checked."
    )
    table.notes.append(
        f"Appends of 4 KiB with fdatasync that one process got from the disk just before: {', '.join(disks)} per "
        f"second. Load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."
    )
    return table


def syncs_per_second(folder: Path, count: int = 200) -> float:
    """Return what one process gets from this disk now: other work on the machine shows in it."""
    with tempfile.TemporaryFile(dir=folder) as file:
        began = time.perf_counter()
        for _ in range(count):
            file.write(bytes(4096))
            file.flush()
            os.fdatasync(file.fileno())
        return count / (time.perf_counter() - began)


@contextmanager
def prepared(name: str) -> Iterator[Installation]:
    """An empty installation on a folder of a real disk, never in memory."""
    folder = Path(tempfile.mkdtemp(prefix="benchmark-append-", dir=ROOT / "var" if (ROOT / "var").is_dir() else None))
    try:
        with vendor_on_a_port(seed=7) as (_, server):
            extra = {"AUDIT_KEY_FILE": str(folder / "keys" / "audit.pem"), "AUDIT_CHECKPOINT_DIR": str(folder)}
            if name == "SQLite":
                yield ready(Installation(folder, server, **extra))
            else:
                with on_postgres(durable=True) as database:
                    yield ready(Installation(folder, server, **extra, **database))
    finally:
        shutil.rmtree(folder)


def ready(portal: Installation) -> Installation:
    portal.prepare()
    return portal


def measure(portal: Installation, writers: int, each: int) -> Run:
    """Let so many processes begin at the same moment, and check what they left."""
    program = [sys.executable, "-m", "tests.benchmarks.appending"]
    running = [
        subprocess.Popen(
            [*program, "write", str(each)],
            cwd=ROOT,
            env=portal.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(writers)
    ]
    for process in running:
        assert process.stdout
        process.stdout.readline()  # it is ready
    for process in running:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [json.loads(process.communicate()[0]) for process in running]
    check = subprocess.run(
        [*program, "check"],
        cwd=ROOT,
        env=portal.environment,
        input=json.dumps([each["events"] for each in told]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    began, spent = min(each["began"] for each in told), [each["ended"] - each["began"] for each in told]
    return Run(
        events=sum(len(each["events"]) for each in told),
        seconds=max(each["ended"] for each in told) - began,
        waits=[wait for each in told for wait in each["waits"]],
        slowest=max(spent) / min(spent),
        problems=json.loads(check.stdout),
    )
