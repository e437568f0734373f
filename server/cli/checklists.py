"""Checklists: list editions, import one from an XLSForm, publish and retire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from schemas.labels import Label
from server.cli.frame import Group, Run, by, command, main, option
from server.merging import decisions
from server.moments import day
from server.reading.listing import Listing
from server.register import editions, xlsforms
from server.register.editions import KIND, Writing

CHECKLISTS = Group("checklists", about=Label("检查清单：版次、导入、发布", "Checklists: editions, import, publishing"))
main.add_command(CHECKLISTS)


@command(
    CHECKLISTS,
    "list",
    Label("列出检查清单的各个版次。", "List the editions of checklists."),
    "patrolbook-server checklists list",
)
def list_checklists(run: Run) -> None:
    listing = Listing(run.house, KIND, run.language)
    names = ["name", "edition", "effective_from", "status"]
    run.table([*listing.header(names)], list(listing.lines(names)))


@command(
    CHECKLISTS,
    "import",
    Label(
        "由 XLSForm（XLSX、XLS 或 CSV）导入为清单草案；未能对应的行会逐条说明。",
        "Import an XLSForm (XLSX, XLS or CSV) as a draft; rows that have no counterpart are listed one by one.",
    ),
    "patrolbook-server checklists import 消防专项.xlsx --effective 2026-12-01 --dry-run",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@option("--effective", metavar="DATE", about=Label("施行日期，默认为今天", "Day from which it applies; today if left out"))
@option("--edition", about=Label("版次，默认取自表单", "Edition; that of the form if left out"))
@option("--dry-run", is_flag=True, about=Label("只检查，不写入", "Only look, write nothing"))
@by
def import_form(run: Run, file: Path, effective: str | None, edition: str | None, dry_run: bool, by: str | None) -> None:
    found = xlsforms.read(file)
    for remark in found.remarks:
        run.say(Label(f"{remark.name}：{remark.said.zh}", f"{remark.name}: {remark.said.en}"), "yellow")
    groups = len(found.values["groups"])
    run.say(Label(f"{groups} 组，{found.count} 项", f"{groups} groups, {found.count} items"))
    if dry_run:
        return
    values: dict[str, Any] = found.values | {"effective_from": effective or day(run.house.now())}
    if edition:
        values["edition"] = edition
    person = run.person(by)
    outcome = decisions.write(run.house.desk, KIND, None, values, by=[person.id], rights=run.rights_of(person))
    run.say(
        Label(
            f"已导入为草案 {outcome.record}；核对后用 checklists publish 发布",
            f"Imported as draft {outcome.record}; look it over, then publish it with checklists publish",
        ),
        "bold green",
    )


@command(
    CHECKLISTS,
    "publish",
    Label("发布一个版次；发布后不再更改，新内容另立版次。", "Publish an edition; it never changes again, new text is a new edition."),
    "patrolbook-server checklists publish 3f9a --effective 2026-12-01",
)
@click.argument("checklist")
@option("--effective", metavar="DATE", about=Label("施行日期，默认不变", "Day from which it applies; as it is if left out"))
@by
def publish(run: Run, checklist: str, effective: str | None, by: str | None) -> None:
    _move(run, checklist, "published", by, effective)
    run.say(Label("已发布；平板下次同步时收到", "Published; tablets get it with their next round"), "bold green")


@command(
    CHECKLISTS,
    "retire",
    Label("停用一个已发布的版次；已做的检查不受影响。", "Retire a published edition; inspections that followed it keep it."),
    "patrolbook-server checklists retire 3f9a",
)
@click.argument("checklist")
@by
def retire(run: Run, checklist: str, by: str | None) -> None:
    _move(run, checklist, "retired", by)
    run.say(Label("已停用", "Retired"), "bold green")


def _move(run: Run, checklist: str, status: str, by: str | None, effective: str | None = None) -> None:
    person = run.person(by)
    editions.move(run.house, Writing([person.id], run.rights_of(person)), checklist, status, effective or "")
