"""Divisions: import the names of codes, look one up."""

from __future__ import annotations

from pathlib import Path

import click

from schemas.labels import Label
from server.cli.frame import Group, Run, by, command, main, option
from server.register import divisions

DIVISIONS = Group("divisions", about=Label("行政区划：代码与名称", "Divisions: codes and their names"))
main.add_command(DIVISIONS)


@command(
    DIVISIONS,
    "import",
    Label(
        "由表格（CSV 或 XLSX；列：代码、名称，可有经度、纬度）导入区划名称；再次导入只写入有变化的内容。",
        "Import names of divisions from a table (CSV or XLSX; columns code, name, and perhaps lon and lat); a second "
        "import writes only what changed.",
    ),
    "patrolbook-server divisions import 湖南区划.csv",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@option("--dry-run", is_flag=True, about=Label("只检查，不写入", "Only look, write nothing"))
@by
def import_divisions(run: Run, file: Path, dry_run: bool, by: str | None) -> None:
    reading = divisions.read(file)
    for line, problem in reading.bad:
        run.say(Label(f"第 {line} 行未导入：{problem.zh}", f"line {line} left out: {problem.en}"), "yellow")
    run.say(Label(f"可导入 {len(reading.rows)} 行", f"{len(reading.rows)} rows can be imported"))
    if dry_run:
        return
    person = run.person(by)
    with run.progress() as bar:
        task = bar.add_task(run.text(Label("写入", "Writing")), total=len(reading.rows))
        written = divisions.carry_out(
            run.house,
            reading.rows,
            by=[person.id],
            rights=run.rights_of(person),
            progress=lambda done: bar.update(task, completed=done),
        )
    run.say(Label(f"已写入 {written} 个区划", f"Wrote {written} divisions"), "bold green")


@command(
    DIVISIONS,
    "show",
    Label("由代码查名称。", "The name of a code."),
    "patrolbook-server divisions show 430103",
)
@click.argument("code")
def show(run: Run, code: str) -> None:
    name = divisions.Names().of(run.house, code)
    run.say(Label(f"{code}  {name}", f"{code}  {name}"))
