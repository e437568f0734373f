"""Time stamps from the command line: whom to ask, asking now, and what there is."""

from __future__ import annotations

import click

from schemas.labels import Label
from server.cli.frame import Group, Run, as_json, by, command, main, option
from server.proofs import stamping
from server.proofs.stamping import Authority, Stamped
from server.storage import attested, merkle
from sync.core.errors import NotReady

TIMESTAMP = Group(
    "timestamp", about=Label("可信时间戳（RFC 3161）：为检查点盖时间戳", "Time stamps (RFC 3161) over checkpoints")
)
main.add_command(TIMESTAMP)


@command(
    TIMESTAMP,
    "authorities",
    Label(
        "设定向哪些时间戳机构申请、多久一次；不写地址只显示。其根证书须先写入信任文件（trust sign --stamper）。",
        "Whom to ask for time stamps, and how often; without addresses they are shown. Their roots must be in the trust "
        "file first (trust sign --stamper).",
    ),
    "patrolbook-server timestamp authorities https://tsa.example.cn/tsr --every 60",
)
@click.argument("urls", nargs=-1)
@option("--policy", default="", about=Label("只接受此策略（OID）", "Take this policy only (an OID)"))
@option("--every", "minutes", type=click.IntRange(1, 10_080), about=Label("间隔（分钟）", "Minutes between stamps"))
@option("--none", "nobody", is_flag=True, about=Label("不再申请", "Ask nobody any more"))
@by
def authorities(
    run: Run, urls: tuple[str, ...], policy: str, minutes: int | None, nobody: bool, by: str | None
) -> None:
    with run.house.database.read() as conn:
        held, every = stamping.authorities(conn)
    if urls or nobody or minutes is not None:
        held = [Authority(url, policy) for url in urls] if urls else [] if nobody else held
        every = minutes or every
        stamping.set_authorities(run.house, held, every, run.person(by).id)
    for one in held:
        run.say(Label(f"{one.url}  {one.policy}".rstrip(), f"{one.url}  {one.policy}".rstrip()))
    if held:
        run.say(Label(f"日志有增长时每 {every} 分钟一次", f"every {every} minutes while the log grows"))
    else:
        run.say(Label("没有设定时间戳机构", "no authority is set"), "yellow")


@command(
    TIMESTAMP,
    "now",
    Label(
        "立即为各日志的最新检查点申请时间戳。serve 运行时会按间隔自动进行。",
        "Have the newest checkpoints stamped now. A running `serve` does it by itself at its interval.",
    ),
    "patrolbook-server timestamp now",
)
def now(run: Run) -> None:
    found = stamping.stamp(run.house)
    if not found:
        hint = Label("先运行 timestamp authorities 地址", "run timestamp authorities URL first")
        raise NotReady(action=Label("盖时间戳", "ask for time stamps"), detail=hint)
    run.outcomes((_told(run, one), one.problem) for one in found)


def _told(run: Run, one: Stamped) -> Label:
    if one.problem is None:
        return Label(f"{one.log} 大小 {one.size}：{run.when(one.at)}", f"{one.log} at {one.size}: {run.when(one.at)}")
    said = one.problem
    return Label(f"{one.log}（{one.authority}）：{said.text('zh')}", f"{one.log} ({one.authority}): {said.text('en')}")


@command(
    TIMESTAMP,
    "status",
    Label("各日志最近的时间戳。", "The newest time stamp of each log."),
    "patrolbook-server timestamp status",
)
@as_json
def status(run: Run, as_json: bool) -> None:
    house, rows = run.house, []
    with house.database.read() as conn:
        for voice in house.keys.voices.values():
            size = merkle.size(conn, voice.compartment)
            newest = {one.authority: one for one in attested.stamps_of(conn, voice.compartment)}
            rows += [(voice.origin, size, one.authority, one.size, one.at) for one in newest.values()]
    if as_json:
        run.json([dict(zip(("log", "size", "authority", "stamped", "at"), row, strict=True)) for row in rows])
        return
    run.attested(Label("机构", "Authority"), Label("已盖到", "Stamped"), rows)
