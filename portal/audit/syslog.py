"""Messages in the form of RFC 5424, sent over TCP (RFC 6587, octet counting) or TLS (RFC 5425).

A connection never makes its caller wait beyond a deadline, whatever the server does. Knows no events.
"""

from __future__ import annotations

import fcntl
import os
import queue
import re
import select
import socket
import ssl
import struct
import termios
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

PORTS = {"syslog+tcp": 601, "syslog+tls": 6514}
EXAMPLE = "syslog+tls://host:6514 or syslog+tcp://host:601"
FACILITY = 13  # log audit
CRITICAL, WARNING, INFORMATIONAL = 2, 4, 6
PROGRAM = "getscreen-portal"
ENTERPRISE = 32473  # set aside for documentation (RFC 5612): the portal has no number of its own
CHUNK = 16_384  # bytes, one TLS record: OpenSSL wants a write repeated exactly as it began
READS = 64  # of what a server says to us, which nobody asked for, per look
SILENCE = 30  # seconds after which a host that acknowledges nothing is gone


class Broken(Exception):
    """There is no connection, or no more. Says why in words for administrators."""


class Ended(Broken):
    """The server has closed the connection in good order: it had read what it had acknowledged."""


class Target(NamedTuple):
    """Where messages go."""

    host: str
    port: int
    is_encrypted: bool

    @classmethod
    def parse(cls, url: str) -> Target:
        """Raises ValueError for what is no address of a syslog server."""
        parts = urlsplit(url)
        is_plain = re.fullmatch(r"[\x21-\x7e]+", url) and not re.search(r"[@?#\\%]", url) and not parts.path
        if not is_plain or parts.scheme not in PORTS or not parts.hostname or parts.port == 0:
            raise ValueError(f"must look like {EXAMPLE}")
        if not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?|\[[0-9a-f:.]+\]", name_in(parts.netloc)):
            raise ValueError(f"must look like {EXAMPLE}")
        return cls(parts.hostname, parts.port or PORTS[parts.scheme], parts.scheme == "syslog+tls")

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def name_in(netloc: str) -> str:
    """Return the host of a network location, with the brackets of an IPv6 address."""
    return re.sub(r":\d*$", "", netloc).lower()


class Message(NamedTuple):
    """One message. `body` is sent byte for byte, without a mark in front of it, so that its hash can be computed."""

    severity: int
    at: datetime
    host: str
    process: str
    kind: str
    data: dict[str, str]
    body: str

    def encode(self) -> bytes:
        data = "".join(f' {name}="{escaped(value)}"' for name, value in self.data.items())
        head = (
            f"<{FACILITY * 8 + self.severity}>1 {self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ} {word(self.host, 255)}"
            f" {PROGRAM} {word(self.process, 128)} {word(self.kind, 32)} [audit@{ENTERPRISE}{data}] "
        )
        return head.encode() + self.body.encode()

    def frame(self) -> bytes:
        content = self.encode()
        return b"%d %s" % (len(content), content)


def word(text: str, longest: int) -> str:
    """Return `text` as a header field: printable ASCII without spaces, "-" for nothing."""
    return re.sub(r"[^\x21-\x7e]", "_", text)[:longest] or "-"


def escaped(text: str) -> str:
    return re.sub(r'(["\\\]])', r"\\\1", text)


