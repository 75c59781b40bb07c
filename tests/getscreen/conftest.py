"""A simulator with a client in front of it, and certificates: shared by the tests of this folder."""

from __future__ import annotations

import socket

import pytest
import requests

from portal.getscreen.client import (
    Client,
)
from portal.getscreen.links import AllowedHosts
from portal.getscreen.simulator import Simulator
from portal.getscreen.types import Secret
from tests.getscreen.calls import KEY, URL
from tests.getscreen.wire import certificate
from tests.simulated import mount


@pytest.fixture
def simulator():
    return Simulator(api_key=KEY, seed=1)


@pytest.fixture
def session():
    with requests.Session() as session:
        yield session


@pytest.fixture
def make(simulator, session):
    mount(session, simulator, URL)

    def make(**changes) -> Client:
        settings = {
            "api_key": Secret(KEY),
            "base_url": URL,
            "link_hosts": AllowedHosts.parse(["getscreen.me"]),
            "session": session,
            "sleep": lambda seconds: None,
        }
        return Client(**settings | changes)

    return make


@pytest.fixture
def api(make):
    return make()


@pytest.fixture
def row(simulator):
    return simulator.add("Tilda", status=1, client_os="win", code="987654321")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    return {name: certificate(folder, name) for name in ("localhost", "other.example", "api.getscreen.me")}


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]
