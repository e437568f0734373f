"""shift open, close, show: one period of this tablet's use."""

from __future__ import annotations

import json

from field_client.commands.inspections import JSON
from field_client.session import Session, command, group, in_session, option, short
from field_client.work import shifts
from field_client.work.shifts import Standing
from schemas.labels import Label
from schemas.words import NO, YES, moment_in_words, same


@group("shift", label=Label("班次", "Shifts"), example="patrolbook shift open")
def shift() -> None:
    pass


@command(
    "open",
    label=Label(
        "开始班次：先与服务器同步一次，带走它当时的检查点；没有网络也能开始",
        "Open a shift: one round with the server first, to take its checkpoint along; works without a network too",
    ),
    example="patrolbook shift open",
)
@option("--offline", is_flag=True, label=Label("不联网", "do not try the network"))
@in_session
def open_(session: Session, offline: bool) -> None:
    tablet = session.enrolled()
    report = None if offline else tablet.sync(until="records")
    online = report is not None and report.problem is None and not report.stopped
    if report is not None and report.problem is not None:
        session.terminal.warn(report.problem.text(session.terminal.language))
    made = shifts.begin(tablet, online)
    how = Label("联网", "online") if online else Label("离线", "offline")
    session.terminal.say(
        Label(f"班次已开始（{how.zh}）{short(made)}", f"The shift is open ({how.en}) {short(made)}"), fg="green"
    )


@command(
    "close",
    label=Label("结束班次：记下最后链号、变更数和证据数", "Close the shift: notes the last chain number and the counts"),
    example="patrolbook shift close",
)
@option("--note", default="", label=Label("备忘", "a note"))
@in_session
def close(session: Session, note: str) -> None:
    closed = shifts.end(session.enrolled(), note)
    session.terminal.say(Label("班次已结束", "The shift is closed"), fg="green")
    _say(session, closed)
    session.terminal.say(Label("下一步：patrolbook sync，然后 patrolbook status", "Next: patrolbook sync, then patrolbook status"))


@command("show", label=Label("当前或最近的班次", "The shift that is open, or the last one"), example="patrolbook shift show")
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def show(session: Session, as_json: bool) -> None:
    found = shifts.current(session.tablet())
    if as_json:
        told = None if found is None else {**found._asdict(), "jumps": [one._asdict() for one in found.jumps]}
        session.terminal.say(json.dumps(told, ensure_ascii=False))
    elif found is None:
        session.terminal.say(Label("还没有班次：patrolbook shift open", "No shift yet: patrolbook shift open"))
    else:
        _say(session, found)


def _say(session: Session, one: Standing) -> None:
    state = Label("进行中", "open") if one.open else Label("已结束", "closed")
    rows = [
        (Label("班次", "Shift"), same(short(one.record))),
        (Label("状态", "Status"), state),
        (Label("开始", "Opened"), same(moment_in_words(one.opened_at))),
        (Label("自动开始", "Opened by itself"), YES if one.automatic else NO),
        (Label("结束", "Closed"), same(moment_in_words(one.closed_at) if one.closed_at else "—")),
        (Label("链号", "Chain numbers"), same(f"{one.opened_n} → {one.last_n}")),
        (Label("变更", "Changes"), same(str(one.changes))),
        (Label("证据文件", "Files of evidence"), same(str(one.files))),
    ]
    if one.safe is not None:
        rows.append((Label("结束时可以交回", "Safe to hand in at the close"), YES if one.safe else NO))
    session.terminal.table((Label("项目", "What"), Label("内容", "Value")), rows)
    for jump in one.jumps:
        step = f"{jump.ms / 1000:+.0f}"
        session.terminal.warn(
            Label(f"第 {jump.n} 条处时钟被调 {step} 秒", f"the clock was set by {step} s at change {jump.n}")
        )


for one in (open_, close, show):
    shift.add_command(one)
