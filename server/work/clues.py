"""Clues at the desk: received, linked to an institution, assigned as a task, closed with an outcome, reopened once.

What belongs together is one transaction: a clue and its informer, the task and the step that assigns the clue, a patrol
note that was passed on and the clue that names it. Who reported a clue is told for a purpose that is in the log first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from schemas.certificates import CHINA
from schemas.kinds.clue import CLOCKS, Clue, days_for, due_day
from schemas.kinds.informer import Informer
from schemas.kinds.patrol_note import PatrolNote
from schemas.labels import Label
from server import acts
from server.access.policy import Sight
from server.instance import Instance
from server.merging import decisions, twins
from server.moments import day, moment
from server.reading.finding import Seen, read
from server.reading.records import one as record_in_sight
from server.register.editions import Writing
from server.storage import facts
from server.storage.database import Connection
from server.storage.lists import Lists, Wanted, Where
from server.storage.projections import axes_of
from server.work import tasks
from sync.core.errors import InvalidField, NotFound, Refused

KIND = Clue.kind
DAYS = "clue_days"
"""The fact that holds the days for verifying that were set here: urgency → days, as JSON."""
MOST_DAYS = 365
LONGEST_PURPOSE = 200
SUGGESTED = 5
LEAST_ALIKE = 30
"""From this score an institution is suggested: lower than for duplicates, because a caller says a name roughly."""


class Suggestion(NamedTuple):
    """An institution that a clue may be about, with why (reasons of `twins.REASONS`)."""

    record: str
    name: str
    address: str
    score: int
    reasons: tuple[str, ...]


# --- Time limits -----------------------------------------------------------------------------------------------------------


def days_set(conn: Connection) -> dict[str, int]:
    """urgency → days, as far as they were set on this server."""
    said = facts.get(conn, DAYS)
    return {name: int(days) for name, days in orjson.loads(said).items() if name in CLOCKS} if said else {}


def days_now(conn: Connection) -> dict[str, int]:
    """urgency → days that count now."""
    held = days_set(conn)
    return {name: days_for(name, held) for name in CLOCKS}


def set_days(house: Instance, person: str, days: Mapping[str, str]) -> None:
    """Set the days for verifying; an empty text goes back to the shipped number. Raises InvalidField."""
    held: dict[str, int] = {}
    for name in CLOCKS:
        text = days.get(name, "").strip()
        if text and not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_DAYS):
            raise InvalidField(field=name, detail=Label(f"应为 1 到 {MOST_DAYS} 天", f"is 1 to {MOST_DAYS} days"))
        held |= {name: int(text)} if text else {}
    with house.database.write() as conn:
        acts.append(conn, "", acts.SETTING, house.now(), by=person, clue_days=held)
        facts.put(conn, DAYS, orjson.dumps(held).decode())


# --- Receiving ---------------------------------------------------------------------------------------------------------------


def completed(values: Mapping[str, Any], now: int, set_here: Mapping[str, int]) -> dict[str, Any]:
    """The values of a new clue with what follows from them: when it was received, how urgent, until when, its status."""
    said = {path: value for path, value in values.items() if value is not None}
    said.setdefault("received_at", moment(now))
    said.setdefault("urgency", "ordinary")
    said["status"] = "received"
    if "due" not in said:
        said["due"] = due_day(_day_of(said["received_at"], now), said["urgency"], set_here)
    return said


def _day_of(received: str, now: int) -> str:
    try:
        return datetime.fromisoformat(received).astimezone(CHINA).date().isoformat()
    except ValueError:
        return day(now)


def receive(house: Instance, who: Writing, values: Mapping[str, Any], informer: Mapping[str, Any] | None = None) -> str:
    """A new clue, with who reported it where that is known; returns its id. Raises InvalidField."""
    with house.database.write() as conn:
        return receive_within(conn, house, who, [(values, informer or {})])[0]


def receive_within(
    conn: Connection, house: Instance, who: Writing, new: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> list[str]:
    """Several clues with their informers, inside a write transaction that the caller opened."""
    held = days_set(conn)
    acts_ = [(None, completed(values, house.now(), held)) for values, _ in new]
    written = decisions.write_within(conn, house.desk, KIND, acts_, by=who.by, rights=who.rights)
    ids = [one.record for one in written]
    known = [
        (None, {"clue": id, "area": said["area"], **{path: value for path, value in told.items() if value not in (None, False)}})
        for id, (_, said), (_, told) in zip(ids, acts_, new, strict=True)
        if any(value not in (None, False) for value in told.values())
    ]
    if known:
        decisions.write_within(conn, house.desk, Informer.kind, known, by=who.by, rights=who.rights)
    return ids


def from_note(house: Instance, who: Writing, note: Seen, more: Mapping[str, Any]) -> str:
    """Pass a patrol note on as a clue that names it; the note is then closed for changes. Returns the clue's id.

    Raises Refused where it was passed on already, InvalidField.
    """
    said = note.values
    values: dict[str, Any] = {
        "subject": said.get("spot"), "text": said.get("seen"), "urgency": said.get("urgency"), "area": said.get("area"),
        "place": said.get("place"), "institution": said.get("institution"), "source": "patrol", "patrol_note": note.record,
    } | {f"evidence/{key}": value for key, value in note.names("evidence").items()}  # fmt: skip
    values |= {path: value for path, value in more.items() if value is not None}
    with house.database.write() as conn:
        if house.projections.find(conn, KIND, "patrol_note", note.record):
            raise Refused(detail=Label("这条巡查记录已经转为线索", "this patrol note has been passed on already"))
        (clue,) = receive_within(conn, house, who, [(values, {})])
        decisions.write_within(
            conn, house.desk, PatrolNote.kind, [(note.record, {"status": "referred"})], by=who.by, rights=who.rights
        )
    return clue


# --- What it may be about ------------------------------------------------------------------------------------------------------


def suggestions(house: Instance, conn: Connection, sight: Sight, values: Mapping[str, Any]) -> list[Suggestion]:
    """Institutions of the clue's county whose name, address or place is like what was reported, the likest first."""
    subject, area = str(values.get("subject") or ""), str(values.get("area") or "")
    place = values.get("place") or {}
    told = twins.tell(
        twins.Institution("", subject, area, address=str(values.get("address") or subject), lat=place.get("lat"), lon=place.get("lon"))
    )
    county = area[: twins.COUNTY]
    prefixes = [county] if any(county.startswith(one) for one in sight.prefixes()) else [
        one for one in sight.prefixes() if one.startswith(county)
    ]  # fmt: skip
    lat, lon = axes_of("place")
    found: list[Suggestion] = []
    lists, after = Lists(house.projections), None
    while prefixes:
        page = lists.page(conn, Wanted("institution", prefixes), 1000, after=after)
        for row in page.rows:
            one = twins.Institution(row["record"], row["name"] or "", row["area"] or "", address=row["address"] or "", lat=row[lat], lon=row[lon])
            pair = twins.compare(told, twins.tell(one), LEAST_ALIKE)
            if pair is not None:
                found.append(Suggestion(one.record, one.name, one.address, pair.score, pair.reasons))
        after = page.after
        if after is None:
            break
    return sorted(found, key=lambda one: -one.score)[:SUGGESTED]


