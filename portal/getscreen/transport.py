"""One bounded HTTP exchange: a deadline of our own, a size cap, no redirects, no surroundings.

Turns every failure of the network into one of our errors, rebuilt without request or response.
Knows nothing of methods' meanings.
"""

from __future__ import annotations

import logging
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import requests
from requests import exceptions
from urllib3.exceptions import HTTPError, NewConnectionError

from portal.getscreen.errors import GetscreenError, Malformed, Unavailable
from portal.getscreen.links import is_loopback, is_public
from portal.getscreen.types import Secret
from portal.getscreen.watch import MayReach, Watch, WatchedAdapter, watching

logger = logging.getLogger("portal.getscreen")

CHUNK = 65_536
GLIMPSE = 4_096
MAX_RETRY_AFTER = 300
LEAST_TIME = 0.1  # seconds without which another try is pointless
HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "getscreen-portal"}
SECRETS = re.compile(r"https?:\S+|[A-Za-z0-9_\-+/=]{20,}|\d[\d \-]{4,}\d")
SHOWN = 300
NOT_PUBLIC = "an address inside a private network"


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
    url: str = field(repr=False)
    timing: Timing
    cap: int  # bytes; 0 where only the status counts
    acts: bool
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    key: Secret | None = None
    params: Mapping[str, Any] | None = field(default=None, repr=False)
    body: bytes | None = field(default=None, repr=False)
    public_only: bool = False  # the address came from an answer, and must not lead into our own network
    may_reach: MayReach | None = field(default=None, repr=False)  # the same by another rule than `is_public`


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back within its limits: whole, or only the beginning where the status says all."""

    status: int
    headers: Mapping[str, str] = field(repr=False)  # names in any case
    body: bytes = field(repr=False)
    seconds: float = 0.0  # from the call to its answer, with what was tried in vain before

    @property
    def served_at(self) -> int | None:
        """The vendor's clock in unix seconds, None if it did not say."""
        return unix_seconds(self.headers.get("Date", ""))

    @property
    def retry_after(self) -> float | None:
        """How many seconds we were asked to wait, clamped to 1..300; a date counts as well."""
        value = self.headers.get("Retry-After", "").strip()
        if value.isascii() and value.isdigit():
            seconds = int(value.lstrip("0")[:6] or 0)
        elif (until := unix_seconds(value)) is not None:
            seconds = until - (self.served_at or int(time.time()))
        else:
            return None
        return float(min(max(seconds, 1), MAX_RETRY_AFTER))


