"""What an answer says about its item: is it complete, does it conform, is a photo due.

Ranges are those of the edition that was followed. Where an item has none (a choice, a table, a text) only a
person can tell, and says so by adding `answer` to the same value; what a person said always stands before
what was computed.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from schemas.labels import Label
from schemas.shipped.catalogue import Asked, Item

Verdict = Literal["yes", "no", "na"]
"""As in `answer`: conforms, does not conform, does not apply."""

CONFORMS: dict[Verdict, Label] = {
    "yes": Label("符合", "Conforms"),
    "no": Label("不符合", "Does not conform"),
    "na": Label("不适用", "Does not apply"),
}

REASONS: dict[Verdict, tuple[Label, ...]] = {
    "no": (
        Label("现场未能出示", "Not produced on the spot"),
        Label("未张贴、未公示", "Not displayed"),
        Label("已过期", "Expired"),
        Label("与登记或备案不一致", "Differs from what is registered"),
        Label("缺少或数量不足", "Missing or too few"),
        Label("损坏或失效", "Broken or out of order"),
        Label("被占用、堵塞或锁闭", "Obstructed or locked"),
        Label("现场正在发生", "Happening at the time"),
    ),
    "na": (
        Label("没有此设施或业务", "There is no such thing here"),
        Label("当日未开课", "No classes that day"),
        Label("不属于该类机构", "Not this sort of institution"),
        Label("本次未检查该部位", "This part was not inspected"),
    ),
    "yes": (),
}
"""What people usually find, to choose from instead of typing; the words themselves are kept, and any others may be."""

_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?\Z")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z")


def misfit(asked: Asked, answer: Mapping[str, Any]) -> Label | None:
    """Why an answer is not one to what was asked; None where it is. What does not apply needs no more."""
    if answer.get("answer") == "na":
        return None
    measured, rows = answer.get("measured"), answer.get("rows")
    match asked.type:
        case "yes_no_na":
            if answer.get("answer") not in CONFORMS:
                return Label(
                    "请选择符合、不符合或不适用", "choose whether it conforms, does not, or does not apply"
                )
        case "number":
            if not _written(_NUMBER, measured):
                return Label("请填写数字", "enter a number")
        case "time":
            if not _written(_TIME, measured):
                return Label("时刻应写作 20:30", "enter a time like 20:30")
        case "date":
            if not _is_day(measured):
                return Label("日期应写作 2026-11-22", "enter a date like 2026-11-22")
        case "choice":
            if not isinstance(measured, str) or measured not in _values(asked):
                return Label("请选择一项", "choose one option")
        case "multi":
            if not _chosen(asked, rows):
                return Label("请至少选择一项", "choose at least one option")
        case "table":
            if not _filled(asked, rows):
                return Label("请填写每一列", "fill in every column")
        case "text":
            if not isinstance(measured, str) or not measured.strip():
                return Label("请填写文字", "enter some text")
        case "officers":
            if not _texts(answer.get("officers")):
                return Label("请选择检查人员", "name the officers")
    return None


def verdict(
    asked: Asked, answer: Mapping[str, Any], *, today: str, preschool: bool = False
) -> Verdict | None:
    """What the answer amounts to; None where it is incomplete or only a person can tell.

    `today` (`YYYY-MM-DD`) is the day of the inspection; `preschool`: children below school age are taught.
    """
    said = answer.get("answer")
    if said in CONFORMS:
        return said  # type: ignore[no-any-return]
    if misfit(asked, answer) is not None:
        return None
    match asked.type:
        case "number":
            least = asked.least_preschool if preschool and asked.least_preschool is not None else asked.least
            return _within(Decimal(answer["measured"]), least, asked.most)
        case "time" if asked.latest is not None:
            return "yes" if answer["measured"] <= asked.latest else "no"
        case "date" if asked.not_past:
            return "yes" if answer["measured"] >= today else "no"
        case "officers":
            return _within(Decimal(len(set(answer["officers"]))), asked.least, None)
    return None


def photo_due(item: Item, said: Verdict | None) -> bool:
    """Whether the answer to an item asks for a photo. What does not apply has nothing to show."""
    return said != "na" if item.photo == "required" else item.photo == "on_fail" and said == "no"


def _within(value: Decimal, least: Decimal | None, most: Decimal | None) -> Verdict | None:
    if least is None and most is None:
        return None
    return "yes" if (least is None or value >= least) and (most is None or value <= most) else "no"


def _written(form: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and bool(form.match(value))


def _is_day(value: Any) -> bool:
    try:
        return bool(datetime.date.fromisoformat(value).isoformat() == value)
    except (TypeError, ValueError):
        return False


def _values(asked: Asked) -> set[str]:
    return {option.zh for option in asked.options}


def _texts(rows: Any) -> bool:
    return isinstance(rows, list) and bool(rows) and all(isinstance(one, str) and one.strip() for one in rows)


def _chosen(asked: Asked, rows: Any) -> bool:
    return _texts(rows) and len(set(rows)) == len(rows) and set(rows) <= _values(asked)


def _filled(asked: Asked, rows: Any) -> bool:
    if not isinstance(rows, list) or not rows:
        return False
    return all(_texts(row) and len(row) == len(asked.columns) for row in rows)
