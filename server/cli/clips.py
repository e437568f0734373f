"""Undercover clips for somebody outside: propose, approve, refuse, make, list."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from schemas.labels import Label
from server.cli import proposals
from server.cli.evidence import at, boxes, page, wish_of
from server.cli.frame import Group, Run, as_json, by, command, main, option, passphrase, reason
from server.cli.handover import identity, secret_of
from server.evidence import exports
from sync.core.releasing import NEEDED

CLIP = Group("clip", about=Label("导出：暗访素材的遮挡副本，两人批准", "Redacted copies of undercover clips, approved by two"))
main.add_command(CLIP)

_EXAMPLE = "01a202f7-0e2e-7a03-a06d-0afab0ed9a61"


@command(
    CLIP,
    "propose",
    Label(
        "提请把一件密封证据的遮挡副本导出；画面、方框、用途、交给谁、期限都在此写明，批准的就是这些。",
        "Propose to export a redacted copy of sealed evidence. What goes out, for whom, what for and by when is said here, "
        "and that is what is approved.",
    ),
    "patrolbook-server clip propose 0afab0ed9a61 --box 120,80,260,300 --at 12.5 --for 全省工作会 --purpose 通报典型问题 "
    "--until 2026-12-10 --by 赵刚",
)
@click.argument("evidence")
@boxes
@at
@page
@option("--film", is_flag=True, about=Label("导出整段视频（无声）；不写则导出图片", "The whole film, without sound; else a picture"))
@option("--nobody", is_flag=True, about=Label("经查看，画面中无可识别的人", "Looked at: nobody could be known by it"))
@option("--for", "recipient", required=True, about=Label("交给谁", "For whom"))
@option("--purpose", required=True, about=Label("用途，永久留存", "What it is for; kept for good"))
@option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), required=True, about=Label("导出期限，30 天以内", "To be exported by; within 30 days")
)
@by
def propose(
    run: Run, evidence: str, boxes: tuple[tuple[int, int, int, int], ...], at_s: float | None, page: int, film: bool,
    nobody: bool, recipient: str, purpose: str, until: datetime, by: str | None,
) -> None:  # fmt: skip
    person = run.person(by)
    made = exports.propose(
        run.house, person, run.rights_of(person), evidence, wish_of(boxes, at_s, page), film=film, nobody=nobody,
        recipient=recipient, purpose=purpose, until=f"{until:%Y-%m-%d}",
    )  # fmt: skip
    run.say(Label(f"已提请：{made}", f"Proposed: {made}"), "bold green")
    run.say(
        Label(
            f"下一步：两人分别运行 patrolbook-server clip approve {made} --by 姓名",
            f"Next: two people run patrolbook-server clip approve {made} --by NAME",
        )
    )


@command(
    CLIP,
    "approve",
    Label("批准导出申请的当前内容；须两人分别批准。", "Approve a proposal as it stands; two people have to, each for themselves."),
    f"patrolbook-server clip approve {_EXAMPLE} --by 钱敏",
)
@click.argument("export")
@by
def approve(run: Run, export: str, by: str | None) -> None:
    person = run.person(by)
    count = exports.approve(run.house, person, run.rights_of(person), export)
    run.say(Label(f"已批准（{count}/{NEEDED}）", f"Approved ({count} of {NEEDED})"), "bold green")
    if count >= NEEDED:
        run.say(
            Label(
                f"下一步：patrolbook-server clip make {export} --identity 省级私钥 --out 文件",
                f"Next: patrolbook-server clip make {export} --identity KEY --out FILE",
            )
        )


@command(
    CLIP,
    "refuse",
    Label("不予导出，或在导出前撤回批准。", "Refuse a proposal, or take the approval back before anything went out."),
    f"patrolbook-server clip refuse {_EXAMPLE} --reason 画面可识别店主 --by 钱敏",
)
@click.argument("export")
@reason
@by
def refuse(run: Run, export: str, reason: str, by: str | None) -> None:
    person = run.person(by)
    exports.refuse(run.house, person, run.rights_of(person), export, reason)
    run.say(Label("已记录不予导出", "Refused"), "bold green")


@command(
    CLIP,
    "make",
    Label(
        "导出两人批准的遮挡副本：先写密封日志，再写文件；一份申请只导出一次。",
        "Write the copy that two people approved: the sealed log first, then the file. Each proposal goes out once.",
    ),
    f"patrolbook-server clip make {_EXAMPLE} --identity /media/safe/province.age --out 通报.jpg --by 赵刚",
)
@click.argument("export")
@identity
@option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, about=Label("写到哪个文件", "File to write"))
@passphrase
@by
def make(run: Run, export: str, identity: Path, out: Path, passphrase: str | None, by: str | None) -> None:
    person = run.person(by)
    secret = secret_of(run, identity, passphrase)
    made = exports.make(run.house, person, run.rights_of(person), export, secret, out)
    run.say(Label(f"已写入 {out}，密封日志位置 {made.leaf}", f"Written to {out}; leaf {made.leaf} of the sealed log"), "bold green")
    run.say(Label("请打开查看：遮挡是否完整须由人判断", "Look at it: whether everything is covered is for a person to see"), "yellow")


@command(
    CLIP,
    "list",
    Label("列出导出申请。", "List the proposals."),
    "patrolbook-server clip list --by 赵刚",
)
@by
@as_json
def list_exports(run: Run, by: str | None, as_json: bool) -> None:
    columns = (
        (Label("交给谁", "For whom"), lambda one: one.values.get("recipient")),
        (Label("用途", "What for"), lambda one: one.values.get("purpose")),
        (Label("期限", "Until"), lambda one: one.values.get("until")),
    )
    proposals.listed(run, exports.STEP, run.rights_of(run.person(by)), columns, as_json)
