"""task list, show, done, verify: what waits for this person, and what was found."""

from __future__ import annotations

import json
from pathlib import Path

import click

from field_client.commands.inspections import JSON, attach_files
from field_client.commands.printing import print_record
from field_client.session import Session, command, group, in_session, option, short
from field_client.work import agenda, tasks
from field_client.work.tasks import Job
from schemas.kinds.clue import OUTCOMES, Clue
from schemas.labels import Label
from sync.core.errors import Refused

KIND = tasks.KIND


@group("task", label=Label("任务与线索", "Tasks and clues"), example="patrolbook task list")
def task() -> None:
    pass


@command("list", label=Label("待办任务，逾期的在前", "Tasks that wait, overdue first"), example="patrolbook task list --all")
@option("--all", "everybody", is_flag=True, label=Label("包括交给同事的", "those of colleagues too"))
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def list_(session: Session, everybody: bool, as_json: bool) -> None:
    tablet = session.tablet()
    jobs = [one for one in tasks.waiting(tablet, agenda.today_of(tablet)) if everybody or one.mine]
    if as_json:
        told = [{"id": one.record, "name": one.name, "sort": one.sort, "due": one.due, "overdue": one.late, "institution": one.institution,
                 "clue": one.clue, "urgency": one.urgency, "mine": one.mine, "begun": one.begun} for one in jobs]  # fmt: skip
        session.terminal.say(json.dumps(told, ensure_ascii=False))
        return
    columns = (Label("编号", "Id"), Label("任务", "Task"), Label("种类", "Sort"), Label("交给", "For whom"), Label("期限", "Due"),
               Label("逾期", "Overdue"))  # fmt: skip
    session.terminal.table(columns, [_row(one) for one in jobs])


def _row(one: Job) -> tuple[Label | str, ...]:
    return short(one.record), one.name, one.label, one.whom, one.due, Label("逾期", "overdue") if one.late else ""


@command("show", label=Label("显示一个任务和它的线索", "Show a task and its clue"), example="patrolbook task show 3f2a71bc")
@click.argument("task")
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def show(session: Session, task: str, as_json: bool) -> None:
    record = session.record(KIND, task)
    print_record(session, record, as_json)
    clue = session.tablet().values(record).get("clue")
    if not as_json and isinstance(clue, str) and session.tablet().store.knows(clue):
        print_record(session, clue, as_json)


@command(
    "done",
    label=Label("任务已完成，写明结果", "A task is done, and what came of it"),
    example='patrolbook task done 3f2a71bc "已上门指导，台账补齐"',
)
@click.argument("task")
@click.argument("result")
@in_session
def done(session: Session, task: str, result: str) -> None:
    record = session.record(KIND, task)
    if session.tablet().values(record).get("clue"):
        raise Refused(detail=Label("核实线索请用 patrolbook task verify", "a clue is verified by patrolbook task verify"))
    tasks.finish(session.tablet(), record, result)
    session.terminal.say(Label(f"任务已完成 {short(record)}", f"Done: task {short(record)}"), fg="green")


@command(
    "verify",
    label=Label("线索的核实结果，可附照片", "What was found at a clue, with photos"),
    example='patrolbook task verify 3f2a71bc "三楼两间教室在上课" --outcome confirmed --photo IMG_0009.jpg',
)
@click.argument("task")
@click.argument("result")
@option("--outcome", type=click.Choice(list(OUTCOMES)), required=True, label=Label("结论", "the outcome"))
@option("--photo", "photos", multiple=True, type=click.Path(path_type=Path), label=Label("照片，可重复", "a photo; may be repeated"))
@in_session
def verify(session: Session, task: str, result: str, outcome: str, photos: tuple[Path, ...]) -> None:
    tablet, record = session.tablet(), session.record(KIND, task)
    clue = tablet.values(record).get("clue")
    if not isinstance(clue, str) or not tablet.store.knows(clue):
        raise Refused(detail=Label("这个任务不是核实线索", "this task is not about a clue"))
    if photos:
        attach_files(session, clue, photos, None, None, "gallery")
    tasks.verify(tablet, clue, outcome, result, record)
    session.terminal.say(Label(f"核实结果已保存：{Clue.label.zh} {short(clue)}", f"Saved: clue {short(clue)}"), fg="green")


for one in (list_, show, done, verify):
    task.add_command(one)