class Link:
    """An open connection. Everything on it raises Broken, and Ended for one that the server has closed."""

    def __init__(self, target: Target, *, ca_file: str = "", within: float) -> None:
        """Connect; the certificate must be for the target's name and signed by `ca_file` or a public authority."""
        deadline = time.monotonic() + within
        self.chunks: deque[memoryview] = deque()
        try:
            self.socket = connected(target, deadline)
            try:
                self.socket.setblocking(False)
                if target.is_encrypted:
                    self.socket = encrypted(self.socket, target.host, ca_file, deadline)
            except BaseException:
                self.socket.close()
                raise
        except OSError as error:
            raise Broken(reason_of(error)) from None
        self.opened_at = self.moved_at = time.monotonic()

    def queue(self, data: bytes) -> None:
        if not self.chunks:
            self.moved_at = time.monotonic()
        view = memoryview(data)
        self.chunks.extend(view[start : start + CHUNK] for start in range(0, len(view), CHUNK))

    def flush(self, deadline: float) -> bool:
        """Send what is queued; say whether all of it is on its way. What is not goes on with the next call."""
        while self.chunks:
            try:
                count = self.socket.send(self.chunks[0])
            except (BlockingIOError, ssl.SSLWantWriteError):
                if not is_ready(self.socket, select.POLLOUT, deadline):
                    return False
            except ssl.SSLWantReadError:
                if not is_ready(self.socket, select.POLLIN, deadline):
                    return False
            except OSError as error:
                raise Broken(reason_of(error)) from None
            else:
                self.moved_at = time.monotonic()
                rest = self.chunks.popleft()[count:]
                if rest:
                    self.chunks.appendleft(rest)
                if self.moved_at > deadline:
                    break
        return not self.chunks

    def look(self) -> None:
        """Raise if the connection is not open any more."""
        try:
            for _each in range(READS):
                if not self.socket.recv(4096):
                    raise Ended(_("The server has closed the connection."))
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise Broken(reason_of(error)) from None

    def is_acknowledged(self) -> bool:
        """Say whether the other host has everything. TCP does not say whether its program has read it."""
        if error := self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):  # which forgets it
            raise Broken(reason_of(OSError(error, os.strerror(error))))
        try:
            waiting = struct.unpack("i", fcntl.ioctl(self.socket.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
        except OSError:
            waiting = 0  # not Linux, where nobody can say
        return not waiting and not self.chunks

    def finish(self, within: float) -> bool:
        """Say that nothing follows, and return whether the server has read everything.

        It closes in answer; with anything unread a reset would follow instead.
        """
        deadline = time.monotonic() + within
        try:
            if not self.flush(deadline):
                return False
            if isinstance(self.socket, ssl.SSLSocket):
                with suppress(OSError, ValueError):  # it only waits for an answer, which is read below
                    self.socket.unwrap()
            self.socket.shutdown(socket.SHUT_WR)
            while is_ready(self.socket, select.POLLIN, deadline):
                if not self.socket.recv(4096):
                    return self.is_acknowledged()
        except (OSError, Broken):
            return False
        return False

    def close(self) -> None:
        with suppress(OSError):
            self.socket.close()


def connected(target: Target, deadline: float) -> socket.socket:
    """Return a connection to the first address that answers. Raises OSError."""
    error: OSError = TimeoutError()
    for family, address in addresses(target, deadline):
        link = socket.socket(family, socket.SOCK_STREAM)
        try:
            link.settimeout(max(0.01, deadline - time.monotonic()))
            link.connect(address)
            for level, option, value in options():
                link.setsockopt(level, option, value)
        except OSError as failed:
            link.close()
            error = failed
        else:
            return link
    raise error


def options() -> list[tuple[int, int, int]]:
    """Return socket options that notice a host that is gone. Only Linux knows the second."""
    found = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    for name, value in {"TCP_USER_TIMEOUT": SILENCE * 1000, "TCP_KEEPIDLE": SILENCE, "TCP_KEEPINTVL": 10}.items():
        if hasattr(socket, name):
            found.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return found


def addresses(target: Target, deadline: float) -> list[tuple[socket.AddressFamily, Any]]:
    """Return the target's addresses. The system's resolver knows no deadline, so it is asked in a thread."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    try:
        found = answers.get(timeout=max(0.01, deadline - time.monotonic()))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(found, UnicodeError):
        raise socket.gaierror from None
    if isinstance(found, OSError):
        raise found
    return [(family, address) for family, _type, _protocol, _name, address in found]


def context(ca_file: str) -> ssl.SSLContext:
    """Return the terms of TLS: at least 1.2, a trusted signature, the right name. Raises OSError for a useless file."""
    terms = ssl.create_default_context(cafile=ca_file or None)
    terms.minimum_version = ssl.TLSVersion.TLSv1_2
    return terms


def encrypted(plain: socket.socket, name: str, ca_file: str, deadline: float) -> ssl.SSLSocket:
    link = context(ca_file).wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False)
    try:
        while True:
            try:
                link.do_handshake()
            except ssl.SSLWantReadError:
                wanted = select.POLLIN
            except ssl.SSLWantWriteError:
                wanted = select.POLLOUT
            else:
                return link
            if not is_ready(link, wanted, deadline):
                raise TimeoutError
    except BaseException:
        link.close()  # `plain` is empty by now
        raise


def is_ready(link: socket.socket, what: int, deadline: float) -> bool:
    """Wait until `link` can be read or written, or until the deadline. Unlike select, takes any number of files."""
    poller = select.poll()
    poller.register(link, what)
    return bool(poller.poll(max(0.0, deadline - time.monotonic()) * 1000))


def reason_of(error: OSError) -> str:
    """Return why there is no connection, for administrators. Names no secrets: there are none in it."""
    match error:
        case ssl.SSLCertVerificationError():
            return _("The server’s certificate is not accepted: %(reason)s") % {"reason": error.verify_message}
        case ssl.SSLError():
            return _("TLS failed: %(reason)s") % {"reason": error.reason or type(error).__name__}
        case socket.gaierror():
            return _("The name of the server is not known.")
        case ConnectionRefusedError():
            return _("The server refuses the connection.")
        case ConnectionResetError() | BrokenPipeError() | ConnectionAbortedError():
            return _("The server has broken the connection.")
        case TimeoutError():
            return _("The server does not answer.")
        case _other:
            return error.strerror or type(error).__name__
