"""One table per kind with typed columns, made from the schemas: what lists, filters and exports read.

Nothing is kept here that is not in the log; `rebuild` makes the tables again from the states. A column whose path is in
conflict is NULL and named in `conflicted`, so that no list ever shows a value that nobody decided.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import BigInteger, Boolean, Column, Connection, Index, MetaData, Table, Text, select

from schemas.base import RecordSchema
from schemas.registry import Registry
from server.storage import states
from server.storage.database import Bulk
from sync.core.fold import State, contested, deleted, values_of

_TYPES: dict[str, Any] = {"text": Text, "integer": BigInteger, "boolean": Boolean}
_HOLDS: dict[str, type] = {"text": str, "integer": int, "boolean": bool}


class Projections:
    """The projection tables of a registry's kinds."""

    def __init__(self, registry: Registry) -> None:
        self.metadata = MetaData()
        self._registry = registry
        self._tables = {schema.kind: self._table(schema) for schema in registry}
        self._writes = {
            kind: Bulk(table, [c.name for c in table.columns], conflict=("record",))
            for kind, table in self._tables.items()
        }
        self._columns = {
            schema.kind: [(name, _HOLDS[field.column or "text"]) for name, field in schema.projected()]
            for schema in registry
        }

    def table(self, kind: str) -> Table:
        """The projection of a kind; raises KeyError for an unknown one."""
        return self._tables[kind]

    def create(self, conn: Connection) -> None:
        """Make the tables that do not exist; a kind with new fields is made again by `rebuild`."""
        self.metadata.create_all(conn)

    def write(self, conn: Connection, merged: Iterable[State]) -> None:
        """Replace the rows of these records."""
        by_kind: dict[str, list[tuple[Any, ...]]] = {}
        for state in merged:
            if state.kind in self._tables:
                by_kind.setdefault(state.kind, []).append(self._row(state))
        for kind, rows in by_kind.items():
            self._writes[kind](conn, rows)

    def forget(self, conn: Connection, records: Iterable[tuple[str, str]]) -> None:
        """Drop the rows of (kind, record) that were merged into another."""
        for kind, record in records:
            if kind in self._tables:
                table = self._tables[kind]
                conn.execute(table.delete().where(table.c.record == record))

    def rebuild(self, conn: Connection) -> int:
        """Make every projection again from the states; returns the number of rows."""
        self.metadata.drop_all(conn)
        self.metadata.create_all(conn)
        count = 0
        batch: list[State] = []
        for stored in states.scan(conn):
            batch.append(State.read(stored.bytes))
            count += 1
            if len(batch) == 1000:
                self.write(conn, batch)
                batch = []
        self.write(conn, batch)
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

    def _table(self, schema: type[RecordSchema]) -> Table:
        name = f"p_{schema.kind}"
        columns = [
            Column(field_name, _TYPES[field.column or "text"])
            for field_name, field in schema.projected()
            if field_name not in ("record", "conflicted", "deleted", "rev")
        ]
        table = Table(
            name,
            self.metadata,
            Column("record", Text, primary_key=True),
            Column("rev", BigInteger, nullable=False),
            Column("deleted", Boolean, nullable=False),
            Column("conflicted", Text, nullable=False),
            *columns,
        )
        if schema.area_field and schema.area_field in table.c:
            Index(f"{name}_by_area", table.c[schema.area_field])
        for field_name in schema.indexed:
            Index(f"{name}_by_{field_name}", table.c[field_name])
        return table

    def _row(self, state: State) -> tuple[Any, ...]:
        if not state.plain:
            return self._unclear_row(state)
        row: list[Any] = [state.record, state.rev, False, "[]"]
        live = state.live
        for name, holds in self._columns[state.kind]:
            value = None
            if name in live:
                (value,) = live[name].values()
            row.append(value if type(value) is holds else None)  # staff may have admitted a value of another type
        return tuple(row)

    def _unclear_row(self, state: State) -> tuple[Any, ...]:
        """The row of a record where something may be contested."""
        merge_of = self._registry[state.kind].merge_of
        unclear = contested(state, merge_of)
        shown = {path: value for path, value in values_of(state, merge_of).items() if path not in unclear}
        values = (
            shown.get(name) if type(shown.get(name)) is holds else None for name, holds in self._columns[state.kind]
        )
        return (state.record, state.rev, deleted(state), orjson.dumps(unclear).decode(), *values)
