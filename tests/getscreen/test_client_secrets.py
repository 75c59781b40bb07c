"""What the key opens and what never gets out: secrets, cookies, redirects, logs."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from contextlib import ExitStack
from dataclasses import replace

import pytest
import requests

from portal.getscreen.client import (
    TIMINGS,
)
from portal.getscreen.errors import (
    BadRequest,
    KeyRejected,
    Malformed,
    QuotaExhausted,
    Unavailable,
)
from portal.getscreen.types import Secret
from tests.getscreen.calls import ACTING, CLIENT, KEY, call, real, shown
from tests.getscreen.wire import Wire, answer, drip

# The key.


def test_a_403_is_the_key_s_if_the_list_says_so_too(make, simulator, row):
    api = make(api_key=Secret("wrong-key-not-real"))
    for operation in ("list", "info", "create", "update", "connect", "close", "history"):
        with pytest.raises(KeyRejected):
            call(api, operation, row)


def test_a_403_is_the_id_s_if_the_list_is_good(api, simulator, row):
    simulator.fail("info", "status_403", times=None)
    with pytest.raises(BadRequest):
        api.info(row)


@pytest.mark.parametrize("listed", ["status_500", "status_402", "html"])
def test_a_403_says_nothing_about_the_id_without_a_good_list(listed, api, simulator, row):
    simulator.fail("info", "status_403", times=None)
    simulator.fail("list", listed, times=None)
    with pytest.raises(Unavailable):
        api.info(row)


def test_without_a_key_nothing_is_sent(make, simulator, row):
    api = make(api_key=Secret(""))
    for operation in ("list", "create", "connect", "close"):
        with pytest.raises(KeyRejected):
            call(api, operation, row)
    assert simulator.ledger.requests == ()


def test_a_fingerprint_tells_keys_apart_and_nothing_else(make):
    one, other = make(), make(api_key=Secret("other-key-not-real"))
    assert one.fingerprint == make().fingerprint != other.fingerprint
    assert KEY not in f"{one} {one!r} {one.fingerprint}"
    assert len(one.fingerprint) == 8


def test_a_secret_does_not_come_out_by_itself():
    secret = Secret(KEY)
    texts = [str(secret), repr(secret), f"{secret}", f"{secret:>40}", f"{secret!r}", "%s" % secret, f"{[secret]}"]  # noqa: UP031
    texts += ["{:s}".format(secret), repr({"a": secret})]  # noqa: UP032
    assert not [text for text in texts if KEY in text]
    for steal in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps, len, list, sorted):
        with pytest.raises(TypeError) as caught:
            steal(secret)
        assert KEY not in str(caught.value)
    assert not hasattr(secret, "__dict__")
    assert (secret == Secret(KEY), secret == Secret("another"), secret == KEY) == (True, False, False)


def test_two_clients_of_one_server_share_no_cookies():
    with Wire([answer(b'{"data": []}', "200 OK", "Set-Cookie: a=b; Path=/")]) as wire, requests.Session() as session:
        for api in (real(wire), real(wire), real(wire, session=session), real(wire, session=session)):
            api.list()
            api.list()
            api.close(7)
        assert not any(b"cookie:" in one.lower() for one in wire.received)
        assert not session.cookies


@pytest.mark.parametrize("operation", ["list", "info", "create", "update", "connect", "close", "history"])
def test_a_redirect_is_malformed_and_the_key_stays_here(operation):
    with ExitStack() as stack:
        elsewhere = stack.enter_context(Wire([answer()]))
        location = f"Location: {elsewhere.url()}/support/list"
        wire = stack.enter_context(Wire([answer(b"", "307 Temporary Redirect", location)]))
        with pytest.raises(Malformed) as caught:
            call(real(wire), operation, 7)
        assert caught.value.may_have_acted is (operation in ACTING)
        assert elsewhere.connections == 0
        assert len(wire.received) == 1


def test_what_an_error_body_repeats_is_not_logged(caplog):
    caplog.set_level(logging.DEBUG)
    link = "https://go.getscreen.me/turbo/abcdef"
    body = f'{{"error": "bad key {KEY}", "code": "987654321", "url": "{link}", "note": "plan over"}}'
    with Wire([answer(body.encode(), "402 Payment Required")]) as wire:
        with pytest.raises(QuotaExhausted) as caught:
            real(wire).create(CLIENT)
        text = caplog.text + shown(caught.value)
    assert "plan over" in text
    assert not [word for word in (KEY, "987654321", "turbo", CLIENT, "127.0.0.1") if word in text]


@pytest.mark.parametrize("script", [drip(answer()), [answer()[:-12], *drip(b'{"data": []}')]], ids=["head", "body"])
def test_one_byte_at_a_time_ends_at_the_deadline(script):
    timings = {name: replace(timing, read=2, deadline=0.2) for name, timing in TIMINGS.items()}
    with Wire(script) as wire:
        api = real(wire, timings=timings)
        for operation, maybe in (("list", False), ("create", True)):
            with pytest.raises(Unavailable) as caught:
                call(api, operation, 7)
            assert caught.value.may_have_acted is maybe
