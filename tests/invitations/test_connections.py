"""The server's worker with a thread or two: whoever takes their time keeps nobody else waiting."""

from __future__ import annotations

import errno
import os
import resource
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER

from invitations import connections, server
from invitations.connections import Worker
from tests.installation import wait_until

BIG = 6 * 1024 * 1024  # more than any socket of the system takes at once
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /length HTTP/1.1\r\nHost: x\r\n"


def application(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    match environ["PATH_INFO"]:
        case "/big":
            body = bytes(range(256)) * (BIG // 256)
        case "/length":
            body = str(len(environ["wsgi.input"].read())).encode()
        case _:
            body = b"ok"
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


class Served:
    def __init__(self, threads: int = 1) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        settings = Config()
        settings.set("threads", threads)
        settings.set("sendfile", False)
        settings.set("keepalive", 2)
        settings.set("graceful_timeout", 5)
        self.worker = Worker(0, os.getppid(), [self.listener], None, 30, settings, Logger(settings))
        self.worker.tpool = self.worker.get_thread_pool()
        self.worker.poller = selectors.DefaultSelector()
        self.worker.method_queue.init()
        self.worker.wsgi = application
        self.lines: list[socket.socket] = []
        self.thread = threading.Thread(target=self.worker.run)
        self.thread.start()

    def come(self, *said: bytes, room: int | None = None) -> socket.socket:
        line = socket.socket()
        if room:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        line.settimeout(10)
        line.connect(self.listener.getsockname())
        self.lines.append(line)
        for each in said:
            line.sendall(each)
        return line

    def answers(self) -> bool:
        """Whether somebody who is quick is answered."""
        return answered(self.come(GET + b"Connection: close\r\n\r\n"))

    def stop(self) -> None:
        self.worker.alive = False
        self.worker.method_queue.defer(lambda: None)
        self.thread.join()
        for line in self.lines:
            line.close()
        self.worker.tmp.close()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    running = Served()
    yield running
    running.stop()


def read_all(line: socket.socket) -> bytes:
    """Read until the server hangs up."""
    found = bytearray()
    with suppress(ConnectionError):
        while more := line.recv(1 << 20):
            found += more
    return bytes(found)


def answered(line: socket.socket) -> bool:
    """Whether the answer is there; the connection stays."""
    found = b""
    while not found.endswith(b"ok"):
        more = line.recv(4096)
        assert more, found
        found += more
    return found.startswith(b"HTTP/1.1 200 OK")


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


SLOW = {
    "says nothing": b"",
    "has begun a line": b"GET /",
    "has begun a header": GET + b"Cookie: a",
    "has begun a body": POST + b"Content-Length: 100\r\n\r\nabc",
    "has begun a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
}


@pytest.mark.parametrize("name", SLOW)
def test_who_has_not_said_all_keeps_nobody_waiting_and_is_sent_away_in_the_end(served, monkeypatch, name):
    monkeypatch.setattr(connections, "PATIENCE", 1)
    lines = [served.come(SLOW[name]) for _ in range(3)]
    assert served.answers()
    assert [read_all(line) for line in lines] == [b"", b"", b""]
    wait_until(lambda: served.worker.nr_conns == 0, seconds=5)


def test_a_request_that_drips_is_answered_when_it_is_whole(served):
    line = served.come()
    for byte in GET + b"\r\n":
        line.sendall(bytes([byte]))
        assert byte or served.answers()
    assert answered(line)
    line.sendall(GET)  # the same connection, again in two parts
    line.sendall(b"\r\n")
    assert answered(line)


@pytest.mark.parametrize(
    ("said", "length"),
    [
        (b"Content-Length: 5\r\n\r\nabcde", b"5"),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"5"),
        (b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nSome: trailer\r\n\r\n", b"3"),
        (b"Content-Length: %d\r\n\r\n" % 3_000_000 + b"x" * 3_000_000, b"3000000"),
    ],
)
def test_a_body_arrives_whole(served, said, length):
    line = served.come(POST + b"Connection: close\r\n" + said)
    assert body_of(read_all(line)) == length


def test_chunks_made_to_look_like_the_last_one_keep_nobody_waiting(served):
    tricky = b"\r\n" + b"0" * 100_000 + b"\r\n" + b"a\r\n" * 100_000
    came = served.come(POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(tricky) + tricky)
    assert served.answers()
    came.sendall(b"\r\n0\r\n\r\n")
    came.shutdown(socket.SHUT_WR)
    assert body_of(read_all(came)) == b"%d" % len(tricky)


@pytest.mark.parametrize(
    "said",
    [b"x" * 10, b"-1\r\n", b"5\r\nabcdeXY0\r\n\r\n", b"1" * 20_000, b"fffffff\r\n", b"0\r\n" + b"a: b\r\n" * 40_000],
)
def test_chunks_that_are_none_are_the_parsers_to_refuse(served, monkeypatch, said):
    monkeypatch.setattr(connections, "PATIENCE", 1)
    monkeypatch.setattr(connections, "REST", 1)
    line = served.come()
    with suppress(ConnectionError):
        line.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n" + said)
    assert b"200 OK" not in read_all(line)
    assert served.answers()


def test_who_has_begun_the_next_request_with_the_last_one_keeps_nobody_waiting(served):
    lines = [served.come(GET + b"\r\n" + GET) for _ in range(3)]
    assert all(map(answered, lines))
    assert served.answers()
    assert len(served.worker.pending_conns) == 3
    for line in lines:
        line.sendall(b"\r\n" + GET + b"\r\n" + GET + b"Connection: close\r\n\r\n")
        assert read_all(line).count(b"200 OK") == 3
    wait_until(lambda: served.worker.nr_conns == 0 and served.worker.room.held == 0, seconds=5)


def test_who_waits_to_be_asked_for_the_body_is_asked(served):
    line = served.come(POST + b"Connection: close\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert line.recv(4096).startswith(b"HTTP/1.1 100")
    line.sendall(b"abc")
    assert body_of(read_all(line)) == b"3"


def test_a_body_too_large_to_collect_keeps_a_thread_for_its_time_only(served, monkeypatch):
    monkeypatch.setattr(connections, "REST", 0.5)
    line = served.come(POST + b"Content-Length: 3000000\r\n\r\nabc")
    assert served.answers()
    assert b"200 OK" not in read_all(line)


@pytest.mark.parametrize(
    "said",
    [
        b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n",
        b"Upgrade: x\r\nContent-Length: 3\r\n\r\n",
        b"Content-Length: 3000000\r\n\r\nabc",
        b"Content-Length: 0000000000000000003\r\n\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    ],
)
def test_threads_that_wait_for_a_body_leave_some_for_everybody_else(said):
    served = Served(threads=2)
    try:
        for _ in range(6):
            served.come(POST + said)
        assert served.answers()
    finally:
        for line in served.lines:
            line.close()
        served.stop()


def test_a_head_without_an_end_is_hung_up_on(served):
    line = served.come()
    with suppress(ConnectionError):
        line.sendall(GET + b"A: " + b"a" * 2 * connections.HEAD)
    assert read_all(line) == b""


def test_who_hangs_up_in_the_middle_is_forgotten(served):
    for said in (b"", GET):
        line = served.come(said)
        line.shutdown(socket.SHUT_WR)
        assert read_all(line) == b""
    wait_until(lambda: served.worker.nr_conns == 0, seconds=5)


def test_an_answer_that_nobody_takes_yet_keeps_no_thread_and_arrives_whole(served, monkeypatch):
    monkeypatch.setattr(connections, "KEPT", 2 * BIG)
    line = served.come(GET.replace(b"/ ", b"/big ") + b"Connection: close\r\n\r\n", room=4096)
    wait_until(lambda: served.worker.sending, seconds=5)
    assert served.answers()
    assert body_of(read_all(line)) == bytes(range(256)) * (BIG // 256)
    wait_until(lambda: served.worker.room.held == 0, seconds=5)


def test_an_answer_that_nobody_ever_takes_is_given_up(served, monkeypatch):
    monkeypatch.setattr(connections, "KEPT", 2 * BIG)
    monkeypatch.setattr(connections, "LEAVING", 0.5)
    served.come(GET.replace(b"/ ", b"/big ") + b"\r\n", room=4096)
    wait_until(lambda: served.worker.sending, seconds=5)
    wait_until(lambda: not served.worker.sending and served.worker.nr_conns == 0, seconds=5)
    assert served.worker.room.held == 0


def test_who_leaves_before_the_answer_is_taken_is_forgotten(served, monkeypatch):
    monkeypatch.setattr(connections, "KEPT", 2 * BIG)
    line = served.come(GET.replace(b"/ ", b"/big ") + b"\r\n", room=4096)
    wait_until(lambda: served.worker.sending, seconds=5)
    line.close()
    wait_until(lambda: served.worker.nr_conns == 0 and served.worker.room.held == 0, seconds=5)


def test_more_than_is_kept_for_one_is_sent_as_it_is_taken(served):
    line = served.come(GET.replace(b"/ ", b"/big ") + b"Connection: close\r\n\r\n", room=65536)
    assert body_of(read_all(line)) == bytes(range(256)) * (BIG // 256)


@pytest.mark.parametrize("limit", ["KEPT", "ROOM"])
def test_a_thread_gives_up_on_who_takes_nothing(served, monkeypatch, limit):
    monkeypatch.setattr(connections, limit, 1)
    monkeypatch.setattr(connections, "REST", 0.5)
    line = served.come(GET.replace(b"/ ", b"/big ") + b"\r\n", room=4096)
    assert served.answers()
    assert len(read_all(line)) < BIG


def test_threads_that_wait_for_room_leave_some_for_everybody_else(monkeypatch):
    monkeypatch.setattr(connections, "ROOM", 1)
    served = Served(threads=2)
    try:
        lines = [served.come(GET.replace(b"/ ", b"/big ") + b"\r\n", room=4096) for _ in range(4)]
        assert served.answers()
        assert served.worker.room.held > 0  # somebody waits
    finally:
        for line in lines:
            line.close()
        served.stop()
    assert served.worker.room.held == 0


def test_who_does_not_hang_up_keeps_nobody_waiting(served, monkeypatch):
    monkeypatch.setattr(connections, "FAREWELL", 1)
    lines = [served.come(GET + b"Connection: close\r\n\r\n") for _ in range(3)]
    assert served.answers()
    assert all(read_all(line).endswith(b"ok") for line in lines)
    lines[0].sendall(b"one more thing")
    wait_until(lambda: not served.worker.parting, seconds=5)


def test_without_descriptors_no_more_connections_are_wanted_for_a_while(served):
    most = served.worker.worker_connections

    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    served.worker.accept(SimpleNamespace(accept=refuse))
    assert served.worker.worker_connections == 0
    assert served.answers()
    wait_until(lambda: served.worker.worker_connections == most, seconds=5)

    def fail() -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    with pytest.raises(OSError, match="Bad"):
        served.worker.accept(SimpleNamespace(accept=fail))


def test_a_stopping_worker_waits_for_no_silent_client(served):
    served.come(GET)
    kept = served.come(GET + b"\r\n")
    assert answered(kept)
    wait_until(lambda: served.worker.nr_conns == 2, seconds=5)
    served.stop()
    assert served.worker.nr_conns == 0


def test_a_stopping_worker_waits_no_longer_for_a_request_that_begins_only_then(served):
    kept = served.come(GET + b"\r\n")
    assert answered(kept)
    wait_until(lambda: served.worker.keepalived_conns, seconds=5)
    began, worker = time.monotonic(), served.worker
    worker.alive = False
    worker.method_queue.defer(lambda: None)
    wait_until(lambda: worker.keepalived_conns[0].timeout - time.monotonic() < STOP_KEEPALIVE_LINGER - 0.3, seconds=5)
    kept.sendall(GET)
    served.stop()
    assert time.monotonic() - began < 4.5  # of the 5 for requests in flight
    assert served.worker.nr_conns == 0


@pytest.mark.parametrize(
    ("clients", "workers", "alive", "expected"),
    [
        (0, 2, True, 0.0),
        (10, 2, True, 0.000_1),
        (100, 2, True, 0.001),
        (5_000, 2, True, 0.003),
        (100, 1, True, None),
        (100, 2, False, None),
    ],
)
def test_who_has_more_clients_leaves_the_next_one_to_others(monkeypatch, clients, workers, alive, expected):
    slept: list[float] = []
    monkeypatch.setattr(connections.time, "sleep", slept.append)

    class Listener:
        def accept(self) -> None:
            raise BlockingIOError(errno.EAGAIN, "Another one was quicker.")

    worker = SimpleNamespace(nr_conns=clients, cfg=SimpleNamespace(workers=workers), alive=alive)
    connections.Worker.accept(worker, Listener())
    assert slept == ([] if expected is None else [pytest.approx(expected)])
    assert worker.nr_conns == clients


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [(1_024, 500_000, 8_192), (1_024, 4_096, 4_096), (1_024, resource.RLIM_INFINITY, 8_192), (20_000, 20_000, 20_000)],
)
def test_the_server_asks_for_as_many_open_files_as_it_may_have(monkeypatch, soft, hard, expected):
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: asked.append(limits))
    assert server.open_files() == expected
    assert asked == ([] if soft == expected else [(expected, hard)])
    assert server.Server(bind="127.0.0.1:0", workers=2, threads=8).cfg.worker_connections == expected - 200
