"""执法人员密钥: the public half of an officer's own key on one tablet, for co-signing.

Whoever holds the key proposes it; staff confirm that it is the officer's, in person or by telephone, comparing the key
id. The private half lies on that tablet under the officer's own PIN. Whoever forgets the PIN makes a new key, and that
one needs confirming again. The id of the record is the key id, so a co-signature finds its key by name.
"""

from __future__ import annotations

from schemas.base import DESK_ROLES, RecordSchema
from schemas.fields import Area, Moment, Ref, Text, Workflowed
from schemas.labels import Label
from schemas.workflow import Status, Transition, Workflow

_PROVEN = ("required", "no_conflict", "key_proven")


class OfficerKey(RecordSchema):
    """One public key of an officer on one device."""

    kind = "officer_key"
    label = Label("执法人员密钥", "Officer's key")
    makers = DESK_ROLES | {"officer"}
    workflow = Workflow(
        initial="proposed",
        statuses={
            "proposed": Status(Label("待确认", "Proposed")),
            "confirmed": Status(Label("已确认", "Confirmed"), locked=True),
            "withdrawn": Status(Label("已撤销", "Withdrawn"), locked=True),
        },
        transitions=(
            Transition("proposed", "confirmed", Label("确认", "Confirm"), DESK_ROLES, _PROVEN),
            Transition("proposed", "withdrawn", Label("撤销", "Withdraw"), DESK_ROLES),
            Transition("confirmed", "withdrawn", Label("撤销", "Withdraw"), DESK_ROLES),
        ),
        always_open=frozenset({"withdrawn_at", "withdrawn_reason"}),
    )
    title = "name"

    officer = Ref(Label("执法人员", "Officer"), "officer", required=True)
    name = Text(Label("姓名", "Name"), most=60)
    area = Area(Label("行政区划代码", "Division code"), required=True)
    device = Text(Label("设备", "Device"), most=64, required=True)
    public_key = Text(Label("公钥", "Public key"), most=64, pattern="[0-9a-f]{64}", required=True)
    proof = Text(
        Label("持有证明", "Proof"),
        most=88,
        pattern=r"[A-Za-z0-9+/]{85}[AQgw]==",
        required=True,
        hint=Label("用该密钥对人员和设备的签名", "The key's signature over officer and device"),
    )
    status = Workflowed(Label("状态", "Status"), tuple(workflow.statuses))
    withdrawn_at = Moment(
        Label("撤销时间", "Withdrawn at"),
        writer="staff",
        hint=Label("此前的会签仍有效", "Co-signatures from before it still count"),
    )
    withdrawn_reason = Text(Label("撤销原因", "Why it was withdrawn"), most=1000, writer="staff")
