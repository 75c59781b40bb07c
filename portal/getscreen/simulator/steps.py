"""What a server does on the connection when the network is at fault.

Responsible for a few pure scripts (bytes, pauses, a reset) that a real socket and an in-process one play
alike. Refuses to know sockets, and which request a script answers. A script that simply ends closes the
connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from portal.getscreen.simulator.answers import Answer

type Options = Mapping[str, Any]
FOREVER = 3600.0


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing happens for this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset, as by a crashed server."""


type Step = bytes | Pause | Reset
type Script = Iterator[Step]


def head(status_line: str, headers: list[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status_line}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def head_of(answer: Answer) -> bytes:
    return head(answer.status_line, [*answer.header_list, ("Connection", "close")])


def reset(answer: Answer, options: Options) -> Script:
    yield Reset()


def hang_up(answer: Answer, options: Options) -> Script:
    """The connection closes without an answer."""
    yield from ()


def hang(answer: Answer, options: Options) -> Script:
    yield Pause(options.get("seconds", FOREVER))


def slow(answer: Answer, options: Options) -> Script:
    yield Pause(options.get("seconds", 0.25))
    yield head_of(answer) + answer.body


def drip(answer: Answer, options: Options) -> Script:
    """The headers at once, then one byte of the body at a time, each well inside a read timeout."""
    yield head_of(answer)
    yield from _dripping(answer.body, options)


def drip_headers(answer: Answer, options: Options) -> Script:
    yield from _dripping(head_of(answer) + answer.body, options)


def _dripping(content: bytes, options: Options) -> Script:
    for byte in content:
        yield Pause(options.get("interval", 1.0))
        yield bytes([byte])


def truncated(answer: Answer, options: Options) -> Script:
    """Half of the body under the Content-Length of the whole."""
    yield head_of(answer) + answer.body[: len(answer.body) // 2]


def reset_mid_body(answer: Answer, options: Options) -> Script:
    yield from truncated(answer, options)
    yield Reset()


def bad_status_line(answer: Answer, options: Options) -> Script:
    yield b"This is not HTTP\r\n\r\n"


def long_header(answer: Answer, options: Options) -> Script:
    """One header line of more than 64 KiB."""
    yield head_of(answer.with_header("X-Long", "x" * 70_000)) + answer.body


def broken_chunks(answer: Answer, options: Options) -> Script:
    headers = [("Content-Type", answer.content_type), ("Transfer-Encoding", "chunked")]
    yield head(answer.status_line, headers) + b"not-a-size\r\n" + answer.body
