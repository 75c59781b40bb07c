"""Clients who take their time, as bad networks and bad people do: each comes back when it is sent away.

Sockets of one event loop, in a thread beside whatever is measured.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

DRIP = 1.0  # seconds between two bytes, sent or read
HEAD = b"GET /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: " + b"slow " * 200
BODY = b"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2000\r\n\r\nlogin="
PROBE = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
Kind = Callable[["Dawdlers"], Awaitable[None]]


class Dawdlers:
    """As many of each kind as asked for, until the end. `met` counts what happened to them."""

    def __init__(self, port: int, cookies: list[dict[str, str]], counts: dict[str, int]) -> None:
        self.port = port
        self.cookies = cookies
        self.counts = counts
        self.met: Counter[str] = Counter()
        self.open: Counter[str] = Counter()
        self.ended = asyncio.Event()

    async def run(self) -> None:
        tasks = [asyncio.create_task(self.stay(name)) for name, count in self.counts.items() for _ in range(count)]
        await self.ended.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def stay(self, name: str) -> None:
        while True:
            line = socket.socket()
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", self.port))
                self.met[f"{name}: came"] += 1
                self.open[name] += 1
                await KINDS[name](self, line)
            except OSError:
                self.met[f"{name}: sent away"] += 1
                await asyncio.sleep(0.2)
            finally:
                self.open[name] -= 1
                line.close()

    async def say_nothing(self, line: socket.socket) -> None:
        await asyncio.get_running_loop().sock_recv(line, 1)

    async def drip(self, line: socket.socket, request: bytes, at_once: int) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(line, request[:at_once])
        for number in range(at_once, len(request)):
            await asyncio.sleep(DRIP)
            await loop.sock_sendall(line, request[number : number + 1])

    async def drip_a_head(self, line: socket.socket) -> None:
        await self.drip(line, HEAD, 20)

    async def drip_a_body(self, line: socket.socket) -> None:
        await self.drip(line, BODY + b"x" * 2_000, len(BODY))

    async def read_slowly(self, line: socket.socket) -> None:
        loop, cookies = asyncio.get_running_loop(), "; ".join(f"{k}={v}" for k, v in self.cookies[0].items())
        await loop.sock_sendall(line, f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookies}\r\n\r\n".encode())
        while await loop.sock_recv(line, 1):
            await asyncio.sleep(DRIP)

    async def keep_a_connection(self, line: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(line, PROBE + b"\r\n")
        while await loop.sock_recv(line, 4096):
            pass

    async def never_hang_up(self, line: socket.socket) -> None:
        await asyncio.get_running_loop().sock_sendall(line, PROBE + b"Connection: close\r\n\r\n")
        await asyncio.sleep(10)


KINDS = {
    "silent": Dawdlers.say_nothing,
    "dripping heads": Dawdlers.drip_a_head,
    "dripping bodies": Dawdlers.drip_a_body,
    "slow readers": Dawdlers.read_slowly,
    "idle kept connections": Dawdlers.keep_a_connection,
    "never hanging up": Dawdlers.never_hang_up,
}


@contextmanager
def dawdling(port: int, cookies: list[dict[str, str]], counts: dict[str, int]) -> Iterator[Dawdlers]:
    """Let them come and stay while the block runs."""
    started, box = threading.Event(), []

    async def work() -> None:
        box.append((Dawdlers(port, cookies, counts), asyncio.get_running_loop()))
        started.set()
        await box[0][0].run()

    thread = threading.Thread(target=lambda: asyncio.run(work()), daemon=True)
    thread.start()
    started.wait()
    dawdlers, loop = box[0]
    try:
        yield dawdlers
    finally:
        loop.call_soon_threadsafe(dawdlers.ended.set)
        thread.join()
