"""sync, status, conflicts: bringing work home, and the honest word on how far it is."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import time
from typing import Any

import click

from field_client.evidence import covert, tidying
from field_client.evidence.capture import strays
from field_client.exchange.agent import Agent
from field_client.exchange.ledger import Ledger, RecordLine
from field_client.holding import renewal, revocation
from field_client.session import Session, command, in_session, option, short
from field_client.tablet import GOALS, Tablet, Until
from field_client.terminal import complain
from field_client.ui import preferences
from field_client.work.showing import lasting, title_of
from field_client.work.telling import (
    CONFLICTS,
    OWED,
    PHASES,
    SAFE,
    Candidate,
    candidates,
    changes_of,
    how_far,
    prepare,
    reasons_to_keep,
    summary,
)
from schemas.labels import Label
from schemas.words import label_of, same, size, value_of
from sync.core.errors import DeviceRevoked, Problem, Unavailable
from sync.core.fold import Conflict
from sync.replicator import Progress, RoundReport


@command(
    "sync",
    label=Label(
        "与服务器同步：先记录，再缩略图、预览、原件、视频",
        "Synchronise: records first, then thumbnails to originals and video",
    ),
    example="patrolbook sync --until previews",
)
@option(
    "--until",
    type=click.Choice(list(GOALS)),
    label=Label(
        "传到哪一步（不写：按流量计费的线路传到预览，其他传全部）",
        "how far to go (left out: previews on a line that is billed by volume, else everything)",
    ),
)
@option("--watch", is_flag=True, label=Label("持续同步，Ctrl-C 结束", "keep synchronising until Ctrl-C"))
@in_session
def sync(session: Session, until: Until | None, watch: bool) -> None:
    session.handing_in = True
    session.enrolled()
    if watch:
        _watch(session)
    elif not _round(session, until or _as_the_line_allows(session)):
        raise click.exceptions.Exit(1)


def _as_the_line_allows(session: Session) -> Until:
    """How far a round goes that nobody set a goal for."""
    if not _dear(session):
        return "everything"
    session.terminal.warn(
        Label(
            "线路按流量计费：只传记录、缩略图和预览；全部传送用 --until everything",
            "the line is billed by volume: only records, thumbnails and previews go; --until everything sends all",
        )
    )
    return "previews"


def _dear(session: Session) -> bool:
    """What the person chose on the screens, else what the device says of its line."""
    return preferences.read(session.settings.home).dear(session.tablet().platform.metered())


def _round(session: Session, until: Until) -> bool:
    """One round, told on the terminal; whether everything asked for was done."""
    tablet = session.tablet()
    with session.terminal.progress() as tell:
        prepare(tablet, lambda done, total: tell(OWED, done, total))

        def told(progress: Progress) -> None:
            tell(PHASES[progress.phase], progress.done, progress.total)

        report = tablet.sync(told, until)
    session.search()
    _summary(session, report)
    if report.problem is None:
        _renew(session)
        _tidy(session)
    elif isinstance(report.problem, DeviceRevoked):
        _hand_in(session, report.problem)
    return report.complete


def _watch(session: Session) -> None:
    """Round after round; rounds in which nothing happened go without a word."""
    last, gone = "", [False]

    def tell(report: RoundReport) -> None:
        nonlocal last
        session.search()
        problem = report.problem.code if report.problem is not None else ""
        moved = report.pulled or report.pushed.total() or report.blobs or report.removed
        if moved or problem != last:
            _summary(session, report)
        last = problem
        if report.problem is None:
            if renewal.is_due(session.vault):
                _renew(session)
            _tidy(session)
        elif isinstance(report.problem, DeviceRevoked):
            gone.append(_hand_in(session, report.problem))

    tablet = session.tablet()
    agent = Agent(
        tablet,
        sleep=time.sleep,
        now=time.monotonic,
        chance=random.SystemRandom().random,
        stop=lambda: any(gone),
        metered=lambda: _dear(session),
        prepare=lambda: prepare(tablet),
        tell=tell,
    )
    for how in (signal.SIGINT, signal.SIGTERM):  # also where it was started with interrupts ignored, as services are
        signal.signal(how, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        agent.run()
    session.terminal.say(Label("已停止同步", "Synchronising has stopped"))


def _renew(session: Session) -> None:
    """Renew the lease; where that fails the round was no worse for it."""
    try:
        renewal.after_round(session.tablet(), session.vault, session.secrets())
    except Unavailable:
        return  # the next round asks again, and `status` warns in time
    except Problem as problem:
        complain(session.terminal, problem)


def _hand_in(session: Session, problem: DeviceRevoked) -> bool:
    """What a revoked tablet does after a round; whether its keys are gone."""
    try:
        known = revocation.hand_in(session.tablet(), session.vault, problem)
    except Problem as untrue:
        complain(session.terminal, untrue)
        return False
    session.terminal.say(known.told(), fg="yellow")
    return known.stage == "cleared"


def _tidy(session: Session) -> None:
    """What undercover teams sealed goes as soon as its term allows: they cannot use it here. The rest is a person's to remove."""
    if not covert.is_covert(session.tablet()):
        return
    try:
        done = tidying.tidy(session.tablet(), ["sealed"])
    except Problem as problem:
        complain(session.terminal, problem)
        return
    if done.files:
        said = Label(f"已清理 {done.files} 个密封件", f"Removed {done.files} sealed files that the server holds")
        session.terminal.say(said)


