"""Tasks and clues on a tablet: what waits for this person, what is begun for a task, done, and what was found at a clue.

Everything works without a network. What is begun for a task is tied to it by a change of its own, apart from the step that
says that it is done: should the county have cancelled the task meanwhile, the step waits for staff and the tie stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from field_client.moments import moment
from field_client.tablet import Tablet
from schemas.base import RecordSchema
from schemas.forms import form_of
from schemas.kinds.clue import OUTCOMES, Clue
from schemas.kinds.patrol_note import URGENCIES
from schemas.kinds.task import SORTS, WHOM, Task, begun
from schemas.labels import Label
from sync.core.errors import InvalidField, NotAllowed, NotFound, Refused
from sync.core.fold import State, deleted, values_of

KIND = Task.kind
WEIGHT = {"blow_up": 0, "smouldering": 1}


class Job(NamedTuple):
    """A task that waits.

    days     until it is due, below zero when that is past, None where no day was set
    mine     whether it was given to this tablet's person, or to whoever works there
    to       to what it was given: area, grid or person; whom: the same in words
    urgency  of the clue that it is about; empty for other tasks
    """

    record: str
    name: str
    sort: str
    label: Label
    institution: str
    address: str
    due: str
    days: int | None
    late: bool
    mine: bool
    to: str
    whom: Label
    clue: str
    urgency: str
    begun: bool


def waiting(tablet: Tablet, today: date, institution: str = "") -> list[Job]:
    """The tasks that wait, overdue first, then what is most urgent, then by day; of one institution where it is named."""
    text = institution or '"planned"'
    found = []
    for state in tablet.store.views(tablet.store.mentioning(KIND, text)):
        values = values_of(state, Task.merge_of)
        if deleted(state) or values.get("status", "planned") != "planned" or institution not in ("", values.get("institution")):
            continue
        found.append(_job(tablet, state.record, values, today))
    return sorted(found, key=lambda one: (not one.late, WEIGHT.get(one.urgency, 2), one.due or "9", one.name))


def _job(tablet: Tablet, record: str, values: Mapping[str, Any], today: date) -> Job:
    given, due = values.get("assigned"), str(values.get("due") or "")
    to: Mapping[str, Any] = given if isinstance(given, dict) else {}
    clue, sort = str(values.get("clue") or ""), str(values.get("sort") or "other")
    identity = tablet.identity
    me = identity.person.id if identity is not None else ""
    return Job(
        record,
        str(values.get("name") or ""),
        sort,
        SORTS.get(sort, SORTS["other"]),
        str(values.get("institution") or ""),
        str(values.get("address") or ""),
        due,
        (date.fromisoformat(due) - today).days if due else None,
        Task.overdue(values, today.isoformat()),
        to.get("to") != "person" or to.get("id") == me,
        str(to.get("to") or "area"),
        whom(values),
        clue,
        str(_values(tablet, clue).get("urgency") or "") if clue else "",
        begun(values),
    )


def whom(values: Mapping[str, Any]) -> Label:
    """For whom a task is, in words: the name of a person or a grid, where it has one."""
    given = values.get("assigned")
    if not isinstance(given, dict):
        return WHOM["area"]
    name = str(given.get("name") or "")
    return Label(name, name) if name else WHOM.get(str(given.get("to")), WHOM["area"])


def _values(tablet: Tablet, record: str) -> Mapping[str, Any]:
    try:
        return tablet.values(record)
    except NotFound:
        return {}


def clues_at(tablet: Tablet, institution: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The clues about an institution that are not closed: (id, values), the most urgent first."""
    found = []
    for state in tablet.store.views(tablet.store.mentioning(Clue.kind, institution)):
        values = values_of(state, Clue.merge_of)
        if values.get("institution") == institution and not deleted(state) and values.get("status") != "closed":
            found.append((state.record, values))
    return sorted(found, key=lambda one: (WEIGHT.get(str(one[1].get("urgency")), 2), str(one[1].get("due") or "9")))


def task_for(tablet: Tablet, clue: str) -> str:
    """The task that waits for somebody to verify a clue, one's own before those of others; empty where there is none."""
    jobs = [one for one in waiting(tablet, date.max) if one.clue == clue]
    return min(jobs, key=lambda one: not one.mine).record if jobs else ""


# ---- doing -------------------------------------------------------------------------------------------------------


