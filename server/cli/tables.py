"""Tables in and out: import a register, take a tablet's courier, list and export records."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import click

from schemas.labels import Label
from server.cli.frame import Run, as_json, by, command, main, option
from server.exchange import couriers
from server.reading.listing import Listing
from server.register import roster
from server.register.sheetcells import BadCell
from sync.core.errors import NotReady

_FILE = click.Path(path_type=Path, dir_okay=False)


@command(
    main,
    "import",
    Label(
        "导入机构名册（CSV 或 XLSX）。先用 --dry-run 查看有问题的行；再次导入只写入有变化的内容。",
        "Import a register of institutions (CSV or XLSX). Look at bad rows with --dry-run first; a second import "
        "writes only what changed.",
    ),
    "patrolbook-server import 机构名册.xlsx --dry-run",
)
@click.argument("file", type=_FILE)
@option("--dry-run", is_flag=True, about=Label("只检查，不写入", "Only look, write nothing"))
@option("--skip-bad", is_flag=True, about=Label("跳过有问题的行，导入其余", "Leave bad rows out and import the others"))
@by
def import_roster(run: Run, file: Path, dry_run: bool, skip_bad: bool, by: str | None) -> None:
    desk = run.house.desk
    reading = roster.read(file, desk.registry[roster.KIND])
    plan = roster.plan(desk, reading)
    bad = sorted([*reading.bad, *plan.bad], key=lambda one: one.line)
    if reading.ignored:
        names = "、".join(reading.ignored)
        run.say(
            Label(f"未识别的列，已忽略：{names}", f"Columns that are not known and were left out: {names}"), "yellow"
        )
    _list_bad(run, bad)
    lines = len({one.line for one in bad})
    run.say(
        Label(
            f"新增 {len(plan.new)}，更新 {len(plan.changed)}，不变 {plan.unchanged}，有问题 {lines} 行",
            f"{len(plan.new)} new, {len(plan.changed)} changed, {plan.unchanged} unchanged, {lines} bad rows",
        )
    )
    if dry_run:
        return
    if bad and not skip_bad:
        raise NotReady(
            action=Label("导入", "import"),
            detail=Label(
                f"{lines} 行有问题；更正后再导入，或加 --skip-bad 先导入其余",
                f"{lines} bad rows; correct them, or import the others with --skip-bad",
            ),
        )
    person = run.person(by)
    held = run.rights_of(person)
    with run.progress() as bar:
        task = bar.add_task(run.text(Label("写入", "Writing")), total=len(plan.new) + len(plan.changed))
        written = roster.carry_out(
            desk, plan, by=[person.id], rights=held, progress=lambda done, _: bar.update(task, completed=done)
        )
    run.say(Label(f"已写入 {written} 条变更", f"Wrote {written} changes"), "bold green")


@command(
    main,
    "import-rescue",
    Label(
        "导入平板导出的携行文件（rescue 或 courier）；重复导入不会重复。",
        "Take in a courier file that a tablet made (rescue or courier); taking it twice changes nothing.",
    ),
    "patrolbook-server import-rescue T-14.courier",
)
@click.argument("file", type=_FILE)
@option(
    "--passphrase",
    envvar="PATROLBOOK_PASSPHRASE",
    show_envvar=True,
    about=Label("加密文件的口令", "Passphrase of an encrypted file"),
)
def import_rescue(run: Run, file: Path, passphrase: str | None) -> None:
    def ask() -> str:
        return passphrase or str(click.prompt(run.text(Label("口令", "Passphrase")), hide_input=True))

    taken = couriers.take(run.house, file, ask)
    for lost in taken.lost:
        run.say(Label(f"原平板上已无法读取：{lost}", f"Could not be read on the tablet: {lost}"), "yellow")
    before = taken.known_changes, taken.known_blobs
    run.say(
        Label(
            f"变更 {taken.changes} 条，文件 {taken.blobs} 个；此前已有 {before[0]} 条、{before[1]} 个",
            f"{taken.changes} changes and {taken.blobs} blobs; known before: {before[0]} and {before[1]}",
        ),
        "bold green",
    )
    if taken.waiting:
        run.say(
            Label(f"其中 {taken.waiting} 条待处理，见 quarantine list", f"{taken.waiting} wait, see quarantine list"),
            "yellow",
        )


@command(
    main,
    "list",
    Label("列出某类记录；冲突的字段显示“冲突待决”。", "List the records of a kind; fields in conflict say so."),
    "patrolbook-server list institution --limit 20",
)
@click.argument("kind")
@option("--limit", type=click.IntRange(1), default=50, show_default=True, about=Label("最多行数", "Most rows"))
@by
@as_json
def list_kind(run: Run, kind: str, limit: int, by: str | None, as_json: bool) -> None:
    listing = Listing(run.house, kind, run.language, run.reading(by))
    if as_json:
        run.json(list(islice(listing.rows(), limit)))
        return
    names = listing.names[:6]
    run.table(listing.header(names), list(islice(listing.lines(names), limit)))


@command(
    main,
    "export",
    Label(
        "导出某类记录，可直接用 Excel 打开；冲突的字段写“冲突待决”，不写任何一方的值。",
        "Export the records of a kind for Excel; fields in conflict say so instead of showing either value.",
    ),
    "patrolbook-server export institution --csv 机构.csv",
)
@click.argument("kind")
@option("--csv", "csv_file", type=_FILE, about=Label("CSV 文件", "CSV file"))
@option("--xlsx", "xlsx_file", type=_FILE, about=Label("XLSX 文件", "XLSX file"))
@by
def export(run: Run, kind: str, csv_file: Path | None, xlsx_file: Path | None, by: str | None) -> None:
    listing = Listing(run.house, kind, run.language, run.reading(by))
    if csv_file is None and xlsx_file is None:
        raise click.UsageError(run.text(Label("请给出 --csv 或 --xlsx", "give --csv or --xlsx")))
    for file in (csv_file, xlsx_file):
        if file is not None:
            count = listing.write_csv(file) if file is csv_file else listing.write_xlsx(file)
            run.say(Label(f"{file}：{count} 行", f"{file}: {count} rows"), "bold green")


def _list_bad(run: Run, bad: list[BadCell]) -> None:
    if bad:
        run.table(
            [
                Label("行", "line"),
                Label("列", "column"),
                Label("内容", "value"),
                Label("问题", "problem"),
                Label("下一步", "next step"),
            ],
            [(one.line, one.column, one.value, run.text(one.problem), run.text(one.next_step)) for one in bad],
        )
