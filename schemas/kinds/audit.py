"""暗访: one undercover round by a team from elsewhere, with the material that it sealed.

It lives behind the wall of the sealed compartment until something of it is handed over. It names no member of the team:
who went is nobody's business outside it, and a handed-over lead must not lead back to them.
"""

from __future__ import annotations

from schemas.base import DESK_ROLES, RecordSchema, Section
from schemas.fields import Area, Date, Notes, Text, Workflowed
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
        Section(Label("暗访", "Audit"), ("name", "area", "begins", "ends", "status")),
        Section(Label("内容", "Content"), ("purpose", "notes")),
    )

    name = Text(
        Label("名称", "Name"), required=True, hint=Label("代号即可，不写对象", "A code name; not whom it concerns")
    )
    area = Area(Label("行政区划代码", "Division code"), required=True)
    begins = Date(Label("开始日期", "Begins"))
    ends = Date(Label("结束日期", "Ends"))
    purpose = Text(Label("目的", "Purpose"), most=5000, lines=True)
    notes = Notes(Label("补充", "Notes"))
    status = Workflowed(Label("状态", "Status"), tuple(workflow.statuses))
