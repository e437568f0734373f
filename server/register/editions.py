"""What staff do with editions of checklists: begin one, change a draft, publish and retire. Ordinary changes, all of them.

A published edition never changes: an inspection names the edition that it followed, and an answer must be readable beside
the words that were asked. A correction is a new edition, begun as a copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from schemas.kinds.checklist import Checklist
from schemas.labels import Label
from schemas.shipped import contents
from schemas.shipped.catalogue import Group, Item, read_item
from server.instance import Instance
from server.merging import decisions
from server.reading.finding import one
from sync.core.errors import InvalidField, Refused
from sync.core.rules import Rights

KIND = Checklist.kind
DRAFT = "draft"


class Edition(NamedTuple):
    """One edition as it is read: its values by path, and the groups and items in the order of a visit."""

    record: str
    values: dict[str, Any]
    groups: tuple[Group, ...]
    items: tuple[Item, ...]

    @property
    def draft(self) -> bool:
        return self.values.get("status") == DRAFT


class Writing(NamedTuple):
    """Who writes, and what they may."""

    by: Sequence[str]
    rights: Rights


def show(house: Instance, rights: Rights, checklist: str) -> Edition:
    """An edition by its id or the end of it. Raises NotFound."""
    seen = one(house, rights, KIND, checklist)
    groups, items = contents(seen.values)
    return Edition(seen.record, seen.values, groups, items)


def copy(house: Instance, who: Writing, checklist: str, name: str = "") -> str:
    """Begin a new edition from another; returns its id."""
    old = show(house, who.rights, checklist)
    values = {path: value for path, value in old.values.items() if value is not None} | {"status": DRAFT}
    values["edition"] = name.strip()[:40] or _next(str(old.values.get("edition", "")))
    return _write(house, who, None, values)


def change(house: Instance, who: Writing, checklist: str, values: Mapping[str, Any]) -> None:
    """Change what a draft is called and from when it applies. Raises Refused where it was published."""
    edition = _draft(house, who, checklist)
    changed = {path: value for path, value in values.items() if edition.values.get(path) != value}
    if changed:
        _write(house, who, edition.record, changed)


def put_item(house: Instance, who: Writing, checklist: str, code: str, said: Mapping[str, Any]) -> str:
    """Write one item of a draft; an empty code makes a new one in its group. Returns the code.

    Members that `said` does not name stay as they are. Raises Refused for a published edition, InvalidField for an item
    that no tablet could draw.
    """
    edition = _draft(house, who, checklist)
    group = str(said.get("group", ""))
    if group not in {one.code for one in edition.groups}:
        raise InvalidField(field="group", detail=Label("没有这个分组", "there is no such group"))
    if not str(said.get("zh", "")).strip():
        raise InvalidField(field="zh", detail=Label("请填写检查内容", "the question is missing"))
    at = code or _free(edition, group)
    row = {**(edition.values.get(f"items/{at}") or {}), **said}
    try:
        read_item(at, row)
    except (KeyError, ValueError, ArithmeticError) as error:
        raise InvalidField(field=f"items/{at}", detail=Label("事项不完整", "the item is incomplete")) from error
    _write(house, who, edition.record, {f"items/{at}": row})
    return at


def drop_item(house: Instance, who: Writing, checklist: str, code: str) -> None:
    """Take an item out of a draft; history keeps it."""
    edition = _draft(house, who, checklist)
    if f"items/{code}" in edition.values:
        _write(house, who, edition.record, {f"items/{code}": None})


def put_group(house: Instance, who: Writing, checklist: str, code: str, label: Label) -> None:
    """Add a group to a draft, or call one differently."""
    edition = _draft(house, who, checklist)
    if not label.zh.strip():
        raise InvalidField(field="groups", detail=Label("请填写分组名称", "the name of the group is missing"))
    rows = [dict(row) for row in edition.values.get("groups") or ()]
    entry = {"code": code, "zh": label.zh.strip(), "en": label.en.strip() or label.zh.strip()}
    at = next((i for i, row in enumerate(rows) if row["code"] == code), None)
    if at is None:
        rows.append(entry)
    else:
        rows[at] = entry
    _write(house, who, edition.record, {"groups": rows})


def move(house: Instance, who: Writing, checklist: str, status: str, effective: str = "") -> None:
    """Publish a draft, or retire what was published. Raises InvalidField naming what is missing."""
    record = show(house, who.rights, checklist).record
    _write(house, who, record, {"status": status} | ({"effective_from": effective} if effective else {}))


def _draft(house: Instance, who: Writing, checklist: str) -> Edition:
    edition = show(house, who.rights, checklist)
    if not edition.draft:
        raise Refused(
            detail=Label("已发布的版次不能更改，请另立新版次", "a published edition never changes; begin a new edition from it")
        )
    return edition


def _write(house: Instance, who: Writing, record: str | None, values: Mapping[str, Any]) -> str:
    return decisions.write(house.desk, KIND, record, values, by=who.by, rights=who.rights).record


def _free(edition: Edition, group: str) -> str:
    taken = {item.code for item in edition.items}
    return next(code for n in range(1, len(taken) + 2) if (code := f"{group}-{n:02d}") not in taken)


def _next(edition: str) -> str:
    """2026-1 → 2026-2; anything else gets a mark of its own."""
    head, dash, tail = edition.rpartition("-")
    return f"{head}-{int(tail) + 1}"[:40] if dash and tail.isdecimal() else f"{edition[:36]}-2"
