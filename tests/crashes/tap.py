"""The vendor on a port, with a hand on its line: a chosen call stops at a chosen point, where a strike falls.

The simulator answers; this only reads and sends its bytes, so that it can stop between any two of them.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self

from portal.getscreen.simulator import Simulator
from portal.getscreen.simulator.app import operation_of
from portal.getscreen.simulator.exchange import exchange


class Point(StrEnum):
    """Where the portal dies, in the order of the exchange."""

    UNREAD = "before the request is read"
    HEADERS = "after its headers were read"
    BEFORE_EFFECT = "before the side effect"
    AFTER_EFFECT = "after the side effect"
    MIDDLE = "in the middle of the answer"
    ANSWERED = "after the answer"
    UNCOMMITTED = "before the outcome is committed"
    COMMITTED = "before the browser is answered"


@dataclass
class Plan:
    """The next call of `operation` meets `strike` at `point`.

    locked: keeps the portal from committing while it lasts. committed: returns once the outcome is stored.
    """

    operation: str
    point: Point
    strike: Callable[[], object]
    locked: Callable[[], AbstractContextManager[object]]
    committed: Callable[[], object]
    done: threading.Event = field(default_factory=threading.Event)

    def fall(self) -> None:
        self.strike()
        self.done.set()


class Tap:
    """Serves from the moment it is made until it is left."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.plan: Plan | None = None
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while head := peek(connection):
                plan = self._take(operation_of(head.split()[1].decode().partition("?")[0]))
                if not self._serve(connection, head, plan):
                    return

    def _take(self, operation: str) -> Plan | None:
        with self._lock:
            plan = self.plan
            if plan is None or plan.operation != operation:
                return None
            self.plan = None
            return plan

    def _serve(self, connection: socket.socket, head: bytes, plan: Plan | None) -> bool:
        """Serve one request; False once the strike has fallen."""
        point = plan.point if plan else None
        if plan and point == Point.UNREAD:
            plan.fall()
            return False
        request = receive(connection, len(head))
        if plan and point == Point.HEADERS:
            plan.fall()
            return False
        request += receive(connection, length_of(head))
        if plan and point == Point.BEFORE_EFFECT:
            self.simulator.before(plan.operation, plan.fall)
        elif plan and point == Point.AFTER_EFFECT:
            self.simulator.after(plan.operation, plan.fall)
        reply = exchange(self.simulator, io.BytesIO(request))
        assert reply is not None
        answer = b"".join(step for step in reply.script if isinstance(step, bytes))
        if plan is None:
            connection.sendall(answer)
            return reply.keep
        strike_while_answering(connection, answer, plan)
        return False


def strike_while_answering(connection: socket.socket, answer: bytes, plan: Plan) -> None:
    if plan.point == Point.MIDDLE:
        connection.sendall(answer[: len(answer) // 2])
        plan.fall()
    elif plan.point == Point.ANSWERED:
        connection.sendall(answer)
        plan.fall()
    elif plan.point == Point.UNCOMMITTED:
        with plan.locked():
            connection.sendall(answer)
            time.sleep(0.3)  # the portal has read the answer and waits to write
            plan.fall()
    elif plan.point == Point.COMMITTED:
        connection.sendall(answer)
        plan.committed()
        plan.fall()


def peek(connection: socket.socket) -> bytes:
    """Return the head of the next request without taking it from the line, nothing at its end."""
    while True:
        seen = connection.recv(65_536, socket.MSG_PEEK)
        head, gap, _ = seen.partition(b"\r\n\r\n")
        if gap or not seen:
            return head + gap
        time.sleep(0.001)


def receive(connection: socket.socket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        some = connection.recv(length - len(content))
        if not some:
            raise OSError("the request ended early")
        content += some
    return content


def length_of(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
