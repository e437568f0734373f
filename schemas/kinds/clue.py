"""线索: what somebody reported or noticed, from its receipt to a stated outcome (受理、分派、核实、办结), reopened once at most.

Who reported it is not in here. A clue goes to the tablets of its area, and the law keeps the informer from everybody who
need not know: who that is lies in a record of its own that no tablet is ever sent (`schemas.kinds.informer`).

By when it has to be verified follows from its urgency (`schemas.shipped`: clocks T12 to T14) and is written into `due`
when it is received; a county may set other numbers of days. Being overdue is never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from schemas.base import DESK_ROLES, Due, RecordSchema, Section
from schemas.fields import (
    Area,
    Attachments,
    Avoided,
    Captions,
    Choice,
    Date,
    Moment,
    Notes,
    Point,
    Ref,
    Text,
    Workflowed,
)
from schemas.kinds.patrol_note import URGENCIES
from schemas.labels import Label
from schemas.shipped import library
from schemas.workflow import Status, Transition, Workflow

SOURCES = {
    "hotline": Label("12345 热线", "12345 hotline"),
    "letter": Label("来信来访", "Letter or visit"),
    "snapshot": Label("随手拍", "Snapshot by the public"),
    "supervisor": Label("督学、社会监督员", "School or social supervisor"),
    "patrol": Label("巡查记录", "Patrol note"),
    "inspection": Label("检查发现", "Found by an inspection"),
    "audit": Label("审计、专项检查", "Financial audit or special check"),
    "prepaid": Label("预收费监管预警", "Warning on prepaid fees"),
    "proposal": Label("建议提案", "Motion or proposal"),
    "transfer": Label("其他部门移送", "From another authority"),
    "other": Label("其他", "Other"),
}
TYPES = {
    "unlicensed": Label("无证办学", "No permit"),
    "disguised": Label("隐形变异学科培训", "Disguised subject tutoring"),
    "fees": Label("收费退费", "Fees and refunds"),
    "closure": Label("停业跑路", "Closing down, running away"),
    "safety": Label("安全隐患", "Safety"),
    "staff": Label("师资、在职教师", "Staff, teachers in service"),
    "time": Label("违规时段", "Forbidden hours"),
    "advertising": Label("虚假宣传", "False advertising"),
    "minors": Label("未成年人保护", "Protection of minors"),
    "other": Label("其他", "Other"),
}
OUTCOMES = {
    "confirmed": Label("属实", "Confirmed"),
    "partly": Label("部分属实", "Partly confirmed"),
    "unfounded": Label("不属实", "Unfounded"),
    "not_found": Label("查无此处", "No such place"),
    "repeat": Label("重复线索", "The same as another clue"),
    "moved": Label("已移送其他部门", "Passed to another authority"),
}
CLOCKS: Mapping[str, str] = {"blow_up": "T12", "smouldering": "T13", "ordinary": "T14"}
"""Urgency → the time limit for verifying."""

INFORMER_WORDS = Avoided(
    ("举报人", "投诉人", "来电人", "举报电话", "联系电话", "身份证", "家长姓名", "知情人", "线人"),
    Label("可能指向举报人，而线索会下发到平板", "This may lead to whoever reported, and clues go to tablets"),
)
"""Words that lead to whoever reported."""

STAFF = frozenset({"staff", "lead", "city", "province"})
VERIFIERS = STAFF | {"inspector", "officer", "supervisor"}


class Clue(RecordSchema):
    """One clue."""

    kind = "clue"
    label = Label("线索", "Clue")
    title = "subject"
    makers = DESK_ROLES | {"inspector", "officer", "supervisor"}
    search = ("subject", "text", "number", "address")
    indexed = ("patrol_note", "number")
    sorts = ("status", "due", "urgency", "received_at")
    runs_out = Due("due", frozenset({"received", "assigned", "reopened"}))
    workflow = Workflow(
        initial="received",
        statuses={
            "received": Status(Label("已受理", "Received")),
            "assigned": Status(Label("已分派待核实", "Assigned, to be verified")),
            "verified": Status(Label("已核实待办结", "Verified, to be closed")),
            "closed": Status(Label("已办结", "Closed"), locked=True),
            "reopened": Status(Label("重新办理", "Reopened")),
        },
        transitions=(
            Transition("received", "assigned", Label("分派", "Assign"), STAFF, ("required",)),
            Transition("received", "verified", Label("直接核实", "Verify at once"), VERIFIERS, ("answered",)),
            Transition("assigned", "verified", Label("报告核实结果", "Report what was found"), VERIFIERS, ("answered",)),
            Transition("reopened", "assigned", Label("再次分派", "Assign again"), STAFF, ("required",)),
            Transition("reopened", "verified", Label("再次核实", "Verify again"), VERIFIERS, ("answered",)),
            Transition("verified", "assigned", Label("退回再核", "Send back to be verified again"), STAFF),
            Transition(
                "verified",
                "closed",
                Label("办结", "Close"),
                STAFF,
                ("required", "answered", "no_conflict", "blobs_held"),
            ),
            Transition("closed", "reopened", Label("重新办理（限一次）", "Reopen (once)"), STAFF, ("reopened_once",)),
        ),
        always_open=frozenset({"notes", "evidence", "captions", "reopenings"}),
    )
    sections = (
        Section(
            Label("线索", "Clue"),
            ("subject", "text", "type", "urgency", "institution", "address", "area", "place"),
        ),
        Section(
            Label("来源", "Where it came from"), ("source", "number", "received_at", "patrol_note", "repeats")
        ),
        Section(Label("办理", "Handling"), ("status", "due", "outcome", "result", "disposal", "reopenings")),
        Section(Label("材料", "Material"), ("evidence", "captions", "notes")),
    )

    subject = Text(
        Label("反映对象", "What it is about"),
        required=True,
        hint=Label("机构名称，或楼栋门牌", "The institution, or building and door"),
    )
    text = Text(
        Label("反映内容", "What was reported"),
        most=5000,
        lines=True,
        required=True,
        avoid=INFORMER_WORDS,
        hint=Label(
            "会下发到平板，不写举报人的任何信息", "This goes to tablets: nothing about who reported it"
        ),
    )
    type = Choice(Label("类型", "Type"), TYPES)
    urgency = Choice(Label("紧急程度", "Urgency"), URGENCIES, merge="authority")
    institution = Ref(Label("机构", "Institution"), "institution")
    address = Text(Label("地点", "Where"), most=200)
    area = Area(Label("行政区划代码", "Division code"), required=True)
    place = Point(Label("位置", "Position"))
    source = Choice(Label("来源", "Source"), SOURCES, required=True)
    number = Text(Label("来源编号", "Its number there"), most=60, hint=Label("热线工单号等", "Of the hotline's ticket, say"))
    received_at = Moment(Label("受理时间", "Received"), required=True)
    patrol_note = Ref(Label("巡查记录", "Patrol note"), "patrol_note")
    repeats = Ref(Label("重复的线索", "Clue that it repeats"), "clue")
    due = Date(Label("核实期限", "To be verified by"), merge="authority", writer="staff")
    outcome = Choice(Label("核实结论", "Outcome"), OUTCOMES)
    result = Text(Label("核实情况", "What was found"), most=5000, lines=True)
    disposal = Text(Label("处理和反馈", "What was done about it"), most=5000, lines=True, writer="staff")
    reopenings = Notes(Label("重新办理的原因", "Why it was reopened"), writer="staff")
    evidence = Attachments(Label("照片与材料", "Photos and material"))
    captions = Captions(Label("说明", "Captions"))
    notes = Notes(Label("补充", "Notes"))
    status = Workflowed(Label("状态", "Status"), tuple(workflow.statuses))


def days_for(urgency: str | None, set_here: Mapping[str, int] | None = None) -> int:
    """Days within which a clue of an urgency is verified: those that a county set (urgency → days), else the shipped ones."""
    known = urgency if urgency is not None and urgency in CLOCKS else "ordinary"
    if set_here and known in set_here:
        return set_here[known]
    clock = library().clocks[CLOCKS[known]]
    length = clock.length or 0
    return -(-length // 24) if clock.unit == "hours" else length


def due_day(received: str, urgency: str | None, set_here: Mapping[str, int] | None = None) -> str:
    """The day by which a clue is verified that was received on a day (both `YYYY-MM-DD`)."""
    return (date.fromisoformat(received) + timedelta(days=days_for(urgency, set_here))).isoformat()
