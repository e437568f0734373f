"""任务与线索: a task with what it asks for, the inspection begun for it, and what was found at a clue."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Response

from field_client.moments import moment
from field_client.tablet import Tablet
from field_client.ui import here
from field_client.ui.here import Screen
from field_client.ui.told import Told, told
from field_client.work import agenda, inspecting, tasks
from field_client.work.showing import title_of
from schemas.kinds.clue import OUTCOMES, Clue
from schemas.kinds.inspection import Inspection
from schemas.kinds.task import SORTS, Task
from schemas.labels import Label
from schemas.words import value_of
from sync.core.errors import InvalidField, NotFound, Problem
from sync.core.fold import contested, deleted, values_of

screen = Screen("tasks", __name__)


@screen.get("/tasks/<record>")
def show(record: str) -> str:
    return _show(record)


def _show(record: str, problem: Problem | None = None, said: Told | None = None) -> str:
    tablet = here.tablet()
    state = tablet.view(record)
    if state.kind != Task.kind or deleted(state):
        raise NotFound(what=Label("这个任务", "this task"))
    values = Told(values_of(state, Task.merge_of))
    clue = str(values["clue"] or "")
    return here.page(
        "tasks/show.html",
        task=state.record,
        values=values,
        sort=SORTS.get(str(values["sort"]), SORTS["other"]),
        status=value_of(Task, "status", values["status"] or "planned"),
        open=(values["status"] or "planned") == "planned",
        disputes=contested(state, Task.merge_of),
        whom=tasks.whom(values),
        inspections=[(one, _inspection(tablet, one)) for one in _tied(values, "inspections")],
        patrol_notes=[(one, title_of(tablet, one)) for one in _tied(values, "patrol_notes")],
        **_common(tablet, values, clue, problem, said),
    )


@screen.get("/clues/<record>")
def clue(record: str) -> Response | str:
    """A clue, at the task that waits for somebody to verify it where there is one."""
    tablet = here.tablet()
    _clue(tablet, record)
    task = tasks.task_for(tablet, record)
    return here.go(".show", record=task) if task else _show_clue(record)


def _show_clue(record: str, problem: Problem | None = None, said: Told | None = None) -> str:
    tablet = here.tablet()
    values = _clue(tablet, record)
    return here.page("tasks/show.html", task="", values=values, open=False, disputes=[], inspections=[], patrol_notes=[],
                     **_common(tablet, values, record, problem, said))  # fmt: skip


def _common(tablet: Tablet, values: Told, clue: str, problem: Problem | None, said: Told | None) -> dict[str, Any]:
    """What the page says of a task and of its clue; of the clue nothing where it is not on this tablet."""
    today = agenda.today_of(tablet)
    due = str(values["due"] or "")
    about = _clue(tablet, clue) if clue and tablet.store.knows(clue) else None
    state = tablet.view(clue) if about is not None else None
    institution = str(values["institution"] or (about or Told())["institution"] or "")
    photos = sorted(path.removeprefix("evidence/") for path in about or {} if path.startswith("evidence/"))
    return {
        "institution": institution if tablet.store.knows(institution) else "",
        "where": title_of(tablet, institution) if institution else "",
        "days": (date.fromisoformat(due) - today).days if due else None,
        "due": due,
        "clue": clue,
        "about": about,
        "clue_status": value_of(Clue, "status", about["status"] or "received") if about is not None else None,
        "clue_open": about is not None and about["status"] != "closed",
        "clue_disputes": contested(state, Clue.merge_of) if state is not None else [],
        "facts": [(Clue.fields_by_name()[name].label, value_of(Clue, name, about[name])) for name in ("type", "source", "received_at", "address")]
        if about is not None
        else [],
        "photos": photos,
        "outcomes": OUTCOMES,
        "notes": sorted((told(one) for path, one in values.items() if path.startswith("notes/")), key=lambda one: str(one["at"]), reverse=True),
        "said": said if said is not None else Told({name: (about or Told())[name] for name in ("outcome", "result")}),
        "problem": problem,
    }  # fmt: skip


def _clue(tablet: Tablet, record: str) -> Told:
    state = tablet.view(record)
    if state.kind != Clue.kind or deleted(state):
        raise NotFound(what=Label("这条线索", "this clue"))
    return Told(values_of(state, Clue.merge_of))


def _tied(values: Told, field: str) -> list[str]:
    start = f"{field}/"
    return sorted(path.removeprefix(start) for path, there in values.items() if path.startswith(start) and there is True)


def _inspection(tablet: Tablet, record: str) -> tuple[str, Label | None]:
    """When an inspection began and how far it is; nothing for one that is on another tablet only."""
    if not tablet.store.knows(record):
        return "", Label("在另一台平板上", "on another tablet")
    about = tablet.values(record)
    return str(about.get("started_at") or ""), value_of(Inspection, "status", about.get("status"))


# ---- doing -------------------------------------------------------------------------------------------------------


@screen.post("/tasks/<record>/tie")
def tie(record: str) -> Response:
    """Go on with an inspection that is open already, for this task."""
    tablet, inspection = here.tablet(), here.posted("with")
    tasks.open_task(tablet, record)
    if tablet.view(inspection).kind != inspecting.KIND:
        raise NotFound(what=Label("这次检查", "this inspection"))
    tasks.tie(tablet, record, inspection)
    return here.go("inspection.show", record=inspection)


@screen.post("/tasks/<record>/done")
def done(record: str) -> Response | tuple[str, int]:
    """Done without an inspection: what came of it in words."""
    tablet, result = here.tablet(), here.posted("result")
    values = Told(tablet.values(record))
    tied = _tied(values, "inspections") + _tied(values, "patrol_notes")
    if not result and not tied:
        return _show(record, InvalidField(field="result", detail=Label("请写明结果", "say what came of it"))), 422
    tasks.finish(tablet, record, result)
    return here.done(Label("任务已完成", "The task is done"), "today.today")


@screen.post("/tasks/<record>/notes")
def note(record: str) -> Response:
    """Something to know about a task that is not done yet; the form names the note."""
    tablet, text, id = here.tablet(), here.posted("text"), here.posted_id("note")
    if text and f"notes/{id}" not in tablet.values(record):
        tablet.write(Task.kind, record, {f"notes/{id}": {"text": text, "at": moment(tablet)}})
    return here.done(Label("已记下", "Noted"), ".show", record=record)


@screen.post("/clues/<record>/verified")
def verified(record: str) -> Response | tuple[str, int]:
    """What was found at a clue; the task that it was given as is done with it."""
    tablet, task = here.tablet(), here.posted("task")
    said = Told({name: here.posted(name) for name in ("outcome", "result")})
    try:
        tasks.verify(tablet, record, said["outcome"], said["result"], task)
    except InvalidField as problem:
        return (_show(task, problem, said) if task else _show_clue(record, problem, said)), 422
    return here.done(Label("核实结果已保存", "What was found is saved"), "today.today")
