"""What a client with a breaker does for people: refuse at once, find out by a list, and say little."""

from __future__ import annotations

import logging

import pytest

from portal.getscreen import client as module
from portal.getscreen.breaker import Breaker
from portal.getscreen.errors import Malformed, Unavailable
from tests.getscreen.calls import paths


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def trip(api, simulator) -> None:
    """Five creates fail, so the breaker is open."""
    simulator.fail("*", "status_500", times=None)
    for _ in range(Breaker.CONSECUTIVE):
        with pytest.raises(Unavailable):
            api.create("Kim")


def test_who_wants_something_after_an_outage_finds_out_by_lists(make, simulator, breaker, clock):
    """In a process whose watcher does not hold the lease nobody else would ever ask for one."""
    api = make(breaker=breaker)
    trip(api, simulator)
    simulator.clear()
    clock.now += 19
    before = len(paths(simulator))
    api.create("Lena")
    assert paths(simulator)[before:] == ["support/list", "support/list", "support/create"]
    api.create("Kim")
    assert paths(simulator)[before + 3 :] == ["support/create"]


def test_while_the_outage_goes_on_only_a_list_goes_out_and_the_wait_is_told(make, simulator, breaker, clock):
    api = make(breaker=breaker)
    trip(api, simulator)
    clock.now += 19
    before = len(paths(simulator))
    with pytest.raises(Unavailable) as caught:
        api.create("Lena")
    assert set(paths(simulator)[before:]) == {"support/list"}
    assert (caught.value.operation, caught.value.may_have_acted) == ("support/create", False)
    assert 12 <= caught.value.retry_after <= 18
    asked = len(paths(simulator))
    with pytest.raises(Unavailable):
        api.create("Lena")
    assert len(paths(simulator)) == asked


def test_a_list_that_is_refused_is_an_answer_all_the_same(make, simulator, breaker, clock):
    api = make(breaker=breaker)
    trip(api, simulator)
    simulator.clear()
    simulator.fail("list", "status_402", times=None)
    clock.now += 19
    api.close(simulator.add("Tilda"))
    assert paths(simulator)[-1] == "support/close"


def test_while_it_is_open_nobody_waits_for_a_place(make, simulator, breaker, monkeypatch):
    api = make(breaker=breaker, at_once=1)
    trip(api, simulator)
    monkeypatch.setattr(module, "PATIENCE", 3600.0)
    with api._slot(module.CREATE), pytest.raises(Unavailable) as caught:
        api.create("Lena")
    assert caught.value.retry_after


def test_an_answer_that_nobody_understands_is_told_once_until_it_changes(make, simulator, caplog):
    caplog.set_level(logging.WARNING)
    api = make()

    def ask(fault: str) -> None:
        simulator.fail("list", fault)
        with pytest.raises((Malformed, Unavailable)):
            api.list()

    for fault in ("html", "html", "null_data", "html", "html"):
        ask(fault)
    assert len(caplog.records) == 3
    api.list()
    ask("html")
    assert len(caplog.records) == 4
