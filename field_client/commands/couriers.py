"""rescue, import: work that leaves or enters the tablet as a file."""

from __future__ import annotations

from pathlib import Path

import click

from field_client.exchange import couriers
from field_client.platform.clock import SystemClock
from field_client.session import Session, command, in_session, option
from schemas.labels import Label
from schemas.words import size
from sync.core.errors import Refused


@command(
    "rescue",
    label=Label(
        "把本机能读出的全部内容导出为签名文件，数据库损坏也可用",
        "Everything that can be read into a signed file, even from a damaged store",
    ),
    example="patrolbook rescue /media/usb/t-14.courier",
)
@click.argument("file", type=click.Path(path_type=Path))
@option("--plain", is_flag=True, label=Label("不加口令，任何人可读", "without a passphrase: anybody can read it"))
@in_session
def rescue(session: Session, file: Path, plain: bool) -> None:
    session.handing_in = True
    secrets = session.secrets()
    passphrase = None if plain else _passphrase(session, new=True)
    made = couriers.export(session.settings.home, secrets, SystemClock().wall_ms(), file, passphrase)
    for path in made.files:
        session.terminal.say(f"{path} {size(path.stat().st_size)}")
    session.terminal.say(
        Label(
            f"已导出 {made.changes} 条变更、{made.blobs} 个文件", f"Exported {made.changes} changes and {made.blobs} files"
        ),
        fg="green",
    )
    for one in made.lost:
        session.terminal.warn(
            Label(f"未能读出：{one.what}（{one.detail}）", f"could not be read: {one.what} ({one.detail})")
        )
    if made.lost:
        raise click.exceptions.Exit(1)


@command(
    "import",
    label=Label("导入另一台平板导出的文件，由本机上传", "Take in another tablet's file; this tablet then uploads it"),
    example="patrolbook import /media/usb/t-14.courier",
)
@click.argument("file", type=click.Path(path_type=Path))
@in_session
def import_(session: Session, file: Path) -> None:
    manifest, taken = couriers.take_in(session.tablet(), file, lambda: _passphrase(session, new=False))
    session.terminal.say(
        Label(f"来自设备 {manifest.device or '未登记'}", f"From the device {manifest.device or 'not enrolled'}")
    )
    session.terminal.say(
        Label(
            f"新增 {taken.changes} 条变更、{taken.blobs} 个文件；已有 {taken.known_changes} 条、{taken.known_blobs} 个",
            f"New: {taken.changes} changes, {taken.blobs} files; known: {taken.known_changes} and {taken.known_blobs}",
        ),
        fg="green",
    )
    for one in manifest.lost:
        session.terminal.warn(Label(f"原平板未能读出：{one.what}", f"the first tablet could not read: {one.what}"))


def _passphrase(session: Session, new: bool) -> str:
    if session.settings.passphrase is not None:
        return session.settings.passphrase
    if not session.terminal.interactive:
        how = Label(
            "请设置 PATROLBOOK_PASSPHRASE，或导出时用 --plain", "set PATROLBOOK_PASSPHRASE, or export with --plain"
        )
        raise Refused(detail=how)
    return session.terminal.ask(Label("文件口令", "Passphrase of the file"), hidden=True, confirm=new)
