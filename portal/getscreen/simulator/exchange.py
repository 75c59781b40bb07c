"""One HTTP/1.1 exchange: bytes of a request in, a script of bytes out, a WSGI application between.

Responsible for reading a request strictly, for WSGI and for framing the answer. Refuses to know sockets,
so that a real port and an in-process one behave alike.
"""

from __future__ import annotations

import http.client
import io
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote_to_bytes

from portal.getscreen.simulator import steps
from portal.getscreen.simulator.faults import OnTheConnection

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment

LONGEST_LINE = 65_536
LARGEST_BODY = 1024 * 1024
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """What to play on the connection, and whether another request may follow on it."""

    script: Iterable[steps.Step]
    keep: bool


class BadRequest(Exception):
    """Not a request we understand."""


def exchange(application: WSGIApplication, reader: BinaryIO) -> Reply | None:
    """Reads one request and has it answered. None where the client sends no further request."""
    try:
        environ = _read(reader)
    except (BadRequest, http.client.HTTPException, ValueError):
        return Reply([BAD_REQUEST], keep=False)
    if environ is None:
        return None
    try:
        return _answered(application, environ)
    except OnTheConnection as fault:
        return Reply(fault.script(), keep=False)


def _read(reader: BinaryIO) -> WSGIEnvironment | None:
    line = reader.readline(LONGEST_LINE + 1)
    if not line:
        return None
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or len(line) > LONGEST_LINE:
        raise BadRequest
    headers = http.client.parse_headers(reader)
    length = int(headers.get("Content-Length", "0"))
    if not 0 <= length <= LARGEST_BODY or "Transfer-Encoding" in headers:
        raise BadRequest
    return _environ(words[0], words[1], headers, reader.read(length), words[2])


def _environ(method: str, target: str, headers: http.client.HTTPMessage, body: bytes, protocol: str) -> WSGIEnvironment:
    path, _, query = target.partition("?")
    host, _, port = headers.get("Host", "localhost").partition(":")
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": protocol,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def _answered(application: WSGIApplication, environ: WSGIEnvironment) -> Reply:
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None, /
    ) -> Callable[[bytes], object]:
        started.append((status, headers))
        return lambda written: None

    body = b"".join(application(environ, start_response))
    status, headers = started[-1]
    keep = environ["SERVER_PROTOCOL"] == "HTTP/1.1" and environ.get("HTTP_CONNECTION", "").lower() != "close"
    connection = ("Connection", "keep-alive" if keep else "close")
    if environ["REQUEST_METHOD"] == "HEAD":
        body = b""
    return Reply([steps.head(status, [*headers, connection]) + body], keep)
