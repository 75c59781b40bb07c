"""Pictures of every honest state: `python -m tests.states FOLDER [name…]`, to be looked at by people.

A real installation works with a simulated vendor; then nobody asks it any more, and what time and
trouble would have brought is written into the snapshot. None of these pictures is kept with the code.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.e2e.forwarder import forwarder
from tests.installation import Installation
from tests.screenshots import SIZES, THEMES, People, set_times, stage, work
from tests.tools import chromium, chromium_args

HALTED = "UPDATE invitations_snapshot SET lease_token = 'nobody', lease_until = ?"
HALF = 0.5  # seconds; a watcher's lease is never much longer than two
SEEN = (
    "UPDATE invitations_snapshot SET revision = revision + 1,"
    " trouble = ?, good_at = ?, attempted_at = ?, remaining = ?, pause_until = NULL"
)
ATTEMPT = (
    "INSERT INTO invitations_operation (reference, verb, token, state, started_at, finished_at, by_id, invitation_id,"
    " account, client_name, ticket, reason, note, is_private, known_ids) VALUES (?, ?, '', 'unknown', ?, ?,"
    " (SELECT id FROM accounts_user WHERE username = 'agent'),"
    " (SELECT id FROM invitations_invitation WHERE client_name = ? AND ? <> 'create'), '', ?, '', '', '', false, '[]')"
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


# What the last check of the audit log has said: state, up to, anchored, hours since, findings, and whether one runs.
VERDICTS: dict[str, tuple[str, int, str, float, list[str], str]] = {
    "intact": ("intact", 1_204, "", 7, [], ""),
    "intact-late": ("intact", 1_204, "", 90, [], "asked"),
    "unanchored": ("intact", 1_204, "/mnt/anchors: No space left on device", 7, [], ""),
    "tampered": (
        "tampered",
        1_204,
        "",
        7,
        [
            "Event 17 was changed: its hash does not fit.",
            "Event 18 does not continue the one before it.",
            "The checkpoint over 256 events does not fit: they add up to something else.",
        ],
        "",
    ),
    "incomplete": (
        "incomplete",
        0,
        "",
        7,
        ["There is no outside copy to compare with: whoever owns the database could have rewritten it all."],
        "running",
    ),
    "failed": ("failed", 0, "", 7, ["there is no key at /srv/portal/var/keys/audit.pem, and none was given"], ""),
    "never": ("", 0, "", 0, [], "asked"),
}
STANDING = (
    "UPDATE audit_standing SET verified_state = ?, verified_upto = ?, verified_at = ?, verify_began_at = ?,"
    " verify_requested_at = ?, anchored_at = ?, anchor_error = ?, verified_findings = ?, verified_size = ?"
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
        paged = work(people, simulator, installation)
        set_times(installation)
        addresses = {
            "board": url,
            "detail": paged["Tilda Brandtner"],
            "waiting": paged["Payroll laptop"],
            "new": f"{url}/invitations/new/",
        }
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
        if not names or "audit" in names:
            audit_pages(browser, people, installation, url, folder)
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


def say_verdict(installation: Installation, name: str) -> None:
    """Pretend that the log was checked, and with this result. Only the page's own row says so."""
    state, upto, error, hours, findings, activity = VERDICTS[name]
    checked = ago(3600 * hours) if state else None
    began = ago(20) if activity == "running" else checked
    asked = ago(5) if activity == "asked" else None
    anchored = ago(240) if upto else None
    values = (state, upto, checked, began, asked, anchored, error, json.dumps(findings), upto + 9)
    installation.manage("shell", "-v", "0", "-c", "from portal.audit.models import Standing; Standing.load()")
    installation.ask(STANDING, *values)


