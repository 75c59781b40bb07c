"""People who poll while hundreds of others take their time: dripping, silent, reading a byte a second."""

from __future__ import annotations

from tests.benchmarks.report import Table
from tests.load import polling
from tests.load.dawdlers import dawdling
from tests.load.site import served

PEOPLE = 50
P99 = 0.5  # seconds
ROWS = 200  # an answer that no socket takes at once
COUNTS = {
    "idle kept connections": 1_000,
    "silent": 100,
    "dripping heads": 100,
    "dripping bodies": 100,
    "slow readers": 50,
    "never hanging up": 50,
}


def run(seconds: float = 120.0, counts: dict[str, int] = COUNTS) -> Table:
    with served() as (simulator, portal, master):
        readers = portal.people(1)
        with dawdling(portal.port, readers, counts) as dawdlers:
            polled = polling.poll(simulator, portal, master, PEOPLE, seconds, rows=ROWS, arrive=10.0)
            were = dict(dawdlers.open)
    table = Table(
        "slow",
        f"{PEOPLE} people poll {ROWS} rows for {seconds:.0f} s beside {sum(counts.values()):,} who take their time",
        f"no failure, p99 {P99 * 1_000:.0f} ms, one list per interval",
        ("What", "Count", "p50", "p95", "p99", "Longest"),
    )
    polling.describe(table, polled, None, P99)
    table.notes.append(f"Beside them at the end: {were}; what happened to them: {dict(dawdlers.met)}.")
    return table
