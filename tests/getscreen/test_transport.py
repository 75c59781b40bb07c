"""One exchange on real sockets: its deadline, what was sent, and what is tried again."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest
import urllib3

from portal.getscreen import transport, watch
from portal.getscreen.errors import Malformed, Unavailable
from portal.getscreen.transport import RetryBudget, Timing, Transport
from portal.getscreen.types import Secret
from tests.getscreen.exchanges import (
    GENEROUS,
    JSON,
    KEY,
    NEVER_ENDING,
    PATIENT,
    QUICK,
    failure,
    new,
    request,
)
from tests.getscreen.wire import FOREVER, HANG_UP, Wire, answer, drip, server_context

# The deadline.


@pytest.mark.parametrize("acts", [False, True])
@pytest.mark.parametrize("name", NEVER_ENDING)
def test_an_answer_that_never_ends_is_cut_off(name, acts):
    timing = Timing(connect=2, read=2, deadline=0.2, attempts=1)
    with Wire(NEVER_ENDING[name]) as wire:
        error = failure(new(), request(wire.url(), acts=acts, timing=timing))
        assert isinstance(error, Unavailable)
        assert error.may_have_acted is acts
        assert error.reason == "no answer in time"
        assert len(wire.received) == 1


@pytest.mark.parametrize(
    "speech", [[FOREVER], drip(b"\x16\x03\x03\x40\x00" + b"\x02" * 500, 0.05)], ids=["hang", "drip"]
)
def test_a_handshake_that_never_ends_is_cut_off_and_nothing_was_sent(speech):
    with Wire(speech, speaks_first=True) as wire:
        timing = Timing(connect=2, read=2, deadline=0.3, attempts=1)
        error = failure(new(), request(wire.url("https"), acts=True, timing=timing))
        assert error.may_have_acted is False
        assert wire.connections == 1, "no time was left for another try"


def test_a_tunnel_that_never_opens_is_cut_off_and_nothing_was_sent():
    with Wire(drip(b"HTTP/1.1 200 Connection established\r\n\r\n")) as proxy:
        timing = Timing(connect=2, read=2, deadline=0.3, attempts=1)
        sender = new(proxy_url=f"http://127.0.0.1:{proxy.port}")
        error = failure(sender, request("https://api.getscreen.me/v1", acts=True, timing=timing))
        assert error.may_have_acted is False
        assert KEY.encode() not in b"".join(proxy.received)


def test_a_resolver_that_never_answers_is_left_behind(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [released.wait(30)][1:])
    timing = Timing(connect=0.1, read=2, deadline=4, attempts=1)
    error = failure(new(), request("https://api.getscreen.me/v1", acts=True, timing=timing))
    released.set()
    assert (error.may_have_acted, error.reason) == (False, "no connection in time")


def test_an_error_answer_that_never_ends_keeps_its_status():
    script = [b"HTTP/1.1 402 Payment Required\r\nContent-Length: 999\r\n\r\n", FOREVER]
    with Wire(script) as wire:
        assert new().send(request(wire.url(), acts=True, timing=Timing(2, 0.5, 4, 1))).status == 402


def test_a_late_answer_is_late_even_if_it_is_whole():
    moments = iter([0.0, 0.0, 9.0, 9.0, 9.0])
    with Wire([answer()]) as wire:
        error = failure(new(clock=lambda: next(moments, 9.0)), request(wire.url(), acts=True, timing=PATIENT))
    assert (error.reason, error.may_have_acted, error.status) == ("no answer in time", True, 200)


# The guard.


def test_the_guard_of_one_exchange_leaves_the_next_one_on_the_same_connection_alone():
    with Wire([answer()], [0.8, answer(b'{"second": 1}')]) as wire:
        sender = new()
        sender.send(request(wire.url(), timing=Timing(2, 2, 0.5, 1)))
        assert sender.send(request(wire.url(), timing=PATIENT)).body == b'{"second": 1}'
        assert wire.connections == 1


def test_a_guard_that_has_ended_cuts_nothing_off():
    left, right = socket.socketpair()
    with left, right:
        guard = watch.Watch(FOREVER, keeps_connection=True)
        guard.follow(left)
        guard.end()
        guard._time_is_up()
        left.sendall(b"x")
        assert right.recv(1) == b"x"
        assert not guard.is_late


def test_a_guard_whose_time_is_up_cuts_off_what_it_gets_later():
    left, right = socket.socketpair()
    with left, right:
        guard = watch.Watch(FOREVER, keeps_connection=True)
        guard._time_is_up()
        guard.follow(left)
        assert right.recv(1) == b""
        with pytest.raises(TimeoutError):
            guard.note_departure(left)
        assert guard.has_sent is None
        guard.end()


def test_eight_threads_each_have_their_own_deadline():
    outcomes: list[tuple[bool, str]] = []
    body = b"x" * 3_000

    def run(sender: Transport, url: str, is_slow: bool) -> None:
        for _ in range(3):
            try:
                found = sender.send(request(url, timing=QUICK if is_slow else PATIENT)).body == body
                outcomes.append((is_slow, "good" if found else "mixed up"))
            except Unavailable as error:
                outcomes.append((is_slow, error.reason))

    with Wire(NEVER_ENDING["body"]) as slow, Wire([0.05, answer(body)]) as good:
        sender = new()
        arguments = [(sender, (slow if number % 2 else good).url(), bool(number % 2)) for number in range(8)]
        threads = [threading.Thread(target=run, args=one) for one in arguments]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(GENEROUS * 2)
    assert sorted(outcomes) == [(False, "good")] * 12 + [(True, "no answer in time")] * 12


def test_no_descriptor_is_left_open():
    with Wire([answer()]) as good, Wire([HANG_UP]) as bad:
        sender = new()
        sender.send(request(good.url()))
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            sender.send(request(good.url()))
            sender.send(request(good.url(), acts=True))
            failure(sender, request(bad.url()))
        settle(lambda: len(os.listdir("/proc/self/fd")) <= before + 4)


def settle(condition) -> None:
    until = time.monotonic() + GENEROUS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_reading_keeps_its_connection_and_acting_never_does():
    with Wire([answer()]) as wire:
        sender = new()
        for _ in range(3):
            sender.send(request(wire.url()))
        assert wire.connections == 1
        for _ in range(3):
            sender.send(request(wire.url(), acts=True))
        assert wire.connections == 4
        assert b"Connection: close" in wire.received[-1]


# What was sent, and what is tried again.


def refused(closed_port, certificates, monkeypatch):
    return new(), f"http://127.0.0.1:{closed_port}/v1"


def unknown_name(closed_port, certificates, monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    return new(), "https://api.getscreen.me/v1"


def no_address(closed_port, certificates, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [])
    return new(), "https://api.getscreen.me/v1"


def connect_timeout(closed_port, certificates, monkeypatch):
    def fail(*args, **kwargs):
        raise TimeoutError("timed out")

    monkeypatch.setattr(urllib3.util.connection, "create_connection", fail)
    return new(), "http://127.0.0.1:9/v1"


def closed_proxy(closed_port, certificates, monkeypatch):
    return new(proxy_url=f"http://127.0.0.1:{closed_port}"), "https://api.getscreen.me/v1"


def no_ca_file(closed_port, certificates, monkeypatch):
    return new(ca_file="/nowhere/ca.pem"), f"https://127.0.0.1:{closed_port}/v1"


def bad_address(closed_port, certificates, monkeypatch):
    return new(), "http://127.0.0.1:99999/v1"


def no_host(closed_port, certificates, monkeypatch):
    return new(), "https://"


def bad_scheme(closed_port, certificates, monkeypatch):
    return new(), "gopher://127.0.0.1/v1"


@pytest.mark.parametrize(
    "arrange",
    [refused, unknown_name, no_address, connect_timeout, closed_proxy, no_ca_file, bad_address, bad_scheme, no_host],
)
def test_where_nothing_was_sent_nothing_can_have_happened_and_there_is_one_more_try(
    arrange, closed_port, certificates, monkeypatch
):
    pauses: list[float] = []
    sender, url = arrange(closed_port, certificates, monkeypatch)
    sender.sleep = pauses.append
    error = failure(sender, request(url, acts=True))
    assert isinstance(error, Unavailable)
    assert error.may_have_acted is False
    assert len(pauses) == 1


@pytest.mark.parametrize("text", ["line\r\nbreak", "ключ", "\ud800"])
def test_a_key_that_fits_no_header_is_never_sent(text):
    with Wire([answer()]) as wire:
        error = failure(new(), request(wire.url(), acts=True, key=Secret(text)))
        assert error.may_have_acted is False
        assert wire.received == []


@pytest.mark.parametrize("name", ["other.example", "localhost"])
def test_a_certificate_nobody_vouches_for_or_with_another_name_gets_no_request(certificates, name):
    with Wire([answer()], context=server_context(certificates[name])) as wire:
        # One is trusted, but for another host; the other is for this host, but signed by itself.
        trusted = str(certificates[name]) if name == "other.example" else ""
        error = failure(new(ca_file=trusted), request(wire.url("https", "localhost"), acts=True))
        assert (error.may_have_acted, error.reason) == (False, "no secure connection")
        assert wire.received == []
        assert wire.connections == 2


def test_the_site_s_own_certificate_file_is_trusted(certificates):
    with Wire([answer()], context=server_context(certificates["localhost"])) as wire:
        sender = new(ca_file=str(certificates["localhost"]))
        assert sender.send(request(wire.url("https", "localhost"))).body == JSON
        assert f"X-Api-Key: {KEY}".encode() in wire.received[0]


def test_an_encrypted_answer_is_cut_off_as_well(certificates):
    with Wire(NEVER_ENDING["body"], context=server_context(certificates["localhost"])) as wire:
        sender = new(ca_file=str(certificates["localhost"]))
        timing = Timing(connect=2, read=2, deadline=0.4, attempts=1)
        error = failure(sender, request(wire.url("https", "localhost"), acts=True, timing=timing))
        assert (error.reason, error.may_have_acted) == ("no answer in time", True)


BROKEN = {
    "hang up": [HANG_UP],
    "half a status": [b"HTTP/1.1 ", HANG_UP],
    "no HTTP": [b"SSH-2.0\r\n\r\n", HANG_UP],
    "half a body": [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", HANG_UP],
    "broken chunks": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", HANG_UP],
    "endless header": [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", HANG_UP],
    "endless headers": [b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n", HANG_UP],
}


@pytest.mark.parametrize("name", BROKEN)
def test_once_something_was_sent_it_may_have_happened_and_there_is_no_second_try(name):
    with Wire(BROKEN[name]) as wire:
        error = failure(new(), request(wire.url(), acts=True))
        assert isinstance(error, Unavailable)
        assert error.may_have_acted is True
        assert len(wire.received) == 1


@pytest.mark.parametrize("name", BROKEN)
def test_what_only_reads_is_tried_again_and_has_never_acted(name):
    with Wire(BROKEN[name], [answer()]) as wire:
        timing = Timing(connect=2, read=2, deadline=4, attempts=2)
        assert new().send(request(wire.url(), timing=timing)).body == JSON
        assert failure(new(), request(wire.url(), timing=PATIENT, cap=1)).may_have_acted is False


def test_the_next_address_of_a_host_is_tried_within_the_same_time(monkeypatch):
    with Wire([answer()]) as wire:
        found = [(None, None, 0, "", ("::1", wire.port, 0, 0)), (None, None, 0, "", ("127.0.0.1", wire.port))]
        real = socket.getaddrinfo

        def both(host, *args, **kwargs):
            return found if host == "localhost" else real(host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", both)
        assert new().send(request(wire.url(host="localhost"), acts=True)).status == 200
        assert wire.connections == 1


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 520])
def test_reading_is_tried_again_after_a_failing_server(status):
    with Wire([answer(b"", f"{status} X")], [answer(b"", f"{status} X")], [answer()]) as wire:
        pauses: list[float] = []
        timing = Timing(connect=2, read=2, deadline=4, attempts=3)
        assert new(sleep=pauses.append).send(request(wire.url(), timing=timing)).status == 200
        assert len(pauses) == 2


@pytest.mark.parametrize(("acts", "head"), [(True, ""), (False, "Retry-After: 7")])
def test_a_failing_server_is_left_alone_if_the_call_acts_or_we_shall_wait(acts, head):
    with Wire([answer(b"", "503 X", *filter(None, [head]))]) as wire:
        timing = Timing(connect=2, read=2, deadline=4, attempts=3)
        assert new().send(request(wire.url(), acts=acts, timing=timing)).status == 503
        assert len(wire.received) == 1


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 402, 403, 404, 429])
def test_any_other_answer_is_final(status):
    with Wire([answer(b"", f"{status} X")]) as wire:
        timing = Timing(connect=2, read=2, deadline=4, attempts=3)
        assert new().send(request(wire.url(), timing=timing)).status == status
        assert len(wire.received) == 1


def test_an_answer_that_is_too_large_is_not_fetched_again():
    with Wire([answer(b"x" * 101)]) as wire:
        timing = Timing(connect=2, read=2, deadline=4, attempts=3)
        error = failure(new(), request(wire.url(), timing=timing, cap=100))
        assert isinstance(error, Malformed)
        assert len(wire.received) == 1


def test_pauses_are_random_and_grow_to_two_seconds_at_most(monkeypatch):
    asked: list[tuple[float, float]] = []
    monkeypatch.setattr(transport.random, "uniform", lambda low, high: asked.append((low, high)) or high)
    pauses: list[float] = []
    sender = new(sleep=pauses.append, clock=lambda: 0.0)
    assert [sender.may_retry(attempt, 100.0) for attempt in range(1, 7)] == [True] * 6
    assert pauses == pytest.approx([0.4, 0.8, 1.6, 2.0, 2.0, 2.0])
    assert {low for low, _ in asked} == {0}


def test_there_is_no_try_without_time_for_it(monkeypatch):
    monkeypatch.setattr(transport.random, "uniform", lambda low, high: 0.0)
    pauses: list[float] = []
    sender = new(sleep=pauses.append, clock=lambda: 0.0)
    assert not sender.may_retry(1, 0.05)
    assert pauses == []
    assert sender.budget.tokens == RetryBudget.CAPACITY


def test_a_pause_that_lasted_too_long_ends_the_tries(monkeypatch):
    now = [0.0]
    sender = new(sleep=lambda seconds: now.__setitem__(0, 5.0), clock=lambda: now[0])
    assert not sender.may_retry(1, 4.0)


def test_in_an_outage_the_budget_ends_the_tries(closed_port):
    pauses: list[float] = []
    sender = new(sleep=pauses.append)
    timing = Timing(connect=2, read=2, deadline=4, attempts=3)
    for _ in range(8):
        failure(sender, request(f"http://127.0.0.1:{closed_port}/v1", timing=timing))
    assert len(pauses) == 10
    with Wire([answer()]) as wire:
        for _ in range(11):
            sender.send(request(wire.url()))
    failure(sender, request(f"http://127.0.0.1:{closed_port}/v1", timing=timing))
    assert len(pauses) == 11


def test_the_budget_has_an_upper_end():
    budget = RetryBudget()
    budget.earn()
    assert budget.tokens == RetryBudget.CAPACITY
