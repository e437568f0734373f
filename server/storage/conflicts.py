"""Conflicts as rows: what waits for a person, since when, and which decision closed it. A projection of the states.

Lists of what waits stay fast at a hundred thousand: a page follows the index of its order, or gathers the rows of a narrow
scope, and begins after the last row of the one before. Scope is a condition of the query; what lies outside is not read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    and_,
    column,
    delete,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    text,
    tuple_,
    update,
)

from server.storage import journal
from server.storage.database import Bulk
from server.storage.journal import _slices
from server.storage.tables import WAITING, conflicts, sides
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
    "rank",
)
_write = Bulk(conflicts, _COLUMNS, conflict=("id",))
_write_sides = Bulk(sides, ("conflict", "change", "device"), ignore=True)

FEW = 10_000
"""Rows that may be gathered and sorted."""
LAST = "\U0010ffff"
Order = Literal["rank", "age"]


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
    rank: int = 3


class Wanted(NamedTuple):
    """Which of what waits: `prefixes` and `exact` say which buckets are in sight, `hidden` kinds of record are not.

    kinds      sorts of conflict; None: all
    device     only those to which this tablet contributed
    since, until   milliseconds: opened in this time
    """

    prefixes: Sequence[str]
    exact: Collection[str] = ()
    hidden: Collection[str] = ()
    kinds: Collection[str] | None = None
    record_kind: str = ""
    record: str = ""
    device: str = ""
    since: int | None = None
    until: int | None = None


class Tally(NamedTuple):
    """How many wait, and since when the oldest does (ms); None where none does."""

    number: int
    since: int | None


class Mark(NamedTuple):
    """Where a page ends."""

    rank: int
    opened: int
    id: str


def keep(
    conn: Connection,
    found: Iterable[tuple[Conflict, str, str, int]],
    records: Collection[str],
    decisions: dict[str, str],
    now: int,
) -> None:
    """Make the rows of these records agree with what their states show.

    found: (conflict, kind of the record, bucket, rank). decisions: record → the decision of this transaction, if any.
    """
    before = {row.id: row for row in of_records(conn, records)}
    rows: list[Row] = []
    seen: set[str] = set()
    for conflict, record_kind, bucket, rank in found:
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
                rank,
            )
        )
    waiting = list(rows)
    for old in before.values():
        if old.id not in seen and old.status != "resolved":
            rows.append(old._replace(status="resolved", closed=now, decision=decisions.get(old.record)))
    _write(conn, [_as_tuple(row) for row in rows])
    _keep_sides(conn, [row.id for row in rows], waiting)


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
        wanted = wanted.where(text(WAITING))
    return [_row(row) for row in conn.execute(wanted)]


def page(conn: Connection, wanted: Wanted, order: Order, size: int, after: Mark | None = None) -> list[Row]:
    """The next rows of what waits, in order; ask for one more than a page to know whether there are further ones."""
    few = wanted.record != "" or wanted.device != "" or _few(conn, wanted)
    by = None if wanted.record or wanted.device else "conflicts_by_bucket" if few else f"conflicts_by_{order}"
    c = _bare()
    keys = (c["rank"], c["opened"], c["id"]) if order == "rank" else (c["opened"], c["id"])
    statement: Select[Any] = select(c["id"]).select_from(_read_by(by)).where(*_conditions(wanted)).order_by(*keys)
    if after is not None:
        mark = (after.rank, after.opened, after.id) if order == "rank" else (after.opened, after.id)
        statement = statement.where(tuple_(*keys) > tuple_(*mark))
    ids = [row.id for row in conn.execute(statement.limit(size))]
    found = {row.id: row for row in named(conn, ids)}
    return [found[id] for id in ids]


def tallies(conn: Connection, wanted: Wanted) -> dict[str, Tally]:
    """How many wait, and since when, by sort of conflict."""
    c = _bare()
    few = "conflicts_by_bucket" if not (wanted.record or wanted.device) else None
    statement = select(c["kind"], func.count(), func.min(c["opened"])).select_from(_read_by(few)).where(*_conditions(wanted))
    return {row[0]: Tally(row[1], row[2]) for row in conn.execute(statement.group_by(c["kind"]))}


def decided(conn: Connection, wanted: Wanted, size: int, after: Mark | None = None) -> list[Row]:
    """What was closed, newest first; a mark's `opened` is when its row was closed."""
    c = conflicts.c
    statement = select(conflicts).where(c.closed.is_not(None), *_scope(wanted)).order_by(c.closed.desc(), c.id.desc())
    if after is not None:
        statement = statement.where(tuple_(c.closed, c.id) < tuple_(after.opened, after.id))
    return [_row(row) for row in conn.execute(statement.limit(size))]


