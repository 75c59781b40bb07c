"""Puts the simulator behind a `requests` session, in this process and without sockets.

Responsible for a connection that plays the simulator's scripts to urllib3, so that every error of the
network is raised by urllib3 and requests themselves. Refuses to know faults, and never sleeps: a pause
counts as time that has passed.
"""

from __future__ import annotations

import io
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from portal.getscreen.client import TIMINGS, Timing
from portal.getscreen.simulator import Simulator
from portal.getscreen.simulator.exchange import exchange
from portal.getscreen.simulator.steps import Pause, Reset, Step

TLS_OPTIONS = ("cert_reqs", "ca_certs", "ca_cert_dir", "cert_file", "key_file", "key_password", "ssl_context")


def mount(
    session: requests.Session,
    simulator: Simulator,
    url: str = "http://127.0.0.1:1/v1",
    *,
    sleep: Callable[[float], object] | None = None,
) -> None:
    """Has `session` reach `simulator` at `url`, and at the simulator's own `public_url` for previews.

    Without `sleep`, pauses add up until the read timeout strikes, so a drip ends in one. With `sleep`,
    such as a fake clock's `advance`, each pause is told to it and only a single long one is a timeout,
    as on a real socket: a deadline of the caller's own has to end a drip.
    """
    adapter = SimulatedAdapter(simulator, sleep)
    for address in (url, simulator.public_url):
        parts = urlsplit(address)
        session.mount(f"{parts.scheme}://{parts.netloc}/", adapter)


def quick_timings() -> dict[str, Timing]:
    """The client's attempts, with waits short enough for tests that fail on a real port."""
    return {name: replace(timing, connect=1.0, read=0.5, deadline=5.0) for name, timing in TIMINGS.items()}


class SimulatedAdapter(HTTPAdapter):
    """Like the adapter of requests, but its pools make simulated connections."""

    def __init__(self, simulator: Simulator, sleep: Callable[[float], object] | None) -> None:
        self._simulator = simulator
        self._sleep = sleep
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        simulator, sleep = self._simulator, self._sleep

        class Connection(SimulatedConnection):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                self.simulator = simulator
                self.sleep = sleep

        class Pool(HTTPConnectionPool):
            ConnectionCls = Connection

            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **{name: value for name, value in kwargs.items() if name not in TLS_OPTIONS})

        self.poolmanager = PoolManager(num_pools=2, maxsize=10)
        self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": Pool}


class SimulatedConnection(HTTPConnection):
    """A connection for one request: the next one connects anew, so that it can be refused."""

    simulator: Simulator
    sleep: Callable[[float], object] | None
    target = "/"

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        self.target = url
        super().request(method, url, *args, **kwargs)

    @property
    def is_connected(self) -> bool:
        return False

    def _new_conn(self) -> Any:
        match self.simulator.missing_connection(urlsplit(self.target).path):
            case None:
                return SimulatedSocket(self.simulator, self.sleep)
            case "no_such_host":
                error = OSError("Name or service not known")
                raise NameResolutionError(self.host, self, error)  # type: ignore[arg-type]
            case "connect_timeout":
                raise ConnectTimeoutError(self, "connect timeout")
            case "bad_certificate":
                raise ssl.SSLCertVerificationError(1, "certificate verify failed: certificate has expired")
            case _:
                raise NewConnectionError(self, "Connection refused")


class SimulatedSocket:
    """As much of a socket as `http.client` uses."""

    def __init__(self, simulator: Simulator, sleep: Callable[[float], object] | None) -> None:
        self._simulator = simulator
        self._sleep = sleep
        self._sent = io.BytesIO()
        self.timeout: float | None = None

    def settimeout(self, timeout: float | None) -> None:
        self.timeout = timeout

    def sendall(self, content: bytes) -> None:
        self._sent.write(content)

    def makefile(self, mode: str) -> io.BufferedReader:
        self._sent.seek(0)
        reply = exchange(self._simulator, self._sent)
        return io.BufferedReader(PlayedScript(reply.script if reply else (), self, self._sleep))

    def shutdown(self, how: int) -> None:
        """Nobody is on the other side."""

    def close(self) -> None:
        """Nothing to let go of."""


class PlayedScript(io.RawIOBase):
    """What the client reads while the script plays."""

    def __init__(
        self, script: Iterable[Step], socket: SimulatedSocket, sleep: Callable[[float], object] | None
    ) -> None:
        super().__init__()
        self._script: Iterator[Step] = iter(script)
        self._socket = socket
        self._sleep = sleep
        self._unread = b""
        self._waited = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._unread:
            match next(self._script, None):
                case None:
                    return 0
                case Pause(seconds):
                    self._wait(seconds)
                case Reset():
                    raise ConnectionResetError(104, "Connection reset by peer")
                case content:
                    self._unread = content
        taken, self._unread = self._unread[: len(buffer)], self._unread[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def _wait(self, seconds: float) -> None:
        patience = self._socket.timeout
        self._waited = seconds if self._sleep else self._waited + seconds
        if self._sleep:
            self._sleep(seconds if patience is None else min(seconds, patience))
        if patience is not None and self._waited >= patience:
            raise TimeoutError("timed out")
