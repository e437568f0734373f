"""检查: one visit to an institution, from arrival to archive. Document D03 is printed from it.

What the party and the officers sign is frozen by their signatures: a later change is an amendment, shown
beside the first version. Notes, evidence and reviewers' remarks may follow at any time. The institution's
name, address and person in charge are written down as they were that day, because the register moves on.
"""

from __future__ import annotations

from schemas.base import DESK_ROLES, RecordSchema, Section
from schemas.fields import (
    Answers,
    Area,
    Attachments,
    Avoided,
    Captions,
    Choice,
    Moment,
    Notes,
    Point,
    Ref,
    Signatures,
    Tags,
    Text,
    Workflowed,
)
from schemas.kinds.institution import DEPARTMENTS
from schemas.labels import Label
from schemas.workflow import Status, Transition, Workflow

MODES = {
    "patrol": Label("巡查", "Patrol"),
    "guidance": Label("指导", "Guidance"),
    "enforcement": Label("执法检查", "Enforcement"),
}

CERTIFIED = DESK_ROLES | {"officer"}
"""Who may make it an enforcement inspection: only enforcement organs inspect (国办涉企检查意见)."""

CONCLUSIONS = Avoided(
    ("违法", "违规", "非法", "构成", "情节严重", "应予处罚", "罚款", "没收", "吊销", "取缔"),
    Label("请避免结论性用语", "Describe, do not conclude"),
)
"""Words that draw a conclusion. A record of the scene describes; the decision concludes."""

_FIELD = frozenset({"inspector", "officer"})
_REVIEWERS = frozenset({"staff", "lead"})
_SUBMIT = ("required", "signed", "two_officers")
_APPROVE = ("no_conflict", "blobs_held")
_CITY, _PROVINCE = frozenset({"city"}), frozenset({"province"})


