"""What was written again after it had been signed or submitted, for the custody report: old value, new value, why, by whom.

A draft is written over as often as its author likes, and nobody has to answer for that. From the first signature on, or the
first step out of the draft, each value that takes the place of another one is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from custody.report import Amendment
from schemas import words
from schemas.base import RecordSchema
from schemas.labels import Label
from schemas.registry import Registry
from sync.core.change import Change

_EMPTY = Label("（空）", "(empty)")
_STEPS = frozenset({"status", "signatures"})
MOST = 200
"""Characters of a value that are printed; the changes themselves have all of it."""


def amended(registry: Registry, changes: Iterable[Change], names: Mapping[str, str]) -> tuple[Amendment, ...]:
    """The amendments among accepted changes, oldest first. names: person → name."""
    ordered = sorted(changes, key=lambda change: change.hlc)
    by_id = {change.id: change for change in ordered}
    settled: set[str] = set()
    found = []
    for change in ordered:
        schema = registry.get(change.kind)
        if schema is None:
            continue
        if change.record in settled:
            found += [_amendment(schema, change, path, names, by_id) for path in change.set if _replaces(change, path, by_id)]
        if any(_settles(schema, change, path) for path in change.set):
            settled.add(change.record)
    return tuple(found)


def _settles(schema: type[RecordSchema], change: Change, path: str) -> bool:
    name = path.partition("/")[0]
    if name == "status":
        return schema.workflow is not None and change.value(path) != schema.workflow.initial
    return name == "signatures" and change.value(path) is not None


def _replaces(change: Change, path: str, by_id: Mapping[str, Change]) -> bool:
    before = _before(change, path, by_id)
    return path.partition("/")[0] not in _STEPS and bool(before) and any(one.value(path) != change.value(path) for one in before)


def _before(change: Change, path: str, by_id: Mapping[str, Change]) -> list[Change]:
    """The changes whose values this one saw and replaces."""
    return [by_id[one] for one in change.parents(path) if one in by_id and path in by_id[one].set]


def _amendment(
    schema: type[RecordSchema], change: Change, path: str, names: Mapping[str, str], by_id: Mapping[str, Change]
) -> Amendment:
    clock = change.body["clock"]
    old = "；".join(_said(schema, path, one) for one in _before(change, path, by_id))
    who = "、".join(names.get(one, one) for one in change.by)
    reason = str((change.decision or {}).get("reason") or "")
    where = words.label_of(schema, path).zh
    return Amendment(int(clock["wall"]) + int(clock["off"]), where, old, _said(schema, path, change), reason, who)


def _said(schema: type[RecordSchema], path: str, change: Change) -> str:
    told = (words.value_of(schema, path, change.value(path)) or _EMPTY).zh
    return told if len(told) <= MOST else f"{told[:MOST]}…"
