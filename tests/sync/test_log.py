"""The Merkle log against the definitions of RFC 9162, published roots, and every way to bend a proof."""

from base64 import b64decode
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sync.core.errors import BrokenStore, NotFound
from sync.core.log import (
    EMPTY_ROOT,
    TILE_BYTES,
    TILE_WIDTH,
    Tree,
    extended_frontier,
    frontier_root,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
    verify_tail,
)

LARGEST = 600  # crosses the border of a tile (256) twice
LEAVES = [leaf_hash(b"leaf %d" % index) for index in range(LARGEST)]
BORDERS = [255, 256, 257, 511, 512, 513, LARGEST]


# ---- RFC 9162 §2.1, written as it is defined: over leaves low to high --------------------------------------


@cache
def rfc_root(low: int, high: int) -> bytes:
    if high == low:
        return sha256(b"").digest()
    if high - low == 1:
        return LEAVES[low]
    k = rfc_split(high - low)
    return sha256(b"\x01" + rfc_root(low, low + k) + rfc_root(low + k, high)).digest()


def rfc_split(size: int) -> int:
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def rfc_path(index: int, low: int, high: int) -> list[bytes]:
    if high - low == 1:
        return []
    k = rfc_split(high - low)
    if index < k:
        return [*rfc_path(index, low, low + k), rfc_root(low + k, high)]
    return [*rfc_path(index - k, low + k, high), rfc_root(low, low + k)]


def rfc_proof(old: int, low: int, high: int, known: bool = True) -> list[bytes]:
    if old == high - low:
        return [] if known else [rfc_root(low, high)]
    k = rfc_split(high - low)
    if old <= k:
        return [*rfc_proof(old, low, low + k, known), rfc_root(low + k, high)]
    return [*rfc_proof(old - k, low + k, high, False), rfc_root(low, low + k)]


# ---- a log with its tiles in a dictionary ------------------------------------------------------------------


class Stored:
    """A tree over tiles in memory, grown in the given steps."""

    def __init__(self, *steps: list[bytes]) -> None:
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.reads: list[tuple[int, int]] = []
        self.tree = Tree(self.read, 0)
        for leaves in steps:
            self.tiles.update(self.tree.append(leaves))

    def read(self, level: int, index: int) -> bytes:
        self.reads.append((level, index))
        return self.tiles[level, index]


@pytest.fixture(scope="module")
def tree() -> Tree:
    return Stored(LEAVES).tree


def bent(proof: list[bytes]) -> list[list[bytes]]:
    """The proof with a node added, flipped, left out, repeated or cut short."""
    bends = [[*proof, EMPTY_ROOT], [EMPTY_ROOT, *proof]]
    for at, node in enumerate(proof):
        flipped = bytes([node[0] ^ 1]) + node[1:]
        for instead in ([flipped], [], [node, node], [node[:-1]]):
            bends.append([*proof[:at], *instead, *proof[at + 1 :]])
    return bends


# ---- roots and tiles ---------------------------------------------------------------------------------------


def test_the_roots_published_for_certificate_transparency_come_out() -> None:
    data = " 00 10 2021 3031 40414243 5051525354555657 606162636465666768696a6b6c6d6e6f"
    leaves = [leaf_hash(bytes.fromhex(text)) for text in data.split(" ")]
    assert [root_of(leaves[:size]).hex() for size in range(9)] == [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]


def test_a_tree_grown_leaf_by_leaf_has_the_root_of_the_definition_at_every_size() -> None:
    stored = Stored()
    for size, leaf in enumerate(LEAVES):
        assert stored.tree.root() == rfc_root(0, size)
        stored.tiles.update(stored.tree.append([leaf]))
    assert stored.tree.root() == rfc_root(0, LARGEST)


@given(st.lists(st.integers(0, 300), max_size=6))
@example([256, 256])
@example([255, 1, 257])
def test_it_does_not_matter_in_which_portions_leaves_arrive(counts: list[int]) -> None:
    leaves, steps, at = LEAVES * 3, [], 0
    for count in counts:
        steps.append(leaves[at : at + count])
        at += count
    assert Stored(*steps).tiles == Stored(leaves[:at]).tiles


