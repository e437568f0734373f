"""Read-only looks at the tables, for whoever checks that they agree with each other. Everything is streamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from server.storage.tables import acts, changes, checkpoints, feed, states

AT_ONCE = 1000


class Link(NamedTuple):
    """A change in its replica's chain, as stored."""

    replica: str
    n: int
    id: str
    hash: bytes
    chain: str
    signature: bytes
    device: str
    reason: str


class Leaf(NamedTuple):
    """A leaf of the log: a change with its stored hash and content, or an act (`id` empty, `hash` None)."""

    position: int
    id: str
    hash: bytes | None
    content: bytes


def integrity(conn: Connection) -> list[str]:
    """What SQLite finds wrong with its own file; empty where nothing is."""
    found = [str(row[0]) for row in conn.exec_driver_sql("PRAGMA integrity_check")]
    return [] if found == ["ok"] else found


def chains(conn: Connection) -> Iterator[Link]:
    """Every change, by replica and number."""
    columns = [changes.c[name] for name in Link._fields]
    wanted = select(*columns).order_by(changes.c.replica, changes.c.n, changes.c.log, changes.c.leaf)
    for row in _streamed(conn).execute(wanted):
        yield Link(*row)


def leaves(conn: Connection, log: str) -> Iterator[Leaf]:
    """Every change and every act, by position in the log."""
    of_changes = select(changes.c.leaf, changes.c.id, changes.c.hash, changes.c.content).where(changes.c.log == log)
    of_acts = select(acts.c.leaf, acts.c.bytes).where(acts.c.log == log)
    made = (Leaf(row[0], "", None, bytes(row[1])) for row in _streamed(conn).execute(of_acts.order_by(acts.c.leaf)))
    act = next(made, None)
    for row in _streamed(conn).execute(of_changes.order_by(changes.c.leaf)):
        while act is not None and act.position <= row[0]:
            yield act
            act = next(made, None)
        yield Leaf(row[0], row[1], bytes(row[2]), bytes(row[3]))
    while act is not None:
        yield act
        act = next(made, None)


def notes(conn: Connection, log: str) -> Iterator[tuple[int, str]]:
    """(size, signed note) of every checkpoint that was made, by size."""
    wanted = select(checkpoints.c.size, checkpoints.c.note).where(checkpoints.c.log == log)
    for row in _streamed(conn).execute(wanted.order_by(checkpoints.c.size)):
        yield row[0], row[1]


def bucket_totals(conn: Connection) -> dict[int, tuple[int, int]]:
    """bucket key → (number, sum of checksums) of the records that are in it."""
    wanted = select(states.c.bucket, func.count(), func.sum(states.c.sum)).where(states.c.bucket.is_not(None))
    return {row[0]: (row[1], int(row[2])) for row in conn.execute(wanted.group_by(states.c.bucket))}


def outside_the_feed(conn: Connection) -> list[str]:
    """Records whose bucket's feed does not show them, so that no tablet would ever hear of them."""
    there = (feed.c.bucket == states.c.bucket) & (feed.c.state == states.c.key) & feed.c.gone.is_(None)
    wanted = select(states.c.record).outerjoin(feed, there).where(states.c.bucket.is_not(None), feed.c.at.is_(None))
    return list(conn.scalars(wanted))


def _streamed(conn: Connection) -> Connection:
    return conn.execution_options(yield_per=AT_ONCE)
