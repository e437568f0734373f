"""Pairs of institutions that may be one, as rows: what was found, and what staff said of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, and_, delete, or_, select, tuple_, update

from server.storage import tables_desk
from server.storage.database import Bulk
from server.storage.journal import _slices

OPEN, APART = "open", "apart"
"""Waits for somebody; somebody said that they are two."""

_COLUMNS = ("one", "other", "area", "other_area", "score", "reasons", "found", "status")
_insert = Bulk(tables_desk.twins, _COLUMNS, ignore=True)
_t = tables_desk.twins.c


class Mark(NamedTuple):
    """Where a page ends."""

    score: int
    one: str
    other: str


class Twins(NamedTuple):
    """Two records, the smaller id first, how alike (0–100) and why; areas as they were when it was found."""

    one: str
    other: str
    area: str
    other_area: str
    score: int
    reasons: tuple[str, ...]
    found: int
    status: str = OPEN
    by: str | None = None
    at: int | None = None
    why: str | None = None


def keep(conn: Connection, records: Collection[str] | None, found: Sequence[Twins]) -> None:
    """Make what waits agree with what was found about these records (None: all); what staff said stays."""
    if records is None:
        conn.execute(delete(tables_desk.twins).where(_t.status == OPEN))
    else:
        for some in _slices(records):
            conn.execute(delete(tables_desk.twins).where(_t.status == OPEN, or_(_t.one.in_(some), _t.other.in_(some))))
    rows = [(t.one, t.other, t.area, t.other_area, t.score, orjson.dumps(t.reasons).decode(), t.found, OPEN) for t in found]
    _insert(conn, rows)


def waiting(conn: Connection, prefixes: Sequence[str], status: str, limit: int, after: Mark | None = None) -> list[Twins]:
    """Pairs both of which lie in one of these areas, the most alike first; those after a mark."""
    sees = [and_(_t.area.startswith(one, autoescape=True), _t.other_area.startswith(two, autoescape=True)) for one in prefixes for two in prefixes]
    if not sees:
        return []
    wanted = select(tables_desk.twins).where(_t.status == status, or_(*sees))
    if after is not None:
        wanted = wanted.where(_t.score <= after.score, or_(_t.score < after.score, tuple_(_t.one, _t.other) > tuple_(after.one, after.other)))
    return [_pair(row) for row in conn.execute(wanted.order_by(_t.score.desc(), _t.one, _t.other).limit(limit))]


def get(conn: Connection, one: str, other: str) -> Twins | None:
    row = conn.execute(select(tables_desk.twins).where(_t.one == one, _t.other == other)).first()
    return _pair(row) if row else None


def say(conn: Connection, one: str, other: str, status: str, by: str, at: int, why: str) -> None:
    """Keep what somebody said of a pair."""
    told = update(tables_desk.twins).where(_t.one == one, _t.other == other)
    conn.execute(told.values(status=status, by=by, at=at, why=why))


def _pair(row: object) -> Twins:
    values = dict(row._mapping)  # type: ignore[attr-defined]
    return Twins(**values | {"reasons": tuple(orjson.loads(values["reasons"]))})
