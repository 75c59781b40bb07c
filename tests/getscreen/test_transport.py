"""One exchange on real sockets: its deadline, what was sent, what is tried again, and what never leaves or leaks."""

from __future__ import annotations

import inspect
import logging
import os
import socket
import threading
import time
import traceback

import pytest
import requests
import urllib3
from requests.adapters import BaseAdapter

from portal.getscreen import transport, watch
from portal.getscreen.errors import GetscreenError, Malformed, Unavailable
from portal.getscreen.transport import Answer, Request, RetryBudget, Timing, Transport, redacted
from portal.getscreen.types import Secret
from tests.getscreen.wire import ENCRYPT, FOREVER, HANG_UP, Wire, answer, certificate, drip, server_context

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


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    return {name: certificate(folder, name) for name in ("localhost", "other.example", "api.getscreen.me")}


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


# The deadline.

NEVER_ENDING = {
    "headers": drip(answer(JSON, "200 OK", "X-Long: " + "x" * 2_000)),
    "body": [b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", *drip(b" " * 999)],
    "body without length": [b"HTTP/1.1 200 OK\r\n\r\n" + JSON, *drip(b" " * 999)],
    "whole body without an end": [b"HTTP/1.1 200 OK\r\n\r\n" + JSON, FOREVER],
    "chunks": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *drip(b"1\r\n \r\n" * 999)],
    "interim answers": [b"HTTP/1.1 100 Continue\r\n\r\n", 0.05] * 1_000,
    "silence": [FOREVER],
}


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


# Surroundings.


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed_and_the_key_stays_here(status):
    with Wire([answer()]) as elsewhere:
        location = f"Location: http://127.0.0.1:{elsewhere.port}/v1"
        with Wire([answer(b"", f"{status} Found", location)]) as wire:
            for acts in (False, True):
                assert new().send(request(wire.url(), acts=acts)).status == status
        assert elsewhere.connections == 0


def test_the_body_of_a_redirect_is_not_read_to_its_end():
    head = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Encoding: gzip\r\nContent-Length: 99999999\r\n\r\n"
    with Wire([head + b"x" * 9_000, FOREVER]) as wire:
        started = time.monotonic()
        assert len(new().send(request(wire.url())).body) <= transport.GLIMPSE
        assert time.monotonic() - started < GENEROUS


