"""verify: check an evidence bundle, on any machine with this program, without a server or a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click

from custody.checks import ENDS, WORDS, examine
from custody.report import read_report
from field_client.session import Session, command, in_session, option
from schemas.labels import Label
from sync.core.errors import Problem

_COLOURS = {"pass": "green", "fail": "red", "not-checked": "yellow"}
NO_BUNDLE = 3


@command(
    "verify",
    label=Label(
        "核验证据包。退出码：0 必查项目全部通过，1 有改动，2 材料不全，3 不是证据包",
        "Check an evidence bundle. Exit code: 0 every required check passed, 1 altered, 2 incomplete, 3 not a bundle",
    ),
    example='patrolbook verify 证据包.fib --root "9f22 7e72 c7e9 d2ed 8d77 d0ef 547d d7ce"',
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@option("--root", default="", label=Label("根密钥指纹，取自纸质或公告", "fingerprint of the root key, from paper"))
@option("--anchor", "anchors", multiple=True, label=Label("纸质副本上的锚定码", "code printed on a paper copy"))
@option("--json", "as_json", is_flag=True, label=Label("输出 JSON", "print JSON"))
@in_session
def verify(session: Session, file: Path, root: str, anchors: tuple[str, ...], as_json: bool) -> None:
    terminal = session.terminal
    try:
        with open(file, "rb") as stream:
            verdict = examine(stream, name=file.name, root=root, anchors=anchors, render=_renderer())
    except Problem as problem:
        terminal.say(Label(problem.text("zh"), problem.text("en")), fg="red")
        raise SystemExit(NO_BUNDLE) from problem
    language = terminal.language
    if as_json:
        rows = [
            [one.code, one.outcome, one.title.text(language), one.detail.text(language)] for one in verdict.findings
        ]
        terminal.say(json.dumps({"status": verdict.status, "findings": rows}, ensure_ascii=False))
    else:
        for one in verdict.findings:
            told = [
                f"{one.code} {WORDS[one.outcome].text(to)}  {one.title.text(to)}：{one.detail.text(to)}"
                for to in ("zh", "en")
            ]
            terminal.say(Label(*told), fg=_COLOURS[one.outcome])
        terminal.say(ENDS[verdict.status], bold=True)
    if verdict.status:
        raise SystemExit(verdict.status)


def _renderer() -> Callable[[bytes], bytes] | None:
    """What lays the report out again, where the library for it is installed; a tablet can do without."""
    try:
        from custody.report_pdf import render
    except ImportError:
        return None
    return lambda content: render(read_report(content))
