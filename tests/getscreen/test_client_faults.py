"""Every fault of the simulator on every call: one of our errors or harmless, and never a false success."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from portal.getscreen.client import (
    Client,
)
from portal.getscreen.errors import (
    BadRequest,
    GetscreenError,
    KeyRejected,
    Malformed,
    NotFound,
    QuotaExhausted,
    Unavailable,
)
from portal.getscreen.links import AllowedHosts
from portal.getscreen.simulator import TABLE, serve
from portal.getscreen.types import Secret
from tests.getscreen.calls import ACTING, KEY, assert_tells_nothing, call, real, shown
from tests.getscreen.wire import Wire, answer
from tests.simulated import quick_timings

CASES = [
    pytest.param(operation, name, id=f"{operation}-{name}")
    for name, fault in TABLE.items()
    for operation in fault.fits
    if operation != "preview"
]


# Every fault on every call.


@pytest.mark.parametrize(("operation", "name"), CASES)
def test_every_fault_of_every_call_is_one_of_our_errors_or_harmless(operation, name, api, simulator, row, caplog):
    caplog.set_level(logging.DEBUG)
    kind = {"create": "created", "update": "renamed", "connect": "link_minted", "close": "closed"}.get(operation, "")
    before = simulator.ledger.count(kind)
    simulator.fail(operation, name, times=None)
    error: GetscreenError | None = None
    try:
        call(api, operation, row)
    except GetscreenError as failure:
        error = failure
    happened = simulator.ledger.count(kind) - before if kind else 0
    if error is None:
        assert operation in TABLE[name].harmless or operation == "close", "a failure was called a success"
    else:
        assert error.may_have_acted or not happened, "it happened, but was called a failure"
        assert not error.may_have_acted or operation in ACTING
        assert_tells_nothing(shown(error), simulator)
    assert happened <= 1
    assert_tells_nothing(caplog.text, simulator)


@pytest.mark.parametrize("name", [name for name, fault in TABLE.items() if not fault.connects])
@pytest.mark.parametrize("operation", ACTING)
def test_without_a_connection_there_is_one_more_try_and_it_counts_once(operation, name, api, simulator, row):
    simulator.fail(operation, name, times=1)
    call(api, operation, row)
    assert [one.operation for one in simulator.ledger.requests].count(operation) == 1
    simulator.fail(operation, name, times=None)
    with pytest.raises(Unavailable) as caught:
        call(api, operation, row)
    assert caught.value.may_have_acted is False


@pytest.mark.parametrize("name", ["reset_before", "reset_after", "hang_up", "hang_up_after", "hang", "hang_after"])
@pytest.mark.parametrize("operation", ACTING)
def test_on_a_real_port_a_broken_connection_may_have_acted_and_is_not_tried_again(operation, name, simulator, row):
    with serve(simulator) as server:
        simulator.public_url = server.origin
        api = Client(
            api_key=Secret(KEY),
            base_url=server.url,
            link_hosts=AllowedHosts.parse([f"{server.host}:{server.port}"]),
            timings={name: replace(timing, read=0.1) for name, timing in quick_timings().items()},
        )
        simulator.fail(operation, name, times=1)
        with pytest.raises(Unavailable) as caught:
            call(api, operation, row)
    assert caught.value.may_have_acted is True
    assert [one.operation for one in simulator.ledger.requests].count(operation) == 1


@pytest.mark.parametrize("operation", ["list", "info", "history"])
def test_what_only_reads_is_tried_again(operation, api, simulator, row):
    for name in ("reset_before", "status_502"):
        simulator.fail(operation, name, times=1)
        call(api, operation, row)
    assert [one.operation for one in simulator.ledger.requests].count(operation) == 4


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadRequest),
        (401, KeyRejected),
        (402, QuotaExhausted),
        (403, BadRequest),
        (404, NotFound),
        (405, BadRequest),
        (409, BadRequest),
        (422, BadRequest),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
        (520, Unavailable),
    ],
)
def test_a_status_becomes_the_error_it_stands_for(status, error, api, simulator):
    simulator.fail("create", f"status_{status}", times=None)
    with pytest.raises(error) as caught:
        api.create()
    assert type(caught.value) is error
    assert caught.value.status == status
    assert caught.value.may_have_acted is (status >= 500)


@pytest.mark.parametrize("status", [201, 202, 204, 206])
def test_of_a_list_only_a_whole_answer_counts(status):
    with Wire([answer(b'{"data": []}', f"{status} X")]) as wire, pytest.raises(Malformed):
        real(wire).list()


def test_a_create_that_says_yes_in_another_way_has_created():
    with Wire([answer(b'{"data": {"id": 7, "status": 0}}', "201 Created")]) as wire:
        assert real(wire).create().id == 7


@pytest.mark.parametrize(("value", "seconds"), [("0", 1), ("-1", None), (10**9, 300), ("soon", None), ("7", 7)])
def test_a_wish_to_wait_is_passed_on(value, seconds, api, simulator):
    for operation, name in (("list", "status_429"), ("create", "status_429"), ("create", "status_503")):
        simulator.fail(operation, name, retry_after=value)
        with pytest.raises(Unavailable) as caught:
            call(api, operation, 0)
        assert caught.value.retry_after == seconds
