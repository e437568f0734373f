"""Where records are: how many in each cell of a grid over a part of the map, each cell with the middle of what is in it.

What has a position of its own is counted as it comes (`cells`), at every scale that shows more than a few streets. What those counts
do not know (a filter, a search, a department, an area below a county, a closer look, a lent position) is counted in rows, where an index
leaves at most `MOST_ROWS` of them; where none does, among the newest so many, and the answer says so.

A record stands where its own position is, or where that of the record is which it names (`projections.Standing`): a hazard
stands at its institution. Which of those others are in sight is a list of its own (`by`): what a reader does not see lends
nobody its position.

A map of one's own lies in the data folder: `map/tiles.mbtiles` (pictures) and `map/outlines.geojson`; both may be missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pysqlite3.dbapi2 as sqlite
from sqlalchemy import Connection, and_, column, func, literal, literal_column, select, text, true
from sqlalchemy.sql.expression import ColumnElement, UnaryExpression
from sqlalchemy.sql.operators import custom_op
from sqlalchemy.types import Integer, Text

from server.storage import cells
from server.storage.cells import DEEPEST, EAST, LEVELS, NORTH, Box, Frame, Sum, on_earth
from server.storage.lists import FEW, Lists, Wanted
from server.storage.projections import Projections, Standing, index_of, stands_by
from server.storage.tables import aliases

MOST = 4_096
"""Cells that one look at the map answers with; a box of more is answered at a coarser scale."""
MOST_ROWS, MOST_LENT = 20_000, 10_000
"""Rows that are counted for one look at the map; and of those whose position is another record's, which costs more."""
NEAR = 2_000
"""Records in a box from which those that stand there are found; where there are more, they are found from those."""
TOLD, STACKED = 12, 100
"""Records up to which a cell names them; and where all of them stand at one place, which no closer look parts."""


EVERYWHERE = Box(-NORTH, -EAST, NORTH, EAST)


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


class Clusters(NamedTuple):
    """What a part of the map shows; `newest`: only so many newest records were looked at, None: all."""

    found: list[Cluster]
    newest: int | None


def clusters(
    conn: Connection, projections: Projections, wanted: Wanted, by: Wanted | None, box: Box, zoom: int
) -> Clusters:
    """The records of a list in the cells that a box touches, at a zoom of a web map, or a coarser one where the box is large.

    `by`: the records whose positions may be lent. Raises KeyError for a kind that has no place."""
    look = _Look(conn, projections, wanted, by)
    frame = cells.frame_of(box, min(zoom, DEEPEST))
    coarse = cells.frame_of(box, min(zoom, LEVELS[0]), MOST)
    kept = look.kept_in(coarse) if look.kept else {}
    there = sum(one.many for one in kept.values()) if look.kept else None
    own = None if there is not None and there > FEW and zoom <= LEVELS[0] else look.own(frame, there)
    if own is None or (look.kept and own.newest is not None):  # a box of streets that holds a city: as far as the counts go
        frame, heaps = coarse, {cell: _Heap(one, []) for cell, one in kept.items()}
        parts = look.lent(frame)
    else:
        heaps, parts = {}, [own, *look.lent(frame)]
    if sum(_add(heaps, look.counted(part, frame)) for part in parts) > MOST and len(heaps) > MOST:
        frame, heaps = cells.frame_of(box, zoom, MOST), {}
        for part in parts:
            _add(heaps, look.counted(part, frame))
    newest = min((part.newest for part in parts if part.newest is not None), default=None)
    return Clusters(sorted((one.cluster() for one in heaps.values()), key=lambda one: (-one.many, one.lat, one.lon)), newest)


def bounds(conn: Connection, projections: Projections, wanted: Wanted, by: Wanted | None) -> Box | None:
    """A box around the records of a list that stand somewhere, as far as they are looked at; None where none does."""
    look = _Look(conn, projections, wanted, by)
    own = [] if look.kept else [look.own(None)]
    boxes = [look.around(part) for part in (*own, *look.lent(None))]
    if look.kept:
        boxes.append(projections.cells.corners(conn, wanted.kind, wanted.areas))
    there = [one for one in boxes if one is not None]
    if not there:
        return None
    return Box(min(one.south for one in there), min(one.west for one in there), max(one.north for one in there), max(one.east for one in there))


