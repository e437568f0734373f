"""采集密钥: the public key with which a tablet of an undercover team signs while it is locked.

Capturing must not wait for a PIN, so the private half lies on the tablet readable without one. The tablet names the key
in its own chain before the first capture; a statement by a key that no chain named, or from before it was named, or
after `retired_at`, proves nothing.
"""

from __future__ import annotations

from schemas.base import DESK_ROLES, RecordSchema, Section
from schemas.fields import Area, Moment, Text
from schemas.labels import Label


class CaptureKey(RecordSchema):
    """The key of one tablet."""

    kind = "capture_key"
    label = Label("采集密钥", "Capture key")
    title = "device"
    compartment = "sealed"
    makers = DESK_ROLES | {"team"}
    sections = (
        Section(Label("密钥", "Key"), ("device", "key", "made_at", "area")),
        Section(Label("停用", "Retirement"), ("retired_at", "retired_why")),
    )

    device = Text(Label("设备", "Device"), most=64, pattern=r"[A-Za-z0-9-]+", frozen=True, required=True)
    key = Text(
        Label("公钥", "Public key"),
        most=44,
        pattern=r"[A-Za-z0-9+/]{43}=",
        frozen=True,
        required=True,
        hint=Label("Ed25519，base64", "Ed25519 in base64"),
    )
    made_at = Moment(Label("生成时间", "Made"), frozen=True)
    area = Area(Label("行政区划代码", "Division code"), required=True)
    retired_at = Moment(Label("停用时间", "Retired"), writer="staff")
    retired_why = Text(Label("停用原因", "Why"), most=1000, writer="staff")
