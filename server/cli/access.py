"""Who opened what: the access log, read from the acts in the log, and what goes into it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from schemas.labels import Label
from server import acts
from server.cli.frame import Group, Run, as_json, by, command, main, option
from server.evidence import openings
from server.evidence.openings import DONE, Access
from server.storage import people

ACCESS = Group("access", about=Label("查阅记录", "The access log"))
main.add_command(ACCESS)



@command(
    ACCESS,
    "list",
    Label(
        "列出查阅、被拒的查阅和导出。密封范围内的（含全部被拒记录）须用 --by 写明有密封授权的人。",
        "List openings, denied attempts and exports. What lies behind the wall, all denied attempts among it, is shown to "
        "those whose grants lead there: say who with --by.",
    ),
    "patrolbook-server access list --record 01a202f7-0e2e-7a03-a06d-0afab0ed9a61",
)
@option("--record", metavar="ID", about=Label("只看这份记录的", "Only of this record"))
@option("--blob", metavar="SHA256", about=Label("只看这个文件的", "Only of this file"))
@option("--person", metavar="PERSON", about=Label("只看此人（姓名或编号）的", "Only by this person (name or id)"))
@option("--since", type=click.DateTime(["%Y-%m-%d"]), about=Label("从哪天起", "From which day"))
@by
@as_json
def list_accesses(
    run: Run,
    record: str | None,
    blob: str | None,
    person: str | None,
    since: datetime | None,
    by: str | None,
    as_json: bool,
) -> None:
    who = run.person(person).id if person is not None else None
    start = int(since.astimezone().timestamp() * 1000) if since is not None else 0
    reader = run.reading(by) if by is not None else openings.EVERYTHING_OPEN
    found = list(openings.listed(run.house, reader, record=record, blob=blob, person=who, since=start))
    with run.house.database.read() as conn:
        names = {one.id: one.name for one in people.everybody(conn)}
        tablets = {one.id: one.name for one, _ in people.every_device(conn)}
    if as_json:
        run.json([_told(run, one, names) for one in found])
        return
    columns = (
        Label("时间", "time"), Label("人员", "person"), Label("平板", "tablet"), Label("事项", "what"),
        Label("文件", "file"), Label("记录", "record"), Label("目的", "purpose"), Label("范围", "bytes"),
        Label("日志位置", "leaf"),
    )  # fmt: skip
    run.table(columns, [_row(run, one, names, tablets) for one in found])


def _row(run: Run, one: Access, names: dict[str, str], tablets: dict[str, str]) -> tuple[Any, ...]:
    body = one.act.body
    who, device = str(body.get("by", "")), str(body.get("device", ""))
    part = body.get("part", openings.ORIGINAL)
    what = run.text(DONE[body["act"]]) + ("" if part == openings.ORIGINAL else f" {part}px")
    return (
        run.when(body["at"]),
        names.get(who, who),
        tablets.get(device, device),
        what,
        str(body.get("blob", ""))[:12],
        body.get("record") or body.get("bundle") or "",
        body.get("purpose") or body.get("reason") or "",
        _bytes(run, one),
        f"{one.act.leaf}" if not one.act.log else f"{one.act.log} {one.act.leaf}",
    )


def _bytes(run: Run, one: Access) -> str:
    if one.act.body["act"] == acts.EXPORTED:
        return ""
    if one.closed is None:
        return run.text(Label("进行中", "under way")) if one.act.body["act"] == acts.OPENED else ""
    spans = "、".join(f"{first}–{last}" for first, last in one.closed.get("ranges") or ())
    count = one.closed["requests"]
    return f"{spans} " + run.text(Label(f"（{count} 次）", f"({count} requests)"))


def _told(run: Run, one: Access, names: dict[str, str]) -> dict[str, Any]:
    log = run.house.keys.voice(one.act.log).origin
    return {**one.act.body, "leaf": one.act.leaf, "log": log, "person": names.get(str(one.act.body.get("by"))),
            "closed": one.closed}  # fmt: skip


@command(
    ACCESS,
    "originals",
    Label(
        "设定打开普通原件是否也要登记：all 全部登记，restricted 只登记密封和交办的（默认）。",
        "Whether opening any original is logged: all of them, or restricted ones only (sealed and handed over; the "
        "default).",
    ),
    "patrolbook-server access originals all",
)
@click.argument("which", type=click.Choice(["all", "restricted"]))
@by
def originals(run: Run, which: str, by: str | None) -> None:
    openings.log_originals(run.house, which, run.person(by).id)
    told = {
        "all": Label("今后打开任何原件都要写明目的并登记", "From now on opening any original needs a purpose and is logged"),
        "restricted": Label("今后只登记密封和交办的原件", "From now on only sealed and handed-over originals are logged"),
    }
    run.say(told[which], "bold green")
