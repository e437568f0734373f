"""recover: a forgotten PIN, with the province's help."""

from __future__ import annotations

from pathlib import Path

import click

from field_client.holding import recovery, revocation
from field_client.platform import locks
from field_client.platform.clock import SystemClock
from field_client.session import Session, command, group, in_session
from schemas.labels import Label

FILE = click.Path(dir_okay=False, path_type=Path)


@group(
    "recover",
    label=Label("忘记 PIN：请省级恢复这台平板的密钥", "A forgotten PIN: have the province recover this tablet's keys"),
    example="patrolbook recover ask /media/usb/t-14.ask",
)
def recover() -> None:
    pass


@command(
    "ask",
    label=Label("写出恢复请求，交给省级解密机", "Write a request, to be taken to the province's station"),
    example="patrolbook recover ask /media/usb/t-14.ask",
)
@click.argument("file", type=FILE)
@in_session
def ask(session: Session, file: Path) -> None:
    request = recovery.ask(session.settings.home, file)
    say = session.terminal.say
    say(Label(f"已写入 {file}", f"Written to {file}"))
    say(Label(f"核对码（电话里念给省级）：{request.code}", f"Code, to be read out on the telephone: {request.code}"))
    say(Label("拿到答复后：patrolbook recover finish 答复文件", "With the answer: patrolbook recover finish ANSWER"))


@command(
    "finish",
    label=Label("用省级的答复设置新 PIN；数据不变", "Set a new PIN with the answer; the data stays as it is"),
    example="patrolbook recover finish /media/usb/t-14.answer",
)
@click.argument("file", type=FILE)
@in_session
def finish(session: Session, file: Path) -> None:
    with locks.alone(session.settings.home / "recovery.lock"):
        recovery.finish(session.settings.home, session.vault, file, lambda: session.pin(new=True))
        revocation.recovered(session.settings.home, SystemClock().wall_ms())
    session.terminal.say(Label("已恢复，新 PIN 生效；请联网同步一次", "Recovered with a new PIN; synchronise once"))
    session.terminal.say(Label("下一步：patrolbook sync", "Next: patrolbook sync"))


for one in (ask, finish):
    recover.add_command(one)
