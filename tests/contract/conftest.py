"""Three vendors for the same assertions: the simulator in process, on a real port, and the real API.

Responsible for a client of each and for leaving nothing behind. The real API takes part where
GETSCREEN_CONTRACT_KEY is in the environment; GETSCREEN_CONTRACT_URL and GETSCREEN_CONTRACT_LINK_HOSTS
(comma-separated) name another edition of it. A run there uses one invitation of the plan.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import requests

from portal.getscreen.client import Client
from portal.getscreen.errors import GetscreenError
from portal.getscreen.links import AllowedHosts
from portal.getscreen.simulator import Simulator, serve
from portal.getscreen.types import Secret
from tests.simulated import mount

KEY = "test-key-not-real"
IN_PROCESS_URL = "http://127.0.0.1:1/v1"
REAL_KEY = os.environ.get("GETSCREEN_CONTRACT_KEY", "")
SIMULATED = [pytest.param("in_process", id="in process"), pytest.param("on_port", id="on a port")]
REAL = [pytest.param("real", id="real API", marks=pytest.mark.enable_socket)] if REAL_KEY else []


@dataclass
class Target:
    """How to reach one of the three."""

    key: str
    url: str
    link_hosts: list[str]
    session: requests.Session
    simulator: Simulator | None = None

    def client(self, key: str | None = None) -> Client:
        return Client(
            api_key=Secret(key or self.key),
            base_url=self.url,
            link_hosts=AllowedHosts.parse(self.link_hosts),
            session=self.session,
        )


@contextlib.contextmanager
def in_process(session: requests.Session) -> Iterator[Target]:
    simulator = Simulator(api_key=KEY)
    mount(session, simulator, IN_PROCESS_URL)
    yield Target(KEY, IN_PROCESS_URL, ["getscreen.me"], session, simulator)


@contextlib.contextmanager
def on_port(session: requests.Session) -> Iterator[Target]:
    simulator = Simulator(api_key=KEY)
    with serve(simulator) as server:
        simulator.public_url = server.origin
        yield Target(KEY, server.url, [f"{server.host}:{server.port}"], session, simulator)


@contextlib.contextmanager
def real(session: requests.Session) -> Iterator[Target]:
    url = os.environ.get("GETSCREEN_CONTRACT_URL", "https://api.getscreen.me/v1")
    hosts = os.environ.get("GETSCREEN_CONTRACT_LINK_HOSTS", "getscreen.me")
    yield Target(REAL_KEY, url, hosts.split(","), session)


TARGETS: dict[str, Callable[[requests.Session], contextlib.AbstractContextManager[Target]]] = {
    "in_process": in_process,
    "on_port": on_port,
    "real": real,
}


@pytest.fixture(params=[*SIMULATED, *REAL])
def target(request):
    with requests.Session() as session, TARGETS[request.param](session) as target:
        yield target


@pytest.fixture(params=SIMULATED)
def simulated_target(request):
    with requests.Session() as session, TARGETS[request.param](session) as target:
        yield target


@pytest.fixture
def api(target):
    return target.client()


@pytest.fixture
def create(api):
    """Creates invitations, and closes each of them in the end, come what may."""
    made = []

    def create(name: str):
        invitation = api.create(name)
        made.append(invitation.id)
        return invitation

    yield create
    for id in made:
        with contextlib.suppress(GetscreenError):
            api.close(id)
