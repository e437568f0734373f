"""Numbers for the home page, counted in the projections within what somebody sees.

Each is counted in one index that knows all that is asked, and is named: SQLite would take the one of the scope and look at every row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, and_, case, false, func, literal, or_, select

from schemas.base import DEPARTMENTS
from server.storage.lists import LAST, bare, read_by
from server.storage.projections import STEPPED, Projections, index_of, stepped_by

DAY_MS = 86_400_000


class Scope(NamedTuple):
    """Prefixes of division codes, and the departments that have to be named where that is asked."""

    areas: Sequence[str]
    departments: Collection[str] | None = None


def by_value(conn: Connection, projections: Projections, kind: str, field: str, scope: Scope) -> Mapping[str, int]:
    """value → how many records have it, for a field that the kind sorts by; what is empty or contested under the empty text."""
    table, c = projections.table(kind), bare(projections.table(kind))
    read = select(c[field], func.count()).select_from(read_by(table, index_of(kind, field)))
    return {row[0] or "": int(row[1]) for row in conn.execute(read.where(_seen(table, scope)).group_by(c[field]))}


def by_place(
    conn: Connection, projections: Projections, kind: str, digits: int, since: int, scope: Scope
) -> Mapping[str, int]:
    """The beginning of a division code → how many records made since a time lie there."""
    table, c = projections.table(kind), bare(projections.table(kind))
    beginning = func.substr(c["scope"], 1, digits).label("beginning")
    wanted = select(beginning, func.count()).select_from(_lately(table, kind)).where(*_made(c, since), _seen(table, scope))
    return {str(row[0]): int(row[1]) for row in conn.execute(wanted.group_by("beginning")) if row[0]}


def made_since(
    conn: Connection, projections: Projections, kind: str, since: int, span: int, many: int, scope: Scope
) -> Mapping[int, int]:
    """n → how many records were made in the n-th of so many spans of milliseconds since a time, as their ids tell it; the last
    one has no end."""
    table, c = projections.table(kind), bare(projections.table(kind))
    ends = [(c["record"] < _first_id(since + (n + 1) * span), n) for n in range(many - 1)]
    number = case(*ends, else_=many - 1).label("n") if ends else literal(0).label("n")
    wanted = select(number, func.count()).select_from(_lately(table, kind)).where(*_made(c, since), _seen(table, scope))
    return {int(row[0]): int(row[1]) for row in conn.execute(wanted.group_by("n"))}


def stepped_since(
    conn: Connection, projections: Projections, kind: str, status: str, since: int, span: int, scope: Scope
) -> Mapping[int, int]:
    """n → how many records that now have a status were given it in the n-th span of milliseconds since a time, by the tablet's
    or the desk's clock."""
    table, c = projections.table(kind), bare(projections.table(kind))
    number = ((c[STEPPED] - since) // span).label("n")
    wanted = select(number, func.count()).select_from(read_by(table, stepped_by(kind)))
    held = (c[projections.status_of(kind)] == status, c[STEPPED] >= since, _seen(table, scope))
    return {int(row[0]): int(row[1]) for row in conn.execute(wanted.where(*held).group_by("n"))}


def _lately(table: Table, kind: str) -> Any:
    """The rows in the order of what was written last, which is never long before a record was made."""
    return read_by(table, index_of(kind, "newest"))


def _made(c: Mapping[str, ColumnElement[Any]], since: int) -> tuple[ColumnElement[bool], ...]:
    return c["newest"] >= since - DAY_MS, c["record"] >= _first_id(since)


def _first_id(ms: int) -> str:
    text = f"{ms:012x}"
    return f"{text[:8]}-{text[8:]}"


def _seen(table: Table, scope: Scope) -> ColumnElement[Any]:
    """What somebody sees of a projection."""
    c = bare(table)
    areas = or_(false(), *(and_(c["scope"] >= one, c["scope"] < one + LAST) for one in scope.areas))
    if scope.departments is None:
        return and_(areas, c["deleted"].is_(False))
    if DEPARTMENTS not in table.c:
        return false()
    named = or_(false(), *(func.instr(c[DEPARTMENTS], f",{one},") > 0 for one in sorted(scope.departments)))
    return and_(areas, named, c["deleted"].is_(False))
