"""(b) An unchanged poll beside an empty signed-in view of the same server, in turns, so that both meet one machine."""

from __future__ import annotations

import asyncio
import statistics

from tests.benchmarks.load import Answer, Browser, Tally, hammer, percentile
from tests.benchmarks.portal import fill, running, wait_for_list
from tests.benchmarks.report import Table, milliseconds, times

GOAL = 0.8
ROWS = 50
SIDES = ("empty view", "unchanged poll")


async def empty(browser: Browser) -> Answer:
    return await browser.get("/empty/", **{"HX-Request": "true"})


async def poll(browser: Browser) -> Answer:
    return await browser.poll()


def run(quick: bool) -> Table:
    table = Table(
        "b",
        "An unchanged poll",
        f"at least {GOAL} of the requests per second of an empty signed-in view",
        ("At once", "What", "Requests per second", "p50", "p99", "Other answers"),
    )
    with running() as (simulator, portal):
        fill(simulator, ROWS)
        portal.serve(workers=2)
        wait_for_list(portal, ROWS)
        browsers = portal.browsers(portal.people(8))
        asyncio.run(open_boards(browsers))
        for at_once in (1, 8):
            rounds = asyncio.run(take_turns(browsers[:at_once], 4 if quick else 20, 0.5 if quick else 1.0))
            add(table, at_once, rounds)
    table.notes.append(
        "Two workers of eight threads on SQLite. The load comes from the same machine; a rate is connections by the "
        "mean time of an answer, rates and ratios are medians of rounds."
    )
    return table


async def open_boards(browsers: list[Browser]) -> None:
    for browser in browsers:
        await browser.open_board()
        await browser.close()  # connections belong to one event loop


async def take_turns(browsers: list[Browser], rounds: int, seconds: float) -> list[dict[str, Tally]]:
    """Return what each side saw in each round. Who goes first alternates."""
    sides, seen = {SIDES[0]: empty, SIDES[1]: poll}, []
    for number in range(rounds + 1):
        order = SIDES if number % 2 else SIDES[::-1]
        seen.append({side: await hammer(browsers, sides[side], seconds) for side in order})
    for browser in browsers:
        await browser.close()
    return seen[1:]  # the first round warms up


def add(table: Table, at_once: int, rounds: list[dict[str, Tally]]) -> None:
    every = {side: [second for each in rounds for second in each[side].seconds] for side in SIDES}
    # The rate of the time spent asking: a round ends with the last answer, not on the second.
    rates = {side: [at_once / statistics.mean(each[side].seconds) for each in rounds] for side in SIDES}
    for side, expected in zip(SIDES, (200, 304), strict=True):
        table.add(
            str(at_once),
            side,
            f"{statistics.median(rates[side]):.0f}",
            milliseconds(percentile(every[side], 0.5)),
            milliseconds(percentile(every[side], 0.99)),
            str(sum(each[side].others(expected) for each in rounds)),
        )
    ratio = statistics.median(theirs / ours for ours, theirs in zip(rates[SIDES[0]], rates[SIDES[1]], strict=True))
    table.add(
        str(at_once),
        "poll to empty view",
        f"{ratio:.3f} ×",
        times(percentile(every[SIDES[1]], 0.5) / percentile(every[SIDES[0]], 0.5)),
        times(percentile(every[SIDES[1]], 0.99) / percentile(every[SIDES[0]], 0.99)),
        "",
        met=ratio >= GOAL,
    )
