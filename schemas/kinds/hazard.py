"""隐患: one entry of the 一单四制 ledger, given a deadline, tracked, struck off, named when overdue.

A hazard is struck off (销号) by somebody else than the one who put it right: the roles of the two steps
have nobody in common. Being overdue is never stored: it is a matter of today's date.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.base import DESK_ROLES, Due, RecordSchema, Section
from schemas.fields import (
    Area,
    Attachments,
    Captions,
    Choice,
    Date,
    Money,
    Notes,
    Ref,
    Signatures,
    Text,
    Workflowed,
)
from schemas.labels import Label
from schemas.workflow import Status, Transition, Workflow

GRADES = {
    "general": Label("一般隐患", "General"),
    "major": Label("重大隐患", "Major"),
}

RECTIFIERS = frozenset({"inspector", "officer"})
VERIFIERS = frozenset({"staff", "lead", "city", "province"})


class Hazard(RecordSchema):
    """One hazard from discovery to being struck off."""

    kind = "hazard"
    label = Label("隐患", "Hazard")
    title = "description"
    makers = DESK_ROLES | RECTIFIERS
    search = ("description", "responsible")
    sorts = ("status", "deadline", "grade")
    runs_out = Due("deadline", frozenset({"open"}))
    workflow = Workflow(
        initial="open",
        statuses={
            "open": Status(Label("整改中", "Open")),
            "rectified": Status(Label("已整改待验收", "Rectified, to be verified")),
            "verified": Status(Label("已销号", "Verified and struck off"), locked=True),
            "void": Status(Label("已作废", "Void"), locked=True),
        },
        transitions=(
            Transition(
                "open", "rectified", Label("报告整改完成", "Report rectified"), RECTIFIERS, ("required",)
            ),
            Transition("rectified", "open", Label("退回整改", "Send back"), VERIFIERS),
            Transition(
                "rectified",
                "verified",
                Label("验收销号", "Verify and strike off"),
                VERIFIERS,
                ("required", "no_conflict", "blobs_held"),
            ),
            Transition("open", "void", Label("作废", "Make void"), VERIFIERS, ("no_conflict",)),
        ),
        held={"rectified": "county"},
    )
    sections = (
        Section(
            Label("隐患", "Hazard"),
            ("institution", "area", "inspection", "item", "description", "grade", "grade_basis"),
        ),
        Section(Label("交办", "Assignment"), ("responsible", "deadline")),
        Section(
            Label("整改", "Rectification"),
            ("measures", "funds", "contingency", "rectified_on", "evidence", "captions", "notes"),
        ),
        Section(Label("验收", "Verification"), ("status", "conclusion", "signatures")),
    )

    institution = Ref(Label("机构", "Institution"), "institution", required=True)
    area = Area(Label("行政区划代码", "Division code"), required=True)
    inspection = Ref(Label("检查", "Inspection"), "inspection")
    item = Text(Label("检查事项代码", "Item of the checklist"), most=100, pattern=r"[A-Za-z0-9._-]+")
    description = Text(Label("问题描述", "Description"), most=2000, lines=True, required=True)
    grade = Choice(Label("等级", "Grade"), GRADES, merge="authority", required=True, second_person=True)
    grade_basis = Text(Label("判定依据", "Why it is of this grade"), most=1000, lines=True)
    responsible = Text(Label("责任人", "Person responsible"), most=100, merge="authority")
    deadline = Date(Label("整改期限", "Deadline"), merge="authority")
    measures = Text(Label("整改措施", "Measures"), most=5000, lines=True)
    funds = Money(Label("整改资金", "Funds"), least=0)
    contingency = Text(Label("应急预案", "Contingency plan"), most=5000, lines=True)
    rectified_on = Date(Label("整改完成日期", "Rectified on"))
    evidence = Attachments(Label("整改前后照片", "Photos before and after"))
    captions = Captions(Label("照片说明", "Captions"))
    notes = Notes(Label("进展", "Progress"))
    status = Workflowed(Label("状态", "Status"), tuple(workflow.statuses))
    conclusion = Text(
        Label("验收结论", "Conclusion"), most=2000, lines=True, writer="staff", second_person=True
    )
    signatures = Signatures(Label("签字", "Signatures"))


def overdue(hazard: Mapping[str, Any], today: str) -> bool:
    """Whether the values of a hazard (path → value) are past the deadline on a day (`YYYY-MM-DD`).

    What has been reported as rectified waits for the verifier and is not the rectifier's delay.
    """
    return Hazard.overdue(hazard, today)
