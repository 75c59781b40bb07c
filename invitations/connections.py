"""gunicorn's thread worker, in which no client who takes their time keeps a thread.

Sixteen threads serve everybody. As gunicorn has it, one of them waits for each new connection to say something, for
each byte of a request that drips, and for each byte of an answer that nobody takes; and the loop that hands out work
waits for those who do not hang up. Here the loop collects requests until they are whole, sends what a socket did not
take at once, and sees who leaves. Knows nothing of HTTP but where a request ends; the parser judges it afterwards.
"""

from __future__ import annotations

import errno
import os
import re
import select
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

# All in seconds.
PATIENCE = 30  # for a whole request, from its first byte or the connection's beginning
REST = 15  # for a thread that reads what is too large to be collected, or writes what is too large to be kept
LEAVING = 60  # for an answer to be taken
FULL = 1  # for descriptors to become free, where there were none
STEP_BACK, MOST_BACK = 0.000_01, 0.003  # for each client one has, before one takes in another; and at most
FAREWELL = 2  # for a client to hang up, who would miss the end of the answer otherwise
# All in bytes.
HEAD = 128 * 1024  # longer ones are no browser's, and the parser would wait for their end
LARGEST = 2 * 1024 * 1024  # more than the largest form, which has a logo in it
KEPT = 1024 * 1024  # of one answer: a board of 200 rows is half of it
ROOM = 64 * 1024 * 1024  # of all answers and requests in one process
AT_ONCE = 64 * 1024
CHUNKS = -1  # as a length: an empty one is the end
LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,12})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
AT_ONCE_PLEASE = re.compile(rb"^expect:", re.IGNORECASE | re.MULTILINE)  # waits for an answer before its body
CODING = re.compile(rb"^transfer-encoding:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
CHUNK = re.compile(rb"([0-9a-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n", re.IGNORECASE)
CHUNK_HEAD = 8 * 1024  # bytes; more than the parser reads


class Room:
    """How many bytes this process holds for slow clients, and places for threads that wait for them. Thread-safe."""

    def __init__(self, places: int) -> None:
        self.held = 0
        self.places = threading.BoundedSemaphore(places)
        self._lock = threading.Lock()

    def hold(self, more: int) -> None:
        with self._lock:
            self.held += more

    @property
    def is_left(self) -> bool:
        return self.held < ROOM

    @contextmanager
    def place(self) -> Iterator[None]:
        """Let a thread wait for its client. Raises ConnectionResetError where too many do already."""
        if not self.places.acquire(blocking=False):
            raise ConnectionResetError(errno.ECONNRESET, "Too many threads wait for clients already.")
        try:
            yield
        finally:
            self.places.release()


class Line(socket.socket):
    """A client's socket, on which a thread never waits for long: what is not taken at once is kept for the loop."""

    def __init__(self, accepted: socket.socket, room: Room) -> None:
        super().__init__(fileno=accepted.detach())
        self.room = room
        self.until = 0.0  # when a thread gives up reading
        self.unsent: deque[memoryview] = deque()
        self.held = 0

    def setblocking(self, flag: bool) -> None:
        self.settimeout(REST if flag else 0.0)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Raises ConnectionResetError, which is what servers expect of clients, where nothing comes in time."""
        longest = self.gettimeout()
        if longest and not is_ready(self, select.POLLIN, 0):
            with self.room.place():
                is_there = is_ready(self, select.POLLIN, min(longest, self.until - time.monotonic()))
            if not is_there:
                raise ConnectionResetError(errno.ECONNRESET, "The client took too long.")
        return super().recv(size, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send or keep all of it. Raises ConnectionResetError where too much is left for who reads too slowly."""
        self.unsent.append(memoryview(bytes(data)))
        self.hold(len(data))
        self.push()
        give_up = time.monotonic() + REST
        while self.held > (KEPT if self.room.is_left else 0):
            left = give_up - time.monotonic()
            try:
                with nullcontext() if self.room.is_left else self.room.place():
                    is_taken = left > 0 and is_ready(self, select.POLLOUT, left)
            except ConnectionResetError:
                self.forget()
                raise
            if not is_taken:
                self.forget()
                raise ConnectionResetError(errno.ECONNRESET, "The client reads too slowly.")
            self.push()

    def push(self) -> None:
        """Send what the socket takes now."""
        while self.unsent:
            try:
                # Not `send`, which waits for the socket where it has a timeout.
                sent = os.write(self.fileno(), self.unsent[0])
            except (BlockingIOError, InterruptedError):
                return
            self.hold(-sent)
            first = self.unsent.popleft()
            if sent < len(first):
                self.unsent.appendleft(first[sent:])

    def hold(self, more: int) -> None:
        self.held += more
        self.room.hold(more)

    def forget(self) -> None:
        self.unsent.clear()
        self.hold(-self.held)

    def close(self) -> None:
        self.forget()
        super().close()


def is_ready(line: socket.socket, event: int, seconds: float) -> bool:
    # Not `select`, which knows the first thousand descriptors only.
    waiting = select.poll()
    waiting.register(line, event)
    return bool(waiting.poll(max(0.0, seconds) * 1_000))


class Connection(TConn):  # type: ignore[misc]
    """One client and what has come of the next request."""

    def __init__(self, worker: Worker, accepted: socket.socket, client: Any, server: Any) -> None:
        super().__init__(worker.cfg, Line(accepted, worker.room), client, server)
        self.worker = worker
        self.data_ready = True  # no thread ever waits for the first byte
        self.inbox = bytearray()
        self.wanted = 0  # length of the request, once its head is there
        self.next_chunk = 0  # where it begins

    def take(self, data: bytes) -> None:
        self.inbox += data
        self.sock.hold(len(data))

    def has_no_end(self) -> bool:
        return not self.wanted and len(self.inbox) > HEAD and self.inbox.find(b"\r\n\r\n", 0, HEAD) < 0

    def is_whole(self) -> bool:
        """Say whether a thread can read the request without waiting, or has to judge it as it is."""
        if not self.wanted:
            end = self.inbox.find(b"\r\n\r\n")
            if end < 0:
                return not self.worker.room.is_left
            body = body_of(bytes(self.inbox[: end + 2]))
            self.wanted = CHUNKS if body == CHUNKS else end + 4 + body
            self.next_chunk = end + 4
        if self.wanted == CHUNKS:
            return self.has_all_chunks() or len(self.inbox) > LARGEST or not self.worker.room.is_left
        return len(self.inbox) >= self.wanted or not self.worker.room.is_left

    def has_all_chunks(self) -> bool:
        """Walk on from one chunk to the next, each once: whoever chooses the bytes must not choose our work."""
        while self.next_chunk < len(self.inbox):
            end = self.inbox.find(b"\r\n", self.next_chunk, self.next_chunk + CHUNK_HEAD)
            if end < 0:
                return len(self.inbox) - self.next_chunk >= CHUNK_HEAD
            chunk = CHUNK.fullmatch(self.inbox, self.next_chunk, end + 2)
            if not chunk:
                return True  # the parser's to refuse
            if not (size := int(chunk[1], 16)):
                return len(self.inbox) - end > HEAD or self.inbox.find(b"\r\n\r\n", end) >= 0
            self.next_chunk = end + 2 + size + 2
        return self.next_chunk > LARGEST

    def hand_over(self) -> None:
        """Give what has come to the parser: in the thread that reads on from here."""
        self.sock.until = time.monotonic() + REST
        self.init()
        self.parser.unreader.unread(bytes(self.inbox))
        self.sock.hold(-len(self.inbox))
        self.inbox.clear()
        self.wanted = 0

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self.worker.part(self)
        else:
            super().close()


def body_of(head: bytes) -> int:
    """Return how many bytes should follow, or CHUNKS; 0 where nobody should wait for them.

    What is odd about it is the parser's to refuse, at once.
    """
    lengths, codings = LENGTH.findall(head), [coding.strip().lower() for coding in CODING.findall(head)]
    if AT_ONCE_PLEASE.search(head) or len(lengths) + len(codings) > 1:
        return 0
    if codings:
        return CHUNKS if codings == [b"chunked"] else 0
    return int(lengths[0]) if lengths and int(lengths[0]) <= LARGEST else 0


class Worker(ThreadWorker):  # type: ignore[misc]
    """Waits for clients in its loop, and for nothing else in its threads than for their work."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.room = Room(places=max(1, self.cfg.threads // 2))
        self.sending: dict[Connection, float] = {}  # until when
        self.parting: dict[Connection, float] = {}
        self.full_until = 0.0  # out of descriptors

    def run(self) -> None:
        super().run()
        for conn in (*self.parting, *self.sending, *self.pending_conns):
            conn.close()

    def accept(self, listener: socket.socket) -> None:
        """Take in one more client, unless another worker is quicker, which those with fewer clients are."""
        if self.alive and self.cfg.workers > 1:
            time.sleep(min(self.nr_conns * STEP_BACK, MOST_BACK))
        try:
            accepted, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                # None for a while: the listener would wake us for nothing, and those who leave make room.
                self.full_until = time.monotonic() + FULL
                self.worker_connections = 0
                self.log.warning("Out of file descriptors with %d connections.", self.nr_conns)
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        self.nr_conns += 1
        self.collect(Connection(self, accepted, client, listener.getsockname()))

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """The next request of a kept connection begins."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self.collect(conn)
        self.read(conn, client)

    def collect(self, conn: Connection) -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + (PATIENCE if self.alive else STOP_KEEPALIVE_LINGER)
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.read, conn))

    def read(self, conn: Connection, client: socket.socket) -> None:
        """More of a request has come, or nothing will any more."""
        try:
            data = client.recv(AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, conn.inbox = b"", bytearray()
        self.hear(conn, data)

    def hear(self, conn: Connection, data: bytes) -> None:
        conn.take(data)
        if data and not conn.has_no_end() and not conn.is_whole():
            return
        self.poller.unregister(conn.sock)
        self.pending_conns.remove(conn)
        if conn.inbox and not conn.has_no_end():  # where no more will come, the parser says what is wrong
            self.enqueue_req(conn)
        else:
            self.drop(conn, graceful=bool(conn.inbox))

    def handle(self, conn: Connection) -> Any:
        conn.hand_over()
        return super().handle(conn)

    def finish_request(self, conn: Connection, fs: Any) -> None:
        """Let the answer leave, then do what gunicorn does after a request."""
        if not conn.sock.unsent:
            self.go_on(conn, fs)
            return
        conn.sock.setblocking(False)
        self.sending[conn] = time.monotonic() + LEAVING
        self.poller.register(conn.sock, selectors.EVENT_WRITE, partial(self.send, conn, fs))

    def send(self, conn: Connection, fs: Any, client: Line) -> None:
        try:
            client.push()
        except OSError:
            self.forget(conn, self.sending)
            self.drop(conn)
            return
        if not client.unsent:
            self.forget(conn, self.sending)
            self.go_on(conn, fs)

    def go_on(self, conn: Connection, fs: Any) -> None:
        """Collect what has come of the next request already like any other: a thread would wait for its rest."""
        ahead = conn.parser.unreader.take_buffered() if conn.parser else b""
        super().finish_request(conn, fs)
        if ahead and self.keepalived_conns and self.keepalived_conns[-1] is conn:
            self.poller.unregister(conn.sock)
            self.keepalived_conns.pop()
            self.collect(conn)
            self.hear(conn, ahead)

    def part(self, conn: Connection) -> None:
        """Say that nothing more comes and wait for the client to hang up, who might lose the end of the answer else."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            conn.close()
            return
        self.parting[conn] = time.monotonic() + FAREWELL
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.hear_out, conn))

    def hear_out(self, conn: Connection, client: socket.socket) -> None:
        try:
            if client.recv(AT_ONCE):
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self.forget(conn, self.parting)
        conn.close()

    def murder_pending(self) -> None:
        """Close whoever has used up their time. Called at least once a second."""
        super().murder_pending()
        now = time.monotonic()
        if now >= self.full_until:
            self.worker_connections = self.cfg.worker_connections
        for conn in [conn for conn, until in self.sending.items() if until < now]:
            self.forget(conn, self.sending)
            self.drop(conn)
        for conn in [conn for conn, until in self.parting.items() if until < now]:
            self.forget(conn, self.parting)
            conn.close()

    def _cap_keepalive(self, deadline: float) -> None:
        """Of a worker that stops: who has not said all by then is too late, as on a kept connection."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def forget(self, conn: Connection, among: dict[Connection, float]) -> None:
        del among[conn]
        self.poller.unregister(conn.sock)

    def drop(self, conn: Connection, *, graceful: bool = False) -> None:
        self.nr_conns -= 1
        conn.close(graceful)