class _Heap(NamedTuple):
    """What was found in a cell, and the records as far as they are known."""

    sum: Sum
    names: list[str]

    def cluster(self) -> Cluster:
        many, lats, lons, *corners = self.sum
        box = Box(*corners)
        most = STACKED if (box.south, box.west) == (box.north, box.east) else TOLD
        told = sorted(self.names) if len(self.names) == many <= most else []
        return Cluster(many, _middle(lats, many), _middle(lons, many), told, box)


class _Part(NamedTuple):
    """Selects of (record, lat, lon) that together are a part of a list; `newest`: among so many newest records only; `few`:
    whether they are at most `FEW`, where that is known."""

    reads: list[Any]
    newest: int | None
    few: bool | None = None


def _add(heaps: dict[tuple[int, int], _Heap], more: dict[tuple[int, int], _Heap]) -> int:
    """Put what is in cells together; returns in how many cells something was."""
    for cell, new in more.items():
        old = heaps.get(cell)
        heaps[cell] = new if old is None else _Heap(cells.together(old.sum, new.sum), [*old.names, *new.names])
    return len(more)


def _middle(total: int, many: int) -> int:
    """The mean, rounded to the nearest; of negative ones as well."""
    return (2 * total + many) // (2 * many)


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


class _Look:
    """One look at a list on the map."""

    def __init__(self, conn: Connection, projections: Projections, wanted: Wanted, by: Wanted | None) -> None:
        standing = projections.standing(wanted.kind)
        if standing is None:
            raise KeyError(wanted.kind)
        self._conn, self._projections, self._wanted, self._by, self._standing = conn, projections, wanted, by, standing
        self._lists, self._table = Lists(projections), projections.table(wanted.kind)
        self._conditions = self._lists.conditions(self._table, wanted)
        plain = not wanted.tests and wanted.among is None and wanted.departments is None and not wanted.with_deleted
        self.kept = plain and self._conditions is not None and standing.own is not None and cells.known(wanted.areas)
        """Whether the counts that are kept answer for what has a position of its own."""

    def kept_in(self, frame: Frame) -> dict[tuple[int, int], Sum]:
        return self._projections.cells.within(self._conn, self._wanted.kind, self._wanted.areas, frame)

    def own(self, frame: Frame | None, most: int | None = None) -> _Part:
        """What stands by a position of its own, in a frame or everywhere. `most`: where it is known that there are no more."""
        if self._standing.own is None or self._conditions is None:
            return _Part([], None)
        lat, lon = column(self._standing.own[0], Integer), column(self._standing.own[1], Integer)
        there = [_in(lat, lon, frame.box if frame else None), on_earth(lat, lon)]
        here = [*there, *self._conditions]
        by_place, newest, more = index_of(self._wanted.kind, self._standing.own[0]) if frame else None, None, list[Any]()
        if most is not None and most <= MOST_ROWS:  # nothing has to be counted before
            number, by = self._lists.narrow(self._conn, self._wanted, most)
            index = by if number <= most else by_place
        else:
            index, newest, more = self._rows(MOST_ROWS, by_place, there)
        read = select(column("record", Text).label("record"), lat.label("lat"), lon.label("lon"))
        return _Part([read.select_from(_table(self._projections, self._wanted.kind, index)).where(*here, *more)], newest, most is not None and most <= FEW or None)

    def lent(self, frame: Frame | None) -> list[_Part]:
        """What stands in the position of another record: under the id that this has now, and under one that it had before."""
        by, standing = self._by, self._standing
        if not standing.through or by is None or self._conditions is None:
            return []
        if self._lists.conditions(self._projections.table(by.kind), by) is None:
            return []
        box = frame.box if frame else None
        there = _lenders(self._projections, standing, by, box, by_place=True)
        near = frame is not None and self._number(select(there), NEAR) <= NEAR
        other = there if near else _lenders(self._projections, standing, by, box)
        through: Any = column(standing.through)
        alone = [through.is_not(None), column(standing.own[0]).is_(None) if standing.own else true()]
        index: str | None = stands_by(self._wanted.kind)
        newest, more = None, list[Any]()
        if not near:
            index, newest, more = self._rows(MOST_LENT, index, alone)
        own = (
            select(column("record").label("name"), through.label("through"))
            .select_from(_table(self._projections, self._wanted.kind, index))
            .where(*alone, *self._conditions, *more)
            .subquery()
        )  # fmt: skip
        read = select(own.c.name.label("record"), other.c.lat, other.c.lon)
        # Which of the two is read first decides the cost, and SQLite does not know which is the smaller.
        if near:  # `+` takes an index away
            present = read.where(own.c.through == _plus(other.c.name))
            former = read.where(own.c.through == _plus(aliases.c.member), aliases.c.root == _plus(other.c.name))
            return [_Part([present, former], None)]
        known = own.outerjoin(aliases, aliases.c.member == own.c.through)
        return [_Part([read.select_from(known).where(other.c.name == func.coalesce(aliases.c.root, own.c.through))], newest)]

    def counted(self, part: _Part, frame: Frame) -> dict[tuple[int, int], _Heap]:
        """What of a part is in the cells of a frame; with the records, where they are few."""
        high, wide = cells.size_of(frame.zoom)
        found: dict[tuple[int, int], _Heap] = {}
        for read in part.reads:
            few = part.few if part.few is not None else self._number(read, FEW) <= FEW
            # A name costs a look at the row; without one the index alone answers.
            rows = read.subquery() if few else read.with_only_columns(*[one for one in read.selected_columns if one.key != "record"]).subquery()
            lat, lon = rows.c.lat, rows.c.lon
            row, col = ((lat + NORTH) // high).label("r"), ((lon + EAST) // wide).label("q")
            sums = (func.count(), func.sum(lat), func.sum(lon), func.min(lat), func.min(lon), func.max(lat), func.max(lon))
            names: Any = func.group_concat(rows.c.record) if few else literal("")
            grouped = select(row, col, names, *sums).group_by("r", "q")
            _add(found, {(one[0], one[1]): _Heap(Sum(*one[3:]), one[2].split(",") if one[2] else []) for one in self._conn.execute(grouped)})
        return found

    def around(self, part: _Part) -> Box | None:
        """The box around all of a part."""
        boxes = []
        for read in part.reads:
            rows = read.subquery()
            lat, lon = rows.c.lat, rows.c.lon
            corners = self._conn.execute(select(func.min(lat), func.min(lon), func.max(lat), func.max(lon))).one()
            boxes += [Box(*corners)] if corners[0] is not None else []
        return boxes[0] if boxes else None

    def _rows(self, most: int, index: str | None, there: Sequence[Any]) -> tuple[str | None, int | None, list[Any]]:
        """By which index at most so many rows are read; where none leaves so few, the newest, which the last says.

        `index` knows `there` and the scope; what it does not know is left out when its rows are counted."""
        number, by = self._lists.narrow(self._conn, self._wanted, most)
        if index is not None:
            unasked = self._lists.conditions(self._table, replace(self._wanted, tests=(), among=None, departments=None)) or []
            read: Any = select(literal_column("1")).select_from(_table(self._projections, self._wanted.kind, index)).where(*there, *unasked)
            least = min(number, most)
            if self._number(read, least) <= least:
                return index, None, []
        if number <= most:
            return by, None, []
        primary, record = f"sqlite_autoindex_{self._table.name}_1", column("record", Text)
        newest = select(record).select_from(_table(self._projections, self._wanted.kind, primary)).order_by(record.desc())
        since = self._conn.scalar(newest.offset(most).limit(1))
        return (primary, most, [record > since]) if since is not None else (None, None, [])

    def _number(self, read: Any, most: int) -> int:
        """How many rows a select has, counted to one more than `most`."""
        return int(self._conn.scalar(select(func.count()).select_from(read.limit(most + 1).subquery())) or 0)


def _lenders(projections: Projections, standing: Standing, by: Wanted, box: Box | None, *, by_place: bool = False) -> Any:
    """The records in sight that have a position in a box: (name, lat, lon), to be found by where they are, or by their names."""
    lat, lon = column(standing.axes[0], Integer), column(standing.axes[1], Integer)
    conditions = Lists(projections).conditions(projections.table(by.kind), by) or [~true()]
    primary = f"sqlite_autoindex_{projections.table(by.kind).name}_1"
    source = _table(projections, by.kind, index_of(by.kind, standing.axes[0]) if by_place else primary)
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
