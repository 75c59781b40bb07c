"""One bounded HTTP exchange: a deadline of our own, a size cap, no redirects, no surroundings.

Turns every failure of the network into one of our errors, rebuilt without request or response.
Knows nothing of methods' meanings.
"""

from __future__ import annotations

import logging
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError

from portal.getscreen.errors import GetscreenError, Malformed, Unavailable

logger = logging.getLogger("portal.getscreen")

CHUNK = 65_536
MAX_RETRY_AFTER = 300
SECRETS = re.compile(r"[A-Za-z0-9_\-]{20,}|https?://\S+")
HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "getscreen-portal"}
RETRIED = frozenset({500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds to connect, between two reads, and in total with retries; and how often to try."""

    connect: float
    read: float
    deadline: float
    attempts: int


@dataclass(frozen=True, slots=True)
class Request:
    """One call on its way: what to send, how long to wait, how much to read, and whether it acts."""

    operation: str
    method: str
    url: str
    timing: Timing
    cap: int  # bytes
    acts: bool
    headers: dict[str, str] = field(repr=False)
    params: dict[str, Any] | None = field(default=None, repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole and within its limits."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def served_at(self) -> int | None:
        """The vendor's clock in unix seconds, None if it did not say."""
        try:
            return int(parsedate_to_datetime(self.headers.get("Date", "")).timestamp())
        except (TypeError, ValueError, OverflowError):
            return None

    @property
    def retry_after(self) -> float | None:
        """How many seconds we were asked to wait, clamped to 1..300; only whole seconds count."""
        value = self.headers.get("Retry-After", "").strip()
        if not (value.isascii() and value.isdigit()):
            return None
        return float(min(max(int(value[:6]), 1), MAX_RETRY_AFTER))


class Watchdog(threading.local):
    """The exchange that the current thread is in: its socket, and whether a byte of it was sent."""

    sock: socket.socket | None = None
    has_sent = False


watched = Watchdog()


class WatchedHTTP(HTTPConnection):
    """A connection that tells the watchdog about its socket before the first byte leaves."""

    def send(self, data: Any) -> None:
        watch_and_send(self)
        super().send(data)


class WatchedHTTPS(HTTPSConnection):
    def send(self, data: Any) -> None:
        watch_and_send(self)
        super().send(data)


def watch_and_send(connection: HTTPConnection) -> None:
    if connection.sock is None:
        connection.connect()
    watched.sock, watched.has_sent = connection.sock, True


class WatchedHTTPPool(HTTPConnectionPool):
    ConnectionCls = WatchedHTTP


class WatchedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = WatchedHTTPS


POOLS = {"http": WatchedHTTPPool, "https": WatchedHTTPSPool}


class WatchedAdapter(HTTPAdapter):
    """requests' adapter with watched connections, through a proxy as well."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager


class RetryBudget:
    """Tokens for retries, so that an outage adds at most a tenth to the load."""

    CAPACITY = 10.0
    PER_SUCCESS = 0.1

    def __init__(self) -> None:
        self.tokens = self.CAPACITY
        self.lock = threading.Lock()

    def earn(self) -> None:
        with self.lock:
            self.tokens = min(self.CAPACITY, self.tokens + self.PER_SUCCESS)

    def spend(self) -> bool:
        with self.lock:
            if self.tokens < 1:
                return False
            self.tokens -= 1
            return True


def new_session() -> requests.Session:
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, WatchedAdapter(pool_maxsize=10))
    return session


class Transport:
    """Sends requests and reads answers. Safe to use from several threads."""

    def __init__(
        self,
        *,
        session: requests.Session | None,
        proxy_url: str,
        ca_file: str,
        clock: Callable[[], float],
        sleep: Callable[[float], object],
    ) -> None:
        self.reading = session or new_session()
        # A pooled connection may be dead without knowing; what changes something gets its own.
        self.acting = session or new_session()
        for one in (self.reading, self.acting):
            one.trust_env = False
            one.max_redirects = 0
            one.headers.clear()
            one.cookies.clear()
            one.proxies = {"http": proxy_url, "https": proxy_url} if proxy_url else {}
            one.verify = ca_file or True
        self.clock = clock
        self.sleep = sleep
        self.budget = RetryBudget()

    def send(self, request: Request) -> Answer:
        """Return the answer, whatever its status. Raises Unavailable or Malformed.

        What acts is tried again only if no byte was sent; the rest also after 5xx.
        """
        deadline = self.clock() + request.timing.deadline
        attempts = max(request.timing.attempts, 2) if request.acts else request.timing.attempts
        for attempt in range(1, attempts):
            try:
                answer = self.once(request, deadline)
            except GetscreenError as error:
                if error.may_have_acted or not self.may_retry(attempt, deadline):
                    raise
            else:
                if request.acts or answer.status not in RETRIED or not self.may_retry(attempt, deadline):
                    return answer
        return self.once(request, deadline)

    def may_retry(self, attempt: int, deadline: float) -> bool:
        """Back off with full jitter and say whether time and budget allow another try."""
        pause = random.uniform(0, min(2.0, 0.2 * 2**attempt))  # noqa: S311  # spreads load, guards nothing
        if self.clock() + pause >= deadline or not self.budget.spend():
            return False
        self.sleep(pause)
        return self.clock() < deadline

    def once(self, request: Request, deadline: float) -> Answer:
        started = time.monotonic()
        left = max(deadline - self.clock(), 0.05)
        failure: GetscreenError
        try:
            with guarded(left), self.open(request, left) as response:
                answer = self.read(request, response, deadline)
                if answer.status < 400:
                    self.budget.earn()
                return answer
        except GetscreenError as error:
            failure = error
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            acted = request.acts and not nothing_sent(error)
            failure = Unavailable(request.operation, reason_of(error), may_have_acted=acted)
        log(request, failure, time.monotonic() - started)
        raise failure from None

    def open(self, request: Request, left: float) -> requests.Response:
        session = self.acting if request.acts else self.reading
        timing = request.timing
        return session.request(
            request.method,
            request.url,
            headers=HEADERS | request.headers | ({"Connection": "close"} if request.acts else {}),
            params=request.params,
            data=request.body,
            timeout=(min(timing.connect, left), min(timing.read, left)),
            allow_redirects=False,
            stream=True,
        )

    def read(self, request: Request, response: requests.Response, deadline: float) -> Answer:
        """Read the body in pieces, up to the cap and the deadline."""
        status = response.status_code
        facts = {"may_have_acted": request.acts, "status": status}
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise Malformed(request.operation, "an encoded answer", **facts)
        body = bytearray()
        while piece := response.raw.read1(CHUNK):
            body += piece
            if len(body) > request.cap:
                raise Malformed(request.operation, "an answer that is too large", **facts)
            if self.clock() > deadline:
                raise Unavailable(request.operation, "the answer took too long", **facts)
        return Answer(status, dict(response.headers), bytes(body))


@contextmanager
def guarded(seconds: float) -> Iterator[None]:
    """Shut the thread's watched socket down after `seconds`: read timeouts never fire on a drip."""
    watched.sock, watched.has_sent = None, False
    box = watched.__dict__
    timer = threading.Timer(seconds, shut_down, [box])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def shut_down(box: dict[str, Any]) -> None:
    sock = box.get("sock")
    if sock is not None:
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


NEVER_LEFT = (requests.ConnectTimeout, requests.exceptions.SSLError, requests.exceptions.ProxyError)


def nothing_sent(error: Exception) -> bool:
    """Say whether the request certainly never left: no name, no connection, no TLS session, no tunnel."""
    if watched.has_sent:
        return False
    if isinstance(
        error, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError
    ):
        return True
    reasons = [getattr(one, "reason", None) for one in (error, *error.args)]
    return any(isinstance(reason, NewConnectionError | NameResolutionError) for reason in reasons)


def reason_of(error: Exception) -> str:
    """Return our own words for a failure of the network, never its text: that may hold an address."""
    words: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
        (requests.ConnectTimeout, "no connection in time"),
        (requests.Timeout, "no answer in time"),
        (requests.exceptions.SSLError, "no secure connection"),
        (requests.exceptions.ProxyError, "the proxy refused"),
        (requests.ConnectionError, "the connection failed"),
    )
    return next((text for kind, text in words if isinstance(error, kind)), "the exchange broke off")


def redacted(body: bytes) -> str:
    """Return at most 300 characters of an error body without anything that looks like a secret."""
    text = body[:2000].decode("utf-8", "replace")
    printable = "".join(char if char.isprintable() else " " for char in text)
    return SECRETS.sub("********", printable)[:300]


def log(request: Request, error: GetscreenError, seconds: float) -> None:
    logger.warning(
        "%s %s failed: %s, status %s, %s, %d ms",
        request.method,
        request.operation,
        type(error).__name__,
        error.status,
        error.reason,
        seconds * 1000,
    )
