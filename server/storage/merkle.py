"""The Merkle logs (RFC 9162) in tables: appending leaves, proofs, signed checkpoints.

Every compartment has a log of its own (`log` is the compartment's name, empty for the open one).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, func, select

from server.keys import Voice
from server.storage.database import Bulk
from server.storage.tables import acts, checkpoints, meta, tiles
from sync.core.log import Tree, frontier_root, leaf_hash
from sync.core.note import Checkpoint, checkpoint_body, sign_note

ACT_TAG = b"patrolbook/act/v1\0"
SIZE = "log_size"


_write_tiles = Bulk(tiles, ("log", "level", "position", "hashes"), conflict=("log", "level", "position"))
_write_meta = Bulk(meta, ("key", "value"), conflict=("key",))
_write_acts = Bulk(acts, ("log", "leaf", "bytes"))
_write_checkpoints = Bulk(checkpoints, ("log", "size", "note", "made"), conflict=("log", "size"))


def size(conn: Connection, log: str) -> int:
    """The number of leaves."""
    return int(conn.scalar(select(meta.c.value).where(meta.c.key == _size_key(log))) or 0)


def append(conn: Connection, log: str, data: Sequence[bytes]) -> int:
    """Append the leaf data in order; returns the position of the first. The caller holds the write transaction."""
    before = size(conn, log)
    written = _tree(conn, log, before).append([leaf_hash(one) for one in data])
    _write_tiles(conn, [(log, level, position, hashes) for (level, position), hashes in written.items()])
    _write_meta(conn, [(_size_key(log), str(before + len(data)))])
    return before


def append_act(conn: Connection, log: str, act: bytes) -> int:
    """Append one act of the server (canonical JSON bytes); returns its position."""
    leaf = append(conn, log, [act_leaf(act)])
    _write_acts(conn, [(log, leaf, act)])
    return leaf


def act_leaf(act: bytes) -> bytes:
    """The leaf data of a server act."""
    return hashlib.sha256(ACT_TAG + act).digest()


def root(conn: Connection, log: str, at: int | None = None) -> bytes:
    """The root of the first `at` leaves, of all without it."""
    held = size(conn, log)
    tree = _tree(conn, log, held)
    if at is None or at == held:
        return tree.root()
    return frontier_root(tree.frontier(at))


def frontier(conn: Connection, log: str, at: int) -> list[bytes]:
    return _tree(conn, log, size(conn, log)).frontier(at)


def inclusion(conn: Connection, log: str, leaf: int, at: int) -> list[bytes]:
    """The proof that a leaf is in the tree of the first `at` leaves. Raises NotFound outside the tree."""
    return _tree(conn, log, size(conn, log)).inclusion(leaf, at)


def consistency(conn: Connection, log: str, old: int, new: int) -> list[bytes]:
    """The proof that the tree of `new` leaves extends the tree of `old`. Raises NotFound outside the tree."""
    return _tree(conn, log, size(conn, log)).consistency(old, new)


def checkpoint(conn: Connection, voice: Voice, now: int) -> str:
    """The signed note for the whole log as it stands; signed once per size and kept."""
    log = voice.compartment
    held = size(conn, log)
    kept = conn.scalar(select(checkpoints.c.note).where(checkpoints.c.log == log, checkpoints.c.size == held))
    if kept is not None:
        return str(kept)
    note = sign_note(checkpoint_body(Checkpoint(voice.origin, held, root(conn, log))), voice.origin, voice.log_seed)
    if conn.get_execution_options().get("writing"):
        _write_checkpoints(conn, [(log, held, note, now)])
    return note


def made_at(conn: Connection, log: str, size: int) -> int | None:
    """When the checkpoint of a size was signed, in server milliseconds; None where none was kept."""
    found = conn.scalar(select(checkpoints.c.made).where(checkpoints.c.log == log, checkpoints.c.size == size))
    return int(found) if found is not None else None


def act_bytes(conn: Connection, log: str, leaf: int) -> bytes | None:
    found = conn.scalar(select(acts.c.bytes).where(acts.c.log == log, acts.c.leaf == leaf))
    return bytes(found) if found is not None else None


def acts_of(conn: Connection, log: str, beginning: bytes = b"") -> Iterator[tuple[int, bytes]]:
    """(leaf, bytes) of every act of a log whose bytes begin so, streamed."""
    wanted = select(acts.c.leaf, acts.c.bytes).where(acts.c.log == log).order_by(acts.c.leaf)
    if beginning:
        wanted = wanted.where(acts.c.bytes.between(beginning, beginning + b"\xff"))
    for row in conn.execution_options(yield_per=1000).execute(wanted):
        yield row[0], bytes(row[1])


def count_acts(conn: Connection, log: str) -> int:
    return int(conn.scalar(select(func.count()).select_from(acts).where(acts.c.log == log)) or 0)


def _size_key(log: str) -> str:
    return f"{SIZE}/{log}" if log else SIZE


def _tree(conn: Connection, log: str, held: int) -> Tree:
    cached: dict[tuple[int, int], bytes] = {}

    def read(level: int, position: int) -> bytes:
        key = (level, position)
        if key not in cached:
            place = (tiles.c.log == log) & (tiles.c.level == level) & (tiles.c.position == position)
            found = conn.scalar(select(tiles.c.hashes).where(place))
            cached[key] = bytes(found or b"")
        return cached[key]

    return Tree(read, held)


__all__ = [
    "act_bytes",
    "act_leaf",
    "append",
    "append_act",
    "checkpoint",
    "consistency",
    "frontier",
    "inclusion",
    "root",
    "size",
]
