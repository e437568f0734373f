"""Shifts and anchors at the desk: what was opened and not closed, and what contradicts what is held."""

from __future__ import annotations

from typing import Any

import click

from schemas.kinds.anchor import SORTS
from schemas.labels import Label
from server.cli.frame import Group, Run, as_json, command, main, option
from server.exchange import shifts
from server.exchange.shifts import Loose, Seen
from server.proofs import anchors
from server.proofs.anchors import Checked
from server.storage import people
from sync.core.anchors import VERDICTS
from sync.core.errors import NotFound

SHIFTS = Group("shifts", about=Label("班次", "Shifts"))
ANCHOR = Group("anchor", about=Label("锚定：另一台平板或纸上记下的链首", "Anchors: heads of chains noted elsewhere"))
main.add_command(SHIFTS)
main.add_command(ANCHOR)

_STATUS = {True: Label("未结束", "open"), False: Label("已结束", "closed")}
_YES, _NO = Label("是", "yes"), Label("否", "no")


@command(
    SHIFTS,
    "list",
    Label(
        "列出班次，最新的在后；--odd 只列链号不符、没有结束、被锚定否定的，以及班次以外的变更。",
        "List shifts, newest last; --odd: those whose numbers do not fit, that were not closed or that an anchor "
        "contradicts, and changes outside any shift.",
    ),
    "patrolbook-server shifts list --odd",
)
@option("--open", "only_open", is_flag=True, about=Label("只列未结束的", "Only those that are open"))
@option("--odd", "only_odd", is_flag=True, about=Label("只列有疑点的", "Only those where something does not fit"))
@option("--limit", type=click.IntRange(1), default=200, show_default=True, about=Label("最多行数", "Most rows"))
@as_json
def list_shifts(run: Run, only_open: bool, only_odd: bool, limit: int, as_json: bool) -> None:
    house = run.house
    with house.database.read() as conn:
        found = shifts.every(house, conn, house.now())
        apart = shifts.loose(house, conn) if only_odd else []
        names = {one.id: f"{one.name}（{who}）" for one, who in people.every_device(conn)}
    shown = [one for one in found if (one.open or not only_open) and (one.odd or not only_odd)][-limit:]
    if as_json:
        run.json({"shifts": [_told(one) for one in shown], "replicas": [_loose(one) for one in apart]})
        return
    columns = [
        Label("班次", "shift"),
        Label("平板", "tablet"),
        Label("状态", "status"),
        Label("开始", "opened"),
        Label("联网开始", "online"),
        Label("结束", "closed"),
        Label("变更", "changes"),
        Label("已收到", "held"),
        Label("可交回", "safe"),
        Label("疑点", "odd"),
    ]
    run.table(columns, [_row(run, one, names) for one in shown])
    if apart:
        run.say(Label("班次以外：", "Outside shifts:"), "bold")
        run.table(
            [Label("副本", "replica"), Label("平板", "tablet"), Label("疑点", "odd")],
            [(one.replica[-8:], names.get(one.device, one.device), _reasons(run, one.odd)) for one in apart],
        )


@command(
    ANCHOR,
    "list",
    Label(
        "列出锚定及其核对结果；--odd 只列与所存变更不符的（平板曾被回退）。",
        "List anchors and what the log says of each; --odd: only those that contradict it (a tablet was rolled back).",
    ),
    "patrolbook-server anchor list --odd",
)
@option("--odd", "only_odd", is_flag=True, about=Label("只列不符的", "Only those that do not agree"))
@as_json
def list_anchors(run: Run, only_odd: bool, as_json: bool) -> None:
    with run.house.database.read() as conn:
        found = [one for one in anchors.every(run.house, conn) if one.odd or not only_odd]
        names = {one.id: one.name for one, _ in people.every_device(conn)}
    if as_json:
        run.json([one._asdict() for one in found])
        return
    columns = [
        Label("锚定", "anchor"),
        Label("方式", "sort"),
        Label("时间", "taken"),
        Label("被锚定的平板", "tablet"),
        Label("链号", "n"),
        Label("检查", "inspection"),
        Label("核对", "verdict"),
    ]
    run.table(
        columns,
        [
            (one.record[-8:], run.text(SORTS[one.sort]), one.taken_at, names.get(one.device, one.device), one.n,
             one.inspection[-8:], _verdict(run, one))
            for one in found
        ],
    )  # fmt: skip


@command(
    ANCHOR,
    "check",
    Label(
        "核对文书上的码（8 组朗读码或二维码内容）或平板的锚定码是否与所存变更一致；不一致或查不到时状态码为 1。",
        "Check a code from a document (8 groups, or the text of its QR code) or of a tablet against what is held. "
        "Status 1 where it does not agree or is not known.",
    ),
    'patrolbook-server anchor check "7K3M-9XQ2-V4TD-PC0A-11EF-8GZ2-QWER-TY56"',
)
@click.argument("code")
@as_json
def check(run: Run, code: str, as_json: bool) -> None:
    with run.house.database.read() as conn:
        found = anchors.by_code(run.house, conn, code)
    if found is None:
        what = Label(
            "这个码对应的锚定（平板还没有同步，或者被回退过）",
            "the anchor of this code (the tablet has not synchronised yet, or it was rolled back)",
        )
        raise NotFound(what=what)
    if as_json:
        run.json(found._asdict())
    else:
        run.say(Label(_verdict(run, found), _verdict(run, found)), "bold red" if found.odd else "bold green")
        told = f"{found.replica} n={found.n} {found.head}"
        run.say(Label(f"链：{told}", f"chain: {told}"))
        if found.inspection:
            run.say(Label(f"检查：{found.inspection}", f"inspection: {found.inspection}"))
    if found.odd:
        raise SystemExit(1)


def _row(run: Run, one: Seen, names: dict[str, str]) -> tuple[Any, ...]:
    values = one.values
    safe = None if values.get("safe") is None else run.text(_YES if values["safe"] else _NO)
    return (one.record[-8:], names.get(str(values.get("device")), values.get("device")), run.text(_STATUS[one.open]),
            values.get("opened_at"), run.text(_YES if values.get("online") else _NO), values.get("closed_at"),
            values.get("changes"), one.held, safe, _reasons(run, one.odd))  # fmt: skip


def _told(one: Seen) -> dict[str, Any]:
    return {"record": one.record, **one.values, "held": one.held, "odd": [reason._asdict() for reason in one.odd]}


def _loose(one: Loose) -> dict[str, Any]:
    return {**one._asdict(), "odd": [reason._asdict() for reason in one.odd]}


def _reasons(run: Run, reasons: tuple[Label, ...]) -> str:
    return "；".join(run.text(one) for one in reasons)


def _verdict(run: Run, one: Checked) -> str:
    said = run.text(VERDICTS[one.verdict])
    if one.document is None:
        return said
    shown = Label("文书与检查记录一致", "the document is what the inspection said")
    other = Label("文书与检查记录不符", "the document is not what the inspection ever said")
    return f"{said}；{run.text(shown if one.document else other)}"
