"""anchor show, scan, check: where the tablet's chain stands, noted where it cannot be rolled back."""

from __future__ import annotations

from pathlib import Path

import click
import segno

from field_client.session import Session, command, group, in_session, option, short
from field_client.work import anchoring
from field_client.work.anchoring import SAYS, Stage
from schemas.kinds.anchor import STAGES
from schemas.labels import Label
from sync.core.errors import InvalidField, Refused


@group(
    "anchor",
    label=Label("锚定：把链首记到另一台平板或纸上", "Anchors: the head of the chain, noted on another tablet or paper"),
    example="patrolbook anchor show",
)
def anchor() -> None:
    pass


@command(
    "show",
    label=Label(
        "显示本机链首的二维码，请另一名执法人员的平板扫描",
        "Show this tablet's chain as a QR code, for a colleague's tablet",
    ),
    example="patrolbook anchor show --to 锚定.png",
)
@option("--no-qr", is_flag=True, label=Label("不显示二维码", "show no QR code"))
@option(
    "--to",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    label=Label("二维码另存为图片（.png 或 .svg）", "also keep the QR code as a picture (.png or .svg)"),
)
@in_session
def show(session: Session, no_qr: bool, file: Path | None) -> None:
    if file is not None and file.suffix.lower() not in (".png", ".svg"):
        raise InvalidField(field="--to", detail=Label("应为 .png 或 .svg 文件", "is a .png or .svg file"))
    text = anchoring.show(session.tablet())
    if file is not None:
        try:
            segno.make(text, error="m").save(str(file), scale=8)
        except OSError as error:
            raise Refused(detail=Label(f"不能写入 {file}", f"{file} cannot be written")) from error
    if not no_qr:
        segno.make(text, error="l").terminal(compact=True)
    session.terminal.say(text)


@command(
    "scan",
    label=Label(
        "记下另一台平板的链首：拍下其屏幕的照片，或扫描到的文字",
        "Note where another tablet's chain stands: a photo of its screen, or the text that was scanned",
    ),
    example="patrolbook anchor scan 对方屏幕.jpg --inspection 3f2a71bc --stage start",
)
@click.argument("text", metavar="TEXT|PHOTO")
@option("--inspection", label=Label("哪次检查", "the inspection"))
@option("--stage", type=click.Choice(list(STAGES)), label=Label("检查开始或结束", "at its start or its end"))
@in_session
def scan(session: Session, text: str, inspection: str | None, stage: Stage | None) -> None:
    record = session.record("inspection", inspection) if inspection else None
    made = anchoring.scan(session.tablet(), _said(session, text), record, stage)
    session.terminal.say(
        Label(f"已锚定对方的平板（{short(made)}）", f"The other tablet is anchored ({short(made)})"), fg="green"
    )


@command(
    "check",
    label=Label(
        "核对文书上的码：本机的链是否一致，内容印出后有无改动",
        "Check a code from a document: does this tablet's chain agree, was the content changed since it was printed",
    ),
    example='patrolbook anchor check "7K3M 9XQ2 V4TD P0A1 C3E5 G7J9 KMNP QRST"',
)
@click.argument("code", metavar="CODE|PHOTO")
@in_session
def check(session: Session, code: str) -> None:
    found = anchoring.check(session.tablet(), _said(session, code))
    good = found.word != "contradicts"
    says = SAYS[found.word]
    session.terminal.say(
        Label(f"第 {found.n} 条：{says.zh}", f"At {found.n}: it {says.en}"), fg="green" if good else "red"
    )
    if found.inspection:
        session.terminal.say(Label(f"检查 {short(found.inspection)}", f"Inspection {short(found.inspection)}"))
    match found.unchanged:
        case True:
            session.terminal.say(Label("检查内容与文书相同", "The inspection says what was printed"))
        case False:
            session.terminal.warn(
                Label("检查在印出后有改动或新的签字", "The inspection was changed or signed again since it was printed")
            )
    if not good:
        raise click.exceptions.Exit(1)


def _said(session: Session, text: str) -> str:
    """What was typed, or what a photo of it shows where a file has that name."""
    photo = Path(text)
    return anchoring.read_photo(session.tablet(), photo) if "|" not in text and photo.is_file() else text


for one in (show, scan, check):
    anchor.add_command(one)
