"""Transports, requests and answers that never end: shared by the tests of the transport."""

from __future__ import annotations

import time
import traceback

import pytest

from portal.getscreen.errors import GetscreenError
from portal.getscreen.transport import Request, Timing, Transport
from portal.getscreen.types import Secret
from tests.getscreen.wire import FOREVER, answer, drip

KEY = "test-key-not-real"
SECRET_WORDS = (KEY, "Tilda", "picture-secret", "X-Api-Key", "/v1/")
GENEROUS = 5.0  # seconds; the deadlines below are far shorter
QUICK = Timing(connect=0.3, read=0.3, deadline=0.3, attempts=1)
PATIENT = Timing(connect=2, read=2, deadline=4, attempts=1)
JSON = b'{"data": []}'


def new(**changes) -> Transport:
    settings = {"session": None, "proxy_url": "", "ca_file": "", "clock": time.monotonic, "sleep": lambda seconds: None}
    return Transport(**settings | changes)


def request(url: str, *, acts: bool = False, timing: Timing = PATIENT, cap: int = 64_000, **changes) -> Request:
    url += "/support/picture-secret"
    method = "POST" if acts else "GET"
    parts = {"key": Secret(KEY), "params": {"client_name": "Tilda"}} | changes
    return Request("support/x", method, url, timing, cap, acts, **parts)


def failure(sender: Transport, wanted: Request) -> GetscreenError:
    """The error of an exchange that has to fail in time, with nothing secret in it or behind it."""
    started = time.monotonic()
    with pytest.raises(GetscreenError) as caught:
        sender.send(wanted)
    assert time.monotonic() - started < GENEROUS
    assert_silent(caught.value)
    return caught.value


def assert_silent(error: BaseException | None) -> None:
    assert error is not None
    text = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())
    while error is not None:
        text += f"{error} {error!r} {error.args} {vars(error)}"
        assert isinstance(error, GetscreenError)
        error = error.__cause__ or error.__context__
    assert not [word for word in SECRET_WORDS if word in text.replace("transport.py", "")]


NEVER_ENDING = {
    "headers": drip(answer(JSON, "200 OK", "X-Long: " + "x" * 2_000)),
    "body": [b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", *drip(b" " * 999)],
    "body without length": [b"HTTP/1.1 200 OK\r\n\r\n" + JSON, *drip(b" " * 999)],
    "whole body without an end": [b"HTTP/1.1 200 OK\r\n\r\n" + JSON, FOREVER],
    "chunks": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *drip(b"1\r\n \r\n" * 999)],
    "interim answers": [b"HTTP/1.1 100 Continue\r\n\r\n", 0.05] * 1_000,
    "silence": [FOREVER],
}