def test_tiles_are_as_the_tile_format_describes_for_70_000_leaves() -> None:
    leaves = [leaf_hash(b"%d" % index) for index in range(70_000)]
    stored = Stored(leaves[:1234], leaves[1234:])
    widths = {place: len(tile) // 32 for place, tile in stored.tiles.items() if len(tile) < TILE_BYTES}
    assert widths == {(0, 273): 112, (1, 1): 17, (2, 0): 1}
    assert len(stored.tiles) == 273 + 1 + 1 + 1 + 1
    assert stored.tree.root() == root_of(leaves)
    proof = stored.tree.inclusion(65_537, 70_000)
    assert verify_inclusion(leaves[65_537], 65_537, 70_000, proof, stored.tree.root())


def test_a_full_tile_is_passed_up_as_one_hash() -> None:
    stored = Stored(LEAVES[:TILE_WIDTH])
    assert stored.tiles[0, 0] == b"".join(LEAVES[:TILE_WIDTH])
    assert stored.tiles[1, 0] == rfc_root(0, TILE_WIDTH)


def test_appending_reads_no_more_than_the_last_tile_of_a_level() -> None:
    stored = Stored(LEAVES[:300])
    stored.reads.clear()
    stored.tree.append(LEAVES[300:])
    assert stored.reads == [(0, 1), (1, 0)]


def test_appending_nothing_writes_nothing(tree: Tree) -> None:
    assert tree.append([]) == {}


def test_data_in_place_of_a_leaf_hash_is_an_error() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Stored([b"a change"])


def test_a_tile_that_lost_its_end_is_reported_as_damage_and_not_hashed() -> None:
    stored = Stored(LEAVES[:300])
    stored.tiles[0, 1] = stored.tiles[0, 1][:-1]
    with pytest.raises(BrokenStore):
        stored.tree.root()
    with pytest.raises(BrokenStore):
        stored.tree.append(LEAVES[300:301])


def test_an_older_tree_reads_the_tiles_of_a_newer_one() -> None:
    stored = Stored(LEAVES)
    assert Tree(stored.read, 300).root() == rfc_root(0, 300)


# ---- inclusion ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [range(1, 131), BORDERS], ids=["small", "tile borders"])
def test_inclusion_proofs_are_those_of_the_definition_and_verify(tree: Tree, sizes: list[int]) -> None:
    for size in sizes:
        for index in range(size):
            proof = tree.inclusion(index, size)
            assert proof == rfc_path(index, 0, size)
            assert verify_inclusion(LEAVES[index], index, size, proof, rfc_root(0, size))


@given(st.data())
def test_an_inclusion_proof_that_was_bent_in_any_way_is_rejected(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, LARGEST))
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    proof, root = rfc_path(index, 0, size), rfc_root(0, size)
    assert not any(verify_inclusion(LEAVES[index], index, size, wrong, root) for wrong in bent(proof))
    if other != index:
        assert not verify_inclusion(LEAVES[index], other, size, proof, root)
    if other % LARGEST != index:
        assert not verify_inclusion(LEAVES[other % LARGEST], index, size, proof, root)
    assert not verify_inclusion(LEAVES[index], index, size, proof, EMPTY_ROOT)
    assert not verify_inclusion(LEAVES[index], -1, size, proof, root)


def test_a_node_of_the_tree_does_not_pass_for_a_leaf(tree: Tree) -> None:
    node, proof = rfc_root(0, 2), tree.inclusion(0, 4)[1:]
    assert not verify_inclusion(node, 0, 4, proof, rfc_root(0, 4))


def test_a_byte_does_not_move_from_one_hash_to_its_neighbour() -> None:
    longer, shorter = LEAVES[0] + LEAVES[1][:1], LEAVES[1][1:]
    assert not verify_inclusion(longer, 0, 2, [shorter], rfc_root(0, 2))
    assert not verify_consistency(1, 2, longer, rfc_root(0, 2), [shorter])
    assert not verify_tail([longer], 1, [shorter], rfc_root(0, 2))


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 5), (5, 5), (0, LARGEST + 1)])
def test_asking_for_a_leaf_that_is_not_in_the_log_is_not_found(tree: Tree, index: int, size: int) -> None:
    with pytest.raises(NotFound):
        tree.inclusion(index, size)


# ---- consistency -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [range(1, 131), BORDERS], ids=["small", "tile borders"])
def test_consistency_proofs_are_those_of_the_definition_and_verify(tree: Tree, sizes: list[int]) -> None:
    for new in sizes:
        for old in range(1, new + 1):
            proof = tree.consistency(old, new)
            assert proof == rfc_proof(old, 0, new)
            assert verify_consistency(old, new, rfc_root(0, old), rfc_root(0, new), proof)


@given(st.data())
def test_a_consistency_proof_that_was_bent_in_any_way_is_rejected(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, LARGEST))
    old, other = data.draw(st.integers(1, new - 1)), data.draw(st.integers(0, LARGEST))
    proof, old_root, new_root = rfc_proof(old, 0, new), rfc_root(0, old), rfc_root(0, new)
    assert not any(verify_consistency(old, new, old_root, new_root, wrong) for wrong in bent(proof))
    if other != old:
        assert not verify_consistency(old, new, rfc_root(0, other), new_root, proof)
        assert not verify_consistency(other, new, old_root, new_root, proof)
    if other != new:
        assert not verify_consistency(old, new, old_root, rfc_root(0, other), proof)


