"""A posted form back as values of a record: the one reader behind every form that is drawn from `schemas.forms`.

The macro `field` of `screens/macros.html` names each input by the path that it writes; what has several inputs adds a part
(`place.lat`). Digits, dots and signs of a Chinese keyboard are read as their narrow forms.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from schemas.base import RecordSchema
from schemas.certificates import CHINA
from schemas.fields import Invalid
from schemas.forms import Form, FormField
from schemas.labels import Label

SHOWN = ".shown"
"""Posted beside the boxes of a tag field: a box that is not ticked posts nothing at all."""
E7 = 10**7


class Read(NamedTuple):
    """values    path → value of what the form asks; None clears
    added     keyed field → text typed for a new entry (a note), to which the caller gives a key
    problems  path → what is wrong with what was typed
    """

    values: dict[str, Any]
    added: dict[str, str]
    problems: dict[str, Label]


class _Unread(Exception):
    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.problem = Label(zh, en)


def read(schema: type[RecordSchema], form: Form, posted: Mapping[str, str]) -> Read:
    """What was typed into a form. A field that was not in the posted form is not in the answer."""
    found = Read({}, {}, {})
    for section in form.sections:
        for field in section.fields:
            if field.editable:
                _take(schema, field, posted, found)
    return found


def _take(schema: type[RecordSchema], field: FormField, posted: Mapping[str, str], found: Read) -> None:
    if field.widget == "tags" and f"{field.name}{SHOWN}" in posted:
        found.values.update({f"{field.name}/{one.code}": f"{field.name}/{one.code}" in posted for one in field.options})
    elif field.widget == "notes":
        if text := posted.get(field.name, "").strip():
            found.added[field.name] = text
    elif not field.keyed and (field.name in posted or f"{field.name}.lat" in posted):
        try:
            value = _value(field, posted)
            schema.check_path(field.name, value)
            found.values[field.name] = value
        except (_Unread, Invalid) as wrong:
            found.problems[field.name] = wrong.problem


def _value(field: FormField, posted: Mapping[str, str]) -> Any:
    if field.widget == "point":
        return _point(field.name, posted)
    text = posted[field.name].replace("\r\n", "\n").strip()
    if not text:
        return None
    match field.widget:
        case "integer" | "counter":
            return _whole(text)
        case "money":
            return _fen(text)
        case "flag":
            return text == "true"
        case "moment":
            return _utc(text)
        case "area" | "date":
            return narrow(text)
    return text


def narrow(text: str) -> str:
    """Full-width digits and signs as their narrow forms (Unicode NFKC)."""
    return unicodedata.normalize("NFKC", text).strip()


def _whole(text: str) -> int:
    try:
        return int(narrow(text).replace(",", ""))
    except ValueError:
        raise _Unread("应为整数，例如 12", "is a whole number such as 12") from None


def _fen(text: str) -> int:
    try:
        fen = Decimal(narrow(text).replace(",", "")) * 100
        if fen == fen.to_integral_value():
            return int(fen)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    raise _Unread("应为金额（元），最多两位小数，例如 1250.50", "is an amount in yuan such as 1250.50")


def _utc(text: str) -> str:
    """`datetime-local` is the time of day in China."""
    try:
        local = datetime.fromisoformat(text)
        utc = (local if local.tzinfo else local.replace(tzinfo=CHINA)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Unread("应为日期和时间，例如 2026-11-22 14:30", "is a date and time such as 2026-11-22 14:30") from None
    return utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _point(name: str, posted: Mapping[str, str]) -> dict[str, Any] | None:
    """Two boxes. A position that nobody moved keeps how exact it is and who says so; a moved one was put by hand."""
    lat, lon = (narrow(posted.get(f"{name}.{part}", "")) for part in ("lat", "lon"))
    if not lat and not lon:
        return None
    try:
        said: dict[str, Any] = {"lat": round(Decimal(lat) * E7), "lon": round(Decimal(lon) * E7)}
    except (InvalidOperation, ValueError, OverflowError):
        raise _Unread("纬度和经度都要填，例如 28.2282、112.9388", "needs latitude and longitude such as 28.2282") from None
    accuracy, source = posted.get(f"{name}.acc", ""), posted.get(f"{name}.src", "")
    if posted.get(f"{name}.was") != f"{said['lat']},{said['lon']}":
        return said | {"src": "manual"}
    return said | ({"acc": int(accuracy)} if accuracy.isdecimal() else {}) | ({"src": source} if source else {})
