"""storage, storage tidy, terms, fetch, removed: what takes space, what may go, and what went against which receipt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

import click

from field_client.evidence import retention, tidying
from field_client.evidence.removals import Removals, What
from field_client.evidence.retention import TERMS, Line
from field_client.session import Session, command, group, in_session, option
from field_client.tablet import DATABASE
from schemas.labels import Label
from schemas.words import local, size
from sync.core.errors import NotFound

JSON = Label("输出 JSON", "print JSON")
SORTS: Mapping[What, Label] = {
    "derived": Label("预览和水印副本", "Previews and marked copies"),
    "sealed": Label("密封件", "Sealed files"),
    "original": Label("原件", "Originals"),
    "thumbnail": Label("缩略图", "Thumbnails"),
}
FILES = (Label("文件", "File"), Label("内容", "What"), Label("大小", "Size"), Label("状态", "State"))
TIDYING = Label("核验回执并清理", "Checking receipts and removing")


@group(
    "storage",
    label=Label(
        "本机空间：什么占着、什么可清理、什么不能动及原因", "Space: what takes it, what may go, what may not and why"
    ),
    example="patrolbook storage",
    invoke_without_command=True,
)
@option("--files", is_flag=True, label=Label("逐个列出文件", "name every file"))
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def storage(session: Session, files: bool, as_json: bool) -> None:
    if click.get_current_context().invoked_subcommand is None:
        _show(session, files, as_json)


def _show(session: Session, files: bool, as_json: bool) -> None:
    tablet = session.tablet()
    found = retention.lines(tablet)
    database, free = (tablet.home / DATABASE).stat().st_size, shutil.disk_usage(tablet.home).free
    if as_json:
        told = {"database_bytes": database, "free_bytes": free, "terms": retention.terms_of(tablet.home)._asdict(),
                "files": [_facts(line) for line in found]}  # fmt: skip
        session.terminal.say(json.dumps(told, ensure_ascii=False))
        return
    columns = (Label("内容", "What"), Label("数量", "Count"), Label("大小", "Size"), Label("可清理", "May go"))
    rows = [
        (SORTS[what], str(count), size(held), size(_free(found, what))) for what, count, held in retention.sizes(found)
    ]
    rows.append((Label("记录（数据库）", "Records (the database)"), "", size(database), size(0)))
    session.terminal.table(columns, rows)
    if files:
        session.terminal.table(FILES, map(_row, found))
    for why, count, held in _kept(found):
        session.terminal.say(
            Label(f"保留 {count} 个（{size(held)}）：{why.zh}", f"{count} stay ({size(held)}): {why.en}")
        )
    session.terminal.say(Label(f"磁盘可用 {size(free)}", f"Free on the disk: {size(free)}"))
    if any(line.may for line in found):
        session.terminal.say(Label("下一步：patrolbook storage tidy", "Next: patrolbook storage tidy"))


@command(
    "tidy",
    label=Label(
        "清理服务器已有回执且过了保留期的文件；不加 --yes 只列出",
        "Remove files that the server answers for with a receipt and whose term is over; without --yes it only lists them",
    ),
    example="patrolbook storage tidy --yes",
)
@option("--yes", is_flag=True, label=Label("确实清理", "really remove them"))
@in_session
def tidy(session: Session, yes: bool) -> None:
    tablet = session.enrolled()
    due = [line for line in retention.lines(tablet) if line.may]
    total = sum(line.blob.size for line in due)
    if not due:
        session.terminal.say(
            Label("没有可清理的文件；原因见 patrolbook storage", "Nothing may go; patrolbook storage says why")
        )
        return
    if not yes:
        session.terminal.table(FILES, map(_row, due))
        session.terminal.say(
            Label(
                f"可清理 {len(due)} 个文件，{size(total)}；未删除任何内容。确认：patrolbook storage tidy --yes",
                f"{len(due)} files may go, {size(total)}; nothing was removed. To remove them: patrolbook storage tidy --yes",
            )
        )
        return
    with session.terminal.progress() as tell:
        done = tidying.tidy(tablet, told=lambda number, of: tell(TIDYING, number, of))
    for sha256, why in done.refused.items():
        session.terminal.warn(Label(f"保留 {sha256[:12]}：{why.zh}", f"{sha256[:12]} stays: {why.en}"))
    said = Label(
        f"已清理 {done.files} 个文件，{size(done.bytes)}；记录见 patrolbook storage removed",
        f"Removed {done.files} files, {size(done.bytes)}; noted in patrolbook storage removed",
    )
    session.terminal.say(said, fg="green")
    if done.refused:
        raise click.exceptions.Exit(1)


@command(
    "removed",
    label=Label(
        "清理过的文件：何时、凭日志哪一条回执",
        "Files that were removed: when, and against which leaf of the server's log",
    ),
    example="patrolbook storage removed",
)
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def removed(session: Session, as_json: bool) -> None:
    gone = Removals(session.tablet().store.database).all().values()
    if as_json:
        session.terminal.say(json.dumps([one._asdict() for one in gone]))
        return
    columns = (Label("文件", "File"), Label("内容", "What"), Label("大小", "Size"), Label("清理时间", "Removed"),
               Label("回执序号", "Leaf"))  # fmt: skip
    rows = [(one.sha256[:12], SORTS[one.what], size(one.size), local(one.at), str(one.leaf)) for one in gone]
    session.terminal.table(columns, rows)


@command(
    "fetch",
    label=Label(
        "从服务器调回清理过的原件（写入服务器日志）", "Have a removed original back from the server, whose log says so"
    ),
    example="patrolbook storage fetch 3f2a71bc",
)
@click.argument("evidence")
@in_session
def fetch(session: Session, evidence: str) -> None:
    tablet = session.enrolled()
    gone = Removals(tablet.store.database).all()
    fits = [sha256 for sha256 in gone if len(evidence) >= 8 and sha256.startswith(evidence)]
    wanted = fits[0] if len(fits) == 1 else str(tablet.values(session.record("evidence", evidence)).get("sha256"))
    if wanted not in gone:
        raise NotFound(what=Label(f"清理过的文件 {evidence}", f"a file {evidence} that was removed here"))
    tidying.bring_back(tablet, wanted)
    session.terminal.say(Label(f"已调回 {wanted[:12]}", f"{wanted[:12]} is here again"), fg="green")


@command(
    "terms",
    label=Label("查看或设置保留期（由主管部门规定）", "Show or set how long files stay, as the authority decides"),
    example="patrolbook storage terms --original-days 14",
)
@option("--sealed-hours", type=int, label=TERMS["sealed_hours"])
@option("--original-days", type=int, label=TERMS["original_days"])
@option("--closed-hours", type=int, label=TERMS["closed_hours"])
@option("--draft-days", type=int, label=TERMS["draft_days"])
@in_session
def terms(session: Session, /, **given: int | None) -> None:
    home = session.tablet().home
    changed = {name: value for name, value in given.items() if value is not None}
    now = retention.set_terms(home, changed) if changed else retention.terms_of(home)
    rows = [(TERMS[name], str(value)) for name, value in now._asdict().items()]
    session.terminal.table((Label("项目", "Term"), Label("值", "Value")), rows)


for one in (tidy, removed, fetch, terms):
    storage.add_command(one)


def _facts(line: Line) -> dict[str, Any]:
    return {
        "sha256": line.blob.sha256,
        "name": line.blob.name,
        "size": line.blob.size,
        "what": line.what,
        "may_go": line.may,
        "due_ms": line.due_ms,
        "why": line.why._asdict(),
    }


def _row(line: Line) -> tuple[Label | str, ...]:
    blob, why = line.blob, line.why
    until = f"（{local(line.due_ms)}）" if line.due_ms is not None and not line.may else ""
    what, name = SORTS[line.what], blob.name or blob.sha256[:12]
    told = Label(f"{why.zh}{until}", f"{why.en}{until}")
    return name, what, size(blob.size), told


def _free(found: Iterable[Line], what: What) -> int:
    return sum(line.blob.size for line in found if line.what == what and line.may)


def _kept(found: Iterable[Line]) -> list[tuple[Label, int, int]]:
    """(why, number, bytes) of what may not go, the largest first."""
    by: dict[Label, list[int]] = {}
    for line in found:
        if not line.may:
            by.setdefault(line.why, []).append(line.blob.size)
    return sorted(((why, len(held), sum(held)) for why, held in by.items()), key=lambda one: -one[2])
