"""What a person is told and asked when a photo is like an earlier one. Nobody is held up: no answer is an answer too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from field_client.session import Session, short
from schemas.kinds.evidence import REPEAT_REASONS, Evidence
from schemas.labels import Label
from schemas.words import value_of

if TYPE_CHECKING:
    from field_client.evidence.likeness import Similar

SHOWN = 3


def ask_why(session: Session, evidence: str, similar: tuple[Similar, ...], reason: str | None, note: str = "") -> None:
    """Name the earlier photos; write down the reason that was given, or ask for it where there is somebody to ask."""
    from field_client.evidence import likeness  # NumPy: loaded already, or there would be nothing to tell

    terminal = session.terminal
    for one in similar[:SHOWN]:
        terminal.warn(_told(one, likeness.SORTS[one.alike.sort]))
    if reason is None and terminal.interactive:
        codes = list(REPEAT_REASONS)
        for number, code in enumerate(codes, start=1):
            label = REPEAT_REASONS[code]
            terminal.say(Label(f"  {number} {label.zh}", f"  {number} {label.en}"))
        said = terminal.ask(Label("  原因（回车跳过）", "  Why (Enter skips)"), default="")
        if said.isdigit() and 0 < int(said) <= len(codes):
            reason = codes[int(said) - 1]
        elif said:
            reason, note = "other", said
    if reason == "other" and not note and terminal.interactive:
        note = terminal.ask(Label("  请说明", "  In words"), default="")
    if reason is None or (reason == "other" and not note):
        how = f"patrolbook evidence reason {short(evidence)} same-scene"
        terminal.say(
            Label(f"  已保存；请补写原因：{how}", f"  It is saved; please give the reason: {how}"), fg="yellow"
        )
        return
    likeness.explain(session.tablet(), evidence, similar[0].evidence, reason, note)
    terminal.say(Label(f"  原因：{REPEAT_REASONS[reason].zh} {note}", f"  Reason: {REPEAT_REASONS[reason].en} {note}"))


def _told(one: Similar, sort: Label) -> Label:
    when = value_of(Evidence, "captured_at", one.captured_at) or Label("", "")
    where = f"{one.institution} " if one.institution else ""
    warned = Label("整改前后照片相同！", "Before and after look the same! ") if one.repeated else Label("", "")
    return Label(
        f"{warned.zh}疑似重复（{sort.zh}）：{when.zh} {where}{short(one.subject)} 的照片 {short(one.evidence)}",
        f"{warned.en}Suspected duplicate ({sort.en}): photo {short(one.evidence)} of {where}{short(one.subject)}, {when.en}",
    )
