"""The Merkle tree against the words of RFC 6962, and proofs that prove nothing once a bit is wrong."""

from __future__ import annotations

import hashlib
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.audit.canonical import leaf
from portal.audit.merkle import BLOCK, Peaks, Tree, climb, fold, path, proof

MOST = 600
BORDERS = [
    *range(BLOCK - 2, BLOCK + 3),
    *range(2 * BLOCK - 2, 2 * BLOCK + 3),
    3 * BLOCK,
    3 * BLOCK + 1,
    4 * BLOCK - 1,
    4 * BLOCK,
    5 * BLOCK + 7,
]
HASHES = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(5 * BLOCK + 7)]


# --- RFC 6962, 2.1, word by word -------------------------------------------------------------------


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def largest_power_of_two_below(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


@cache
def tree_hash(start: int, end: int) -> bytes:
    """MTH(D[start:end])."""
    if end - start == 1:
        return sha(b"\x00" + bytes.fromhex(HASHES[start]))
    middle = start + largest_power_of_two_below(end - start)
    return sha(b"\x01" + tree_hash(start, middle) + tree_hash(middle, end))


def audit_path(index: int, start: int, end: int) -> list[bytes]:
    """PATH(index, D[start:end])."""
    if end - start == 1:
        return []
    middle = start + largest_power_of_two_below(end - start)
    if index < middle - start:
        return [*audit_path(index, start, middle), tree_hash(middle, end)]
    return [*audit_path(index - (middle - start), middle, end), tree_hash(start, middle)]


# --- The portal's, as it is used: by whole blocks and a tail ---------------------------------------


def grown(size: int) -> tuple[Tree, list[bytes]]:
    tree = Tree()
    return tree, [root for event_hash in HASHES[:size] if (root := tree.add(event_hash))]


def proof_of(index: int, size: int, roots: list[bytes]) -> list[bytes]:
    whole = size // BLOCK * BLOCK
    first = index // BLOCK * BLOCK
    block = [leaf(event_hash) for event_hash in HASHES[first : min(first + BLOCK, size)]]
    return proof(index, block, roots, [leaf(event_hash) for event_hash in HASHES[whole:size]])


def test_every_tree_has_the_root_of_rfc_6962():
    tree = Tree()
    for size in range(1, MOST + 1):
        tree.add(HASHES[size - 1])
        assert (tree.size, tree.root()) == (size, tree_hash(0, size))


@pytest.mark.parametrize("size", BORDERS)
def test_blocks_change_nothing_about_the_root(size):
    tree, roots = grown(size)
    assert tree.root() == tree_hash(0, size)
    assert roots == [tree_hash(start, start + BLOCK) for start in range(0, size - BLOCK + 1, BLOCK)]
    again = Tree(roots)
    for event_hash in HASHES[len(roots) * BLOCK : size]:
        again.add(event_hash)
    assert (again.size, again.root()) == (size, tree.root())


def test_every_proof_is_that_of_rfc_6962_and_leads_to_the_root():
    for size in range(1, MOST + 1):
        roots = [tree_hash(start, start + BLOCK) for start in range(0, size - BLOCK + 1, BLOCK)]
        step = 1 if size < 70 or size > MOST - 2 else 37  # all of the small ones, and a sample of each other
        for index in {*range(0, size, step), size - 1}:
            steps = proof_of(index, size, roots)
            assert steps == audit_path(index, 0, size)
            assert climb(HASHES[index], index, size, steps) == tree_hash(0, size)


@pytest.mark.parametrize("size", BORDERS)
def test_proofs_around_the_borders_of_blocks(size):
    _, roots = grown(size)
    for index in {0, 1, BLOCK - 2, BLOCK - 1, BLOCK, BLOCK + 1, size // 2, size - 2, size - 1} & set(range(size)):
        steps = proof_of(index, size, roots)
        assert steps == audit_path(index, 0, size)
        assert climb(HASHES[index], index, size, steps) == tree_hash(0, size)


@st.composite
def proofs(draw, least=1):
    size = draw(st.integers(least, MOST) | st.sampled_from(BORDERS))
    index = draw(st.integers(0, size - 1))
    return index, size, audit_path(index, 0, size)


def leads_elsewhere(event_hash, index, size, steps, root) -> bool:
    try:
        return climb(event_hash, index, size, steps) != root
    except ValueError:
        return True


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@given(proofs(least=2), st.data())
def test_no_bit_of_a_proof_may_be_wrong(found, data):
    index, size, steps = found
    wrong = data.draw(st.integers(0, len(steps) - 1))
    for bit in range(256):
        changed = [*steps[:wrong], flipped(steps[wrong], bit), *steps[wrong + 1 :]]
        assert leads_elsewhere(HASHES[index], index, size, changed, tree_hash(0, size))


@given(proofs())
def test_no_bit_of_the_event_s_hash_may_be_wrong(found):
    index, size, steps = found
    for bit in range(256):
        changed = flipped(bytes.fromhex(HASHES[index]), bit).hex()
        assert leads_elsewhere(changed, index, size, steps, tree_hash(0, size))


@given(proofs())
def test_no_bit_of_the_index_may_be_wrong(found):
    index, size, steps = found
    for bit in range(64):
        assert leads_elsewhere(HASHES[index], index ^ (1 << bit), size, steps, tree_hash(0, size))
    assert leads_elsewhere(HASHES[index], -1 - index, size, steps, tree_hash(0, size))


@given(proofs(), st.integers(-2, 3 * MOST))
def test_a_proof_is_for_no_other_event(found, other):
    index, size, steps = found
    if other != index:
        assert leads_elsewhere(HASHES[index], other, size, steps, tree_hash(0, size))


@given(proofs(), st.integers(0, 13))
def test_no_bit_of_the_size_may_be_wrong(found, bit):
    """A proof alone does not bind the size: a signed checkpoint does, which says both size and root."""
    index, size, steps = found
    other = size ^ (1 << bit)
    if 0 < other <= len(HASHES):
        assert leads_elsewhere(HASHES[index], index, other, steps, tree_hash(0, other))


@given(proofs(), st.integers(1, len(HASHES)))
def test_a_proof_is_for_the_checkpoint_of_no_other_size(found, other):
    index, size, steps = found
    if other != size:
        assert leads_elsewhere(HASHES[index], index, other, steps, tree_hash(0, other))


@given(proofs(), st.binary(min_size=32, max_size=32), st.integers(1, 4))
def test_too_long_and_too_short_proofs_are_refused(found, more, count):
    index, size, steps = found
    for wrong in ([*steps, *[more] * count], [*[more] * count, *steps]):
        with pytest.raises(ValueError, match="too long"):
            climb(HASHES[index], index, size, wrong)
    if steps:
        for wrong in (steps[:-count], steps[count:]):
            with pytest.raises(ValueError, match="too short"):
                climb(HASHES[index], index, size, wrong)


@given(proofs(least=3), st.data())
def test_the_order_of_a_proof_matters(found, data):
    index, size, steps = found
    other = data.draw(st.permutations(steps))
    if other != steps:
        assert leads_elsewhere(HASHES[index], index, size, other, tree_hash(0, size))


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 5), (5, 5), (2**70, 5), (0, -1)])
def test_an_event_outside_of_the_tree_has_no_proof(index, size):
    with pytest.raises(ValueError, match="no such leaf"):
        climb(HASHES[0], index, size, [])


def test_a_node_is_no_leaf():
    """The second preimage that trees without prefixes have: a node's two halves given out as an event."""
    left, right = leaf(HASHES[0]), leaf(HASHES[1])
    assert leaf((left + right).hex()) != tree_hash(0, 2)


def test_an_empty_tree_has_no_root():
    with pytest.raises(ValueError, match="empty"):
        Tree().root()


def test_parts_and_peaks_fit_together():
    items = [leaf(event_hash) for event_hash in HASHES[:77]]
    assert fold(Peaks(items).hashes) == tree_hash(0, 77)
    assert len(Peaks(items).hashes) == (77).bit_count()
    assert path(0, items[:1]) == []
