"""A minute of `make load`: whether everything is right under load, never how fast it was.

Locust is a process of its own: it changes the sockets of whatever imports it.
"""

from __future__ import annotations

import socket
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest

from portal.getscreen.simulator import Simulator
from tests.benchmarks.portal import INTERVAL, Portal, descriptors, fill, wait_for_list, workers_of
from tests.installation import wait_until
from tests.load import burst, polling
from tests.load.__main__ import PARTS, keep, parts_of
from tests.load.dawdlers import KINDS, dawdling
from tests.load.site import served

THREADS, FILES_OF_ONE = 8, 3  # each thread has the database, its log and that log's index open
EACH = 20  # of each kind of client who takes their time: more than there are threads
Running = tuple[Simulator, Portal, int]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with served() as portal:
        yield portal


def test_fifty_people_poll_without_a_failure_and_one_list_per_interval(running):
    simulator, portal, master = running
    seconds = 15.0
    polled = polling.poll(simulator, portal, master, 50, seconds, rows=50, arrive=3.0, settle=4.0)
    assert polled.seen.failures == {}
    assert polled.seen.count("poll") > 50
    assert polled.lists <= seconds / INTERVAL + 1
    assert polled.watch.is_whole()


def test_of_a_burst_nothing_is_lost_or_doubled(running):
    simulator, portal, _master = running
    seen, before = burst.burst(simulator, portal, 30, 30, 3.0, 10, patience=20.0)
    assert seen.failures == {}
    assert Counter(each["what"] for each in seen.done) == {"create": 30, "connect": 30}
    assert burst.differences(simulator, portal, seen, before) == []


def test_clients_who_take_their_time_keep_nobody_waiting_and_leave_nothing_behind(running):
    simulator, portal, master = running
    fill(simulator, 200)
    wait_for_list(portal, 200)
    workers = workers_of(master)
    before = [descriptors(pid) for pid in workers]
    cookies = portal.people(1)
    with dawdling(portal.port, cookies, dict.fromkeys(KINDS, EACH)) as dawdlers:
        wait_until(lambda: all(dawdlers.open[name] == EACH for name in KINDS))
        for path in ("/healthz", "/") * 5:
            assert ask(portal, path, cookies[0]) == 200
    wait_until(
        lambda: all(
            descriptors(pid) <= least + THREADS * FILES_OF_ONE + 1 for pid, least in zip(workers, before, strict=True)
        ),
        seconds=45,
        says="connections were not closed",
    )
    assert workers_of(master) == workers


def ask(portal: Portal, path: str, cookies: dict[str, str]) -> int:
    said = "; ".join(f"{name}={value}" for name, value in cookies.items())
    with urllib.request.urlopen(
        urllib.request.Request(portal.url + path, headers={"Cookie": said}), timeout=10
    ) as answer:
        answer.read()
        return int(answer.status)


def test_a_board_arrives_whole_where_it_is_read_slowly(running):
    simulator, portal, _master = running
    fill(simulator, 200)
    wait_for_list(portal, 200)
    (cookies,) = portal.people(1)
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(10)
        line.connect(("127.0.0.1", portal.port))
        said = "; ".join(f"{name}={value}" for name, value in cookies.items())
        line.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {said}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(2048), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert len(body) > 500_000
    assert body.rstrip().endswith(b"</html>")


def test_each_part_has_its_own_place_in_the_report(tmp_path):
    report = tmp_path / "load.txt"
    for name, text in (("soak", "grown"), ("poll50", "fast"), ("soak", "not grown")):
        keep(report, name, text)
    assert parts_of(report.read_text(encoding="utf-8")) == {"poll50": "fast\n", "soak": "not grown\n"}
    assert list(PARTS) == ["poll50", "poll200", "poll1000", "burst", "slow", "soak"]
