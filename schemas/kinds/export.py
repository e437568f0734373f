"""导出申请: the proposal to show an undercover clip outside, redacted, and what was decided about it.

What goes out is a copy in which faces are destroyed, and everything about it stands in the proposal: which object, which
boxes, for whom, what for, until when. Two people of the province approve exactly that, each in a change of their own; a
later change of any of it takes the approvals away. The original stays sealed.

Its area is the province, so that no tablet of a team carries it.
"""

from __future__ import annotations

from schemas.approving import PROVINCE, approved_by_two
from schemas.base import RecordSchema, Section
from schemas.fields import Area, Choice, Date, Digest, Flag, Integer, Notes, Rows, Signatures, Tags, Text, Workflowed
from schemas.labels import Label

FORMS = {
    "picture": Label("图片", "Picture"),
    "film": Label("视频（无声）", "Film, without sound"),
}
LONGEST_DAYS = 30
"""An approval is for a meeting that is near, not a standing permission."""


class Export(RecordSchema):
    """One proposal."""

    kind = "export"
    label = Label("导出申请", "Export")
    title = "purpose"
    compartment = "sealed"
    makers = PROVINCE
    search = ("purpose", "recipient")
    workflow = approved_by_two(
        approved=Label("已批准待导出", "Approved"),
        refused=Label("不予导出", "Refused"),
        refuse=Label("不予导出", "Refuse"),
        done="exported",
        doing=Label("导出", "Export"),
        was_done=Label("已导出", "Exported"),
        later="derived",
    )
    sections = (
        Section(Label("导出什么", "What goes out"), ("objects", "area", "form", "boxes", "at_ms", "page", "nobody")),
        Section(Label("给谁、为何", "For whom and why"), ("recipient", "purpose", "until")),
        Section(Label("审批", "Approval"), ("approvals", "refusal", "status", "derived", "notes")),
    )

    objects = Tags(Label("密封证据", "Sealed evidence"), target="sealed_evidence", frozen=True)
    area = Area(Label("行政区划代码", "Division code"), required=True)
    form = Choice(Label("形式", "Form"), FORMS, frozen=True, required=True)
    boxes = Rows(Label("遮挡方框（像素）", "Boxes that are destroyed, in pixels"), frozen=True)
    at_ms = Integer(Label("视频中的时刻", "Moment of the film"), least=0, unit="ms", frozen=True)
    page = Integer(Label("PDF 第几页", "Page of a PDF"), least=1, frozen=True)
    nobody = Flag(Label("经查看，画面中无可识别的人", "Looked at: nobody could be known by it"), frozen=True)
    recipient = Text(Label("交给谁", "For whom"), most=500, frozen=True, required=True)
    purpose = Text(Label("用途", "What for"), most=2000, lines=True, frozen=True, required=True)
    until = Date(Label("导出期限", "To be exported by"), frozen=True, required=True)
    approvals = Signatures(Label("审批", "Approvals"), roles=PROVINCE)
    refusal = Text(Label("不予导出的理由", "Why it was refused"), most=2000, lines=True)
    derived = Digest(Label("导出文件 SHA-256", "SHA-256 of the file that went out"))
    status = Workflowed(Label("状态", "Status"), tuple(workflow.statuses))
    notes = Notes(Label("备忘", "Notes"))
