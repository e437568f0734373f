"""The log of changes: what is known of a change, who came after it, and everything that was ever kept of a record."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, or_, select, text

from server.storage.database import Bulk
from server.storage.tables import aliases, changes, edges, links
from sync.core.change import Change
from sync.core.fold import Entry, Status

COLUMNS = (
    "log",
    "leaf",
    "id",
    "hash",
    "replica",
    "n",
    "chain",
    "signature",
    "device",
    "record",
    "kind",
    "content",
    "status",
    "reason",
    "field",
    "role",
    "stamp",
    "received",
)

insert_changes = Bulk(changes, COLUMNS)
insert_edges = Bulk(edges, ("parent", "child"), ignore=True)
insert_links = Bulk(links, ("record", "other"), ignore=True)
_write_aliases = Bulk(aliases, ("member", "root"), conflict=("member",))

MANY = 500  # values in one IN list


class Kept(NamedTuple):
    """What the log says about a change that it already holds."""

    id: str
    hash: bytes
    replica: str
    n: int
    record: str
    kind: str
    status: Status
    reason: str
    field: str
    log: str
    leaf: int


_KEPT = [changes.c[name] for name in Kept._fields]


def known(conn: Connection, ids: Collection[str]) -> dict[str, Kept]:
    """Of these change ids, those that the log holds."""
    rows = (row for some in _slices(ids) for row in conn.execute(select(*_KEPT).where(changes.c.id.in_(some))))
    return {row.id: Kept(*row) for row in rows}


def links_of(conn: Connection, replica: str, first: int, last: int) -> dict[int, tuple[bytes, str]]:
    """n → (hash, chain) of a replica's changes with first <= n <= last."""
    found = select(changes.c.n, changes.c.hash, changes.c.chain).where(
        changes.c.replica == replica, changes.c.n.between(first, last)
    )
    return {row.n: (bytes(row.hash), row.chain) for row in conn.execute(found)}


def last_link(conn: Connection, replica: str) -> tuple[int, str] | None:
    """(n, chain) of a replica's newest change."""
    row = conn.execute(
        select(changes.c.n, changes.c.chain).where(changes.c.replica == replica).order_by(changes.c.n.desc()).limit(1)
    ).first()
    return (row.n, row.chain) if row else None


def replaced_before_arrival(conn: Connection, ids: Collection[str]) -> set[str]:
    """Of these ids, those that a kept change already names as a parent."""
    return {
        row.parent
        for some in _slices(ids)
        for row in conn.execute(select(edges.c.parent).where(edges.c.parent.in_(some)).distinct())
    }


def deciding(conn: Connection, id: str) -> set[str]:
    """The records under which decisions on a change are kept that arrived before it."""
    wanted = select(changes.c.content).join(edges, edges.c.child == changes.c.id).where(edges.c.parent == id)
    named = (Change.stored(bytes(row.content)) for row in conn.execute(wanted))
    return {change.record for change in named if id in change.targets}


def entries(conn: Connection, records: Collection[str]) -> list[Entry]:
    """Every kept change of these records, as the fold wants them."""
    wanted = select(changes.c.content, changes.c.status, changes.c.reason, changes.c.role, changes.c.stamp)
    return [
        Entry(Change.stored(bytes(row.content)), row.status, row.reason, row.role, row.stamp)
        for some in _slices(records)
        for row in conn.execute(wanted.where(changes.c.record.in_(some), changes.c.reason != "not-a-change"))
    ]


def roots(conn: Connection, records: Collection[str]) -> dict[str, str]:
    """record → root, for those of these records that were merged into another."""
    return {
        row.member: row.root
        for some in _slices(records)
        for row in conn.execute(select(aliases.c.member, aliases.c.root).where(aliases.c.member.in_(some)))
    }


def connected(conn: Connection, records: Iterable[str]) -> set[str]:
    """These records and all that any merge, in force or not, ever connected them to."""
    found = set(records)
    todo = found
    while todo:
        rows = conn.execute(
            select(links.c.record, links.c.other).where(or_(links.c.record.in_(todo), links.c.other.in_(todo)))
        )
        todo = {one for row in rows for one in row} - found
        found |= todo
    return found


def set_aliases(conn: Connection, members: Collection[str], root_of: dict[str, str]) -> None:
    """Make `root_of` the aliases among these members; a member that is its own root has no alias."""
    conn.execute(aliases.delete().where(aliases.c.member.in_(list(members))))
    _write_aliases(conn, [(member, root) for member, root in sorted(root_of.items()) if member != root])


def lacking(conn: Connection, ids: Sequence[str], log: str) -> list[str]:
    """Of these change ids, those that this log does not hold, in the order asked."""
    held = {id for id, kept in known(conn, ids).items() if kept.log == log}
    return [id for id in ids if id not in held]


