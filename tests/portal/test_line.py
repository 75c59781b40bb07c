"""Threads take turns in the order in which they came, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from portal.line import Line


def begin(task: Callable[[], None], line: Line) -> threading.Thread:
    """Start a thread, and return once it stands in line."""
    before = len(line._waiting)
    thread = threading.Thread(target=task)
    thread.start()
    while len(line._waiting) == before and thread.is_alive():
        time.sleep(0.001)
    return thread


def test_turns_are_given_in_the_order_of_coming():
    line, order = Line(), []

    def come(number: int) -> None:
        with line.turn(10):
            order.append(number)

    with line.turn(10):
        crowd = [begin(lambda number=number: come(number), line) for number in range(6)]
        assert order == []
    for one in crowd:
        one.join()
    assert order == [0, 1, 2, 3, 4, 5]


def test_there_is_one_at_a_time():
    line, inside, most = Line(), [], []

    def come() -> None:
        for _ in range(50):
            with line.turn(10):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0)
                inside.pop()

    crowd = [threading.Thread(target=come) for _ in range(8)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert (len(most), max(most)) == (400, 1)


def test_whoever_waits_in_vain_goes_on_beside_the_others_and_leaves_the_line():
    line, done = Line(), []

    def come() -> None:
        with line.turn(0.01):
            done.append(1)

    with line.turn(10):
        begin(come, line).join()
        assert done == [1]
        assert not line._waiting
    with line.turn(0):
        pass


def test_a_turn_can_be_handed_on_before_its_end():
    line = Line()
    with line.turn(10) as hand_on:
        hand_on()
        hand_on()
        with line.turn(0):
            assert line._is_taken
        assert not line._is_taken
    assert not line._is_taken


def test_who_is_interrupted_while_waiting_leaves_the_line(monkeypatch):
    line, wait = Line(), threading.Event.wait

    def interrupted(event: threading.Event, seconds: float) -> bool:
        raise KeyboardInterrupt

    with line.turn(10):
        monkeypatch.setattr(threading.Event, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt), line.turn(10):
            pass
        monkeypatch.setattr(threading.Event, "wait", wait)
        assert not line._waiting
    assert not line._is_taken


def test_who_is_interrupted_as_their_turn_comes_hands_it_on(monkeypatch):
    line = Line()

    def called_and_interrupted(event: threading.Event, seconds: float) -> bool:
        line._hand_on()
        raise KeyboardInterrupt

    line._is_taken = True
    monkeypatch.setattr(threading.Event, "wait", called_and_interrupted)
    with pytest.raises(KeyboardInterrupt), line.turn(10):
        pass
    assert not line._is_taken


def test_a_turn_that_fails_is_handed_on():
    line = Line()
    with pytest.raises(ZeroDivisionError), line.turn(10):
        raise ZeroDivisionError
    with line.turn(0):
        assert line._is_taken
    assert not line._is_taken
