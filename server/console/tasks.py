"""The desk for tasks: what is planned and late, visits to many institutions at once, for whom, cancelled with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from flask import request, url_for
from werkzeug.datastructures import MultiDict

from schemas import words
from schemas.kinds.hazard import Hazard
from schemas.kinds.institution import Institution
from schemas.kinds.task import SORTS, Task, begun
from schemas.labels import Label
from server.console import tabling
from server.console.frame import Answer, Desk, answered, instance, onward, page, say, seat
from server.console.naming import here, value_of
from server.console.records import wanted_of
from server.moments import day
from server.reading import records
from server.reading.finding import Seen
from server.reading.records import text_sight
from server.reading.searching import Searcher
from server.register.editions import Writing
from server.storage.database import Connection
from server.storage.lists import Lists, Mark, Wanted, Where
from server.work import tasks
from server.work.tasks import AT_ONCE, KIND, OPEN
from sync.core.errors import InvalidField, NotFound, Problem

desk = Desk("tasks", __name__)

PLACES: Mapping[str, tuple[Label, tuple[str, ...]]] = {
    "open": (Label("待办", "To do"), OPEN),
    "late": (Label("已逾期", "Overdue"), ()),
    "done": (Label("已完成", "Done"), ("done",)),
    "cancelled": (Label("已取消", "Cancelled"), ("cancelled",)),
}
PLANNED = ("visit", "recheck", "guide", "other")
"""Sorts that are planned for institutions; verifying a clue begins with the clue."""


class Line(NamedTuple):
    """A task in the list. `days`: until it is due, below nothing when that is past."""

    record: str
    row: Mapping[str, Any]
    whom: Label
    begun: bool
    days: int | None
    late: bool
    conflicted: bool


@desk.get("/tasks", may="tasks.read")
def listing() -> Answer:
    house, who = instance(), seat()
    which = request.args.get("which", "open")
    which = which if which in PLACES else "open"
    text, sort = request.args.get("q", "").strip()[:100], request.args.get("sort", "")
    today = day(house.now())
    more = [Where("is", "sort", sort)] if sort in SORTS else []
    with house.database.read() as conn:
        lists = Lists(house.projections)
        counts = {name: lists.count(conn, _wanted(who.sight, name, today, more)) for name in PLACES}
        among = Searcher(house).ids(text, text_sight(who.sight), KIND) if text else None
        found = lists.page(conn, _wanted(who.sight, which, today, more, among), after=Mark.read(request.args.get("after", "")))
        named = records.names(house, conn, who.sight, [row["institution"] for row in found.rows if row["institution"]])
        lines = [_line(row, records.read_any(house, conn, row["record"]).values, today) for row in found.rows]
    return page(
        "tasks/list.html",
        places=PLACES, which=which, counts=counts, q=text, sort=sort, sorts=SORTS, schema=Task, lines=lines, named=named,
        after=found.after.token() if found.after else "", can_write=who.may("tasks.write"),
    )  # fmt: skip


def _wanted(sight: Any, which: str, today: str, more: list[Where], among: list[str] | None = None) -> Wanted:
    tests = tabling.overdue(Task, today) if which == "late" else [Where("among", "status", list(PLACES[which][1]))]
    order, falling = ("due", False) if which in ("open", "late") else ("newest", True)
    return Wanted(KIND, sight.prefixes(), sight.departments, [*tests, *more], among, order, falling)


def _line(row: Mapping[str, Any], values: Mapping[str, Any], today: str) -> Line:
    """`values`: all of the task; for whom it is and what was begun for it are no columns."""
    days = (date.fromisoformat(row["due"]) - date.fromisoformat(today)).days if row["due"] and row["status"] in OPEN else None
    return Line(row["record"], row, tasks.whom(values.get("assigned")), begun(values), days, Task.overdue(row, today), row["conflicted"] != "[]")


# --- planning ------------------------------------------------------------------------------------------------------------


@desk.get("/tasks/plan", may="tasks.write")
def planning() -> Answer:
    """Institutions to visit: those of a list that its address describes, as the records desk has it."""
    return _plan_page(None, 200)


@desk.post("/tasks/plan", may="tasks.write")
def plan() -> Answer:
    house, who = instance(), seat()
    form = request.form
    chosen = list(dict.fromkeys(form.getlist("institution")))
    try:
        if not chosen:
            raise InvalidField(field=Label("机构", "institutions"), detail=Label("请至少勾选一家", "tick one at least"))
        with house.database.read() as conn:
            wanted = Wanted(Institution.kind, who.sight.prefixes(), who.sight.departments, among=chosen[: AT_ONCE + 1])
            rows = Lists(house.projections).page(conn, wanted, AT_ONCE + 1).rows
            found = tasks.doers(house, conn, who.sight, _common(rows))
        order = tasks.Order(form.get("sort", ""), tasks.assigned(found, form.get("to", "")), form.get("due", ""), form.get("instructions", "").strip())
        made = tasks.plan(house, _who(), rows, order)
    except Problem as problem:
        return _plan_page(problem, 422)
    left = len(rows) - len(made)
    said = Label(f"已安排 {len(made)} 家", f"{len(made)} planned")
    say(Label(f"{said.zh}；{left} 家已有同类待办", f"{said.en}; {left} have such a task already") if left else said)
    return onward(url_for(".listing"))


def _common(rows: list[dict[str, Any]]) -> str:
    """The division that institutions have in common: who may be chosen works there."""
    areas = [str(row["area"] or "") for row in rows]
    if not areas:
        return ""
    first, last = min(areas), max(areas)
    same = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), min(len(first), len(last)))
    return first[: max((length for length in (2, 4, 6, 9, 12) if length <= same), default=0)]


def _plan_page(wrong: Problem | None, status: int) -> Answer:
    house, who = instance(), seat()
    today = day(house.now())
    args: MultiDict[str, str] = request.args
    asked = tabling.read(Institution, who.role, args, today, here())
    with house.database.read() as conn:
        lists = Lists(house.projections)
        wanted, _ = wanted_of(house, who, Institution, asked)
        rows = lists.page(conn, wanted, AT_ONCE).rows
        count = lists.count(conn, wanted)
        busy = tasks.waiting_at(house, conn, [row["record"] for row in rows])
        found = tasks.doers(house, conn, who.sight, _common(rows))
    ticked = set(request.form.getlist("institution")) if request.method == "POST" else {
        row["record"] for row in rows if row["record"] not in busy and len(args) > 0
    }  # fmt: skip
    return answered(
        "tasks/plan.html", status,
        asked=asked, rows=rows, count=count, busy=busy, ticked=ticked, doers=found, sorts={name: SORTS[name] for name in PLANNED},
        today=today, wrong=wrong, typed=request.form, most=AT_ONCE, schema=Institution,
        controls={one.name: one for one in asked.controls},
    )  # fmt: skip


# --- looking again at a hazard -------------------------------------------------------------------------------------------


@desk.get("/tasks/recheck/<record>", may="tasks.write")
def rechecking(record: str) -> Answer:
    """A hazard that somebody is to look at again, with what was planned for it already."""
    return _recheck_page(record, None, 200)


@desk.post("/tasks/recheck/<record>", may="tasks.write")
def recheck(record: str) -> Answer:
    house, form = instance(), request.form
    try:
        with house.database.read() as conn:
            seen = _hazard(conn, record)
            found = tasks.doers(house, conn, seat().sight, str(seen.values.get("area") or ""))
        order = tasks.Order("recheck", tasks.assigned(found, form.get("to", "")), form.get("due", ""), form.get("instructions", "").strip())
        task = tasks.recheck(house, _who(), seat().sight, seen, order, form.getlist("seen"))
    except NotFound:
        raise
    except Problem as problem:
        return _recheck_page(record, problem, 409 if problem.code == "stale" else 422)
    say(Label("已安排复查，任务会到他们的平板", "Planned: the task goes to their tablets"))
    return onward(url_for(".one", record=task))


def _recheck_page(record: str, wrong: Problem | None, status: int) -> Answer:
    house, who = instance(), seat()
    with house.database.read() as conn:
        seen = _hazard(conn, record)
        return answered(
            "tasks/recheck.html", status,
            seen=seen, schema=Hazard, title=records.title_of(house, seen.state), looked_at=seen.state.ids("status"),
            now=seen.values.get("status") or "open", possible=tasks.RECHECKED, late=Hazard.overdue(seen.values, day(house.now())),
            named=records.names(house, conn, who.sight, [str(seen.values.get("institution") or "")]),
            jobs=[_line(row, records.read_any(house, conn, row["record"]).values, day(house.now())) for row in house.projections.find(conn, KIND, "hazard", seen.record)],
            doers=tasks.doers(house, conn, who.sight, str(seen.values.get("area") or "")), task_schema=Task,
            today=day(house.now()), typed=request.form, wrong=wrong, value_of=value_of, label_of=words.label_of,
        )  # fmt: skip


def _hazard(conn: Connection, record: str) -> Seen:
    return records.one(instance(), conn, seat().sight, record, Hazard.kind)


# --- one task ------------------------------------------------------------------------------------------------------------


@desk.get("/tasks/<record>", may="tasks.read")
def one(record: str) -> Answer:
    return _shown(record, None, 200)


def _shown(record: str, wrong: Problem | None, status: int) -> Answer:
    house, who = instance(), seat()
    with house.database.read() as conn:
        seen = _task(conn, record)
        refs = [str(seen.values[name]) for name in ("institution", "clue", "hazard") if seen.values.get(name)]
        done = [*seen.names("inspections"), *seen.names("patrol_notes")]
        history, _ = records.history(conn, seen.state, Task, who.role)
        refs += records.named_in(Task, history)
        return answered(
            "tasks/one.html", status,
            seen=seen, schema=Task, title=records.title_of(house, seen.state), now=seen.values.get("status") or "planned",
            named=records.names(house, conn, who.sight, [*refs, *done]), done=done, whom=tasks.whom(seen.values.get("assigned")), begun=begun(seen.values),
            doers=tasks.doers(house, conn, who.sight, str(seen.values.get("area") or "")) if who.may("tasks.write") else [],
            looked_at={path: seen.state.ids(path) for path in ("status", "due", "assigned", "instructions")},
            value_of=value_of, label_of=words.label_of, history=history, wrong=wrong, open=OPEN,
            people=records.people_of(conn, {id for step in history for id in step.by}), late=Task.overdue(seen.values, day(house.now())),
        )  # fmt: skip


def _task(conn: Connection, record: str) -> Seen:
    return records.one(instance(), conn, seat().sight, record, KIND)


@desk.post("/tasks/<record>/change", may="tasks.write")
def change(record: str) -> Answer:
    """Another day, somebody else, other instructions: over what was shown."""
    house, who = instance(), seat()
    form = request.form
    try:
        with house.database.read() as conn:
            seen = _task(conn, record)
            found = tasks.doers(house, conn, who.sight, str(seen.values.get("area") or ""))
        values: dict[str, Any] = {"due": form.get("due") or None, "instructions": form.get("instructions", "").replace("\r\n", "\n").strip() or None}
        if form.get("to"):
            values["assigned"] = tasks.assigned(found, form["to"])
        tasks.change(house, _who(), seen, values, {path: form.getlist(f"seen-{path}") for path in values})
    except NotFound:
        raise
    except Problem as problem:
        return _shown(record, problem, 409 if problem.code == "stale" else 422)
    say(Label("已保存", "Saved"))
    return onward(url_for(".one", record=record))


@desk.post("/tasks/<record>/step", may="tasks.write")
def step(record: str) -> Answer:
    """Cancelled with a reason, or to be done again."""
    house = instance()
    form = request.form
    try:
        with house.database.read() as conn:
            seen = _task(conn, record)
        if form.get("to") == "cancelled":
            tasks.cancel(house, _who(), seen, form.get("why", ""), form.getlist("seen-status"))
        else:
            tasks.change(house, _who(), seen, {"status": form.get("to", "")}, {"status": form.getlist("seen-status")})
    except NotFound:
        raise
    except Problem as problem:
        return _shown(record, problem, 409 if problem.code == "stale" else 422)
    say(Label("已办理", "Done"))
    return onward(url_for(".one", record=record))


def _who() -> Writing:
    return Writing([seat().person.id], seat().rights)