def _summary(session: Session, report: RoundReport) -> None:
    say, terminal = session.terminal.say, session.terminal
    for words in summary(report):
        say(words)
    for sha256, problem in report.set_aside.items():
        terminal.warn(
            Label(
                f"文件 {sha256[:12]} 未传：{problem.text('zh')}", f"file {sha256[:12]} not sent: {problem.text('en')}"
            )
        )
    if report.problem is not None:
        complain(terminal, report.problem)
    reasons = reasons_to_keep(session.tablet(), session.tablet().ledger())
    if not reasons:
        say(SAFE, fg="green")
    for reason in reasons:
        terminal.warn(reason)


@command(
    "status",
    label=Label(
        "本机每条记录、每个文件到了哪一步，能否交回",
        "Where every record and file of this tablet is, and whether it is safe",
    ),
    example="patrolbook status --json",
)
@option("--json", "as_json", is_flag=True, label=Label("输出 JSON", "print JSON"))
@in_session
def status(session: Session, as_json: bool) -> None:
    tablet = session.tablet()
    ledger = tablet.ledger()
    reasons = reasons_to_keep(tablet, ledger)
    left = session.vault.leases.left()
    if as_json:
        lease = left._asdict() if left is not None else None
        told = {**_status(ledger, reasons, strays(tablet)), "lease": lease}
        session.terminal.say(json.dumps(told, ensure_ascii=False))
        return
    columns = (Label("记录", "Record"), Label("内容", "What"), Label("变更", "Changes"), Label("文件", "Files"))
    session.terminal.table(columns, [_record_row(tablet, line) for line in ledger.records])
    moving = [blob for blob in ledger.blobs if not blob.proven]
    if moving:
        of_files = (Label("文件", "File"), Label("大小", "Size"), Label("进度", "Progress"))
        session.terminal.table(
            of_files, [(blob.name or blob.sha256[:12], size(blob.size), how_far(blob)) for blob in moving]
        )
    if not reasons:
        session.terminal.say(
            Label("可以交回平板：全部已有服务器回执", "Safe to hand in: everything has a receipt"), fg="green"
        )
    for reason in reasons:
        session.terminal.say(Label(f"还不能交回：{reason.zh}", f"Not safe to hand in: {reason.en}"), fg="yellow")
    if left is not None and left.short:
        session.terminal.warn(lasting(left))
        session.terminal.warn(Label("请尽快联网：patrolbook sync", "Find a network soon: patrolbook sync"))


def _status(ledger: Ledger, reasons: list[Label], lost: list[str]) -> dict[str, Any]:
    return {
        "safe_to_hand_in": not reasons,
        "reasons": [reason._asdict() for reason in reasons],
        "unwitnessed": ledger.unwitnessed,
        "records": [
            {**line._asdict(), "blobs": [blob.sha256 for blob in line.blobs], "safe": line.safe}
            for line in ledger.records
        ],
        "blobs": [blob._asdict() for blob in ledger.blobs],
        "strays": lost,
    }


def _record_row(tablet: Tablet, line: RecordLine) -> tuple[Label | str, ...]:
    schema = tablet.registry.get(line.kind)
    title = title_of(tablet, line.record)
    label = schema.label if schema else same(line.kind)
    done = sum(blob.proven for blob in line.blobs)
    return (short(line.record), Label(f"{label.zh} {title}", f"{label.en} {title}"), changes_of(line),
            f"{done}/{len(line.blobs)}" if line.blobs else "")  # fmt: skip


# --- conflicts -------------------------------------------------------------------------------------------------------


@command(
    "conflicts",
    label=Label(
        "等待县里处理的冲突，总显示本机的值", "Conflicts that wait for staff; this tablet's value is always shown"
    ),
    example="patrolbook conflicts",
)
@option("--json", "as_json", is_flag=True, label=Label("输出 JSON", "print JSON"))
@in_session
def conflicts(session: Session, as_json: bool) -> None:
    tablet = session.tablet()
    found = [(one, candidates(tablet, one)) for one in tablet.conflicts()]
    if as_json:
        told = [{**one._asdict(), "values": [{"value": v, "own": own, "by": who.zh} for _, v, who, own in values]}
                for one, values in found]  # fmt: skip
        session.terminal.say(json.dumps(told, ensure_ascii=False))
        return
    if not found:
        session.terminal.say(Label("没有冲突", "No conflicts"))
    for one, values in found:
        _print_conflict(session, one, values)


def _print_conflict(session: Session, conflict: Conflict, values: list[Candidate]) -> None:
    tablet = session.tablet()
    kind = tablet.view(conflict.record).kind
    schema = tablet.registry.get(kind)
    title = title_of(tablet, conflict.record)
    label = schema.label if schema else same(kind)
    why = CONFLICTS.get(conflict.kind, same(conflict.kind))
    head = f"{title} {short(conflict.record)}"
    session.terminal.say(Label(f"{label.zh} {head}：{why.zh}", f"{label.en} {head}: {why.en}"), bold=True)
    for path, value, who, mine in values:
        name = label_of(schema, path) if schema else same(path)
        shown = (value_of(schema, path, value) if schema else same(str(value))) or same("—")
        line = Label(f"  {name.zh}：{shown.zh}（{who.zh}）", f"  {name.en}: {shown.en} ({who.en})")
        session.terminal.say(line, fg="cyan" if mine else None)