def named(conn: Connection, ids: Collection[str]) -> list[Row]:
    """The conflicts of these ids, in no order."""
    return [
        _row(row) for some in _slices(ids) for row in conn.execute(select(conflicts).where(conflicts.c.id.in_(some)))
    ]


def get(conn: Connection, prefix: str) -> list[Row]:
    """The conflicts whose id begins with the prefix."""
    wanted = select(conflicts).where(conflicts.c.id.between(prefix, prefix + LAST))
    return [_row(row) for row in conn.execute(wanted)]


def rename(conn: Connection, records: Collection[str], now: int) -> None:
    """Close the rows of records that no longer stand for themselves: their conflicts are shown under the root."""
    theirs = (conflicts.c.record.in_(list(records)), conflicts.c.status != "resolved")
    conn.execute(delete(sides).where(sides.c.conflict.in_(select(conflicts.c.id).where(*theirs))))
    conn.execute(update(conflicts).where(*theirs).values(status="resolved", closed=now))


# --- How it is done ---------------------------------------------------------------------------------------------


def _keep_sides(conn: Connection, touched: Sequence[str], waiting: Sequence[Row]) -> None:
    for some in _slices(touched):
        conn.execute(delete(sides).where(sides.c.conflict.in_(some)))
    devices = journal.devices(conn, {change for row in waiting for change in row.candidates}) if waiting else {}
    _write_sides(
        conn,
        [(row.id, change, devices[change][0]) for row in waiting for change in row.candidates if change in devices],
    )


def _bare() -> dict[str, ColumnElement[Any]]:
    """The columns by their bare names: how the table is read is said where it is named (`_read_by`)."""
    types = {"opened": BigInteger(), "rank": Integer()}
    return {name: column(name, types.get(name, Text())) for name in _COLUMNS}


def _read_by(index: str | None) -> Any:
    """The table by way of an index: SQLite knows nothing of how many rows a condition leaves."""
    return text(f'conflicts INDEXED BY "{index}"') if index else text("conflicts")


def _few(conn: Connection, wanted: Wanted) -> bool:
    """Whether so little is in sight that order costs nothing."""
    if "" in {prefix.partition(":")[2] for prefix in wanted.prefixes if prefix.startswith("area:")}:
        return False
    read: Select[Any] = select(literal_column("1")).select_from(_read_by("conflicts_by_bucket"))
    inner: Select[Any] = read.where(text(WAITING), *_scope(wanted))
    number = conn.scalar(select(func.count()).select_from(inner.limit(FEW + 1).subquery()))
    return int(number or 0) <= FEW


def _scope(wanted: Wanted) -> list[ColumnElement[Any]]:
    """What is in sight. A hidden kind is never in a bucket of an area in front of its wall: only where there is no area has
    the kind to be looked at, so that the many rows with one are told by the index alone."""
    c = _bare()
    ranges = [(prefix, and_(c["bucket"] >= prefix, c["bucket"] < prefix + LAST)) for prefix in wanted.prefixes]
    placed = [condition for prefix, condition in ranges if not prefix.startswith("ref:")]
    others = [condition for prefix, condition in ranges if prefix.startswith("ref:")]
    others += [c["bucket"].in_(list(wanted.exact))] if wanted.exact else []
    unplaced = or_(false(), *others)
    if wanted.hidden:
        unplaced = and_(unplaced, not_(c["record_kind"].in_(list(wanted.hidden))))
    return [or_(false(), *placed, unplaced)]


def _conditions(wanted: Wanted) -> list[Any]:
    c = _bare()
    found: list[Any] = [text(WAITING), *_scope(wanted)]
    if wanted.kinds is not None:
        found.append(c["kind"].in_(list(wanted.kinds)) if wanted.kinds else false())
    if wanted.record_kind:
        found.append(c["record_kind"] == wanted.record_kind)
    if wanted.record:
        found.append(c["record"] == wanted.record)
    if wanted.device:
        found.append(c["id"].in_(select(sides.c.conflict).where(sides.c.device == wanted.device)))
    if wanted.since is not None:
        found.append(c["opened"] >= wanted.since)
    if wanted.until is not None:
        found.append(c["opened"] < wanted.until)
    return found


def _row(row: object) -> Row:
    values = dict(row._mapping)  # type: ignore[attr-defined]
    values["candidates"] = tuple(orjson.loads(values["candidates"]))
    return Row(**values)


def _as_tuple(row: Row) -> tuple[object, ...]:
    return tuple(row._replace(candidates=orjson.dumps(row.candidates).decode()))  # type: ignore[arg-type]
