"""What staff decide at the command line: conflicts, merges, and changes that wait in quarantine."""

from __future__ import annotations

from typing import Any

import click
import orjson

from schemas.base import AT_DESK, COMPARTMENTS, DELETED
from schemas.labels import Label
from server.access.rights import ROLES
from server.cli.frame import Group, Run, as_json, by, command, main, option, reason
from server.merging import decisions
from server.merging.backlog import SORTS, STATUSES
from server.merging.decisions import Candidate
from server.sequencer import Outcome
from server.storage import conflicts, journal, people, states
from server.storage.journal import Kept
from sync.core.errors import NotFound
from sync.core.fold import State
from sync.core.rules import Rights

CONFLICTS = Group("conflicts", about=Label("冲突：等待裁决的不同取值", "Conflicts: values that wait for a decision"))
QUARANTINE = Group(
    "quarantine", about=Label("待处理：已保留但未采纳的变更", "Changes that are kept but do not count yet")
)
main.add_command(CONFLICTS)
main.add_command(QUARANTINE)


# --- Conflicts --------------------------------------------------------------------------------------------------


@command(
    CONFLICTS,
    "list",
    Label("列出待裁决的冲突，最早的在前。", "List open conflicts, oldest first."),
    "patrolbook-server conflicts list",
)
@option("--all", "everything", is_flag=True, about=Label("包括已裁决的", "Resolved ones too"))
@by
@as_json
def list_conflicts(run: Run, everything: bool, by: str | None, as_json: bool) -> None:
    seen = run.reading(by)
    with run.house.database.read() as conn:
        found = [one for one in conflicts.waiting(conn, everything=everything) if _in_sight(seen, one.bucket)]
    if as_json:
        run.json([{**one._asdict(), "ticket": decisions.ticket(one)} for one in found])
        return
    run.table(
        [
            Label("编号", "id"),
            Label("状态", "status"),
            Label("起于", "opened"),
            Label("性质", "sort"),
            Label("记录", "record"),
            Label("字段", "field"),
            Label("取值数", "values"),
        ],
        [
            (
                decisions.ticket(one),
                run.text(STATUSES[one.status]),
                run.when(one.opened),
                _sort(run, one.kind),
                f"{_kind(run, one.record_kind)} {one.record}",
                _path(run, one.record_kind, one.path),
                len(one.candidates),
            )
            for one in found
        ],
    )


@command(
    CONFLICTS,
    "show",
    Label(
        "显示一个冲突：每个取值、谁在何时何机填写、当时替换了什么。",
        "Show a conflict: each value, who wrote it when and where, and what it replaced.",
    ),
    "patrolbook-server conflicts show 3f9a",
)
@click.argument("conflict")
@as_json
def show(run: Run, conflict: str, as_json: bool) -> None:
    shown = decisions.show(run.house.desk, conflict)
    if as_json:
        candidates = [one._asdict() for one in shown.candidates]
        conflict_shown = {**shown.conflict._asdict(), "ticket": decisions.ticket(shown.conflict)}
        run.json({"conflict": conflict_shown, "candidates": candidates})
        return
    row = shown.conflict
    ticket = decisions.ticket(row)
    path = _path(run, row.record_kind, row.path)
    run.say(Label(f"{ticket}  {_sort(run, row.kind)}  {path}", f"{ticket}  {_sort(run, row.kind)}  {path}"), "bold")
    run.say(Label(f"{_kind(run, row.record_kind)} {row.record}", f"{_kind(run, row.record_kind)} {row.record}"))
    with run.house.database.read() as conn:
        names = {one.id: one.name for one in people.everybody(conn)}
        devices = {one.id: one.name for one, _ in people.every_device(conn)}
    run.table(
        [
            Label("变更", "change"),
            Label("取值", "value"),
            Label("原值", "replaced"),
            Label("填写人", "by"),
            Label("平板", "tablet"),
            Label("填写时间", "written"),
            Label("收到时间", "received"),
        ],
        [
            (
                one.change,
                _values(one),
                _base(one),
                "、".join(names.get(id, id) for id in one.by) + _role(run, one.role),
                devices.get(one.device, one.device),
                run.when(one.device_time + one.offset),
                run.when(one.received),
            )
            for one in shown.candidates
        ],
    )


