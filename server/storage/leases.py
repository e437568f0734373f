"""What the server lends to tablets: a row for each device that ever asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection, select

from server.storage.database import Bulk
from server.storage.tables_access import leases


class Row(NamedTuple):
    """See the table. Times are server milliseconds."""

    device: str
    share: bytes | None = None
    contact: bytes | None = None
    key: bytes | None = None
    recovery: int | None = None
    hours: int | None = None
    granted: int | None = None
    expires: int | None = None
    failures: int = 0
    failed: int | None = None


_write = Bulk(leases, Row._fields, conflict=("device",))


def get(conn: Connection, device: str) -> Row:
    """What is known of a device; an empty row where it never asked."""
    row = conn.execute(select(leases).where(leases.c.device == device)).first()
    return Row(*row) if row else Row(device)


def put(conn: Connection, row: Row) -> None:
    _write(conn, [tuple(row)])


def every(conn: Connection) -> Mapping[str, Row]:
    """device → row, of those that have one."""
    return {row.device: Row(*row) for row in conn.execute(select(leases))}
