"""How far the work of this tablet is, in words: for the command line and the screens alike.

    reasons_to_keep   why the tablet must not be handed in yet
    how_far, changes_of   where one file, and the changes of one record, are on their way
    candidates        what a conflict is about; the tablet's own value is always among it
    aside             own changes that staff will decide, or that the server could not read
    summary           what a round did
    prepare           what is owed to captured files, done before a round
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from field_client.evidence import derivatives
from field_client.evidence.capture import strays
from field_client.exchange.ledger import Ledger, RecordLine
from field_client.exchange.outbox import Own
from field_client.exchange.uploads import Blob
from field_client.tablet import Tablet
from field_client.work.showing import author
from schemas.labels import Label
from schemas.words import same, size
from sync.core.errors import by_code
from sync.core.fold import Conflict
from sync.replicator import RoundReport

PREPARE_S = 10.0
"""No chore is begun later than this before a round: what is left waits for the next one, the records do not."""
OWED = Label("处理照片", "Finishing pictures")
INDEXING = Label("更新搜索索引", "Updating the search index")
PHASES = {
    "greeting": Label("连接服务器", "Reaching the server"),
    "pulling": Label("接收记录", "Receiving records"),
    "pushing": Label("上传变更", "Sending changes"),
    "proving": Label("核验回执", "Verifying receipts"),
    "files": Label("上传文件", "Sending files"),
    "waiting": Label("等待重试", "Waiting to try again"),
}
CONFLICTS = {
    "hard": Label("同一字段有不同的值", "different values of one field"),
    "delete_edit": Label("有人删除、有人修改", "deleted by one, edited by another"),
    "late_edit": Label("记录锁定后才到的修改", "edits that came after the record was locked"),
    "scope": Label("不在授权区划内", "outside the granted area"),
    "stale": Label("状态已被他人更改", "the status was moved on by somebody else"),
    "guard": Label("这一步还缺条件", "a step whose conditions are not met"),
    "not-permitted": Label("没有权限", "not permitted"),
    "revoked": Label("设备已停用", "the device was revoked"),
}
SAFE = Label("全部已由服务器保存并有回执，可以交回平板", "Everything is held by the server with a receipt")


class Candidate(NamedTuple):
    """One value that a conflict is about: whose it is and when, and whether it was written here."""

    path: str
    value: Any
    who: Label
    mine: bool


def prepare(tablet: Tablet, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Do what is owed to captured files, as far as the time before a round allows."""
    end = time.monotonic() + PREPARE_S
    derivatives.catch_up(tablet, progress, stop=lambda: time.monotonic() > end)


def reasons_to_keep(tablet: Tablet, ledger: Ledger) -> list[Label]:
    """Why the tablet must not be handed in yet; empty when it is safe."""
    reasons = ledger.reasons()
    if lost := len(strays(tablet)):
        reasons.append(Label(f"{lost} 个拍摄的文件不属于任何记录", f"{lost} captured files belong to no record"))
    return reasons


def changes_of(line: RecordLine) -> Label:
    """How far the changes of a record are."""
    parts = [
        (line.queued, Label("待传", "queued")),
        (line.dead, Label("无法读取", "unreadable")),
        (line.unproven, Label("待核验", "unverified")),
        (line.proven, Label("有回执", "with receipt")),
        (line.waiting, Label("待县里处理", "waiting for staff")),
    ]
    said = [(count, label) for count, label in parts if count]
    return Label("，".join(f"{n} {one.zh}" for n, one in said), ", ".join(f"{n} {one.en}" for n, one in said))


def how_far(blob: Blob) -> Label:
    """Where a blob is on its way."""
    if blob.proven:
        return Label("服务器已保存，有回执", "held by the server, with a receipt")
    if blob.held:
        return Label("服务器已保存，回执待核验", "held by the server, receipt not verified yet")
    if blob.problem:
        return Label(f"未传：{blob.detail}", f"not sent: {blob.detail}")
    if blob.all_parts:
        return Label(f"第 {blob.parts}/{blob.all_parts} 块", f"part {blob.parts} of {blob.all_parts}")
    return Label("待传", "queued")