@command(
    CONFLICTS,
    "resolve",
    Label(
        "裁决一个冲突：采用某个变更的取值，或另给一个值（JSON）。",
        "Settle a conflict: take the value of one change, or give another value (JSON).",
    ),
    "patrolbook-server conflicts resolve 3f9a0c71b2d4-5e01aa --take 01a202f7-0e2e-7a03-a06d-0afab0ed9a61 --reason 现场复核",
)
@click.argument("conflict")
@option("--take", about=Label("采用其取值的变更（编号或开头）", "The change whose value stands (id or its beginning)"))
@option("--value", about=Label("另给的值，JSON", "Another value, as JSON"))
@option("--keep-deleted", is_flag=True, about=Label("维持删除", "Leave the record deleted"))
@option("--restore", is_flag=True, about=Label("恢复被删除的记录", "Bring the deleted record back"))
@option(
    "--seen",
    multiple=True,
    about=Label("只裁决看过的这些变更", "Decide on these changes only"),
)
@reason
@by
def resolve(
    run: Run,
    conflict: str,
    take: str | None,
    value: str | None,
    keep_deleted: bool,
    restore: bool,
    seen: tuple[str, ...],
    reason: str,
    by: str | None,
) -> None:
    if sum((take is not None, value is not None, keep_deleted, restore)) != 1:
        one_of = "--take, --value, --keep-deleted, --restore"
        raise click.UsageError(run.text(Label(f"请给出其中之一：{one_of}", f"give exactly one of {one_of}")))
    who: dict[str, Any] = _who(run, by)
    if keep_deleted:
        outcome = decisions.keep_deleted(run.house.desk, conflict, reason=reason, **who)
    else:
        chosen = False if restore else _json(run, value) if value is not None else None
        outcome = decisions.resolve(
            run.house.desk, conflict, take=take, value=chosen, seen=seen or None, reason=reason, **who
        )
    _done(run, outcome)


@command(
    CONFLICTS,
    "undo",
    Label("撤销一次裁决；被替换的取值重新出现。", "Take a decision back; the values that it replaced are there again."),
    "patrolbook-server conflicts undo 3f9a --reason 裁决有误",
)
@click.argument("conflict")
@reason
@by
def undo(run: Run, conflict: str, reason: str, by: str | None) -> None:
    _done(run, decisions.undo(run.house.desk, conflict, reason=reason, **_who(run, by)))


# --- Merging ----------------------------------------------------------------------------------------------------


@command(
    main,
    "merge",
    Label(
        "把两条记录认定为同一个（如重复录入的机构）；可用 unmerge 撤销。",
        "Say that two records are one thing (an institution entered twice); unmerge takes it back.",
    ),
    "patrolbook-server merge SURVIVOR OTHER --reason 重复录入",
)
@click.argument("survivor")
@click.argument("other")
@reason
@by
def merge(run: Run, survivor: str, other: str, reason: str, by: str | None) -> None:
    _done(run, decisions.merge(run.house.desk, survivor, other, reason=reason, **_who(run, by)))


@command(
    main,
    "unmerge",
    Label("撤销合并；两条记录各自恢复。", "Take a merge back; both records stand for themselves again."),
    "patrolbook-server unmerge SURVIVOR OTHER --reason 并非同一机构",
)
@click.argument("survivor")
@click.argument("other")
@reason
@by
def unmerge(run: Run, survivor: str, other: str, reason: str, by: str | None) -> None:
    _done(run, decisions.unmerge(run.house.desk, survivor, other, reason=reason, **_who(run, by)))


# --- Quarantine -------------------------------------------------------------------------------------------------


@command(
    QUARANTINE,
    "list",
    Label(
        "列出搁置和隔离的变更；都已保留，未丢失。", "List parked and quarantined changes; all are kept, none is lost."
    ),
    "patrolbook-server quarantine list",
)
@option("--all", "everything", is_flag=True, about=Label("包括已采纳或关闭的", "Admitted and closed ones too"))
@by
@as_json
def list_quarantine(run: Run, everything: bool, by: str | None, as_json: bool) -> None:
    found = [(kept, received) for kept, _, received, waits in _kept(run, by) if waits or everything]
    if as_json:
        run.json([{**kept._asdict(), "hash": kept.hash.hex(), "received": received} for kept, received in found])
        return
    run.table(
        [
            Label("变更", "change"),
            Label("状态", "status"),
            Label("收到时间", "received"),
            Label("原因", "reason"),
            Label("字段", "field"),
            Label("记录", "record"),
        ],
        [
            (
                kept.id,
                run.text(STATUSES[kept.status]),
                run.when(received),
                _sort(run, kept.reason),
                _path(run, kept.kind, kept.field),
                f"{_kind(run, kept.kind)} {kept.record}",
            )
            for kept, received in found
        ],
    )


