"""Where records are: how many in each cell of a grid over a part of the map, each cell with the middle of what is in it.

A map of one's own lies in the data folder: `map/tiles.mbtiles` (pictures) and `map/outlines.geojson`; both may be missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pysqlite3.dbapi2 as sqlite
from sqlalchemy import Connection, and_, cast, column, func, literal, select, text
from sqlalchemy.types import Integer

from server.storage.lists import FEW, Lists, Wanted
from server.storage.projections import Projections, axes_of, index_of

MOST = 2_000
"""Cells that one look at the map answers with."""


class Box(NamedTuple):
    """A part of the map, in 1e-7 degree."""

    south: int
    west: int
    north: int
    east: int


class Cluster(NamedTuple):
    """What is in one cell: how many records, the middle of them, one of them, and the box around them."""

    many: int
    lat: int
    lon: int
    record: str
    box: Box


def clusters(conn: Connection, projections: Projections, wanted: Wanted, point: str, box: Box, cell: int) -> list[Cluster]:
    """The records of a list in a box, by cells of a grid of `cell` (1e-7 degree of longitude; of latitude less, so that cells
    look square on a map). Raises KeyError for an unknown kind or position."""
    table = projections.table(wanted.kind)
    lat_name, lon_name = axes_of(point)
    _ = table.c[lat_name]
    lat, lon = column(lat_name, Integer), column(lon_name, Integer)
    conditions = Lists(projections).conditions(table, wanted)
    if conditions is None:
        return []
    inside = and_(lat.between(box.south, box.north), lon.between(box.west, box.east), *conditions)
    row, col = cast(lat / max(1, cell * 7 // 8), Integer), cast(lon / max(1, cell), Integer)
    plain = not wanted.tests and wanted.among is None and wanted.departments is None
    source: Any = text(f'"{table.name}" INDEXED BY "{index_of(wanted.kind, lat_name)}"') if plain else text(f'"{table.name}"')
    one: Any = select(literal("1")).select_from(source).where(inside).limit(FEW + 1)
    few = (conn.scalar(select(func.count()).select_from(one.subquery())) or 0) <= FEW
    # A name costs a look at the row; without one the index alone answers.
    name: Any = func.min(column("record")) if few else literal("")
    counted = select(
        func.count(), func.avg(lat), func.avg(lon), name, func.min(lat), func.min(lon), func.max(lat), func.max(lon)
    ).select_from(source)
    grouped = counted.where(inside).group_by(row, col).order_by(func.count().desc()).limit(MOST)
    return [
        Cluster(many, round(middle_lat), round(middle_lon), record if many == 1 else "", Box(*corners))
        for many, middle_lat, middle_lon, record, *corners in conn.execute(grouped)
    ]


def bounds(conn: Connection, projections: Projections, wanted: Wanted, point: str) -> Box | None:
    """The box around all records of a list that have a position; None where none has."""
    table = projections.table(wanted.kind)
    lat, lon = (column(name, Integer) for name in axes_of(point))
    conditions = Lists(projections).conditions(table, wanted)
    if conditions is None:
        return None
    wide = select(func.min(lat), func.min(lon), func.max(lat), func.max(lon)).select_from(text(f'"{table.name}"'))
    found = conn.execute(wide.where(lat.is_not(None), *conditions)).one()
    return Box(*found) if found[0] is not None else None


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
