"""Conflicts as rows: what waits for a person, since when, and which decision closed it. A projection of the states."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, select, update

from server.storage.database import Bulk
from server.storage.journal import _slices
from server.storage.tables import conflicts
from sync.core.fold import Conflict

_COLUMNS = (
    "id",
    "record",
    "record_kind",
    "bucket",
    "kind",
    "path",
    "candidates",
    "status",
    "opened",
    "closed",
    "decision",
)
_write = Bulk(conflicts, _COLUMNS, conflict=("id",))


class Row(NamedTuple):
    """A conflict with its life: status is open, reopened or resolved; times are server milliseconds."""

    id: str
    record: str
    record_kind: str
    bucket: str
    kind: str
    path: str
    candidates: tuple[str, ...]
    status: str
    opened: int
    closed: int | None
    decision: str | None


def keep(
    conn: Connection,
    found: Iterable[tuple[Conflict, str, str]],
    records: Collection[str],
    decisions: dict[str, str],
    now: int,
) -> None:
    """Make the rows of these records agree with what their states show.

    found: (conflict, kind of the record, bucket). decisions: record → the decision of this transaction, if any.
    """
    before = {row.id: row for row in of_records(conn, records)}
    rows: list[Row] = []
    seen: set[str] = set()
    for conflict, record_kind, bucket in found:
        seen.add(conflict.id)
        old = before.get(conflict.id)
        status = "open" if old is None else "reopened" if old.status == "resolved" else old.status
        opened = now if old is None or old.status == "resolved" else old.opened
        rows.append(
            Row(
                conflict.id,
                conflict.record,
                record_kind,
                bucket,
                conflict.kind,
                conflict.path,
                conflict.candidates,
                status,
                opened,
                None,
                None,
            )
        )
    for old in before.values():
        if old.id not in seen and old.status != "resolved":
            rows.append(old._replace(status="resolved", closed=now, decision=decisions.get(old.record)))
    _write(conn, [_as_tuple(row) for row in rows])


def of_records(conn: Connection, records: Collection[str]) -> list[Row]:
    return [
        _row(row)
        for some in _slices(records)
        for row in conn.execute(select(conflicts).where(conflicts.c.record.in_(some)))
    ]


def waiting(conn: Connection, *, everything: bool = False) -> list[Row]:
    """Open conflicts, oldest first; with `everything`, the resolved ones too."""
    wanted = select(conflicts).order_by(conflicts.c.opened, conflicts.c.id)
    if not everything:
        wanted = wanted.where(conflicts.c.status != "resolved")
    return [_row(row) for row in conn.execute(wanted)]


def get(conn: Connection, prefix: str) -> list[Row]:
    """The conflicts whose id begins with the prefix."""
    wanted = select(conflicts).where(conflicts.c.id.between(prefix, prefix + "\U0010ffff"))
    return [_row(row) for row in conn.execute(wanted)]


def rename(conn: Connection, records: Collection[str], now: int) -> None:
    """Close the rows of records that no longer stand for themselves: their conflicts are shown under the root."""
    conn.execute(
        update(conflicts)
        .where(conflicts.c.record.in_(list(records)), conflicts.c.status != "resolved")
        .values(status="resolved", closed=now)
    )


def _row(row: object) -> Row:
    values = dict(row._mapping)  # type: ignore[attr-defined]
    values["candidates"] = tuple(orjson.loads(values["candidates"]))
    return Row(**values)


def _as_tuple(row: Row) -> tuple[object, ...]:
    return tuple(row._replace(candidates=orjson.dumps(row.candidates).decode()))  # type: ignore[arg-type]