def others_about(house: Instance, conn: Connection, sight: Sight, clue: Seen) -> list[dict[str, Any]]:
    """Other clues about the same institution, newest first: perhaps the same thing again."""
    institution = clue.values.get("institution")
    if not isinstance(institution, str):
        return []
    wanted = Wanted(KIND, sight.prefixes(), sight.departments, [Where("is", "institution", institution)])
    rows = Lists(house.projections).page(conn, wanted, 20).rows
    return [row for row in rows if row["record"] != clue.record]


# --- Steps -----------------------------------------------------------------------------------------------------------------------


def assign(house: Instance, who: Writing, clue: Seen, order: tasks.Order, status: Sequence[str]) -> str:
    """Give a clue to somebody: a task that names it, and the step, together. Returns the task's id.

    status: ids of the changes that wrote the status that was shown. Raises Stale, InvalidField.
    """
    said = clue.values
    values = order.values() | {
        path: value
        for path, value in {
            "name": said.get("subject"), "clue": clue.record, "institution": said.get("institution"), "area": said.get("area"),
            "address": said.get("address"), "place": said.get("place"),
        }.items()
        if value
    }  # fmt: skip
    with house.database.write() as conn:
        state = tasks.require_seen(conn, clue.record, "status", status)
        now = set(state.live.get("status", {}).values())
        if now != {"assigned"}:
            step: dict[str, Any] = {"status": "assigned"}
            if order.due and order.due != said.get("due"):
                step["due"] = order.due
            decisions.write_within(conn, house.desk, KIND, [(clue.record, step)], by=who.by, rights=who.rights)
        (task,) = decisions.write_within(conn, house.desk, tasks.KIND, [(None, values)], by=who.by, rights=who.rights)
    return task.record


