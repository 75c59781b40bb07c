"""Hashes one at a time, and what happens behind an answer."""

import logging
import threading
from contextlib import contextmanager
from contextvars import ContextVar

import pytest
from django.contrib.auth.hashers import check_password, make_password
from django.utils import translation

from portal import audit
from portal.accounts import behind, hashing, views
from portal.accounts.hashing import Crowded, Places
from portal.accounts.models import OneTimeLink, User
from portal.audit import appending
from tests.conftest import PASSWORD

ADMINISTRATOR = OneTimeLink.Purpose.ADMINISTRATOR

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


NEW = "another horse, another battery"
TWICE = {"password1": NEW, "password2": NEW}


@pytest.mark.parametrize("way", ["change", "link", "enrolment", "administrator's", "added"])
def test_who_waits_for_a_place_does_not_hold_the_log_meanwhile(
    way, occupied, agent, admin, browser_of, vendor, monkeypatch
):
    """A sign-in writes while it has the place: the two would wait for each other, and all who write for them."""
    with audit.writing():
        purpose, owner = (ADMINISTRATOR, None) if way == "enrolment" else (OneTimeLink.Purpose.RESET, agent)
        token = OneTimeLink.objects.issue(purpose, owner)
    path, form = {
        "change": ("/accounts/password/change/", {"oldpassword": PASSWORD, **TWICE}),
        "link": (f"/accounts/invite/{token}/", {"new_password1": NEW, "new_password2": NEW}),
        "enrolment": (f"/accounts/enrol/{token}/", {"username": "nia", "email": "", **TWICE}),
        "administrator's": (f"/admin/accounts/user/{agent.pk}/password/", TWICE),
        "added": ("/admin/accounts/user/add/", {"username": "nia", "email": "", **TWICE}),
    }[way]
    browser = browser_of(agent if way == "change" else admin)
    if way == "enrolment":
        monkeypatch.setattr(views, "administrators", User.objects.none)
    monkeypatch.setattr(hashing, "places", occupied)
    held, hold, take = [], appending.turn, occupied.taken

    @contextmanager
    def holding(**more):
        with hold(**more):
            held.append(1)
            yield
            held.pop()

    monkeypatch.setattr(appending, "turn", holding)
    monkeypatch.setattr(occupied, "taken", lambda **more: pytest.fail("the log is held") if held else take(**more))
    assert browser.post(path, form).status_code == 503
    assert User.objects.count() == 2


@pytest.fixture
def waited(monkeypatch):
    """Wait until what was put behind an answer is done. Its thread must not close this test's connection."""
    monkeypatch.setattr(behind.connections, "close_all", lambda: None)
    monkeypatch.setattr(behind, "LEAST", 0.0)
    monkeypatch.setattr(behind, "SPREAD", 0)
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
