"""Values of a record in words: what both interfaces, the command line and printed papers show.

A malformed value, which staff may have let in, is shown as it is; nothing is hidden because it cannot be read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from schemas.base import DELETED, RecordSchema
from schemas.certificates import CHINA
from schemas.fields import (
    Answers,
    Attachments,
    Choice,
    Composite,
    Entries,
    Flag,
    Integer,
    Moment,
    Money,
    Notes,
    Point,
    RecordField,
    Signatures,
    Tags,
    Workflowed,
)
from schemas.labels import Label
from schemas.shipped.answers import CONFORMS

YES, NO = Label("是", "yes"), Label("否", "no")
PLACED_BY = {
    "exif": Label("照片自带", "from the photo"),
    "gnss": Label("卫星定位", "satellite"),
    "fused": Label("融合定位", "fused"),
    "network": Label("网络定位", "network"),
    "manual": Label("手工标注", "by hand"),
}
"""Who says where something was: the `src` of a `Point`."""


def same(text: str) -> Label:
    """A text that is the same in both languages."""
    return Label(text, text)


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
    said: Label | None = (getattr(field, "options", None) or {}).get(key)
    if said is not None and not isinstance(field, Entries):
        return said
    said = said or same(key[-8:])
    return Label(f"{field.label.zh} {said.zh}", f"{field.label.en} {said.en}")


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
        return same(as_json(value))


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
    return _compound(schema, field, value)


def _place(point: Mapping[str, Any]) -> Label:
    """Where, how exactly, and who says so."""
    where = f"{point['lat'] / 10**7:.6f}, {point['lon'] / 10**7:.6f}"
    source = PLACED_BY.get(str(point.get("src", "")), same(str(point.get("src", ""))))
    exact = f"±{point['acc'] / 100:g} m" if point.get("acc") else ""
    zh, en = ("，".join(filter(None, (exact, source.zh))), ", ".join(filter(None, (exact, source.en))))
    return Label(f"{where}（{zh}）" if zh else where, f"{where} ({en})" if en else where)


def _compound(schema: type[RecordSchema], field: RecordField | None, value: Any) -> Label:
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
            case Composite():
                return _parts(schema, field, value)
            case Entries():
                return same(" ".join(str(part) for part in value.values()))
    return same(value if isinstance(value, str) else as_json(value))


def _parts(schema: type[RecordSchema], field: Composite, value: Mapping[str, Any]) -> Label:
    """The answers that were given as one, in their order; an id among them says nothing to people."""
    said = [_in_words(schema, part, value[name]) for name, part in field.parts.items() if value.get(name) and name != "id"]
    return Label(" ".join(one.zh for one in said), " ".join(one.en for one in said))


def _answer(value: Mapping[str, Any]) -> Label:
    said = CONFORMS.get(value.get("answer", ""))
    measured = f"{value.get('measured', '')} {value.get('unit', '')}".strip()
    rest = [str(value[part]) for part in ("reason", "remark") if value.get(part)]
    rest += [_cells(value["rows"])] if value.get("rows") else []
    rest += ["、".join(map(str, value["officers"]))] if isinstance(value.get("officers"), list) else []
    zh = " ".join(filter(None, (said.zh if said else "", measured, *rest)))
    en = " ".join(filter(None, (said.en if said else "", measured, *rest)))
    return Label(zh, en)


def _cells(rows: Any) -> str:
    """The rows of a table, or what was chosen of several."""
    if not isinstance(rows, list):
        return as_json(rows)
    return "；".join("，".join(map(str, row)) if isinstance(row, list) else str(row) for row in rows)


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


def as_json(value: Any) -> str:
    """Plain JSON, Chinese as it is."""
    return json.dumps(value, ensure_ascii=False)
