"""(e) What the portal adds to create, connect and close: each by its form, less the same calls straight to the vendor.

Through the real server, with the audit entries on the disk before and after each call. The direct
calls are made in turns with the whole ones.
"""

from __future__ import annotations

import asyncio
import secrets
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from portal.getscreen.client import Client
from portal.getscreen.links import AllowedHosts
from portal.getscreen.simulator import Simulator
from portal.getscreen.types import Secret
from tests.benchmarks.load import Browser, percentile
from tests.benchmarks.portal import Portal, fill, running, wait_for_list
from tests.benchmarks.report import Table, milliseconds
from tests.installation import API_KEY

GOAL = 0.015  # seconds at the median
ROWS = 50


@dataclass(frozen=True)
class Act:
    """One thing people do: its path for an invitation, its form, and the calls that it needs at the vendor."""

    name: str
    path: str
    status: int
    direct: Callable[[Client, int], object]


def connect(client: Client, number: int) -> None:
    client.info(number, before_connect=True)
    client.connect(number, record=None)


ACTS = (
    Act("create", "/invitations/new/", 302, lambda client, _: client.create("Somebody")),
    Act("connect", "/invitations/{}/connect/", 303, connect),
    Act("close", "/invitations/{}/close/", 302, lambda client, number: client.close(number)),
)


def run(quick: bool) -> Table:
    table = Table(
        "e",
        "What the portal adds to an action",
        f"at most {GOAL * 1_000:.0f} ms at the median",
        ("Action", "Times", "By its form, p50", "p99", "Straight to the vendor, p50", "Added at the median"),
    )
    with running() as (simulator, portal):
        fill(simulator, ROWS)
        portal.serve(workers=2)
        wait_for_list(portal, ROWS)
        client = straight_to(portal)
        browser = portal.browsers(portal.people(1, "Team lead"))[0]
        for act in ACTS:
            whole, direct = asyncio.run(take_turns(act, 10 if quick else 100, simulator, portal, browser, client))
            added = statistics.median(whole) - statistics.median(direct)
            table.add(
                act.name,
                str(len(whole)),
                milliseconds(statistics.median(whole)),
                milliseconds(percentile(whole, 0.99)),
                milliseconds(statistics.median(direct)),
                milliseconds(added),
                met=added <= GOAL,
            )
    table.notes.append("Two workers of eight threads on SQLite, which waits for the disk at each commit.")
    return table


async def take_turns(
    act: Act, count: int, simulator: Simulator, portal: Portal, browser: Browser, client: Client
) -> tuple[list[float], list[float]]:
    """Return the seconds of each whole action and of each direct one. The first of each warms up."""
    numbers = [simulator.add("Somebody", status=1, client_os="win") for _ in range(count + 1)]
    names = [await asyncio.to_thread(portal.known, number, 1) for number in numbers]
    whole, direct = [], []
    for name in names:
        answer = await browser.post(act.path.format(name), client_name="Somebody", token=secrets.token_hex(16))
        if answer.status != act.status:
            raise RuntimeError(f"{act.name} answered {answer.status}")
        whole.append(answer.seconds)
        number = simulator.add("Somebody", status=1)
        began = time.perf_counter()
        await asyncio.to_thread(act.direct, client, number)
        direct.append(time.perf_counter() - began)
        await asyncio.to_thread(put_away, simulator, number)
    await browser.close()
    return whole[1:], direct[1:]


def put_away(simulator: Simulator, number: int) -> None:
    """Keep the board at its size: what was made for a direct call goes again."""
    if simulator.row(number).is_open:
        simulator.remove(number)


def straight_to(portal: Portal) -> Client:
    """A client like the portal's own."""
    return Client(
        api_key=Secret(API_KEY),
        base_url=portal.vendor.url,
        link_hosts=AllowedHosts.parse([f"127.0.0.1:{portal.vendor.port}"]),
    )
