"""How many records are in each cell of a grid, kept as records come: what the map of everything is drawn from.

There is a grid for each of `LEVELS`, and each has cells of sixteen of the next finer one; a map of a zoom in between puts four together.
So a map costs what it shows, however many records lie under it. A county is part of a cell's key: what somebody sees of a cell is
the sum over the counties of their sight, which at a scale where there are many counties in a cell means a few hundred rows.

It is a projection, made from the projections' rows: they are counted where they are written, and `remake` counts all of a kind
again. Numbers and middles are exact. The corners of a cell only grow: they hold all that is in it, and may be wider where something
was taken out or moved, until the cell is empty or made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    insert,
    literal,
    or_,
    select,
)

from server.storage.database import Bulk

LEVELS = (13, 11, 9, 7, 5)
"""Zooms of a map of which counts are kept, the finest first: one cell is about a kilometre, 64 pixels of the map."""
DEEPEST = 19
COUNTY = 6
"""Digits of a division code that are kept apart."""
FORM = "1"
"""Raised when what is kept changes: older counts are made again."""

NORTH, EAST = 900_000_000, 1_800_000_000
"""The corner of the world, in 1e-7 degree."""
_WIDE, _HIGH = 1717, 1502
"""A cell of the deepest zoom. Of latitude less, so that cells look square at the middle of China."""
LAST = "\U0010ffff"
_SUMS = ("many", "lats", "lons")
_KEY = ("kind", "level", "row", "col", "county")
_CORNERS = ("south", "west", "north", "east")
_COLUMNS = (*_KEY, *_SUMS, *_CORNERS)
_GROUPS = ("r", "q", "of")

_Cells = dict[tuple[int, int, str], list[int]]
"""(row, column, county) → what is in it, as the columns after the key."""


class Spot(NamedTuple):
    """Where a record counts: the division that decides who sees it, and its position in 1e-7 degree."""

    scope: str
    lat: int
    lon: int


class Box(NamedTuple):
    """A part of the map, in 1e-7 degree."""

    south: int
    west: int
    north: int
    east: int


class Frame(NamedTuple):
    """A box in cells of a zoom: the rows and columns that it touches, the last ones included."""

    zoom: int
    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> int:
        return (self.bottom - self.top + 1) * (self.right - self.left + 1)

    @property
    def box(self) -> Box:
        """What those cells cover."""
        high, wide = size_of(self.zoom)
        return Box(
            self.top * high - NORTH, self.left * wide - EAST, (self.bottom + 1) * high - NORTH - 1, (self.right + 1) * wide - EAST - 1
        )


class Sum(NamedTuple):
    """What is in a cell of a map: how many, the sums of latitudes and longitudes, and corners that hold all of it."""

    many: int
    lats: int
    lons: int
    south: int
    west: int
    north: int
    east: int


def size_of(zoom: int) -> tuple[int, int]:
    """(height, width) of a cell at a zoom, in 1e-7 degree. Each zoom has half of the one before, exactly."""
    return _HIGH << (DEEPEST - zoom), _WIDE << (DEEPEST - zoom)


def frame_of(box: Box, zoom: int, most: int | None = None) -> Frame:
    """The cells that a box touches; of a coarser zoom where there would be more than `most`."""
    south, north = (min(max(one, -NORTH), NORTH) for one in (box.south, box.north))
    west, east = (min(max(one, -EAST), EAST) for one in (box.west, box.east))
    for coarser in range(zoom, -1, -1):
        high, wide = size_of(coarser)
        found = Frame(coarser, (south + NORTH) // high, (west + EAST) // wide, (north + NORTH) // high, (east + EAST) // wide)
        if most is None or found.size <= most:
            break
    return found


def on_earth(lat: Any, lon: Any) -> Any:
    """Whether a position (columns) is on the map at all; staff may have admitted any number."""
    return and_(lat.between(-NORTH, NORTH), lon.between(-EAST, EAST))


class Cells:
    """The table of counts, in the metadata of the projections."""

    def __init__(self, metadata: MetaData) -> None:
        self.table = Table(
            "cells",
            metadata,
            Column("kind", Text, nullable=False),
            Column("level", Integer, nullable=False),
            Column("row", Integer, nullable=False),
            Column("col", Integer, nullable=False),
            Column("county", Text, nullable=False),
            *(Column(name, BigInteger, nullable=False) for name in (*_SUMS, *_CORNERS)),
            PrimaryKeyConstraint(*_KEY),
            sqlite_with_rowid=False,
        )
        key = (self.table.c[name] == bindparam(name) for name in _KEY)
        self._drop = delete(self.table).where(*key, self.table.c.many == 0)
        self._add = Bulk(self.table, _COLUMNS, conflict=_KEY, joined=self._joined)

    def _joined(self, new: Any) -> dict[str, Any]:
        """What a row becomes that meets a new one: sums are added, corners grow."""
        c = self.table.c
        least = {name: case((new[name] < c[name], new[name]), else_=c[name]) for name in ("south", "west")}
        largest = {name: case((new[name] > c[name], new[name]), else_=c[name]) for name in ("north", "east")}
        return {name: c[name] + new[name] for name in _SUMS} | least | largest

    # --- keeping --------------------------------------------------------------------------------------------------

    def move(self, conn: Connection, kind: str, gone: Iterable[Spot], come: Iterable[Spot]) -> None:
        """Count records of a kind where they are now, and no more where they were."""
        finest: _Cells = {}
        high, wide = size_of(LEVELS[0])
        for sign, spots in ((-1, gone), (1, come)):
            for scope, lat, lon in spots:
                if -NORTH <= lat <= NORTH and -EAST <= lon <= EAST:
                    here = ((lat + NORTH) // high, (lon + EAST) // wide, scope[:COUNTY])
                    _join(finest, here, [sign, sign * lat, sign * lon, lat, lon, lat, lon])
        levels = {LEVELS[0]: finest}
        for finer, level in zip(LEVELS, LEVELS[1:], strict=False):
            coarse: _Cells = {}
            for (row, col, county), values in levels[finer].items():
                _join(coarse, (row >> (finer - level), col >> (finer - level), county), values)
            levels[level] = coarse
        changed = [(level, key, values) for level, cells in levels.items() for key, values in cells.items() if any(values[:3])]
        self._add(conn, [(kind, level, *key, *values) for level, key, values in changed])
        fewer = [dict(zip(_KEY, (kind, level, *key), strict=True)) for level, key, values in changed if values[0] < 0]
        if fewer:
            conn.execute(self._drop, fewer)

    def remake(self, conn: Connection, kind: str, rows: Table, lat: str, lon: str) -> None:
        """Count all of a kind again from its rows, by the columns of its position."""
        c = self.table.c
        conn.execute(delete(self.table).where(c.kind == kind))
        high, wide = size_of(LEVELS[0])
        north, east = rows.c[lat], rows.c[lon]
        counted = (north.is_not(None), east.is_not(None), on_earth(north, east), rows.c.deleted.is_(False))
        keys = _named((north + NORTH) // high, (east + EAST) // wide, func.substr(rows.c.scope, 1, COUNTY))
        values = (
            func.count(), func.sum(north), func.sum(east), func.min(north), func.min(east), func.max(north), func.max(east),
        )  # fmt: skip
        first: Any = select(literal(kind), literal(LEVELS[0]), *keys, *values).where(*counted).group_by(*_GROUPS)
        conn.execute(insert(self.table).from_select(list(_COLUMNS), first))
        for finer, level in zip(LEVELS, LEVELS[1:], strict=False):
            part = 1 << (finer - level)
            keys = _named(c.row // part, c.col // part, c.county)
            wanted: Any = select(literal(kind), literal(level), *keys, *self._together())
            wanted = wanted.where(c.kind == kind, c.level == finer).group_by(*_GROUPS)
            conn.execute(insert(self.table).from_select(list(_COLUMNS), wanted))

    def _together(self) -> list[ColumnElement[Any]]:
        c = self.table.c
        return [
            *(func.sum(c[name]) for name in _SUMS),
            func.min(c.south), func.min(c.west), func.max(c.north), func.max(c.east),
        ]  # fmt: skip

    # --- reading --------------------------------------------------------------------------------------------------

    def within(self, conn: Connection, kind: str, areas: Sequence[str], frame: Frame) -> dict[tuple[int, int], Sum]:
        """(row, column) of a frame → what is in that cell, in areas of at most `COUNTY` digits."""
        c = self.table.c
        level = min(one for one in LEVELS if one >= frame.zoom)
        part = 1 << (level - frame.zoom)
        inside = (
            c.kind == kind,
            c.level == level,
            c.row.between(frame.top * part, frame.bottom * part + part - 1),
            c.col.between(frame.left * part, frame.right * part + part - 1),
            _seen(c.county, areas),
        )
        wanted = select(*_named(c.row // part, c.col // part), *self._together()).where(*inside).group_by(*_GROUPS[:2])
        return {(row[0], row[1]): Sum(*row[2:]) for row in conn.execute(wanted)}

    def corners(self, conn: Connection, kind: str, areas: Sequence[str]) -> Box | None:
        """A box that holds everything of a kind in areas of at most `COUNTY` digits; None where there is nothing."""
        c = self.table.c
        wanted = select(func.min(c.south), func.min(c.west), func.max(c.north), func.max(c.east))
        found = conn.execute(wanted.where(c.kind == kind, c.level == LEVELS[-1], _seen(c.county, areas))).one()
        return Box(*found) if found[0] is not None else None

    def counts(self, conn: Connection, kind: str) -> set[tuple[Any, ...]]:
        """Every count of a kind, without the corners: what has to agree with the rows."""
        c = self.table.c
        wanted = select(c.level, c.row, c.col, c.county, c.many, c.lats, c.lons).where(c.kind == kind)
        return {tuple(row) for row in conn.execute(wanted)}


def together(one: Sum, other: Sum) -> Sum:
    """What is in two heaps of the same cell."""
    return Sum(
        one.many + other.many, one.lats + other.lats, one.lons + other.lons,
        min(one.south, other.south), min(one.west, other.west), max(one.north, other.north), max(one.east, other.east),
    )  # fmt: skip


def known(areas: Sequence[str]) -> bool:
    """Whether the counts tell these areas apart."""
    return all(len(area) <= COUNTY for area in areas)


def _named(*keys: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    return [key.label(name) for key, name in zip(keys, _GROUPS, strict=False)]


def _join(cells: _Cells, key: tuple[int, int, str], new: list[int]) -> None:
    old = cells.get(key)
    cells[key] = new if old is None else [
        old[0] + new[0], old[1] + new[1], old[2] + new[2],
        min(old[3], new[3]), min(old[4], new[4]), max(old[5], new[5]), max(old[6], new[6]),
    ]  # fmt: skip


def _seen(county: ColumnElement[Any], areas: Sequence[str]) -> ColumnElement[bool]:
    return or_(false(), *(and_(county >= area, county < area + LAST) if area else county.is_not(None) for area in areas))
