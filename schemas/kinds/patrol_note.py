"""巡查记录 (document D24): what a grid inspector or a social supervisor saw from outside.

Neither is an inspecting body (国办关于严格规范涉企行政检查的意见), so this kind has no place for
questioning, demands, orders, officers, answers or a party's signature. What matters goes on as a clue for
those who may act.
"""

from __future__ import annotations

from schemas.base import DESK_ROLES, RecordSchema, Section
from schemas.fields import (
    Area,
    Attachments,
    Avoided,
    Captions,
    Choice,
    Moment,
    Notes,
    Point,
    Ref,
    Text,
    Workflowed,
)
from schemas.labels import Label
from schemas.workflow import Status, Transition, Workflow

ENFORCEMENT_WORDS = Avoided(
    ("询问", "责令", "责成", "笔录", "查封", "扣押", "罚款", "处罚", "没收", "立案", "要求提供"),
    Label("巡查记录不写执法用语", "A patrol note does not say"),
)
"""What only an enforcement organ may do: a patrol note with it would claim an act that did not happen."""

URGENCIES = {
    "ordinary": Label("一般", "Ordinary"),
    "smouldering": Label("冒烟", "Smouldering"),
    "blow_up": Label("爆雷", "Blowing up"),
}

_READERS = frozenset({"staff", "lead"})


class PatrolNote(RecordSchema):
    """One observation on patrol."""

    kind = "patrol_note"
    label = Label("巡查记录", "Patrol note")
    title = "spot"
    makers = DESK_ROLES | {"inspector", "officer", "supervisor"}
    search = ("spot", "seen")
    sorts = ("status", "seen_at")
    workflow = Workflow(
        initial="noted",
        statuses={
            "noted": Status(Label("已记录", "Noted")),
            "referred": Status(Label("已转线索", "Passed on as a clue"), locked=True),
            "closed": Status(Label("已了结", "Closed"), locked=True),
        },
        transitions=(
            Transition("noted", "referred", Label("转线索", "Pass on as a clue"), _READERS, ("no_conflict",)),
            Transition("noted", "closed", Label("了结", "Close"), _READERS, ("no_conflict",)),
        ),
    )
    sections = (
        Section(
            Label("时间地点", "When and where"),
            ("seen_at", "spot", "area", "grid", "place", "institution"),
        ),
        Section(Label("看到的情况", "What was seen"), ("seen", "urgency", "evidence", "captions", "notes")),
        Section(Label("处理", "Handling"), ("status", "outcome")),
    )

    seen_at = Moment(Label("巡查时间", "Time"), required=True)
    spot = Text(Label("地点", "Spot"), required=True, hint=Label("楼栋、楼层、门牌", "Building, floor, door"))
    area = Area(Label("行政区划代码", "Division code"), required=True)
    grid = Text(Label("网格", "Grid"), most=60)
    place = Point(Label("位置", "Position"))
    institution = Ref(Label("机构", "Institution"), "institution")
    seen = Text(
        Label("看到的情况", "What was seen"),
        most=5000,
        lines=True,
        avoid=ENFORCEMENT_WORDS,
        required=True,
        hint=Label(
            "只写从外部看到的；不询问、不要求提供资料、不责令改正",
            "Only what is seen from outside; no questions, no demands, no orders",
        ),
    )
    urgency = Choice(Label("紧急程度", "Urgency"), URGENCIES)
    evidence = Attachments(Label("照片", "Photos"))
    captions = Captions(Label("照片说明", "Captions"))
    notes = Notes(Label("补充", "Notes"))
    status = Workflowed(Label("状态", "Status"), tuple(workflow.statuses))
    outcome = Text(Label("处理结果", "Outcome"), most=2000, lines=True, writer="staff")
