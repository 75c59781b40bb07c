"""The simulator on a real port: threads, HTTP/1.1 with kept connections, and true network faults.

Responsible for sockets alone: it plays scripts (bytes, pauses, resets) and stops listening while
connections are to be refused. Refuses to know which fault it plays and what is said.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Self

from portal.getscreen.simulator import steps
from portal.getscreen.simulator.app import Simulator
from portal.getscreen.simulator.exchange import Reply, exchange

BACKLOG = 128
# Linger for zero seconds: closing then sends a reset instead of a farewell.
ABORT = struct.pack("ii", 1, 0)


class Server:
    """Serves from the moment it is made until `stop`. Also a context manager."""

    def __init__(self, simulator: Simulator, host: str = "127.0.0.1", port: int = 0) -> None:
        self._simulator = simulator
        self._changed = threading.Condition()
        self._connections: set[socket.socket] = set()
        self._stopping = False
        self._listener: socket.socket | None = _listen((host, port))
        self.host, self.port = self._listener.getsockname()[:2]
        self._thread = threading.Thread(target=self._accept, name=f"simulator:{self.port}", daemon=True)
        self._thread.start()
        simulator.watch(self._open_or_close)
        self._open_or_close()

    @property
    def origin(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL of the API."""
        return f"{self.origin}/v1"

    def stop(self) -> None:
        """Closes the port and every connection, and waits for the accepting thread."""
        self._simulator.unwatch(self._open_or_close)
        with self._changed:
            self._stopping = True
            self._close()
            self._changed.notify_all()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _open_or_close(self) -> None:
        """Listens, or stops listening and drops idle connections, as the planned faults want it."""
        with self._changed:
            if self._simulator.refuses_connections():
                self._close()
            elif self._listener is None and not self._stopping:
                self._listener = _listen((self.host, self.port))
                self._changed.notify_all()

    def _close(self) -> None:
        if self._listener:
            # Closing alone would not wake the thread that waits in accept().
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for connection in tuple(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while listener := self._wait_for_listener():
            try:
                connection, _ = listener.accept()
            except OSError:
                continue
            with self._changed:
                self._connections.add(connection)
                if self._stopping:
                    connection.shutdown(socket.SHUT_RDWR)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _wait_for_listener(self) -> socket.socket | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._listener is not None)
            return None if self._stopping else self._listener

    def _converse(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as reader:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while (reply := exchange(self._simulator, reader)) and _play(reply, connection):
                    pass
        except OSError:
            pass  # The client went away, which clients may.
        finally:
            with self._changed:
                self._connections.discard(connection)


def _listen(address: tuple[str, int]) -> socket.socket:
    return socket.create_server(address, backlog=BACKLOG)


def _play(reply: Reply, connection: socket.socket) -> bool:
    """Plays the script to its end. False where the connection is to be closed."""
    for step in reply.script:
        if isinstance(step, steps.Reset):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            return False
        if isinstance(step, bytes):
            connection.sendall(step)
        elif _client_left(connection, step.seconds):
            return False
    return reply.keep


def _client_left(connection: socket.socket, seconds: float) -> bool:
    """Pauses. A client that hangs up, or the server's own end, cuts the pause short."""
    connection.settimeout(seconds)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return False
    finally:
        connection.settimeout(None)
    return True


def serve(simulator: Simulator, host: str = "127.0.0.1", port: int = 0) -> Server:
    """Starts serving; `server.url` is the API's base, `server.port` the port chosen for 0."""
    return Server(simulator, host, port)
