"""A record as lines for a person: each field with its label, each value in words, each conflict as a conflict.

A contested field never shows one value as if it were the value: all candidates are listed, the tablet's own marked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from field_client.moments import CHINA
from field_client.platform.leases import Left
from field_client.tablet import Tablet
from schemas.base import DELETED, RecordSchema
from schemas.fields import (
    Answers,
    Attachments,
    Choice,
    Entries,
    Flag,
    Integer,
    Moment,
    Money,
    Notes,
    Point,
    RecordField,
    Ref,
    Signatures,
    Tags,
    Workflowed,
)
from schemas.forms import form_of
from schemas.labels import Label
from schemas.library.answers import CONFORMS
from sync.core.errors import NotFound
from sync.core.fold import Act, State, contested, values_of

YES, NO = Label("是", "yes"), Label("否", "no")
MINE = Label("本机", "this tablet")
IN_CONFLICT = Label("有冲突", "in conflict")
PLACED_BY = {
    "exif": Label("照片自带", "from the photo"),
    "gnss": Label("卫星定位", "satellite"),
    "fused": Label("融合定位", "fused"),
    "network": Label("网络定位", "network"),
    "manual": Label("手工标注", "by hand"),
}
"""Who says where something was: the `src` of a `Point`."""


class Line(NamedTuple):
    """One line of a record; `path` is its address, empty for a heading."""

    path: str
    label: Label
    value: Label


def same(text: str) -> Label:
    """A text that is the same in both languages."""
    return Label(text, text)


def lines_of(tablet: Tablet, record: str) -> list[Line]:
    """Everything about a record, by the sections of its form; fields without a value are left out. Raises NotFound."""
    state = tablet.view(record)
    schema = tablet.registry.get(state.kind)
    if schema is None:
        return [Line(path, same(path), same(_json(value))) for path, value in _raw(state)]
    values = values_of(state, schema.merge_of)
    disputed = set(contested(state, schema.merge_of))
    own = {own.change.id for own in tablet.history(record)}

    def said(path: str) -> Label | None:
        if path in disputed:
            return dispute(schema, state, path, own)
        named = values[path]
        if isinstance(schema.field_of(path), Ref) and isinstance(named, str):
            return same(f"{title_of(tablet, named)} {named[-8:]}".strip())
        return value_of(schema, path, named)

    lines: list[Line] = []
    for section in form_of(schema).sections:
        body = []
        for field in section.fields:
            for path in _paths(field.name, field.keyed, values):
                if (shown := said(path)) is not None:
                    body.append(Line(path, label_of(schema, path), shown))
        if body:
            lines += [Line("", section.label, same("")), *body]
    unknown = sorted(path for path in values if schema.field_of(path) is None)
    return lines + [Line(path, same(path), same(_json(values[path]))) for path in unknown]


def title_of(tablet: Tablet, record: str) -> str:
    """What a record is called; for evidence without a caption its kind of file, empty for what left our scope."""
    try:
        state = tablet.view(record)
    except NotFound:
        return ""
    schema = tablet.registry.get(state.kind)
    values = values_of(state, tablet.merge_of(state.kind))
    return str(values.get(schema.title if schema else "") or values.get("mime") or "")


def cells(schema: type[RecordSchema], state: State, *names: str) -> list[Label]:
    """Some fields of a record for a list: each in words, or that it is in conflict."""
    values, disputed = values_of(state, schema.merge_of), contested(state, schema.merge_of)
    return [IN_CONFLICT if one in disputed else value_of(schema, one, values.get(one)) or same("") for one in names]


def label_of(schema: type[RecordSchema], path: str) -> Label:
    """The label of a path; the key of a keyed field is said where it says something."""
    name, slash, key = path.partition("/")
    field = schema.fields_by_name().get(name)
    if path == DELETED:
        return Label("删除", "Deleted")
    if field is None:
        return same(path)
    if not slash:
        return field.label
    if isinstance(field, Answers):
        return same(key)
    options = getattr(field, "options", None) or {}
    return options.get(key) or Label(f"{field.label.zh} {key[-8:]}", f"{field.label.en} {key[-8:]}")


def dispute(schema: type[RecordSchema], state: State, path: str, own: set[str]) -> Label:
    """All candidates of a contested path, who wrote each and when."""
    told = []
    for change, value in sorted(state.live[path].items(), key=lambda one: state.acts[one[0]].hlc):
        shown = value_of(schema, path, value) or same("—")
        writer = author(state.acts[change], change in own)
        told.append(Label(f"“{shown.zh}”（{writer.zh}）", f"“{shown.en}” ({writer.en})"))
    return Label(
        f"【{IN_CONFLICT.zh}】" + " / ".join(one.zh for one in told),
        f"[{IN_CONFLICT.en}] " + " / ".join(one.en for one in told),
    )


def author(act: Act, mine: bool) -> Label:
    """Who wrote a value and when."""
    who = "、".join(act.by) or "?"
    time = local(int(act.hlc[:12], 16))
    return Label(f"{MINE.zh}，{who}，{time}", f"{MINE.en}, {who}, {time}") if mine else same(f"{who} {time}")


def local(ms: int) -> str:
    """Milliseconds since 1970 as the time of day in China."""
    return datetime.fromtimestamp(ms / 1000, CHINA).strftime("%Y-%m-%d %H:%M")


def value_of(schema: type[RecordSchema], path: str, value: Any) -> Label | None:
    """A value in words; None for an empty one. A malformed one, which staff may have let in, is shown as it is."""
    if value is None or value == "" or (value is False and "/" in path):
        return None
    try:
        return _in_words(schema, schema.field_of(path), value)
    except (KeyError, TypeError, ValueError):
        return same(_json(value))


def _in_words(schema: type[RecordSchema], field: RecordField | None, value: Any) -> Label:
    match field:
        case Choice() if value in field.options:
            return field.options[value]
        case Workflowed() if schema.workflow and value in schema.workflow.statuses:
            return schema.workflow.statuses[value].label
        case Money() if type(value) is int:
            return Label(f"{value // 100}.{value % 100:02d} 元", f"CNY {value // 100}.{value % 100:02d}")
        case Integer() if type(value) is int:
            return same(f"{value} {field.unit}".strip())
        case Flag() | Tags() if type(value) is bool:
            return YES if value else NO
        case Moment() if isinstance(value, str):
            return same(moment_in_words(value))
        case Point() if isinstance(value, dict):
            return _place(value)
    return _compound(field, value)


def _place(point: Mapping[str, Any]) -> Label:
    """Where, how exactly, and who says so."""
    where = f"{point['lat'] / 10**7:.6f}, {point['lon'] / 10**7:.6f}"
    source = PLACED_BY.get(str(point.get("src", "")), same(str(point.get("src", ""))))
    exact = f"±{point['acc'] / 100:g} m" if point.get("acc") else ""
    zh, en = ("，".join(filter(None, (exact, source.zh))), ", ".join(filter(None, (exact, source.en))))
    return Label(f"{where}（{zh}）" if zh else where, f"{where} ({en})" if en else where)


def _compound(field: RecordField | None, value: Any) -> Label:
    if isinstance(value, dict):
        match field:
            case Answers():
                return _answer(value)
            case Notes() if isinstance(value.get("text"), str):
                return same(" ".join(filter(None, (moment_in_words(value.get("at", "")), value["text"]))))
            case Attachments():
                return same(f"{value.get('mime', '')} {size(value.get('size', 0))} {str(value.get('sha256', ''))[:12]}")
            case Signatures():
                return same(f"{value.get('name', '')} {moment_in_words(value.get('at', ''))}".strip())
            case Entries():
                return same(" ".join(str(part) for part in value.values()))
    return same(value if isinstance(value, str) else _json(value))


def _answer(value: Mapping[str, Any]) -> Label:
    said = CONFORMS.get(value.get("answer", ""))
    measured = f"{value.get('measured', '')} {value.get('unit', '')}".strip()
    rest = [str(value[part]) for part in ("reason", "remark") if value.get(part)]
    rest += [_json(value[part]) for part in ("rows", "officers") if value.get(part)]
    zh = " ".join(filter(None, (said.zh if said else "", measured, *rest)))
    en = " ".join(filter(None, (said.en if said else "", measured, *rest)))
    return Label(zh, en)


def size(count: int) -> str:
    """Bytes for people: 812 B, 3.6 MB."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def moment_in_words(text: str) -> str:
    """A `Moment` as the time of day in China; what is none, as it is."""
    try:
        return datetime.fromisoformat(text).astimezone(CHINA).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _paths(name: str, keyed: bool, values: Mapping[str, Any]) -> list[str]:
    if not keyed:
        return [name] if name in values else []
    return sorted(path for path in values if path.startswith(f"{name}/"))


def _raw(state: State) -> Iterator[tuple[str, Any]]:
    """What is live in a record whose kind this program does not know."""
    for path, values in sorted(state.live.items()):
        yield from ((path, value) for value in values.values())


def lasting(left: Left) -> Label:
    """How long a lease still lasts."""
    hours, whole = max(0, left.left_ms) // 3_600_000, left.term_ms // 3_600_000
    return Label(
        f"租约还有 {hours} 小时（共 {whole}）；到期后须联网一次才能解锁",
        f"the lease lasts {hours} more hours (of {whole}); after that, unlocking needs the server once",
    )