def open_task(tablet: Tablet, task: str) -> State:
    """The task, still to be done. Raises NotFound for what is no task, Refused where it is done or cancelled."""
    state = tablet.view(task)
    if state.kind != KIND or deleted(state):
        raise NotFound(what=Label("这个任务", "this task"))
    if _status(state, Task) == "cancelled":
        raise Refused(detail=Label("任务已取消", "the task was cancelled"))
    return state


def tie(tablet: Tablet, task: str, record: str) -> None:
    """Name an inspection or a patrol note as one that is for a task."""
    kind = tablet.view(record).kind
    path = f"{'patrol_notes' if kind == 'patrol_note' else 'inspections'}/{record}"
    if tablet.values(task).get(path) is not True:
        tablet.write(KIND, task, {path: True})


def noted(tablet: Tablet, task: str, note: str) -> None:
    """A patrol note that was written for a task: the task names it and is done, unless a clue waits for its outcome."""
    tie(tablet, task, note)
    finished_with(tablet, note)


def finish(tablet: Tablet, task: str, result: str = "") -> None:
    """Say that a task is done, and what came of it. Done already: nothing is written again.

    :raises NotAllowed: not for this role
    """
    state = open_task(tablet, task)
    values = values_of(state, Task.merge_of)
    if _status(state, Task) == "done":
        return
    _require_step(tablet, state, Task, "done")
    said: dict[str, Any] = {"status": "done", "done_at": moment(tablet)}
    if result and result != values.get("result"):
        said["result"] = result
    tablet.write(KIND, task, said)


def finished_with(tablet: Tablet, record: str) -> list[str]:
    """Say of the tasks that an inspection was for that they are done; returns their ids. A clue that is to be verified stays
    to be done until its outcome is stated."""
    done = []
    for state in tablet.store.views(tablet.store.mentioning(KIND, record)):
        values = values_of(state, Task.merge_of)
        tied = any(values.get(f"{name}/{record}") is True for name in ("inspections", "patrol_notes"))
        if tied and not deleted(state) and _status(state, Task) == "planned" and not values.get("clue"):
            finish(tablet, state.record)
            done.append(state.record)
    return done


def rechecked(tablet: Tablet, hazard: str) -> None:
    """Say of the tasks to look at a hazard again that they are done, where this person may."""
    for state in tablet.store.views(tablet.store.mentioning(KIND, hazard)):
        values = values_of(state, Task.merge_of)
        if values.get("hazard") == hazard and not deleted(state) and _may_step(tablet, state, Task, "done"):
            finish(tablet, state.record)


def verify(tablet: Tablet, clue: str, outcome: str, result: str, task: str = "") -> None:
    """Say what was found at a clue; the task that it was given as is done with it.

    :raises InvalidField: without an outcome or words
    :raises NotAllowed, Refused: not for this role; the clue was closed
    """
    if outcome not in OUTCOMES:
        raise InvalidField(field="outcome", detail=Label("请选择核实结论", "choose the outcome"))
    if not result:
        raise InvalidField(field="result", detail=Label("请写明看到的情况", "say what was found"))
    state = tablet.view(clue)
    if state.kind != Clue.kind or deleted(state):
        raise NotFound(what=Label("这条线索", "this clue"))
    if _status(state, Clue) == "closed":
        raise Refused(detail=Label("线索已办结，不能再改", "the clue is closed and not changed any more"))
    before = values_of(state, Clue.merge_of)
    said = {name: text for name, text in (("outcome", outcome), ("result", result)) if before.get(name) != text}
    if _status(state, Clue) != "verified":
        _require_step(tablet, state, Clue, "verified")
        said["status"] = "verified"
    with tablet.store.writing():
        if said:
            tablet.write(Clue.kind, clue, said)
        if task:
            finish(tablet, task, OUTCOMES[outcome].zh)


def _status(state: State, schema: type[RecordSchema]) -> str:
    assert schema.workflow is not None
    return str(values_of(state, schema.merge_of).get("status") or schema.workflow.initial)


def _may_step(tablet: Tablet, state: State, schema: type[RecordSchema], target: str) -> bool:
    identity = tablet.identity
    steps = form_of(schema, identity.person.role if identity is not None else None).steps
    return any(one.source == _status(state, schema) and one.target == target for one in steps)


def _require_step(tablet: Tablet, state: State, schema: type[RecordSchema], target: str) -> None:
    if not _may_step(tablet, state, schema, target):
        raise NotAllowed(detail=Label("该角色不能走这一步", "this role may not take this step"))


def urgency_of(values: Mapping[str, Any]) -> Label | None:
    """How urgent a clue is, in words; None for an ordinary one."""
    said = values.get("urgency")
    return URGENCIES[str(said)] if said in WEIGHT else None
