"""The pictures in docs/screenshots/: `make screenshots`, or `python -m tests.screenshots [folder]`.

Invented people work with a simulated vendor through a real installation behind https; then seven
pages are taken on desk and phone, light and dark, and four others in two of these ways.
Only what time would have brought is written into the database: how long ago things happened.
"""

from __future__ import annotations

import base64
import hmac
import re
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Error, Page, Request, sync_playwright

from portal.getscreen.simulator import Simulator
from tests.e2e.forwarder import forwarder
from tests.installation import PASSWORD, ROOT, Installation, vendor_on_a_port
from tests.tools import chromium, chromium_args

FOLDER = ROOT / "docs" / "screenshots"
SIZES = {"desk": (1440, 900), "phone": (390, 844)}
THEMES = ("light", "dark")
LARGEST = 120_000  # bytes
TRIES = 5  # Chromium gives up what it loads when the machine's networks change
# Of what a closed part or the rest of a long page holds, nothing is loaded.
PICTURES = """
() => Promise.allSettled([...document.images].filter((image) =>
  image.checkVisibility() && image.getBoundingClientRect().top < innerHeight).map((image) => image.decode()))
"""
# The 256 most frequent colours; every other becomes the nearest of them.
REDUCE = """
async (png) => {
  const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height), paper = canvas.getContext("2d");
  paper.drawImage(image, 0, 0);
  const pixels = new Uint32Array(paper.getImageData(0, 0, image.width, image.height).data.buffer);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const split = (pixel) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  const palette = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([pixel]) => split(pixel));
  const places = new Map();
  for (const pixel of counts.keys()) {
    const wanted = split(pixel);
    let best = 0, least = Infinity;
    palette.forEach((colour, place) => {
      const distance = colour.reduce((sum, part, i) => sum + (part - wanted[i]) ** 2, 0);
      if (distance < least) [best, least] = [place, distance];
    });
    places.set(pixel, best);
  }
  const bytes = Uint8Array.from(pixels, (pixel) => places.get(pixel));
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return [image.width, image.height, palette.flat(), btoa(text)];
}
"""

# Who made it, client, ticket, minutes ago, and what the client did: system and minutes since.
WORK = (
    ("colleague", "Ilse Varga-Moor", "HD-20388", 31, "closed", "win", 12),
    ("lead", "Warehouse scanner 3", "HD-20390", 26, "active", "linux", 23),
    ("agent", "Oke Parrish", "HD-20427", 14, "active", "mac", 8),
    ("lead", "Payroll laptop", "HD-20377", 112, "", "", 0),
    ("agent", "", "", 3, "", "", 0),
    ("lead", "Konstantina Papadimou-Vale (Estates, 3rd floor)", "HD-20433", 1, "", "", 0),
    ("colleague", "Front desk, Hall B", "HD-20431", 6, "taken", "android", 1),
    ("agent", "Tilda Brandtner", "HD-20418", 9, "joined", "win", 4),
)
OUTSIDE = ("", "Reception PC", "", 12, "", "", 0)
BRIEF = ("sign-in-german", "join-german", "second-step", "security")  # pages of which two pictures are enough
TWO = (("desk", "light"), ("phone", "dark"))
Pages = tuple[tuple[str, str, str], ...]  # name of the picture, who looks, address


