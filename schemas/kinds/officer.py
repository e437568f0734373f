"""执法人员: the ledger of people who hold an enforcement certificate. Kept at the desk, read on every tablet.

An inspection names its officers by the ids of these records, so that a certificate that ran out or was
withdrawn is found whatever a tablet believed that day. Whether one counts on a day: `schemas.certificates`.
"""

from __future__ import annotations

from schemas.base import DESK_ROLES, RecordSchema
from schemas.fields import Area, Choice, Date, Text
from schemas.labels import Label

STATUSES = {
    "active": Label("在岗", "On duty"),
    "suspended": Label("暂停执法", "Suspended"),
    "left": Label("离岗", "Left"),
}


class Officer(RecordSchema):
    """One certificate holder."""

    kind = "officer"
    label = Label("执法人员", "Officer")
    makers = DESK_ROLES
    search = ("name", "certificate_number", "unit")

    name = Text(Label("姓名", "Name"), most=60, merge="authority", required=True)
    certificate_number = Text(Label("执法证号", "Certificate"), most=60, merge="authority", required=True)
    valid_from = Date(Label("证件生效日期", "Certificate valid from"), merge="authority")
    valid_until = Date(Label("证件有效期至", "Certificate valid until"), merge="authority")
    unit = Text(Label("单位", "Unit"), most=100, merge="authority")
    area = Area(Label("行政区划代码", "Division code"), merge="authority", required=True)
    status = Choice(Label("状态", "Status"), STATUSES, merge="authority")
    status_since = Date(
        Label("状态自何日起", "Status since"),
        merge="authority",
        hint=Label("此日以前的执法不受影响", "What was done before that day stands"),
    )
    person = Text(
        Label("账号编号", "Account id"),
        most=64,
        merge="authority",
        hint=Label("登录本系统的人员编号，可为空", "The person who signs in, where there is one"),
    )