def test_the_environment_has_no_say(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login kim password not-a-password\n")
    netrc.chmod(0o600)
    with Wire([answer()]) as proxy, Wire([answer()]) as wire:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            for spelling in (name, name.lower()):
                monkeypatch.setenv(spelling, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
        monkeypatch.setenv("CURL_CA_BUNDLE", "/nowhere")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert new().send(request(wire.url())).status == 200
        assert proxy.connections == 0
        assert b"Authorization" not in wire.received[0]


def test_the_site_s_own_proxy_is_used_and_sees_no_key(certificates):
    proxy = Wire([b"HTTP/1.1 200 Connection established\r\n\r\n", ENCRYPT, answer()])
    proxy.tunnel_context = server_context(certificates["api.getscreen.me"])
    with proxy:
        sender = new(
            proxy_url=f"http://kim:not-a-password@127.0.0.1:{proxy.port}", ca_file=str(certificates["api.getscreen.me"])
        )
        assert sender.send(request("https://api.getscreen.me/v1", acts=True)).body == JSON
    tunnel, inside = proxy.received
    assert tunnel.startswith(b"CONNECT api.getscreen.me:443 HTTP/1.")
    assert KEY.encode() not in tunnel
    assert KEY.encode() in inside


def test_a_proxy_that_refuses_was_not_told_anything():
    with Wire([b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", HANG_UP]) as proxy:
        sender = new(proxy_url=f"http://127.0.0.1:{proxy.port}")
        error = failure(sender, request("https://api.getscreen.me/v1", acts=True))
        assert error.may_have_acted is False
        assert len(proxy.received) == 2
        assert KEY.encode() not in b"".join(proxy.received)


def test_loopback_is_never_reached_through_a_proxy():
    with Wire([answer()]) as proxy, Wire([answer()]) as wire:
        assert new(proxy_url=f"http://127.0.0.1:{proxy.port}").send(request(wire.url())).status == 200
        assert proxy.connections == 0


def test_cookies_are_not_kept():
    with Wire([answer(JSON, "200 OK", "Set-Cookie: a=b; Path=/")]) as wire:
        session = requests.Session()
        for sender in (new(), new(), new(session=session), new(session=session)):
            for acts in (False, True, False):
                sender.send(request(wire.url(), acts=acts))
        assert not any(b"cookie" in one.lower() for one in wire.received)
        assert len(session.cookies) == 0
        session.close()


def test_a_request_says_who_asks_and_asks_for_plain_json():
    with Wire([answer()]) as wire:
        new().send(request(wire.url(), headers={"X-More": "1"}))
        head = wire.received[0].decode()
    assert head.startswith("GET /v1/support/picture-secret?client_name=Tilda HTTP/1.1\r\n")
    names = {line.split(":")[0] for line in head.split("\r\n")[1:] if line}
    assert names == {"Host", "Accept", "Accept-Encoding", "User-Agent", "X-Api-Key", "X-More"}
    assert "Accept-Encoding: identity" in head


# What comes back.


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip", "GZIP", "x"])
def test_an_encoded_answer_is_refused(encoding):
    with Wire([answer(JSON, "200 OK", f"Content-Encoding: {encoding}")]) as wire:
        error = failure(new(), request(wire.url(), acts=True))
        assert isinstance(error, Malformed)
        assert (error.may_have_acted, error.status) == (True, 200)


@pytest.mark.parametrize("encoding", ["identity", "", " Identity "])
def test_an_answer_that_is_not_encoded_is_read(encoding):
    with Wire([answer(JSON, "200 OK", f"Content-Encoding: {encoding}")]) as wire:
        assert new().send(request(wire.url())).body == JSON


def test_an_answer_may_be_as_long_as_its_cap_and_no_longer():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"64\r\n" + b"x" * 100 + b"\r\n"
    with Wire([answer(b"x" * 100)], [answer(b"x" * 101)], [chunked + b"0\r\n\r\n"], [chunked, chunked]) as wire:
        assert len(new().send(request(wire.url(), cap=100)).body) == 100
        assert isinstance(failure(new(), request(wire.url(), cap=100)), Malformed)
        assert len(new().send(request(wire.url(), cap=100)).body) == 100
        assert isinstance(failure(new(), request(wire.url(), cap=99)), Malformed)


def test_where_only_the_status_counts_the_body_does_not():
    with Wire([answer(b"x" * 9_999_999, "200 OK", "Content-Encoding: gzip")]) as wire:
        assert new().send(request(wire.url(), acts=True, cap=0)).status == 200


def answered(**headers: str) -> Answer:
    return Answer(429, requests.structures.CaseInsensitiveDict(headers), b"")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 1),
        ("0000000007", 7),
        ("300", 300),
        ("301", 300),
        (str(10**9), 300),
        ("9" * 10_000, 300),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("Mon, 01 Jan 2029 00:00:42 GMT", 42),
        ("Mon, 01 Jan 2029 00:00:42 -0000", 42),
        ("Sun, 31 Dec 2028 00:00:00 GMT", 1),
        ("Mon, 01 Jan 2099 00:00:00 GMT", 300),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
        ("Mon, 99 Jan 2029 00:00:00 GMT", None),
    ],
)
def test_a_wish_to_wait_is_honoured_within_reason(value, seconds):
    date = "Mon, 01 Jan 2029 00:00:00 GMT"
    assert answered(**{"retry-after": value, "date": date}).retry_after == seconds


def test_without_the_vendor_s_clock_ours_counts():
    assert answered(**{"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}).retry_after == 1
    assert answered().retry_after is None


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Mon, 23 Nov 2026 12:00:00 GMT", 1_795_435_200),
        ("Mon, 23 Nov 2026 12:00:00 -0000", 1_795_435_200),
        ("Mon, 23 Nov 2026 12:00:00", 1_795_435_200),
        ("yesterday", None),
        ("", None),
        (",", None),
    ],
)
def test_the_vendor_s_clock_is_read_in_utc(date, seconds, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert answered(DATE=date).served_at == seconds
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_header_counts_in_any_case():
    with Wire([answer(JSON, "200 OK", "date: Mon, 23 Nov 2026 12:00:00 GMT")]) as wire:
        assert new().send(request(wire.url())).served_at == 1_795_435_200


# Errors and logs.


class Raising(BaseAdapter):
    """An adapter whose only answer is an error full of secrets."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def send(self, request, **kwargs):
        raise self.error

    def close(self):
        pass


def classes(root: type) -> set[type]:
    return {root}.union(*(classes(kind) for kind in root.__subclasses__()))


EXCEPTIONS = sorted(
    {kind for _, kind in inspect.getmembers(requests.exceptions, inspect.isclass) if issubclass(kind, OSError)}
    | {kind for kind in classes(urllib3.exceptions.HTTPError) if kind.__module__.startswith("urllib3.exceptions")},
    key=str,
)


def made(kind: type) -> Exception:
    error = kind.__new__(kind)
    error.args = (f"GET https://api.getscreen.me/v1/picture-secret?client_name=Tilda X-Api-Key {KEY}",)
    return error


@pytest.mark.parametrize(
    "kind", [*EXCEPTIONS, OSError, ValueError, UnicodeError, TimeoutError], ids=lambda kind: kind.__name__
)
def test_every_error_of_the_network_becomes_one_of_ours(kind, caplog):
    caplog.set_level(logging.DEBUG)
    with requests.Session() as session:
        session.mount("https://", Raising(made(kind)))
        sender = new(session=session)
        error = failure(sender, request("https://api.getscreen.me/v1", acts=True))
        assert isinstance(error, Unavailable)
        assert failure(sender, request("https://api.getscreen.me/v1")).may_have_acted is False
    assert not [word for word in SECRET_WORDS if word in caplog.text]


def test_the_walk_meets_every_class_of_requests():
    assert {requests.RequestException, requests.ReadTimeout, requests.TooManyRedirects} < set(EXCEPTIONS)
    assert len(EXCEPTIONS) > 40


@pytest.mark.parametrize(
    ("kind", "maybe"),
    [
        (requests.ConnectTimeout, False),
        (requests.exceptions.SSLError, False),
        (requests.exceptions.ProxyError, False),
        (requests.exceptions.InvalidURL, False),
        (requests.ReadTimeout, True),
        (requests.ConnectionError, True),
        (requests.exceptions.ChunkedEncodingError, True),
        (OSError, True),
    ],
)
def test_behind_a_foreign_adapter_only_the_error_itself_says_what_was_sent(kind, maybe):
    with requests.Session() as session:
        session.mount("https://", Raising(made(kind)))
        assert failure(new(session=session), request("https://api.getscreen.me/v1", acts=True)).may_have_acted is maybe


def test_an_error_that_is_none_of_the_network_s_is_not_hidden():
    with requests.Session() as session:
        session.mount("https://", Raising(ZeroDivisionError()))
        with pytest.raises(ZeroDivisionError):
            new(session=session).send(request("https://api.getscreen.me/v1"))
    assert watch.current.watch is None


def test_nothing_of_an_exchange_is_logged_even_by_urllib3(caplog, closed_port):
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    odd = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno colon here\r\n\r\n{}"
    with Wire([answer()], [odd], [answer(b"", "302 Found", "Location: /picture-secret")], [HANG_UP]) as wire:
        sender = new()
        for _ in range(3):
            sender.send(request(wire.url()))
        failure(sender, request(wire.url(), acts=True))
    failure(sender, request(f"http://127.0.0.1:{closed_port}/v1"))
    assert "support/x failed" in caplog.text
    assert not [word for word in (*SECRET_WORDS, "127.0.0.1") if word in caplog.text]


def test_outside_of_our_exchanges_urllib3_may_log(caplog):
    caplog.set_level(logging.DEBUG, logger="urllib3.connectionpool")
    logging.getLogger("urllib3.connectionpool").debug("of somebody else")
    assert "of somebody else" in caplog.text


def test_requests_and_answers_do_not_show_what_they_hold():
    text = f"{request('https://api.getscreen.me/v1', body=b'Tilda')!r} {answered(secret='Tilda')!r}"
    assert not [word for word in SECRET_WORDS if word in text]


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        "https://go.getscreen.me/turbo/x",
        r"https:\/\/go.getscreen.me\/turbo\/x",
        "A" * 20,
        "0123456789abcdef-0123_",
        "QUJDREVGR0hJSktMTU5PUFFSU1RVVg==",
        "012345678",
        "012 345 678",
        "012-345-678",
    ],
)
def test_an_error_body_is_logged_without_anything_secret(secret):
    shown = redacted(f'{{"error": "no: {secret} ."}}'.encode(), KEY)
    assert secret not in shown
    assert shown.startswith('{"error": "no: ****')


def test_an_error_body_is_one_short_line():
    assert redacted("a\r\nb\x1b[31m\u2028\u202e\x00c".encode()) == "a  b [31m   c"
    assert redacted(b"\xff\xfe") == "\ufffd\ufffd"
    assert len(redacted(b"word " * 9_999)) == 300
    assert KEY[:8] not in redacted((b"a" * 4_080) + b" " + KEY.encode() * 9, KEY)


def test_connections_outside_of_an_exchange_are_usual_ones():
    with Wire([answer()]) as wire, transport.new_session() as session:
        assert session.get(wire.url(), timeout=2).content == JSON
        assert session.get(wire.url(), timeout=2).content == JSON
        assert wire.connections == 1