AUDIT_EVENTS = """
from portal import audit
from portal.accounts.models import User
from portal.audit import checkpoints
admin, agent = User.objects.get(username="admin"), User.objects.get(username="agent")
one = {"target_type": "user", "target_id": "7", "target_label": "Tove Halm"}
audit.record("user.changed", result="ok", actor=admin, facts={"fields": ["email", "groups", "last_name"]}, details={
    "changes": {"last_name": ["Halm", "Halm-Vestergaard"], "email": ["tove@example.org", "tove.halm@example.org"],
    "groups": [["Agent"], ["Agent", "Team lead"]]}}, **one)
about = {"reference": audit.new_reference(), "actor": agent, "target_type": "invitation", "target_id": "u7Zp1xQ9",
    "target_label": "Front desk, Hall B", "details": {"ticket": "HD-20431", "code": "…381"}}
key = {"key": "4f2a9c01d7e3"}
audit.record("invitation.close", phase="intent", up=key, **about)
audit.record("invitation.close", phase="outcome", result="unknown", up=key | {"ms": 10012, "class": "Unavailable",
    "method": "support/close", "reason": "no answer in 10 s"}, **about)
audit.record("invitation.close", phase="reconciled", result="ok", up=key | {"ms": 10012}, **about)
checkpoints.make()
audit.record("invitation.rename", result="denied", facts={"refused": "closed"}, **about | {"reference": ""})
audit.record("signin.failed", result="denied", actor_name="administrator")
audit.record("vendor.trouble", result="failed", up={"class": "Unavailable", "method": "support/list",
    "status": 502, "reason": "the server answered 502"})
audit.record("invitation.create", result="ok", actor=agent, target_type="invitation", target_id="u7Zp1xQa",
    target_label="Erased", details={"ticket": "HD-1"})
"""


def audit_events(installation: Installation) -> dict[str, str]:
    """Leave events of every kind of page and return their addresses. The details of one are erased."""
    installation.manage("shell", "-v", "0", "-c", AUDIT_EVENTS)
    last = installation.ask("SELECT MAX(seq) FROM audit_event")[0][0]
    found = {}
    for name, condition in {
        "change": "kind = 'user.changed'",
        "operation": "kind = 'invitation.close' AND result = 'unknown'",
        "trouble": "kind = 'vendor.trouble'",
        "stranger": "kind = 'signin.failed'",
        "erased": "kind = 'invitation.create'",
    }.items():
        found[name] = f"/audit/{installation.ask(f'SELECT MAX(seq) FROM audit_event WHERE {condition}')[0][0]}/"
    installation.manage("audit_erase", "--events", f"{last}-{last}", "--reason", "Asked for by the person", "--yes")
    return found


def audit_pages(browser: Browser, people: People, installation: Installation, url: str, folder: Path) -> None:
    """Take the log, every verdict and every kind of event, in both sizes and themes."""
    places = {f"event-{name}": f"{url}{address}" for name, address in audit_events(installation).items()}
    places |= {
        "log": f"{url}/audit/",
        "log-filtered": f"{url}/audit/?kind=invitation.close&result=ok",
        "log-nothing": f"{url}/audit/?ticket=nothing",
        "log-wrong": f"{url}/audit/?network=everywhere&reference=0123&to=2026-02-01",
        "log-agent": f"{url}/audit/",
        "export": f"{url}/audit/export/?kind=invitation.close&result=ok",
        **{f"verdict-{name}": f"{url}/audit/" for name in VERDICTS},
    }
    for name, address in places.items():
        say_verdict(installation, name.removeprefix("verdict-") if name.startswith("verdict-") else "intact")
        for size, (width, height) in SIZES.items():
            for theme in THEMES:
                context = browser.new_context(
                    ignore_https_errors=True,
                    storage_state=people.cookies("agent" if name == "log-agent" else "auditor"),  # type: ignore[arg-type]
                    viewport={"width": width, "height": 2_600 if name.startswith("event") else height},
                    color_scheme=theme,  # type: ignore[arg-type]
                    reduced_motion="reduce",
                )
                page = context.new_page()
                page.goto(address, wait_until="load")
                if name == "event-operation":
                    for summary in page.locator("main summary").all():
                        summary.click()
                page.screenshot(path=folder / f"audit-{name}-{size}-{theme}.png")
                context.close()


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
