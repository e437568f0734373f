"""inspect start, list, show, answer, set, note, photo, sign, print, submit."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from custody import codes
from field_client.commands.likeness import ask_why
from field_client.commands.printing import brief, print_record
from field_client.evidence.capture import Captured, capture
from field_client.holding.officers import OfficerKeys
from field_client.session import Session, command, group, in_session, option, short
from field_client.work import inspecting
from field_client.work.anchoring import anchor_document
from field_client.work.grading import grade
from field_client.work.printout import TITLE, pdf
from field_client.work.showing import cells
from schemas.fields import Flag, Integer, RecordField
from schemas.forms import FormGroup, FormItem
from schemas.kinds.evidence import REPEAT_REASONS, SOURCES
from schemas.kinds.inspection import MODES, Inspection
from schemas.labels import Label
from schemas.words import size, value_of
from sync.core.errors import InvalidField, Malformed, Problem, Refused
from sync.core.fold import State
from sync.core.grade import GRADES

JSON = Label("输出 JSON", "print JSON")
SAVED = Label("已保存", "Saved")
SKIP = Label("回车跳过，q 结束", "Enter skips, q ends")
CODES = {"1": "yes", "2": "no", "3": "na"}


@group("inspect", label=Label("检查", "Inspections"), example='patrolbook inspect start "学雅口才"')
def inspect() -> None:
    pass


@command(
    "start",
    label=Label("对一家机构开始检查", "Begin an inspection of an institution"),
    example="patrolbook inspect start 学雅口才 --mode enforcement --officer 3f2a71bc --officer 90ab12cd",
)
@click.argument("institution")
@option("--mode", label=Label("检查方式", "mode"), type=click.Choice(list(MODES)), default="patrol", show_default=True)
@option(
    "--officer",
    "officers",
    multiple=True,
    metavar="OFFICER",
    label=Label(
        "执法人员：编号、姓名、证号或证件卡的照片，可重复",
        "an officer: id, name, certificate or a photo of the card; may be repeated",
    ),
)
@option("--task", label=Label("为哪个任务做的检查", "the task that it is begun for"))
@in_session
def start(session: Session, institution: str, mode: str, officers: tuple[str, ...], task: str | None) -> None:
    named = [session.officer(one) for one in officers]
    tied = session.record("task", task) if task else None
    made = inspecting.start(session.tablet(), session.institution(institution), mode, named, task=tied)
    session.terminal.say(Label(f"已开始检查 {short(made)}（{made}）", f"Begun: inspection {short(made)} ({made})"))
    session.terminal.say(
        Label(f"下一步：patrolbook inspect answer {short(made)}", f"Next: patrolbook inspect answer {short(made)}")
    )


@command(
    "list",
    label=Label("本机上的检查，最新的在后", "Inspections on this tablet, newest last"),
    example="patrolbook inspect list",
)
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def list_(session: Session, as_json: bool) -> None:
    tablet = session.tablet()
    known = list(tablet.browse(inspecting.KIND))
    if as_json:
        told = [brief(tablet, one, "name", "status", "started_at", "institution") for one in known]
        session.terminal.say(json.dumps(told, ensure_ascii=False))
        return
    columns = (Label("编号", "Id"), Label("机构", "Institution"), Label("状态", "Status"), Label("开始", "Started"),
               Label("已答", "Answered"))  # fmt: skip
    session.terminal.table(columns, [_row(one) for one in known])


def _row(state: State) -> tuple[Label | str, ...]:
    answered = sum(path.startswith("answers/") for path in state.live)
    return short(state.record), *cells(Inspection, state, "name", "status", "started_at"), str(answered)


@command("show", label=Label("显示一次检查", "Show an inspection"), example="patrolbook inspect show 3f2a71bc")
@click.argument("inspection")
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def show(session: Session, inspection: str, as_json: bool) -> None:
    record = session.record(inspecting.KIND, inspection)
    print_record(session, record, as_json)
    if not as_json:
        _say_grade(session, record)
    if not as_json and (names := inspecting.amended(session.tablet(), record)):
        told = "、".join(names)
        session.terminal.warn(Label(f"签字后内容有改动：{told}", f"changed since it was signed by {told}"))


def _say_grade(session: Session, record: str) -> None:
    """How much it can carry as evidence, and why not more. It is computed and never entered."""
    graded = grade(session.tablet(), record)
    if graded is None:
        return
    name = GRADES[graded.grade]
    told = Label(f"证据等级 {graded.grade}：{name.zh}", f"Grade {graded.grade}: {name.en}")
    session.terminal.say(told, bold=True)
    for reason in graded.reasons:
        session.terminal.say(Label(f"  · {reason.zh}", f"  · {reason.en}"))


# --- answering -------------------------------------------------------------------------------------------------------


@command(
    "answer",
    label=Label("作答：一项、整份文件，或不写事项逐项询问", "Answer one item, a whole file, or be asked item by item"),
    example="patrolbook inspect answer 3f2a71bc FIR-05 不符合 --reason 通道堆放杂物",
)
@click.argument("inspection")
@click.argument("item", required=False)
@click.argument("said", required=False)
@option("--reason", default="", label=Label("情况说明", "what was found"))
@option("--remark", default="", label=Label("备注", "remark"))
@option(
    "--all",
    "source",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    label=Label(
        "JSON 文件（- 为标准输入）：{事项代码: 答案}", "a JSON file (- is standard input): {item code: answer}"
    ),
)
@option("--again", is_flag=True, label=Label("逐项询问时也问已答的", "when asking, ask answered items too"))
@in_session
def answer(
    session: Session,
    inspection: str,
    item: str | None,
    said: str | None,
    reason: str,
    remark: str,
    source: Path | None,
    again: bool,
) -> None:
    tablet = session.tablet()
    record = session.record(inspecting.KIND, inspection)
    if source is not None:
        _answer_all(session, record, _answers_in(source))
    elif item is None:
        _walk(session, record, inspecting.groups_of(tablet, record), again)
    elif said is None:
        raise InvalidField(field=item, detail=Label("请写答案", "write an answer"))
    else:
        one = inspecting.item_of(inspecting.all_groups(tablet, record), item)
        _answer(session, record, one, inspecting.answer_of(one, said, reason, remark))


def _answer(session: Session, record: str, item: FormItem, value: dict[str, Any]) -> None:
    """Write first, then say so: what was confirmed on the screen is on the disk."""
    inspecting.answer(session.tablet(), record, item, value)
    shown = value_of(Inspection, item.path, value) or SAVED
    code = item.item.code
    session.terminal.say(Label(f"{SAVED.zh} {code} {shown.zh}", f"{SAVED.en} {code} {shown.en}"), fg="green")


def _answers_in(source: Path) -> dict[str, Any]:
    try:
        told = json.loads(sys.stdin.read() if str(source) == "-" else source.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Malformed(detail=f"{source}: {error}") from error
    if not isinstance(told, dict):
        raise Malformed(detail=f"{source}: {{code: answer}}")
    return told


def _answer_all(session: Session, record: str, told: Mapping[str, Any]) -> None:
    """One change for each answer; what cannot be taken is named at the end and costs nothing of the rest."""
    groups = inspecting.all_groups(session.tablet(), record)
    refused = []
    for code, said in told.items():
        try:
            one = inspecting.item_of(groups, code)
            _answer(session, record, one, inspecting.answer_of(one, said))
        except Problem as problem:
            refused.append(Label(f"{code} 未保存：{problem.text('zh')}", f"{code} not saved: {problem.text('en')}"))
    for words in refused:
        session.terminal.warn(words)
    if refused:
        raise click.exceptions.Exit(1)


def _walk(session: Session, record: str, groups: tuple[FormGroup, ...], again: bool) -> None:
    tablet, terminal = session.tablet(), session.terminal
    total, number = sum(len(one.items) for one in groups), 0
    terminal.say(inspecting.notice_of(tablet, record), fg="yellow")
    for one in groups:
        terminal.say(Label(f"── {one.label.zh} ──", f"── {one.label.en} ──"), bold=True)
        for item in one.items:
            number += 1
            due = again or item.path not in tablet.values(record)
            if due and not _ask_item(session, record, item, f"[{number}/{total}]"):
                return
    left = inspecting.gaps(tablet, record)
    terminal.say(Label(f"还有 {len(left)} 项未完成", f"{len(left)} items are not finished"))


def _ask_item(session: Session, record: str, item: FormItem, place: str) -> bool:
    """Ask until the answer fits, is skipped (true) or the person ends (false)."""
    terminal = session.terminal
    question = item.item.question
    terminal.say(Label(f"{place} {item.item.code} {question.zh}", f"{place} {item.item.code} {question.en}"))
    # A place in a law that nobody checked against the full text says so wherever it is shown.
    basis = "；".join(one.text if one.mark == "T" else f"{one.text}（{one.verified.zh}）" for one in item.basis)
    if basis:
        terminal.say(Label(f"  依据：{basis}", f"  Basis: {basis}"), dim=True)
    while True:
        said = terminal.ask(_prompt(item), default="")
        if said == "" or said == "q":
            return said == ""
        try:
            value = inspecting.answer_of(item, CODES.get(said, said) if item.member == "answer" else said)
        except InvalidField as problem:
            terminal.warn(problem.text(terminal.language))
            continue
        inspecting.answer(session.tablet(), record, item, value)  # before anything else is asked
        if value.get("answer") == "no":
            value["reason"] = terminal.ask(Label("  情况说明", "  What was found"), default="")
        _answer(session, record, item, {name: part for name, part in value.items() if part})
        if inspecting.photo_due_for(session.tablet(), record, item, value):
            how = f"patrolbook inspect photo {short(record)} FILE --item {item.item.code}"
            terminal.say(Label(f"  需要拍照：{how}", f"  A photo is due: {how}"), fg="yellow")
        return True


def _prompt(item: FormItem) -> Label:
    if item.member == "answer":
        return Label(f"  1 符合 2 不符合 3 不适用（{SKIP.zh}）", f"  1 conforms 2 does not 3 n/a ({SKIP.en})")
    options = " / ".join(one.code for one in item.options)
    unit = item.asked.unit
    zh = " ".join(filter(None, (unit.zh if unit else "", options)))
    en = " ".join(filter(None, (unit.en if unit else "", options)))
    return Label(f"  答案 {zh}（{SKIP.zh}）", f"  Answer {en} ({SKIP.en})")


# --- the rest of an inspection ---------------------------------------------------------------------------------------


@command(
    "set",
    label=Label("填写检查的其他栏目：栏目=内容", "Fill in other fields of an inspection: field=value"),
    example='patrolbook inspect set 3f2a71bc findings="二楼东侧通道堆放桌椅，净宽约 0.8 米"',
)
@click.argument("inspection")
@click.argument("fields", nargs=-1, required=True, metavar="FIELD=VALUE...")
@in_session
def set_(session: Session, inspection: str, fields: tuple[str, ...]) -> None:
    record = session.record(inspecting.KIND, inspection)
    values = {}
    for one in fields:
        name, given, text = one.partition("=")
        if not given:
            raise InvalidField(field=name, detail=Label("应写作 栏目=内容", "is written as field=value"))
        values[name] = read_value(Inspection.field_of(name), name, text)
    session.tablet().write(inspecting.KIND, record, values)
    session.terminal.say(SAVED)
    for words in Inspection.warnings(values).values():
        session.terminal.warn(words)


def read_value(field: RecordField | None, path: str, text: str) -> Any:
    """What a person typed, as the value of a field. Raises InvalidField where it cannot be read at all."""
    try:
        match field:
            case Integer():
                return int(text)
            case Flag():
                return {"yes": True, "是": True, "true": True, "no": False, "否": False, "false": False}[text.lower()]
            case _ if text.lstrip()[:1] in ("{", "["):
                return json.loads(text)
    except (ValueError, KeyError):
        raise InvalidField(field=path, detail=Label("读不懂", "cannot be read")) from None
    return text


@command(
    "note",
    label=Label("添加一条备忘", "Add a note"),
    example='patrolbook inspect note 3f2a71bc "负责人外出，由教务接待"',
)
@click.argument("inspection")
@click.argument("text")
@option("--item", label=Label("检查事项代码", "code of an item"))
@in_session
def note(session: Session, inspection: str, text: str, item: str | None) -> None:
    inspecting.note(session.tablet(), session.record(inspecting.KIND, inspection), text, item)
    session.terminal.say(SAVED)


@command(
    "photo",
    label=Label(
        "附上照片、视频、录音或 PDF，原件原样加密保存",
        "Attach photos, video, sound or PDF; the original is kept as it is",
    ),
    example="patrolbook inspect photo 3f2a71bc IMG_0007.jpg --item FIR-05",
)
@click.argument("inspection")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@option("--item", label=Label("检查事项代码", "code of an item"))
@option("--caption", label=Label("说明", "caption"))
@option(
    "--source",
    type=click.Choice(list(SOURCES)),
    default="gallery",
    show_default=True,
    label=Label("来源", "where it comes from"),
)
@option(
    "--watermark/--no-watermark",
    default=None,
    label=Label(
        "另存带时间、地点、机构、人员和核验码的水印副本（默认保存）",
        "also keep a copy marked with time, place, institution, officers and a code (the default)",
    ),
)
@option(
    "--reason",
    type=click.Choice(list(REPEAT_REASONS)),
    label=Label("与已有照片相似时的原因（不写则询问）", "why it is like an earlier photo (asked for if left out)"),
)
@option("--reason-note", "reason_note", default="", label=Label("原因的说明", "the reason in words"))
@in_session
def photo(
    session: Session,
    inspection: str,
    files: tuple[Path, ...],
    item: str | None,
    caption: str | None,
    source: Any,
    watermark: bool | None,
    reason: str | None,
    reason_note: str,
) -> None:
    wanted = session.settings.watermark if watermark is None else watermark
    record = session.record(inspecting.KIND, inspection)
    attach_files(session, record, files, item, caption, source, wanted, reason=reason, reason_note=reason_note)


def attach_files(
    session: Session,
    record: str,
    files: tuple[Path, ...],
    item: str | None,
    caption: str | None,
    source: Any,
    watermark: bool = False,
    *,
    stage: str | None = None,
    reason: str | None = None,
    reason_note: str = "",
) -> None:
    """Take files in as evidence, one after the other, and say what became of each: "saved" as soon as it is."""
    terminal = session.terminal

    for file in files:

        def saved(made: Captured, file: Path = file) -> None:
            told = f"{file.name} {size(made.size)} {made.mime} SHA-256 {made.sha256[:16]}"
            terminal.say(Label(f"{SAVED.zh} {told}", f"{SAVED.en} {told}"), fg="green")

        made = capture(
            session.tablet(), record, file, item, caption, source, watermark=watermark, stage=stage, saved=saved
        )
        if made.again:
            terminal.warn(Label(f"{file.name}：这条记录已有这个文件", f"{file.name}: the record has this file already"))
            continue
        if made.watermark is not None:
            code = codes.printed(codes.code_of(made.sha256, made.evidence))
            terminal.say(Label(f"  水印副本，核验码 {code}", f"  Watermarked copy, verification code {code}"))
        if made.elsewhere:
            others = "、".join(short(one) for one in made.elsewhere)
            terminal.warn(Label(f"其他记录也有这个文件：{others}", f"other records have this file too: {others}"))
        if made.similar:
            ask_why(session, made.evidence, made.similar, reason, reason_note)
        if made.note is not None:
            terminal.warn(made.note)


@command(
    "sign",
    label=Label(
        "签字：先显示所签内容，签后改动将作为更正显示", "Sign what is shown; later changes are shown as amendments"
    ),
    example="patrolbook inspect sign 3f2a71bc 罗雨 --image sign.png\npatrolbook inspect sign 3f2a71bc --officer 李敏",
)
@click.argument("inspection")
@click.argument("name", required=False)
@option(
    "--as",
    "role",
    type=click.Choice(["party", "officer", "witness"]),
    label=Label(
        "以什么身份（默认当事人；写了 --officer 则为执法人员）",
        "in which capacity (the party; an officer with --officer)",
    ),
)
@option(
    "--officer",
    label=Label(
        "执法人员（姓名、证号或编号），用其本人的密钥会签",
        "the officer (name, certificate or id), who co-signs with a key of their own",
    ),
)
@option("--image", type=click.Path(path_type=Path), label=Label("签名图片", "picture of the signature"))
@option("--refused", metavar="REASON", label=Label("拒签：写明原因", "the party refuses: the reason"))
@option("--witness", label=Label("见证人", "who witnessed the refusal"))
@in_session
def sign(
    session: Session,
    inspection: str,
    name: str | None,
    role: str | None,
    officer: str | None,
    image: Path | None,
    refused: str | None,
    witness: str | None,
) -> None:
    tablet = session.tablet()
    record = session.record(inspecting.KIND, inspection)
    if refused is not None:
        inspecting.refuse(tablet, record, refused, witness or "")
        session.terminal.say(Label("已记录拒签", "The refusal is noted"))
    signer = session.officer(officer) if officer else None
    if name is None and signer is not None:
        name = str(tablet.values(signer).get("name") or "")
    if not name:
        if refused is None:
            raise InvalidField(field="name", detail=Label("请写签字人姓名", "write the signer's name"))
        return
    role = role or ("officer" if signer else "party")
    print_record(session, record, as_json=False)
    cosign = _cosigning(session, signer, name) if signer and role == "officer" else None
    content = inspecting.sign(tablet, record, name, role, image, signer, cosign)
    session.terminal.say(
        Label(f"{name} 已签字，内容校验值 {content[:16]}", f"{name} has signed; digest {content[:16]}"), fg="green"
    )


def _cosigning(session: Session, officer: str, name: str) -> Callable[[str], Mapping[str, str]] | None:
    """How this officer signs with a key of their own; None, with a warning, where there is none on this tablet."""
    keys = OfficerKeys(session.tablet())
    held = keys.of(officer)
    if held is None:
        how = f"patrolbook officer key new {name}"
        session.terminal.warn(
            Label(f"{name} 在本机没有密钥，这次签字不是会签：{how}", f"{name} has no key here and does not co-sign: {how}")
        )
        return None
    pin = session.officer_pin(Label(f"{name} 本人的 PIN", f"The own PIN of {name}"))
    return lambda content: keys.cosign(held, pin, content)


@command(
    "print",
    label=Label(
        "留给当事人的一份（PDF），带锚定二维码和核对码",
        "The copy to leave with the party (PDF), with its anchor as a QR code and to read aloud",
    ),
    example="patrolbook inspect print 3f2a71bc --out 检查记录.pdf",
)
@click.argument("inspection")
@option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    label=Label("文件名（默认 检查记录-编号.pdf）", "the file (检查记录-<id>.pdf if left out)"),
)
@in_session
def print_(session: Session, inspection: str, out: Path | None) -> None:
    tablet = session.tablet()
    record = session.record(inspecting.KIND, inspection)
    file = out or Path(f"{TITLE.zh}-{short(record)}.pdf")
    with tablet.store.writing():  # no anchor of a document that was not printed
        made = anchor_document(tablet, record)
        try:
            file.write_bytes(pdf(tablet, record, made))
        except OSError as error:
            raise Refused(detail=Label(f"不能写入 {file}", f"{file} cannot be written")) from error
    if not any(path.startswith("signatures/") for path in tablet.values(record)):
        session.terminal.warn(Label("还没有任何签字", "Nobody has signed it yet"))
    session.terminal.say(Label(f"已写入 {file}", f"Written: {file}"), fg="green")
    session.terminal.say(Label(f"核对码 {made.spoken}", f"Code {made.spoken}"))
    session.terminal.say(made.text)


@command(
    "submit",
    label=Label("提交检查，缺什么先说清", "Submit; says first what is missing"),
    example="patrolbook inspect submit 3f2a71bc",
)
@click.argument("inspection")
@option(
    "--anyway", is_flag=True, label=Label("有未答事项或缺照片也提交", "submit with items unanswered or photos missing")
)
@in_session
def submit(session: Session, inspection: str, anyway: bool) -> None:
    tablet = session.tablet()
    record = session.record(inspecting.KIND, inspection)
    gaps = inspecting.gaps(tablet, record)
    if gaps and not anyway:
        for why in dict.fromkeys(gap.why for gap in gaps):
            codes = " ".join(gap.code for gap in gaps if gap.why == why)
            session.terminal.warn(Label(f"{why.zh}：{codes}", f"{why.en}: {codes}"))
        session.terminal.warn(Label(f"有 {len(gaps)} 项未完成；补齐，或加 --anyway 提交",
                                    f"{len(gaps)} items are not finished; complete them or add --anyway"))  # fmt: skip
        raise click.exceptions.Exit(1)
    inspecting.submit(tablet, record)
    session.terminal.say(
        Label("已提交，联网后上传：patrolbook sync", "Submitted; it goes up with patrolbook sync"), fg="green"
    )


for one in (start, list_, show, answer, set_, note, photo, sign, print_, submit):
    inspect.add_command(one)
