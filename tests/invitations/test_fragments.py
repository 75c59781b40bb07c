"""What is rendered is rendered once per key, whoever and however many ask for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from invitations import fragments
from invitations.fragments import Kept


def test_a_value_is_made_once_per_key():
    rendered: list[str] = []
    kept: Kept[str] = Kept(3)
    for tag in ("a", "a", "b", "a"):
        assert kept.get(tag, lambda tag=tag: rendered.append(tag) or tag).value == tag
    assert rendered == ["a", "b"]


def test_a_crowd_that_asks_at_once_renders_once():
    rendered: list[int] = []
    kept: Kept[str] = Kept(3)

    def render() -> str:
        rendered.append(1)
        time.sleep(0.05)
        return "text"

    crowd = [threading.Thread(target=kept.get, args=("tag", render)) for _ in range(8)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert rendered == [1]


def test_only_the_values_used_last_are_kept():
    kept: Kept[str] = Kept(3)
    for number in range(4):
        kept.get(str(number), lambda: "")
    rendered: list[str] = []
    kept.get("0", lambda: rendered.append("0") or "")
    kept.get("3", lambda: rendered.append("last") or "")
    assert rendered == ["0"]


def test_a_failure_while_rendering_is_not_kept():
    kept: Kept[str] = Kept(3)
    with pytest.raises(ZeroDivisionError):
        kept.get("tag", lambda: str(1 / 0))
    assert kept.get("tag", lambda: "text").value == "text"


def test_a_new_revision_replaces_the_one_before():
    kept: Kept[str] = Kept(30)
    for revision in (1, 2, 2, 3):
        assert kept.get("a", lambda revision=revision: f"as of {revision}", revision=revision).revision == revision
    assert len(kept._versions) == 1
    late = kept.get("a", lambda: "of somebody who has read the earlier one", revision=2)
    assert (late.value, late.revision) == ("as of 3", 3)
    kept.forget()
    assert kept.get("a", lambda: "anew", revision=1).value == "anew"


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """Time that passes only while something is made, or where a test says so."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(fragments.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(fragments, "LONGEST_REST", 1.0)
    return clock


def made_in(clock: SimpleNamespace, seconds: float, value: str) -> Callable[[], str]:
    def make() -> str:
        clock.now += seconds
        return value

    return make


def test_in_a_rush_an_earlier_revision_does_for_those_who_can_wait(clock):
    kept: Kept[str] = Kept(3)
    kept.get("a", made_in(clock, 0.1, "first"), revision=5)
    rush = {"revision": 6, "at_least": 4}
    assert kept.get("a", lambda: "second", **rush).value == "first"
    assert kept.get("b", lambda: "another", **rush).value == "another"
    clock.now += 0.79
    assert kept.get("a", lambda: "second", **rush).value == "first"
    clock.now += 0.02  # eight times as long as it took
    assert kept.get("a", lambda: "second", **rush).value == "second"


def test_what_has_rested_and_belongs_to_an_earlier_revision_is_not_kept(clock):
    kept: Kept[str] = Kept(30)
    for number in range(10):
        kept.get(number, made_in(clock, 0.25, "text"), revision=number)
    assert list(kept._versions) == [5, 6, 7, 8, 9], "those that rested when the last one was made"
    clock.now += 1
    kept.get("another", lambda: "text", revision=9)
    assert list(kept._versions) == [9, "another"]


def test_who_can_wait_does_not_wait_for_a_thread_that_renders(clock):
    kept: Kept[str] = Kept(3)
    kept.get("a", made_in(clock, 0.1, "first"), revision=5)
    clock.now += 0.9  # long after it has rested
    meanwhile: list[str] = []
    rush = {"revision": 6, "at_least": 5}

    def ask() -> None:
        meanwhile.append(kept.get("a", lambda: "never", **rush).value)

    def render() -> str:
        other = threading.Thread(target=ask, daemon=True)
        other.start()
        other.join(5)
        return "second"

    assert kept.get("a", render, **rush).value == "second"
    assert meanwhile == ["first"]


@pytest.mark.parametrize(
    ("later", "asked"),
    [
        (0.9, {"revision": 6}),
        (0.9, {"revision": 6, "at_least": 6}),
        (0.9, {"revision": 6, "at_least": 5, "while_same": "another list"}),
        (1.1, {"revision": 6, "at_least": 5}),
    ],
)
def test_everybody_else_waits_for_it(clock, later, asked):
    kept: Kept[str] = Kept(3)
    kept.get("a", made_in(clock, 0.1, "first"), revision=5)
    clock.now += later
    got: list[str] = []
    other = threading.Thread(target=lambda: got.append(kept.get("a", lambda: "never", **asked).value), daemon=True)

    def render() -> str:
        other.start()
        other.join(0.05)
        assert not got
        return "second"

    kept.get("a", render, **asked)
    other.join(5)
    assert got == ["second"]


def test_no_rest_is_longer_than_a_second(clock):
    kept: Kept[str] = Kept(3)
    kept.get("a", made_in(clock, 5.0, "first"), revision=5)
    clock.now += 1.01
    assert kept.get("a", lambda: "second", revision=6, at_least=5).value == "second"


@pytest.mark.parametrize(
    "asked",
    [
        {"revision": 6},
        {"revision": 6, "at_least": 6},
        {"revision": 6, "at_least": 5, "while_same": "another list"},
    ],
    ids=["cannot wait", "has a later one", "something else is new"],
)
def test_nobody_is_given_less_than_they_need(clock, asked):
    kept: Kept[str] = Kept(3)
    kept.get("a", made_in(clock, 0.1, "first"), revision=5, while_same="a list")
    asked = {"while_same": "a list"} | asked
    assert kept.get("a", lambda: "second", **asked).value == "second"
