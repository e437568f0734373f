"""Chains as stored: what is held of each replica, and which replicas a device has gone on as."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from server.storage.tables import changes
from server.storage.tables_access import replicas
from sync.core.change import Change


class Span(NamedTuple):
    """What is held of one replica: so many changes, the first and the last number."""

    replica: str
    device: str
    held: int
    first: int
    last: int


def spans(conn: Connection, device: str | None = None) -> list[Span]:
    """Every replica of the open log that wrote anything, or those of one device, in the order of its first leaf."""
    count, first, last = func.count(), func.min(changes.c.n), func.max(changes.c.n)
    wanted = select(changes.c.replica, func.min(changes.c.device), count, first, last).where(changes.c.log == "")
    if device is not None:
        wanted = wanted.where(changes.c.replica.in_(replicas_of(conn, device)))
    rows = conn.execute(wanted.group_by(changes.c.replica).order_by(func.min(changes.c.leaf)))
    return [Span(*row) for row in rows]


def replicas_of(conn: Connection, device: str) -> list[str]:
    """The replicas of a device, in the order in which they were registered."""
    wanted = select(replicas.c.id).where(replicas.c.device == device).order_by(replicas.c.registered, replicas.c.id)
    return list(conn.scalars(wanted))


def held(conn: Connection, replica: str, first: int, last: int) -> int:
    """How many changes of a replica with first <= n <= last are held."""
    wanted = select(func.count()).where(changes.c.replica == replica, changes.c.n.between(first, last))
    return int(conn.scalar(wanted) or 0)


def read(conn: Connection, replica: str, first: int, last: int) -> Iterator[tuple[int, Change, int]]:
    """(n, change, received ms) of a replica's changes with first <= n <= last, in order; what is no change is left out."""
    wanted = select(changes.c.n, changes.c.content, changes.c.received).where(
        changes.c.replica == replica, changes.c.n.between(first, last), changes.c.reason != "not-a-change"
    )
    for row in conn.execute(wanted.order_by(changes.c.n)):
        yield row.n, Change.stored(bytes(row.content)), row.received


def with_head(conn: Connection, n: int, chain: str) -> str | None:
    """The replica whose chain has this head at this number."""
    wanted = select(changes.c.replica).where(changes.c.n == n, changes.c.chain == chain)
    return conn.scalar(wanted)