def candidates(tablet: Tablet, conflict: Conflict) -> list[Candidate]:
    """What the conflict is about: the live values of its path, and own changes that were kept aside."""
    state = tablet.view(conflict.record)
    own = {one.change.id: one for one in tablet.history(conflict.record)}
    found = [
        Candidate(conflict.path, value, author(state.acts[id], id in own), id in own)
        for id, value in sorted(state.live.get(conflict.path, {}).items(), key=lambda one: state.acts[one[0]].hlc)
    ]
    if conflict.path:
        return found
    parked = {one.id: one for one in state.parked}
    here = Label("本机", "this tablet")
    for id in conflict.candidates:
        if id in own:
            found += [Candidate(path, own[id].change.value(path), here, True) for path in own[id].change.set]
        elif id in parked:
            found += [Candidate(path, None, same("、".join(parked[id].by)), False) for path in parked[id].paths]
    return found


class Aside(NamedTuple):
    """An own change that the server keeps aside, or could not read: what it wrote, why, and what comes next."""

    change: str
    record: str
    kind: str
    paths: tuple[str, ...]
    dead: bool
    why: Label
    next_step: Label


_NEXT_PARKED = Label("县里会处理；你写的内容完整保留", "staff will decide; what you wrote is kept in full")
_NEXT_DEAD = Label("升级程序后点“重新发送”；内容完整保留", "send it again after an update; what you wrote is kept in full")


def aside(tablet: Tablet, line: RecordLine) -> list[Aside]:
    """The changes of a record that are not simply accepted, each with its reason as a sentence."""
    found = []
    for own in tablet.history(line.record):
        dead = own.status == "dead"
        if not dead and own.disposition not in ("parked", "quarantined"):
            continue
        found.append(Aside(own.change.id, line.record, line.kind, tuple(own.change.set), dead, _why(own),
                           _next_step(own, dead)))  # fmt: skip
    return found


def _why(own: Own) -> Label:
    known = CONFLICTS.get(own.reason)
    if known is not None:
        return known
    problem = by_code().get(own.reason)
    detail = own.detail or own.reason
    if problem is None:
        return same(detail)
    told = problem(field=own.field, detail=detail)
    return Label(told.text("zh"), told.text("en"))


def _next_step(own: Own, dead: bool) -> Label:
    problem = by_code().get(own.reason)
    if dead or problem is None:
        return _NEXT_DEAD if dead else _NEXT_PARKED
    return problem.hint


def summary(report: RoundReport) -> list[Label]:
    """What a round did, a sentence for each thing."""
    taken = report.pushed.total()
    said = [
        Label(
            f"接收 {report.pulled} 条记录，上传 {taken} 条变更、{report.blobs} 个文件，"
            f"用时 {report.seconds:.1f} 秒（↑{size(report.sent)} ↓{size(report.received)}）",
            f"Received {report.pulled} records, sent {taken} changes and {report.blobs} files in "
            f"{report.seconds:.1f} s (↑{size(report.sent)} ↓{size(report.received)})",
        )
    ]
    if waiting := taken - report.pushed["accepted"]:
        said.append(
            Label(
                f"其中 {waiting} 条待县里处理：patrolbook conflicts",
                f"{waiting} of them wait for staff: patrolbook conflicts",
            )
        )
    if report.forked:
        said.append(
            Label(
                "这份数据曾被恢复或复制，已改用新的副本编号",
                "This store was restored or cloned; it goes on as a new replica",
            )
        )
    if report.epoch_changed:
        said.append(
            Label("服务器曾被恢复，已重新提交保留的变更", "The server was restored; everything kept was offered again")
        )
    return said
