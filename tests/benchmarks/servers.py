"""(h) Sizes of the server compared: the same pages from each in turn, and each alone before a hanging vendor."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from portal.embedded import free_port
from portal.getscreen.simulator import Simulator
from tests.benchmarks.load import Answer, Browser, Tally, hammer, percentile
from tests.benchmarks.outage import Outage, hang
from tests.benchmarks.polls import poll
from tests.benchmarks.portal import Portal, fill, running, wait_for_list
from tests.benchmarks.report import Table, milliseconds
from tests.installation import ROOT, answers, stop, wait_until

AT_ONCE = 8
ROWS = 200
PRESSERS = 16  # as many as all sizes have threads: who has none to spare shows it


@dataclass(frozen=True)
class Size:
    workers: int
    threads: int
    server: str = "gunicorn gthread"

    def __str__(self) -> str:
        return f"{self.server} {self.workers} × {self.threads}"


def sizes() -> Iterator[Size]:
    yield from (Size(2, 8), Size(2, 4), Size(4, 4), Size(1, 16))
    if importlib.util.find_spec("granian"):  # no dependency: measured where somebody has installed it
        yield Size(2, 8, "granian")


async def page(browser: Browser) -> Answer:
    return await browser.get("/")


def run(quick: bool) -> Table:
    table = Table(
        "h",
        "Servers",
        "none; the figures choose the server",
        (
            "Workers × threads",
            "Polls/s",
            "p99",
            f"Boards/s ({ROWS} rows)",
            "p99 ",
            "Vendor hangs: board p99",
            "Bearable",
        ),
    )
    wanted, rounds = list(sizes()), 2 if quick else 10
    polls, pages = compare(wanted, rounds, 0.5 if quick else 1.0)
    for size in wanted:
        hung, bearable = "–", "–"
        if size.server != "granian":
            with running() as (simulator, portal):
                seen = outage(simulator, portal, size, quick)
            hung, bearable = milliseconds(percentile(seen.pages.seconds, 0.99)), "yes" if seen.is_bearable else "no"
        table.add(str(size), *figures(polls[size]), *figures(pages[size]), hung, bearable)
    table.notes.append(
        f"{AT_ONCE} connections, servers in turns on one SQLite file; medians of {rounds} rounds. "
        f"While the vendor hangs, {PRESSERS} people keep pressing create or connect."
    )
    return table


def outage(simulator: Simulator, portal: Portal, size: Size, quick: bool) -> Outage:
    pause = 0.5 if quick else 3.0
    return hang(simulator, portal, workers=size.workers, threads=size.threads, pause=pause, pressers=PRESSERS)


def figures(rounds: list[Tally]) -> tuple[str, str]:
    rate = statistics.median(AT_ONCE / statistics.mean(each.seconds) for each in rounds)
    return f"{rate:.0f}", milliseconds(percentile([second for each in rounds for second in each.seconds], 0.99))


def compare(wanted: list[Size], rounds: int, seconds: float) -> tuple[dict[Size, list[Tally]], dict[Size, list[Tally]]]:
    """Return what browsers saw of unchanged polls and of whole pages. All servers run, one is asked."""
    polls: dict[Size, list[Tally]] = {size: [] for size in wanted}
    pages: dict[Size, list[Tally]] = {size: [] for size in wanted}
    with running() as (simulator, portal):
        fill(simulator, ROWS)
        ports = {size: free_port() for size in wanted}
        with served(portal, ports):
            wait_for_list(portal, ROWS)
            cookies = portal.people(AT_ONCE)
            for number in range(rounds + 1):
                for size in wanted:
                    seen = asyncio.run(ask(portal.browsers(cookies, ports[size]), seconds))
                    if number:  # the first round warms up
                        polls[size].append(seen[0])
                        pages[size].append(seen[1])
    return polls, pages


async def ask(browsers: list[Browser], seconds: float) -> tuple[Tally, Tally]:
    for browser in browsers:
        await browser.open_board()
    seen = await hammer(browsers, poll, seconds), await hammer(browsers, page, seconds)
    for browser in browsers:
        await browser.close()
    return seen


@contextmanager
def served(portal: Portal, ports: dict[Size, int]) -> Iterator[None]:
    others = []
    try:
        for size, port in ports.items():
            if size.server == "granian":
                others.append(granian(portal, size, port))
            else:
                portal.serve(port=port, workers=size.workers, threads=size.threads)
        yield
    finally:
        for process in others:
            stop(process)


def granian(portal: Portal, size: Size, port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", str(size.workers), "--blocking-threads", str(size.threads), "--no-log"]
    process = subprocess.Popen(
        [*command, "portal.wsgi:application"],
        cwd=ROOT,
        env=portal.environment | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        text=True,
    )
    wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), says="granian does not answer")
    return process