class People:
    """One window per person, signed in at the first use."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._contexts: dict[str, BrowserContext] = {}

    def window(self, name: str) -> Page:
        if name not in self._contexts:
            context = self._browser.new_context(base_url=self._url, ignore_https_errors=True)
            self._contexts[name] = context
            page = context.new_page()
            page.goto("/accounts/login/")
            page.locator("[name=login]").fill(name)
            page.locator("[name=password]").fill(PASSWORD)
            page.get_by_role("button", name="Sign in", exact=True).click()
            page.get_by_role("heading", name="Board").wait_for()
        return self._contexts[name].pages[0]

    def give_app(self, name: str) -> None:
        """Set up an authenticator app as the page tells."""
        page = self.window(name)
        page.goto("/accounts/security/app/")
        page.locator("summary").click()
        page.locator("[name=code]").fill(code(page.locator("code.secret").inner_text().replace(" ", "")))
        page.get_by_role("button", name="Turn it on").click()
        page.get_by_role("heading", name="Recovery codes").wait_for()

    def begin(self, name: str, as_name: str) -> None:
        """Open a second window for somebody, in which only the password has been typed."""
        context = self._contexts[as_name] = self._browser.new_context(base_url=self._url, ignore_https_errors=True)
        page = context.new_page()
        page.goto("/accounts/login/")
        page.locator("[name=login]").fill(name)
        page.locator("[name=password]").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_role("heading", name="Enter the code").wait_for()

    def cookies(self, name: str) -> object:
        self.window(name)
        return self._contexts[name].storage_state()


def main(folder: Path = FOLDER) -> int:
    with stage() as (simulator, installation, url), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=[*chromium_args(), "--disable-lcd-text"])
        people = People(browser, url)
        paged = work(people, simulator, installation)
        folder.mkdir(parents=True, exist_ok=True)
        people.give_app("careful")
        people.begin("careful", "half in")
        pages = (
            ("sign-in", "", url),
            ("sign-in-german", "", url),
            ("second-step", "half in", f"{url}/accounts/login/code/"),
            ("security", "careful", f"{url}/accounts/security/"),
            ("audit", "lead", f"{url}/audit/"),
            ("create", "agent", f"{url}/invitations/new/"),
            ("share", "agent", f"{paged['Payroll laptop']}share/"),
            ("join", "", f"{url}/join/{code_of(installation, 'Payroll laptop')}"),
            ("join-german", "", f"{url}/join/{code_of(installation, 'Payroll laptop')}"),
            ("detail", "agent", paged["Tilda Brandtner"]),
            ("board", "agent", url),
        )
        files = list(take_all(browser, people, installation, pages, folder))
        browser.close()
    too_large = [file for file in files if file.stat().st_size > LARGEST]
    for file in too_large:
        print(f"{file} is larger than {LARGEST} bytes", file=sys.stderr)  # noqa: T201
    return 1 if too_large else 0


@contextmanager
def stage() -> Iterator[tuple[Simulator, Installation, str]]:
    with tempfile.TemporaryDirectory() as name, vendor_on_a_port(seed=20, remaining=95) as (simulator, server):
        folder = Path(name)
        with Installation(folder, server) as installation, forwarder(folder, installation.secure_port) as url:
            installation.prepare()
            installation.serve(
                port=installation.secure_port,
                PUBLIC_URL=url,
                INSECURE_HTTP="0",
                TRUSTED_PROXIES="127.0.0.1",
                TICKET_URL="https://tickets.example.org/{ticket}",
            )
            installation.trouble("")
            # Somebody is there in time: nobody is called louder, whoever waits for a picture.
            calm = {f"escalate_{step}_seconds": "0" for step in ("page", "webhook", "mail")}
            installation.set_policy(helpdesk_name="Quillmere IT Helpdesk", shared_link="join", **calm)
            yield simulator, installation, url


def work(people: People, simulator: Simulator, installation: Installation) -> dict[str, str]:
    """Let everybody do what WORK says. Returns the page of each client's invitation."""
    paged = {}
    for name, client, ticket, _minutes, state, system, _since in WORK:
        page = people.window(name)
        page.goto("/invitations/new/")
        page.get_by_label("Client name").fill(client)
        page.get_by_label("Ticket").fill(ticket)
        page.get_by_role("button", name="Create invitation").click()
        page.locator("#code").wait_for()
        paged[client] = page.url
        follow(page, simulator, installation, max(simulator.rows()), state, system)
    installation.known(simulator.add(OUTSIDE[1], created_at=time.time() - 720))
    return paged


def set_times(installation: Installation) -> None:
    """Let everything have happened as long ago as WORK says, however long the pictures take."""
    numbers = installation.ask("SELECT vendor_id FROM invitations_invitation ORDER BY vendor_id")
    for (number,), (_by, _client, _ticket, minutes, _state, _system, since) in zip(
        numbers, (*WORK, OUTSIDE), strict=True
    ):
        backdate(installation, number, minutes, since)
    installation.ask("UPDATE invitations_snapshot SET revision = revision + 1")


def code_of(installation: Installation, client: str) -> str:
    return str(installation.ask("SELECT code FROM invitations_invitation WHERE client_name = ?", client)[0][0])


