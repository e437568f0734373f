"""交办: sealed evidence handed to a county with a task and a deadline, its receipt, what the county found, and the end.

It is what the county sees of an undercover audit, and all of it: 文书 D22, the sealed files by digest, and the keys to
them, wrapped for the county. Until it is written the county sees nothing, and it names neither the team nor the audit nor
the proposal; of what the team told it has the commitment, so that nobody can tell it differently later. What the files show is a lead: the county collects its own evidence and links it here.

Being overdue is never stored: it is a matter of today's date.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from schemas.base import DESK_ROLES, Due, RecordSchema, Section
from schemas.fields import (
    Area,
    Attachments,
    Avoided,
    Choice,
    Composite,
    Date,
    Entries,
    Integer,
    Moment,
    Notes,
    Ref,
    Signatures,
    Tags,
    Text,
    Workflowed,
)
from schemas.labels import Label
from schemas.workflow import Status, Transition, Workflow

PROVINCE = frozenset({"province"})
COUNTY = frozenset({"staff", "lead"})

SECRECY = {
    "none": Label("不定密", "none"),
    "internal": Label("内部", "internal"),
    "work-secret": Label("工作秘密", "work secret"),
}
OUTCOMES = {
    "confirmed": Label("属实", "confirmed"),
    "partly": Label("部分属实", "partly confirmed"),
    "unfounded": Label("不属实", "unfounded"),
}
LOOKBACK = {
    "holds": Label("整改到位", "put right"),
    "partly": Label("部分到位", "partly put right"),
    "relapsed": Label("问题反弹", "back as before"),
}

SOURCE_WORDS = Avoided(
    ("举报人", "举报电话", "知情人", "线人", "卧底", "暗访组", "暗访人员", "组员"),
    Label("可能暴露来源", "This may give a source away"),
)
"""Words that lead to a source."""


class Handover(RecordSchema):
    """One hand-over to one county."""

    kind = "handover"
    version = 2  # 1 took along what the team told
    label = Label("交办", "Hand-over")
    title = "number"
    makers = DESK_ROLES | {"officer"}
    search = ("number", "unit", "target", "summary")
    sorts = ("status", "due")
    runs_out = Due("due", frozenset({"released", "received", "returned"}))
    workflow = Workflow(
        initial="released",
        statuses={
            "released": Status(Label("待签收", "Released")),
            "received": Status(Label("已签收办理中", "Received")),
            "reported": Status(Label("已反馈待审核", "Reported")),
            "returned": Status(Label("退回补查", "Returned")),
            "closed": Status(Label("已办结", "Closed"), locked=True),
        },
        transitions=(
            Transition("released", "received", Label("签收", "Receive"), COUNTY, ("receipted",)),
            Transition("received", "reported", Label("反馈", "Report"), COUNTY, ("answered", "no_conflict")),
            Transition("returned", "reported", Label("再次反馈", "Report again"), COUNTY, ("answered", "no_conflict")),
            Transition("reported", "returned", Label("退回补查", "Return"), PROVINCE),
            Transition("reported", "closed", Label("审核办结", "Close"), PROVINCE, ("answered", "no_conflict")),
        ),
        always_open=frozenset({"notes", "lookback", "case"}),
    )
    sections = (
        Section(
            Label("交办通知单", "Order"),
            ("number", "authority", "area", "unit", "institution", "target", "summary", "opinion"),
        ),
        Section(Label("要求", "What is asked"), ("requirements", "secrecy", "due", "extension")),
        Section(Label("移交的证据", "What was handed over"), ("objects", "keys", "recipients_version")),
        Section(Label("签收", "Receipt"), ("receipts", "status")),
        Section(Label("办理与反馈", "What the county did"), ("outcome", "result", "inspections", "case", "notes")),
        Section(Label("审核", "Review"), ("review", "lookback")),
    )

    number = Text(Label("交办编号", "Number"), frozen=True, required=True, roles=PROVINCE)
    authority = Text(Label("交办机关", "Authority"), frozen=True, roles=PROVINCE)
    area = Area(Label("行政区划代码", "Division code"), frozen=True, required=True, roles=PROVINCE)
    unit = Text(Label("受交办单位", "Receiving unit"), frozen=True, required=True, roles=PROVINCE)
    institution = Ref(Label("机构", "Institution"), "institution", frozen=True, roles=PROVINCE)
    target = Text(Label("对象名称", "Name of the place"), frozen=True, roles=PROVINCE)
    summary = Text(
        Label("问题线索摘要", "Summary of the lead"),
        most=5000,
        lines=True,
        avoid=SOURCE_WORDS,
        frozen=True,
        required=True,
        roles=PROVINCE,
    )
    opinion = Text(
        Label("法律定性初步意见", "Preliminary legal opinion"), most=2000, lines=True, frozen=True, roles=PROVINCE
    )
    requirements = Text(Label("报告要求", "What to report"), most=2000, lines=True, frozen=True, roles=PROVINCE)
    secrecy = Choice(Label("密级", "Secrecy"), SECRECY, frozen=True, roles=PROVINCE)
    due = Date(Label("办结期限", "Due"), merge="authority", required=True, roles=PROVINCE)
    extension = Composite(
        Label("延期", "Extension"),
        {
            "asked_by": Text(Label("申请人", "Asked by"), most=64),
            "asked_at": Moment(Label("申请时间", "Asked")),
            "until": Date(Label("延至", "Until")),
            "reason": Text(Label("理由", "Why"), most=2000),
            "granted_by": Text(Label("批准人", "Granted by"), most=64),
            "granted_at": Moment(Label("批准时间", "Granted")),
        },
        needed=("until", "reason"),
        writer="staff",
        hint=Label("只能延期一次", "Once only"),
    )
    objects = Attachments(Label("移交的密封文件", "Sealed files"), frozen=True, roles=PROVINCE)
    keys = Entries(
        Label("密钥", "Keys"),
        {
            "key_file": Label("重新封装的密钥文件", "Key file, wrapped again"),
            "facts": Label("重新封装的核验信息", "Facts, wrapped again"),
            "facts_commit": Label("核验信息承诺值", "Commitment to the facts"),
            "team_commit": Label("组内信息承诺值（内容不移交）", "Commitment to what the team told, which is not handed over"),
        },
        roles=PROVINCE,
    )
    recipients_version = Integer(Label("收件公钥版本", "Version of the recipients"), least=0, roles=PROVINCE)
    receipts = Signatures(Label("签收", "Receipts"), roles=COUNTY)
    status = Workflowed(Label("状态", "Status"), tuple(workflow.statuses))
    outcome = Choice(Label("是否属实", "Outcome"), OUTCOMES, roles=COUNTY, second_person=True)
    result = Text(Label("查处情况", "What was found and done"), most=10_000, lines=True, roles=COUNTY)
    inspections = Tags(
        Label("依法重新取证的检查", "Inspections that collected it again"),
        target="inspection",
        hint=Label("两名以上执法人员依法取得的证据", "Evidence collected lawfully by two officers or more"),
    )
    case = Ref(Label("案件", "Case"), "case", writer="staff")
    notes = Notes(Label("进展", "Progress"))
    review = Text(Label("审核意见", "What the province says"), most=2000, lines=True, roles=PROVINCE)
    lookback = Composite(
        Label("回头看", "Look-back"),
        {
            "on": Date(Label("日期", "On")),
            "found": Choice(Label("结果", "Result"), LOOKBACK),
            "text": Text(Label("情况", "What was found"), most=5000, lines=True),
        },
        needed=("on", "found"),
        roles=PROVINCE,
        hint=Label("由另一组进行，结束后填写", "By another team; written when it is over"),
    )


def days_left(values: Mapping[str, Any], today: str) -> int | None:
    """Days from a day (`YYYY-MM-DD`) to the one that it is due, below zero once that is past; None where none is set."""
    due = values.get("due")
    if not isinstance(due, str):
        return None
    return (datetime.date.fromisoformat(due) - datetime.date.fromisoformat(today)).days


def past(values: Mapping[str, Any], today: str) -> bool:
    """Whether the day that it is due is over: then nothing of it is opened any more."""
    left = days_left(values, today)
    return left is not None and left < 0


def overdue(values: Mapping[str, Any], today: str) -> bool:
    """Whether the county is late. What it has reported waits for the province and is not the county's delay."""
    return Handover.overdue(values, today)
