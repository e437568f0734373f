"""One table per kind with typed columns, made from the schemas: what lists, filters and exports read.

Nothing is kept here that is not in the log; `rebuild` makes the tables again from the states, and with them how many records are
in each cell of the map (`cells`), which are counted where rows are written. A column whose path is in
conflict is NULL and named in `conflicted`, so that no list ever shows a value that nobody decided.

Beside the fields a row has columns of its own (`OWN`): where the record belongs (`scope`, the division code that decides
who sees it; it stands even while the area is in conflict), when its newest live value was written (`newest`, ms), and the
latitude and longitude of each position in 1e-7 degree. A kind with a workflow has when its status was given (`stepped`, ms; NULL
where it is in conflict). The tags of a field with options, and the
departments that a kind names, are in one column each, between commas. Columns by which people put long lists in order (`sorts`) have an
index that tells order and scope without a look at the rows.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import BigInteger, Boolean, Column, Connection, Index, MetaData, Table, Text, and_, select
from sqlalchemy.schema import CreateTable

from schemas.base import RecordSchema
from schemas.fields import Ref
from schemas.registry import Registry
from server.storage import cells, facts, states
from server.storage.cells import Cells, Spot
from server.storage.database import Bulk
from server.storage.journal import _slices
from sync.core import clock
from sync.core.fold import State, contested, deleted, values_of

_TYPES: dict[str, Any] = {"text": Text, "integer": BigInteger, "boolean": Boolean}
_HOLDS: dict[str, type] = {"text": str, "integer": int, "boolean": bool}
OWN = ("record", "rev", "deleted", "conflicted", "scope", "newest")
"""Columns that every projection has and no schema; a field is not named so."""
STEPPED = "stepped"
"""The column that tells when the status of a record was given; kinds with a workflow have it."""
SHAPES = "projections"
"""The fact that tells for which tables the rows were made: kind → digest, as JSON."""
CELLS = "cells"
"""The same of the counts: kind → its position and the form of the counts."""


class Standing(NamedTuple):
    """How records of a kind stand on a map: by a position of their own, or by that of the record which they name.

    own      the columns of their own latitude and longitude, where the kind has a position
    through  the column that names the other record, where there is one: of the kind `other`, which stands by `axes`
    """

    own: tuple[str, str] | None
    through: str = ""
    other: str = ""
    axes: tuple[str, str] = ("", "")


class Projections:
    """The projection tables of a registry's kinds."""

    def __init__(self, registry: Registry) -> None:
        self.metadata = MetaData()
        self._registry = registry
        self._tables = {schema.kind: self._table(schema) for schema in registry}
        self.cells = Cells(self.metadata)
        self._points = {schema.kind: list(schema.points()) for schema in registry}
        self._tags = {schema.kind: list(schema.tagged()) for schema in registry}
        self._writes = {
            kind: Bulk(table, [c.name for c in table.columns], conflict=("record",))
            for kind, table in self._tables.items()
        }
        self._counted = {kind: f"{cells.FORM} {names[0]}" for kind, names in self._points.items() if names}
        self._places = {
            kind: tuple(list(self._tables[kind].c.keys()).index(name) for name in ("deleted", "scope", *axes_of(self._points[kind][0])))
            for kind in self._counted
        }
        self._columns = {
            schema.kind: [(name, _HOLDS[field.column or "text"]) for name, field in schema.projected()]
            for schema in registry
        }

    def table(self, kind: str) -> Table:
        """The projection of a kind; raises KeyError for an unknown one."""
        return self._tables[kind]

    def standing(self, kind: str) -> Standing | None:
        """How records of a kind stand on a map; None where they have no place there. Raises KeyError for an unknown kind."""
        return _standing(self._registry, self._registry[kind])

    def status_of(self, kind: str) -> str:
        """The column that the workflow of a kind moves. Raises KeyError where it has none."""
        status = self._registry[kind].status_path()
        if status is None:
            raise KeyError(kind)
        return status

    def create(self, conn: Connection) -> None:
        """Make the tables that do not exist."""
        self.metadata.create_all(conn)

    def renew(self, conn: Connection) -> None:
        """Make again the tables, with their rows, that are not those of this program's kinds."""
        self._make(conn, self._old(conn, SHAPES))
        self._count(conn, self._old(conn, CELLS))

    def current(self, conn: Connection) -> bool:
        """Whether the tables are those of this program's kinds."""
        return not self._old(conn, SHAPES) and not self._old(conn, CELLS)

    def _old(self, conn: Connection, fact: str) -> list[str]:
        """The kinds whose rows, or counts, were made for another table."""
        made = _said(conn, fact)
        return [kind for kind, shape in (self.shapes if fact == SHAPES else self._counted).items() if made.get(kind) != shape]

    def write(self, conn: Connection, merged: Iterable[State]) -> None:
        """Replace the rows of these records."""
        by_kind: dict[str, list[tuple[Any, ...]]] = {}
        for state in merged:
            if state.kind in self._tables:
                by_kind.setdefault(state.kind, []).append(self._row(state))
        for kind, rows in by_kind.items():
            if kind in self._counted:
                come = [spot for row in rows if (spot := self._spot(kind, row)) is not None]
                self.cells.move(conn, kind, self._spots(conn, kind, [row[0] for row in rows]), come)
            self._writes[kind](conn, rows)

    def forget(self, conn: Connection, records: Iterable[tuple[str, str]]) -> None:
        """Drop the rows of (kind, record) that were merged into another."""
        for kind, record in records:
            if kind in self._tables:
                table = self._tables[kind]
                if kind in self._counted:
                    self.cells.move(conn, kind, self._spots(conn, kind, [record]), [])
                conn.execute(table.delete().where(table.c.record == record))

    def rebuild(self, conn: Connection) -> int:
        """Make every projection again from the states, and the counts; returns the number of records."""
        count = self._make(conn, list(self._tables))
        self._count(conn, list(self._counted))
        return count

    def _count(self, conn: Connection, kinds: Sequence[str]) -> None:
        """Count the records of these kinds in their cells again."""
        if kinds:
            if len(kinds) == len(self._counted):
                self.cells.table.drop(conn, checkfirst=True)  # it may be of another form
            self.cells.table.create(conn, checkfirst=True)
            for kind in kinds:
                self.cells.remake(conn, kind, self._tables[kind], *axes_of(self._points[kind][0]))
            made = _said(conn, CELLS) | {kind: self._counted[kind] for kind in kinds}
            facts.put(conn, CELLS, orjson.dumps(made, option=orjson.OPT_SORT_KEYS).decode())

    def _spots(self, conn: Connection, kind: str, records: Collection[str]) -> list[Spot]:
        """Where these records count now."""
        c = self._tables[kind].c
        lat, lon = (c[name] for name in axes_of(self._points[kind][0]))
        wanted = select(c.scope, lat, lon).where(c.deleted.is_(False), lat.is_not(None), lon.is_not(None))
        return [Spot(*row) for some in _slices(records) for row in conn.execute(wanted.where(c.record.in_(some)))]

    def _spot(self, kind: str, row: tuple[Any, ...]) -> Spot | None:
        """Where the record of a row counts; None where it has no position or was deleted."""
        deleted_at, scope, lat, lon = self._places[kind]
        return None if row[deleted_at] or row[lat] is None else Spot(row[scope], row[lat], row[lon])

    def _make(self, conn: Connection, kinds: Sequence[str]) -> int:
        """Make the tables of these kinds again in one pass over the states; indexes last, when all rows are there."""
        if not kinds:
            return 0
        tables = [self._tables[kind] for kind in kinds]
        self.metadata.drop_all(conn, tables)
        for table in tables:
            conn.execute(CreateTable(table))
        count = 0
        batches: dict[str, list[tuple[Any, ...]]] = {kind: [] for kind in kinds}
        for stored in states.scan(conn, kinds):
            batch = batches[stored.kind]
            batch.append(self._row(State.read(stored.bytes)))
            count += 1
            if len(batch) == 1000:
                self._writes[stored.kind](conn, batch)
                batch.clear()
        for kind, batch in batches.items():
            self._writes[kind](conn, batch)
        for table in tables:
            for index in sorted(table.indexes, key=lambda one: str(one.name)):
                index.create(conn)
        counted = {kind: shape for kind, shape in _said(conn, CELLS).items() if kind not in kinds}
        facts.put(conn, CELLS, orjson.dumps(counted, option=orjson.OPT_SORT_KEYS).decode())
        shapes = _said(conn, SHAPES) | {kind: self.shapes[kind] for kind in kinds}
        facts.put(conn, SHAPES, orjson.dumps(shapes, option=orjson.OPT_SORT_KEYS).decode())
        return count

    def rows(self, conn: Connection, kind: str, *, with_deleted: bool = False) -> Iterable[dict[str, Any]]:
        """The rows of a kind, streamed in the order of record ids, which is the order of creation."""
        table = self._tables[kind]
        wanted = select(table).order_by(table.c.record)
        if not with_deleted:
            wanted = wanted.where(table.c.deleted.is_(False))
        for row in conn.execution_options(yield_per=1000).execute(wanted):
            yield dict(row._mapping)

    def find(self, conn: Connection, kind: str, field: str, value: str) -> list[dict[str, Any]]:
        """The rows of a kind with this value, oldest first; for fields that the kind declares as `indexed`."""
        table = self._tables[kind]
        wanted = select(table).where(table.c[field] == value, table.c.deleted.is_(False)).order_by(table.c.record)
        return [dict(row._mapping) for row in conn.execute(wanted)]

    @functools.cached_property
    def shapes(self) -> dict[str, str]:
        """kind → a digest of the columns and indexes of its table."""
        found = {}
        for kind, table in self._tables.items():
            said = [*(str(column.type) + column.name for column in table.columns), *sorted(map(_told, table.indexes))]
            found[kind] = hashlib.sha256(orjson.dumps(said)).hexdigest()[:16]
        return found

    def _table(self, schema: type[RecordSchema]) -> Table:
        name = f"p_{schema.kind}"
        columns = [
            Column(field_name, _TYPES[field.column or "text"])
            for field_name, field in schema.projected()
            if field_name not in OWN
        ]
        columns += [Column(field_name, Text) for field_name in schema.tagged()]
        axes = [Column(axis, BigInteger) for name in schema.points() for axis in axes_of(name)]
        if schema.status_path() is not None:
            axes.append(Column(STEPPED, BigInteger))
        table = Table(
            name,
            self.metadata,
            Column("record", Text, primary_key=True),
            Column("rev", BigInteger, nullable=False),
            Column("deleted", Boolean, nullable=False),
            Column("conflicted", Text, nullable=False),
            Column("scope", Text, nullable=False),
            Column("newest", BigInteger, nullable=False),
            *columns,
            *axes,
        )
        c = table.c
        Index(index_of(schema.kind, "scope"), c.scope, c.record, c.deleted)
        for field_name in ("newest", *schema.sorts):
            Index(index_of(schema.kind, field_name), c[field_name], c.record, c.scope, c.deleted)
        for lat, lon in map(axes_of, schema.points()):
            Index(index_of(schema.kind, lat), c[lat], c[lon], c.scope, c.deleted, sqlite_where=c[lat].is_not(None))
        standing = _standing(self._registry, schema)
        if standing is not None and standing.through:
            bare = c[standing.through].is_not(None)
            Index(
                stands_by(schema.kind), c[standing.through], c.scope, c.deleted,
                sqlite_where=and_(c[standing.own[0]].is_(None), bare) if standing.own else bare,
            )  # fmt: skip
        if (status := schema.status_path()) is not None:
            Index(stepped_by(schema.kind), c[status], c[STEPPED], c.scope, c.deleted)
        for field_name in schema.indexed:
            Index(f"{name}_by_{field_name}", table.c[field_name])
        return table

    def _row(self, state: State) -> tuple[Any, ...]:
        if not state.plain:
            return self._unclear_row(state)
        live = state.live
        row: list[Any] = [state.record, state.rev, False, "[]", self._scope(state), _newest(state)]
        for name, holds in self._columns[state.kind]:
            value = None
            if name in live:
                (value,) = live[name].values()
            row.append(value if type(value) is holds else None)  # staff may have admitted a value of another type
        row += _tagged(state, self._tags[state.kind])
        for name in self._points[state.kind]:
            row += _axes(next(iter(live[name].values())) if name in live else None)
        if (status := self._registry[state.kind].status_path()) is not None:
            row.append(_stepped(state, status))
        return tuple(row)

    def _scope(self, state: State) -> str:
        """The division code that decides who sees a record: of several in conflict the newest, as its bucket does."""
        live = state.live.get(self._registry[state.kind].area_field or "")
        if not live:
            return ""
        value = live[max(live, key=lambda change: (state.acts[change].hlc, change))]
        return value if type(value) is str else ""

    def _unclear_row(self, state: State) -> tuple[Any, ...]:
        """The row of a record where something may be contested."""
        merge_of = self._registry[state.kind].merge_of
        unclear = contested(state, merge_of)
        shown = {path: value for path, value in values_of(state, merge_of).items() if path not in unclear}
        values = (
            shown.get(name) if type(shown.get(name)) is holds else None for name, holds in self._columns[state.kind]
        )
        tags = _tagged(state, self._tags[state.kind])
        axes = (one for name in self._points[state.kind] for one in _axes(shown.get(name)))
        own = (state.record, state.rev, deleted(state), orjson.dumps(unclear).decode(), self._scope(state), _newest(state))
        status = self._registry[state.kind].status_path()
        stepped = () if status is None else (None if status in unclear else _stepped(state, status),)
        return (*own, *values, *tags, *axes, *stepped)


