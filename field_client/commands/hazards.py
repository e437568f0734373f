"""hazard add, list, show, photo: the ledger of hazards on this tablet."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from field_client.commands.inspections import JSON, attach_files
from field_client.commands.printing import brief, print_record, saved
from field_client.moments import CHINA
from field_client.session import Session, command, group, in_session, option, short
from field_client.work import rectification_order, rectifying
from field_client.work.showing import cells
from schemas.kinds.evidence import REPEAT_REASONS, SOURCES, STAGES
from schemas.kinds.hazard import GRADES, Hazard, overdue
from schemas.labels import Label
from sync.core.errors import Refused
from sync.core.fold import State, values_of

KIND = Hazard.kind


@group("hazard", label=Label("隐患", "Hazards"), example="patrolbook hazard list --overdue")
def hazard() -> None:
    pass


@command(
    "add",
    label=Label("登记一处隐患", "Note a hazard"),
    example='patrolbook hazard add 学雅口才 "疏散通道堆放杂物" --deadline 2026-12-06 --item FIR-05',
)
@click.argument("institution")
@click.argument("description")
@option("--grade", type=click.Choice(list(GRADES)), default="general", show_default=True, label=Label("等级", "grade"))
@option("--deadline", metavar="YYYY-MM-DD", label=Label("整改期限", "deadline"))
@option("--responsible", label=Label("责任人", "person responsible"))
@option("--inspection", label=Label("来自哪次检查", "the inspection that found it"))
@option("--item", label=Label("检查事项代码", "code of an item"))
@in_session
def add(
    session: Session,
    institution: str,
    description: str,
    grade: str,
    deadline: str | None,
    responsible: str | None,
    inspection: str | None,
    item: str | None,
) -> None:
    made = rectifying.note(
        session.tablet(),
        session.institution(institution),
        description,
        grade=grade,
        deadline=deadline,
        responsible=responsible,
        inspection=session.record("inspection", inspection) if inspection else None,
        item=item,
    )
    session.terminal.say(saved(made))


@command("list", label=Label("本机上的隐患", "Hazards on this tablet"), example="patrolbook hazard list --overdue")
@option("--overdue", "late", is_flag=True, label=Label("只看逾期的", "only those past their deadline"))
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def list_(session: Session, late: bool, as_json: bool) -> None:
    tablet = session.tablet()
    today = datetime.now(CHINA).date().isoformat()
    known = [(one, overdue(values_of(one, Hazard.merge_of), today)) for one in tablet.browse(KIND)]
    known = [(one, past) for one, past in known if past or not late]
    if as_json:
        names = ("description", "grade", "status", "deadline", "institution")
        told = [{**brief(tablet, one, *names), "overdue": past} for one, past in known]
        session.terminal.say(json.dumps(told, ensure_ascii=False))
        return
    columns = (Label("编号", "Id"), Label("问题", "Description"), Label("等级", "Grade"), Label("状态", "Status"),
               Label("期限", "Deadline"), Label("逾期", "Overdue"))  # fmt: skip
    session.terminal.table(columns, [_row(one, past) for one, past in known])


def _row(state: State, past: bool) -> tuple[Label | str, ...]:
    said = cells(Hazard, state, "description", "grade", "status", "deadline")
    return short(state.record), *said, Label("逾期", "overdue") if past else ""


@command("show", label=Label("显示一处隐患", "Show a hazard"), example="patrolbook hazard show 3f2a71bc")
@click.argument("hazard")
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def show(session: Session, hazard: str, as_json: bool) -> None:
    print_record(session, session.record(KIND, hazard), as_json)


@command(
    "photo",
    label=Label("附上整改前后照片", "Attach photos before and after"),
    example="patrolbook hazard photo 3f2a71bc IMG_0008.jpg --stage after",
)
@click.argument("hazard")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@option("--caption", label=Label("说明", "caption"))
@option(
    "--source",
    type=click.Choice(list(SOURCES)),
    default="gallery",
    show_default=True,
    label=Label("来源", "where it comes from"),
)
@option("--stage", type=click.Choice(list(STAGES)), label=Label("整改前 before，整改后 after", "before or after"))
@option(
    "--reason",
    type=click.Choice(list(REPEAT_REASONS)),
    label=Label("与已有照片相似时的原因（不写则询问）", "why it is like an earlier photo (asked for if left out)"),
)
@option("--reason-note", "reason_note", default="", label=Label("原因的说明", "the reason in words"))
@in_session
def photo(
    session: Session,
    hazard: str,
    files: tuple[Path, ...],
    caption: str | None,
    source: Any,
    stage: str | None,
    reason: str | None,
    reason_note: str,
) -> None:
    record = session.record(KIND, hazard)
    attach_files(session, record, files, None, caption, source, stage=stage, reason=reason, reason_note=reason_note)


@command(
    "print",
    label=Label("整改告知单（PDF），交给当事人", "The order to rectify (PDF), to be handed over"),
    example="patrolbook hazard print 3f2a71bc --out 整改告知单.pdf",
)
@click.argument("hazard")
@option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    label=Label("文件名（默认 隐患整改告知单-编号.pdf）", "the file (隐患整改告知单-<id>.pdf if left out)"),
)
@in_session
def print_(session: Session, hazard: str, out: Path | None) -> None:
    record = session.record(KIND, hazard)
    file = out or Path(f"{rectification_order.TITLE.zh}-{short(record)}.pdf")
    content = rectification_order.pdf(session.tablet(), record)
    try:
        file.write_bytes(content)
    except OSError as error:
        raise Refused(detail=Label(f"不能写入 {file}", f"{file} cannot be written")) from error
    session.terminal.say(Label(f"已写入 {file}", f"Written: {file}"), fg="green")


for one in (add, list_, show, photo, print_):
    hazard.add_command(one)
