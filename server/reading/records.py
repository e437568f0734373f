"""One record as somebody at a desk sees it: merged values, every change that made it, what it names and what names it.

What is out of sight does not exist: the same NotFound as for an id that never was. An id that was merged into another
leads to what it is now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from schemas.base import DELETED, DEPARTMENTS, RecordSchema
from schemas.fields import Attachments, Ref, Tags
from server.access.policy import Sight
from server.instance import Instance
from server.reading.finding import Seen, read
from server.storage import blobs, journal, people, states, texts
from server.storage.database import Connection
from sync.core.change import Change
from sync.core.errors import NotFound
from sync.core.fold import State, deleted, values_of

MOST_CHANGES = 300
"""Changes of one record that its page tells, the newest; the others are counted."""
SHOWN_BY = ("thumbnail", "preview")
"""Fields of evidence that name a smaller picture of it."""


class Told(NamedTuple):
    """What one change wrote on one path: what it replaced, and what it put there."""

    path: str
    before: list[Any]
    after: Any


class Step(NamedTuple):
    """One change of a record's history.

    at       by the device's clock; `received`: by the server's; both milliseconds
    by       ids of the people; device: that which wrote it; decision: where it is one, what was decided and why
    leaf     its place in the log of a compartment
    """

    id: str
    record: str
    at: int
    received: int
    by: list[str]
    role: str
    device: str
    status: str
    reason: str
    log: str
    leaf: int
    decision: Mapping[str, Any] | None
    told: list[Told]


class Name(NamedTuple):
    """What a record is called: its kind, and its title where it has one."""

    record: str
    kind: str
    title: str


class File(NamedTuple):
    """A file that a record names.

    id       the key under which it is attached
    record   the evidence record that tells of it, or the one that names it where there is none
    picture  digest of the smaller picture that is held, and the one for a screen; empty: made from the file, if it is held
    """

    id: str
    record: str
    sha256: str
    size: int
    mime: str
    held: bool
    thumbnail: str
    preview: str
    caption: str
    values: Mapping[str, Any]


def text_sight(sight: Sight) -> texts.Sight:
    """The same sight, for the index of texts."""
    return texts.Sight({"": sight.prefixes(), **{wall: sight.prefixes(wall) for wall in sight.within}}, sight.departments)


def schema_of(house: Instance, sight: Sight, kind: str) -> type[RecordSchema]:
    """A kind that somebody sees. Raises NotFound; what lies behind a wall is no kind for those in front of it."""
    schema = house.registry.get(kind)
    if schema is None or schema not in kinds_in_sight(house, sight):
        raise NotFound(what=kind)
    return schema


def kinds_in_sight(house: Instance, sight: Sight) -> list[type[RecordSchema]]:
    """The kinds of which lists may be shown: none behind a wall for those in front of it, and none kept at the desk."""
    return [one for one in house.registry if not one.at_desk and sight.prefixes(one.compartment)]


def one(house: Instance, conn: Connection, sight: Sight, record: str, kind: str = "") -> Seen:
    """A record in sight, under any id that it ever had. Raises NotFound, also for one of another kind than is asked for."""
    root = journal.roots(conn, [record]).get(record, record)
    _, place = states.placed(conn, [root]).get(root, (0, None))
    if place is None or not _covers(sight, place.bucket):
        raise NotFound(what=record)
    seen = read_any(house, conn, root)
    if kind not in ("", seen.state.kind):
        raise NotFound(what=record)
    if sight.departments is not None and not _named(seen.state) & sight.departments:
        raise NotFound(what=record)
    return seen


def read_any(house: Instance, conn: Connection, record: str) -> Seen:
    """The same as `finding.read`, also for a kind that this program does not know."""
    state = State.read(bytes(states.load(conn, [record])[record].bytes))
    if state.kind in house.registry.names():
        return read(house, conn, record)
    return Seen(record, state, values_of(state, lambda path: "scalar"))


def _covers(sight: Sight, bucket: str) -> bool:
    sort = bucket.partition(":")[0]
    if sort == "ref":
        return bool(sight.prefixes())
    if sort == "home":  # it has no place yet
        return "" in sight.prefixes()
    return sight.covers_bucket(bucket)


def in_sight(conn: Connection, sight: Sight, ids: Collection[str], home: str = "") -> set[str]:
    """Those of these records that lie in areas in sight; and those without an area of the tablet `home`, which is."""
    own = f"home:{home}" if home else None
    found = {id: place for id, (_, place) in states.placed(conn, ids).items() if place is not None}
    return {id for id, place in found.items() if place.bucket == own or _covers(sight, place.bucket)}


def _named(state: State) -> set[str]:
    start = f"{DEPARTMENTS}/"
    return {path[len(start) :] for path, live in state.live.items() if path.startswith(start) and True in live.values()}


# --- what it is called ------------------------------------------------------------------------------------------------


def names(house: Instance, conn: Connection, sight: Sight, ids: Iterable[str]) -> dict[str, Name]:
    """id → what it is called, of those of these ids that are records in sight."""
    wanted = sorted(set(ids))
    roots = dict.fromkeys(wanted, "") | {id: id for id in wanted} | journal.roots(conn, wanted)
    places = states.placed(conn, set(roots.values()))
    stored = states.load(conn, [root for root, (_, place) in places.items() if place and _covers(sight, place.bucket)])
    found = {}
    for id in wanted:
        row = stored.get(roots[id])
        if row is not None and row.bucket is not None:
            state = State.read(bytes(row.bytes))
            if sight.departments is None or _named(state) & sight.departments:
                found[id] = Name(roots[id], state.kind, title_of(house, state))
    return found


def title_of(house: Instance, state: State) -> str:
    """What a record is called; empty where it has no title or several."""
    schema = house.registry.get(state.kind)
    live = state.live.get(schema.title, {}) if schema is not None else {}
    values = set(map(str, live.values()))
    return values.pop() if len(values) == 1 else ""


def people_of(conn: Connection, ids: Iterable[str]) -> dict[str, str]:
    """person id → name, of those that are known."""
    found = {id: people.person(conn, id) for id in set(ids)}
    return {id: person.name for id, person in found.items() if person is not None}


def devices_of(conn: Connection, ids: Iterable[str]) -> dict[str, str]:
    """device id → name, of those that are tablets."""
    found = {id: people.device(conn, id) for id in set(ids)}
    return {id: device.name for id, device in found.items() if device is not None}


def references(schema: type[RecordSchema], state: State) -> dict[str, list[str]]:
    """path → ids of records that it names; of a keyed field, the key is the id."""
    found: dict[str, list[str]] = {}
    for path, live in state.live.items():
        field = schema.field_of(path)
        if isinstance(field, Ref):
            found[path] = [value for value in live.values() if isinstance(value, str)]
        elif isinstance(field, Tags) and field.target is not None and True in live.values():
            found[path] = [path.partition("/")[2]]
    return found


def named_in(schema: type[RecordSchema], steps: Iterable[Step]) -> list[str]:
    """The ids of records that changes of a history named."""
    return [
        told.after for step in steps for told in step.told if isinstance(schema.field_of(told.path), Ref) and isinstance(told.after, str)
    ]


# --- its history ------------------------------------------------------------------------------------------------------


def history(
    conn: Connection, state: State, schema: type[RecordSchema] | None = None, role: str = ""
) -> tuple[list[Step], int]:
    """The newest changes of a record and of what was merged into it, newest first, and how many there are in all; without
    what the kind keeps from a role."""
    hidden = {name for name, field in schema.fields_by_name().items() if role in field.hidden_from} if schema else set()
    everything = journal.history(conn, {state.record, *state.members})
    everything.sort(key=lambda entry: (entry[2], entry[1].log, entry[1].leaf))
    changes = {change.id: change for change, _, _ in everything}
    newest = everything[-MOST_CHANGES:][::-1]
    wrote = journal.devices(conn, [change.id for change, _, _ in newest])
    steps = []
    for change, kept, received in newest:
        device, role = wrote.get(change.id, ("", ""))
        steps.append(
            Step(
                change.id, change.record, int(change.body["clock"].get("wall", 0)), received, list(change.by), role, device,
                kept.status, kept.reason, kept.log, kept.leaf, change.decision,
                [_told(changes, change, path) for path in change.set if path.partition("/")[0] not in hidden],
            )  # fmt: skip
        )
    return steps, len(everything)


def values_then(conn: Connection, state: State, looked_at: Mapping[str, Collection[str]]) -> dict[str, Any]:
    """path → the value that somebody was shown, by the ids of the changes that they looked at."""
    changes = {change.id: change for change, _, _ in journal.history(conn, {state.record, *state.members})}
    return {
        path: changes[one].value(path)
        for path, ids in looked_at.items()
        for one in ids
        if one in changes and path in changes[one].set
    }


def _told(changes: Mapping[str, Change], change: Change, path: str) -> Told:
    before = [changes[one].value(path) for one in change.parents(path) if one in changes and path in changes[one].set]
    return Told(path, before, change.value(path))


def writers(conn: Connection, state: State) -> dict[str, tuple[list[str], int]]:
    """path → who wrote the live values, and when by the server's clock (milliseconds)."""
    received = {change.id: at for change, _, at in journal.history(conn, {state.record, *state.members})}
    return {
        path: (
            sorted({person for id in live for person in state.acts[id].by}),
            max((received.get(id, 0) for id in live), default=0),
        )
        for path, live in state.live.items()
        if path != DELETED
    }


