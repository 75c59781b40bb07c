"""A browser as far as HTTP goes, cheap enough to have hundreds of them beside the server they load.

One connection that is kept, the cookies of somebody signed in, and polls that say what a page says.
It understands no more of HTTP than the portal speaks, because every microsecond spent here is taken
from the server on the same machine.
"""

from __future__ import annotations

import asyncio
import html
import math
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

PATIENCE = 60.0  # seconds for one answer; whatever takes longer has failed


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are lower case; `seconds` is from the request to the last byte."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


class Browser:
    """Somebody signed in, on one connection. Requests are made one after the other."""

    def __init__(self, port: int, cookies: dict[str, str], host: str = "127.0.0.1") -> None:
        self.host, self.port = host, port
        self.cookies = dict(cookies)
        self.poll_path, self.tag, self.release = "/board/rows/", "", ""
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def get(self, path: str, **headers: str) -> Answer:
        return await self._ask("GET", path, headers, b"")

    async def post(self, path: str, **form: str) -> Answer:
        """Send a form. Its token against forgery is read from a page first."""
        if "csrftoken" not in self.cookies:
            await self.get("/invitations/new/")
        body = urlencode(form | {"csrfmiddlewaretoken": self.cookies["csrftoken"]}).encode()
        return await self._ask("POST", path, {"Content-Type": "application/x-www-form-urlencoded"}, body)

    async def open_board(self) -> Answer:
        """Load the board and remember what its polls say."""
        answer = await self.get("/")
        page = answer.body.decode()
        board = re.search(r'<div[^>]* id="board"[^>]*>', page)
        if answer.status != 200 or board is None:
            raise RuntimeError(f"the board answered {answer.status} without a board")
        self.poll_path = html.unescape(attribute("hx-get", board[0]))
        self.tag = html.unescape(attribute("hx-ptag", board[0]))
        self.release = html.unescape(attribute("data-release", page))
        return answer

    async def poll(self) -> Answer:
        """Ask for the board with the tag of the last answer, as htmx does."""
        headers = {"HX-Request": "true", "HX-PTag": self.tag}
        if self.release:
            headers["X-Release"] = self.release
        answer = await self._ask("GET", self.poll_path, headers, b"")
        self.tag = answer.headers.get("hx-ptag", self.tag)
        return answer

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        request = self._written(method, path, headers, body)
        began = time.perf_counter()
        is_kept = self._writer is not None
        try:
            status, fields, content = await asyncio.wait_for(self._exchange(request), PATIENCE)
        except (ConnectionError, asyncio.IncompleteReadError):
            await self.close()
            if not is_kept or method != "GET":
                raise
            # The server may let go of a kept connection at any time; a browser then asks once more.
            status, fields, content = await asyncio.wait_for(self._exchange(request), PATIENCE)
        return Answer(status, fields, content, time.perf_counter() - began)

    def _written(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}", f"Cookie: {cookies}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    async def _exchange(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self.host, self.port, limit=2**20)
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        status, fields = int(first.split(" ", 2)[1]), self._fields(lines)
        content = await self._content(self._reader, status, fields)
        if fields.get("connection", "").lower() == "close":
            await self.close()
        return status, fields, content

    def _fields(self, lines: list[str]) -> dict[str, str]:
        fields = {}
        for line in lines:
            name, _, value = line.partition(":")
            if name.lower() == "set-cookie":
                cookie, _, rest = value.strip().partition(";")[0].partition("=")
                self.cookies[cookie] = rest
            fields[name.lower()] = value.strip()
        return fields

    async def _content(self, reader: asyncio.StreamReader, status: int, fields: dict[str, str]) -> bytes:
        if status in (204, 304):
            return b""
        if "content-length" in fields:
            return await reader.readexactly(int(fields["content-length"]))
        if fields.get("transfer-encoding", "").lower() != "chunked":
            return await reader.read()
        chunks = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            chunks.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return b"".join(chunks)


def attribute(name: str, tag: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return found[1] if found else ""


@dataclass
class Tally:
    """What a crowd saw: answers by status, and how long the good ones took, in seconds."""

    statuses: dict[int, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    def note(self, answer: Answer) -> None:
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        self.seconds.append(answer.seconds)

    @property
    def count(self) -> int:
        return sum(self.statuses.values())

    def others(self, *expected: int) -> int:
        """How many answers had another status than expected, or never came."""
        return self.failed + sum(count for status, count in self.statuses.items() if status not in expected)


async def poll_like_pages(browsers: list[Browser], tally: Tally, *, every: float, until: Callable[[], bool]) -> None:
    """Each browser opens the board at a moment of its own and polls it until the end."""
    await asyncio.gather(*(_poll_like_a_page(browser, tally, every, until) for browser in browsers))


async def _poll_like_a_page(browser: Browser, tally: Tally, every: float, until: Callable[[], bool]) -> None:
    await asyncio.sleep(random.uniform(0, every))
    opened = False
    while not until():
        try:
            if opened:
                tally.note(await browser.poll())
            else:
                await browser.open_board()
                opened = True
        except (OSError, asyncio.IncompleteReadError, TimeoutError, RuntimeError):
            tally.failed += 1
            await browser.close()
        await asyncio.sleep(every)
    await browser.close()


async def hammer(browsers: list[Browser], ask: Callable[[Browser], Awaitable[Answer]], seconds: float) -> Tally:
    """Each browser asks again as soon as it is answered."""
    tally, end = Tally(), time.perf_counter() + seconds

    async def work(browser: Browser) -> None:
        while time.perf_counter() < end:
            tally.note(await ask(browser))

    await asyncio.gather(*(work(browser) for browser in browsers))
    return tally


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of all do not exceed, by the nearest rank."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    rank = math.ceil(round(share * len(ordered), 6))  # 0.99 × 100 is a little more than 99 otherwise
    return ordered[max(rank, 1) - 1]
