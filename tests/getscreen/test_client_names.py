"""A client's name on its way out: bounded, without control characters, and never in the log."""

import logging

import pytest

from portal.getscreen.client import Client
from portal.getscreen.errors import BadRequest, GetscreenError
from portal.getscreen.links import AllowedHosts
from portal.getscreen.types import Secret
from tests.getscreen.wire import Wire, answer

HOSTS = AllowedHosts.parse(["getscreen.me"])
REFUSED = [answer(b"", "400 Bad Request")]
DOWN = [answer(b"", "503 Service Unavailable")]


def client_of(wire):
    return Client(api_key=Secret("test-key-not-real"), base_url=wire.url(), link_hosts=HOSTS)


def test_a_name_is_cut_and_cleaned():
    with Wire([answer(b'{"data": {"id": 5, "status": 0}}')]) as wire:
        client_of(wire).create("a\x00b\u202e" + "x" * 200)
        line = wire.received[0].split(b"\r\n")[0]
    assert b"%00" not in line
    assert line.count(b"x") <= 100


def test_a_name_that_an_error_repeats_is_not_logged(caplog):
    caplog.set_level(logging.DEBUG)
    refusal = [answer(b'{"error": "Nora Secretname is too long"}', "400 Bad Request")]
    with Wire(refusal) as wire, pytest.raises(BadRequest):
        client_of(wire).create("Nora Secretname")
    assert "Secretname" not in caplog.text
    assert "400" in caplog.text


def test_a_refused_close_stays_one_when_the_list_fails_too():
    with Wire(REFUSED, DOWN) as wire, pytest.raises(GetscreenError) as caught:
        client_of(wire).close(5)
    assert caught.value.operation == "support/close"


def test_a_key_with_undecodable_bytes_does_not_show_itself():
    key = Secret("t\udcffest-key-not-real")
    client = Client(api_key=key, base_url="http://127.0.0.1:1/v1", link_hosts=HOSTS)
    assert len(client.fingerprint) == 8
    with pytest.raises(GetscreenError) as caught:
        client.list()
    assert "est-key" not in repr(caught.value)
