"""(j) The audit log's page with a thousand and with a million events, for every filter, each size in turn.

Also for itself: `python -m tests.benchmarks.audit_page [SMALL LARGE]`, two databases of `audit_log`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks import audit_log
from tests.benchmarks.report import Table, milliseconds, times
from tests.installation import ROOT, stop

SIZES = (1_000, 1_000_000)
QUICK = (200, 2_000)
ROUNDS = 15
GOAL = 2.0


def run(quick: bool, files: tuple[Path, ...] = ()) -> Table:
    sizes = QUICK if quick else SIZES
    table = Table(
        "j",
        "The audit log’s page by length of the log",
        f"with {sizes[1]:,} events at most {GOAL:.0f} times the time with {sizes[0]:,}, for every filter",
        ("Page", f"{sizes[0]:,}", "Events", f"{sizes[1]:,}", "Events", "Ratio", "Queries"),
    )
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        places = files or tuple(Path(name) / f"{size}.sqlite3" for size in sizes)
        for place, size in zip(places, sizes, strict=True):
            if not place.exists():
                audit_log.make(place, size)
        seats = [stack.enter_context(seat(place)) for place in places]
        for page in pages(seats[0]):
            add(table, page, *(measure(seats, page, rounds=2 if quick else ROUNDS)))
    table.notes.append(
        "In one process per length on SQLite, with Django’s test client: from the request to the whole answer, with "
        "the event that the look itself leaves. Medians of rounds; ratios within each round. A short log may have "
        "fewer events to show, and then its page is shorter."
    )
    return table


def add(table: Table, page: str, small: list[dict[str, Any]], large: list[dict[str, Any]]) -> None:
    ratio = statistics.median(ours["seconds"] / theirs["seconds"] for ours, theirs in zip(large, small, strict=True))
    cells = []
    for samples in (small, large):
        cells += [milliseconds(statistics.median(each["seconds"] for each in samples)), str(samples[0]["events"])]
    table.add(page, *cells, times(ratio), str(large[0]["queries"]), met=ratio <= GOAL)


def measure(seats: list[subprocess.Popen[str]], page: str, *, rounds: int) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = [[] for _ in seats]
    for _ in range(rounds + 1):
        for samples, process in zip(found, seats, strict=True):
            samples.append(ask(process, page))
    return [samples[1:] for samples in found]  # the first round warms up


def pages(process: subprocess.Popen[str]) -> list[str]:
    found: list[str] = json.loads(said(process))
    return found


@contextmanager
def seat(database: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that answers how long a page took."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.audit_inside"],
        cwd=ROOT,
        env=audit_log.environment(database),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        stop(process)


def ask(process: subprocess.Popen[str], page: str) -> dict[str, Any]:
    assert process.stdin is not None
    process.stdin.write(f"{page}\n")
    process.stdin.flush()
    sample: dict[str, Any] = json.loads(said(process))
    return sample


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


if __name__ == "__main__":
    print(run(quick=False, files=tuple(map(Path, sys.argv[1:]))).text())  # noqa: T201
