"""Connections under guard: cut off when their exchange's time is up, and aware whether a request has left.

Knows sockets, pools and threads. Knows nothing of requests' contents, answers and our errors.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

MayReach = Callable[[str], bool]  # whether one may connect to an address
TALKATIVE = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")


class Watch:
    """The guard of one exchange: shuts its connection down when time is up, and knows whether the request left.

    Read timeouts never fire on one byte per second. The guard keeps a duplicate of the socket's
    descriptor: TLS takes the first one over, and the number of a closed one may be somebody else's.
    """

    def __init__(self, seconds: float, *, keeps_connection: bool, may_reach: MayReach | None = None) -> None:
        self.keeps_connection = keeps_connection
        self.may_reach = may_reach
        self.has_refused = False  # because every address of the host is one that may not be reached
        self.has_sent: bool | None = None  # None: no connection of ours took part, so nobody knows
        self.is_late = False
        self._is_over = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._time_is_up)
        self._timer.daemon = True
        self._timer.start()

    def follow(self, sock: Any) -> None:
        """Take charge of a connected socket, encrypted or not."""
        with self._lock:
            self._let_go()
            self._socket = socket.fromfd(sock.fileno(), socket.AF_INET, socket.SOCK_STREAM)
            if self.is_late:
                self._shut()

    def note_departure(self, sock: Any) -> None:
        """The first byte of the request is about to leave. Raises TimeoutError if it is too late for that."""
        if self.is_late:
            raise TimeoutError("no time left to send")
        if self._socket is None:
            self.follow(sock)
        self.has_sent = True

    def end(self) -> None:
        """Leave the connection alone for good, so that nobody who uses it next is cut off."""
        self._timer.cancel()
        with self._lock:
            self._is_over = True
            self._let_go()

    def _time_is_up(self) -> None:
        with self._lock:
            if not self._is_over:
                self.is_late = True
                self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _let_go(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Current(threading.local):
    """The watch of the exchange that this thread is in. urllib3's pools have no other way to know it."""

    watch: Watch | None = None


current = Current()


@contextmanager
def watching(seconds: float, *, keeps_connection: bool, may_reach: MayReach | None = None) -> Iterator[Watch]:
    """Guard what the block exchanges. `may_reach` chooses, of a host's addresses, those that are connected to."""
    current.watch = watch = Watch(seconds, keeps_connection=keeps_connection, may_reach=may_reach)
    try:
        yield watch
    finally:
        watch.end()
        current.watch = None


def silence(record: logging.LogRecord) -> bool:
    """Drop what urllib3 says about our exchanges: whole addresses, with names and pictures' secrets."""
    return current.watch is None


for talkative in TALKATIVE:
    logging.getLogger(talkative).addFilter(silence)


class WatchedHTTP(HTTPConnection):
    """A connection that tells the watch about its socket, and when the first byte leaves."""

    is_connecting = False

    def _new_conn(self) -> socket.socket:
        """Connect to one address of the host after the other, all of them within the time to connect."""
        host, patience = self._dns_host, float(self.timeout or 0)
        until = time.monotonic() + patience
        addresses = permitted(self, look_up(self, patience))
        try:
            for left in range(len(addresses), 0, -1):
                self._dns_host = addresses[-left]
                self.timeout = max((until - time.monotonic()) / left, 0.01)
                try:
                    sock = super()._new_conn()
                    break
                except ConnectTimeoutError:
                    if left == 1:
                        raise
        finally:
            self._dns_host, self.timeout = host, patience
        sock.settimeout(patience)
        if current.watch is not None:
            current.watch.follow(sock)
        return sock

    def connect(self) -> None:
        self.is_connecting = True
        try:
            super().connect()
        finally:
            self.is_connecting = False

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if current.watch is not None and not self.is_connecting:  # asking a proxy for a tunnel is not the request
            current.watch.note_departure(self.sock)
        super().send(data)


class WatchedHTTPS(WatchedHTTP, HTTPSConnection):
    """The same, encrypted."""


def permitted(connection: HTTPConnection, addresses: list[str]) -> list[str]:
    """Return those that the watch lets be reached: what was looked at is what is connected to."""
    watch = current.watch
    if watch is None or watch.may_reach is None:
        return addresses
    found = [address for address in addresses if watch.may_reach(address)]
    if not found:
        watch.has_refused = True
        raise NewConnectionError(connection, "only addresses that may not be reached")
    return found


def look_up(connection: HTTPConnection, seconds: float) -> list[str]:
    """Return the addresses of the connection's host."""
    host = connection._dns_host
    try:
        return addresses_of(host, connection.port, seconds)
    except TimeoutError:
        raise ConnectTimeoutError(connection, "no address in time") from None
    except OSError:
        raise NameResolutionError(host, connection, socket.gaierror("no address")) from None


def addresses_of(host: str, port: int, seconds: float) -> list[str]:
    """Return the addresses of a host. Raises TimeoutError after so many seconds, OSError if there is none.

    The system's resolver knows no deadline, so it is left behind.
    """
    found: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found.put([str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except (OSError, UnicodeError) as error:
            found.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        outcome = found.get(timeout=max(seconds, 0.01))
    except queue.Empty:
        raise TimeoutError("no address in time") from None
    if isinstance(outcome, Exception) or not outcome:
        raise OSError("no address")
    return outcome


class WatchedHTTPPool(HTTPConnectionPool):
    ConnectionCls: Any = WatchedHTTP

    def _put_conn(self, conn: Any) -> None:
        """Take a connection back. From here on it may be another thread's, so the watch on it ends first."""
        if conn is not None and current.watch is not None:
            current.watch.end()
            if not current.watch.keeps_connection:
                conn.close()
        super()._put_conn(conn)


class WatchedHTTPSPool(WatchedHTTPPool, HTTPSConnectionPool):
    ConnectionCls = WatchedHTTPS


POOLS = {"http": WatchedHTTPPool, "https": WatchedHTTPSPool}


class WatchedAdapter(HTTPAdapter):
    """requests' adapter with watched connections, through a proxy as well."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        if current.watch is not None:
            current.watch.has_sent = False  # from here on a departure cannot escape us
        return super().get_connection_with_tls_context(*args, **kwargs)
