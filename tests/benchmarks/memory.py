"""(g) Memory and open files of the workers while agents poll and something visible changes at every interval."""

from __future__ import annotations

import asyncio
import statistics
import time

from portal.getscreen.simulator import Simulator
from tests.benchmarks.load import Browser, Tally, poll_like_pages
from tests.benchmarks.portal import INTERVAL, descriptors, fill, resident, running, wait_for_list, workers_of
from tests.benchmarks.report import Table

GOAL = 0.05
AGENTS = 100
ROWS = 50
EVERY = 5.0  # seconds between samples
FULL_AFTER = 960.0  # seconds: the board grows while closed rows stay on it, for a quarter of an hour


def run(quick: bool) -> Table:
    warm_up, seconds = (15.0, 60.0) if quick else (FULL_AFTER, 600.0)
    table = Table(
        "g",
        f"Memory and open files over {seconds / 60:.0f} minutes of load",
        f"growth of at most {GOAL:.0%} after a warm-up of {warm_up:.0f} s",
        ("What", "First fifth", "Last fifth", "Growth"),
    )
    with running() as (simulator, portal):
        rows, tally = fill(simulator, ROWS), Tally()
        server = portal.serve(workers=2)
        wait_for_list(portal, ROWS)
        browsers = portal.browsers(portal.people(AGENTS))
        before = workers_of(server.pid)
        start = time.time() + warm_up
        samples = asyncio.run(watch(simulator, rows, browsers, tally, server.pid, start, start + seconds))
        is_whole = workers_of(server.pid) == before
    for name, values, unit in zip(
        ("memory of all workers", "open files of all workers"), samples, (2**20, 1), strict=True
    ):
        first, last = fifths(values)
        growth = last / first - 1
        table.add(name, shown(first, unit), shown(last, unit), f"{growth:+.1%}", met=growth <= GOAL and is_whole)
    table.notes.append(
        f"Two workers of eight threads, {AGENTS} agents polling, a change every {INTERVAL} s; medians of samples each "
        f"{EVERY:.0f} s. {tally.count} polls, {tally.statuses.get(200, 0)} of them with a new board, "
        f"{tally.others(200, 304)} failed."
    )
    return table


async def watch(
    simulator: Simulator, rows: list[int], browsers: list[Browser], tally: Tally, master: int, start: float, end: float
) -> tuple[list[float], list[float]]:
    """Return samples of the workers' memory and of their open files."""
    memory: list[float] = []
    files: list[float] = []

    async def change() -> None:
        number = 0
        while time.time() < end:
            step(simulator, rows, number)
            number += 1
            await asyncio.sleep(INTERVAL)

    async def sample() -> None:
        await asyncio.sleep(start - time.time())
        while time.time() < end:
            workers = workers_of(master)
            memory.append(sum(map(resident, workers)))
            files.append(sum(map(descriptors, workers)))
            await asyncio.sleep(EVERY)

    polling = poll_like_pages(browsers, tally, every=INTERVAL, until=lambda: time.time() >= end)
    await asyncio.gather(polling, change(), sample())
    return memory, files


def step(simulator: Simulator, rows: list[int], number: int) -> None:
    """Make one change that everybody sees, in turns; as many are open afterwards."""
    place = number % len(rows)
    match number % 4:
        case 0:
            simulator.rename(rows[place], f"Client with name {number}")
        case 1:
            simulator.join(rows[place])
        case 2:
            simulator.leave(rows[place])
        case _:
            simulator.close(rows[place])
            rows[place] = simulator.add(f"Client number {number}")


def fifths(values: list[float]) -> tuple[float, float]:
    size = max(1, len(values) // 5)
    return statistics.median(values[:size]), statistics.median(values[-size:])


def shown(value: float, unit: int) -> str:
    return f"{value / unit:.1f} MiB" if unit > 1 else f"{value:.0f}"
