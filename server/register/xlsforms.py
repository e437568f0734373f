"""Reading an XLSForm, the field's own form standard (https://xlsform.org), as a draft checklist.

The workbook is parsed by pyxform, the reference implementation; here its questions become items of a `checklist` record.
A checklist asks every item of an institution, so what only a form of its own can do is not carried over: calculations,
conditions between questions, forms within forms. Nothing of that is dropped in silence: each such row is listed with what
became of it, and a condition is kept as the note of its item.

    select_one yes_no            符合 / 不符合 / 不适用
    select_one, select_multiple  one or several of the choices
    integer, decimal             a number; `. >= 2 and . <= 50` gives its range
    date, time, text             the same
    begin_repeat … end_repeat    a table
    image                        a photo of the item before it: required, or where it does not conform
    geopoint                     the position of the item before it
    begin_group … end_group      a group; groups within it are joined to it
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from schemas.labels import Label
from schemas.shipped import contents
from schemas.shipped.catalogue import PROCEDURE
from server.register.sheets import check_workbook
from sync.core.errors import BadForm

Row = Mapping[str, Any]

YES_NO = {"yes", "no", "na", "n_a", "y", "n", "1", "0", "true", "false"}
ANSWERS = {
    "integer": "number",
    "decimal": "number",
    "date": "date",
    "time": "time",
    "text": "text",
    "string": "text",
    "select one": "choice",
    "select all that apply": "multi",
}
"""How pyxform calls a question → how a checklist asks it."""
QUIET = frozenset({"calculate", "start", "end", "today", "deviceid", "username", "phonenumber", "audit", "hidden"})
"""What a form collects without asking anybody: a change carries all of it already."""
_BOUND = re.compile(r"\.\s*(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)")
_CHINESE = re.compile(r"中文|汉语|chinese|\bzh\b", re.IGNORECASE)
_ENGLISH = re.compile(r"english|英文|英语|\ben\b", re.IGNORECASE)


class Remark(NamedTuple):
    """A row that did not become an item as it stood, and what became of it."""

    name: str
    said: Label


@dataclass
class Imported:
    """values: path → value of a `checklist` record, a draft without the day from which it applies."""

    values: dict[str, Any]
    remarks: list[Remark] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(path.startswith("items/") for path in self.values)


def read(file: Path) -> Imported:
    """An XLSForm (XLSX, XLS or CSV) as the values of a draft checklist. Raises BadForm, naming the row as pyxform does."""
    from pyxform.xls2json import workbook_to_json  # it takes longer to import than most commands take
    from pyxform.xls2json_backends import get_xlsform

    try:
        check_workbook(file)
        told: list[str] = []
        survey = workbook_to_json(get_xlsform(str(file)), fallback_form_name=_code(file.stem), warnings=told)
    except Exception as error:  # three readers of foreign files, each with errors of its own; pyxform's name the row
        raise BadForm(file=file.name, detail=str(error) or type(error).__name__) from error
    reading = _Reading()
    reading.take_all(survey.get("children", ()))
    if not reading.items:
        detail = Label("survey 表中没有可作答的问题", "there is no question to answer on the survey sheet")
        raise BadForm(file=file.name, detail=detail)
    values = {
        "name": _text(survey.get("title")) or file.stem,
        "edition": str(survey.get("version") or survey.get("id_string") or file.stem)[:40],
        "status": "draft",
        "groups": [{"code": code, "zh": label.zh, "en": label.en} for code, label in reading.groups.items()],
        **{f"items/{code}": item for code, item in reading.items.items()},
    }
    contents(values)  # what the tablet will read is read once here, so that no draft fails in somebody's hand
    return Imported(values, reading.remarks)


class _Reading:
    """The items as they are found, and the group that stands open."""

    def __init__(self) -> None:
        self.groups: dict[str, Label] = {}
        self.items: dict[str, dict[str, Any]] = {}
        self.remarks: list[Remark] = []
        self._last: dict[str, Any] | None = None

    def take_all(self, rows: Iterable[Row], group: str = "", heading: Label | None = None) -> None:
        for row in rows:
            sort, name = str(row.get("type", "")), str(row.get("name", ""))
            if name == "meta" or sort in QUIET:
                continue
            if sort == "group":
                label = self._label(row)
                joined = Label(f"{heading.zh} · {label.zh}", f"{heading.en} · {label.en}") if heading else label
                code = self._group(_code(name), joined)
                self._last = None
                self.take_all(row.get("children", ()), code, joined)
            elif sort == "photo":
                self._photo(row)
            elif sort in ("geopoint", "geotrace", "geoshape"):
                self._place(row)
            elif sort == "note":
                self._note(row)
            elif sort == "repeat":
                self._add(row, group, {"type": "table", "columns": self._columns(row)})
            elif sort in ANSWERS:
                self._add(row, group, self._answer(sort, row))
            else:
                self._remark(row, "没有对应的作答方式，未导入", "there is no way to answer it here; it was left out")

    def _add(self, row: Row, group: str, answer: dict[str, Any]) -> None:
        code = group or self._group("MAIN", Label("检查事项", "Items"))
        number = sum(item["group"] == code for item in self.items.values()) + 1
        label = self._label(row)
        item: dict[str, Any] = {
            "group": code,
            "zh": label.zh,
            "en": label.en,
            "answer": answer,
            "photo": "none",
            "severity": "major",
            "applies_to": ["all"],
            "basis": [],
            "penalty": [],
            "violation": PROCEDURE,
            "handler": "",
            "name": str(row["name"]),
        }
        notes = [text for text in (_pick(row.get("hint"), _CHINESE), self._condition(row)) if text]
        if notes:
            item["note_zh"] = "；".join(notes)
        self.items[f"{code}-{number:02d}"] = item
        self._last = item

    def _answer(self, sort: str, row: Row) -> dict[str, Any]:
        choices = list(row.get("choices") or ())
        kind = ANSWERS[sort]
        if kind in ("choice", "multi"):
            if not choices:
                self._remark(row, "选项来自外部文件，改为文字作答", "its choices are in another file; it is answered in words")
                return {"type": "text"}
            if kind == "choice" and {str(one["name"]).lower() for one in choices} <= YES_NO:
                return {"type": "yes_no_na", "ok": "yes"}
            return {"type": kind, "options": [_both(self._label(one)) for one in choices]}
        if kind == "number":
            return {"type": kind} | self._range(row, whole=sort == "integer")
        return {"type": kind}

    def _range(self, row: Row, whole: bool) -> dict[str, Any]:
        constraint = str(_bind(row).get("constraint", ""))
        found: dict[str, Any] = {}
        for sign, bound in _BOUND.findall(constraint):
            exact = int(bound) if whole and "." not in bound else bound
            if sign in (">", "<") and isinstance(exact, int):
                exact += 1 if sign == ">" else -1
            found["min" if sign[0] == ">" else "max"] = exact
        if constraint and not found:
            self._remark(row, f"限制条件未导入：{constraint}", f"its constraint was left out: {constraint}")
        return found

    def _columns(self, row: Row) -> list[dict[str, str]]:
        columns = []
        for one in row.get("children", ()):
            if one.get("type") in QUIET:
                continue
            if one.get("type") in ("group", "repeat", "photo"):
                self._remark(one, "表格内不能再分组或拍照，未导入", "a table holds no groups and no photos; it was left out")
                continue
            columns.append(_both(self._label(one)))
        return columns

    def _photo(self, row: Row) -> None:
        if self._last is None:
            self._remark(row, "前面没有事项，拍照要求未导入", "there is no item before it; it was left out")
            return
        required = str(_bind(row).get("required", "")).lower() in ("yes", "true", "true()")
        self._last["photo"] = "required" if required and not _bind(row).get("relevant") else "on_fail"

    def _place(self, row: Row) -> None:
        if self._last is None:
            self._remark(row, "前面没有事项，位置要求未导入", "there is no item before it; it was left out")
        else:
            self._last["gps"] = True

    def _note(self, row: Row) -> None:
        if self._last is None:
            self._remark(row, "说明前面没有事项，未导入", "there is no item before this note; it was left out")
        else:
            said = self._label(row).zh
            self._last["note_zh"] = "；".join(filter(None, (self._last.get("note_zh"), said)))

    def _condition(self, row: Row) -> str:
        relevant = str(_bind(row).get("relevant", ""))
        if not relevant:
            return ""
        self._remark(
            row,
            f"显示条件 {relevant} 已写入备注；清单会一直显示该事项",
            f"its condition {relevant} is kept as a note; a checklist always shows the item",
        )
        return f"原条件：{relevant}"

    def _group(self, code: str, label: Label) -> str:
        free, number = code, 2
        while free in self.groups and self.groups[free] != label:
            free, number = f"{code}{number}", number + 1
        self.groups.setdefault(free, label)
        return free

    def _label(self, row: Row) -> Label:
        said = row.get("label")
        if isinstance(said, Mapping):
            zh, en = _pick(said, _CHINESE), _pick(said, _ENGLISH)
            zh, en = zh or en or _text(next(iter(said.values()), "")), en or zh
        else:
            zh = en = _text(said)
        name = str(row.get("name", ""))
        return Label(zh or name, en or zh or name)

    def _remark(self, row: Row, zh: str, en: str) -> None:
        self.remarks.append(Remark(str(row.get("name") or row.get("type", "")), Label(zh, en)))


def _bind(row: Row) -> Row:
    bind = row.get("bind")
    return bind if isinstance(bind, Mapping) else {}


def _pick(said: Any, language: re.Pattern[str]) -> str:
    """A translated text in a language, by the name of its column; an untranslated one is Chinese."""
    if not isinstance(said, Mapping):
        return _text(said) if language is _CHINESE else ""
    return next((_text(text) for name, text in said.items() if language.search(str(name))), "")


def _text(said: Any) -> str:
    return "" if said is None else str(said).strip()


def _both(label: Label) -> dict[str, str]:
    return {"zh": label.zh, "en": label.en}


def _code(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "", name)[:30] or "form"
