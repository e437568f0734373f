"""密封证据: one file of an undercover team, sealed when it was captured. Nobody below the province can open it.

Its clear part says what is needed to carry it, to count it and to prove it untouched: digest and size of the sealed
bytes, who may open it, how the segments of a recording follow each other, and two commitments to the rest. The rest is sealed
as well, in two parts: `facts`, by which whoever is handed the file checks it (digests of what is inside, type, source,
times), and `team`, what the team told the province (name, note, audit, place), which no hand-over takes along. The size tells
how long a recording is about.

Before it may be shown in front of the wall, somebody at the province reviews whether it was come by lawfully. The answers
are one value, so that no merge mixes two people's; whether it may be used follows from them (`withheld`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.base import DESK_ROLES, RecordSchema, Section
from schemas.fields import Area, Choice, Composite, Digest, Flag, Integer, Moment, Ref, Text
from schemas.labels import Label

VENUES = {
    "public": Label("公共场所", "public"),
    "semi-public": Label("半公开场所（对外营业的教室、前台等）", "semi-public (classrooms and desks open to customers)"),
    "dwelling": Label("住宅", "dwelling"),
}
USES = {
    "lead": Label("可作线索使用", "may be used as a lead"),
    "none": Label("不使用", "do not use"),
}

_BASE64 = r"[A-Za-z0-9+/]*={0,2}"


class SealedEvidence(RecordSchema):
    """One sealed file, or one segment of a recording."""

    kind = "sealed_evidence"
    label = Label("密封证据", "Sealed evidence")
    title = "recording"
    compartment = "sealed"
    version = 2  # 1 had one commitment over everything that was told
    makers = DESK_ROLES | {"team"}
    sections = (
        Section(Label("归属", "Belongs to"), ("audit", "area")),
        Section(Label("录制", "Recording"), ("recording", "number", "last")),
        Section(Label("密封内容", "Sealed content"), ("sha256", "size", "recipients_version", "facts_commit", "team_commit")),
        Section(Label("密钥与元数据", "Key and meta"), ("key_file", "facts", "team")),
        Section(Label("采集声明", "Statement of the capture"), ("capture", "capture_sig", "capture_key")),
        Section(Label("合法性审查", "Legality review"), ("review",)),
    )

    audit = Ref(Label("所属暗访", "Audit"), "audit")
    area = Area(Label("行政区划代码", "Division code"), required=True)
    recording = Text(Label("录制编号", "Recording"), most=64, pattern=r"[A-Za-z0-9-]+", frozen=True, required=True)
    number = Integer(Label("第几段", "Number of the segment"), least=1, frozen=True, required=True)
    last = Flag(Label("录制到此结束", "The recording ends here"), frozen=True)
    sha256 = Digest(Label("密封内容 SHA-256", "SHA-256 of the sealed content"), frozen=True, required=True)
    size = Integer(
        Label("密封后字节数", "Bytes of the sealed content"), least=1, unit="B", frozen=True, required=True
    )
    key_file = Text(
        Label("密钥文件", "Key file"),
        most=100_000,
        pattern=_BASE64,
        frozen=True,
        required=True,
        hint=Label(
            "age 格式，base64；只有省级或备份私钥能打开", "age in base64; opened by the province or the escrow only"
        ),
    )
    recipients_version = Integer(
        Label("收件公钥版本", "Version of the recipients"), least=0, frozen=True, required=True
    )
    facts_commit = Digest(Label("核验信息承诺值", "Commitment to the facts"), frozen=True, required=True)
    facts = Text(
        Label("密封的核验信息", "Sealed facts"),
        most=400_000,
        pattern=_BASE64,
        frozen=True,
        required=True,
        hint=Label("原件校验值、类型、来源、时间；交办时移交", "Digests, type, source, times; handed over with the file"),
    )
    team_commit = Digest(Label("组内信息承诺值", "Commitment to what the team told"), frozen=True, required=True)
    team = Text(
        Label("密封的组内信息", "Sealed, what the team told"),
        most=400_000,
        pattern=_BASE64,
        frozen=True,
        required=True,
        hint=Label("文件名、说明、暗访编号、位置；不出省级", "Name, note, audit, place; stays with the province"),
    )
    capture = Text(
        Label("采集声明", "Statement of the capture"),
        most=4000,
        frozen=True,
        hint=Label("规范 JSON，锁定状态下由采集密钥签名", "Canonical JSON, signed by the capture key while locked"),
    )
    capture_sig = Text(Label("采集签名", "Its signature"), most=100, pattern=_BASE64, frozen=True)
    capture_key = Text(Label("采集公钥", "The capture key"), most=50, pattern=_BASE64, frozen=True)
    review = Composite(
        Label("合法性审查", "Legality review"),
        {
            "by": Text(Label("审查人", "Reviewer"), most=64),
            "at": Moment(Label("审查时间", "When")),
            "venue": Choice(Label("场所", "Venue"), VENUES),
            "inducement": Flag(Label("是否诱导违法", "Was the violation induced")),
            "minors": Flag(Label("是否出现未成年人", "Are minors visible")),
            "use": Choice(Label("结论", "Conclusion"), USES),
            "note": Text(Label("说明", "Note"), most=2000, lines=True),
        },
        needed=("by", "at", "venue", "inducement", "minors"),
        roles=("province",),
        hint=Label("住宅内取得的默认不使用", "What comes from a dwelling is not used unless the review says why"),
    )


def withheld(review: Mapping[str, Any] | None) -> Label | None:
    """Why something with this review may not be shown outside the compartment; None where it may.

    Not while nobody has reviewed it, never where the violation was induced, from a dwelling only where the review says
    so and gives the reason.
    """
    if not review:
        return Label("未经合法性审查", "its legality was not reviewed")
    if review["inducement"]:
        return Label("经诱导取得，不得使用", "the violation was induced; it is not to be used")
    use = review.get("use") or ("none" if review["venue"] == "dwelling" else "lead")
    if use == "none":
        return Label("审查结论为不使用", "the review says that it is not to be used")
    if review["venue"] == "dwelling" and not str(review.get("note") or "").strip():
        return Label("在住宅内取得，未说明使用理由", "it is from a dwelling and the review gives no reason to use it")
    return None
