"""Many people create and connect within seconds. The vendor's ledger says what happened; the portal must as well."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

from portal.getscreen.simulator import Simulator
from tests import chain
from tests.benchmarks.load import percentile
from tests.benchmarks.portal import Portal, wait_for_list
from tests.benchmarks.report import Table, milliseconds
from tests.load.locusts import Crowd, Seen, swarm
from tests.load.site import served

PEOPLE = 50
LATENCY = 0.05  # seconds that the simulated vendor takes for each call
CALLS = {"create": 1, "connect": 2}  # a connect looks before it asks for a link
ARRIVE, SETTLE = 3.0, 3.0  # seconds
PATIENCE = 60.0  # seconds more until whoever is not finished is stopped
OVERHEAD = 0.15  # seconds at p95
ALLOWED = "1000"  # per person: the policy's own limits, counted and not reached


def run(creates: int = 200, connects: int = 200, seconds: float = 10.0, people: int = PEOPLE) -> Table:
    with served() as (simulator, portal, _master):
        seen, before = burst(simulator, portal, creates, connects, seconds, people)
        wrong = differences(simulator, portal, seen, before)
    table = Table(
        "burst",
        f"{people} people create {creates} and connect {connects} times in {seconds:.0f} s while they poll",
        f"none lost or doubled, own overhead at p95 {OVERHEAD * 1_000:.0f} ms",
        ("What", "Count", "p50", "p95", "p99", "Longest"),
    )
    for what, wanted in (("create", creates), ("connect", connects)):
        times = [each["took"] - LATENCY * CALLS[what] for each in seen.done if each["what"] == what]
        shares = [percentile(times, share) for share in (0.5, 0.95, 0.99, 1.0)]
        is_met = len(times) == wanted and shares[1] <= OVERHEAD
        table.add(f"{what}, over the vendor's time", str(len(times)), *map(milliseconds, shares), met=is_met)
    table.add("failures", str(seen.failed), "", "", "", "", met=not seen.failed)
    table.add("lost, doubled or otherwise told", str(len(wrong)), "", "", "", "", met=not wrong)
    table.notes.append(
        f"The vendor takes {LATENCY * 1_000:.0f} ms for each call. {'; '.join(wrong)}{seen.failures or ''}"
    )
    return table


def burst(
    simulator: Simulator,
    portal: Portal,
    creates: int,
    connects: int,
    seconds: float,
    people: int,
    patience: float = PATIENCE,
) -> tuple[Seen, Counter[str]]:
    """Let it happen. Returns what the people saw, and what the ledger counted before."""
    portal.set_policy(creates_per_hour=ALLOWED, connects_per_ten_minutes=ALLOWED)
    numbers = [simulator.add(f"Waits {number}", status=1, client_os="win") for number in range(connects)]
    wait_for_list(portal, connects)
    paths = [f"/invitations/{portal.known(number, 1)}/connect/" for number in numbers]
    wanted = [["create", "/invitations/new/", f"Made {number}"] for number in range(creates)]
    wanted += [["connect", path, ""] for path in paths]
    random.shuffle(wanted)
    acts: list[list[list[Any]]] = [[] for _ in range(people)]
    for number, act in enumerate(wanted):
        acts[number % people].append([seconds * number / len(wanted), *act])
    for operation in ("create", "connect", "info"):
        simulator.fail(operation, "slow", times=None, seconds=LATENCY)
    before = Counter(effect.kind for effect in simulator.ledger.effects)
    begin = time.time() + ARRIVE + SETTLE
    crowd = Crowd(portal.url, portal.people(people), begin, begin + seconds + patience, agents=people, acts=acts)
    with swarm(crowd, arrive=ARRIVE) as seen:
        pass
    simulator.clear()
    return seen, before


def differences(simulator: Simulator, portal: Portal, seen: Seen, before: Counter[str]) -> list[str]:
    """Return in words where vendor, people, rows and audit log do not say the same."""
    found = []
    done = Counter(each["what"] for each in seen.done if each["status"] in (302, 303))
    effects = Counter(effect.kind for effect in simulator.ledger.effects) - before
    told = dict(portal.ask("SELECT kind, COUNT(*) FROM audit_event WHERE result = 'ok' GROUP BY kind"))
    for what, kind in (("create", "created"), ("connect", "link_minted")):
        counts = {"people": done[what], "vendor": effects[kind], "log": told.get(f"invitation.{what}", 0)}
        if len(set(counts.values())) != 1:
            found.append(f"{what}: {counts}")
    names = Counter(row.client_name for row in simulator.rows().values() if row.client_name.startswith("Made "))
    rows = Counter(
        name for (name,) in portal.ask("SELECT client_name FROM invitations_invitation") if name[:5] == "Made "
    )
    if names != rows or len(names) != done["create"] or set(names.values()) - {1}:
        found.append(f"rows: {len(names)} at the vendor, {len(rows)} here, {done['create']} created")
    links = Counter(each["to"] for each in seen.done if each["what"] == "connect" and each["status"] == 303)
    if set(links.values()) - {1} or not set(links) <= set(simulator.ledger.links):
        found.append("a link was handed out twice, or is none")
    return [*found, *map(str, chain.faults_in(portal.ask))]
