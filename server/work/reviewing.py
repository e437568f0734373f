"""Review level by level (逐级审核): what lies with whom since when, what keeps it from being approved, approving and returning.

The levels and steps are data of a kind's workflow (`held`, `transitions`); whether a step may be taken is decided where every
change is (`sync.core.rules`). A return names the fields and photos that are wrong: each is a review note with its `item`,
written in the same change as the status, so a tablet gets all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from schemas.base import RecordSchema
from schemas.labels import Label
from schemas.workflow import LEVELS, Transition
from server.access.policy import Sight
from server.access.rights import active
from server.instance import Instance
from server.merging import decisions
from server.moments import moment
from server.reading import records
from server.reading.finding import Seen
from server.reading.records import Step, Told
from server.register.editions import Writing
from server.sequencer import Outcome
from server.storage import blobs, conflicts, people
from server.storage.conflicts import Row
from server.storage.database import Connection
from server.storage.lists import Lists, Mark, Wanted, Where
from server.storage.people import Grant
from server.work import tasks
from sync.core import clock
from sync.core.errors import Refused
from sync.core.fold import State
from sync.core.rules import Rights, blobs_of

PAGE = 50
COUNTY_DIGITS = 6
NOT_YOURS = Label("现在不能由您走这一步", "this step is not yours to take now")
WHY = Label("退回须写明理由，可指到具体字段或照片", "a return says why; point at the field or the photo")
DESKS = {"staff", "lead"}


class Holder(NamedTuple):
    """With which level a record lies, since when (ms), and who works there; no level: with those who wrote it."""

    level: str
    since: int
    people: list[str]


class Line(NamedTuple):
    """A record in the queue; `open` and `missing` keep it from being approved."""

    record: str
    title: str
    area: str
    status: str
    holder: Holder
    open: int
    missing: int


class Queue(NamedTuple):
    lines: list[Line]
    after: Mark | None


class Version(NamedTuple):
    """What was submitted: when, by whom, and what differs from the version before."""

    number: int
    at: int
    by: list[str]
    changed: list[Told]


class Blocking(NamedTuple):
    """What keeps a record from being approved: what waits at the merge desk, and files that have not arrived."""

    conflicts: list[Row]
    missing: list[str]

    def __bool__(self) -> bool:
        return bool(self.conflicts or self.missing)


def level_of(role: str, areas: Sequence[str]) -> str:
    """The level at which somebody reviews: by role, and for county staff by how far down their area is; empty: none."""
    if role in ("city", "province"):
        return role
    if role not in DESKS:
        return ""
    return "township" if areas and all(len(area) > COUNTY_DIGITS for area in areas) else "county"


def reviewed(house: Instance) -> list[type[RecordSchema]]:
    """The kinds that are reviewed."""
    return [schema for schema in house.registry if schema.workflow is not None and schema.workflow.held]


def statuses_with(schema: type[RecordSchema], level: str) -> list[str]:
    """The statuses in which a record may lie with a level; what a township would hold lies with the county without one."""
    held = schema.workflow.held if schema.workflow is not None else {}
    wanted = {level, "township"} if level == "county" else {level} if level else set(LEVELS)
    return [status for status, at in held.items() if at in wanted]


def queue(
    house: Instance, sight: Sight, schema: type[RecordSchema], statuses: Sequence[str], after: Mark | None = None
) -> Queue:
    """A page of the records in these statuses, in order of creation."""
    wanted = Wanted(
        schema.kind,
        sight.prefixes(schema.compartment),
        sight.departments,
        (Where("among", schema.status_path() or "", list(statuses)),),
        falling=False,
    )
    with house.database.read() as conn:
        page = Lists(house.projections).page(conn, wanted, PAGE, after=after)
        states = decisions.merged(conn, [row["record"] for row in page.rows])
        waiting = conflicts.of_records(conn, list(states))
        missing = blobs.missing(conn, {digest for state in states.values() for digest in blobs_of(state)})
        grants = _reviewers(house, conn)
        lines = [
            Line(
                record,
                records.title_of(house, state),
                _area(schema, state),
                str(row[schema.status_path() or ""]),
                holder(schema, state, grants),
                sum(one.record == record and one.status != "resolved" for one in waiting),
                len(blobs_of(state) & set(missing)),
            )
            for row in page.rows
            if (state := states.get(record := row["record"])) is not None
        ]
    return Queue(lines, page.after)


def holder(schema: type[RecordSchema], state: State, grants: Sequence[tuple[Grant, str]]) -> Holder:
    """With whom a record lies."""
    live = state.live.get(schema.status_path() or "", {})
    since = max((clock.wall_ms(state.acts[change].hlc) for change in live), default=0)
    status = next(iter(live.values()), "") if len(live) == 1 else ""
    level = schema.workflow.held.get(status, "") if schema.workflow is not None else ""
    area = _area(schema, state)
    there = _at(level, area, grants)
    if level == "township" and not there:
        level, there = "county", _at("county", area, grants)
    return Holder(level, since, there)


def holder_of(house: Instance, conn: Connection, schema: type[RecordSchema], state: State) -> Holder:
    """The same for one record."""
    return holder(schema, state, _reviewers(house, conn))


def under_review(schema: type[RecordSchema], values: Mapping[str, Any]) -> bool:
    """Whether a record with these values (path → value) lies with a level, so that its steps are those of the review."""
    held = schema.workflow.held if schema.workflow is not None else {}
    return values.get(schema.status_path() or "") in held


def of_review(schema: type[RecordSchema], status: str) -> list[Transition]:
    """The steps that a review takes from a status: approving, passing on and returning, whoever takes them."""
    workflow = schema.workflow
    if workflow is None or status not in workflow.held:
        return []
    return [one for one in workflow.transitions if one.source == status and one.target != "void"]


def blocking(conn: Connection, state: State) -> Blocking:
    """What keeps a record from being approved."""
    waiting = [row for row in conflicts.of_records(conn, [state.record]) if row.status != "resolved"]
    return Blocking(waiting, sorted(blobs.missing(conn, blobs_of(state))))


def steps(schema: type[RecordSchema], state: State, role: str, level: str) -> list[Transition]:
    """The steps of the review that somebody of this role and level may take now, approving ones first."""
    live = state.live.get(schema.status_path() or "", {})
    workflow = schema.workflow
    if workflow is None or len(live) != 1:
        return []
    found = [one for one in of_review(schema, next(iter(live.values()))) if role in one.roles]
    if level == "township":  # it passes on or returns; what is final is for the county
        found = [one for one in found if one.target in ("township", "returned")]
    elif level == "county":
        found = [one for one in found if one.target != "township"]
    return sorted(found, key=lambda one: (is_return(one), not workflow.locked(one.target)))


def is_return(step: Transition) -> bool:
    """Whether a step sends a record back: it asks for nothing, because its author says why."""
    return "no_conflict" not in step.requires


def versions(steps_of: Sequence[Step], schema: type[RecordSchema]) -> list[Version]:
    """Every version that was submitted, oldest first. `steps_of`: the history, newest first (`records.history`)."""
    path = schema.status_path() or ""
    found: list[Version] = []
    changed: dict[str, Told] = {}
    submitted = next(iter(schema.workflow.held), "") if schema.workflow is not None else ""
    for step in reversed([one for one in steps_of if one.status == "accepted"]):
        for told in step.told:
            if told.path != path and not told.path.startswith(("review/", "notes/")):
                before = changed[told.path].before if told.path in changed else told.before
                changed[told.path] = Told(told.path, before, told.after)
        if any(told.path == path and told.after == submitted for told in step.told):
            found.append(Version(len(found) + 1, step.received, step.by, list(changed.values()) if found else []))
            changed = {}
    return found


def take(
    house: Instance,
    seen: Seen,
    target: str,
    looked_at: Sequence[str],
    remarks: Mapping[str, str],
    *,
    person: str,
    rights: Rights,
    level: str,
) -> Outcome:
    """Take a step from the status that was shown, with remarks by path ("" for one that is about the whole).

    :raises Stale: somebody moved the record on meanwhile
    :raises Refused: a return without a reason, or a step that is not for whoever takes it
    :raises InvalidField: a guard is not met; nothing is written
    """
    schema = house.registry[seen.state.kind]
    path = schema.status_path() or ""
    step = next((one for one in steps(schema, seen.state, rights.role, level) if one.target == target), None)
    if step is None:
        raise Refused(detail=NOT_YOURS)
    said = {item: text.strip() for item, text in remarks.items() if text.strip()}
    if is_return(step) and not said:
        raise Refused(detail=WHY)
    values: dict[str, Any] = {path: target}
    shown = {path: list(looked_at)}
    if "review" in schema.fields_by_name():
        at = moment(house.now())
        for item, text in said.items():
            values[f"review/{house.keys.new_id(house.now())}"] = {"text": text, "at": at} | ({"item": item} if item else {})
    elif said:
        values[f"notes/{house.keys.new_id(house.now())}"] = {"text": "；".join(said.values()), "at": moment(house.now())}
    return tasks.write_step(house, Writing([person], rights), schema.kind, seen.record, values, shown)


def _reviewers(house: Instance, conn: Connection) -> list[tuple[Grant, str]]:
    now = house.now()
    wanted = DESKS | {"city", "province"}
    return [(grant, name) for grant, name in people.every_grant(conn) if grant.role in wanted and active([grant], now)]


def _at(level: str, area: str, grants: Sequence[tuple[Grant, str]]) -> list[str]:
    """Who works at a level for an area."""
    return [
        name
        for grant, name in grants
        if level and not grant.compartment and area.startswith(grant.area) and level_of(grant.role, [grant.area]) == level
    ]


def _area(schema: type[RecordSchema], state: State) -> str:
    live = state.live.get(schema.area_field or "", {})
    return str(next(iter(live.values()))) if live else ""
