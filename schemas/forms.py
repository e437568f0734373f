"""A kind, or a checklist, as the description of a form: what to ask, in which order, with which limits.

Plain values and no HTML. The tablet's screens, the console and the command line draw from the same
description, so a field that a kind gains appears everywhere, and nobody can be offered what the server
would not take from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.base import DESK_ROLES, RecordSchema
from schemas.fields import (
    Avoided,
    Choice,
    Composite,
    Entries,
    Integer,
    Keyed,
    MergeType,
    RecordField,
    Ref,
    Tags,
    Text,
    Workflowed,
    Writer,
)
from schemas.labels import Label
from schemas.shipped.answers import CONFORMS
from schemas.shipped.catalogue import Asked, Basis, Group, Item, Library, Violation

REST = Label("其他", "Other")
"""Heads the fields that no section names."""


@dataclass(frozen=True, slots=True)
class Option:
    """One value that may be chosen; `code` is what is stored."""

    code: str
    label: Label


@dataclass(frozen=True, slots=True)
class FormField:
    """One field to fill in.

    widget    how to show it: text, lines, choice, integer, counter, money, flag, date, moment, area, ref,
              blob, point, rows, status, composite; keyed: answers, notes, evidence, signatures, tags, entries, captions
    editable  whether a person of the role asked for may write it
    frozen    a signature covers it: changing it afterwards is an amendment
    options   of a choice or a status, or the keys of a keyed field; empty where any key is possible
    parts     what an object of an entries or composite field holds
    target    kind of record that a ref or a tag names; "*" is any
    least, most, unit   range of a number
    longest, pattern    limits of a text
    avoid     words to warn of and why, which nothing refuses
    """

    name: str
    label: Label
    widget: str
    merge: MergeType
    writer: Writer
    required: bool
    keyed: bool
    editable: bool
    frozen: bool
    hint: Label | None
    options: tuple[Option, ...] = ()
    parts: tuple[Option, ...] = ()
    target: str | None = None
    least: int | None = None
    most: int | None = None
    unit: str = ""
    longest: int | None = None
    pattern: str | None = None
    avoid: Avoided | None = None


@dataclass(frozen=True, slots=True)
class FormSection:
    """Fields shown together."""

    label: Label
    fields: tuple[FormField, ...]


@dataclass(frozen=True, slots=True)
class FormStep:
    """A step of the workflow that the role asked for may take; `requires`: what the server looks for."""

    source: str
    target: str
    label: Label
    requires: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """A kind as a form."""

    kind: str
    version: int
    label: Label
    title: str
    sections: tuple[FormSection, ...]
    steps: tuple[FormStep, ...]

    def field(self, name: str) -> FormField:
        """The field of this name; raises KeyError where the form has none."""
        for section in self.sections:
            for field in section.fields:
                if field.name == name:
                    return field
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class FormBasis:
    """A place in a law, with how far it was verified: the mark and what the mark means."""

    text: str
    mark: str
    verified: Label


@dataclass(frozen=True, slots=True)
class FormItem:
    """One item of a checklist with everything that it names spelled out. Its answer is one value on `path`.

    `member` is where the answer goes inside that value. `options`: those to choose from, if any.
    """

    item: Item
    path: str
    member: str
    options: tuple[Option, ...]
    photo: Label
    severity: Label
    basis: tuple[FormBasis, ...]
    penalty: tuple[FormBasis, ...]
    violation: Violation | None

    @property
    def asked(self) -> Asked:
        """How it is answered."""
        return self.item.asked


@dataclass(frozen=True, slots=True)
class FormGroup:
    """Items of a checklist shown together."""

    code: str
    label: Label
    items: tuple[FormItem, ...]


def form_of(schema: type[RecordSchema], role: str | None = None) -> Form:
    """The form of a kind, as a person of this role may see and fill it; of None, with everything in it."""
    fields = {
        name: _field(schema, name, field, role)
        for name, field in schema.fields_by_name().items()
        if role not in field.hidden_from
    }
    named = [(one.label, [n for n in one.names if n in fields]) for one in schema.sections]
    listed = {name for _, names in named for name in names}
    named.append((REST, [name for name in fields if name not in listed]))
    return Form(
        kind=schema.kind,
        version=schema.version,
        label=schema.label,
        title=schema.title,
        sections=tuple(
            FormSection(label, tuple(fields[n] for n in names)) for label, names in named if names
        ),
        steps=_steps(schema, role),
    )


def checklist_form(groups: Iterable[Group], items: Iterable[Item], library: Library) -> tuple[FormGroup, ...]:
    """The items of a checklist by group, in the order given; groups without an item are left out.

    `library` explains the marks, laws and violations that the items name. An item whose group is not among
    `groups` comes last, under the group's code.
    """
    by_group: dict[str, list[FormItem]] = {}
    for item in items:
        by_group.setdefault(item.group, []).append(_item(item, library))
    labels = {group.code: group.label for group in groups}
    order = [code for code in labels if code in by_group] + [code for code in by_group if code not in labels]
    return tuple(
        FormGroup(code, labels.get(code, Label(code, code)), tuple(by_group[code])) for code in order
    )


# --- Fields -----------------------------------------------------------------------------------------------


def _field(schema: type[RecordSchema], name: str, field: RecordField, role: str | None) -> FormField:
    return FormField(
        name=name,
        label=field.label,
        widget=field.widget,
        merge=field.merge,
        writer=field.writer,
        required=field.required,
        keyed=field.keyed,
        editable=_editable(schema, field, role),
        frozen=field.frozen,
        hint=field.hint,
        **_details(schema, field, role),
    )


def _editable(schema: type[RecordSchema], field: RecordField, role: str | None) -> bool:
    if role is None:
        return field.writer != "system"
    return role in schema.makers and field.open_to_role(role, role in DESK_ROLES)


def _details(schema: type[RecordSchema], field: RecordField, role: str | None) -> dict[str, Any]:
    match field:
        case Text():
            shape = field.pattern.pattern if field.pattern else None
            return {"longest": field.most, "pattern": shape, "avoid": field.avoid}
        case Integer():
            return {"least": field.least, "most": field.most, "unit": field.unit}
        case Choice():
            open_to = {
                c: label for c, label in field.options.items() if role is None or field.open_to(role, c)
            }
            return {"options": _options(open_to)}
        case Workflowed():
            known = schema.workflow.statuses if schema.workflow else {}
            return {
                "options": tuple(Option(code, known[code].label) for code in field.statuses if code in known)
            }
        case Ref():
            return {"target": field.target}
        case Tags():
            return {"options": _options(field.options or {}), "target": field.target}
        case Entries():
            return {"options": _options(field.options or {}), "parts": _options(field.parts)}
        case Composite():
            return {"parts": _options({name: part.label for name, part in field.parts.items()})}
        case Keyed():
            return {"options": _options(field.options or {})}
    return {}


def _steps(schema: type[RecordSchema], role: str | None) -> tuple[FormStep, ...]:
    if schema.workflow is None:
        return ()
    return tuple(
        FormStep(step.source, step.target, step.label, step.requires)
        for step in schema.workflow.transitions
        if role is None or role in step.roles
    )


def _options(labels: Mapping[str, Label]) -> tuple[Option, ...]:
    return tuple(Option(code, label) for code, label in labels.items())


# --- Items ------------------------------------------------------------------------------------------------

_MEMBERS = {"yes_no_na": "answer", "multi": "rows", "table": "rows", "officers": "officers"}


def _item(item: Item, library: Library) -> FormItem:
    asked = item.asked
    options = (
        tuple(Option(code, label) for code, label in CONFORMS.items())
        if asked.type == "yes_no_na"
        else tuple(Option(option.zh, option) for option in asked.options)
    )
    return FormItem(
        item=item,
        path=f"answers/{item.code}",
        member=_MEMBERS.get(asked.type, "measured"),
        options=options,
        photo=library.photo_rules[item.photo],
        severity=library.severities[item.severity],
        basis=_places(item.basis, library),
        penalty=_places(item.penalty, library),
        violation=library.violations.get(item.violation) if item.violation else None,
    )


def _places(places: Iterable[Basis], library: Library) -> tuple[FormBasis, ...]:
    return tuple(FormBasis(library.cite(one), one.mark, library.marks[one.mark]) for one in places)
