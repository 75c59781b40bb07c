"""Sets of event numbers, kept as ranges: millions of neighbours are one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Ranges:
    """Numbers added in any order; cheap where they come in order."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._ranges: list[list[int]] = []
        for number in numbers:
            self.add(number)

    def add(self, first: int, last: int | None = None) -> None:
        last = first if last is None else last
        if self._ranges and self._ranges[-1][0] <= first <= self._ranges[-1][1] + 1:
            self._ranges[-1][1] = max(self._ranges[-1][1], last)
        else:
            self._ranges.append([first, last])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield disjoint ranges from the lowest on."""
        merged: list[list[int]] = []
        for first, last in sorted(self._ranges):
            if merged and first <= merged[-1][1] + 1:
                merged[-1][1] = max(merged[-1][1], last)
            else:
                merged.append([first, last])
        yield from ((first, last) for first, last in merged)

    def without(self, others: Ranges) -> Iterator[tuple[int, int]]:
        """Yield the ranges that no range of `others` covers, and the parts of those it covers partly."""
        holes = list(others)
        for first, last in self:
            for begin, end in holes:
                if end < first or begin > last:
                    continue
                if begin > first:
                    yield first, begin - 1
                first = end + 1
            if first <= last:
                yield first, last
