"""Counters, histograms and gauges of all processes of one server, in memory that they share.

The memory is made before the workers are forked, so it needs no folder, leaves no files of dead workers, and no
full disk can kill one. Each worker writes into a region of its own, so processes need no lock between them; whoever
takes the place of a dead worker goes on in its region, so that no counter goes back. Which numbers there can be is
fixed when the memory is made: whatever is asked for, they do not become more. Knows no framework.
"""

from __future__ import annotations

import mmap
import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

Labels = tuple[str, ...]
BYTES = 8  # of one number


@dataclass(frozen=True)
class Family:
    """One metric: its name, what it says, and every value that each of its labels can have."""

    name: str
    says: str
    labels: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ()  # of each label
    buckets: tuple[float, ...] = ()  # upper bounds, which make a histogram of it
    is_gauge: bool = False  # what is so now: a worker that begins has none of it

    @cached_property
    def width(self) -> int:
        """How many numbers one combination of labels needs: a histogram one per bucket, one beyond, and the sum."""
        return len(self.buckets) + 2 if self.buckets else 1

    @cached_property
    def rows(self) -> dict[Labels, int]:
        return {labels: number * self.width for number, labels in enumerate(product(*self.values))}

    @cached_property
    def size(self) -> int:
        return len(self.rows) * self.width


class Counts:
    """The memory for some families. Safe to use from several threads."""

    def __init__(self, families: Sequence[Family], regions: int = 1) -> None:
        self.families = {family.name: family for family in families}
        self.starts: dict[str, int] = {}
        self.length = 0  # of a region, in numbers
        for family in self.families.values():
            self.starts[family.name] = self.length
            self.length += family.size
        self.regions = regions
        self.cells = memoryview(mmap.mmap(-1, max(1, regions * self.length) * BYTES)).cast("d")
        self.base = 0
        self.lock = threading.Lock()

    def take(self, region: int) -> None:
        """Write into this region from now on, in this process."""
        self.lock = threading.Lock()
        self.base = region * self.length
        for family in self.families.values():
            if family.is_gauge:
                start = self.base + self.starts[family.name]
                for place in range(start, start + family.size):
                    self.cells[place] = 0.0

    def add(self, family: Family, labels: Labels, amount: float = 1.0) -> None:
        place = self.place(family, labels)
        with self.lock:
            self.cells[place] += amount

    def set(self, family: Family, labels: Labels, value: float) -> None:
        self.cells[self.place(family, labels)] = value

    def observe(self, family: Family, labels: Labels, value: float) -> None:
        """Count a value of a histogram, in its family's unit."""
        place = self.place(family, labels)
        bucket = place + bisect_left(family.buckets, value)
        with self.lock:
            self.cells[bucket] += 1.0
            self.cells[place + family.width - 1] += value

    def place(self, family: Family, labels: Labels) -> int:
        """Return where a number of this process stands. Raises KeyError for labels that the family does not have."""
        return self.base + self.starts[family.name] + family.rows[labels]

    def rows(self, family: Family) -> Iterator[tuple[Labels, list[float]]]:
        """Yield the sums over all regions for each combination of labels, also of those that are nought."""
        start, width = self.starts[family.name], family.width
        regions = [self.cells[base + start : base + start + family.size].tolist() for base in self.bases()]
        sums = [sum(numbers) for numbers in zip(*regions, strict=True)]
        for labels, row in family.rows.items():
            yield labels, sums[row : row + width]

    def by_region(self, family: Family) -> list[float]:
        """Return a family's first number in each region."""
        start = self.starts[family.name]
        return [self.cells[base + start] for base in self.bases()]

    def bases(self) -> range:
        return range(0, self.regions * self.length, self.length)
