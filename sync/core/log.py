"""The Merkle log: what the server has accepted, in an order that it cannot rewrite.

The tree is that of RFC 9162 §2.1 (SHA-256): ``leaf = H(0x00 || data)``, ``node = H(0x01 || left || right)``.

Everything here is about *leaf hashes*. The caller makes them from the data (`leaf_hash`): a proof is worth
something only to those who hashed what they hold themselves.

How the log is stored. As tiles (c2sp.org/tlog-tiles, height 8): tile ``(level, index)`` is up to 256
consecutive 32-byte hashes, joined. Level 0 has the leaf hashes; a hash of level *n* + 1 is the root of one
full tile of level *n*. The last tile of a level may be partial and grows by appending, so a tile written
later still begins with every earlier version of itself. Reading a proof takes a few tiles; nobody ever holds
the tree.

Three proofs:

* *inclusion*: this leaf is at this index of the tree with this root (a receipt for one change);
* *consistency*: the tree of this size and root extends that older one (nothing was rewritten);
* *tail*: these leaves are the last ones of the tree with this root (a receipt for a whole batch at once). It
  needs the *frontier* of what came before: the roots of the perfect subtrees that cover the first *n* leaves,
  left to right, one for every 1 in the binary form of *n*.

A root does not say how many leaves it covers. Whoever checks a proof takes size and root from one signed
checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from hashlib import sha256

from sync.core.errors import BrokenStore, NotFound

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
TILE_BYTES = TILE_WIDTH * HASH_BYTES

EMPTY_ROOT = sha256(b"").digest()
"""The root of a log without leaves."""

TileReader = Callable[[int, int], bytes]
Tiles = dict[tuple[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    """The hash that stands for `data` in the tree. The prefix keeps a leaf from posing as a node."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two neighbours."""
    return sha256(b"\x01" + left + right).digest()


# ---- frontiers ---------------------------------------------------------------------------------------------


def extended_frontier(frontier: Sequence[bytes], size: int, leaves: Sequence[bytes]) -> list[bytes]:
    """The frontier of the first ``size + len(leaves)`` leaves, given that of the first `size`."""
    roots = list(frontier)
    for index, root in enumerate(leaves, start=size):
        while index & 1:  # a finished subtree of the same height is waiting on the left
            root = node_hash(roots.pop(), root)
            index >>= 1
        roots.append(root)
    return roots


