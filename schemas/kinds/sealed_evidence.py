"""密封证据: one file of an undercover team, sealed when it was captured. Nobody below the province can open it.

Its clear part says what is needed to carry it, to count it and to prove it untouched: digest and size of the sealed
bytes, who may open it, how the segments of a recording follow each other, and a commitment to the rest. What was
recorded, where, of whom, its type and its name are in `meta`, which is sealed as well. The size tells how long a
recording is about; docs/decisions/0018 says why that is not hidden.
"""

from __future__ import annotations

from schemas.base import DESK_ROLES, RecordSchema, Section
from schemas.fields import Area, Digest, Flag, Integer, Ref, Text
from schemas.labels import Label

_BASE64 = r"[A-Za-z0-9+/]*={0,2}"


class SealedEvidence(RecordSchema):
    """One sealed file, or one segment of a recording."""

    kind = "sealed_evidence"
    label = Label("密封证据", "Sealed evidence")
    title = "recording"
    compartment = "sealed"
    makers = DESK_ROLES | {"team"}
    sections = (
        Section(Label("归属", "Belongs to"), ("audit", "area")),
        Section(Label("录制", "Recording"), ("recording", "number", "last")),
        Section(Label("密封内容", "Sealed content"), ("sha256", "size", "recipients_version", "commit")),
        Section(Label("密钥与元数据", "Key and meta"), ("key_file", "meta")),
        Section(Label("采集声明", "Statement of the capture"), ("capture", "capture_sig", "capture_key")),
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
    commit = Digest(Label("元数据承诺值", "Commitment to the meta"), frozen=True, required=True)
    meta = Text(Label("密封的元数据", "Sealed meta"), most=400_000, pattern=_BASE64, frozen=True, required=True)
    capture = Text(
        Label("采集声明", "Statement of the capture"),
        most=4000,
        frozen=True,
        hint=Label("规范 JSON，锁定状态下由采集密钥签名", "Canonical JSON, signed by the capture key while locked"),
    )
    capture_sig = Text(Label("采集签名", "Its signature"), most=100, pattern=_BASE64, frozen=True)
    capture_key = Text(Label("采集公钥", "The capture key"), most=50, pattern=_BASE64, frozen=True)
