"""Numbers for the home page, counted in the projections within what somebody sees."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, and_, false, func, or_, select

from schemas.base import DEPARTMENTS
from server.storage import states
from server.storage.projections import Projections
from server.storage.tables import conflicts
from sync.core.fold import State

LAST = "\U0010ffff"
MOST_CLOSED = 20_000
"""Closed records whose day is looked up for one chart."""


class Scope(NamedTuple):
    """Prefixes of division codes, and the departments that have to be named where that is asked."""

    areas: Sequence[str]
    departments: Collection[str] | None = None


class Tally(NamedTuple):
    """How many wait, and since when the oldest does."""

    number: int
    since: int | None


def conflicts_waiting(conn: Connection, buckets: Sequence[str]) -> Tally:
    """The conflicts that wait in buckets whose ids begin so."""
    within = or_(false(), *(conflicts.c.bucket.between(one, one + LAST) for one in buckets))
    wanted = select(func.count(), func.min(conflicts.c.opened)).where(conflicts.c.status != "resolved", within)
    row = conn.execute(wanted).one()
    return Tally(int(row[0]), row[1])


def by_value(conn: Connection, projections: Projections, kind: str, field: str, scope: Scope) -> Mapping[str, int]:
    """value → how many records have it, by the index of that field; what is empty or contested under the empty text."""
    table = projections.table(kind)
    wanted = select(table.c[field], func.count()).where(_seen(table, scope)).group_by(table.c[field])
    return {row[0] or "": int(row[1]) for row in conn.execute(wanted)}


def by_place(
    conn: Connection, projections: Projections, kind: str, digits: int, since: int, scope: Scope
) -> Mapping[str, int]:
    """The beginning of a division code → how many records made since a time lie there."""
    table = projections.table(kind)
    beginning = func.substr(table.c.scope, 1, digits)
    wanted = select(beginning, func.count()).where(table.c.record >= _first_id(since), _seen(table, scope)).group_by(beginning)
    return {str(row[0]): int(row[1]) for row in conn.execute(wanted) if row[0]}


def made_since(conn: Connection, projections: Projections, kind: str, since: int, scope: Scope) -> list[tuple[int, int]]:
    """(ms, number) of the records that were made since a time, as their ids tell it: to about a minute."""
    table = projections.table(kind)
    beginning = func.substr(table.c.record, 1, 8)
    wanted = select(beginning, func.count()).where(table.c.record >= _first_id(since), _seen(table, scope))
    return [(int(row[0], 16) << 16, int(row[1])) for row in conn.execute(wanted.group_by(beginning))]


def closed_since(
    conn: Connection, projections: Projections, kind: str, status: tuple[str, str], since: int, scope: Scope
) -> list[int]:
    """When each record that now has a status (field, value) was given it, by the tablet's or the desk's clock."""
    table, (field, value) = projections.table(kind), status
    wanted = select(table.c.record).where(table.c[field] == value, table.c.newest >= since, _seen(table, scope))
    records = list(conn.scalars(wanted.order_by(table.c.newest.desc()).limit(MOST_CLOSED)))
    found = []
    for stored in states.load(conn, records).values():
        state = State.read(stored.bytes)
        times = [int(state.acts[change].hlc[:12], 16) for change in state.ids(field)]
        found += [one for one in times[:1] if one >= since]
    return found


def _first_id(ms: int) -> str:
    text = f"{ms:012x}"
    return f"{text[:8]}-{text[8:]}"


def _seen(table: Table, scope: Scope) -> ColumnElement[Any]:
    """What somebody sees of a projection."""
    areas = or_(false(), *(and_(table.c.scope >= one, table.c.scope < one + LAST) for one in scope.areas))
    if scope.departments is None:
        return and_(areas, table.c.deleted.is_(False))
    if DEPARTMENTS not in table.c:
        return false()
    named = or_(false(), *(func.instr(table.c[DEPARTMENTS], f",{one},") > 0 for one in sorted(scope.departments)))
    return and_(areas, named, table.c.deleted.is_(False))
