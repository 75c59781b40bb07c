"""(d) The board page and its changed fragment with few and with thousands of open invitations, each size in turn."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.benchmarks.portal import Portal, running
from tests.benchmarks.report import Table, milliseconds, times
from tests.installation import ROOT, stop

SIZES = (10, 100, 200, 1_000, 5_000)
FEW = 200  # what the others are compared with: one whole page
GOAL = 1.5
WHAT = {
    "page": "page, first after a change",
    "page again": "page, for the next person",
    "fragment": "fragment, first after a change",
    "fragment again": "fragment, for the next person",
}
Sample = dict[str, dict[str, Any]]


def run(quick: bool) -> Table:
    table = Table(
        "d",
        "The board by size",
        f"from 1,000 on at most {GOAL} times the time of {FEW}, with a constant number of queries",
        ("What", "Open", "Time", f"To {FEW}", "Bytes", "Queries"),
    )
    samples: dict[int, list[Sample]] = {size: [] for size in SIZES}
    with running() as (_simulator, portal), ExitStack() as stack:
        seats = {size: stack.enter_context(seat(portal, size)) for size in SIZES}
        for size, (coldest, _process) in seats.items():
            table.add("page, first of a process", f"{size:,}", milliseconds(coldest), "", "", "")
        for _ in range(4 if quick else 21):
            for size, (_coldest, process) in seats.items():
                samples[size].append(ask(process))
    for what, name in WHAT.items():
        for size in SIZES:
            add(table, what, name, size, samples)
    table.notes.append(
        "In one process per size on SQLite, before the WSGI application; medians of rounds, ratios within each round. "
        "The fragment is asked for by a page that shows an older state."
    )
    return table


def add(table: Table, what: str, name: str, size: int, samples: dict[int, list[Sample]]) -> None:
    mine, few = ([each[what] for each in samples[number][1:]] for number in (size, FEW))  # the first round warms up
    ratio = statistics.median(ours["seconds"] / theirs["seconds"] for ours, theirs in zip(mine, few, strict=True))
    queries = {each["queries"] for each in mine}
    is_constant = queries == {each["queries"] for each in few}
    table.add(
        name,
        f"{size:,}",
        milliseconds(statistics.median(each["seconds"] for each in mine)),
        times(ratio),
        f"{statistics.median(each['bytes'] for each in mine):,.0f}",
        "–".join(str(number) for number in sorted({min(queries), max(queries)})),
        met=ratio <= GOAL and is_constant if size > FEW else is_constant,
    )


@contextmanager
def seat(portal: Portal, size: int) -> Iterator[tuple[float, subprocess.Popen[str]]]:
    """A process whose copy of the empty database has this many open invitations, and its first page's seconds."""
    database = portal.folder / f"board-{size}.sqlite3"
    shutil.copy(portal.database, database)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.inside", str(size)],
        cwd=ROOT,
        env=portal.environment | {"DATABASE_URL": f"sqlite:///{database}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield float(said(process)), process
    finally:
        stop(process)


def ask(process: subprocess.Popen[str]) -> Sample:
    assert process.stdin is not None
    process.stdin.write("sample\n")
    process.stdin.flush()
    sample: Sample = json.loads(said(process))
    return sample


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
