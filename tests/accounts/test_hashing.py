"""Hashes one at a time, and what happens behind an answer."""

import logging
import threading
from contextvars import ContextVar

import pytest
from django.contrib.auth.hashers import check_password, make_password
from django.utils import translation

from portal.accounts import behind, hashing
from portal.accounts.hashing import Crowded, Places

RUN = behind.run  # the tests' own stands in for it elsewhere


def inside(places, begun, end, **more):
    def stay():
        with places.taken(**more):
            begun.set()
            assert end.wait(10)

    thread = threading.Thread(target=stay)
    thread.start()
    return thread


@pytest.fixture
def occupied():
    """Places of which the one is taken until the test ends."""
    places, begun, end = Places(1, 1, 0.05), threading.Event(), threading.Event()
    thread = inside(places, begun, end)
    assert begun.wait(10)
    yield places
    end.set()
    thread.join(10)


def test_whoever_waits_too_long_is_told_so(occupied):
    with pytest.raises(Crowded), occupied.taken():
        pass


def test_too_many_do_not_even_wait(occupied):
    occupied._patience = 60
    assert occupied._strangers.acquire(blocking=False)
    with pytest.raises(Crowded), occupied.taken():
        pass


def test_known_devices_wait_in_a_line_of_their_own():
    places, begun, end = Places(1, 0, 10), threading.Event(), threading.Event()
    stranger = inside(places, begun, end)
    assert begun.wait(10)
    with pytest.raises(Crowded), places.taken():
        pass
    came = threading.Event()
    known = inside(places, came, end, is_known=True)
    end.set()
    assert came.wait(10)
    stranger.join(10)
    known.join(10)


def test_a_place_is_free_again_whatever_happens():
    places = Places(1, 0, 0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), places.taken():
            raise ZeroDivisionError
    with places.taken(), places.taken():  # who is inside stays inside
        pass
    with places.taken():
        pass


def test_each_hash_takes_a_place(settings, monkeypatch):
    settings.PASSWORD_HASHERS = ["portal.accounts.hashing.Hasher"]
    monkeypatch.setattr(hashing.Hasher, "memory_cost", 64)
    encoded = make_password("some words for a test")
    assert check_password("some words for a test", encoded)
    assert not check_password("other words", encoded)
    full = Places(1, 0, 0)
    monkeypatch.setattr(hashing, "places", full)
    assert full._strangers.acquire(blocking=False)
    for work in (lambda: make_password("x"), lambda: check_password("x", encoded)):
        with pytest.raises(Crowded):
            work()


@pytest.fixture
def waited(monkeypatch):
    """Wait until what was put behind an answer is done. Its thread must not close this test's connection."""
    monkeypatch.setattr(behind.connections, "close_all", lambda: None)
    return lambda: behind._pool.submit(lambda: None).result(10)


def test_what_is_behind_an_answer_knows_its_request_and_language(waited):
    where, seen = ContextVar[str]("where"), []
    where.set("here")
    with translation.override("de"):
        RUN(lambda *a, **k: seen.append((where.get(), translation.get_language(), a, k)), 1, more=2)
    waited()
    assert seen == [("here", "de", (1,), {"more": 2})]


def test_what_fails_behind_an_answer_is_logged(waited, caplog):
    RUN(lambda: 1 / 0)
    waited()
    assert "behind an answer went wrong" in caplog.text


def test_what_finds_no_place_behind_an_answer_is_logged(caplog, monkeypatch):
    monkeypatch.setattr(behind, "_places", threading.BoundedSemaphore(1))
    assert behind._places.acquire(blocking=False)
    with caplog.at_level(logging.ERROR):
        RUN(lambda: None)
    assert "One was dropped" in caplog.text
