"""班次: one opened and closed period of a tablet's use.

Opening notes where the tablet's chain stood and the newest checkpoint that it had seen; closing notes where the chain
stands and how much was made in between. A shift without a close, or one whose numbers do not fit what arrived, shows
that something was deleted, restored or not brought home yet. Nothing depends on a shift: work outside one is kept like
any other, and noted.

An undercover team has none: a shift lies in the open, and whoever can see it would see that there was an audit.
"""

from __future__ import annotations

from schemas.base import DESK_ROLES, RecordSchema, Section
from schemas.fields import Area, Digest, Flag, Integer, Moment, Notes, Text, Workflowed
from schemas.labels import Label
from schemas.workflow import Status, Transition, Workflow

MAKERS = DESK_ROLES | {"inspector", "officer", "supervisor"}


class Shift(RecordSchema):
    """One shift on one tablet."""

    kind = "shift"
    label = Label("班次", "Shift")
    title = "device"
    makers = MAKERS
    workflow = Workflow(
        initial="open",
        statuses={
            "open": Status(Label("进行中", "Open")),
            "closed": Status(Label("已结束", "Closed"), locked=True),
        },
        transitions=(Transition("open", "closed", Label("结束", "Close"), MAKERS, ("required",)),),
        always_open=frozenset({"notes"}),
    )
    sections = (
        Section(Label("开始", "Opening"), ("person", "device", "area", "opened_at", "online", "automatic")),
        Section(Label("链的位置", "Place in the chain"), ("replica", "opened_n", "checkpoint_size", "checkpoint_root")),
        Section(Label("结束", "Closing"), ("closed_at", "closed_replica", "closed_n", "changes", "files", "safe")),
        Section(Label("其他", "More"), ("status", "notes")),
    )

    person = Text(Label("人员编号", "Person"), most=64, required=True)
    device = Text(Label("设备", "Device"), most=64, required=True)
    area = Area(Label("行政区划代码", "Division code"), required=True)
    opened_at = Moment(Label("开始时间", "Opened"), required=True)
    online = Flag(
        Label("开始时联网", "Opened online"),
        hint=Label("联网开始的班次持有服务器当时的检查点", "One opened online holds the server's checkpoint of then"),
    )
    automatic = Flag(Label("自动开始", "Opened by itself"))
    replica = Text(Label("副本", "Replica"), most=64, required=True)
    opened_n = Integer(Label("开始时链号", "Chain number at the opening"), least=0, required=True)
    checkpoint_size = Integer(Label("所见检查点大小", "Size of the checkpoint seen"), least=0)
    checkpoint_root = Digest(Label("所见检查点根", "Root of the checkpoint seen"))
    closed_at = Moment(Label("结束时间", "Closed"))
    closed_replica = Text(Label("结束时副本", "Replica at the close"), most=64)
    closed_n = Integer(Label("最后链号", "Last chain number"), least=0)
    changes = Integer(Label("变更数", "Changes"), least=0)
    files = Integer(Label("证据文件数", "Files of evidence"), least=0)
    safe = Flag(
        Label("可以交回", "Safe to hand in"),
        hint=Label("结束时全部已有服务器回执", "At the close everything had the server's receipt"),
    )
    status = Workflowed(Label("状态", "Status"), tuple(workflow.statuses))
    notes = Notes(Label("备忘", "Notes"))
