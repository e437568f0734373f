"""锚定: where a tablet's chain stood, put where that tablet cannot reach it.

A chain protects what lies before its newest change, not the end that nobody else has seen. An anchor closes the gap
without a network: another officer's tablet notes the chain's head (peer), or the party takes it home on paper. Rolling
the tablet back then contradicts the other tablet or the paper. Anchors are never edited.
"""

from __future__ import annotations

from schemas.base import DESK_ROLES, RecordSchema
from schemas.fields import Area, Choice, Digest, Integer, Moment, Ref, Text
from schemas.labels import Label

SORTS = {
    "peer": Label("另一台平板", "Another tablet"),
    "paper": Label("纸质文书", "Paper"),
}

STAGES = {
    "start": Label("检查开始", "At the start"),
    "end": Label("检查结束", "At the end"),
}


class Anchor(RecordSchema):
    """One head of a chain, as noted elsewhere. `replica`, `n` and `head` are of the tablet that is anchored."""

    kind = "anchor"
    label = Label("锚定", "Anchor")
    title = "code"
    makers = DESK_ROLES | {"inspector", "officer", "supervisor"}  # an undercover team's anchor would show in the open
    search = ("code",)
    indexed = ("code", "head", "inspection")

    sort = Choice(Label("方式", "Sort"), SORTS, required=True)
    area = Area(Label("行政区划代码", "Division code"), required=True)
    replica = Text(Label("副本", "Replica"), most=64, pattern="[A-Za-z0-9-]*", required=True)
    n = Integer(Label("链号", "Chain number"), least=1, required=True)
    head = Digest(Label("链首", "Head of the chain"), required=True)
    taken_at = Moment(Label("时间", "Taken"), required=True)
    inspection = Ref(Label("检查", "Inspection"), "inspection")
    stage = Choice(Label("时机", "When"), STAGES)
    key = Text(
        Label("设备公钥", "Key of the device"),
        most=64,
        pattern="([0-9a-f]{64})?",
        hint=Label("另一台平板的公钥", "Of the other tablet"),
    )
    signature = Text(Label("设备签名", "Signature of the device"), most=88, pattern="([A-Za-z0-9+/]{85}[AQgw]==)?")
    document = Digest(Label("文书校验值", "Hash of the document"))
    code = Text(Label("朗读码", "Code to read aloud"), most=60, pattern="[0-9A-Z-]*")
