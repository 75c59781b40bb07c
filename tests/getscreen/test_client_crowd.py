"""A crowd before a vendor that does not answer: few wait, the rest are told at once, the watcher is never kept out."""

import threading

import pytest

from portal.getscreen import client as module
from portal.getscreen import configured
from portal.getscreen.client import Client
from portal.getscreen.errors import Unavailable
from portal.getscreen.links import AllowedHosts
from portal.getscreen.types import Secret
from tests.getscreen.wire import Wire, answer

LIST = [answer(b'{"remain": 3, "data": []}')]


def client_of(wire, at_once):
    hosts = AllowedHosts.parse(["getscreen.me"])
    return Client(api_key=Secret("test-key-not-real"), base_url=wire.url(), link_hosts=hosts, at_once=at_once)


def test_a_call_without_a_place_fails_before_anything_is_sent(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with Wire(LIST) as wire:
        client = client_of(wire, 1)
        with client._slot(module.LIST), pytest.raises(Unavailable) as caught:
            client.create("Lena")
        assert not caught.value.may_have_acted
        assert wire.received == []
        assert client.list().remaining == 3, "the place is free again"


def test_places_are_given_back_after_failures(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with Wire([answer(b"", "400 Bad Request")]) as wire:
        client = client_of(wire, 1)
        for _ in range(3):
            with pytest.raises(module.BadRequest):
                client.list()


def test_calls_wait_a_moment_for_a_place():
    with Wire(LIST) as wire:
        client, done = client_of(wire, 1), []
        threads = [threading.Thread(target=lambda: done.append(client.list())) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(done) == 6


def test_the_watcher_has_a_client_of_its_own():
    configured.client.cache_clear()
    configured.watching_client.cache_clear()
    assert configured.client()._slots is not None
    assert configured.watching_client()._slots is None
    assert configured.client().fingerprint == configured.watching_client().fingerprint