# --- its files ---------------------------------------------------------------------------------------------------------


def files(house: Instance, conn: Connection, seen: Seen) -> list[File]:
    """The files that a record names: what is attached to it, or of a piece of evidence itself."""
    schema = house.registry.get(seen.state.kind)
    if schema is None:
        return []
    attached: dict[str, Mapping[str, Any]] = {}
    for path, value in seen.values.items():
        if isinstance(schema.field_of(path), Attachments) and isinstance(value, dict) and "sha256" in value:
            attached[path.partition("/")[2]] = value
    if seen.state.kind == "evidence" and isinstance(seen.values.get("sha256"), str):
        attached[seen.record] = seen.values
    told = _values(house, conn, attached)
    digests = {str(value["sha256"]) for value in attached.values()}
    digests |= {str(values[name]) for values in told.values() for name in SHOWN_BY if values.get(name)}
    missing = blobs.missing(conn, digests)
    found = []
    for id, value in sorted(attached.items()):
        values, digest = told.get(id, {}), str(value["sha256"])
        thumbnail, preview = (_held(values.get(name), missing) for name in SHOWN_BY)
        caption = values.get("caption") or seen.values.get(f"captions/{id}") or ""
        found.append(
            File(
                id, id if values else seen.record, digest, int(value.get("size") or 0), str(value.get("mime") or ""),
                digest not in missing, thumbnail, preview, str(caption), values,
            )  # fmt: skip
        )
    return found


def _held(digest: Any, missing: Collection[str]) -> str:
    return str(digest) if digest and digest not in missing else ""


def _values(house: Instance, conn: Connection, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """id → values of the evidence records among these, deleted ones left out."""
    merge_of = house.registry["evidence"].merge_of if "evidence" in house.registry.names() else None
    if merge_of is None:
        return {}
    found = {}
    for id, row in states.load(conn, list(ids)).items():
        if row.bucket is not None and row.kind == "evidence":
            state = State.read(bytes(row.bytes))
            if not deleted(state):
                found[id] = values_of(state, merge_of)
    return found


def names_file(seen: Seen, sha256: str) -> bool:
    """Whether a record itself names a file: attached, or as the file or a smaller picture of evidence."""
    own = {seen.values.get(name) for name in ("sha256", *SHOWN_BY)}
    attached = (value.get("sha256") for value in seen.values.values() if isinstance(value, dict))
    return sha256 in own or sha256 in attached
