"""Tasks as the desk gives them: for whom, visits to many institutions at once, changed, cancelled with a reason.

Everything is in the open compartment and an ordinary change. Who may be chosen is who works in the area: people with a grant
there, its grids, or whoever is there (`WHOM`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from schemas.base import FIELD_ROLES
from schemas.kinds.grid import Grid
from schemas.kinds.institution import Institution
from schemas.kinds.task import SORTS, WHOM, Task
from schemas.labels import Label
from server.access import rights as accesses
from server.access.policy import Sight
from server.instance import Instance
from server.merging import decisions
from server.reading.finding import Seen
from server.register.editions import Writing
from server.sequencer import Outcome
from server.storage import people
from server.storage.database import Connection
from server.storage.lists import Lists, Wanted
from server.storage.projections import axes_of
from sync.core.errors import InvalidField, Refused, Stale
from sync.core.fold import State

KIND = Task.kind
OPEN = ("planned",)
ABOUT = ("clue", "hazard")
"""Kinds that a task may be about; the task names the record in a field of the kind's name."""
RECHECKED = ("open", "rectified")
"""Statuses in which a hazard may be looked at again."""
AT_ONCE = 200
"""Visits planned with one press of a button: what a person looks through before they press it."""
DOERS = (FIELD_ROLES - {"team"}) | {"staff"}
"""Roles of people to whom a task is given."""


class Doer(NamedTuple):
    """Somebody or some grid that a task may be given to; `code` is what a form sends."""

    code: str
    name: str
    sort: str
    note: Label


def doers(house: Instance, conn: Connection, sight: Sight, area: str) -> list[Doer]:
    """To whom a task in an area may be given: people in sight whose running grant meets it, then its grids."""
    now = house.now()
    known = {one.id: one for one in people.everybody(conn)}
    held: dict[str, Doer] = {}
    for grant, name in people.every_grant(conn):
        running = accesses.active([grant], now)
        here = not grant.compartment and sight.covers(grant.area) and _meets(grant.area, area)
        if running and here and grant.role in DOERS and grant.person in known:
            held[grant.person] = Doer(f"person:{grant.person}", name, "person", accesses.ROLES[grant.role])
    wanted = Wanted(Grid.kind, [one for one in sight.prefixes() if _meets(one, area)], order="record")
    grids = [
        Doer(f"grid:{row['record']}", row["name"] or "", "grid", Label(row["keeper"] or "", row["keeper"] or ""))
        for row in Lists(house.projections).page(conn, wanted, 200).rows
        if _meets(row["area"] or "", area)
    ]
    return [*sorted(held.values(), key=lambda one: one.name), *grids]


def _meets(one: str, other: str) -> bool:
    """Whether a division lies in another, or that in it."""
    return one.startswith(other) or other.startswith(one)


def assigned(found: Iterable[Doer], code: str) -> dict[str, str]:
    """The value of `assigned` for what a form sent. Raises InvalidField for somebody who does not work there."""
    if code in ("", "area"):
        return {"to": "area"}
    for one in found:
        if one.code == code:
            return {"to": one.sort, "id": code.partition(":")[2], "name": one.name}
    detail = Label("此人或网格不在该区域，请重新选择", "does not work in this area; choose again")
    raise InvalidField(field=Label("交给", "assigned to"), detail=detail)


def whom(value: Any) -> Label:
    """For whom a task is, in words."""
    if not isinstance(value, dict) or value.get("to") not in WHOM:
        return WHOM["area"]
    name = str(value.get("name") or "")
    return Label(name, name) if name else WHOM[str(value["to"])]


# --- Planning ------------------------------------------------------------------------------------------------------------


class Order(NamedTuple):
    """What is asked for: the sort of task, for whom, until which day (`YYYY-MM-DD`), and what to know."""

    sort: str
    assigned: Mapping[str, str]
    due: str
    instructions: str = ""

    def require(self) -> None:
        """Raises InvalidField where the day or the sort is missing."""
        if not self.due:
            raise InvalidField(field=Label("期限", "due"), detail=Label("请选择日期", "choose a day"))
        if self.sort not in SORTS:
            raise InvalidField(field=Label("种类", "sort"), detail=Label("请选择", "choose one"))

    def values(self) -> dict[str, Any]:
        said = {"sort": self.sort, "assigned": dict(self.assigned), "status": "planned"}
        said |= {"due": self.due} if self.due else {}
        return said | ({"instructions": self.instructions} if self.instructions else {})


def plan(house: Instance, who: Writing, institutions: Sequence[Mapping[str, Any]], order: Order) -> list[str]:
    """One task for each institution (rows of the list of institutions); those with such a task already get no second one.

    Returns the ids of the new tasks. Raises InvalidField.
    """
    order.require()
    if len(institutions) > AT_ONCE:
        detail = Label(f"一次至多 {AT_ONCE} 家", f"at most {AT_ONCE} at once")
        raise InvalidField(field=Label("机构", "institutions"), detail=detail)
    with house.database.write() as conn:
        busy = waiting_at(house, conn, [str(row["record"]) for row in institutions], order.sort)
        acts = [(None, at_institution(row) | order.values()) for row in institutions if row["record"] not in busy]
        written = decisions.write_within(conn, house.desk, KIND, acts, by=who.by, rights=who.rights) if acts else []
    return [one.record for one in written]


