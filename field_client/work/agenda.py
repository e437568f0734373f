"""What is to be done on this tablet now, most pressing first, and what others changed since yesterday.

    returned     inspections that staff sent back, with the reason
    dangers      hazards to be put right: overdue first
    (tasks.waiting: visits planned and clues to verify, in field_client/work/tasks.py)
    orders       hand-overs to this county that wait for it
    drafts       inspections that were begun
    sightings    patrol notes that nobody dealt with
    News         records that came in changed; noted while a round applies them, so that nothing has to be compared
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from field_client.moments import CHINA, moment
from field_client.tablet import Tablet
from field_client.work.showing import title_of
from schemas.kinds import handover as handovers
from schemas.kinds.hazard import Hazard, overdue
from schemas.kinds.inspection import Inspection
from schemas.kinds.patrol_note import PatrolNote
from schemas.labels import Label
from schemas.words import label_of, value_of
from sync.core.errors import NotFound
from sync.core.fold import State, deleted, values_of

SOON = timedelta(days=7)
MOST_NEWS = 500
KEPT_MS = 3 * 24 * 3600 * 1000
SEEN_KINDS = ("institution", "inspection", "hazard", "patrol_note", "clue", "task", "handover", "checklist", "officer")
"""Of what people are told that it changed; the rest (evidence, shifts, anchors) goes with one of these."""
_NEWS = "CREATE TABLE IF NOT EXISTS news (record TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID"


class Returned(NamedTuple):
    """An inspection that was sent back: the reasons, newest first, each with when and with the field that it is about."""

    record: str
    name: str
    reasons: tuple[Reason, ...]


class Reason(NamedTuple):
    at: str
    text: str
    field: Label | None
    path: str


class Danger(NamedTuple):
    """A hazard that is not put right yet. `days`: until the deadline, below zero when it is past, None where none is set."""

    record: str
    description: str
    institution: str
    deadline: str
    days: int | None
    major: bool
    late: bool


class Order(NamedTuple):
    """A hand-over that waits for the county."""

    record: str
    number: str
    summary: str
    due: str
    days: int | None
    status: Label


class Draft(NamedTuple):
    """An inspection under way: how many items are answered."""

    record: str
    name: str
    started_at: str
    answered: int
    photos: int


class Sighting(NamedTuple):
    record: str
    spot: str
    seen: str
    seen_at: str
    urgency: str


class Item(NamedTuple):
    """A record that somebody else changed: when it came in, when it was written, and which of its fields."""

    record: str
    kind: str
    label: Label
    title: str
    at_ms: int
    fields: tuple[Label, ...]


def today_of(tablet: Tablet) -> date:
    """The calendar day in China, by the tablet's clock set right by the server's."""
    return datetime.fromisoformat(moment(tablet)).astimezone(CHINA).date()


# ---- inspections -------------------------------------------------------------------------------------------


class Visits(NamedTuple):
    returned: tuple[Returned, ...]
    drafts: tuple[Draft, ...]


def visits(tablet: Tablet) -> Visits:
    """Inspections that wait for somebody here, newest first."""
    back, begun = [], []
    waiting = {*tablet.store.mentioning(Inspection.kind, '"returned"'), *tablet.store.mentioning(Inspection.kind, '"draft"')}
    for state in tablet.store.views(sorted(waiting)):
        values, record = values_of(state, Inspection.merge_of), state.record
        if values.get("status") == "returned" and not deleted(state):
            back.append(Returned(record, str(values.get("name") or ""), _reasons(values)))
        if values.get("status") == "draft" and not deleted(state):
            answered, photos = (sum(path.startswith(one) for path in values) for one in ("answers/", "evidence/"))
            begun.append(Draft(record, str(values.get("name") or ""), str(values.get("started_at") or ""), answered, photos))
    return Visits(
        tuple(sorted(back, key=lambda one: one.reasons[0].at if one.reasons else "", reverse=True)),
        tuple(sorted(begun, key=lambda one: one.started_at, reverse=True)),
    )


def _reasons(values: dict[str, Any]) -> tuple[Reason, ...]:
    told = [value for path, value in values.items() if path.startswith("review/") and isinstance(value, dict)]
    found = [
        Reason(str(one.get("at") or ""), str(one.get("text") or ""), _field(str(one.get("item") or "")), str(one.get("item") or ""))
        for one in told
    ]
    return tuple(sorted(found, reverse=True, key=lambda one: one.at))


def _field(path: str) -> Label | None:
    """The label of the field that a reviewer named; an item of the checklist is named by its code."""
    return label_of(Inspection, path) if path else None


# ---- deadlines ---------------------------------------------------------------------------------------------


def dangers(tablet: Tablet, today: date) -> list[Danger]:
    """Hazards that are open, overdue first, then by deadline; those without one last."""
    found = []
    for state in tablet.store.views(tablet.store.mentioning(Hazard.kind, '"open"')):
        values, record = values_of(state, Hazard.merge_of), state.record
        if values.get("status", "open") != "open" or deleted(state):
            continue
        deadline = str(values.get("deadline") or "")
        institution = str(values.get("institution") or "")
        found.append(
            Danger(
                record,
                str(values.get("description") or ""),
                institution,
                deadline,
                (date.fromisoformat(deadline) - today).days if deadline else None,
                values.get("grade") == "major",
                overdue(values, today.isoformat()),
            )
        )
    return sorted(found, key=lambda one: (one.deadline or "9", not one.major, one.record))


def orders(tablet: Tablet, today: date) -> list[Order]:
    """Hand-overs that this county has to receive or to answer, by the day that they are due."""
    found = []
    for state in tablet.browse(handovers.Handover.kind):
        values = values_of(state, handovers.Handover.merge_of)
        if values.get("status", "released") in ("released", "received", "returned"):
            label = value_of(handovers.Handover, "status", values.get("status")) or Label("", "")
            due = str(values.get("due") or "")
            found.append(Order(state.record, str(values.get("number") or ""), str(values.get("summary") or ""), due,
                               handovers.days_left(values, today.isoformat()), label))  # fmt: skip
    return sorted(found, key=lambda one: (one.due or "9", one.number))


def sightings(tablet: Tablet) -> list[Sighting]:
    """Patrol notes that nobody dealt with, the most urgent first."""
    weight = {"blow_up": 0, "smouldering": 1}
    found = []
    for state in tablet.store.views(tablet.store.mentioning(PatrolNote.kind, '"noted"')):
        values, record = values_of(state, PatrolNote.merge_of), state.record
        if values.get("status", "noted") == "noted" and not deleted(state):
            found.append(Sighting(record, *(str(values.get(name) or "") for name in ("spot", "seen", "seen_at", "urgency"))))
    return sorted(found, key=lambda one: (weight.get(one.urgency, 2), one.seen_at))


# ---- what is new -------------------------------------------------------------------------------------------


class News:
    """Which records came in changed lately. `listen` to the store of a round; `since` reads it anywhere."""

    def __init__(self, tablet: Tablet) -> None:
        self._tablet = tablet
        self._database = tablet.store.database

    def listen(self) -> None:
        """Note from now on what this tablet's rounds bring. Not during a first fill: then everything is new."""
        with self._database.writing():
            self._database.run(_NEWS)
        self._tablet.store.listeners.append(self._note)

    def _note(self, records: Collection[str]) -> None:
        if len(records) > MOST_NEWS:  # a bucket that came anew says nothing about what changed
            return
        now = self._tablet.store.clock.wall_ms()
        self._database.run("DELETE FROM news WHERE at < ?", (now - KEPT_MS,))
        self._database.run_many("INSERT OR REPLACE INTO news VALUES (?, ?)", [(one, now) for one in records])

    def since(self, ms: int, most: int = 20) -> list[Item]:
        """What others changed and came in after a time (milliseconds since 1970), newest first."""
        if not self._database.has("news"):
            return []
        rows = self._database.rows("SELECT record, at FROM news WHERE at >= ? ORDER BY at DESC, record", (ms,))
        found: list[Item] = []
        for record, at in rows:
            if len(found) == most:
                break
            try:
                state = self._tablet.view(record)
            except NotFound:
                continue
            if state.kind in SEEN_KINDS and (item := self._item(state, at, ms)) is not None:
                found.append(item)
        return found

    def _item(self, state: State, at: int, since: int) -> Item | None:
        own = {one.change.id for one in self._tablet.history(state.record)}
        schema = self._tablet.registry.get(state.kind)
        recent = [id for id, act in state.acts.items() if id not in own and int(act.hlc[:12], 16) >= since]
        paths = sorted({path for path, live in state.live.items() for id in live if id in recent})
        if schema is None or not paths:
            return None
        labels = tuple(dict.fromkeys(label_of(schema, path) for path in paths))
        return Item(state.record, state.kind, schema.label, title_of(self._tablet, state.record), at, labels)


def yesterday_ms(today: date) -> int:
    """The beginning of yesterday in China, in milliseconds since 1970."""
    begin = datetime.combine(today - timedelta(days=1), datetime.min.time(), CHINA)
    return round(begin.timestamp() * 1000)
