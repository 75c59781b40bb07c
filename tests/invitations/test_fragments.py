"""What is rendered is rendered once per key, whoever and however many ask for it."""

from __future__ import annotations

import threading
import time

import pytest

from invitations.fragments import Kept


def test_a_value_is_made_once_per_key():
    rendered: list[str] = []
    kept: Kept[str] = Kept(3)
    for tag in ("a", "a", "b", "a"):
        assert kept.get(tag, lambda tag=tag: rendered.append(tag) or tag) == tag
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
    assert kept.get("tag", lambda: "text") == "text"


def test_what_belongs_to_an_earlier_revision_is_not_kept():
    kept: Kept[str] = Kept(30)
    for revision in (1, 2, 3):
        for key in ("a", "b"):
            kept.get((revision, key), lambda: "text", revision=revision)
    assert len(kept._values) == 2
    kept.get((2, "late"), lambda: "of somebody who has read the earlier one", revision=2)
    assert len(kept._values) == 3
    kept.forget()
    kept.get((1, "a"), lambda: "text", revision=1)
    assert len(kept._values) == 1
