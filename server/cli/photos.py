"""Photos that look alike: look at what is new, list what was found, compare two."""

from __future__ import annotations

import csv
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from schemas.kinds.evidence import REPEAT_REASONS, Evidence
from schemas.labels import Label
from server.cli.frame import Group, Run, as_json, command, main, option
from server.evidence import photos as looking
from server.evidence.photos import IDENTICAL, Pair

PHOTOS = Group("photos", about=Label("照片：疑似重复与比对", "Photos: suspected duplicates, comparing"))
main.add_command(PHOTOS)

SORTS = {
    IDENTICAL: Label("同一文件", "the same file"),
    "same": Label("同一画面", "the same picture"),
    "part": Label("裁剪自前者", "cut out of the earlier one"),
    "whole": Label("前者裁剪自它", "the earlier one is cut out of it"),
    "overlap": Label("有共同部分", "they share a part"),
}
TURNS = {
    "": Label("", ""),
    "mirrored": Label("左右翻转", "mirrored"),
    "upside-down": Label("上下翻转", "mirrored upside down"),
    "half": Label("旋转 180°", "turned by 180°"),
    "left": Label("左转 90°", "turned left"),
    "right": Label("右转 90°", "turned right"),
    "transposed": Label("转置", "turned and mirrored"),
    "transversed": Label("反转置", "turned and mirrored"),
}
OUTSIDE = Label("与本区划以外的照片相同", "matches a photo outside your area")
REPEATED = Label("整改前后相同", "before and after look the same")
PAUSE_S = 5


@command(
    PHOTOS,
    "index",
    Label(
        "比对新到的照片：由原件计算指纹，与全部照片比对。可随时中断，下次接着做；serve 运行时可用 --watch 常驻。",
        "Look at photos that came in: fingerprints from the originals, compared with all photos. May be interrupted at any "
        "time and goes on where it was; with --watch it stays beside serve.",
    ),
    "patrolbook-server photos index",
)
@option("--watch", is_flag=True, about=Label("持续运行，每 5 秒查看一次", "Keep on, looking every 5 seconds"))
@option("--rebuild", is_flag=True, about=Label("由已有指纹重建索引", "Make the index again from the prints first"))
def index(run: Run, watch: bool, rebuild: bool) -> None:
    if rebuild:
        count = looking.rebuild(run.house)
        run.say(Label(f"索引已重建：{count} 张", f"Made the index again: {count} photos"))
    while True:
        done = _caught_up(run)
        if done.looked or not watch:
            run.say(
                Label(
                    f"比对 {done.looked} 张，其中 {done.unreadable} 张无法读取；新发现疑似重复 {done.found} 对",
                    f"Looked at {done.looked} photos, {done.unreadable} of them unreadable; {done.found} suspected "
                    "duplicates",
                ),
                "bold green",
            )
        if not watch:
            return
        time.sleep(PAUSE_S)


def _caught_up(run: Run) -> looking.Done:
    with run.progress() as bar:
        task = bar.add_task(run.text(Label("照片", "Photos")), total=None)
        return looking.catch_up(run.house, lambda n, total: bar.update(task, completed=n, total=total))


@command(
    PHOTOS,
    "duplicates",
    Label(
        "列出疑似重复的照片，最新的在前，附填写人给出的原因。写明 --area 时，区划以外的照片不显示详情。",
        "List suspected duplicates, newest first, with the reason that was given. With --area nothing is told about photos "
        "outside it.",
    ),
    "patrolbook-server photos duplicates --area 430103 --since 2026-11-01",
)
@option("--area", default="", about=Label("区划代码", "Division code"))
@option("--since", metavar="YYYY-MM-DD", about=Label("自哪一天起发现的", "Found from this day on"))
@option("--all", "everything", is_flag=True, about=Label("含同一次检查内的", "Also within one visit"))
@option(
    "--csv", "csv_file", type=click.Path(path_type=Path, dir_okay=False), about=Label("写入 CSV 文件", "To a CSV file")
)
@as_json
def duplicates(run: Run, area: str, since: str | None, everything: bool, csv_file: Path | None, as_json: bool) -> None:
    found = list(looking.pairs(run.house, (area,), _day(run, since), everything))
    if as_json:
        run.json([_told(pair) for pair in found])
        return
    columns = [Label("证据", "evidence"), Label("时间", "captured"), Label("与之相似", "is like"),
               Label("时间", "captured"), Label("关系", "how"), Label("吻合", "score"), Label("原因", "reason")]  # fmt: skip
    lines = [_line(run, pair) for pair in found]
    if csv_file is not None:
        with open(csv_file, "w", newline="", encoding="utf-8-sig") as file:  # the mark is for Excel
            csv.writer(file).writerows([[run.text(one) for one in columns], *map(_harmless, lines)])
        run.say(Label(f"{csv_file}：{len(lines)} 行", f"{csv_file}: {len(lines)} rows"), "bold green")
        return
    run.table(columns, lines)
    waiting = looking.waiting(run.house)
    if waiting:
        told = f"还有 {waiting} 个文件未比对：patrolbook-server photos index"
        run.say(Label(told, f"{waiting} files wait to be looked at: patrolbook-server photos index"), "yellow")