def history(conn: Connection, records: Collection[str]) -> list[tuple[Change, Kept, int]]:
    """(change, what was done with it, received ms) of these records in log order."""
    wanted = select(changes.c.content, changes.c.received, *_KEPT).where(changes.c.record.in_(list(records)))
    return [
        (Change.stored(bytes(row[0])), Kept(*row[2:]), row[1])
        for row in conn.execute(wanted.order_by(changes.c.log, changes.c.leaf))
        if row.reason != "not-a-change"
    ]


def unreadable(conn: Connection) -> list[tuple[Kept, bytes, int]]:
    """The same of what was kept although it is no change."""
    wanted = select(*_KEPT, changes.c.content, changes.c.received)
    wanted = wanted.where(text("status <> 'accepted'"), changes.c.reason == "not-a-change")
    rows = conn.execute(wanted.order_by(changes.c.received, changes.c.log, changes.c.leaf))
    return [(Kept(*row[: len(_KEPT)]), bytes(row.content), row.received) for row in rows]


class Linked(NamedTuple):
    """A kept change with its place in its replica's chain and in the log."""

    replica: str
    n: int
    hash: bytes
    signature: bytes
    chain: str
    device: str
    status: Status
    log: str
    leaf: int
    received: int


_LINKED = [changes.c[name] for name in Linked._fields]


def linked(conn: Connection, records: Collection[str]) -> list[tuple[Linked, Change]]:
    """Every kept change of these records that is one, by replica and number."""
    wanted = select(changes.c.content, *_LINKED).where(changes.c.reason != "not-a-change")
    rows = (row for some in _slices(records) for row in conn.execute(wanted.where(changes.c.record.in_(some))))
    found = [(Linked(*row[1:]), Change.stored(bytes(row[0]))) for row in rows]
    return sorted(found, key=lambda pair: (pair[0].replica, pair[0].n))


def chain_of(conn: Connection, replica: str, first: int, last: int) -> list[Linked]:
    """The links of a replica with first <= n <= last, in order."""
    wanted = select(*_LINKED).where(changes.c.replica == replica, changes.c.n.between(first, last))
    return [Linked(*row) for row in conn.execute(wanted.order_by(changes.c.n))]


def devices(conn: Connection, ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """change id → (device, role of its author)."""
    wanted = select(changes.c.id, changes.c.device, changes.c.role)
    return {
        row.id: (row.device, row.role)
        for some in _slices(ids)
        for row in conn.execute(wanted.where(changes.c.id.in_(some)))
    }


def paths_of(conn: Connection, ids: Collection[str]) -> set[str]:
    """The paths that these changes write."""
    rows = (row for some in _slices(ids) for row in conn.execute(select(changes.c.content).where(changes.c.id.in_(some))))
    return {path for row in rows for path in Change.stored(bytes(row.content)).set}


def waiting(conn: Connection, status: str | None = None) -> list[tuple[Kept, bytes, int]]:
    """(what was done, content, received ms) of every change that was not accepted, oldest first."""
    wanted = select(*_KEPT, changes.c.content, changes.c.received)
    wanted = wanted.where(changes.c.status == status) if status else wanted.where(text("status <> 'accepted'"))
    rows = conn.execute(wanted.order_by(changes.c.received, changes.c.log, changes.c.leaf))
    return [(Kept(*row[: len(_KEPT)]), bytes(row.content), row.received) for row in rows]


class Touched(NamedTuple):
    """A leaf of a log, and the record that its change is about."""

    leaf: int
    record: str


def since(conn: Connection, log: str, leaf: int, limit: int) -> list[Touched]:
    """What was kept after a leaf of a log, oldest first."""
    wanted = select(changes.c.leaf, changes.c.record).where(changes.c.log == log, changes.c.leaf > leaf)
    return [Touched(*row) for row in conn.execute(wanted.order_by(changes.c.leaf).limit(limit))]


def newest_leaf(conn: Connection, log: str) -> int:
    """The leaf of a log's newest change; -1 where it has none."""
    newest = conn.scalar(select(func.max(changes.c.leaf)).where(changes.c.log == log))
    return -1 if newest is None else int(newest)


def scan(conn: Connection) -> Iterator[tuple[int, str, bytes, str, int, str, bytes, str, bytes]]:
    """(leaf, id, hash, replica, n, chain, signature, device, content) of the whole log in order, streamed."""
    wanted = [
        changes.c[name] for name in ("leaf", "id", "hash", "replica", "n", "chain", "signature", "device", "content")
    ]
    result = conn.execution_options(yield_per=1000).execute(select(*wanted).order_by(changes.c.leaf))
    for row in result:
        yield (row[0], row[1], bytes(row[2]), row[3], row[4], row[5], bytes(row[6]), row[7], bytes(row[8]))


def _slices(values: Collection[str]) -> Iterator[list[str]]:
    whole = list(values)
    for start in range(0, len(whole), MANY):
        yield whole[start : start + MANY]
