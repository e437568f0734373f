"""Proposals and sweeps as rows; see `tables_desk`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, select, update

from server.storage import tables_desk
from server.storage.journal import _slices

WAITING, CONFIRMED, REFUSED, OVERTAKEN = "waiting", "confirmed", "refused", "overtaken"


class Proposal(NamedTuple):
    """A decision that waits for, or had, a second person. `value` is what is to stand; `second` who looked at it."""

    id: str
    conflict: str
    record: str
    record_kind: str
    bucket: str
    path: str
    do: str
    seen: tuple[str, ...]
    value: Any
    reason: str
    by: str
    at: int
    status: str = WAITING
    second: str | None = None
    second_at: int | None = None
    second_reason: str | None = None
    change: str | None = None


class Line(NamedTuple):
    """One conflict of a sweep, and the change that decided it."""

    conflict: str
    record: str
    bucket: str
    change: str


class Sweep(NamedTuple):
    """Many conflicts that somebody decided at once."""

    id: str
    by: str
    at: int
    scope: dict[str, Any]
    rule: str
    reason: str
    lines: tuple[Line, ...]
    undone: int | None = None


def add(conn: Connection, one: Proposal) -> None:
    values = one._asdict() | {"seen": _json(one.seen), "value": _json(one.value)}
    conn.execute(tables_desk.proposals.insert().values(values))


def get(conn: Connection, id: str) -> Proposal | None:
    found = conn.execute(select(tables_desk.proposals).where(tables_desk.proposals.c.id == id)).first()
    return _proposal(found) if found else None


def of_conflicts(conn: Connection, conflicts: Sequence[str]) -> list[Proposal]:
    """Everything that was ever proposed for these conflicts, oldest first."""
    t = tables_desk.proposals
    rows = [row for some in _slices(conflicts) for row in conn.execute(select(t).where(t.c.conflict.in_(some)))]
    return sorted((_proposal(row) for row in rows), key=lambda one: (one.at, one.id))


def waiting(conn: Connection) -> list[Proposal]:
    """What waits for a second person, oldest first."""
    t = tables_desk.proposals
    return [_proposal(row) for row in conn.execute(select(t).where(t.c.status == WAITING).order_by(t.c.at, t.c.id))]


def settle(conn: Connection, id: str, status: str, second: str, at: int, reason: str, change: str | None) -> None:
    t = tables_desk.proposals
    told = {"status": status, "second": second, "second_at": at, "second_reason": reason, "change": change}
    conn.execute(update(t).where(t.c.id == id).values(told))


def add_sweep(conn: Connection, one: Sweep) -> None:
    values = one._asdict() | {"scope": _json(one.scope), "lines": _told(one.lines)}
    conn.execute(tables_desk.sweeps.insert().values(values))


def set_lines(conn: Connection, id: str, lines: Sequence[Line]) -> None:
    t = tables_desk.sweeps
    conn.execute(update(t).where(t.c.id == id).values(lines=_told(lines)))


def sweep(conn: Connection, id: str) -> Sweep | None:
    found = conn.execute(select(tables_desk.sweeps).where(tables_desk.sweeps.c.id == id)).first()
    return _sweep(found) if found else None


def sweeps(conn: Connection, limit: int) -> list[Sweep]:
    """The newest sweeps."""
    t = tables_desk.sweeps
    return [_sweep(row) for row in conn.execute(select(t).order_by(t.c.at.desc(), t.c.id.desc()).limit(limit))]


def undone(conn: Connection, id: str, at: int) -> None:
    t = tables_desk.sweeps
    conn.execute(update(t).where(t.c.id == id).values(undone=at))


def _proposal(row: Any) -> Proposal:
    values = dict(row._mapping)
    return Proposal(**values | {"seen": tuple(orjson.loads(values["seen"])), "value": orjson.loads(values["value"])})


def _sweep(row: Any) -> Sweep:
    values = dict(row._mapping)
    lines = tuple(Line(*one) for one in orjson.loads(values["lines"]))
    return Sweep(**values | {"scope": orjson.loads(values["scope"]), "lines": lines})


def _told(lines: Sequence[Line]) -> str:
    return _json([list(line) for line in lines])


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
