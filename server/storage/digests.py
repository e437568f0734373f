"""Digests of blobs that the server computed itself, and which blobs wait for that: rows, no files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, func, or_, select, true

from server.storage.database import Bulk
from server.storage.tables_access import blob_digests, digests_todo

AT_ONCE = 500

_keep = Bulk(blob_digests, ("sha256", "tree", "sm3", "made"), ignore=True)


class Kept(NamedTuple):
    """The chunk tree and the SM3 of a blob in hexadecimal."""

    tree: str
    sm3: str


def waiting(conn: Connection, after: str = "") -> list[str]:
    """The next blobs of the queue, by digest."""
    wanted = select(digests_todo.c.sha256).where(digests_todo.c.sha256 > after)
    return list(conn.scalars(wanted.order_by(digests_todo.c.sha256).limit(AT_ONCE)))


def waiting_count(conn: Connection) -> int:
    return int(conn.scalar(select(func.count()).select_from(digests_todo)) or 0)


def keep(conn: Connection, sha256: str, kept: Kept, now: int) -> None:
    """Keep what was computed of a blob and take it off the queue. Twice changes nothing."""
    _keep(conn, [(sha256, *kept, now)])
    conn.execute(digests_todo.delete().where(digests_todo.c.sha256 == sha256))


def of(conn: Connection, sha256: str) -> Kept | None:
    """None: not computed yet, or the blob is not here."""
    row = conn.execute(select(blob_digests.c.tree, blob_digests.c.sm3).where(blob_digests.c.sha256 == sha256)).first()
    return Kept(*row) if row else None


def contradicted(conn: Connection, evidence: Table, area: str = "") -> Iterator[tuple[dict[str, Any], Kept]]:
    """The rows of evidence in an area that claim another tree or SM3 than was computed, oldest first."""
    kept = blob_digests.c
    wanted = (
        select(evidence, kept.tree.label("kept_tree"), kept.sm3.label("kept_sm3"))
        .join(blob_digests, kept.sha256 == evidence.c.sha256)
        .where(evidence.c.deleted.is_(False), or_(evidence.c.tree != kept.tree, evidence.c.sm3 != kept.sm3))
        .where(evidence.c.area.startswith(area, autoescape=True) if area else true())
        .order_by(evidence.c.record)
    )
    for row in conn.execute(wanted):
        values = dict(row._mapping)
        yield values, Kept(values.pop("kept_tree"), values.pop("kept_sm3"))
