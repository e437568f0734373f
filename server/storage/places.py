"""Where records are: how many in each cell of a grid over a part of the map, each cell with the middle of what is in it.

A record stands where its own position is, or where that of the record is which it names (`projections.Standing`): a hazard
stands at its institution. Which of those others are in sight is a list of its own (`by`): what a reader does not see lends
nobody its position.

A map of one's own lies in the data folder: `map/tiles.mbtiles` (pictures) and `map/outlines.geojson`; both may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pysqlite3.dbapi2 as sqlite
from sqlalchemy import Connection, and_, cast, column, func, literal, select, text, true, union_all
from sqlalchemy.sql.expression import ColumnElement, UnaryExpression
from sqlalchemy.sql.operators import custom_op
from sqlalchemy.types import Integer

from server.storage.lists import FEW, Lists, Wanted
from server.storage.projections import Projections, Standing, index_of, stands_by
from server.storage.tables import aliases

MOST = 2_000
"""Cells that one look at the map answers with."""
TOLD, STACKED = 12, 100
"""Records up to which a cell names them; and where all of them stand at one place, which no closer look parts."""


class Box(NamedTuple):
    """A part of the map, in 1e-7 degree."""

    south: int
    west: int
    north: int
    east: int


EVERYWHERE = Box(-900_000_000, -1_800_000_000, 900_000_000, 1_800_000_000)


class Cluster(NamedTuple):
    """What is in one cell: how many records, the middle of them, the records where they are few, and the box around them."""

    many: int
    lat: int
    lon: int
    records: list[str]
    box: Box


class Spot(NamedTuple):
    """Where a record stands, in 1e-7 degree. `by`: the record whose position that is; empty: its own."""

    lat: int
    lon: int
    by: str = ""


def clusters(
    conn: Connection, projections: Projections, wanted: Wanted, by: Wanted | None, box: Box, cell: int
) -> list[Cluster]:
    """The records of a list in a box, by cells of a grid of `cell` (1e-7 degree of longitude; of latitude less, so that cells
    look square on a map). `by`: the records whose positions may be lent. Raises KeyError for a kind that has no place."""
    many = union_all(*_parts(conn, projections, wanted, by, box, named=False)).subquery()
    few = (conn.scalar(select(func.count()).select_from(select(many).limit(FEW + 1).subquery())) or 0) <= FEW
    # A name costs a look at the row; without one the index alone answers.
    found = union_all(*_parts(conn, projections, wanted, by, box, named=few)).subquery()
    lat, lon = found.c.lat, found.c.lon
    row, col = cast(lat / max(1, cell * 7 // 8), Integer), cast(lon / max(1, cell), Integer)
    grouped = (
        select(
            func.count(), func.avg(lat), func.avg(lon), func.group_concat(found.c.record) if few else literal(""),
            func.min(lat), func.min(lon), func.max(lat), func.max(lon),
        )
        .group_by(row, col)
        .order_by(func.count().desc())
        .limit(MOST)
    )  # fmt: skip
    return [
        Cluster(many, round(mid_lat), round(mid_lon), _told(many, names, Box(*corners)), Box(*corners))
        for many, mid_lat, mid_lon, names, *corners in conn.execute(grouped)
    ]


def _told(many: int, names: str, box: Box) -> list[str]:
    most = STACKED if (box.south, box.west) == (box.north, box.east) else TOLD
    return sorted(names.split(",")) if names and many <= most else []


def bounds(conn: Connection, projections: Projections, wanted: Wanted, by: Wanted | None) -> Box | None:
    """The box around all records of a list that stand somewhere; None where none does."""
    found = union_all(*_parts(conn, projections, wanted, by, None, named=False)).subquery()
    lat, lon = found.c.lat, found.c.lon
    corners = conn.execute(select(func.min(lat), func.min(lon), func.max(lat), func.max(lon))).one()
    return Box(*corners) if corners[0] is not None else None


def spots(
    conn: Connection, projections: Projections, kind: str, by: Wanted | None, rows: Sequence[dict[str, Any]]
) -> dict[str, Spot]:
    """record → where it stands, of these rows of a kind; those that stand nowhere are left out."""
    standing = projections.standing(kind)
    if standing is None:
        return {}
    found: dict[str, Spot] = {}
    lent: dict[str, str] = {}
    for row in rows:
        if standing.own and row[standing.own[0]] is not None:
            found[row["record"]] = Spot(row[standing.own[0]], row[standing.own[1]])
        elif standing.through and row[standing.through]:
            lent[row["record"]] = row[standing.through]
    if not lent or by is None:
        return found
    members = select(aliases.c.member, aliases.c.root).where(aliases.c.member.in_(set(lent.values())))
    roots = {row.member: row.root for row in conn.execute(members)}
    whose = {record: roots.get(name, name) for record, name in lent.items()}
    other = _lenders(projections, standing, by, EVERYWHERE)
    places = {row.name: row for row in conn.execute(select(other).where(other.c.name.in_(set(whose.values()))))}
    return found | {
        record: Spot(places[name].lat, places[name].lon, name) for record, name in whose.items() if name in places
    }


# --- Which rows are read ------------------------------------------------------------------------------------------


def _parts(
    conn: Connection, projections: Projections, wanted: Wanted, by: Wanted | None, box: Box | None, *, named: bool
) -> Iterator[Any]:
    """Selects of (record, lat, lon) that together are the list in a box; without names `record` is empty.

    Raises KeyError where the kind has no place on a map."""
    standing = projections.standing(wanted.kind)
    if standing is None:
        raise KeyError(wanted.kind)
    nothing = select(literal("").label("record"), literal(0).label("lat"), literal(0).label("lon")).where(~true())
    conditions = Lists(projections).conditions(projections.table(wanted.kind), wanted)
    if conditions is None:
        yield nothing
        return
    if standing.own:
        yield _own(projections, wanted, standing.own, conditions, box, named=named)
    if standing.through and by is not None and Lists(projections).conditions(projections.table(by.kind), by) is not None:
        yield from _lent(conn, projections, wanted, standing, by, conditions, box, named=named)
    elif not standing.own:
        yield nothing


def _own(
    projections: Projections, wanted: Wanted, axes: tuple[str, str], conditions: list[Any], box: Box | None, *, named: bool
) -> Any:
    lat, lon = column(axes[0], Integer), column(axes[1], Integer)
    name: Any = column("record") if named else literal("")
    plain = not wanted.tests and wanted.among is None and wanted.departments is None
    source = _table(projections, wanted.kind, index_of(wanted.kind, axes[0]) if plain and box is not None else None)
    return select(name.label("record"), lat.label("lat"), lon.label("lon")).select_from(source).where(_in(lat, lon, box), *conditions)


def _lent(
    conn: Connection, projections: Projections, wanted: Wanted, standing: Standing, by: Wanted, conditions: list[Any],
    box: Box | None, *, named: bool,
) -> Iterator[Any]:
    """What stands in the position of another record: under the id that this has now, and under one that it had before."""
    other = _lenders(projections, standing, by, box)
    near = box is not None and (conn.scalar(select(func.count()).select_from(select(other).limit(FEW + 1).subquery())) or 0) <= FEW
    through: Any = column(standing.through)
    alone = column(standing.own[0]).is_(None) if standing.own else true()
    every = standing.own is not None or not (wanted.tests or wanted.among is not None)  # the index holds little else, or nothing is left out
    source = _table(projections, wanted.kind, stands_by(wanted.kind) if near or every else None)
    own = (
        select(column("record").label("name"), through.label("through"))
        .select_from(source)
        .where(through.is_not(None), alone, *conditions)
        .subquery()
    )  # fmt: skip
    said: Any = own.c.name if named else literal("")
    read = select(said.label("record"), other.c.lat, other.c.lon)
    # Which of the two is read first decides the cost, and SQLite does not know which is the smaller.
    if near:  # `+` takes an index away
        yield read.where(own.c.through == _plus(other.c.name))
        yield read.where(own.c.through == _plus(aliases.c.member), aliases.c.root == _plus(other.c.name))
    else:
        known = own.outerjoin(aliases, aliases.c.member == own.c.through)
        yield read.select_from(known).where(other.c.name == func.coalesce(aliases.c.root, own.c.through))


def _lenders(projections: Projections, standing: Standing, by: Wanted, box: Box | None) -> Any:
    """The records in sight that have a position in a box: (name, lat, lon)."""
    lat, lon = column(standing.axes[0], Integer), column(standing.axes[1], Integer)
    conditions = Lists(projections).conditions(projections.table(by.kind), by) or [~true()]
    source = _table(projections, by.kind, None)
    return (
        select(column("record").label("name"), lat.label("lat"), lon.label("lon"))
        .select_from(source)
        .where(_in(lat, lon, box), *conditions)
        .subquery()
    )  # fmt: skip


def _in(lat: Any, lon: Any, box: Box | None) -> ColumnElement[bool]:
    if box is None:
        return lat.is_not(None)  # type: ignore[no-any-return]
    return and_(lat.between(box.south, box.north), lon.between(box.west, box.east))


def _table(projections: Projections, kind: str, index: str | None) -> Any:
    name = projections.table(kind).name
    return text(f'"{name}" INDEXED BY "{index}"' if index else f'"{name}"')


def _plus(one: Any) -> Any:
    return UnaryExpression(one, operator=custom_op("+"), type_=one.type)


def tile(file: Path, zoom: int, x: int, y: int) -> bytes | None:
    """A tile of an MBTiles file, counted from the north-west; None where it has none."""
    if not file.exists():
        return None
    conn = sqlite.connect(f"file:{file}?mode=ro&immutable=1", uri=True)
    try:
        wanted = "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
        found = conn.execute(wanted, (zoom, x, (1 << zoom) - 1 - y)).fetchone()
    except sqlite.DatabaseError:
        return None
    finally:
        conn.close()
    return bytes(found[0]) if found else None