def test_a_log_that_was_rewritten_has_no_proof_of_consistency() -> None:
    rewritten = Stored([LEAVES[1], LEAVES[0], *LEAVES[2:400]]).tree
    proof = rewritten.consistency(300, 400)
    assert not verify_consistency(300, 400, rfc_root(0, 300), rewritten.root(), proof)


def test_a_log_extends_itself_and_the_empty_log_by_an_empty_proof(tree: Tree) -> None:
    root = rfc_root(0, 300)
    assert tree.consistency(300, 300) == tree.consistency(0, 300) == []
    assert verify_consistency(300, 300, root, root, [])
    assert verify_consistency(0, 300, EMPTY_ROOT, root, [])
    assert verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])


def test_an_empty_proof_shows_nothing_else() -> None:
    root, other = rfc_root(0, 300), rfc_root(0, 299)
    assert not verify_consistency(300, 300, root, other, [])
    assert not verify_consistency(300, 300, root, root, [root])
    assert not verify_consistency(0, 300, other, root, [])
    assert not verify_consistency(0, 300, EMPTY_ROOT, root, [root])
    assert not verify_consistency(299, 300, other, root, [])
    assert not verify_consistency(300, 299, root, other, [])


@pytest.mark.parametrize(("old", "new"), [(-1, 5), (6, 5), (1, LARGEST + 1)])
def test_asking_for_sizes_that_the_log_never_had_is_not_found(tree: Tree, old: int, new: int) -> None:
    with pytest.raises(NotFound):
        tree.consistency(old, new)


# ---- frontiers and tails -----------------------------------------------------------------------------------


def test_the_frontier_of_every_size_folds_to_the_root_of_that_size(tree: Tree) -> None:
    for size in range(LARGEST + 1):
        frontier = tree.frontier(size)
        assert len(frontier) == size.bit_count()
        assert frontier == extended_frontier([], 0, LEAVES[:size])
        assert frontier_root(frontier) == rfc_root(0, size)


def test_a_frontier_beyond_the_log_is_not_found(tree: Tree) -> None:
    with pytest.raises(NotFound):
        tree.frontier(LARGEST + 1)


@given(st.data())
def test_a_tail_proves_a_whole_batch_and_no_other(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30))
    before = data.draw(st.integers(0, LARGEST - count))
    leaves, root = LEAVES[before : before + count], rfc_root(0, before + count)
    frontier = extended_frontier([], 0, LEAVES[:before])
    assert verify_tail(frontier, before, leaves, root)
    assert not any(verify_tail(wrong, before, leaves, root) for wrong in bent(frontier))
    assert not any(verify_tail(frontier, before, wrong, root) for wrong in bent(leaves))
    assert not verify_tail(frontier, before, leaves[::-1], root) or count == 1
    assert not verify_tail(frontier, -1, leaves, root)


@pytest.mark.parametrize("before", [0, 1, 99, 100])
def test_a_batch_of_500_changes_needs_no_more_hashes_than_its_start_has_ones(tree: Tree, before: int) -> None:
    frontier = tree.frontier(before)
    assert len(frontier) <= 4
    assert verify_tail(frontier, before, LEAVES[before : before + 500], rfc_root(0, before + 500))


def test_a_tail_does_not_prove_leaves_that_others_have_followed() -> None:
    frontier = extended_frontier([], 0, LEAVES[:100])
    assert not verify_tail(frontier, 100, LEAVES[100:150], rfc_root(0, 151))


# ---- a receipt of another implementation -------------------------------------------------------------------


def test_a_receipt_made_elsewhere_verifies() -> None:
    leaf = leaf_hash(bytes.fromhex("0c8257241d3370d26581b80b11c565c4b94b8edb684e1d60f6b65115f40a2e55"))
    leaves = [*(leaf_hash(b"x%d" % index) for index in range(41)), leaf]
    proof = [
        b64decode("LM7PoE9tFBCFAS2nnwQngcFFSZuGLWfFzrgpnRQ4d0o="),
        b64decode("ciuHSxU8HhcG5AC6TOJnbG+Qjl1d7DlI5S+XdT+vJJI="),
        b64decode("njSbsnAQTLXLY9lBFEqsQsS5eUfGFF7uNCL4KHm6hZk="),
    ]
    root = b64decode("YQpsGYhX0pJRdH5XkU0f1SubYu48mdieZqZIvav55wg=")
    assert leaf.hex() == "f9adc699dba2dfd0734c5a3a902817ef84b91f62ee36ae134bce687bac0aca3c"
    assert root_of(leaves[:41]).hex() == "9f227e72c7e9d2ed8d77d0ef547dd7ce5da93399c5b73cd83c7500dd39d98c4a"
    assert root_of(leaves) == root
    assert Stored(leaves).tree.inclusion(41, 42) == proof
    assert verify_inclusion(leaf, 41, 42, proof, root)