def frontier_root(frontier: Sequence[bytes]) -> bytes:
    """The root of the tree whose perfect subtrees, left to right, have the roots in `frontier`."""
    if not frontier:
        return EMPTY_ROOT
    *others, root = frontier
    for left in reversed(others):
        root = node_hash(left, root)
    return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of a log with exactly these leaf hashes."""
    return frontier_root(extended_frontier([], 0, leaves))


# ---- the stored log ----------------------------------------------------------------------------------------


class Tree:
    """The log as its tiles show it, `size` leaves long.

    `read_tile(level, index)` returns the stored bytes of a tile (the newest version, which may be longer than
    this tree needs). A tree is cheap to make and keeps nothing but its size: make one for each transaction.
    """

    def __init__(self, read_tile: TileReader, size: int) -> None:
        self.size = size
        self._read_tile = read_tile

    def append(self, leaf_hashes: Sequence[bytes]) -> Tiles:
        """Add leaves; return the tiles to write, each complete from its first hash.

        The tree counts as grown at once: write the tiles before asking it anything else.

        :raises BrokenStore: the last tile of a level is shorter than the size says
        """
        if any(len(leaf) != HASH_BYTES for leaf in leaf_hashes):
            raise ValueError("a leaf hash has 32 bytes")
        writes: Tiles = {}
        size, fresh, level = self.size, b"".join(leaf_hashes), 0
        while fresh:
            first, width = divmod(size >> (TILE_HEIGHT * level), TILE_WIDTH)
            row = self._hashes(self._read_tile, level, first * TILE_WIDTH, width) + fresh if width else fresh
            full = b""
            for index, start in enumerate(range(0, len(row), TILE_BYTES), start=first):
                tile = writes[level, index] = row[start : start + TILE_BYTES]
                if len(tile) == TILE_BYTES:
                    full += _perfect_root(tile)
            fresh, level = full, level + 1
        self.size = size + len(leaf_hashes)
        return writes

    def root(self) -> bytes:
        """The root of the whole tree, `EMPTY_ROOT` when it has no leaf."""
        return frontier_root(self.frontier(self.size))

    def frontier(self, size: int) -> list[bytes]:
        """The frontier of the first `size` leaves: at most 64 hashes, largest subtree first.

        :raises NotFound: the tree is smaller than `size`
        """
        self._require(0 <= size <= self.size, f"log size {size}")
        return self._subtree_roots(cache(self._read_tile), 0, size)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Proof that leaf `index` (from 0) is in the tree of the first `size` leaves (RFC 9162 §2.1.3.1).

        :raises NotFound: there is no such leaf in that tree, or the tree is smaller than `size`
        """
        self._require(0 <= index < size <= self.size, f"log index {index} of {size}")
        read = cache(self._read_tile)
        proof, low, high = [], 0, size
        while high - low > 1:
            middle = low + _left_width(high - low)
            if index < middle:
                proof.append(self._range_root(read, middle, high))
                high = middle
            else:
                proof.append(self._range_root(read, low, middle))
                low = middle
        return proof[::-1]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Proof that the first `new` leaves begin with the first `old` ones (RFC 9162 §2.1.4.1).

        Empty when the sizes are equal or the old log had no leaf.

        :raises NotFound: `old` is larger than `new`, or `new` than the tree
        """
        self._require(0 <= old <= new <= self.size, f"log sizes {old} to {new}")
        if old == 0:
            return []
        read = cache(self._read_tile)
        proof, low, high = [], 0, new
        while high != old:
            middle = low + _left_width(high - low)
            if old <= middle:
                proof.append(self._range_root(read, middle, high))
                high = middle
            else:
                proof.append(self._range_root(read, low, middle))
                low = middle
        if low:  # else the reader knows this subtree already: it is the whole old tree
            proof.append(self._range_root(read, low, high))
        return proof[::-1]

    def _require(self, known: bool, what: str) -> None:
        if not known:
            raise NotFound(what=what, log_size=self.size)

    def _hashes(self, read: TileReader, level: int, first: int, count: int) -> bytes:
        """`count` neighbouring hashes of one tile, the first of them numbered `first` within its level."""
        index, offset = divmod(first, TILE_WIDTH)
        found = read(level, index)[offset * HASH_BYTES : (offset + count) * HASH_BYTES]
        if len(found) != count * HASH_BYTES:
            wanted = f"shorter than {offset + count} hashes"
            raise BrokenStore(file=f"log tile {level}/{index}", detail=wanted)
        return found

    def _subtree_roots(self, read: TileReader, low: int, high: int) -> list[bytes]:
        """Roots of the perfect subtrees over leaves `low` to `high`; `low` is a multiple of the largest."""
        roots = []
        for height in _set_bits(high - low):
            level, rise = divmod(height, TILE_HEIGHT)
            first = low >> (TILE_HEIGHT * level)
            roots.append(_perfect_root(self._hashes(read, level, first, 1 << rise)))
            low += 1 << height
        return roots

    def _range_root(self, read: TileReader, low: int, high: int) -> bytes:
        return frontier_root(self._subtree_roots(read, low, high))


# ---- checking proofs ---------------------------------------------------------------------------------------


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows the leaf hash `leaf` at `index` in the tree of `size` leaves with `root`.

    RFC 9162 §2.1.3.2.
    """
    if not 0 <= index < size or not _are_hashes([leaf, root, *proof]):
        return False
    at, last, seen = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            seen = node_hash(sibling, seen)
            at, last = _above_lone_nodes(at, last)
        else:
            seen = node_hash(seen, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and seen == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree (`new`, `new_root`) extends the tree (`old`, `old_root`).

    RFC 9162 §2.1.4.2. Beyond it, for it asks for ``0 < old < new``: a tree extends itself and the empty one
    by an empty proof.
    """
    if not 0 <= old <= new or not _are_hashes([old_root, new_root, *proof]):
        return False
    if old == new or old == 0:
        return not proof and old_root == (new_root if old == new else EMPTY_ROOT)
    path = list(proof)
    if old & (old - 1) == 0:  # the old tree is one subtree of the new one: the proof leaves its root out
        path.insert(0, old_root)
    if not path:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    seen_old = seen_new = path[0]
    for node in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            seen_old, seen_new = node_hash(node, seen_old), node_hash(node, seen_new)
            at, last = _above_lone_nodes(at, last)
        else:
            seen_new = node_hash(seen_new, node)
        at, last = at >> 1, last >> 1
    return last == 0 and seen_old == old_root and seen_new == new_root


def verify_tail(frontier_before: Sequence[bytes], before: int, leaves: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf hashes `leaves` end the tree of ``before + len(leaves)`` leaves with `root`.

    The checkpoint that gives the root must be of exactly that size; this function cannot tell.
    """
    if before < 0 or len(frontier_before) != before.bit_count():
        return False
    if not _are_hashes([*frontier_before, *leaves, root]):
        return False
    return frontier_root(extended_frontier(frontier_before, before, leaves)) == root


# ---- shapes of trees ---------------------------------------------------------------------------------------


def _perfect_root(hashes: bytes) -> bytes:
    """The root over 1, 2, 4, … or 256 joined hashes."""
    while len(hashes) > HASH_BYTES:
        pairs = range(0, len(hashes), 2 * HASH_BYTES)
        hashes = b"".join([sha256(b"\x01" + hashes[at : at + 2 * HASH_BYTES]).digest() for at in pairs])
    return hashes


def _left_width(size: int) -> int:
    """The largest power of two smaller than `size` (> 1): where the RFC splits a tree."""
    return 1 << ((size - 1).bit_length() - 1)


def _set_bits(number: int) -> Iterator[int]:
    """The positions of the 1 bits, highest first."""
    return (bit for bit in range(number.bit_length() - 1, -1, -1) if number >> bit & 1)


def _above_lone_nodes(at: int, last: int) -> tuple[int, int]:
    """Climb over the levels on which a node at the right edge has no sibling and passes up unchanged."""
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _are_hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
