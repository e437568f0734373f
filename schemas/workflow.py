"""State machines as data: which status follows which, who may take the step, and what the step requires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.labels import Label

LEVELS: Mapping[str, Label] = {
    "township": Label("乡镇（街道）", "Township"),
    "county": Label("县级", "County"),
    "city": Label("市级", "City"),
    "province": Label("省级", "Province"),
}
"""The levels of 逐级审核, from below."""


@dataclass(frozen=True)
class Status:
    """One state of a workflow. `locked` means that later edits are parked for staff to decide."""

    label: Label
    locked: bool = False


@dataclass(frozen=True)
class Transition:
    """A step. `requires` names guards that `sync.core.rules` evaluates on the merged record."""

    source: str
    target: str
    label: Label
    roles: frozenset[str]
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class Workflow:
    """The life of a record. Paths below `always_open` stay writable when the status is locked.

    held    status → the level with which a record lies then, for its review
    """

    initial: str
    statuses: Mapping[str, Status]
    transitions: tuple[Transition, ...]
    always_open: frozenset[str] = field(default_factory=lambda: frozenset({"notes", "evidence", "captions"}))
    held: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = {self.initial} | {t.source for t in self.transitions} | {t.target for t in self.transitions}
        if missing := named - set(self.statuses):
            raise ValueError(f"workflow names statuses that it does not define: {sorted(missing)}")
        if wrong := (set(self.held) - set(self.statuses)) | (set(self.held.values()) - set(LEVELS)):
            raise ValueError(f"workflow is held by levels or in statuses that there are not: {sorted(wrong)}")

    def step(self, source: str, target: str) -> Transition | None:
        """The transition from one status to another, or None where the workflow has none."""
        return next((t for t in self.transitions if t.source == source and t.target == target), None)

    def locked(self, status: str) -> bool:
        known = self.statuses.get(status)
        return bool(known and known.locked)

    def open_path(self, path: str) -> bool:
        return path.partition("/")[0] in self.always_open
