"""Clients to call, and what their errors must not tell: shared by the tests of the client."""

from __future__ import annotations

import traceback

from portal.getscreen.client import (
    Client,
)
from portal.getscreen.errors import (
    GetscreenError,
)
from portal.getscreen.links import AllowedHosts
from portal.getscreen.simulator import Simulator
from portal.getscreen.types import Secret
from tests.getscreen.wire import Wire
from tests.simulated import quick_timings

KEY = "test-key-not-real"
URL = "http://127.0.0.1:1/v1"
CLIENT = "Tilda Kerr"
ACTING = ("create", "update", "connect", "close")


def call(api: Client, operation: str, number: int):
    calls = {
        "list": lambda: api.list(),
        "info": lambda: api.info(number),
        "create": lambda: api.create("Kim"),
        "update": lambda: api.rename(number, "New"),
        "connect": lambda: api.connect(number),
        "close": lambda: api.close(number),
        "history": lambda: api.history(),
        "preview": lambda: api.preview(api.info(number).preview_url),
    }
    return calls[operation]()


def secrets_of(simulator: Simulator) -> list[str]:
    links = [*simulator.ledger.links, *simulator.ledger.turbo_links]
    rows = simulator.rows().values()
    return [KEY, "https://", URL, "987654321", *links, *(one.turbo for one in rows), *(one.preview for one in rows)]


def shown(error: BaseException) -> str:
    """Whatever an error, its traceback and the errors before it tell."""
    text = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())
    found: BaseException | None = error
    while found is not None:
        text += f"{found} {found!r} {found.args} {vars(found)}"
        assert isinstance(found, GetscreenError)
        found = found.__cause__ or found.__context__
    return text


def assert_tells_nothing(text: str, simulator: Simulator) -> None:
    assert not [secret for secret in secrets_of(simulator) if secret in text]


def real(wire: Wire, **changes) -> Client:
    settings = {"api_key": Secret(KEY), "base_url": wire.url(), "timings": quick_timings()}
    hosts = AllowedHosts.parse(["getscreen.me", f"127.0.0.1:{wire.port}"])
    return Client(**{"link_hosts": hosts, "sleep": lambda seconds: None} | settings | changes)


def paths(simulator: Simulator) -> list[str]:
    return [one.path.removeprefix("/v1/") for one in simulator.ledger.requests]
