"""Evidence at the desk: from a code to the original, redacted copies, minors, and files that leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from custody import codes
from custody.pictures.orders import Redaction
from schemas.kinds.evidence import MINORS, Evidence
from schemas.labels import Label
from server.access.rights import Scope
from server.cli.frame import Group, Run, as_json, by, command, main, option, reason
from server.evidence import originals, redaction
from server.proofs import digesting
from server.reading.listing import Listing

EVIDENCE = Group("evidence", about=Label("证据", "Evidence"))
main.add_command(EVIDENCE)

HELD = {True: Label("原件已在服务器", "the server holds it"), False: Label("原件尚未到达", "not at the server yet")}


class Box(click.ParamType):  # type: ignore[type-arg]
    """x,y,width,height in pixels of the upright picture."""

    name = "x,y,w,h"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int, int, int]:
        try:
            x, y, width, height = (int(one) for one in str(value).split(","))
        except ValueError:
            self.fail("x,y,w,h", param, ctx)
        return x, y, width, height


boxes = option(
    "--box", "boxes", type=Box(), multiple=True, about=Label("要销毁的方框，像素，可多次", "A box to destroy, in pixels; may be repeated")
)
at = option(
    "--at", "at_s", type=float, about=Label("视频：只取这一秒的画面；不写则整段重编码、去掉声音", "Of a film: the frame at this second; else all of it is encoded anew, without sound")
)
page = option("--page", type=click.IntRange(1), default=1, about=Label("PDF：第几页", "Of a PDF: the page"))


def wish_of(boxes: tuple[tuple[int, int, int, int], ...], at_s: float | None, page: int) -> Redaction:
    """What the options ask for."""
    return Redaction(boxes, round(at_s * 1000) if at_s is not None else None, page)


@command(
    EVIDENCE,
    "redact",
    Label(
        "生成遮挡副本：方框内的像素涂黑销毁，EXIF、注释、内嵌缩略图一律去掉；原件不变。不自动找人脸，请人工查看结果。",
        "Make a copy in which boxes are destroyed: filled with black, without EXIF, comments or small pictures inside. The "
        "original stays as it is. No faces are looked for: a person has to look at what comes out.",
    ),
    "patrolbook-server evidence redact 9f227e72c7e9 --box 120,80,260,300 --hides-minors --reason 遮挡学生面部",
)
@click.argument("evidence")
@boxes
@at
@page
@option("--hides-minors", is_flag=True, about=Label("未成年人均已遮挡", "All minors are covered by these boxes"))
@reason
@by
@as_json
def redact(
    run: Run, evidence: str, boxes: tuple[tuple[int, int, int, int], ...], at_s: float | None, page: int,
    hides_minors: bool, reason: str, by: str | None, as_json: bool,
) -> None:  # fmt: skip
    person = run.person(by)
    wish = wish_of(boxes, at_s, page)
    made = redaction.redact(
        run.house, person, run.rights_of(person), evidence, wish, reason=reason, hides_minors=hides_minors
    )
    if as_json:
        run.json(made._asdict())
        return
    run.say(Label(f"遮挡副本 {made.evidence}（{made.sha256[:12]}），日志位置 {made.leaf}",
                  f"Redacted copy {made.evidence} ({made.sha256[:12]}), leaf {made.leaf}"), "bold green")  # fmt: skip
    run.say(
        Label(
            f"请打开查看：patrolbook-server evidence export {made.sha256[:12]} 查看.jpg --purpose 核对遮挡",
            f"Look at it: patrolbook-server evidence export {made.sha256[:12]} look.jpg --purpose check",
        ),
        "yellow",
    )


@command(
    EVIDENCE,
    "minors",
    Label(
        "标记证据中是否出现未成年人；出现的，未经遮挡不得导出。",
        "Say whether minors are visible. Where they are, the file is not exported until they are covered.",
    ),
    "patrolbook-server evidence minors 9f227e72c7e9 visible",
)
@click.argument("evidence")
@click.argument("word", type=click.Choice(list(MINORS)))
@by
def mark_minors(run: Run, evidence: str, word: str, by: str | None) -> None:
    person = run.person(by)
    done = redaction.flag(run.house, person, run.rights_of(person), evidence, word)
    run.say(Label(f"{done}：{MINORS[word].zh}", f"{done}: {MINORS[word].en}"), "bold green")


@command(
    EVIDENCE,
    "export",
    Label(
        "把一件证据的文件写到外面，先写日志；出现未成年人而未遮挡的拒绝。",
        "Write the file of a piece of evidence outside, after the log says so. Refused where minors are visible.",
    ),
    "patrolbook-server evidence export 9f227e72c7e9 现场.jpg --purpose 案审会",
)
@click.argument("evidence")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@option("--purpose", required=True, about=Label("用途，永久留存", "What it is for; kept for good"))
@by
def export(run: Run, evidence: str, file: Path, purpose: str, by: str | None) -> None:
    person = run.person(by)
    leaf = redaction.export(run.house, person, run.rights_of(person), evidence, file, purpose=purpose)
    run.say(Label(f"已写入 {file}，日志位置 {leaf}", f"Written to {file}; leaf {leaf} of the log"), "bold green")


def told_wrong(claim: digesting.Claim) -> Label:
    """A wrong claim in words."""
    return Label(
        f"{claim.label.zh}：记录所载 {claim.claimed[:12]}，文件实为 {claim.computed[:12]}；文件按 SHA-256 保存，未丢失",
        f"{claim.label.en}: the record states {claim.claimed[:12]}, the file has {claim.computed[:12]}; it is kept by its SHA-256",
    )


@command(
    EVIDENCE,
    "verify",
    Label(
        "由文件重算分块树与 SM3，列出记录所载与文件不符的证据，有则退出码为 1。serve 在后台自动计算，本命令把尚未算的也算完。",
        "Compute chunk tree and SM3 from the files and list the evidence whose record states others; then the exit code is 1. "
        "serve computes them in the background; this command does what is left.",
    ),
    "patrolbook-server evidence verify --area 430104",
)
@option("--area", default="", about=Label("只列这个区划的证据", "Only evidence of this division"))
@as_json
def verify(run: Run, area: str, as_json: bool) -> None:
    with run.progress() as bar:
        task = bar.add_task(run.text(Label("文件", "Files")), total=None)
        done = digesting.catch_up(run.house, lambda n, total: bar.update(task, completed=n, total=total))
    found = list(digesting.contradicted(run.house, area))
    if as_json:
        listed = [{"evidence": row["record"], "sha256": row["sha256"], "wrong": [one._asdict() for one in wrong]} for row, wrong in found]
        run.json({"read": done.read, "unreadable": [one.facts["file"] for one in done.problems], "evidence": listed})
    else:
        for problem in done.problems:
            run.say(Label(problem.text("zh"), problem.text("en")), "bold red")
        for row, wrong in found:
            run.say(Label(f"证据 {row['record']}（{row['sha256'][:12]}）", f"evidence {row['record']} ({row['sha256'][:12]})"), "bold")
            for one in wrong:
                run.say(told_wrong(one), "red")
        count = len(found)
        run.say(
            Label(f"本次计算 {done.read} 个文件；记录与文件不符的证据 {count} 件", f"{done.read} files computed; {count} pieces of evidence state what their files do not have"),
            "bold red" if count or done.problems else "bold green",
        )
    if found or done.problems:
        raise SystemExit(1)


@command(
    EVIDENCE,
    "lookup",
    Label(
        "凭水印副本上的核验码查原件；输错一位会提示。只查得到操作人授权区划内的证据。",
        "Find the original by the code on a watermarked copy; a mistyped character is told. Only what lies in the areas "
        "of whoever asks is found.",
    ),
    "patrolbook-server evidence lookup 7K3M-9XQ2-V4TD-P",
)
@click.argument("code")
@by
@as_json
def lookup(run: Run, code: str, by: str | None, as_json: bool) -> None:
    wanted = codes.read(code)
    areas = run.rights_of(run.person(by)).areas
    found = originals.by_code(run.house, wanted, Scope([f"area:{area}" for area in areas], []))
    if as_json:
        run.json(found._asdict())
        return
    listing = Listing(run.house, Evidence.kind, run.language)
    labels = Evidence.fields_by_name()
    row: dict[str, Any] = {**dict.fromkeys(listing.names), **found.values, "conflicted": "[]"}
    rows = [(run.text(labels[name].label), listing.cell(name, row)) for name in listing.names if found.values.get(name)]
    run.say(Label(f"{codes.printed(wanted)}：证据 {found.id}", f"{codes.printed(wanted)}: evidence {found.id}"), "bold")
    run.table([Label("栏目", "Field"), Label("内容", "Value")], rows)
    run.say(HELD[found.held], "green" if found.held else "yellow")
    with run.house.database.read() as conn:
        compared = digesting.compared(conn, found.values)
    for wrong in compared.wrong if compared is not None else ():
        run.say(told_wrong(wrong), "bold red")
    for one in found.copies:
        operation = str(one.get("operation", ""))
        told = listing.cell("operation", row | one) if operation else ""
        run.say(Label(f"衍生件 {one['id']}：{told}", f"derived {one['id']}: {told}"))