def at_institution(row: Mapping[str, Any]) -> dict[str, Any]:
    """Where a task at an institution is, from the institution's values."""
    lat, lon = (row.get(axis) for axis in axes_of("place"))
    place = {"lat": lat, "lon": lon} if lat is not None and lon is not None else None
    found = {"name": row.get("name") or str(row["record"]), "institution": row["record"], "area": row.get("area"),
             "address": row.get("address"), "place": place}  # fmt: skip
    return {path: value for path, value in found.items() if value}


def waiting_at(house: Instance, conn: Connection, institutions: Collection[str], sort: str = "") -> set[str]:
    """Of these institutions, those at which a task (of a sort) waits already."""
    return {
        one
        for one in institutions
        for row in house.projections.find(conn, KIND, Institution.kind, one)
        if row["status"] in OPEN and sort in ("", row["sort"])
    }


def recheck(house: Instance, who: Writing, sight: Sight, hazard: Seen, order: Order, status: Collection[str]) -> str:
    """A task to look again at a hazard, at its institution where that is in sight; returns its id.

    status: ids of the changes that wrote the status that was shown. Raises InvalidField, Stale, Refused where it is struck
    off or somebody was asked already.
    """
    order.require()
    if hazard.values.get("status", "open") not in RECHECKED:
        raise Refused(detail=Label("隐患已销号或作废，不再复查", "the hazard was struck off or made void"))
    with house.database.write() as conn:
        require_seen(conn, hazard.record, "status", status)
        if open_for(house, conn, "hazard", hazard.record):
            raise Refused(detail=Label("已经安排过复查，可在任务中改派、改期", "a re-check is planned already: change that task"))
        at = str(hazard.values.get("institution") or "")
        wanted = Wanted(Institution.kind, sight.prefixes(), sight.departments, among=[at])
        rows = Lists(house.projections).page(conn, wanted, 1).rows
        said = {"area": hazard.values.get("area"), "hazard": hazard.record} | (at_institution(rows[0]) if rows else {})
        values = {path: value for path, value in said.items() if value} | order.values()
        (task,) = decisions.write_within(conn, house.desk, KIND, [(None, values)], by=who.by, rights=who.rights)
    return task.record


def open_for(house: Instance, conn: Connection, field: str, record: str) -> list[str]:
    """The tasks that wait to be done about a record, which they name in a field (`clue`, `hazard`)."""
    return [row["record"] for row in house.projections.find(conn, KIND, field, record) if row["status"] in OPEN]


# --- Changing ------------------------------------------------------------------------------------------------------------


def change(
    house: Instance, who: Writing, seen: Seen, values: Mapping[str, Any], looked_at: Mapping[str, Sequence[str]]
) -> None:
    """Write what staff changed of a task they looked at. Raises Stale, InvalidField."""
    changed = {path: value for path, value in values.items() if seen.values.get(path) != value}
    if changed:
        decisions.write_seen(house.desk, seen.state.kind, seen.record, changed, looked_at, by=who.by, rights=who.rights)


def write_step(
    house: Instance, who: Writing, kind: str, record: str, values: Mapping[str, Any], looked_at: Mapping[str, Collection[str]]
) -> Outcome:
    """Write a step of a record's workflow over what was shown; see `no_longer_needed`. Raises Stale, InvalidField."""
    with house.database.write() as conn:
        written = decisions.write_seen_within(conn, house.desk, kind, record, values, looked_at, by=who.by, rights=who.rights)
        no_longer_needed(conn, house, who, kind, record, str(values.get("status", "")))
    return written


def no_longer_needed(conn: Connection, house: Instance, who: Writing, kind: str, record: str, status: str) -> None:
    """What is still to be done about a clue or hazard that is closed by a status is taken off the tablets."""
    workflow = house.registry[kind].workflow
    if kind not in ABOUT or workflow is None or status not in workflow.statuses or not workflow.statuses[status].locked:
        return
    why = house.registry[kind].label.zh + workflow.statuses[status].label.zh
    gone = [(one, {"status": "cancelled", "cancelled_why": why}) for one in open_for(house, conn, kind, record)]
    if gone:
        decisions.write_within(conn, house.desk, KIND, gone, by=who.by, rights=who.rights)


def cancel(house: Instance, who: Writing, seen: Seen, why: str, status: Sequence[str]) -> None:
    """Cancel a task, from the status that was shown. Raises Stale, InvalidField."""
    with house.database.write() as conn:
        require_seen(conn, seen.record, "status", status)
        values = {"status": "cancelled", "cancelled_why": why.strip() or None}
        decisions.write_within(conn, house.desk, KIND, [(seen.record, values)], by=who.by, rights=who.rights)


def require_seen(conn: Connection, record: str, path: str, ids: Collection[str]) -> State:
    """The record, whose path still has the values that somebody looked at (the ids of their changes). Raises Stale."""
    state = decisions.merged(conn, [record]).get(record)
    if state is None or set(state.ids(path)) != set(ids):
        raise Stale(what=path)
    return state
