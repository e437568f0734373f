"""解封申请: the proposal to hand sealed evidence over to a county, and what was decided about it.

It holds every word that the county will read, so that whoever approves approves exactly that: an approval names the hash
of the frozen fields, and a later change of any of them takes it away. Two people of the province approve, each in a
change of their own; who proposed may be one of them (docs/decisions/0014). Approvals for material that is handed over
once more, after its deadline, are new ones.

Its area is the province, so that no tablet of a team, whose grants are narrower, carries it.
"""

from __future__ import annotations

from schemas.approving import PROVINCE, approved_by_two
from schemas.base import RecordSchema, Section
from schemas.fields import Area, Choice, Date, Notes, Ref, Signatures, Tags, Text, Workflowed
from schemas.kinds.handover import SECRECY, SOURCE_WORDS
from schemas.labels import Label


class Release(RecordSchema):
    """One proposal."""

    kind = "release"
    label = Label("解封申请", "Release")
    title = "unit"
    compartment = "sealed"
    makers = PROVINCE
    search = ("unit", "target")
    workflow = approved_by_two(
        approved=Label("已批准待移交", "Approved"),
        refused=Label("不予解封", "Refused"),
        refuse=Label("不予解封", "Refuse"),
        done="released",
        doing=Label("移交", "Release"),
        was_done=Label("已解封交办", "Released"),
        later="handover",
    )
    sections = (
        Section(Label("依据", "What it rests on"), ("audit", "area", "objects", "reason", "again")),
        Section(
            Label("交办内容", "What the county will read"),
            ("to_area", "unit", "institution", "target", "summary", "opinion", "requirements", "secrecy", "due"),
        ),
        Section(Label("审批", "Approval"), ("approvals", "refusal", "status", "handover", "notes")),
    )

    audit = Ref(Label("所属暗访", "Audit"), "audit", frozen=True)
    area = Area(Label("行政区划代码", "Division code"), required=True)
    objects = Tags(Label("拟移交的密封证据", "Sealed evidence to hand over"), target="sealed_evidence", frozen=True)
    reason = Text(Label("解封理由", "Why"), most=2000, lines=True, frozen=True, required=True)
    again = Ref(Label("再次移交的交办", "The hand-over that it renews"), "handover", frozen=True)
    to_area = Area(Label("受交办区划代码", "Division code of the county"), frozen=True, required=True)
    unit = Text(Label("受交办单位", "Receiving unit"), frozen=True, required=True)
    institution = Ref(Label("机构", "Institution"), "institution", frozen=True)
    target = Text(Label("对象名称", "Name of the place"), frozen=True)
    summary = Text(
        Label("问题线索摘要", "Summary of the lead"),
        most=5000,
        lines=True,
        avoid=SOURCE_WORDS,
        frozen=True,
        required=True,
        hint=Label(
            "不含可识别举报人、暗访人员的信息", "Nothing by which an informant or a member of the team could be known"
        ),
    )
    opinion = Text(Label("法律定性初步意见", "Preliminary legal opinion"), most=2000, lines=True, frozen=True)
    requirements = Text(Label("报告要求", "What to report"), most=2000, lines=True, frozen=True)
    secrecy = Choice(Label("密级", "Secrecy"), SECRECY, frozen=True)
    due = Date(Label("办结期限", "Due"), frozen=True, required=True)
    approvals = Signatures(Label("审批", "Approvals"), roles=PROVINCE)
    refusal = Text(Label("不予解封的理由", "Why it was refused"), most=2000, lines=True)
    handover = Ref(Label("交办", "Hand-over"), "handover")
    status = Workflowed(Label("状态", "Status"), tuple(workflow.statuses))
    notes = Notes(Label("备忘", "Notes"))
