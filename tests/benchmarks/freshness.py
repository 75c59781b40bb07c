"""(c) From a change at the vendor to the moment it shows in a real browser, at random phases of every clock."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

from portal.getscreen.simulator import Simulator
from tests.benchmarks.load import percentile
from tests.benchmarks.portal import INTERVAL, Portal, fill, running, wait_for_list
from tests.benchmarks.report import Table
from tests.tools import chromium, chromium_args

GOAL = INTERVAL + 1.0  # seconds at the 99th percentile
ROWS = 12
# Each name is looked for after every change of the page. What counts is the frame in which it shows.
WATCH = """() => {
  const seen = window.seen = {};
  const look = () => {
    const now = Date.now();
    for (const [, kind, name] of document.querySelector("#board").textContent.matchAll(/(Fresh) (\\d+)\\b/g)) {
      seen[`${kind} ${name}`] ??= now;
    }
    for (const row of document.querySelectorAll("#board [data-status='1']")) {
      const name = row.textContent.match(/Guest \\d+\\b/);
      if (name) seen[name[0]] ??= now;
    }
  };
  new MutationObserver(() => requestAnimationFrame(look))
    .observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
}"""


def run(quick: bool) -> Table:
    changes = 8 if quick else 100
    table = Table(
        "c",
        "From a change at the vendor to the browser",
        f"at most {GOAL:.0f} s (interval of {INTERVAL} s and one more) at the 99th percentile",
        ("Change", "Changes", "Seen", "p50", "p99", "Longest"),
    )
    if chromium() is None:
        table.notes.append("Not measured: no Chromium is installed.")
        return table
    with running() as (simulator, portal):
        fill(simulator, ROWS)
        guests = [simulator.add(f"Guest {number}") for number in range(changes // 2)]
        portal.serve(workers=2)
        wait_for_list(portal, ROWS + len(guests))
        with board_page(portal) as page:
            made = change(page, simulator, guests, changes)
            page.wait_for_timeout(4_000 * INTERVAL)
            seen = page.evaluate("() => window.seen")
    for kind, name in (("a new invitation", "Fresh"), ("a client joins", "Guest"), ("together", "")):
        wanted = {each: at for each, at in made.items() if each.startswith(name)}
        delays = [seen[each] / 1_000 - at for each, at in wanted.items() if each in seen]
        p99 = percentile(delays, 0.99)
        table.add(
            kind,
            str(len(wanted)),
            str(len(delays)),
            f"{percentile(delays, 0.5):.2f} s",
            f"{p99:.2f} s",
            f"{max(delays, default=float('nan')):.2f} s",
            met=None if name else p99 <= GOAL and len(delays) == len(wanted),
        )
    return table


def change(page: Page, simulator: Simulator, guests: list[int], changes: int) -> dict[str, float]:
    """Make changes at moments that follow no rhythm. Returns when each was made."""
    made = {}
    for number in range(changes):
        page.wait_for_timeout(random.uniform(0, 1_000 * INTERVAL))
        name = f"Guest {number // 2}" if number % 2 else f"Fresh {number}"
        made[name] = time.time()
        if number % 2:
            simulator.join(guests[number // 2])
        else:
            simulator.add(name)
    return made


@contextmanager
def board_page(portal: Portal) -> Iterator[Page]:
    host = urlsplit(portal.url).hostname
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=chromium_args())
        context = browser.new_context(base_url=portal.url)
        context.add_cookies(
            [{"name": name, "value": value, "domain": host, "path": "/"} for name, value in portal.people(1)[0].items()]
        )
        page = context.new_page()
        page.goto("/")
        page.evaluate(WATCH)
        try:
            yield page
        finally:
            browser.close()
