"""Numbers for the home page, counted in the projections within what somebody sees."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, and_, false, func, or_, select

from schemas.base import DEPARTMENTS
from server.storage.projections import STEPPED, Projections

LAST = "\U0010ffff"


class Scope(NamedTuple):
    """Prefixes of division codes, and the departments that have to be named where that is asked."""

    areas: Sequence[str]
    departments: Collection[str] | None = None


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


def stepped_since(
    conn: Connection, projections: Projections, kind: str, status: str, since: int, span: int, scope: Scope
) -> list[tuple[int, int]]:
    """(n, number): how many records that now have a status were given it in the n-th span of milliseconds since a time, by the
    tablet's or the desk's clock; counted in an index."""
    table = projections.table(kind)
    field, stepped = table.c[projections.status_of(kind)], table.c[STEPPED]
    number = ((stepped - since) // span).label("n")
    wanted = select(number, func.count()).where(field == status, stepped >= since, _seen(table, scope)).group_by("n")
    return [(int(row[0]), int(row[1])) for row in conn.execute(wanted)]


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
