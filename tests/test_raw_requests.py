"""Requests that no browser sends, on a socket before the real server: refused, never mixed up, and survived.

What is smuggled is a request to `/readyz`, whose answer is told apart from all others by its body.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests import batteries
from tests.installation import Installation, vendor_on_a_port
from tests.mutations import METHODS, MUTATIONS, PUBLIC_PAGE, Attempt
from tests.test_access import EVERY
from tests.test_alternate_paths import leads_to_public_page

HERE = b"127.0.0.1:_PORT"  # as long as the real one, so that bodies can be counted before it is known
HOST = b"Host: " + HERE + b"\r\n"
GOOD = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
SMUGGLED = b"GET /readyz HTTP/1.1\r\n" + HOST + b"\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
POST = b"POST /accounts/login/ HTTP/1.1\r\n" + HOST + FORM
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(body)


BOTH = b"0\r\n\r\n" + SMUGGLED
# Sent as they are, then the line is closed from this side. The statuses that may come back, in their order.
REFUSED = ([400], [])  # or hung up on, without a word
# A form without its token is refused before its body is read, and the body's fault found when it is passed over.
IN_THE_BODY = ([400], [403], [403, 400], [])
CASES: dict[str, tuple[bytes, tuple[list[int], ...]]] = {
    # Two lengths: who believes which one?
    "length and chunks": (POST + length(BOTH) + CHUNKED + b"\r\n" + BOTH, REFUSED),
    "chunks and length": (POST + CHUNKED + length(BOTH) + b"\r\n" + BOTH, REFUSED),
    "two different lengths": (POST + length(b"") + length(SMUGGLED) + b"\r\n" + SMUGGLED, REFUSED),
    "a list of lengths": (POST + b"Content-Length: 0, 70\r\n\r\n" + SMUGGLED, REFUSED),
    "a length with a sign": (POST + b"Content-Length: +0\r\n\r\n" + SMUGGLED, REFUSED),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n" + SMUGGLED, REFUSED),
    "a length in base 16": (POST + b"Content-Length: 0x10\r\n\r\n" + SMUGGLED, REFUSED),
    "a length in other digits": (POST + "Content-Length: ٣\r\n\r\n".encode() + SMUGGLED, REFUSED),
    "an enormous length": (POST + b"Content-Length: 99999999999999999999\r\n\r\nx", ([400], [403], [413], [])),
    "a space before the colon": (POST + b"Content-Length : 70\r\n\r\n" + SMUGGLED, REFUSED),
    "chunks, a space before the colon": (POST + length(BOTH) + b"Transfer-Encoding : chunked\r\n\r\n" + BOTH, REFUSED),
    "chunks, a tab before": (
        POST + length(BOTH) + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + BOTH,
        ([400], [501], []),
    ),
    "chunks twice": (POST + CHUNKED + CHUNKED + b"\r\n" + BOTH, REFUSED),
    "chunks, then identity": (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + BOTH, REFUSED),
    # RFC 9112, 6.1: a coding that is not understood is answered with 501.
    "an unknown coding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n" + BOTH, ([400], [501], [])),
    "an underscore for a dash": (POST + length(b"") + b"Transfer_Encoding: chunked\r\n\r\n", ([400], [403])),
    "chunks in HTTP/1.0": (POST.replace(b"1.1", b"1.0") + CHUNKED + b"\r\n" + BOTH, REFUSED),
    "a chunk of no number": (POST + CHUNKED + b"\r\nzz\r\nx\r\n0\r\n\r\n", IN_THE_BODY),
    "a negative chunk": (POST + CHUNKED + b"\r\n-1\r\nx\r\n0\r\n\r\n", IN_THE_BODY),
    "a chunk longer than it says": (POST + CHUNKED + b"\r\n1\r\nxxxx\r\n0\r\n\r\n", IN_THE_BODY),
    "an enormous chunk": (POST + CHUNKED + b"\r\nffffffffffffffffff\r\nx", IN_THE_BODY),
    "a chunk's bare line feed": (POST + CHUNKED + b"\r\n1\nx\n0\n\n" + SMUGGLED, IN_THE_BODY),
    "chunks without an end": (POST + CHUNKED + b"\r\n5\r\nlogin", IN_THE_BODY),
    "a body with a GET": (GOOD[:-2] + length(SMUGGLED) + b"\r\n" + SMUGGLED + GOOD, ([200, 200], [200], [400])),
    "a body that nobody reads": (POST + length(SMUGGLED) + b"\r\n" + SMUGGLED + GOOD, ([403, 200], [403])),
    "a body cut short": (POST + b"Content-Length: 100\r\n\r\nlogin=x", IN_THE_BODY),
    # Lines.
    "bare line feeds": (GOOD.replace(b"\r\n", b"\n"), ([200], [400], [])),
    "bare carriage returns": (GOOD.replace(b"\r\n", b"\r"), REFUSED),
    "a header after a bare carriage return": (GOOD[:-2] + b"A: b\rX: y\r\n\r\n", REFUSED),
    "a null byte in a header": (GOOD[:-2] + b"A: b\x00c\r\n\r\n", REFUSED),
    "a null byte in the path": (GOOD.replace(b"/healthz", b"/audit/\x00"), ([400], [302], [404], [])),
    "a folded header": (GOOD[:-2] + b"A: b\r\n c\r\n\r\n", REFUSED),
    "a header without a colon": (GOOD[:-2] + b"nothing\r\n\r\n", REFUSED),
    "a header without a name": (GOOD[:-2] + b": x\r\n\r\n", REFUSED),
    "a long line": (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", ([400], [414], [])),
    "a long header": (GOOD[:-2] + b"A: " + b"a" * 20_000 + b"\r\n\r\n", ([400], [431], [])),
    "many headers": (GOOD[:-2] + b"A: b\r\n" * 500 + b"\r\n", ([400], [431], [])),
    "a header without an end": (GOOD[:-2] + b"A: " + b"a" * 300_000, ([400], [431], [])),
    # Methods, versions, targets, hosts.
    "an unknown method": (GOOD.replace(b"GET", b"FROBNICATE"), ([405], [400])),
    "a method in small letters": (GOOD.replace(b"GET", b"get"), ([405], [400])),
    "a method of odd letters": (GOOD.replace(b"GET", b"G\xc3\x89T"), REFUSED),
    "no method": (GOOD.replace(b"GET ", b" "), REFUSED),
    "CONNECT": (b"CONNECT elsewhere.example:443 HTTP/1.1\r\n" + HOST + b"\r\n", ([400], [302], [404], [405])),
    "PRI": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", REFUSED),
    "HTTP/0.9": (b"GET /healthz\r\n", REFUSED),
    "HTTP/3.7": (GOOD.replace(b"1.1", b"3.7"), ([400], [505], [])),
    "no version": (GOOD.replace(b"HTTP/1.1", b"HTTP/"), REFUSED),
    "an absolute target": (GOOD.replace(b"/healthz", b"http://elsewhere.example/audit/"), ([302], [400])),
    "an absolute target, encrypted": (GOOD.replace(b"/healthz", b"https://elsewhere.example/audit/"), ([302], [400])),
    "a star": (GOOD.replace(b"GET /healthz", b"OPTIONS *"), ([302], [400], [404], [200])),
    "a target without a slash": (GOOD.replace(b"/healthz", b"healthz"), ([302], [400], [404])),
    "a host elsewhere": (GOOD.replace(b"/healthz", b"/audit/").replace(HERE, b"elsewhere.example"), ([400],)),
    "two hosts": (GOOD.replace(b"/healthz", b"/audit/").replace(HOST, HOST + b"Host: elsewhere.example\r\n"), REFUSED),
    "a host of nothing": (GOOD.replace(b"/healthz", b"/audit/").replace(HERE, b"@/?#"), REFUSED),
    "no host": (GOOD.replace(b"/healthz", b"/audit/").replace(HOST, b""), ([302], [400])),
    # Order and endings.
    "two at once": (GOOD + GOOD, ([200, 200], [200])),
    "one, then rubbish": (GOOD + b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", ([200, 400], [200])),
    "a handshake of TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, REFUSED),
    "100-continue": (POST + length(b"login=x") + b"Expect: 100-continue\r\n\r\nlogin=x", ([100, 403], [403])),
    "another expectation": (GOOD[:-2] + b"Expect: a miracle\r\n\r\n", ([417], [400], [200], [])),
    "an upgrade": (GOOD[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", ([200], [400])),
    "a proxy's preface": (b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + GOOD, REFUSED),
    "hung up on at once": (b"", ([],)),
    "half a line": (b"GET /hea", REFUSED),
    "half a header": (GOOD[:-6], REFUSED),
}
EXPLAINED = "DisallowedHost"  # Django's own line about a host that is not ours
STATUS = re.compile(rb"(?:^|\n)HTTP/1\.[01] (\d{3}) ")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with (
        vendor_on_a_port(seed=7) as (_, server),
        Installation(tmp_path_factory.mktemp("portal"), server) as installation,
    ):
        installation.prepare()
        installation.serve()
        yield installation


def exchange(installation: Installation, sent: bytes) -> bytes:
    """Send bytes, say that nothing more comes, and return all that is answered."""
    with socket.create_connection(("127.0.0.1", installation.port), timeout=10) as line:
        with suppress(ConnectionError):  # a server that has heard enough hangs up
            line.sendall(sent.replace(HERE, f"127.0.0.1:{installation.port:05}".encode()))
            line.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionError):
            while more := line.recv(65536):
                answer += more
    return answer


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in STATUS.findall(answer)]


@pytest.mark.parametrize("name", CASES)
def test_what_no_browser_sends_is_refused_and_survived(served, name):
    sent, wanted = CASES[name]
    before = len(served.log())
    for _ in range(batteries.count(short=1, long=200)):
        answer = exchange(served, sent)
        assert statuses(answer) in wanted, answer[:300]
        assert b'"ready"' not in answer, "the smuggled request was answered"
        assert b"Traceback" not in answer
        after = exchange(served, GOOD)
        assert statuses(after) == [200]
        assert b"\nok\n" in after
    assert not [line for line in served.log()[before:].splitlines() if "Traceback" in line and EXPLAINED not in line]
    batteries.report(
        f"raw request, {name}: {batteries.count(short=1, long=200)} times, answered as wanted, then a good one"
    )


def test_many_at_once_are_survived(served):
    """Broken ones side by side with good ones, whose answers are their own."""
    everything = [sent for sent, _ in CASES.values()] * batteries.count(short=1, long=50)
    with ThreadPoolExecutor(8) as pool:
        good = [pool.submit(exchange, served, GOOD) for _ in everything]
        broken = [pool.submit(exchange, served, sent) for sent in everything]
    assert all(b"\nok\n" in each.result() for each in good)
    assert all(set(statuses(each.result())) <= {100, *range(200, 500), 501, 505} for each in broken)


def request_of(method: str, attempt: Attempt) -> bytes:
    lines = [f"{method} {attempt.target} HTTP/1.1", HOST.decode().strip(), "Connection: close"]
    lines += [f"{name}: {value}" for name, value in attempt.headers.items()]
    return "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode()


def address_of(route: str) -> str:
    """The address with something in each place; nobody who is not signed in learns whether it exists."""
    return "/" if route == "-" else "/" + re.sub(r"<[^>]*>", "1", route)


@pytest.mark.parametrize("name", MUTATIONS)
def test_no_way_of_writing_an_address_leads_past_the_server(served, name):
    """`tests/test_alternate_paths.py` again, with what the server itself makes of a path."""
    routes = EVERY if batteries.IS_LONG else EVERY[len(name) % 40 :: 40]
    asked = 0
    for number, route in enumerate(routes):
        attempt = MUTATIONS[name](address_of(route))
        for method in METHODS if batteries.IS_LONG else METHODS[number % 7 :: 7]:
            answer = exchange(served, request_of(method, attempt))
            asked += 1
            (status,) = statuses(answer)
            assert status < 500, (method, attempt)
            if 200 <= status < 300 and b"HX-Redirect: /accounts/login/" not in answer:
                assert leads_to_public_page(attempt.path), (method, attempt)
    batteries.report(f"alternate paths on a socket, {name}: {asked} requests, none past the sign-in")


def test_there_are_thirty_cases_and_more():
    assert len(CASES) >= 30
    assert PUBLIC_PAGE == "/accounts/login/"
