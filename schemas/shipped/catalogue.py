"""What a library of inspection items holds, as plain typed values, and how they are read from JSON rows.

The same rows stand in the shipped files and in a `checklist` record, so a province's own edition is read by
the same code. Texts of law are quoted in Chinese only; everything that a person chooses or answers is in
both languages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from schemas.labels import Label

Mark = Literal["T", "R", "M"]
AnswerType = Literal["yes_no_na", "number", "date", "time", "choice", "multi", "table", "text", "officers"]
PhotoRule = Literal["required", "on_fail", "none"]
Severity = Literal["critical", "major", "minor"]

ASKED_AS: Mapping[AnswerType, Label] = {
    "yes_no_na": Label("是否符合", "conforms or not"),
    "number": Label("数字", "number"),
    "date": Label("日期", "date"),
    "time": Label("时间", "time of day"),
    "choice": Label("单选", "one of several"),
    "multi": Label("多选", "several of several"),
    "table": Label("表格", "table"),
    "text": Label("文字", "text"),
    "officers": Label("执法人员", "officers"),
}
"""How an item is answered, in a word."""

PROCEDURE = "PROC"
"""In place of a violation: the item is about the officers' own procedure, not about the institution."""

UNSPECIFIED = "OTHER"
"""The source whose articles name the law themselves."""


@dataclass(frozen=True, slots=True)
class Source:
    """A law, rule or policy, and the version that was looked at. `mark`: how far its text was verified."""

    code: str
    name: str
    version: str
    kind: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Basis:
    """A place in a source; `mark` says how far this very place was verified."""

    source: str
    article: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Group:
    """Items that belong together, in the order of a visit."""

    code: str
    label: Label


