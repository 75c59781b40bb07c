"""A small proxy before several replicas: in turns, with health checks and kept connections, as real ones do it.

It asks another replica only where a connection is refused, when nothing was sent. What fails later fails for the
client too (502): so every request that a replica lets down is seen.
"""

from __future__ import annotations

import http.client
import itertools
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "x-forwarded-for"}
LOOK_EVERY = 0.1  # seconds between two health checks
IDLE = 3.0  # seconds that a connection to a replica is kept: fewer than the replica itself keeps it


class Backend:
    """One replica as the proxy sees it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.is_up = False
        self.served = 0

    def look(self) -> None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=30) as answer:
                self.is_up = answer.status == 200
        except TimeoutError:
            pass  # slow on a busy machine
        except OSError:
            self.is_up = False


class Handler(BaseHTTPRequestHandler):
    """One client's connection, with its own connections to the replicas."""

    server: Balancer
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.links: dict[int, tuple[http.client.HTTPConnection, float]] = {}

    def finish(self) -> None:
        super().finish()
        for link, _ in self.links.values():
            link.close()

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        for backend in self.server.turn():
            try:
                link = self.link_to(backend.port)
            except ConnectionRefusedError:
                backend.is_up = False
                continue
            try:
                self.relay(backend, link, body)
            except (OSError, http.client.HTTPException) as error:
                link.close()
                self.links.pop(backend.port, None)
                self.say(502, f"{type(error).__name__} from {backend.port}")
            return
        self.say(503, "no replica is up")

    do_POST = do_HEAD = do_GET

    def link_to(self, port: int) -> http.client.HTTPConnection:
        """Return a connection that stands. Raises ConnectionRefusedError."""
        link, used_at = self.links.get(port, (None, 0.0))
        if link is not None and link.sock is not None and time.monotonic() - used_at < IDLE:
            return link
        if link is not None:
            link.close()
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        link.connect()
        return link

    def relay(self, backend: Backend, link: http.client.HTTPConnection, body: bytes) -> None:
        link.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP_BY_HOP:
                link.putheader(name, value)
        link.putheader("X-Forwarded-For", self.client_address[0])
        if self.command == "POST":
            link.putheader("Content-Length", str(len(body)))
        link.endheaders(body or None)
        answer = link.getresponse()
        content = answer.read()
        self.links[backend.port] = (link, time.monotonic())  # one that the replica has ended has no socket any more
        backend.served += 1
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("X-Served-By", str(backend.port))
        self.end(answer.status, content)

    def say(self, status: int, words: str) -> None:
        self.send_response_only(status)
        self.end(status, words.encode())

    def end(self, status: int, content: bytes) -> None:
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: the test's output is the test's."""


class Balancer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *ports: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.backends = [Backend(port) for port in ports]
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.stopping = threading.Event()
        self._turns = itertools.count()

    def turn(self) -> list[Backend]:
        """Return those that are up, another one first each time. If none is, all are worth a try."""
        up = [backend for backend in self.backends if backend.is_up] or self.backends
        first = next(self._turns) % len(up) if up else 0
        return up[first:] + up[:first]

    def watch(self, backend: Backend) -> None:
        while not self.stopping.wait(LOOK_EVERY):
            backend.look()

    def is_up(self, port: int) -> bool:
        return next(backend.is_up for backend in self.backends if backend.port == port)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of ours."""


@contextmanager
def balancer(*ports: int) -> Iterator[Balancer]:
    """Run one for as long as the body runs."""
    server = Balancer(*ports)
    threads = [threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)]
    threads += [threading.Thread(target=server.watch, args=(backend,), daemon=True) for backend in server.backends]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        with suppress(OSError):
            server.server_close()
        for thread in threads:
            thread.join()
