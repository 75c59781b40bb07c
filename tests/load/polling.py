"""People who poll: as many as asked for, one change that all of them see every half minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from portal.getscreen.simulator import Simulator
from tests.benchmarks.memory import step
from tests.benchmarks.portal import INTERVAL, Portal, fill, wait_for_list
from tests.benchmarks.report import Table, milliseconds
from tests.load.locusts import Crowd, Seen, swarm
from tests.load.processes import Watch
from tests.load.site import served

ROWS = 50
CHANGE_EVERY = 30.0  # seconds
LOOK_EVERY = 2.0
SETTLE = 2 * INTERVAL + 5.0  # seconds from the last arrival to the first poll that counts
MEMORY = 120 * 2**20  # bytes for each process
GOALS = {50: (0.12, 0.3), 200: (0.25, 0.5), 1_000: (None, 0.5)}  # people: p95 and p99 in seconds


@dataclass
class Polled:
    """What people saw between two moments, what it cost, and what the vendor was asked."""

    seen: Seen
    watch: Watch
    begin: float
    seconds: float
    lists: int
    changes: int


def run(people: int, seconds: float, *, rows: int = ROWS, arrive: float = 30.0) -> Table:
    with served() as (simulator, portal, master):
        polled = poll(simulator, portal, master, people, seconds, rows=rows, arrive=arrive)
    table = Table(
        f"poll{people}",
        f"{people:,} people poll for {seconds:.0f} s, {rows} rows, a change every {CHANGE_EVERY:.0f} s",
        "no failure, one list per interval, times as said per line",
        ("What", "Count", "p50", "p95", "p99", "Longest"),
    )
    describe(table, polled, *GOALS.get(people, (None, 0.5)))
    return table


def poll(
    simulator: Simulator,
    portal: Portal,
    master: int,
    people: int,
    seconds: float,
    *,
    rows: int,
    arrive: float,
    settle: float = SETTLE,
) -> Polled:
    numbers = fill(simulator, rows)
    wait_for_list(portal, rows)
    cookies = portal.people(people)
    begin = time.time() + arrive + settle
    crowd = Crowd(portal.url, cookies, begin, begin + seconds, agents=people, hidden=people // 10)
    watch, changes = Watch(master, portal.database), [0]

    def change() -> None:
        step(simulator, numbers, changes[0])
        changes[0] += 1

    with swarm(crowd, arrive=arrive) as seen, repeating(watch.look, LOOK_EVERY), repeating(change, CHANGE_EVERY):
        time.sleep(max(0.0, begin - time.time()))
        before, made = lists(simulator), changes[0]
        time.sleep(seconds)
        asked, made = lists(simulator) - before, changes[0] - made
    return Polled(seen, watch, begin, seconds, asked, made)


@contextmanager
def repeating(what: Callable[[], object], every: float) -> Iterator[None]:
    """Do something again and again beside the block, the first time after one pause."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(every):
            what()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def lists(simulator: Simulator) -> int:
    return sum(request.operation == "list" for request in simulator.ledger.requests)


def describe(table: Table, polled: Polled, p95: float | None, p99: float | None) -> None:
    seen = polled.seen
    for name, each in seen.kinds.items():
        is_met = (p95 is None or each["p95"] <= p95) and (p99 is None or each["p99"] <= p99)
        times = (milliseconds(each[share]) for share in ("p50", "p95", "p99", "longest"))
        is_poll = name.startswith("poll")
        table.add(name, f"{each['count']:.0f}", *times, met=is_met if is_poll and (p95 or p99) else None)
    table.add("failures", str(seen.failed), "", "", "", "", met=not seen.failed)
    most = polled.seconds / INTERVAL + 1
    asked = seen.count("poll") + seen.count("hidden")
    ratio = f"{asked / max(1, polled.lists):.0f} polls each"
    table.add("lists asked of the vendor", str(polled.lists), ratio, "", "", "", met=polled.lists <= most)
    describe_processes(table, polled)
    goals = " and ".join(f"{name} {limit * 1000:.0f} ms" for name, limit in (("p95", p95), ("p99", p99)) if limit)
    table.notes.append(
        f"Goal of each kind of poll: {goals}. {polled.changes} changes; failures: {seen.failures or 'none'}."
    )


def describe_processes(table: Table, polled: Polled) -> None:
    samples = polled.watch.since(polled.begin)
    first, last = samples[0], samples[-1]
    count = len(first.pids)
    lasted = last.at - first.at
    for place in range(count):
        used = last.processor[place] - first.processor[place]
        most = max(sample.resident[place] for sample in samples)
        own = max(sample.proportional[place] for sample in samples)
        files = max(sample.files[place] for sample in samples)
        table.add(
            f"web process {place + 1}",
            f"{used / lasted:.0%} of a core",
            f"RSS {most / 2**20:.0f} MiB",
            f"PSS {own / 2**20:.0f} MiB",
            f"{files} files",
            "",
            met=most <= MEMORY,
        )
    polls = polled.seen.count("poll")
    whole = sum(last.processor) - sum(first.processor)
    table.add(
        "processor per answered poll",
        f"{1_000 * whole / lasted * polled.seconds / max(1, polls):.2f} ms",
        "",
        "",
        "",
        "",
    )
    if polled.seen.cpu is not None:
        table.add("locust itself", f"{polled.seen.cpu / polled.seconds:.0%} of a core", "", "", "", "")
    table.add("workers lost", "0" if polled.watch.is_whole() else "some", "", "", "", "", met=polled.watch.is_whole())
