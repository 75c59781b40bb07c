"""The simulator on a real port, and the exchange of bytes beneath it."""

import http.client
import io
import socket
import threading

import pytest
import requests

from portal.getscreen.simulator import Simulator, serve
from portal.getscreen.simulator.exchange import BAD_REQUEST, exchange

KEY = "test-key-not-real"


@pytest.fixture
def simulator():
    return Simulator(api_key=KEY, seed=1)


@pytest.fixture
def server(simulator):
    with serve(simulator) as server:
        yield server


@pytest.fixture
def session():
    with requests.Session() as session:
        session.trust_env = False
        session.headers["X-Api-Key"] = KEY
        yield session


def test_a_connection_serves_many_requests(server):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=2)
    sockets = set()
    for _ in range(3):
        connection.request("POST", "/v1/support/create", headers={"X-Api-Key": KEY})
        sockets.add(connection.sock)
        assert connection.getresponse().read().startswith(b'{"data": ')
    connection.close()
    assert len(sockets) == 1


def test_a_refusing_port_refuses_until_cleared(session, server, simulator):
    url = f"{server.url}/support/list"
    assert session.get(url, timeout=2).status_code == 200
    simulator.fail("list", "refused")
    for _ in range(2):
        with pytest.raises(requests.ConnectionError, match="Connection refused"):
            session.get(url, timeout=2)
    simulator.clear()
    assert session.get(url, timeout=2).status_code == 200
    assert len(simulator.ledger.find("support/list")) == 2


def test_a_port_can_refuse_from_its_start(session, simulator):
    simulator.fail("*", "refused")
    with serve(simulator) as server:
        with pytest.raises(requests.ConnectionError, match="Connection refused"):
            session.get(f"{server.url}/support/list", timeout=2)
        simulator.clear()
        assert session.get(f"{server.url}/support/list", timeout=2).status_code == 200


def test_a_stopped_port_is_gone_and_stays_gone(session, simulator):
    with serve(simulator) as server:
        url = f"{server.url}/support/list"
        assert session.get(url, timeout=2).status_code == 200
    simulator.fail("list", "refused")
    simulator.clear()
    with pytest.raises(requests.ConnectionError):
        session.get(url, timeout=2)


def test_stopping_ends_a_hanging_answer(server, simulator):
    arrived = threading.Event()
    simulator.fail("list", "hang")
    simulator.after("list", arrived.set)
    with socket.create_connection((server.host, server.port), 2) as client:
        client.sendall(b"GET /v1/support/list HTTP/1.1\r\n\r\n")
        assert arrived.wait(2)
        server.stop()
        assert client.recv(1) == b""


def test_a_drip_arrives_byte_by_byte_and_whole(session, server, simulator):
    simulator.fail("list", "drip", interval=0.001)
    assert session.get(f"{server.url}/support/list", timeout=2).json() == {"remain": 100, "data": []}


def test_a_slow_answer_arrives(session, server, simulator):
    simulator.fail("list", "slow", seconds=0.01)
    assert session.get(f"{server.url}/support/list", timeout=2).status_code == 200


def test_whoever_leaves_during_a_drip_harms_nobody(session, server, simulator):
    simulator.fail("list", "drip_headers", interval=0.01)
    with socket.create_connection((server.host, server.port), 2) as client:
        client.sendall(b"GET /v1/support/list HTTP/1.1\r\n\r\n")
        assert client.recv(1) == b"H"
    assert session.get(f"{server.url}/support/list", timeout=2).status_code == 200


def exchanged(request: bytes) -> tuple[bytes, bool]:
    reply = exchange(Simulator(api_key=KEY), io.BytesIO(request))
    return b"".join(reply.script), reply.keep


def test_a_head_request_has_no_body():
    content, keep = exchanged(b"HEAD /nothing HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n")
    assert content.endswith(b"\r\n\r\n")
    assert b"Content-Length: " in content
    assert keep


@pytest.mark.parametrize("first", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"])
def test_a_connection_closes_where_the_client_wants_it(first):
    content, keep = exchanged(first)
    assert b"Connection: close" in content
    assert not keep


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_bad_request(request_bytes):
    assert exchanged(request_bytes) == (BAD_REQUEST, False)


def test_the_end_of_the_requests_is_no_request():
    assert exchange(Simulator(api_key=KEY), io.BytesIO()) is None


def test_a_path_is_unquoted_once():
    content, _ = exchanged(b"GET /invite/%2530 HTTP/1.1\r\n\r\n")
    assert content.startswith(b"HTTP/1.1 404 ")