def _said(conn: Connection, fact: str) -> dict[str, str]:
    """kind → what its rows were made for."""
    said = facts.get(conn, fact)
    return orjson.loads(said) if said.startswith("{") else {}


def axes_of(name: str) -> tuple[str, str]:
    """The columns of a position."""
    return f"{name}_lat", f"{name}_lon"


def stepped_by(kind: str) -> str:
    """The index that tells which status records have since when, and the scope, without a look at the rows."""
    return f"p_{kind}_stepped"


def stands_by(kind: str) -> str:
    """The index that finds the records which stand in the position of another one, by that one."""
    return f"p_{kind}_stands_by"


def _standing(registry: Registry, schema: type[RecordSchema]) -> Standing | None:
    own = next(map(axes_of, schema.points()), None)
    named = schema.fields_by_name().get(schema.placed_by)
    if isinstance(named, Ref) and named.column is not None and named.target in registry.names():
        axes = next(map(axes_of, registry[named.target].points()), None)
        if axes is not None:
            return Standing(own, schema.placed_by, named.target, axes)
    return Standing(own) if own is not None else None


def index_of(kind: str, column: str) -> str:
    """The index that tells the order of a column, and the scope, without a look at the rows."""
    return f"p_{kind}_order_{column}"


def _axes(value: Any) -> tuple[int | None, int | None]:
    found = (value.get("lat"), value.get("lon")) if type(value) is dict else (None, None)
    return found if type(found[0]) is int and type(found[1]) is int else (None, None)


def _tagged(state: State, names: Sequence[str]) -> list[str | None]:
    """The keys of each of these tag fields that stand, between commas; None where none does."""
    found: dict[str, list[str]] = {name: [] for name in names}
    if names:
        for path, live in state.live.items():
            name, slash, key = path.partition("/")
            if slash and name in found and True in live.values():
                found[name].append(key)
    return [f",{','.join(sorted(keys))}," if keys else None for keys in found.values()]


def _newest(state: State) -> int:
    return clock.wall_ms(max(act.hlc for act in state.acts.values())) if state.acts else 0


def _stepped(state: State, status: str) -> int | None:
    """When the status of a record was given, by the clock of the tablet or the desk, ms."""
    live = state.live.get(status)
    return clock.wall_ms(max(state.acts[change].hlc for change in live)) if live else None


def _told(index: Index) -> str:
    return f"{index.name} {','.join(column.name for column in index.columns)}"