def step(house: Instance, who: Writing, clue: Seen, values: Mapping[str, Any], status: Sequence[str]) -> None:
    """Take a step of a clue's life with what it needs, from the status that was shown. Raises Stale, InvalidField.

    A reason for reopening comes as `reopenings` and becomes an entry of its own.
    """
    said = {path: value for path, value in values.items() if path != "reopenings"}
    why = str(values.get("reopenings") or "").strip()
    if why:
        now = house.now()
        said[f"reopenings/{house.keys.new_id(now)}"] = {"text": why, "at": moment(now)}
    with house.database.write() as conn:
        tasks.require_seen(conn, clue.record, "status", status)
        decisions.write_within(conn, house.desk, KIND, [(clue.record, said)], by=who.by, rights=who.rights)
        tasks.no_longer_needed(conn, house, who, KIND, clue.record, str(said.get("status", "")))


def link(house: Instance, who: Writing, clue: Seen, institution: Seen | None) -> None:
    """Say which institution a clue is about, or that it is none; its open tasks follow."""
    value = institution.record if institution is not None else None
    with house.database.write() as conn:
        open_tasks = tasks.open_for(house, conn, KIND, clue.record)
        decisions.write_within(conn, house.desk, KIND, [(clue.record, {"institution": value})], by=who.by, rights=who.rights)
        followed = [(task, {"institution": value}) for task in open_tasks]
        if followed:
            decisions.write_within(conn, house.desk, tasks.KIND, followed, by=who.by, rights=who.rights)


# --- Who reported it ---------------------------------------------------------------------------------------------------------------


def informer_of(house: Instance, conn: Connection, clue: str) -> str | None:
    """The id of a clue's informer, where there is one."""
    rows = house.projections.find(conn, Informer.kind, "clue", clue)
    return str(rows[0]["record"]) if rows else None


def open_informer(house: Instance, sight: Sight, clue: str, person: str, purpose: str) -> Seen:
    """Who reported a clue in sight, once it is in the log who asks and what for.

    Raises NotFound where nobody knows, InvalidField without a purpose.
    """
    purpose = purpose.strip()
    if not purpose or len(purpose) > LONGEST_PURPOSE:
        detail = Label(f"请写明查看用途，至多 {LONGEST_PURPOSE} 字", f"say what for, in at most {LONGEST_PURPOSE} characters")
        raise InvalidField(field=Label("用途", "purpose"), detail=detail)
    with house.database.write() as conn:
        record_in_sight(house, conn, sight, clue)
        id = informer_of(house, conn, clue)
        if id is None:
            raise NotFound(what=Informer.label)
        acts.append(conn, "", acts.OPENED, house.now(), by=person, record=id, purpose=purpose, part=Informer.kind)
        return read(house, conn, id)


def note_informer(house: Instance, who: Writing, sight: Sight, clue: str, values: Mapping[str, Any], answer: str = "") -> None:
    """Write down who reported a clue, or what they were answered."""
    said = {path: value for path, value in values.items() if value not in (None, "")}
    now = house.now()
    if answer.strip():
        said[f"answers/{house.keys.new_id(now)}"] = {"text": answer.strip(), "at": moment(now)}
    if not said:
        raise InvalidField(field=Informer.label, detail=Label("没有填写内容", "nothing was filled in"))
    with house.database.write() as conn:
        seen = record_in_sight(house, conn, sight, clue)
        id = informer_of(house, conn, clue)
        if id is None:
            said |= {"clue": clue, "area": seen.values.get("area")}
        decisions.write_within(conn, house.desk, Informer.kind, [(id, said)], by=who.by, rights=who.rights)
