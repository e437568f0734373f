"""A conflict laid out for a person: what was there before, who wrote what when and where, their photos, and what became of it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from schemas.base import DELETED, RecordSchema
from schemas.fields import Point, Rows, Text
from schemas.labels import Label
from schemas.words import label_of, value_of
from server.instance import Instance
from server.merging import backlog, decisions, proposals
from server.reading.finding import Seen
from server.reading.records import File, files
from server.storage import conflicts, journal, people
from server.storage import proposals as rows_of
from server.storage.conflicts import Row
from server.storage.database import Connection
from server.storage.journal import Kept
from server.storage.proposals import Proposal
from sync.core.change import Change, canonical
from sync.core.fold import State, values_of

MOST_PHOTOS = 6
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DRIFT_MS = 2 * 60_000
"""A clock that is off by more than this is pointed out."""
ALIKE = 0.4
"""Texts that have less than this in common are two texts: marking what differs would mark everything."""
MOST_COMPARED = 4000
"""Characters of a text up to which differences are marked."""

History = Sequence[tuple[Change, Kept, int]]


class Piece(NamedTuple):
    """A part of a text; `new` where the text before did not have it."""

    text: str
    new: bool


class Written(NamedTuple):
    """What a change writes on one path: the values that its author saw there, what stands there now, and the new one."""

    path: str
    label: Label
    base: list[Any]
    now: list[Any]
    value: Any
    pieces: list[Piece]


class Side(NamedTuple):
    """One of the changes that a conflict is about.

    wall     by the tablet's clock, milliseconds; `offset`: what it knew then of the clock's error; received: by ours
    drift    how far its clock was from ours, where that is worth a word
    twin     the letter of an earlier side that says the same
    """

    letter: str
    change: str
    by: list[str]
    role: str
    device: str
    device_name: str
    wall: int
    offset: int
    received: int
    drift: int
    status: str
    reason: str
    written: list[Written]
    place: Mapping[str, Any] | None
    photos: list[File]
    twin: str

    @property
    def value(self) -> Any:
        return self.written[0].value if self.written else None


class Event(NamedTuple):
    """A step in the life of a conflict. `undo`: it stands and can be taken back."""

    sort: str
    at: int
    by: list[str]
    reason: str
    value: Label | None


class View(NamedTuple):
    """A conflict for its page.

    base      what all sides saw, where they saw the same
    second    the field for which two people decide; None where one does
    others    what else waits on the same record
    combined  the texts of all sides one under the other, where they are texts
    union     the lists of all sides as one, where they are lists
    """

    row: Row
    ticket: str
    schema: type[RecordSchema] | None
    title: str
    label: Label
    sides: list[Side]
    base: list[Any] | None
    second: Label | None
    proposals: list[Proposal]
    names: Mapping[str, str]
    events: list[Event]
    others: list[Row]
    combined: str
    union: list[Any] | None
    longtext: bool


def lay_out(house: Instance, conn: Connection, row: Row) -> View:
    """A conflict that is in sight, with everything that its page tells."""
    history = journal.history(conn, journal.connected(conn, {row.record}))
    by_id = {change.id: (change, kept, received) for change, kept, received in history}
    state = decisions.merged(conn, [row.record]).get(row.record)
    schema = house.registry.get(row.record_kind)
    devices = journal.devices(conn, list(by_id))
    photos = _photos(house, conn, state, schema, devices)
    places = _places(history, schema, devices)
    device_names = {device.id: device.name for device, _ in people.every_device(conn)} if row.candidates else {}
    sides: list[Side] = []
    for id in sorted((one for one in row.candidates if one in by_id), key=lambda one: (by_id[one][0].hlc, one)):
        sides.append(
            _side(row, by_id, id, LETTERS[len(sides) % 26], devices, device_names, photos, places, state, schema, sides)
        )
    sides = _compared(sides)
    bases = [side.written[0].base for side in sides if side.written] if row.path else []
    proposed = rows_of.of_conflicts(conn, [row.id])
    events = _events(row, history, schema)
    named = {id for side in sides for id in side.by} | {id for one in events for id in one.by}
    names = proposals.names(conn, proposed) | _names(conn, named)
    values = [side.value for side in sides]
    field = schema.field_of(row.path) if schema is not None and row.path != DELETED else None
    texts = isinstance(field, Text) and all(isinstance(value, str) for value in values)
    return View(
        row,
        decisions.ticket(row),
        schema,
        _title(state, schema),
        backlog.path_said(schema, row.path),
        sides,
        bases[0] if bases and all(canonical(one) == canonical(bases[0]) for one in bases) else None,
        proposals.needed(house.registry, conn, row),
        proposed,
        names,
        events,
        [
            one
            for one in conflicts.of_records(conn, [row.record])
            if one.id != row.id and one.status != "resolved"
        ],
        "\n".join(dict.fromkeys(values)) if texts else "",
        _union(values) if isinstance(field, Rows) and all(isinstance(one, list) for one in values) else None,
        isinstance(field, Text) and field.widget == "lines",
    )


# --- Sides ------------------------------------------------------------------------------------------------------


def _side(
    row: Row,
    by_id: Mapping[str, tuple[Change, Kept, int]],
    id: str,
    letter: str,
    devices: Mapping[str, tuple[str, str]],
    device_names: Mapping[str, str],
    photos: Mapping[str, list[File]],
    places: Mapping[str, Mapping[str, Any]],
    state: State | None,
    schema: type[RecordSchema] | None,
    earlier: Sequence[Side],
) -> Side:
    change, kept, received = by_id[id]
    device, role = devices.get(id, ("", ""))
    facts = change.body["clock"]
    wall, offset = int(facts.get("wall", 0)), int(facts.get("off", 0))
    paths = [row.path] if row.path in change.set else list(change.set)
    written = [_written(change, path, by_id, state, schema) for path in paths]
    same = [one.letter for one in earlier if row.path and one.written and written and canonical(one.value) == canonical(written[0].value)]
    return Side(
        letter,
        id,
        change.by,
        role,
        device,
        device_names.get(device, ""),
        wall,
        offset,
        received,
        offset if abs(offset) > DRIFT_MS else 0,
        kept.status,
        kept.reason,
        written,
        places.get(device),
        photos.get(device, [])[:MOST_PHOTOS],
        same[0] if same else "",
    )


def _compared(sides: list[Side]) -> list[Side]:
    """Texts that replace nothing, with what they have beyond the first one marked, and the first beyond the second."""
    if len(sides) < 2 or any(len(side.written) != 1 or side.written[0].base for side in sides):
        return sides
    if not all(isinstance(side.value, str) for side in sides):
        return sides
    first, second = sides[0].value, sides[1].value
    if difflib.SequenceMatcher(None, first[:MOST_COMPARED], second[:MOST_COMPARED], autojunk=False).ratio() < ALIKE:
        return sides
    return [
        side._replace(written=[side.written[0]._replace(pieces=pieces(second if side is sides[0] else first, side.value))])
        for side in sides
    ]


def _written(
    change: Change,
    path: str,
    by_id: Mapping[str, tuple[Change, Kept, int]],
    state: State | None,
    schema: type[RecordSchema] | None,
) -> Written:
    base = [by_id[p][0].value(path) for p in change.parents(path) if p in by_id and path in by_id[p][0].set]
    now = list(state.live.get(path, {}).values()) if state is not None else []
    value = change.value(path)
    label = label_of(schema, path) if schema is not None else backlog.path_said(None, path)
    before = base[0] if len(base) == 1 and isinstance(base[0], str) else ""
    return Written(path, label, base, now, value, pieces(before, value) if isinstance(value, str) else [])


def pieces(before: str, after: str) -> list[Piece]:
    """A text with what is new in it marked; unmarked where there is nothing to compare with."""
    if not before or max(len(before), len(after)) > MOST_COMPARED:
        return [Piece(after, False)]
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    return [Piece(after[start:end], tag != "equal") for tag, _, _, start, end in matcher.get_opcodes() if end > start]


def _photos(
    house: Instance, conn: Connection, state: State | None, schema: type[RecordSchema] | None, devices: Mapping[str, tuple[str, str]]
) -> dict[str, list[File]]:
    """device → the pictures that it added to the record; none behind a wall, and none that somebody handed over."""
    if state is None or schema is None or schema.compartment:
        return {}
    seen = Seen(state.record, state, values_of(state, schema.merge_of))
    found: dict[str, list[File]] = {}
    for file in files(house, conn, seen):
        if file.mime.startswith("image/"):
            for change in state.live.get(f"evidence/{file.id}", {}):
                found.setdefault(devices.get(change, ("", ""))[0], []).append(file)
    return found


def _places(
    history: History, schema: type[RecordSchema] | None, devices: Mapping[str, tuple[str, str]]
) -> dict[str, Mapping[str, Any]]:
    """device → the newest position that it wrote into the record."""
    names = [name for name, field in schema.fields_by_name().items() if isinstance(field, Point)] if schema is not None else []
    return {
        devices[change.id][0]: change.value(name)
        for change, _, _ in history
        for name in names
        if name in change.set and isinstance(change.value(name), dict) and change.id in devices
    }


def _union(values: Sequence[Any]) -> list[Any]:
    """Every entry of these lists once, in the order of the lists."""
    found = {canonical(entry): entry for value in values for entry in value}
    return list(found.values())


# --- What became of it ------------------------------------------------------------------------------------------


def _events(row: Row, history: History, schema: type[RecordSchema] | None) -> list[Event]:
    """The decisions on a conflict and those that took them back, oldest first."""
    about: set[str] = set()
    found: list[Event] = []
    for change, _, received in history:
        decision = change.decision
        if decision is None:
            continue
        named = {decision.get("conflict"), *decision.get("conflicts", ())}
        if row.id in named or (decision["do"] in ("admit", "close") and set(change.targets) & set(row.candidates)):
            about.add(change.id)
            value = value_of(schema, row.path, change.value(row.path)) if schema is not None and row.path in change.set else None
            if row.path == DELETED and row.path in change.set:
                value = Label("维持删除", "stays deleted") if change.value(row.path) else Label("恢复", "brought back")
            found.append(Event(decision["do"], received, change.by, decision["reason"], value))
        elif decision["do"] == "withdraw" and set(change.targets) & about:
            about.add(change.id)
            found.append(Event("withdraw", received, change.by, decision["reason"], None))
    return found


def _names(conn: Connection, ids: set[str]) -> dict[str, str]:
    return {id: known.name for id in ids if (known := people.person(conn, id)) is not None}


def _title(state: State | None, schema: type[RecordSchema] | None) -> str:
    if state is None or schema is None:
        return ""
    said = values_of(state, schema.merge_of).get(schema.title)
    return said if isinstance(said, str) else ""


def titles(house: Instance, conn: Connection, rows: Sequence[Row]) -> dict[str, str]:
    """record → what it is called, for a list of conflicts."""
    states = decisions.merged(conn, list({row.record for row in rows}))
    return {record: _title(state, house.registry.get(state.kind)) for record, state in states.items()}

