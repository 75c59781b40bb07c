"""Pictures of every honest state: `python -m tests.states FOLDER [name…]`, to be looked at by people.

A real installation works with a simulated vendor; then nobody asks it any more, and what time and
trouble would have brought is written into the snapshot. None of these pictures is kept with the code.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.e2e.forwarder import forwarder
from tests.installation import Installation
from tests.screenshots import SIZES, THEMES, People, stage, work
from tests.tools import chromium, chromium_args

HALTED = "UPDATE invitations_snapshot SET lease_token = 'nobody', lease_until = ?"
HALF = 0.5  # seconds; a watcher's lease is never much longer than two
SEEN = (
    "UPDATE invitations_snapshot SET revision = revision + 1,"
    " trouble = ?, good_at = ?, attempted_at = ?, remaining = ?, pause_until = NULL"
)
ATTEMPT = (
    "INSERT INTO invitations_operation (reference, verb, token, state, started_at, finished_at, by_id, invitation_id,"
    " account, client_name, ticket, note, known_ids) VALUES (?, ?, '', 'unknown', ?, ?,"
    " (SELECT id FROM accounts_user WHERE username = 'agent'),"
    " (SELECT id FROM invitations_invitation WHERE client_name = ? AND ? <> 'create'), '', ?, '', '', '[]')"
)
UNSETTLED = (
    ("create", "Meeting room 2"),
    ("connect", "Tilda Brandtner"),
    ("rename", "Payroll laptop"),
    ("close", "Warehouse scanner 3"),
    ("connect", "Tilda Brandtner"),
    ("create", ""),
    ("close", "Tilda Brandtner"),
)


@dataclass(frozen=True)
class State:
    """What the snapshot says: trouble, seconds since the last good list and since the last attempt."""

    trouble: str = ""
    good: float | None = 2
    attempted: float | None = 2
    remaining: int | None = 86
    paths: tuple[str, ...] = ("board",)


PAGES = ("board", "detail", "waiting", "new")
STATES = {
    "live": State(),
    "late": State(good=40),
    "stale": State(good=400, paths=("board", "detail")),
    "unreachable": State("unreachable", good=140, paths=PAGES),
    "unreachable-long": State("unreachable", good=2_000, paths=("board", "detail")),
    "quota": State("quota", remaining=0, paths=("board", "new")),
    "none-left": State(remaining=0),
    "low": State(remaining=4),
    "key": State("key", good=60),
    "key-new": State("key", good=None),
    "address": State("address", good=60),
    "garbled": State("garbled", good=60),
    "ours": State(good=150, attempted=150),
    "starting": State("starting", good=None, attempted=None, remaining=None),
}


def main(folder: Path, *names: str) -> int:
    with stage() as (simulator, installation, url), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=[*chromium_args(), "--disable-lcd-text"])
        people = People(browser, url)
        detail = work(people, simulator, installation)
        found = installation.ask("SELECT public_id FROM invitations_invitation WHERE client_name = 'Payroll laptop'")
        waiting = f"{url}/invitations/{found[0][0]}/"
        addresses = {"board": url, "detail": detail, "waiting": waiting, "new": f"{url}/invitations/new/"}
        folder.mkdir(parents=True, exist_ok=True)
        done = threading.Event()
        halted = threading.Thread(target=halt, args=(installation, done), daemon=True)
        halted.start()
        for name, state in STATES.items():
            if not names or name in names:
                take(browser, people, installation, name, state, addresses, folder)
        if not names or "unsettled" in names:
            attempt(installation)
            unsettled = State(paths=("board", "detail"))
            take(browser, people, installation, "unsettled", unsettled, addresses, folder)
        if not names or "no-key" in names:
            for address in without_key(installation):
                state = State(paths=("board", "new"))
                places = {"board": address, "new": f"{address}/invitations/new/"}
                take(browser, People(browser, address), installation, "no-key", state, places, folder)
        browser.close()
        done.set()
        halted.join()
    return 0


def attempt(installation: Installation) -> None:
    """Leave attempts behind whose outcome nobody knows, the last of them two days old."""
    for number, (verb, client) in enumerate(UNSETTLED):
        at = ago(60 * (number + 2))
        installation.ask(ATTEMPT, f"01KB{number:02}7Q4WEXAMPLE", verb, at, at, client, verb, client)
    at = ago(2 * 86_400)
    installation.ask(ATTEMPT, "01KB997Q4WEXAMPLE", "create", at, at, "", "create", "Long ago")


def halt(installation: Installation, done: threading.Event) -> None:
    """Hold the lease, so that no watcher asks."""
    while not done.wait(HALF):
        installation.ask(HALTED, ago(-4 * HALF))


def without_key(installation: Installation) -> Iterator[str]:
    """Serve the same installation once more, without its key."""
    with forwarder(installation.folder, installation.port) as url:
        installation.serve(PUBLIC_URL=url, INSECURE_HTTP="0", TRUSTED_PROXIES="127.0.0.1", GETSCREEN_API_KEY="")
        yield url


def ago(seconds: float) -> datetime:
    return datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=seconds)


def take(
    browser: Browser,
    people: People,
    installation: Installation,
    name: str,
    state: State,
    addresses: dict[str, str],
    folder: Path,
) -> None:
    cookies = people.cookies("agent")
    for path in state.paths:
        for size, (width, height) in SIZES.items():
            for theme in THEMES if path == "board" else THEMES[:1]:
                good = None if state.good is None else ago(state.good)
                attempted = None if state.attempted is None else ago(state.attempted)
                installation.ask(SEEN, state.trouble, good, attempted, state.remaining)
                context = browser.new_context(
                    ignore_https_errors=True,
                    storage_state=cookies,  # type: ignore[arg-type]
                    viewport={"width": width, "height": height},
                    color_scheme=theme,  # type: ignore[arg-type]
                    reduced_motion="reduce",
                )
                page = context.new_page()
                page.goto(addresses[path], wait_until="load")
                page.wait_for_timeout(300)
                page.screenshot(path=folder / f"{name}-{path}-{size}-{theme}.png")
                context.close()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
