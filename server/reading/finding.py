"""Records at the desk as somebody's grants let them be seen: what lies outside does not exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from schemas.base import RecordSchema
from schemas.labels import Label
from server.instance import Instance
from server.storage import states
from server.storage.database import Connection
from sync.core.errors import NotFound
from sync.core.fold import State, contested, values_of
from sync.core.rules import Rights

LEAST = 4
"""Characters of the end of an id that are enough to name a record."""


class Seen(NamedTuple):
    """A record in sight: its merged state, and path → value without what is in conflict."""

    record: str
    state: State
    values: dict[str, Any]

    def names(self, field: str) -> dict[str, Any]:
        """The values of a keyed field by key, without those that were cleared or taken off."""
        start = f"{field}/"
        found = {path[len(start) :]: value for path, value in self.values.items() if path.startswith(start)}
        return {key: value for key, value in sorted(found.items()) if value not in (None, False)}


def every(house: Instance, conn: Connection, rights: Rights, kind: str, area: str = "") -> Iterator[Seen]:
    """The records of a kind in sight, and in an area if one is given, in the order in which they were made."""
    schema = house.registry[kind]
    for row in house.projections.rows(conn, kind):
        if area and not (row[schema.area_field or "area"] or "").startswith(area):
            continue
        if _in_sight(rights, schema, row):
            yield read(house, conn, row["record"])


def one(house: Instance, rights: Rights, kind: str, text: str) -> Seen:
    """The record of a kind with this id, or the only one whose id ends so. Raises NotFound, out of sight too."""
    with house.database.read() as conn:
        schema = house.registry[kind]
        found = [
            row["record"]
            for row in house.projections.rows(conn, kind)
            if row["record"].endswith(text) and _in_sight(rights, schema, row)
        ]
        if len(text) < LEAST or (len(found) != 1 and text not in found):
            raise NotFound(what=Label(f"唯一的{schema.label.zh} {text}", f"a single {schema.label.en.lower()} {text}"))
        return read(house, conn, text if text in found else found[0])


def read(house: Instance, conn: Connection, record: str) -> Seen:
    """A record that is known to be there."""
    state = State.read(states.load(conn, [record])[record].bytes)
    merge_of = house.registry[state.kind].merge_of
    unclear = set(contested(state, merge_of))
    shown = {path: value for path, value in values_of(state, merge_of).items() if path not in unclear}
    return Seen(record, state, shown)


def _in_sight(rights: Rights, schema: type[RecordSchema], row: dict[str, Any]) -> bool:
    """Reference data, which has no area, is for everybody."""
    if schema.area_field is None:
        return not schema.compartment
    return rights.covers(row[schema.area_field] or "", schema.compartment)