def unix_seconds(date: str) -> int | None:
    """Read a date of HTTP, which is always in UTC."""
    try:
        moment = parsedate_to_datetime(date)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


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
    """Sends requests and reads answers. Safe to use from several threads.

    Of a session only the adapters are used: its cookies, redirects, hooks and the environment's
    proxies, netrc and certificates have no say.
    """

    def __init__(
        self,
        *,
        session: requests.Session | None,
        proxy_url: str,
        ca_file: str,
        clock: Callable[[], float],
        sleep: Callable[[float], object],
    ) -> None:
        # A pooled connection may be dead without knowing; what changes something gets its own.
        self.reading = session or new_session()
        self.acting = session or new_session()
        self.proxies = {"http": proxy_url, "https": proxy_url} if proxy_url else {}
        self.verify = ca_file or True
        self.clock = clock
        self.sleep = sleep
        self.budget = RetryBudget()

    def send(self, request: Request) -> Answer:
        """Return the answer, whatever its status. Raises Unavailable or Malformed.

        What acts is tried once more, and only if no byte was sent; the rest also after 5xx.
        """
        deadline = self.clock() + request.timing.deadline
        attempts = 2 if request.acts else request.timing.attempts
        for attempt in range(1, attempts):
            try:
                answer = self.once(request, deadline)
            except Unavailable as error:
                if error.may_have_acted or not self.may_retry(attempt, deadline):
                    raise
            else:
                is_final = request.acts or answer.status < 500 or answer.retry_after is not None
                if is_final or not self.may_retry(attempt, deadline):
                    return answer
        return self.once(request, deadline)

    def may_retry(self, attempt: int, deadline: float) -> bool:
        """Back off with full jitter and say whether time and budget allow another try."""
        pause = random.uniform(0, min(2.0, 0.2 * 2**attempt))  # noqa: S311  # spreads load, guards nothing
        if self.clock() + pause + LEAST_TIME > deadline or not self.budget.spend():
            return False
        self.sleep(pause)
        return self.clock() + LEAST_TIME <= deadline

    def once(self, request: Request, deadline: float) -> Answer:
        started = time.monotonic()
        left = max(deadline - self.clock(), 0.01)
        failure: GetscreenError
        may_reach = request.may_reach or (is_public if request.public_only else None)
        if self.proxies:
            may_reach = None  # the only connection is the one to the proxy
        with watching(left, keeps_connection=not request.acts, may_reach=may_reach) as watch:
            try:
                with closing(self.open(request, left, watch)) as response:
                    answer = self.read(request, response, watch, deadline)
                if answer.status < 400:
                    self.budget.earn()
                return answer
            except GetscreenError as error:
                failure = error
            except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
                acted = request.acts and not nothing_sent(error, watch)
                reason = "no answer in time" if watch.is_late else reason_of(error)
                reason = NOT_PUBLIC if watch.has_refused else reason
                failure = Unavailable(request.operation, reason, may_have_acted=acted)
        log(request, failure, time.monotonic() - started)
        # Without the frames below, whose variables hold the key and the answer.
        raise failure.with_traceback(None)

    def open(self, request: Request, left: float, watch: Watch) -> requests.Response:
        """Send the request and read the head of the answer."""
        watch.has_sent = False
        headers = dict(HEADERS | dict(request.headers))
        if request.key is not None:
            headers["X-Api-Key"] = request.key.reveal()
        if request.acts:
            headers["Connection"] = "close"
        prepared = requests.Request(
            request.method, request.url, headers=headers, params=request.params, data=request.body
        ).prepare()
        session = self.acting if request.acts else self.reading
        adapter = session.get_adapter(request.url)
        watch.has_sent = None
        return adapter.send(
            prepared,
            stream=True,
            timeout=(min(request.timing.connect, left), min(request.timing.read, left)),
            verify=self.verify,
            proxies={} if is_loopback(urlsplit(request.url).hostname or "") else self.proxies,
        )

    def read(self, request: Request, response: requests.Response, watch: Watch, deadline: float) -> Answer:
        """Read the body in pieces, up to the cap and the deadline; of one that nobody needs, only the beginning."""
        status = response.status_code
        if request.cap == 0 or not 200 <= status < 300:
            return Answer(status, response.headers, glimpse(response))
        operation, acts = request.operation, request.acts
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise Malformed(operation, "an encoded answer", may_have_acted=acts, status=status)
        body = bytearray()
        while piece := response.raw.read1(CHUNK):
            body += piece
            if len(body) > request.cap:
                raise Malformed(operation, "an answer that is too large", may_have_acted=acts, status=status)
            if self.clock() > deadline:
                break
        if watch.is_late or self.clock() > deadline:  # shutting down looks like the end of a body
            raise Unavailable(operation, "no answer in time", may_have_acted=acts, status=status)
        return Answer(status, response.headers, bytes(body))


def glimpse(response: requests.Response) -> bytes:
    """Return the beginning of a body that is only good for the log, if there is one."""
    try:
        return bytes(response.raw.read1(GLIMPSE) or b"")
    except (HTTPError, HTTPException, OSError, ValueError):
        return b""


NEVER_LEFT = (
    exceptions.ConnectTimeout,
    exceptions.SSLError,
    exceptions.ProxyError,
    exceptions.InvalidURL,
    exceptions.InvalidSchema,
    exceptions.MissingSchema,
    exceptions.InvalidHeader,
    exceptions.URLRequired,
)


def nothing_sent(error: Exception, watch: Watch) -> bool:
    """Say whether the request certainly never left: no name, no connection, no TLS session, no tunnel."""
    if watch.has_sent is not None:
        return not watch.has_sent
    reasons = [getattr(one, "reason", None) for one in (error, *error.args)]
    return isinstance(error, NEVER_LEFT) or any(isinstance(reason, NewConnectionError) for reason in reasons)


REASONS: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.ConnectTimeout, "no connection in time"),
    (exceptions.Timeout, "no answer in time"),
    (exceptions.SSLError, "no secure connection"),
    (exceptions.ProxyError, "the proxy refused"),
    (exceptions.ConnectionError, "the connection failed"),
)


def reason_of(error: Exception) -> str:
    """Return our own words for a failure of the network, never its text: that may hold an address."""
    return next((text for kind, text in REASONS if isinstance(error, kind)), "the exchange broke off")


def redacted(body: bytes, *private: str) -> str:
    """Return at most 300 characters of an error body without anything that looks like a secret."""
    text = body[:GLIMPSE].decode("utf-8", "replace")
    printable = "".join(char if char.isprintable() else " " for char in text)
    if len(body) > GLIMPSE:
        printable = printable.rpartition(" ")[0]  # the last word may be half a secret
    for secret in filter(None, private):
        printable = printable.replace(secret, "********")
    return SECRETS.sub("********", printable)[:SHOWN]


def log(request: Request, error: GetscreenError, seconds: float) -> None:
    # What only reads is tried again, and whoever asked says once that it does not work.
    logger.log(
        logging.WARNING if request.acts else logging.DEBUG,
        "%s %s failed: %s, status %s, %s, %d ms",
        request.method,
        request.operation,
        type(error).__name__,
        error.status,
        error.reason,
        seconds * 1000,
    )
