"""Handing sealed evidence over to a county: review, propose, approve, release; receive, open, report, extend, close."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from custody import sealing
from schemas.kinds.handover import OUTCOMES, SECRECY, Handover
from schemas.kinds.release import Release
from schemas.kinds.sealed_evidence import USES, VENUES
from schemas.labels import Label
from server.cli.frame import Group, Run, as_json, by, command, main, option, passphrase, reason
from server.cli.proposals import as_said, listed, status_of
from server.evidence import releases
from server.reading import finding
from server.reading.finding import Seen
from server.work import handovers
from server.work.handovers import Told
from sync.core.errors import NotFound
from sync.core.releasing import NEEDED

HANDOVER = Group("handover", about=Label("交办：密封证据移交县区", "Hand-over of sealed evidence to a county"))
main.add_command(HANDOVER)

_KEY = click.Path(path_type=Path, dir_okay=False, exists=True)
_DAY = click.DateTime(["%Y-%m-%d"])
_OVERDUE = Label("超期", "overdue")
_EXAMPLE = "01a202f7-0e2e-7a03-a06d-0afab0ed9a61"

identity = option(
    "--identity",
    type=_KEY,
    required=True,
    about=Label("口令加密的私钥文件（trust seal-key 生成）", "File with the private key, as made by trust seal-key"),
)


# --- The province -----------------------------------------------------------------------------------------------


@command(
    HANDOVER,
    "review",
    Label(
        "登记密封证据的合法性审查；未经审查的不能移交，诱导取得的不得使用，住宅内取得的须写明使用理由。",
        "Record the legality review of sealed evidence. Nothing is handed over without one, nothing that was induced, and "
        "nothing from a dwelling unless --use lead and --note say why.",
    ),
    "patrolbook-server handover review 0afab0ed9a61 --venue semi-public --by 赵刚",
)
@click.argument("evidence", nargs=-1, required=True)
@option("--venue", type=click.Choice(list(VENUES)), required=True, about=Label("场所", "Where it was captured"))
@option("--inducement", is_flag=True, about=Label("系诱导违法所得", "The violation was induced"))
@option("--minors", is_flag=True, about=Label("出现未成年人", "Minors are visible"))
@option("--use", type=click.Choice(list(USES)), about=Label("结论", "Conclusion"))
@option("--note", about=Label("说明", "Note"))
@by
def review(
    run: Run, evidence: tuple[str, ...], venue: str, inducement: bool, minors: bool, use: str | None, note: str | None,
    by: str | None,
) -> None:  # fmt: skip
    person = run.person(by)
    answers = {"venue": venue, "inducement": inducement, "minors": minors}
    answers |= {name: value for name, value in (("use", use), ("note", note)) if value}
    done = releases.review(run.house, person, run.rights_of(person), evidence, answers)
    run.say(Label(f"已审查 {len(done)} 件", f"Reviewed {len(done)}"), "bold green")


@command(
    HANDOVER,
    "propose",
    Label(
        "提请把一次暗访的密封证据移交县区；不写证据编号即该次暗访的全部。县区将读到的每个字都在此写明。",
        "Propose to hand an audit's sealed evidence over to a county; all of it where no ids are given. Every word that the "
        "county will read is said here.",
    ),
    f"patrolbook-server handover propose {_EXAMPLE} --to 430104 --due 2026-12-31 --summary 三楼有无证班 "
    "--reason 证据已固定 --by 赵刚",
)
@click.argument("audit")
@click.argument("evidence", nargs=-1)
@option("--to", "area", required=True, metavar="AREA", about=Label("受交办区划代码", "Division code of the county"))
@option("--due", type=_DAY, required=True, about=Label("办结期限", "By when it is to be dealt with"))
@option("--summary", required=True, about=Label("问题线索摘要，县区可见", "Summary of the lead; the county reads it"))
@reason
@option("--unit", about=Label("受交办单位", "Receiving unit"))
@option("--target", about=Label("对象名称", "Name of the place"))
@option("--institution", metavar="ID", about=Label("机构编号", "The institution"))
@option("--opinion", about=Label("法律定性初步意见", "Preliminary legal opinion"))
@option("--requirements", about=Label("报告要求", "What to report"))
@option("--secrecy", type=click.Choice(list(SECRECY)), about=Label("密级", "Secrecy"))
@option("--again", metavar="ID", about=Label("期限已过的原交办", "The hand-over that was due and is renewed"))
@by
def propose(
    run: Run, audit: str, evidence: tuple[str, ...], area: str, due: datetime, summary: str, reason: str,
    unit: str | None, again: str | None, by: str | None, **more: Any,
) -> None:  # fmt: skip
    person = run.person(by)
    said = {**more, "due": f"{due:%Y-%m-%d}", "summary": summary, "reason": reason}
    said["unit"] = unit or f"{area} 教育行政部门"
    made = releases.propose(
        run.house, person, run.rights_of(person), audit=audit, evidence=evidence, to_area=area, said=said, again=again
    )
    for words in Handover.warnings(said).values():
        run.say(words, "yellow")
    run.say(Label(f"已提请：{made}", f"Proposed: {made}"), "bold green")
    run.say(
        Label(
            f"下一步：两人分别运行 patrolbook-server handover approve {made} --by 姓名",
            f"Next: two people run patrolbook-server handover approve {made} --by NAME",
        )
    )


@command(
    HANDOVER,
    "approve",
    Label(
        "批准解封申请的当前内容；须省级两人分别批准，内容一改即须重新批准。先用 handover show 查看。",
        "Approve a proposal as it stands; two people of the province have to. Any change of it takes approvals away. Look at "
        "it with handover show first.",
    ),
    f"patrolbook-server handover approve {_EXAMPLE} --by 赵刚",
)
@click.argument("release")
@by
def approve(run: Run, release: str, by: str | None) -> None:
    person = run.person(by)
    count = releases.approve(run.house, person, run.rights_of(person), release)
    if count < NEEDED:
        run.say(Label(f"{count} 人已批准，还须另一人批准", f"{count} approved; another person has to"), "yellow")
        return
    run.say(Label("两人已批准，可以移交", "Two people approved; it may be released"), "bold green")
    next = f"patrolbook-server handover release {release} --identity"
    run.say(Label(f"下一步：{next} 省级私钥文件", f"Next: {next} FILE"))


@command(
    HANDOVER,
    "refuse",
    Label("不予解封，或在移交前撤回批准。", "Refuse a proposal, or take approvals back before it is released."),
    f"patrolbook-server handover refuse {_EXAMPLE} --reason 证据不足 --by 钱敏",
)
@click.argument("release")
@reason
@by
def refuse(run: Run, release: str, reason: str, by: str | None) -> None:
    person = run.person(by)
    releases.refuse(run.house, person, run.rights_of(person), release, reason)
    run.say(Label("已记录：不予解封", "Refused, and on record"), "bold")


@command(
    HANDOVER,
    "release",
    Label(
        "移交：用省级私钥打开各密钥文件，改为封给县区公钥；密封文件一个字节都不变。先入日志，再写交办。",
        "Release: open the key files with the province's private key and wrap them for the county. Not a byte of the sealed "
        "files changes. The log is told first.",
    ),
    f"patrolbook-server handover release {_EXAMPLE} --identity /media/safe/province.age --by 赵刚",
)
@click.argument("release")
@identity
@passphrase
@by
def release(run: Run, release: str, identity: Path, passphrase: str | None, by: str | None) -> None:
    person = run.person(by)
    secret = secret_of(run, identity, passphrase)
    with run.progress() as bar:
        task = bar.add_task(run.text(Label("重新封装密钥", "Wrapping keys")), total=None)
        made = releases.release(
            run.house, person, run.rights_of(person), release, secret,
            lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    number, count = made.values["number"], len(made.names("objects"))
    run.say(Label(f"已移交 {count} 件，交办 {number}", f"Released {count} files, hand-over {number}"), "bold green")
    run.say(Label(f"编号：{made.record}", f"Id: {made.record}"))
    run.say(
        Label(
            f"县区下一步：patrolbook-server handover receive {made.record}",
            f"Next, the county: patrolbook-server handover receive {made.record}",
        )
    )


# --- Both -------------------------------------------------------------------------------------------------------


@command(
    HANDOVER,
    "list",
    Label(
        "列出交办、剩余天数和超期；只见操作人授权区划内的。--proposals 列解封申请（须有密封授权）。",
        "List hand-overs with the days that are left and those that are overdue, in the areas of whoever asks. "
        "--proposals: what is proposed, for those whose grants lead behind the wall.",
    ),
    "patrolbook-server handover list --overdue --by 周强",
)
@option("--overdue", "only_overdue", is_flag=True, about=Label("只列超期的", "Only those that are overdue"))
@option("--proposals", is_flag=True, about=Label("列解封申请", "Proposals instead"))
@by
@as_json
def list_handovers(run: Run, only_overdue: bool, proposals: bool, by: str | None, as_json: bool) -> None:
    rights = run.rights_of(run.person(by))
    if proposals:
        proposed = (
            (Label("受交办区划", "county"), lambda one: one.values.get("to_area")),
            (Label("期限", "due"), lambda one: one.values.get("due")),
            (Label("件数", "files"), lambda one: len(one.names("objects"))),
        )
        listed(run, releases.STEP, rights, proposed, as_json)
        return
    found = [one for one in handovers.every(run.house, rights) if one.overdue or not only_overdue]
    if as_json:
        run.json([_json(one) for one in found])
        return
    columns = [Label("编号", "id"), Label("交办编号", "number"), Label("区划", "area"), Label("状态", "status"),
               Label("期限", "due"), Label("剩余天数", "days left"), Label("件数", "files"), Label("超期", "overdue")]  # fmt: skip
    run.table(
        columns,
        [
            (one.seen.record, one.seen.values.get("number"), one.seen.values.get("area"), status_of(run, one.seen),
             one.seen.values.get("due"), one.left, len(one.seen.names("objects")), _late(run, one))
            for one in found
        ],
    )  # fmt: skip


@command(
    HANDOVER,
    "show",
    Label("显示一份交办或解封申请的全部内容。", "Show all of a hand-over, or of a proposal."),
    f"patrolbook-server handover show {_EXAMPLE} --by 周强",
)
@click.argument("id")
@by
@as_json
def show(run: Run, id: str, by: str | None, as_json: bool) -> None:
    rights = run.rights_of(run.person(by))
    try:
        told = handovers.told(run.house, finding.one(run.house, rights, Handover.kind, id))
    except NotFound:
        if not rights.within.get(Release.compartment):
            raise
        _show_proposal(run, finding.one(run.house, rights, Release.kind, id), as_json)
        return
    if as_json:
        run.json(_json(told))
        return
    left = "" if told.left is None else run.text(Label(f"剩 {told.left} 天", f"{told.left} days left"))
    run.say(Label(*(f"{told.seen.values.get('number')}  {status_of(run, told.seen)}  {left}  {_late(run, told)}",) * 2), "bold")
    _fields(run, told.seen)
    run.say(Label("文件：", "Files:"), "bold")
    run.table(
        [Label("序号", "object"), Label("密封内容 SHA-256", "SHA-256 of the sealed content"), Label("字节", "bytes")],
        [(key, value["sha256"], value["size"]) for key, value in told.seen.names("objects").items()],
    )
    _signed(run, told.seen, "receipts", Label("签收", "received by"))


# --- The county -------------------------------------------------------------------------------------------------


@command(
    HANDOVER,
    "receive",
    Label("签收交办；签收后才能打开其中的文件。", "Sign for a hand-over; its files open only after that."),
    f"patrolbook-server handover receive {_EXAMPLE} --by 周强",
)
@click.argument("id")
@by
def receive(run: Run, id: str, by: str | None) -> None:
    person = run.person(by)
    seen = handovers.receive(run.house, person, run.rights_of(person), id)
    number, due = seen.values["number"], seen.values["due"]
    run.say(Label(f"已签收 {number}，{due} 前办结", f"Received {number}, due on {due}"), "bold green")


@command(
    HANDOVER,
    "open",
    Label(
        "用县区私钥打开一件；先入日志，期限过后不再给出。校验不符则不留下任何内容。",
        "Open one file with the county's private key. The log is told first; nothing is opened after the deadline, and "
        "nothing is left behind of what is not whole.",
    ),
    f"patrolbook-server handover open {_EXAMPLE} 1 --identity county.age --out 1.mp4 --purpose 核实线索 --by 周强",
)
@click.argument("id")
@click.argument("object")
@identity
@passphrase
@option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, about=Label("写到哪个文件", "File to write"))
@option("--purpose", required=True, about=Label("查阅目的，永久留存", "What it is opened for; kept for good"))
@by
def open_object(
    run: Run, id: str, object: str, identity: Path, passphrase: str | None, out: Path, purpose: str, by: str | None
) -> None:
    person = run.person(by)
    secret = secret_of(run, identity, passphrase)
    opened = handovers.open_object(
        run.house, person, run.rights_of(person), id, object, secret=secret, target=out, purpose=purpose
    )
    mime, size = opened.facts.get("mime") or "", opened.plain.size
    run.say(Label(f"已写入 {out}：{mime}，{size} 字节", f"Wrote {out}: {mime}, {size} bytes"), "bold green")
    run.say(Label(f"SHA-256：{opened.plain.sha256}，与采集时一致", f"SHA-256: {opened.plain.sha256}, as captured"))
    run.say(Label(f"日志第 {opened.leaf} 位", f"Leaf {opened.leaf} of the log"))
    run.say(Label("只作线索；处罚须另行依法取证", "It is a lead; a penalty needs evidence collected anew"), "yellow")


@command(
    HANDOVER,
    "report",
    Label("反馈：是否属实、查处情况、依法重新取证的检查。", "Report what was found, what was done, and the inspections."),
    f"patrolbook-server handover report {_EXAMPLE} --outcome confirmed --result 已责令停止举办 --by 周强",
)
@click.argument("id")
@option("--outcome", type=click.Choice(list(OUTCOMES)), required=True, about=Label("是否属实", "Outcome"))
@option("--result", required=True, about=Label("查处情况", "What was found and done"))
@option("--inspection", "inspections", multiple=True, metavar="ID", about=Label("依法取证的检查", "An inspection"))
@option("--case", metavar="ID", about=Label("案件", "The case"))
@by
def report(
    run: Run, id: str, outcome: str, result: str, inspections: tuple[str, ...], case: str | None, by: str | None
) -> None:
    person = run.person(by)
    handovers.report(
        run.house, person, run.rights_of(person), id,
        outcome=outcome, result=result, inspections=inspections, case=case,
    )  # fmt: skip
    run.say(Label("已反馈，待省级审核", "Reported; the province reviews it"), "bold green")


@command(
    HANDOVER,
    "extend",
    Label(
        "延期，只能一次，须在期限内：县区申请，省级批准（不写 --until 即照申请批准）。",
        "More time, once and before the deadline: a county asks, the province grants (as asked, without --until).",
    ),
    f"patrolbook-server handover extend {_EXAMPLE} --until 2027-01-15 --reason 当事人外出 --by 周强",
)
@click.argument("id")
@option("--until", type=_DAY, about=Label("延至", "Until"))
@option("--reason", "why", about=Label("理由", "Why"))
@by
def extend(run: Run, id: str, until: datetime | None, why: str | None, by: str | None) -> None:
    person = run.person(by)
    day = f"{until:%Y-%m-%d}" if until is not None else None
    granted = handovers.extend(run.house, person, run.rights_of(person), id, until=day, reason=why)
    if granted is None:
        run.say(Label("已申请，待省级批准", "Asked for; the province grants it"), "yellow")
    else:
        run.say(Label(f"已延期至 {granted}", f"Extended until {granted}"), "bold green")


@command(
    HANDOVER,
    "close",
    Label("审核通过，办结。", "Accept the report and close the hand-over."),
    f"patrolbook-server handover close {_EXAMPLE} --review 同意 --by 赵刚",
)
@click.argument("id")
@option("--review", "said", required=True, about=Label("审核意见", "What the province says"))
@by
def close(run: Run, id: str, said: str, by: str | None) -> None:
    person = run.person(by)
    handovers.close(run.house, person, run.rights_of(person), id, said)
    run.say(Label("已办结", "Closed"), "bold green")


@command(
    HANDOVER,
    "return",
    Label("退回补查。", "Return a report to the county, which has to look again."),
    f"patrolbook-server handover return {_EXAMPLE} --review 未附检查记录 --by 赵刚",
)
@click.argument("id")
@option("--review", "said", required=True, about=Label("审核意见", "What the province says"))
@by
def give_back(run: Run, id: str, said: str, by: str | None) -> None:
    person = run.person(by)
    handovers.give_back(run.house, person, run.rights_of(person), id, said)
    run.say(Label("已退回补查", "Returned"), "bold yellow")


# --- Shown ------------------------------------------------------------------------------------------------------


def secret_of(run: Run, identity: Path, passphrase: str | None) -> str:
    return sealing.unlock_identity(identity.read_bytes(), run.ask(passphrase))


def _show_proposal(run: Run, seen: Seen, as_json: bool) -> None:
    if as_json:
        run.json(as_said(releases.STEP, seen))
        return
    run.say(Label(*(f"{run.text(Release.label)} {seen.record}  {status_of(run, seen)}",) * 2), "bold")
    _fields(run, seen)
    run.table([Label("密封证据", "Sealed evidence")], [(one,) for one in seen.names("objects")])
    _signed(run, seen, "approvals", Label("批准", "approved by"))


def _fields(run: Run, seen: Seen) -> None:
    fields = run.house.registry[seen.state.kind].fields_by_name()
    rows = [
        (run.text(fields[name].label), value)
        for name, value in seen.values.items()
        if name in fields and name != "status" and not isinstance(value, dict)
    ]
    run.table([Label("栏目", "Field"), Label("内容", "Value")], rows)
    extension = seen.values.get("extension")
    if extension:
        granted = Label("已批准", "granted") if extension.get("granted_at") else Label("待批准", "asked for")
        told = f"{extension['until']} {run.text(granted)}：{extension['reason']}"
        run.say(Label(f"延至 {told}", f"extended until {told}"))


def _signed(run: Run, seen: Seen, field: str, label: Label) -> None:
    for value in seen.names(field).values():
        run.say(Label(f"{label.zh}：{value['name']} {value['at']}", f"{label.en}: {value['name']} {value['at']}"))


def _late(run: Run, one: Told) -> str:
    return run.text(_OVERDUE) if one.overdue else ""


def _json(one: Told) -> dict[str, Any]:
    return {"id": one.seen.record, **one.seen.values, "days_left": one.left, "overdue": one.overdue}
