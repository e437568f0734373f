"""暗访: one undercover round by a team from elsewhere, with the material that it sealed.

It lives behind the wall of the sealed compartment until something of it is handed over. It names no member of the team
and nobody who told of the place: tablets of the team carry it, and a handed-over lead must not lead back to anybody.
"""

from __future__ import annotations

from schemas.base import DESK_ROLES, RecordSchema, Section
from schemas.fields import Area, Date, Notes, Ref, Text, Workflowed
from schemas.labels import Label
from schemas.workflow import Status, Transition, Workflow

_CLOSERS = frozenset({"team", "province"})


class Audit(RecordSchema):
    """One round."""

    kind = "audit"
    label = Label("暗访", "Undercover audit")
    compartment = "sealed"
    makers = DESK_ROLES | {"team"}
    search = ("name",)
    workflow = Workflow(
        initial="open",
        statuses={
            "open": Status(Label("进行中", "Under way")),
            "closed": Status(Label("已结束", "Closed")),
        },
        transitions=(
            Transition("open", "closed", Label("结束", "Close"), _CLOSERS),
            Transition("closed", "open", Label("重新开始", "Reopen"), _CLOSERS),
        ),
        always_open=frozenset({"notes"}),
    )
    sections = (
        Section(Label("暗访", "Audit"), ("name", "area", "planned", "begins", "ends", "status")),
        Section(Label("对象", "Whom it concerns"), ("institution", "target")),
        Section(Label("内容", "Content"), ("purpose", "seen", "recollect", "notes")),
        Section(Label("其他", "More"), ("team", "looks_back")),
    )

    name = Text(
        Label("名称", "Name"), required=True, hint=Label("代号即可，不写对象", "A code name; not whom it concerns")
    )
    area = Area(Label("行政区划代码", "Division code"), required=True)
    planned = Date(Label("计划日期", "Planned for"))
    begins = Date(Label("开始日期", "Begins"))
    ends = Date(Label("结束日期", "Ends"))
    purpose = Text(Label("目的", "Purpose"), most=5000, lines=True)
    institution = Ref(Label("对象机构", "Institution"), "institution")
    target = Text(Label("对象名称", "Name of the place"), hint=Label("名册中没有时填写", "Where the register has it not"))
    seen = Text(Label("所见情况", "What was seen"), most=5000, lines=True)
    recollect = Text(
        Label("为何需要依法重新取证", "Why it has to be collected again lawfully"),
        most=2000,
        lines=True,
        hint=Label(
            "暗访所得只是线索，不能单独作为处罚依据", "What an audit brings is a lead; no penalty rests on it alone"
        ),
    )
    team = Text(Label("组别", "Team"), hint=Label("代号，不写姓名", "A code name, no names"))
    looks_back = Ref(Label("所回看的交办", "The hand-over that it looks back at"), "handover")
    notes = Notes(Label("补充", "Notes"))
    status = Workflowed(Label("状态", "Status"), tuple(workflow.statuses))
