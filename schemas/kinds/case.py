"""案件: what a county proceeds against, from opening it (D14) to the decision (D20).

A lead opens a case, whether it came from an inspection, a citizen or a hand-over; a decision needs more: at least one
fact that is formal evidence (grade A). What an undercover team brought never suffices, however much there is of it.
"""

from __future__ import annotations

from schemas.base import DESK_ROLES, RecordSchema, Section
from schemas.fields import Area, Choice, Date, Money, Notes, Ref, Tags, Text, Workflowed
from schemas.labels import Label
from schemas.workflow import Status, Transition, Workflow

SOURCES = {
    "inspection": Label("检查发现", "found by an inspection"),
    "clue": Label("投诉举报", "a citizen's clue"),
    "handover": Label("交办线索", "handed over"),
    "transfer": Label("其他部门移送", "from another authority"),
    "other": Label("其他", "other"),
}
STAFF = frozenset({"staff", "lead"})
LEAD = frozenset({"lead"})


class Case(RecordSchema):
    """One case."""

    kind = "case"
    label = Label("案件", "Case")
    title = "cause"
    makers = DESK_ROLES
    search = ("cause", "number", "party")
    sorts = ("status", "opened_on")
    workflow = Workflow(
        initial="draft",
        statuses={
            "draft": Status(Label("拟立案", "Draft")),
            "opened": Status(Label("已立案", "Opened")),
            "decided": Status(Label("已作处罚决定", "Decided"), locked=True),
            "closed": Status(Label("已结案", "Closed"), locked=True),
            "dropped": Status(Label("不予立案或销案", "Dropped"), locked=True),
        },
        transitions=(
            Transition("draft", "opened", Label("批准立案", "Open"), LEAD, ("required", "no_conflict")),
            Transition("draft", "dropped", Label("不予立案", "Do not open"), LEAD),
            Transition(
                "opened",
                "decided",
                Label("作出处罚决定", "Decide"),
                LEAD,
                ("required", "no_conflict", "formal_fact"),
            ),
            Transition("opened", "dropped", Label("销案", "Drop"), LEAD),
            Transition("decided", "closed", Label("结案", "Close"), STAFF, ("no_conflict",)),
        ),
        always_open=frozenset({"notes"}),
    )
    sections = (
        Section(Label("案件", "Case"), ("number", "cause", "area", "institution", "party", "status")),
        Section(Label("来源", "Where it came from"), ("source", "source_note", "handover")),
        Section(Label("事实与证据", "Facts and evidence"), ("facts", "inspections", "evidence", "hazards", "notes")),
        Section(
            Label("立案与决定", "Opening and decision"),
            ("provisions", "opened_on", "decision_number", "decided_on", "penalty", "fine", "dropped_why"),
        ),
    )

    number = Text(Label("案号", "Number"))
    cause = Text(Label("案由", "Cause"), required=True)
    area = Area(Label("行政区划代码", "Division code"), required=True)
    institution = Ref(Label("机构", "Institution"), "institution")
    party = Text(Label("当事人", "Party"))
    source = Choice(Label("案件来源", "Source"), SOURCES, required=True)
    source_note = Text(Label("来源说明", "About the source"), most=1000, lines=True)
    handover = Ref(Label("交办", "Hand-over"), "handover")
    facts = Text(Label("案情摘要", "Facts"), most=10_000, lines=True)
    inspections = Tags(Label("检查", "Inspections"), target="inspection")
    evidence = Tags(Label("证据", "Evidence"), target="evidence")
    hazards = Tags(Label("隐患", "Hazards"), target="hazard")
    provisions = Text(Label("涉嫌违反条款", "Provisions"), most=2000, lines=True, second_person=True)
    opened_on = Date(Label("立案日期", "Opened on"))
    decision_number = Text(Label("决定书文号", "Number of the decision"), second_person=True)
    decided_on = Date(Label("决定日期", "Decided on"), second_person=True)
    penalty = Text(Label("处罚内容", "Penalty"), most=2000, lines=True, second_person=True)
    fine = Money(Label("罚款", "Fine"), least=0, second_person=True)
    dropped_why = Text(Label("不予立案或销案的理由", "Why it was dropped"), most=2000, lines=True)
    status = Workflowed(Label("状态", "Status"), tuple(workflow.statuses), second_person=True)
    notes = Notes(Label("备忘", "Notes"))