@command(
    PHOTOS,
    "compare",
    Label(
        "比对两件证据（编号或 SHA-256），说明是否为同一照片、裁剪或翻转。",
        "Compare two pieces of evidence (ids or SHA-256): the same photo, a crop, mirrored, or not.",
    ),
    "patrolbook-server photos compare 01a202f7-0e2e-7a03-a06d-0afab0ed9a61 01a202f9-1c11-7d04-9b52-6f7f0c8f3a10",
)
@click.argument("one")
@click.argument("other")
@as_json
def compare(run: Run, one: str, other: str, as_json: bool) -> None:
    ours, theirs, found = looking.compared(run.house, one, other)
    if as_json:
        run.json({"one": ours["record"], "other": theirs["record"], "likeness": found._asdict() if found else None})
        return
    labels = Evidence.fields_by_name()
    names = ("captured_at", "area", "subject", "source", "stage", "caption", "sha256")
    rows = [(run.text(labels[name].label), ours.get(name), theirs.get(name)) for name in names]
    run.table(
        [Label("栏目", "field"), Label(ours["record"], ours["record"]), Label(theirs["record"], theirs["record"])], rows
    )
    if found is None:
        run.say(Label("未发现相同画面", "Nothing in common was found"), "bold green")
    else:
        how = _how(run, found.sort, found.turn)
        told = Label(f"疑似重复：{how}，吻合 {found.score}%", f"Suspected duplicate: {how}, {found.score}% agrees")
        run.say(told, "bold yellow")


def _line(run: Run, pair: Pair) -> list[Any]:
    found = pair.found
    how = run.text(OUTSIDE) if pair.outside else _how(run, found.sort, found.turn)
    if pair.repeated:
        how += f"（{run.text(REPEATED)}）"
    reason = pair.record.get("repeat_reason")
    said = " ".join(filter(None, (run.text(REPEAT_REASONS[reason]) if reason in REPEAT_REASONS else "",
                                  pair.record.get("repeat_note"))))  # fmt: skip
    return [
        found.record,
        pair.record.get("captured_at"),
        found.earlier,
        pair.earlier.get("captured_at"),
        how,
        f"{found.score}%",
        said,
    ]


def _told(pair: Pair) -> dict[str, Any]:
    left_out = {"rev", "deleted", "conflicted", "fingerprint"}

    def record(row: dict[str, Any]) -> dict[str, Any] | None:
        return {name: value for name, value in row.items() if value is not None and name not in left_out} or None

    return {
        **pair.found._asdict(),
        "outside": pair.outside,
        "before_and_after": pair.repeated,
        "record": record(pair.record),
        "earlier": record(pair.earlier),
    }


def _how(run: Run, sort: str, turn: str) -> str:
    return " ".join(filter(None, (run.text(SORTS[sort]), run.text(TURNS[turn]))))


def _harmless(line: list[Any]) -> list[Any]:
    """A cell that begins like a formula would be one to Excel."""
    return [f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" else cell for cell in line]


def _day(run: Run, text: str | None) -> int:
    if text is None:
        return 0
    try:
        return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)
    except ValueError as error:
        said = Label("--since 应写作 2026-11-22", "--since is written as 2026-11-22")
        raise click.UsageError(run.text(said)) from error
