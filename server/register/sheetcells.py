"""Cells of a table that somebody typed, as fields want them: nothing is guessed, and what cannot be read is told.

A cell comes as Excel keeps it: codes turned into numbers, full-width digits, 是 and 否, days and times in many forms.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from schemas.certificates import CHINA
from schemas.fields import Area, Choice, CreditCode, Date, Flag, Integer, Moment, RecordField
from schemas.labels import Label
from server.register.sheets import text_of

_FLAGS = {**dict.fromkeys(("是", "有", "已", "y", "yes", "true", "1", "√"), True),
          **dict.fromkeys(("否", "无", "未", "n", "no", "false", "0", "×"), False)}  # fmt: skip

_DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?\Z")
_TIME = re.compile(r"[ T]*(\d{1,2})[:：时](\d{1,2})(?:[:：分](\d{1,2})秒?)?分?\Z")


class BadCell(NamedTuple):
    """Why a row cannot be imported. `line` is that of the file, `column` the header as the file has it."""

    line: int
    column: str
    value: str
    problem: Label
    next_step: Label


class Bad(Exception):
    """A cell that cannot be read; `problem` says why."""

    def __init__(self, problem: Label) -> None:
        self.problem = problem


def value_of(one: RecordField, cell: Any) -> Any:
    """A cell as its field wants it; raises Bad where that would be a guess."""
    text = text_of(cell)
    if isinstance(one, Choice):
        return _choice(one, text)
    if isinstance(one, Flag):
        if plain(text) not in _FLAGS:
            raise Bad(Label("应为“是”或“否”", "expected 是 or 否 (yes or no)"))
        return _FLAGS[plain(text)]
    if isinstance(one, Integer):
        return _whole(one, text)
    if isinstance(one, Date):
        return _day(cell, text)
    if isinstance(one, Moment):
        return _moment(cell, text)
    if isinstance(one, (Area, CreditCode)):
        code = unicodedata.normalize("NFKC", text).replace(" ", "").upper()
        if re.search(r"\dE\+\d", code):
            raise Bad(Label("被 Excel 变成了科学计数", "Excel has turned it into a number like 9.1E+17"))
        return code
    return text


def _choice(one: Choice, text: str) -> str:
    for code, label in one.options.items():
        if plain(text) in (plain(code), plain(label.zh), plain(label.en)):
            return code
    names = [label.zh for label in one.options.values()]
    raise Bad(Label(f"应为其中之一：{'、'.join(names)}", f"expected one of: {', '.join(names)}"))


def _whole(one: Integer, text: str) -> int:
    digits = unicodedata.normalize("NFKC", text).replace(",", "").replace(" ", "").removesuffix(one.unit or "\0")
    try:
        number = Decimal(digits)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number != number.to_integral_value():
        raise Bad(Label("应为整数", "expected a whole number"))
    return int(number)


def _day(cell: Any, text: str) -> str:
    if isinstance(cell, (datetime, date)):
        return cell.strftime("%Y-%m-%d")
    match = _DATE.match(unicodedata.normalize("NFKC", text))
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).isoformat() if match else _no_day()
    except ValueError:
        return _no_day()


def _moment(cell: Any, text: str) -> str:
    """A day, with or without the time of day in China, as a moment."""
    if isinstance(cell, datetime):
        local = cell
    else:
        narrow = unicodedata.normalize("NFKC", text)
        found = _TIME.search(narrow)
        on = date.fromisoformat(_day(cell, narrow[: found.start()] if found else narrow))
        try:
            hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
            local = datetime(on.year, on.month, on.day, hours, minutes, seconds)
        except ValueError:
            raise Bad(Label("不是时间（如 2026-11-22 14:30）", "is no time (like 2026-11-22 14:30)")) from None
    utc = local.replace(tzinfo=CHINA).astimezone(UTC)
    return utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _no_day() -> str:
    raise Bad(Label("不是日期（如 2026-11-22）", "is no date (like 2026-11-22)"))


def plain(text: str) -> str:
    """A header or a choice without what people vary: width, case, spaces, stars, what stands in brackets."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub(r"\([^)]*\)|（[^）]*）", "", text)
    return re.sub(r"[\s*_:：-]+", "", text)


