"""What surrounds an exchange, what comes back, and what errors and logs tell of it."""

from __future__ import annotations

import inspect
import logging
import time

import pytest
import requests
import urllib3
from requests.adapters import BaseAdapter

from portal.getscreen import transport, watch
from portal.getscreen.errors import Malformed, Unavailable
from portal.getscreen.transport import Answer, redacted
from tests.getscreen.exchanges import (
    GENEROUS,
    JSON,
    KEY,
    SECRET_WORDS,
    failure,
    new,
    request,
)
from tests.getscreen.wire import ENCRYPT, FOREVER, HANG_UP, Wire, answer, server_context

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