def code(seed: str) -> str:
    """Return what an authenticator app shows now (RFC 6238)."""
    digest = hmac.digest(base64.b32decode(seed), struct.pack(">Q", int(time.time()) // 30), "sha1")
    start = digest[-1] & 15
    return f"{(int.from_bytes(digest[start : start + 4]) & 0x7FFFFFFF) % 1_000_000:06}"


def follow(page: Page, simulator: Simulator, installation: Installation, number: int, state: str, system: str) -> None:
    if not state:
        return
    simulator.join(number, system)
    installation.known(number, status=1)
    if state == "joined":
        return
    with page.context.expect_page() as opened:
        page.get_by_role("button", name=re.compile("Connect to")).click()
    opened.value.get_by_role("heading", name="You are connected (simulated)").wait_for()
    opened.value.close()
    installation.known(number, status=2)
    if state == "closed":
        simulator.close(number)
        installation.known(number, status=3)
    if state == "taken":
        simulator.leave(number)
        simulator.join(number, system)
        installation.known(number, status=1)


def backdate(installation: Installation, number: int, minutes: int, since: int) -> None:
    """Move an invitation's times into the past, as if the day had begun a while ago."""
    now = datetime.now(UTC).replace(tzinfo=None)
    made, joined = now - timedelta(minutes=minutes, seconds=7), now - timedelta(minutes=since, seconds=12)
    started = joined + timedelta(seconds=20)
    installation.ask(
        "UPDATE invitations_invitation SET created_at = ?, closed_at = iif(closed_at IS NULL, NULL, ?),"
        " joined_at = iif(joined_at IS NULL, NULL, ?), active_at = iif(active_at IS NULL, NULL, ?)"
        " WHERE vendor_id = ?",
        *(made, started + timedelta(minutes=9), joined, started, number),
    )
    moments = {"created": made, "found": made, "joined": joined, "connected": started, "active": started}
    for kind, at in moments.items():
        installation.ask(
            "UPDATE invitations_entry SET at = ? WHERE kind = ? AND invitation_id ="
            " (SELECT id FROM invitations_invitation WHERE vendor_id = ?)",
            *(at, kind, number),
        )


def take_all(
    browser: Browser, people: People, installation: Installation, pages: Pages, folder: Path
) -> Iterator[Path]:
    for name, person, url in pages:
        # Desktops are on the board alone: each look is an audit entry.
        installation.set_policy(previews="shown" if name == "board" else "click")
        set_times(installation)
        for size, theme in TWO if name in BRIEF else product(SIZES, THEMES):
            width, height = SIZES[size]
            context = browser.new_context(
                ignore_https_errors=True,
                storage_state=people.cookies(person) if person else None,  # type: ignore[arg-type]
                viewport={"width": width, "height": height},
                has_touch=size == "phone",
                is_mobile=size == "phone",
                color_scheme=theme,  # type: ignore[arg-type]
                locale="de-DE" if name.endswith("-german") else "en-GB",
                reduced_motion="reduce",
            )
            page = context.new_page()
            go(page, url)
            picture = page.screenshot()
            context.close()
            file = folder / f"{name}-{size}-{theme}.png"
            file.write_bytes(smaller(picture, browser))
            yield file


def go(page: Page, url: str) -> None:
    """Open a page and wait until all of it is there: pages keep asking what is new, so none is idle for long."""
    under_way: set[Request] = set()
    lost: list[Request] = []
    page.on("request", lambda request: under_way.add(request))
    page.on("requestfinished", lambda request: under_way.discard(request))
    page.on("requestfailed", lambda request: (under_way.discard(request), lost.append(request)))
    for _try in range(TRIES):
        lost.clear()
        with suppress(Error):
            page.goto(url)
            page.evaluate(PICTURES)
        while under_way:
            page.wait_for_timeout(50)
        if not lost:
            break
    else:
        raise RuntimeError(f"{url} does not come whole: {lost[0].failure}")
    page.wait_for_timeout(300)  # to paint it


def smaller(picture: bytes, browser: Browser) -> bytes:
    """Return the PNG with a palette: a third of the size, and nobody sees the difference."""
    page = browser.new_page()
    width, height, palette, encoded = page.evaluate(REDUCE, base64.b64encode(picture).decode())
    page.close()
    places = base64.b64decode(encoded)
    lines = b"".join(b"\0" + places[start : start + width] for start in range(0, width * height, width))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(palette)),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, content) for kind, content in parts)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:2])))
