"""(f) The portal while the vendor accepts every call and never answers, and people press on regardless."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from portal.getscreen.simulator import Simulator
from tests.benchmarks.load import Answer, Browser, Tally, percentile
from tests.benchmarks.portal import Portal, fill, running, wait_for_list, workers_of
from tests.benchmarks.report import Table, milliseconds

GOAL = 1.0  # seconds at the 99th percentile
ROWS = 50
LOADERS = 8
BURSTS = 5
PER_BURST = 40
PRESSERS = 4
REST = 0.5  # seconds before somebody presses again
PROBES = ("/healthz", "/readyz")


@dataclass
class Outage:
    """What was seen while the vendor hung."""

    pages: Tally = field(default_factory=Tally)
    probes: dict[str, Tally] = field(default_factory=lambda: {path: Tally() for path in PROBES})
    pressed: Tally = field(default_factory=Tally)
    lost: int = 0

    @property
    def is_bearable(self) -> bool:
        """Whether pages stayed quick and whole, the probes green and every worker alive."""
        is_green = all(not tally.others(200) and max(tally.seconds) <= GOAL for tally in self.probes.values())
        return (
            percentile(self.pages.seconds, 0.99) <= GOAL and not self.pages.others(200) and is_green and not self.lost
        )


def run(quick: bool) -> Table:
    table = Table(
        "f",
        "While every call at the vendor hangs",
        f"pages and probes within {GOAL:.0f} s at the 99th percentile, both probes green, no worker lost",
        ("What", "Answers", "Other than wanted", "p50", "p99", "Longest"),
    )
    with running() as (simulator, portal):
        seen = hang(simulator, portal, workers=2, threads=8, pause=1.0 if quick else 6.0)
    described(table, "board page", seen.pages, 200, is_within=GOAL)
    for path, tally in seen.probes.items():
        described(table, path, tally, 200, is_within=GOAL)  # who runs it would restart what answers later
    table.add("create or connect pressed", str(seen.pressed.count), "–", *spread(seen.pressed))
    table.add("workers lost", str(seen.lost), "", "", "", "", met=not seen.lost)
    table.notes.append(
        f"Two workers of eight threads, {LOADERS} pages at once in {BURSTS} bursts of {PER_BURST}; "
        f"{PRESSERS} people press create or connect again half a second after each answer."
    )
    return table


def described(table: Table, name: str, tally: Tally, wanted: int, is_within: float | None = None) -> None:
    is_met = not tally.others(wanted) and (is_within is None or percentile(tally.seconds, 0.99) <= is_within)
    table.add(name, str(tally.count), str(tally.others(wanted)), *spread(tally), met=is_met)


def spread(tally: Tally) -> tuple[str, str, str]:
    return (
        milliseconds(percentile(tally.seconds, 0.5)),
        milliseconds(percentile(tally.seconds, 0.99)),
        milliseconds(max(tally.seconds, default=float("nan"))),
    )


def hang(
    simulator: Simulator, portal: Portal, *, workers: int, threads: int, pause: float, pressers: int = PRESSERS
) -> Outage:
    """Serve, have a list, and then let every call hang while pages are loaded."""
    joined = [row for row in fill(simulator, ROWS) if simulator.row(row).status == 1]
    server = portal.serve(workers=workers, threads=threads)
    wait_for_list(portal, ROWS)
    names = [portal.known(row) for row in joined]
    cookies = portal.people(LOADERS + pressers + 1)
    before, seen = workers_of(server.pid), Outage()
    simulator.fail("*", "hang", times=None)
    try:
        asyncio.run(load(portal.browsers(cookies), names, seen, pause))
        seen.lost = len(set(before) - set(workers_of(server.pid)))
    finally:
        simulator.clear()
    return seen


async def load(browsers: list[Browser], names: list[str], seen: Outage, pause: float) -> None:
    ended = asyncio.Event()
    loaders, pressers, prober = browsers[:LOADERS], browsers[LOADERS:-1], browsers[-1]
    aside = [asyncio.create_task(press(each, names, seen.pressed, ended.is_set)) for each in pressers]
    aside.append(asyncio.create_task(probe(prober, seen, ended.is_set)))
    await asyncio.sleep(2.0)  # by now the first calls hang
    for _ in range(BURSTS):
        await asyncio.gather(*(load_pages(each, PER_BURST // LOADERS, seen.pages) for each in loaders))
        await asyncio.sleep(pause)
    ended.set()
    await asyncio.gather(*aside)
    for browser in browsers:
        await browser.close()


async def load_pages(browser: Browser, count: int, tally: Tally) -> None:
    for _ in range(count):
        await note(browser.get("/"), tally)


async def press(browser: Browser, names: list[str], tally: Tally, is_over: Callable[[], bool]) -> None:
    while not is_over():
        path = random.choice(["/invitations/new/", f"/invitations/{random.choice(names)}/connect/"])
        await note(browser.post(path, client_name="Somebody"), tally)
        await asyncio.sleep(REST)


async def probe(browser: Browser, seen: Outage, is_over: Callable[[], bool]) -> None:
    while not is_over():
        for path, tally in seen.probes.items():
            await note(browser.get(path), tally)
        await asyncio.sleep(0.25)


async def note(asked: Awaitable[Answer], tally: Tally) -> None:
    try:
        tally.note(await asked)
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        tally.failed += 1
