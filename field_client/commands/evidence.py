"""evidence list, show, copy, lookup, complete: what was captured here, and what was made of it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from custody import codes
from field_client.commands.printing import brief, print_record
from field_client.evidence import derivatives, tidying
from field_client.platform.files import replace_file
from field_client.session import Session, command, group, in_session, option, short
from field_client.work.showing import cells
from schemas.kinds.evidence import MINORS, REPEAT_REASONS, Evidence
from schemas.labels import Label
from schemas.words import size, value_of
from sync.core.errors import MinorsVisible, NotFound
from sync.core.fold import State, values_of

JSON = Label("输出 JSON", "print JSON")
KIND = Evidence.kind


@group("evidence", label=Label("证据", "Evidence"), example="patrolbook evidence list")
def evidence() -> None:
    pass


@command(
    "list", label=Label("本机上的证据", "Evidence on this tablet"), example="patrolbook evidence list --of 3f2a71bc"
)
@option("--of", "subject", metavar="ID", label=Label("只看这条记录的", "only that of this record"))
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def list_(session: Session, subject: str | None, as_json: bool) -> None:
    tablet = session.tablet()
    known = [(one, values_of(one, Evidence.merge_of)) for one in tablet.browse(KIND)]
    if subject is not None:
        known = [(one, said) for one, said in known if str(said.get("subject", "")).endswith(subject)]
    if as_json:
        names = ("subject", "item", "mime", "size", "sha256", "sm3", "role", "original", "code", "captured_at")
        told = json.dumps([brief(tablet, one, *names) for one, _ in known], ensure_ascii=False)
        session.terminal.say(told)
        return
    columns = (Label("编号", "Id"), Label("所属", "Of"), Label("采集时间", "Captured"), Label("类型", "Type"),
               Label("大小", "Size"), Label("性质", "Role"), Label("核验码", "Code"))  # fmt: skip
    session.terminal.table(columns, [_row(one, said) for one, said in known])


def _row(state: State, said: dict[str, object]) -> tuple[Label | str, ...]:
    taken, mime, role = cells(Evidence, state, "captured_at", "mime", "role")
    code, length = said.get("code"), said.get("size")
    return (
        short(state.record),
        short(str(said.get("subject", ""))),
        taken,
        mime,
        size(length) if isinstance(length, int) else "",
        role,
        codes.printed(code) if isinstance(code, str) else "",
    )


@command("show", label=Label("显示一件证据", "Show a piece of evidence"), example="patrolbook evidence show 3f2a71bc")
@click.argument("evidence")
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def show(session: Session, evidence: str, as_json: bool) -> None:
    print_record(session, session.record(KIND, evidence), as_json)


@command(
    "lookup",
    label=Label(
        "凭水印上的核验码查原件；本机没有的问服务器",
        "Find the original by the code of a watermark; what is not on this tablet is asked of the server",
    ),
    example="patrolbook evidence lookup 7K3M-9XQ2-V4TD-P",
)
@click.argument("code")
@option("--json", "as_json", is_flag=True, label=JSON)
@in_session
def lookup(session: Session, code: str, as_json: bool) -> None:
    wanted, tablet = codes.read(code), session.tablet()
    for one in tablet.browse(KIND):
        if wanted in one.live.get("code", {}).values():
            print_record(session, one.record, as_json)
            return
    if tablet.identity is None:
        printed = codes.printed(wanted)
        raise NotFound(what=Label(f"本机上核验码 {printed} 的原件", f"the original of {printed} on this tablet"))
    found = tablet.peer().original(codes.printed(wanted))
    if as_json:
        session.terminal.say(json.dumps(found._asdict(), ensure_ascii=False))
        return
    session.terminal.say(Label(f"服务器上的证据 {found.id}", f"Evidence {found.id}, at the server"), bold=True)
    for name, field in Evidence.fields_by_name().items():
        value = value_of(Evidence, name, found.values.get(name))
        if value is not None:
            session.terminal.say(Label(f"  {field.label.zh}：{value.zh}", f"  {field.label.en}: {value.en}"))


@command(
    "copy",
    label=Label("把水印副本存成文件；原件不导出", "Save a watermarked copy as a file; originals are not given out"),
    example="patrolbook evidence copy 3f2a71bc 现场.jpg",
)
@click.argument("evidence")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@in_session
def copy(session: Session, evidence: str, file: Path) -> None:
    tablet = session.tablet()
    original = session.record(KIND, evidence)
    values = tablet.values(original)
    if values.get("minors") == "visible":
        raise MinorsVisible(what=str(values["sha256"])[:12])
    derivatives.catch_up(tablet, only=[original])
    made = derivatives.watermark_of(tablet, original)
    if made is None:
        raise NotFound(what=Label(f"证据 {short(original)} 的水印副本", f"a watermarked copy of {short(original)}"))
    replace_file(file.absolute(), tidying.content(tablet, str(tablet.values(made)["sha256"])))
    session.terminal.say(Label(f"已存为 {file}", f"Saved as {file}"), fg="green")


@command(
    "minors",
    label=Label(
        "标记是否出现未成年人；出现的，未经遮挡不得导出", "Say whether minors are visible; then it is not given out uncovered"
    ),
    example="patrolbook evidence minors 3f2a71bc visible",
)
@click.argument("evidence")
@click.argument("word", type=click.Choice(["visible", "none"]))
@in_session
def minors(session: Session, evidence: str, word: str) -> None:
    session.tablet().write(KIND, session.record(KIND, evidence), {"minors": word})
    session.terminal.say(MINORS[word], fg="green")


@command(
    "complete",
    label=Label("补做尚缺的缩略图、水印副本和 SM3", "Make the pictures and digests that are still missing"),
    example="patrolbook evidence complete",
)
@in_session
def complete(session: Session) -> None:
    tablet = session.tablet()
    with session.terminal.progress() as tell:
        count = derivatives.catch_up(tablet, lambda done, total: tell(Label("处理证据", "Evidence"), done, total))
    left = len(tablet.store.chores.owing())
    session.terminal.say(Label(f"已处理 {count} 件，尚缺 {left} 件", f"Dealt with {count}, {left} still wait"))


@command(
    "reason",
    label=Label("写明一张照片为何与已有照片相似", "Say why a photo is like an earlier one"),
    example="patrolbook evidence reason 3f2a71bc same-scene",
)
@click.argument("evidence")
@click.argument("reason", type=click.Choice(list(REPEAT_REASONS)))
@option("--of", "earlier", metavar="ID", label=Label("与之相似的证据", "the evidence that it repeats"))
@option("--note", default="", label=Label("说明", "in words"))
@in_session
def reason(session: Session, evidence: str, reason: str, earlier: str | None, note: str) -> None:
    from field_client.evidence import likeness  # NumPy: only where it is needed

    repeats = session.record(KIND, earlier) if earlier else None
    likeness.explain(session.tablet(), session.record(KIND, evidence), repeats, reason, note)
    session.terminal.say(Label("已保存", "Saved"))


for one in (list_, show, lookup, copy, minors, complete, reason):
    evidence.add_command(one)
