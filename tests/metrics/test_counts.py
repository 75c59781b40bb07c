"""Numbers that several processes count together: nothing is lost, nothing goes back, and they do not become more."""

import pytest

from portal.metrics import memory
from portal.metrics.counts import Counts, Family

CALLS = Family("calls", "", ("method", "outcome"), (("list", "info"), ("ok", "key")))
SECONDS = Family("seconds", "", ("method",), (("list", "info"),), buckets=(0.1, 1.0))
OPEN = Family("open", "", is_gauge=True)


@pytest.fixture
def counts():
    return Counts([CALLS, SECONDS, OPEN], regions=3)


def happened(counts, family):
    return {labels: numbers for labels, numbers in counts.rows(family) if any(numbers)}


def test_what_each_process_counts_adds_up(counts):
    for region in range(3):
        counts.take(region)
        counts.add(CALLS, ("list", "ok"))
        counts.add(CALLS, ("info", "key"), 2)
    assert happened(counts, CALLS) == {("list", "ok"): [3.0], ("info", "key"): [6.0]}


def test_a_histogram_keeps_each_value_in_its_bucket_and_the_sum(counts):
    for seconds in (0.05, 0.1, 0.5, 7.0):
        counts.observe(SECONDS, ("list",), seconds)
    assert happened(counts, SECONDS) == {("list",): [2.0, 1.0, 1.0, pytest.approx(7.65)]}


def test_whoever_takes_the_place_of_a_dead_worker_goes_on_counting_there(counts):
    counts.take(1)
    counts.add(CALLS, ("list", "ok"), 5)
    counts.set(OPEN, (), 1)
    counts.take(1)
    counts.add(CALLS, ("list", "ok"))
    assert happened(counts, CALLS) == {("list", "ok"): [6.0]}
    assert counts.by_region(OPEN) == [0.0, 0.0, 0.0]  # what was so then need not be so now


def test_neighbours_in_memory_do_not_touch(counts):
    for region in range(3):
        counts.take(region)
        for labels in CALLS.rows:
            counts.add(CALLS, labels)
        for labels in SECONDS.rows:
            counts.observe(SECONDS, labels, 99)
        counts.set(OPEN, (), 7)
    assert all(numbers == [3.0] for _, numbers in counts.rows(CALLS))
    assert all(numbers == [0.0, 0.0, 3.0, 297.0] for _, numbers in counts.rows(SECONDS))
    assert counts.by_region(OPEN) == [7.0, 7.0, 7.0]


def test_what_no_label_names_is_not_counted(counts):
    with pytest.raises(KeyError):
        counts.add(CALLS, ("list", "something else"))
    assert len(counts.cells) == 3 * (4 + 2 * 4 + 1)


def test_a_new_worker_gets_the_first_region_that_nobody_has(monkeypatch):
    monkeypatch.setattr(memory, "current", Counts([CALLS], regions=3))
    assert memory.free_region(set()) == 0
    assert memory.free_region({0, 2}) == 1
    assert memory.free_region({0, 1, 2}) == 0  # shared: better a number lost than a worker