@command(
    QUARANTINE,
    "show",
    Label("显示一条保留的变更的全部内容。", "Show everything about a kept change."),
    "patrolbook-server quarantine show 01a202f7",
)
@click.argument("change")
@by
def show_kept(run: Run, change: str, by: str | None) -> None:
    kept, content, received = _one(run, change, by)
    run.say(Label(kept.id, kept.id), "bold")
    told = f"{run.text(STATUSES[kept.status])}  {_sort(run, kept.reason)}  {kept.field}  {run.when(received)}"
    run.say(Label(told, told))
    try:
        run.json(orjson.loads(content))
    except orjson.JSONDecodeError:
        click.echo(content.decode("utf-8", "backslashreplace"))


@command(
    QUARANTINE,
    "admit",
    Label(
        "采纳保留的变更；与较新取值不同时会成为冲突。",
        "Let kept changes count; where they meet newer values a conflict opens.",
    ),
    "patrolbook-server quarantine admit 01a202f7 --reason 情况属实",
)
@click.argument("changes", nargs=-1, required=True)
@reason
@by
def admit(run: Run, changes: tuple[str, ...], reason: str, by: str | None) -> None:
    ids = [_one(run, one, by)[0].id for one in changes]
    _done(run, decisions.admit(run.house.desk, ids, reason=reason, **_who(run, by)))


@command(
    QUARANTINE,
    "close",
    Label(
        "不采纳，写明理由后关闭；变更仍在日志中。",
        "Leave kept changes out for good; they stay in the log with the reason.",
    ),
    "patrolbook-server quarantine close 01a202f7 --reason 重复填写",
)
@click.argument("changes", nargs=-1, required=True)
@reason
@by
def close(run: Run, changes: tuple[str, ...], reason: str, by: str | None) -> None:
    ids = [_one(run, one, by)[0].id for one in changes]
    _done(run, decisions.close(run.house.desk, ids, reason=reason, **_who(run, by)))


# --- How it is shown --------------------------------------------------------------------------------------------


def _in_sight(seen: Rights, bucket: str) -> bool:
    """Whether a person may know of what is in a bucket: behind a wall only where a grant leads there."""
    sort, _, area = bucket.partition(":")
    return sort != AT_DESK and (sort not in COMPARTMENTS or seen.covers(area, sort))


def _kept(run: Run, by: str | None) -> list[tuple[Kept, bytes, int, bool]]:
    """(what was done, content, received, whether it still waits) of every change that was not accepted."""
    seen = run.reading(by)
    with run.house.database.read() as conn:
        found = [one for one in journal.waiting(conn) if not one[0].log or seen.within.get(one[0].log)]
        roots = journal.roots(conn, {kept.record for kept, _, _ in found})
        stored = states.load(conn, {roots.get(kept.record, kept.record) for kept, _, _ in found})
        waits = {
            parked.id
            for one in stored.values()
            if one.bucket is not None
            for parked in State.read(bytes(one.bytes)).parked
        }
    return [
        (kept, content, received, kept.id in waits or kept.reason == "not-a-change")
        for kept, content, received in found
    ]


def _one(run: Run, prefix: str, by: str | None) -> tuple[Kept, bytes, int]:
    found = [(kept, content, received) for kept, content, received, _ in _kept(run, by) if kept.id.startswith(prefix)]
    if len(found) != 1:
        raise NotFound(what=prefix)
    return found[0]


def _who(run: Run, by: str | None) -> dict[str, Any]:
    person = run.person(by)
    return {"by": [person.id], "rights": run.rights_of(person)}


def _done(run: Run, outcome: Outcome) -> None:
    run.say(Label(f"已写入：{outcome.id}", f"Written: {outcome.id}"), "bold green")


def _json(run: Run, text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        said = Label(
            "--value 不是 JSON；文字要加引号，如 '\"合格\"'", "--value is not JSON; text is quoted, like '\"ok\"'"
        )
        raise click.UsageError(run.text(said)) from error


def _sort(run: Run, kind: str) -> str:
    return run.text(SORTS[kind]) if kind in SORTS else kind


def _kind(run: Run, kind: str) -> str:
    schema = run.house.registry.get(kind)
    return run.text(schema.label) if schema is not None else kind


def _path(run: Run, kind: str, path: str) -> str:
    schema = run.house.registry.get(kind)
    field = schema.field_of(path) if schema is not None and path and path != DELETED else None
    if field is None:
        return path
    _, slash, key = path.partition("/")
    return f"{run.text(field.label)}{slash}{key}"


def _role(run: Run, role: str) -> str:
    return f"（{run.text(ROLES[role])}）" if role in ROLES else ""


def _values(candidate: Candidate) -> str:
    return "；".join(_shown(value) for value in candidate.values.values())


def _base(candidate: Candidate) -> str:
    return "；".join(_shown(value) for values in candidate.base.values() for value in values)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
