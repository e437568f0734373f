"""rescue, import: work that leaves or enters the tablet as a file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from field_client.platform.clock import SystemClock
from field_client.platform.files import telling_disk_full
from field_client.rescue import pack, unpack
from field_client.session import Session, command, in_session, option
from schemas.labels import Label
from schemas.words import size
from sync import courier
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
    made: list[Path] = []

    @contextlib.contextmanager
    def volume(number: int) -> Iterator[BinaryIO]:
        path = file if number == 1 else file.with_name(f"{file.stem}-{number}{file.suffix}")
        with _whole_or_not_at_all(path) as out:
            if passphrase is None:
                yield out
            else:
                with courier.locking(out, passphrase) as locked:
                    yield locked
        made.append(path)

    manifests = pack(session.settings.home, secrets, SystemClock().wall_ms(), volume)
    changes, blobs = sum(one.changes for one in manifests), sum(len(one.parcels) for one in manifests)
    for path in made:
        session.terminal.say(f"{path} {size(path.stat().st_size)}")
    session.terminal.say(
        Label(f"已导出 {changes} 条变更、{blobs} 个文件", f"Exported {changes} changes and {blobs} files"), fg="green"
    )
    lost = [one for manifest in manifests for one in manifest.lost]
    for one in lost:
        session.terminal.warn(
            Label(f"未能读出：{one.what}（{one.detail}）", f"could not be read: {one.what} ({one.detail})")
        )
    if lost:
        raise click.exceptions.Exit(1)


@command(
    "import",
    label=Label("导入另一台平板导出的文件，由本机上传", "Take in another tablet's file; this tablet then uploads it"),
    example="patrolbook import /media/usb/t-14.courier",
)
@click.argument("file", type=click.Path(path_type=Path))
@in_session
def import_(session: Session, file: Path) -> None:
    tablet = session.tablet()
    try:
        opened = open(file, "rb")  # noqa: SIM115  closed below
    except OSError as error:
        raise Refused(detail=Label(f"打不开文件 {file}", f"the file {file} cannot be opened")) from error
    with opened:
        manifest, taken = unpack(tablet, opened, file.name, lambda: _passphrase(session, new=False))
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


@contextlib.contextmanager
def _whole_or_not_at_all(path: Path) -> Iterator[BinaryIO]:
    """A private file that has its name only once it is complete. Raises DiskFull, Refused where none can be made."""
    half = path.with_name(f"{path.name}.part")
    try:
        with telling_disk_full(path.parent):
            with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            os.replace(half, path)
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise Refused(detail=Label(f"不能写入 {path}", f"{path} cannot be written")) from error
    finally:
        half.unlink(missing_ok=True)
