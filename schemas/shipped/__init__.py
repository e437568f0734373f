"""The shipped library: 160 inspection items, 17 classes of violation, 25 documents and 14 time limits.

It is a research draft. The legal office of the using authority must review it before use: every place in a
law carries a mark that says how far it was verified, and what is marked R or M was not checked against the
full text. Nothing in the program depends on a number, an article or a deadline in here; a province
publishes its own edition as a `checklist` record, which is read by the same code.
"""

from __future__ import annotations

import functools
import json
import uuid
from collections.abc import Collection, Mapping
from importlib import resources
from typing import Any

from schemas.labels import Label
from schemas.shipped.catalogue import (
    Group,
    Item,
    Library,
    applicable,
    read_clock,
    read_document,
    read_group,
    read_item,
    read_source,
    read_violation,
)

_TEMPLATES = uuid.UUID("019d2b1e-6f00-7000-8000-7061747262b0")  # name space of template ids


@functools.cache
def library() -> Library:
    """The shipped library, read once."""
    body = _rows("checklist.json")
    return Library(
        title=_label(body["title"]),
        edition=body["edition"],
        notice=_label(body["notice"]),
        snapshot=body["law_text_snapshot"],
        marks=_labels(body["marks"]),
        answer_types=_labels(body["answer_types"]),
        photo_rules=_labels(body["photo_rules"]),
        severities=_labels(body["severities"]),
        groups=tuple(read_group(row) for row in body["groups"]),
        items=tuple(read_item(row["code"], row) for row in body["items"]),
        violations={row["code"]: read_violation(row) for row in _rows("violations.json")},
        documents={row["id"]: read_document(row) for row in _rows("documents.json")},
        clocks={row["id"]: read_clock(row) for row in _rows("clocks.json")},
        sources={code: read_source(code, row) for code, row in _rows("sources.json").items()},
    )


def items_for(category: str, mode: str = "both", conditions: Collection[str] | None = None) -> list[Item]:
    """The shipped items for an institution; see `schemas.shipped.catalogue.applicable`."""
    return applicable(library().items, category, mode, conditions)


def template() -> tuple[str, dict[str, Any]]:
    """The shipped items as the values of a `checklist` record: (record id, path → value).

    The id depends on the edition alone, so every server that seeds this edition makes the same record. It is
    a draft without a date of effect: publishing it is an act of the using authority.
    """
    body = _rows("checklist.json")
    values: dict[str, Any] = {
        "name": body["title"]["zh"],
        "edition": body["edition"],
        "status": "draft",
        "notice": body["notice"]["zh"],
        "groups": body["groups"],
    }
    for row in body["items"]:
        values[f"items/{row['code']}"] = {name: value for name, value in row.items() if name != "code"}
    return str(uuid.uuid5(_TEMPLATES, body["edition"])), values


def contents(values: Mapping[str, Any]) -> tuple[tuple[Group, ...], tuple[Item, ...]]:
    """The groups and items of a `checklist` record (path → value), in the order of its groups.

    Items whose group is missing follow last. Raises KeyError for an item without one of its members.
    """
    groups = tuple(read_group(row) for row in values.get("groups") or ())
    place = {group.code: i for i, group in enumerate(groups)}
    items = [
        read_item(path.removeprefix("items/"), row)
        for path, row in values.items()
        if path.startswith("items/") and row is not None
    ]
    items.sort(key=lambda item: (place.get(item.group, len(place)), item.code))
    return groups, tuple(items)


def _rows(name: str) -> Any:
    return json.loads(resources.files(__name__).joinpath(name).read_text(encoding="utf-8"))


def _label(row: Mapping[str, str]) -> Label:
    return Label(row["zh"], row["en"])


def _labels(rows: Mapping[str, Mapping[str, str]]) -> dict[str, Label]:
    return {code: _label(row) for code, row in rows.items()}
