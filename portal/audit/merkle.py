"""The Merkle tree over the events' hashes (RFC 6962), and the proof that one event is in it.

Works on leaves and on the roots of whole blocks of 256 leaves, so that a proof in a log of millions
reads one block and a short list. Knows no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from portal.audit.canonical import leaf, node

BLOCK = 256  # leaves under one stored root


class Peaks:
    """The roots of the largest whole subtrees over what was added, in memory that grows with the logarithm."""

    def __init__(self, items: Iterable[bytes] = ()) -> None:
        self.size = 0
        self.hashes: list[bytes] = []
        for item in items:
            self.add(item)

    def add(self, item: bytes) -> None:
        count = self.size
        self.size += 1
        while count & 1:
            item = node(self.hashes.pop(), item)
            count >>= 1
        self.hashes.append(item)


class Tree:
    """The tree over all events so far. Memory: one block's worth at most, whatever the length of the log."""

    def __init__(self, block_roots: Iterable[bytes] = ()) -> None:
        self.blocks = Peaks(block_roots)
        self.tail = Peaks()

    @property
    def size(self) -> int:
        return self.blocks.size * BLOCK + self.tail.size

    def add(self, event_hash: str) -> bytes | None:
        """Add the next event. Returns the root of the block that it makes whole, if it does."""
        self.tail.add(leaf(event_hash))
        if self.tail.size < BLOCK:
            return None
        (root,) = self.tail.hashes
        self.blocks.add(root)
        self.tail = Peaks()
        return root

    def root(self) -> bytes:
        """Return the root over everything added. Raises ValueError for an empty tree."""
        return fold([*self.blocks.hashes, *self.tail.hashes])


def fold(peaks: Sequence[bytes]) -> bytes:
    if not peaks:
        raise ValueError("An empty tree has no root here.")
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node(peak, root)
    return root


def path(index: int, items: Sequence[bytes]) -> list[bytes]:
    """Return the audit path (RFC 6962, 2.1.1) of item `index`, from the bottom up."""
    if len(items) <= 1:
        return []
    split = 1 << (len(items) - 1).bit_length() - 1
    if index < split:
        return [*path(index, items[:split]), fold(Peaks(items[split:]).hashes)]
    return [*path(index - split, items[split:]), fold(Peaks(items[:split]).hashes)]


def proof(index: int, block: Sequence[bytes], roots: Sequence[bytes], tail: Sequence[bytes]) -> list[bytes]:
    """Return the audit path of event `index` (from 0): `block` are the leaves of its own block.

    `roots` are the roots of all whole blocks, `tail` the leaves after them.
    """
    end = [fold(Peaks(tail).hashes)] if tail else []
    number, place = divmod(index, BLOCK)
    inside = path(place, block)
    return [*inside, *path(number, [*roots, *end])]


def climb(event_hash: str, index: int, size: int, steps: Sequence[bytes]) -> bytes:
    """Return the root that a proof leads to from event `index` (from 0) of `size`. Raises ValueError if it is none."""
    root, last = leaf(event_hash), size - 1
    if not 0 <= index <= last:
        raise ValueError("There is no such leaf.")
    for step in steps:
        if not last:
            raise ValueError("The proof is too long.")
        if index & 1 or index == last:
            root = node(step, root)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            root = node(root, step)
        index, last = index >> 1, last >> 1
    if last:
        raise ValueError("The proof is too short.")
    return root
