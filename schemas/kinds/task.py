"""任务: a planned visit, a re-check, a clue to verify or another job: where, for whom, until when, and what came of it.

For whom and until when the county says, and its word stands (`authority`). Several people may do one task: the inspections
and patrol notes that did it are a set, so that two tablets without a network never lose each other's work; what they write
differently as the result is a conflict for staff, as everywhere. A task that was cancelled meanwhile keeps what was done:
the step is parked, the inspection is a record of its own.

That a task is under way is no status: it is under way when it names an inspection or a patrol note and is not done. A step that
says no more than that would be one more thing on which two tablets without a network disagree (decisions/0059).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.base import DESK_ROLES, Due, RecordSchema, Section
from schemas.fields import (
    Area,
    Choice,
    Composite,
    Date,
    Moment,
    Notes,
    Point,
    Ref,
    Tags,
    Text,
    Workflowed,
)
from schemas.labels import Label
from schemas.workflow import Status, Transition, Workflow

SORTS = {
    "visit": Label("计划检查", "Planned visit"),
    "recheck": Label("整改复查", "Re-check"),
    "verify": Label("核实线索", "Verify a clue"),
    "guide": Label("上门指导", "Guidance"),
    "other": Label("其他", "Other"),
}
WHOM = {
    "area": Label("本区域的人员", "Whoever works in the area"),
    "grid": Label("网格", "A grid"),
    "person": Label("指定人员", "A person"),
}

STAFF = frozenset({"staff", "lead", "city", "province"})
DOERS = STAFF | {"inspector", "officer", "supervisor"}


class Task(RecordSchema):
    """One task."""

    kind = "task"
    label = Label("任务", "Task")
    makers = DESK_ROLES | {"inspector", "officer", "supervisor"}
    search = ("name", "address", "instructions")
    indexed = ("clue", "hazard", "institution")
    sorts = ("status", "due", "sort")
    runs_out = Due("due", frozenset({"planned"}))
    workflow = Workflow(
        initial="planned",
        statuses={
            "planned": Status(Label("待办", "Planned")),
            "done": Status(Label("已完成", "Done")),
            "cancelled": Status(Label("已取消", "Cancelled"), locked=True),
        },
        transitions=(
            Transition("planned", "done", Label("完成", "Done"), DOERS),
            Transition("done", "planned", Label("退回重做", "To be done again"), STAFF),
            Transition("planned", "cancelled", Label("取消", "Cancel"), STAFF, ("cancelled_why",)),
        ),
        always_open=frozenset({"notes", "inspections", "patrol_notes"}),
    )
    sections = (
        Section(Label("任务", "Task"), ("name", "sort", "institution", "address", "area", "place", "instructions")),
        Section(Label("为何", "What for"), ("clue", "hazard")),
        Section(Label("交给谁、何时", "For whom, until when"), ("assigned", "due")),
        Section(
            Label("办理", "Handling"),
            ("status", "inspections", "patrol_notes", "result", "done_at", "cancelled_why", "notes"),
        ),
    )

    name = Text(Label("任务", "Task"), required=True, hint=Label("机构名称或事项", "The institution, or what is to be done"))
    sort = Choice(Label("种类", "Sort"), SORTS, required=True)
    institution = Ref(Label("机构", "Institution"), "institution")
    address = Text(Label("地点", "Where"), most=200)
    area = Area(Label("行政区划代码", "Division code"), required=True)
    place = Point(Label("位置", "Position"))
    instructions = Text(Label("交代事项", "Instructions"), most=2000, lines=True)
    clue = Ref(Label("线索", "Clue"), "clue")
    hazard = Ref(Label("隐患", "Hazard"), "hazard")
    assigned = Composite(
        Label("交给", "Assigned to"),
        {
            "to": Choice(Label("交给", "Assigned to"), WHOM),
            "id": Text(Label("编号", "Id"), most=64),
            "name": Text(Label("名称", "Name"), most=100),
        },
        needed=("to",),
        merge="authority",
    )
    due = Date(Label("期限", "Due"), merge="authority")
    inspections = Tags(Label("完成它的检查", "Inspections that did it"), target="inspection")
    patrol_notes = Tags(Label("完成它的巡查记录", "Patrol notes that did it"), target="patrol_note")
    result = Text(Label("结果", "Result"), most=2000, lines=True)
    done_at = Moment(Label("完成时间", "Done"))
    cancelled_why = Text(Label("取消原因", "Why it was cancelled"), most=1000, lines=True, writer="staff")
    notes = Notes(Label("补充", "Notes"))
    status = Workflowed(Label("状态", "Status"), tuple(workflow.statuses))


def begun(values: Mapping[str, Any]) -> bool:
    """Whether somebody has begun it: path → value names an inspection or a patrol note that is for it."""
    return any(value is True and path.startswith(("inspections/", "patrol_notes/")) for path, value in values.items())
