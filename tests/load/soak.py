"""Half an hour of people who poll and work: what a process holds must not grow."""

from __future__ import annotations

import statistics
import time

from portal.getscreen.simulator import Simulator
from tests.benchmarks.memory import fifths, step
from tests.benchmarks.portal import INTERVAL, fill, wait_for_list
from tests.benchmarks.report import Table
from tests.load import burst
from tests.load.locusts import Crowd, swarm
from tests.load.polling import CHANGE_EVERY, MEMORY, ROWS, lists, repeating
from tests.load.processes import Watch
from tests.load.site import served

PEOPLE = 200
BUSY = 10
LOOK_EVERY = 10.0  # seconds
WARM_UP = 960.0  # closed rows stay on the board for a quarter of an hour: until then it grows
GROWTH = 0.05
WAL = 64 * 2**20
DESCRIPTORS = 16  # beside connections, of which there are more or fewer at any moment


def run(seconds: float = 1_800.0, *, warm_up: float = WARM_UP, people: int = PEOPLE, busy: int = BUSY) -> Table:
    with served() as (simulator, portal, master):
        portal.set_policy(creates_per_hour=burst.ALLOWED, connects_per_ten_minutes=burst.ALLOWED)
        numbers, changes = fill(simulator, ROWS), [0]
        wait_for_list(portal, ROWS)
        cookies = portal.people(people)
        begin = time.time() + 30.0 + 2 * INTERVAL + warm_up
        crowd = Crowd(portal.url, cookies, begin, begin + seconds, agents=people, hidden=people // 10, busy=busy)
        watch = Watch(master, portal.database)

        def change() -> None:
            step(simulator, numbers, changes[0])
            changes[0] += 1

        with (
            repeating(lambda: join_guests(simulator), 5.0),  # until the last of those who work have left
            swarm(crowd, arrive=30.0) as seen,
            repeating(watch.look, LOOK_EVERY),
            repeating(change, CHANGE_EVERY),
        ):
            time.sleep(max(0.0, begin - time.time()))
            before = lists(simulator)
            time.sleep(seconds)
            asked = lists(simulator) - before
        wrong = burst.differences(simulator, portal, seen, burst.Counter())
    table = Table(
        "soak",
        f"{people} people poll for {seconds / 60:.0f} min after {warm_up / 60:.0f} min of warm-up, {busy} of them work",
        f"memory grows by at most {GROWTH:.0%}, descriptors do not, WAL at most {WAL // 2**20} MiB",
        ("What", "First fifth", "Last fifth", "Growth"),
    )
    samples = watch.since(begin)
    for place in range(len(samples[0].pids)):
        first, last = fifths([sample.resident[place] / 2**20 for sample in samples])
        is_met = last / first - 1 <= GROWTH and last * 2**20 <= MEMORY
        table.add(
            f"web process {place + 1}, RSS",
            f"{first:.1f} MiB",
            f"{last:.1f} MiB",
            f"{last / first - 1:+.1%}",
            met=is_met,
        )
    first, last = fifths([float(sum(sample.resident)) / 2**20 for sample in samples])
    table.add(
        "together", f"{first:.1f} MiB", f"{last:.1f} MiB", f"{last / first - 1:+.1%}", met=last / first - 1 <= GROWTH
    )
    first, last = fifths([float(sum(sample.files)) for sample in samples])
    table.add(
        "open files together", f"{first:.0f}", f"{last:.0f}", f"{last - first:+.0f}", met=last - first <= DESCRIPTORS
    )
    most = max(sample.wal for sample in samples)
    middle = statistics.median(sample.wal for sample in samples)
    table.add("WAL", f"{middle / 2**20:.1f} MiB in the middle", f"{most / 2**20:.1f} MiB at most", "", met=most <= WAL)
    table.add("lists asked of the vendor", str(asked), "", "", met=asked <= seconds / INTERVAL + 1)
    table.add("failures", str(seen.failed), "", "", met=not seen.failed)
    table.add("lost, doubled or otherwise told", str(len(wrong)), "", "", met=not wrong)
    table.add("workers lost", "0" if watch.is_whole() else "some", "", "", met=watch.is_whole())
    pressed = burst.Counter(each["what"] for each in seen.done)
    polls, times = seen.count("poll"), {name: round(each["p99"], 3) for name, each in seen.kinds.items()}
    table.notes.append(
        f"{polls} polls, {dict(pressed)}; {len(samples)} samples; p99 in seconds {times}. {wrong} {seen.failures}"
    )
    return table


def join_guests(simulator: Simulator) -> None:
    """Clients of those who work come as soon as they are invited."""
    for row in simulator.open_rows():
        if row.client_name.startswith("Made ") and row.status == 0:
            simulator.join(row.id)
