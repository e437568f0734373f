"""A record as lines for a person: each field with its label, each value in words, each conflict as a conflict.

A contested field never shows one value as if it were the value: all candidates are listed, the tablet's own marked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from field_client.platform.leases import Left
from field_client.tablet import Tablet
from schemas.base import RecordSchema
from schemas.fields import Ref, Tags
from schemas.forms import form_of
from schemas.labels import Label
from schemas.words import as_json, label_of, local, same, value_of
from sync.core.errors import NotFound
from sync.core.fold import Act, State, contested, values_of

MINE = Label("本机", "this tablet")
IN_CONFLICT = Label("有冲突", "in conflict")


class Line(NamedTuple):
    """One line of a record; `path` is its address, empty for a heading."""

    path: str
    label: Label
    value: Label


def lines_of(tablet: Tablet, record: str) -> list[Line]:
    """Everything about a record, by the sections of its form; fields without a value are left out. Raises NotFound."""
    state = tablet.view(record)
    schema = tablet.registry.get(state.kind)
    if schema is None:
        return [Line(path, same(path), same(as_json(value))) for path, value in _raw(state)]
    values = values_of(state, schema.merge_of)
    disputed = set(contested(state, schema.merge_of))
    own = {own.change.id for own in tablet.history(record)}

    def said(path: str) -> Label | None:
        if path in disputed:
            return dispute(schema, state, path, own)
        named, field = values[path], schema.field_of(path)
        if isinstance(field, Tags) and field.target is not None and named is True:
            return same(_called(tablet, path.partition("/")[2]))
        if isinstance(field, Ref) and isinstance(named, str):
            return same(f"{title_of(tablet, named)} {named[-8:]}".strip())
        return value_of(schema, path, named)

    lines: list[Line] = []
    for section in form_of(schema).sections:
        body = []
        for field in section.fields:
            for path in _paths(field.name, field.keyed, values):
                if (shown := said(path)) is not None:
                    body.append(Line(path, _heading(schema, path), shown))
        if body:
            lines += [Line("", section.label, same("")), *body]
    unknown = sorted(path for path in values if schema.field_of(path) is None)
    return lines + [Line(path, same(path), same(as_json(values[path]))) for path in unknown]


def _heading(schema: type[RecordSchema], path: str) -> Label:
    """The label of a path; of one among several records, the field's: the record itself is the value."""
    field = schema.field_of(path)
    return field.label if isinstance(field, Tags) and field.target is not None else label_of(schema, path)


def _called(tablet: Tablet, record: str) -> str:
    """A record that is one of several named: with what it is told apart by among people, its certificate."""
    try:
        certificate = tablet.values(record).get("certificate_number")
    except NotFound:
        return record[-8:]
    return f"{title_of(tablet, record)} {certificate or record[-8:]}".strip()


def title_of(tablet: Tablet, record: str) -> str:
    """What a record is called; for evidence without a caption its kind of file, empty for what left our scope."""
    try:
        state = tablet.view(record)
    except NotFound:
        return ""
    return called(tablet.registry.get(state.kind), values_of(state, tablet.merge_of(state.kind)))


def called(schema: type[RecordSchema] | None, values: Mapping[str, Any]) -> str:
    """The same of values that were read already."""
    return str(values.get(schema.title if schema else "") or values.get("mime") or "")


def cells(schema: type[RecordSchema], state: State, *names: str) -> list[Label]:
    """Some fields of a record for a list: each in words, or that it is in conflict."""
    values, disputed = values_of(state, schema.merge_of), contested(state, schema.merge_of)
    return [IN_CONFLICT if one in disputed else value_of(schema, one, values.get(one)) or same("") for one in names]


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