@dataclass(frozen=True, slots=True)
class Asked:
    """How an item is answered.

    `least` and `most` give the conforming range of a number, and `least` the number of officers; `latest` is
    the last conforming time of a day, `not_past` asks for a day that is not over. `least_preschool` stands in
    for `least` where children below school age are taught.
    """

    type: AnswerType
    options: tuple[Label, ...] = ()
    columns: tuple[Label, ...] = ()
    unit: Label | None = None
    least: Decimal | None = None
    least_preschool: Decimal | None = None
    most: Decimal | None = None
    latest: str | None = None
    not_past: bool = False
    rule: Label | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to check.

    `applies_to` holds the conditions of which one must be met (`all`: always). `violation` is None for an
    item of the officers' own procedure. `gate`: what an unmet procedure item blocks. `hazard`: `candidate`
    may be a major hazard, `decision` decides it.
    """

    code: str
    group: str
    question: Label
    asked: Asked
    photo: PhotoRule
    severity: Severity
    applies_to: tuple[str, ...]
    basis: tuple[Basis, ...]
    penalty: tuple[Basis, ...]
    violation: str | None
    handler: str
    gps: bool = False
    mandatory_report: bool = False
    gate: str | None = None
    hazard: str | None = None
    alert: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    """A class of violation. `basis` and `consequence` are quotations with their marks.

    `core13`: one of the thirteen that the Huai'an guideline counts, as far as they could be reconstructed.
    """

    code: str
    label: Label
    basis: str
    consequence: str
    core13: bool


@dataclass(frozen=True, slots=True)
class Document:
    """A form of the procedure and the fields that it must have."""

    code: str
    label: Label
    kind: Literal["internal", "external"]
    issuer: str
    basis: str
    when: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """A time limit: `length` units from what `starts` names, which is a document or an event.

    None where an order sets it; a negative length counts backwards.
    """

    code: str
    label: Label
    length: int | None
    unit: Literal["hours", "days", "years"]
    basis: str
    starts: str


@dataclass(frozen=True)
class Library:
    """Everything that ships, as one edition.

    `notice` must stand wherever the library is shown: the using authority's legal office has to review it.
    """

    title: Label
    edition: str
    notice: Label
    snapshot: str
    marks: Mapping[str, Label]
    answer_types: Mapping[str, Label]
    photo_rules: Mapping[str, Label]
    severities: Mapping[str, Label]
    groups: tuple[Group, ...]
    items: tuple[Item, ...]
    violations: Mapping[str, Violation]
    documents: Mapping[str, Document]
    clocks: Mapping[str, Clock]
    sources: Mapping[str, Source]

    def cite(self, basis: Basis) -> str:
        """The place as it is quoted in a document, without its mark."""
        source = self.sources.get(basis.source)
        if source is None or basis.source == UNSPECIFIED:
            return basis.article
        name = f"《{source.name}》"
        if not basis.article or basis.article.startswith("第"):
            return name + basis.article
        return f"{name}：{basis.article}"


# --- Which items apply ------------------------------------------------------------------------------------

CONDITIONS = frozenset({"preschool", "food", "dorm", "disguised", "unlicensed"})
"""What may be known about an institution beside its category and form of training."""

_OTHER_CATEGORIES = {
    "subject": {"nonsubject", "daycare"},
    "art": {"subject", "daycare"},
    "sport": {"subject", "daycare"},
    "technology": {"subject", "daycare"},
    "culture": {"subject", "daycare"},
    "daycare": {"subject", "nonsubject"},
    "other": set[str](),
}
_OTHER_MODES = {"offline": {"online"}, "online": {"offline"}, "both": set[str]()}


def applicable(
    items: Iterable[Item], category: str, mode: str = "both", conditions: Collection[str] | None = None
) -> list[Item]:
    """The items that apply to an institution of this category (`schemas.kinds.institution`).

    What is not known leaves nothing out: category `other`, mode `both`, conditions None. Raises KeyError for
    a category or mode that does not exist.
    """
    ruled_out = _OTHER_CATEGORIES[category] | _OTHER_MODES[mode]
    if conditions is not None:
        ruled_out |= CONDITIONS - set(conditions)
    return [item for item in items if not ruled_out.issuperset(item.applies_to)]


# --- Reading rows -----------------------------------------------------------------------------------------


def read_group(row: Mapping[str, Any]) -> Group:
    """A group from its row; raises KeyError for a row without one of its members."""
    return Group(row["code"], _label(row))


def read_item(code: str, row: Mapping[str, Any]) -> Item:
    """An item from its row; raises KeyError for a row without one of the members that every item has."""
    return Item(
        code=code,
        group=row["group"],
        question=_label(row),
        asked=_asked(row["answer"]),
        photo=row["photo"],
        severity=row["severity"],
        applies_to=tuple(row["applies_to"]),
        basis=tuple(_basis(one) for one in row["basis"]),
        penalty=tuple(_basis(one) for one in row["penalty"]),
        violation=None if row["violation"] == PROCEDURE else row["violation"],
        handler=row["handler"],
        gps=row.get("gps", False),
        mandatory_report=row.get("mandatory_report", False),
        gate=row.get("gate"),
        hazard=row.get("hazard"),
        alert=row.get("alert"),
        note=row.get("note_zh"),
    )


def read_source(code: str, row: Mapping[str, Any]) -> Source:
    return Source(code, row["name"], row["version"], row["kind"], row["v"])


def read_violation(row: Mapping[str, Any]) -> Violation:
    return Violation(row["code"], _label(row), row["basis"], row["consequence"], row["core13"])


def read_document(row: Mapping[str, Any]) -> Document:
    return Document(
        row["id"],
        _label(row),
        row["kind"],
        row["issuer"],
        row["basis"],
        row["when"],
        tuple(row["required_fields"]),
    )


def read_clock(row: Mapping[str, Any]) -> Clock:
    unit: Literal["hours", "days", "years"] = (
        "hours" if "hours" in row else "years" if "years" in row else "days"
    )
    return Clock(row["id"], _label(row), row[unit], unit, row["basis"], row["from"])


def _label(row: Mapping[str, Any]) -> Label:
    return Label(row["zh"], row["en"])


def _labels(rows: Sequence[Mapping[str, Any]]) -> tuple[Label, ...]:
    return tuple(_label(row) for row in rows)


def _basis(row: Mapping[str, Any]) -> Basis:
    return Basis(row["src"], row["art"], row["v"])


def _asked(row: Mapping[str, Any]) -> Asked:
    return Asked(
        type=row["type"],
        options=_labels(row.get("options", ())),
        columns=_labels(row.get("columns", ())),
        unit=_label(row["unit"]) if "unit" in row else None,
        least=_decimal(row.get("min")),
        least_preschool=_decimal(row.get("min_preschool")),
        most=_decimal(row.get("max")) if row["type"] == "number" else None,
        latest=row.get("max") if row["type"] == "time" else None,
        not_past=row.get("earliest") == "today",
        rule=_label(row["rule"]) if "rule" in row else None,
    )


def _decimal(value: int | str | None) -> Decimal | None:
    return None if value is None else Decimal(value)