class Inspection(RecordSchema):
    """One visit with its answers, evidence and signatures."""

    kind = "inspection"
    label = Label("检查", "Inspection")
    makers = DESK_ROLES | _FIELD
    search = ("name",)
    sorts = ("status", "started_at")
    workflow = Workflow(
        initial="draft",
        statuses={
            "draft": Status(Label("草稿", "Draft")),
            "submitted": Status(Label("已提交", "Submitted")),
            "returned": Status(Label("已退回", "Returned")),
            "township": Status(Label("乡镇已审，报县级", "Passed by the township"), locked=True),
            "county": Status(Label("县级已审，报市级", "Passed by the county"), locked=True),
            "city": Status(Label("市级已审，报省级", "Passed by the city"), locked=True),
            "approved": Status(Label("已审核", "Approved"), locked=True),
            "archived": Status(Label("已归档", "Archived"), locked=True),
            "void": Status(Label("已作废", "Void"), locked=True),
        },
        transitions=(
            Transition("draft", "submitted", Label("提交", "Submit"), _FIELD | _REVIEWERS, _SUBMIT),
            Transition("returned", "submitted", Label("再次提交", "Resubmit"), _FIELD | _REVIEWERS, _SUBMIT),
            Transition("submitted", "returned", Label("退回", "Return"), _REVIEWERS),
            Transition("submitted", "township", Label("通过，报县级", "Pass to the county"), _REVIEWERS, _APPROVE),
            Transition("submitted", "county", Label("通过，报市级", "Pass to the city"), _REVIEWERS, _APPROVE),
            Transition("submitted", "approved", Label("审核通过", "Approve"), _REVIEWERS, _APPROVE),
            Transition("township", "county", Label("通过，报市级", "Pass to the city"), _REVIEWERS, _APPROVE),
            Transition("township", "approved", Label("审核通过", "Approve"), _REVIEWERS, _APPROVE),
            Transition("township", "returned", Label("退回", "Return"), _REVIEWERS),
            Transition("county", "city", Label("通过，报省级", "Pass to the province"), _CITY, _APPROVE),
            Transition("county", "approved", Label("审核通过", "Approve"), _CITY, _APPROVE),
            Transition("county", "returned", Label("退回", "Return"), _CITY),
            Transition("city", "approved", Label("审核通过", "Approve"), _PROVINCE, _APPROVE),
            Transition("city", "returned", Label("退回", "Return"), _PROVINCE),
            Transition("approved", "archived", Label("归档", "Archive"), _REVIEWERS, _APPROVE),
            Transition("draft", "void", Label("作废", "Make void"), _FIELD | _REVIEWERS),
            Transition("returned", "void", Label("作废", "Make void"), _FIELD | _REVIEWERS),
            Transition("submitted", "void", Label("作废", "Make void"), _REVIEWERS),
        ),
        always_open=frozenset({"notes", "evidence", "captions", "review"}),
        held={"submitted": "township", "township": "county", "county": "city", "city": "province"},
    )
    sections = (
        Section(
            Label("检查对象", "Who is inspected"),
            ("institution", "name", "area", "address", "person_in_charge", "person_post", "person_phone"),
        ),
        Section(
            Label("检查", "Inspection"),
            ("mode", "checklist", "edition", "notice_number", "started_at", "ended_at", "place"),
        ),
        Section(Label("人员", "People"), ("officers", "led_by", "departments")),
        Section(Label("检查情况", "Findings"), ("answers", "findings", "evidence", "captions")),
        Section(Label("签字", "Signing"), ("party_opinion", "signatures", "refusal", "witness")),
        Section(Label("审核", "Review"), ("status", "review", "notes")),
    )

    institution = Ref(Label("机构", "Institution"), "institution", frozen=True, required=True)
    name = Text(
        Label("被检查机构名称", "Name of the institution"),
        frozen=True,
        required=True,
        hint=Label("检查当日的名称", "As it was on the day"),
    )
    area = Area(Label("行政区划代码", "Division code"), required=True)
    address = Text(Label("检查地点", "Address inspected"), most=300, frozen=True)
    person_in_charge = Text(Label("现场负责人", "Person in charge"), most=60, frozen=True)
    person_post = Text(Label("职务", "Post"), most=60, frozen=True)
    person_phone = Text(Label("联系电话", "Telephone"), most=60, merge="latest")
    mode = Choice(
        Label("检查方式", "Mode"),
        MODES,
        reserved={"enforcement": CERTIFIED},
        frozen=True,
        required=True,
        hint=Label("执法检查须有两名持证人员", "Enforcement needs two officers with certificates"),
    )
    checklist = Ref(Label("检查清单", "Checklist"), "checklist", frozen=True)
    edition = Text(Label("清单版次", "Edition of the checklist"), most=40, frozen=True)
    notice_number = Text(Label("检查通知书文号", "Number of the inspection notice"), most=60, frozen=True)
    started_at = Moment(Label("开始时间", "Started"), frozen=True, required=True)
    ended_at = Moment(Label("结束时间", "Ended"), frozen=True, required=True)
    place = Point(Label("位置", "Position"), frozen=True)
    officers = Tags(Label("检查人员", "Officers"), target="officer", frozen=True)
    led_by = Text(Label("带队领导", "Led by"), most=60, frozen=True)
    departments = Tags(Label("参加部门", "Departments taking part"), options=DEPARTMENTS, frozen=True)
    answers = Answers(Label("检查事项", "Answers"), frozen=True)
    findings = Text(
        Label("检查情况", "Findings"),
        most=10_000,
        lines=True,
        avoid=CONCLUSIONS,
        frozen=True,
        required=True,
        second_person=True,
        hint=Label("只写看到、听到、测得的，不写结论", "What was seen, heard or measured; no conclusions"),
    )
    evidence = Attachments(Label("证据", "Evidence"), frozen=True)
    captions = Captions(Label("证据说明", "Captions"))
    party_opinion = Text(Label("被检查人意见", "What the party says"), most=5000, lines=True, frozen=True)
    signatures = Signatures(Label("签字", "Signatures"))
    refusal = Text(
        Label("拒签原因", "Why the party did not sign"),
        most=1000,
        lines=True,
        frozen=True,  # the officers sign that it was refused, why, and who saw it
        hint=Label(
            "拒签或不能签字时填写，并由见证人签字或指明音像记录",
            "When the party refuses or cannot sign; with a witness or a recording",
        ),
    )
    witness = Text(Label("见证人", "Witness"), most=200, frozen=True)
    status = Workflowed(Label("状态", "Status"), tuple(workflow.statuses))
    review = Notes(
        Label("审核意见", "Review"),
        writer="staff",
        hint=Label("item 写明有问题的字段或照片", "item names the field or the photo that is wrong"),
    )
    notes = Notes(Label("备忘", "Notes"))
