"""covert add, list, audit: undercover capture. Sealed at once to the province; this tablet cannot read it afterwards."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from types import FrameType

import click

from custody.captures import Capture
from field_client.evidence import covert as taking
from field_client.evidence.dropbox import About, DropBox, Sealer
from field_client.platform.clock import SystemClock
from field_client.platform.pipes import Pipe
from field_client.session import Session, command, group, in_session, option, short
from schemas.labels import Label
from schemas.words import size
from sync.core.errors import DeviceRevoked, LeaseExpired, Locked, Refused

STREAM = "-"
SEALING = Label("密封", "Sealing")


@group(
    "covert",
    label=Label("暗访采集（即拍即密封）", "Undercover capture, sealed at once"),
    example="patrolbook covert list",
)
def covert() -> None:
    pass


@command(
    "add",
    label=Label(
        "密封文件，或从标准输入（-）边录边密封。不需要解锁；密封后本机也打不开，只有省级能打开",
        "Seal files, or what comes from standard input (-) while it is recorded. Needs no unlocking; afterwards this "
        "tablet cannot open it either, only the province can",
    ),
    example="patrolbook covert add MOV_0001.mp4 --audit 3f2a71bc --remove-source",
)
@click.argument("files", nargs=-1, required=True)
@option("--audit", default="", metavar="ID", label=Label("所属暗访的编号", "the audit that it belongs to"))
@option("--note", default="", label=Label("说明（一并密封）", "a note, sealed with it"))
@option("--mime", default="", label=Label("文件类型，默认自动识别", "media type; recognised if left out"))
@option(
    "--remove-source",
    is_flag=True,
    label=Label(
        "密封并落盘后删除原文件（闪存上的删除并不可靠）",
        "remove the source once the sealed copy is on the disk (on flash memory that is not reliable)",
    ),
)
@in_session
def add(session: Session, files: tuple[str, ...], audit: str, note: str, mime: str, remove_source: bool) -> None:
    if STREAM in files and len(files) > 1:
        raise Refused(detail=Label("“-”只能单独使用", "“-” stands alone"))
    session.require_standing()
    box = DropBox(session.settings.home, SystemClock())
    sealer = box.sealer()
    stopped = _on_interrupt()
    made: list[Capture] = []
    with session.terminal.progress() as tell:
        for file in files:
            about = About(audit, note, "" if file == STREAM else Path(file).name, mime)
            made += _sealed(sealer, file, about, tell, stopped)
            if remove_source and file != STREAM:
                Path(file).unlink(missing_ok=True)
    total = sum(one.size for one in made)
    told = Label(
        f"已密封 {len(made)} 段，{size(total)}；本机无法打开",
        f"Sealed {len(made)} objects, {size(total)}; not to be opened here",
    )
    session.terminal.say(told, fg="green")
    try:
        taking.settle(session.tablet())
    except (Locked, LeaseExpired, DeviceRevoked):
        hint = Label("下次解锁时上传", "It goes up after the next unlock")
        session.terminal.say(hint)


@command(
    "list",
    label=Label(
        "已密封的录制：只有段数、大小、是否已送达",
        "What was sealed: segments, size, whether it arrived; never the content",
    ),
    example="patrolbook covert list",
)
@option("--json", "as_json", is_flag=True, label=Label("输出 JSON", "print JSON"))
@in_session
def list_(session: Session, as_json: bool) -> None:
    tablet = session.tablet()
    taking.settle(tablet)
    found = taking.counts(tablet)
    damaged = len(DropBox(tablet.home, tablet.platform.clock).damaged())
    if as_json:
        session.terminal.say(json.dumps({"recordings": [one._asdict() for one in found], "damaged": damaged}))
        return
    for one in found:
        state = (
            Label("已送达", "held")
            if one.held == one.segments
            else Label(f"待上传 {one.segments - one.held} 段", f"{one.segments - one.held} to send")
        )
        told = [f"{short(one.recording)}  {one.segments}  {size(one.size)}  {state.text(to)}" for to in ("zh", "en")]
        session.terminal.say(Label(*told))
    if not found:
        session.terminal.say(Label("（没有）", "(none)"))
    if damaged:
        session.terminal.say(
            Label(f"{damaged} 段的声明已损坏，原样保留", f"{damaged} with a damaged statement, kept as they are"),
            fg="red",
        )


@command(
    "audit",
    label=Label("新建一次暗访（用代号，不写对象）", "Begin an audit: a code name, not whom it concerns"),
    example="patrolbook covert audit 青竹 --area 430104",
)
@click.argument("name")
@option("--area", required=True, label=Label("区划代码", "division code"))
@in_session
def audit(session: Session, name: str, area: str) -> None:
    change = session.enrolled().write(taking.AUDITS, None, {"name": name, "area": area, "status": "open"})
    session.terminal.say(
        Label(f"已新建 {short(change.record)}（{change.record}）", f"Begun {short(change.record)} ({change.record})")
    )


for one in (add, list_, audit):
    covert.add_command(one)


def _sealed(sealer: Sealer, file: str, about: About, tell: object, stopped: list[bool]) -> list[Capture]:
    done = [0]
    whole = Path(file).stat().st_size if file != STREAM and Path(file).is_file() else 0

    def told(more: int) -> None:
        done[0] += more
        tell(SEALING, done[0], max(whole, done[0]))  # type: ignore[operator]

    if file == STREAM:
        source = Pipe(sys.stdin.buffer)
        return list(sealer.stream(source, about, told=told, stop=lambda: bool(stopped)))
    return [sealer.file(Path(file), about, told=told, stop=lambda: bool(stopped))]


def _on_interrupt() -> list[bool]:
    """What was sealed so far is kept when a person ends a recording with Ctrl-C: filled then, instead of an exception."""
    stopped: list[bool] = []

    def note(number: int, frame: FrameType | None) -> None:
        stopped.append(True)

    signal.signal(signal.SIGINT, note)
    return stopped
