"""(a) How often the vendor is asked, whatever the number of browsers, workers and replicas. The ledger counts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from portal.embedded import free_port
from portal.getscreen.simulator import Simulator
from tests.benchmarks.load import Tally, poll_like_pages
from tests.benchmarks.portal import IDLE_INTERVAL, INTERVAL, Portal, fill, on_postgres, running
from tests.benchmarks.report import Table
from tests.installation import stop
from tests.tools import postgres_bin

IDLE_AFTER = 30  # seconds without a poll, after which nobody looks
ROWS = 20


@dataclass(frozen=True)
class Case:
    browsers: int
    workers: int
    replicas: int
    database: str = "SQLite"


def cases(quick: bool) -> Iterator[Case]:
    if quick:
        yield from (Case(1, 1, 1), Case(50, 4, 2))
        return
    yield from (Case(0, 1, 1), Case(0, 4, 2))
    for browsers in (1, 50, 500):
        for workers in (1, 4):
            for replicas in (1, 2):
                yield Case(browsers, workers, replicas)
    if postgres_bin():
        yield from (Case(50, 4, 2, "PostgreSQL"), Case(500, 4, 2, "PostgreSQL"))


def run(quick: bool) -> Table:
    table = Table(
        "a",
        "Calls at the vendor",
        f"at most one `list` per interval of {INTERVAL} s in every case, "
        f"and one per {IDLE_INTERVAL} s while nobody looks",
        ("Database", "Browsers", "Workers", "Replicas", "Polls", "Failed", "`list` calls", "Seconds", "Per minute"),
    )
    wanted = list(cases(quick))
    for database in dict.fromkeys(case.database for case in wanted):
        with ExitStack() as stack:
            settings = stack.enter_context(on_postgres()) if database == "PostgreSQL" else {}
            simulator, portal = stack.enter_context(running(**settings))
            fill(simulator, ROWS)
            cookies = portal.people(max(case.browsers for case in wanted))
            for case in wanted:
                if case.database == database:
                    measure(table, case, simulator, portal, cookies, 10.0 if quick else 30.0)
    table.notes.append("Four threads in each worker on PostgreSQL, whose test server takes 50 connections; else eight.")
    return table


def measure(
    table: Table, case: Case, simulator: Simulator, portal: Portal, cookies: list[dict[str, str]], seconds: float
) -> None:
    ports = [free_port() for _ in range(case.replicas)]
    threads = 4 if case.database == "PostgreSQL" else 8
    processes = [portal.serve(port=port, workers=case.workers, threads=threads) for port in ports]
    browsers, tally = portal.browsers(cookies[: case.browsers], *ports), Tally()
    # Before counting, every browser has opened its board, or the watcher has noticed that nobody does.
    settle, seconds = (3.0 * INTERVAL, seconds) if browsers else (IDLE_AFTER + IDLE_INTERVAL + 5.0, 4.0 * IDLE_INTERVAL)
    start = time.time() + settle
    end = start + seconds
    try:
        if browsers:
            asyncio.run(poll_like_pages(browsers, tally, every=INTERVAL, until=lambda: time.time() >= end))
        else:
            time.sleep(settle + seconds)
    finally:
        for process in processes:
            stop(process)
    calls = sum(request.operation == "list" and start <= request.at < end for request in simulator.ledger.requests)
    allowed = seconds / (INTERVAL if browsers else IDLE_INTERVAL) + 1  # a window may begin just before a call
    table.add(
        case.database,
        str(case.browsers),
        str(case.workers),
        str(case.replicas),
        str(tally.count),
        str(tally.others(200, 304)),
        str(calls),
        f"{seconds:.0f}",
        f"{calls * 60 / seconds:.1f}",
        met=0 < calls <= allowed,
    )
