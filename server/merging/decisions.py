"""What staff decide: resolve, undo, merge and unmerge, admit and close. Each is an ordinary change of the server's replica.

A decision names exactly what the person saw. What arrived meanwhile is not named, stays live, and keeps the conflict
open; no decision can swallow it. Undoing withdraws the decision; the values that it had replaced are live again.

A field with `second_person` takes two people: the change of such a decision names both. Taking one back takes one
person, because it decides nothing: the question is open again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from schemas.base import Invalid, RecordSchema
from schemas.fields import RecordField
from schemas.labels import Label
from schemas.registry import Registry
from server.keys import ServerKeys
from server.sequencer import EVERYWHERE, Arrival, Outcome, Sequencer, ServerWriter, Written
from server.storage import conflicts, journal, states
from server.storage.conflicts import Row
from server.storage.database import Clock, Connection, Database
from server.storage.projections import Projections
from sync.core.change import Change, canonical
from sync.core.errors import InvalidField, NotFound, Refused, SecondPersonNeeded, Stale
from sync.core.fold import State, contested
from sync.core.rules import Rights


@dataclass(frozen=True)
class Desk:
    """Everything that a decision needs; the composition root makes one."""

    database: Database
    registry: Registry
    projections: Projections
    keys: ServerKeys
    now: Clock


class Choice(NamedTuple):
    """What is to stand where a conflict was: the value of the candidate `take`, else `value`.

    `conflict` is a ticket: with it the choice names what its author saw.
    """

    conflict: str
    take: str | None = None
    value: Any = None


class Candidate(NamedTuple):
    """One of the values (or kept changes) that a conflict asks about, with its history."""

    change: str
    values: dict[str, Any]  # path → value
    base: dict[str, list[Any]]  # path → the values that its author saw and replaced
    by: list[str]
    role: str
    device: str
    device_time: int  # milliseconds by the tablet's clock
    offset: int  # what the tablet knew of its clock's error, milliseconds
    received: int  # milliseconds by the server's clock
    status: str
    reason: str


class Shown(NamedTuple):
    """A conflict as the person sees it."""

    conflict: Row
    candidates: list[Candidate]
    state: State | None


def write(
    desk: Desk,
    kind: str,
    record: str | None,
    values: Mapping[str, Any],
    *,
    by: Sequence[str],
    rights: Rights = EVERYWHERE,
    decision: dict[str, Any] | None = None,
) -> Outcome:
    """Write one change at the desk; its parents are the values live now. Raises InvalidField for a refused value."""
    return write_many(desk, kind, [(record, values)], by=by, rights=rights, decision=decision)[0]


def write_seen(
    desk: Desk,
    kind: str,
    record: str,
    values: Mapping[str, Any],
    seen: Mapping[str, Collection[str]],
    *,
    by: Sequence[str],
    rights: Rights = EVERYWHERE,
) -> Outcome:
    """Write one change over the values that somebody looked at: path → the ids of their changes.

    Raises Stale, naming the first path, where another value has come since; InvalidField for a refused value.
    """
    with desk.database.write() as conn:
        return write_seen_within(conn, desk, kind, record, values, seen, by=by, rights=rights)


def write_seen_within(
    conn: Connection,
    desk: Desk,
    kind: str,
    record: str,
    values: Mapping[str, Any],
    seen: Mapping[str, Collection[str]],
    *,
    by: Sequence[str],
    rights: Rights = EVERYWHERE,
) -> Outcome:
    """The same inside a write transaction that the caller opened."""
    state = merged(conn, [record]).get(record)
    for path in values:
        if set(state.ids(path) if state else ()) != set(seen.get(path, ())):
            raise Stale(what=path)
    return write_within(conn, desk, kind, [(record, values)], by=by, rights=rights)[0]


def write_many(
    desk: Desk,
    kind: str,
    acts: Sequence[tuple[str | None, Mapping[str, Any]]],
    *,
    by: Sequence[str],
    rights: Rights = EVERYWHERE,
    decision: dict[str, Any] | None = None,
) -> list[Outcome]:
    """Write several changes of one kind in one transaction: (record or None for a new one, path → value) each."""
    with desk.database.write() as conn:
        return write_within(conn, desk, kind, acts, by=by, rights=rights, decision=decision)


def write_within(
    conn: Connection,
    desk: Desk,
    kind: str,
    acts: Sequence[tuple[str | None, Mapping[str, Any]]],
    *,
    by: Sequence[str],
    rights: Rights = EVERYWHERE,
    decision: dict[str, Any] | None = None,
) -> list[Outcome]:
    """The same inside a write transaction that the caller opened, for what has to happen together or not at all."""
    schema = desk.registry.get(kind)
    if schema is None:
        raise NotFound(what=kind)
    now = desk.now()
    voice = desk.keys.voice(schema.compartment)
    writer = ServerWriter(conn, voice, now)
    live = merged(conn, [record for record, _ in acts if record is not None])
    arrivals: list[Arrival] = []
    for record, values in acts:
        state = live.get(record or "")
        if state is not None:
            require_second(desk, kind, set(values) & set(contested(state, schema.merge_of)), by)
        parents = {path: (value, state.ids(path) if state else []) for path, value in values.items()}
        arrivals.append(
            writer.arrival(
                kind=kind,
                record=record or desk.keys.new_id(now),
                values=parents,
                by=list(by),
                schema=schema.version,
                decision=decision,
                rights=rights,
                after=arrivals[-1] if arrivals else None,
            )
        )
    written = Sequencer(conn, desk.registry, desk.projections, voice, now).apply(arrivals)
    return _accepted(written)


def show(desk: Desk, prefix: str) -> Shown:
    """One conflict, by the beginning of its id. Raises NotFound when none or several begin so."""
    with desk.database.read() as conn:
        row = found(conn, prefix)
        history = {
            change.id: (change, kept, received)
            for change, kept, received in journal.history(conn, journal.connected(conn, {row.record}))
        }
        state = merged(conn, [row.record]).get(row.record)
        devices = journal.devices(conn, list(row.candidates))
        shown = []
        for id in row.candidates:
            if id not in history:
                continue
            change, kept, received = history[id]
            paths = [row.path] if row.path in change.set else list(change.set)
            facts = change.body["clock"]
            shown.append(
                Candidate(
                    id,
                    {path: change.value(path) for path in paths},
                    {
                        path: [
                            history[p][0].value(path)
                            for p in change.parents(path)
                            if p in history and path in history[p][0].set
                        ]
                        for path in paths
                    },
                    change.by,
                    devices.get(id, ("", ""))[1],
                    devices.get(id, ("", ""))[0],
                    int(facts.get("wall", 0)),
                    int(facts.get("off", 0)),
                    received,
                    kept.status,
                    kept.reason,
                )
            )
        return Shown(row, shown, state)


def resolve(
    desk: Desk,
    prefix: str,
    *,
    take: str | None = None,
    value: Any = None,
    seen: Sequence[str] | None = None,
    reason: str,
    by: Sequence[str],
    rights: Rights = EVERYWHERE,
) -> Outcome:
    """Settle a conflict between values: `take` the value of one candidate, or give another `value`.

    `prefix` is the conflict's ticket, or its id with `seen`, the change ids that the person looked at. Raises Stale when
    something joined since or none of them is live any more, NotFound for an unknown candidate, Refused without either
    or for a conflict that is admitted or closed instead.
    """
    with desk.database.write() as conn:
        choice = Choice(prefix, take, value)
        return settle_within(conn, desk, [choice], seen=seen, reason=reason, by=by, rights=rights)


def settle_within(
    conn: Connection,
    desk: Desk,
    choices: Sequence[Choice],
    *,
    seen: Sequence[str] | None = None,
    reason: str,
    by: Sequence[str],
    rights: Rights = EVERYWHERE,
    sweep: str = "",
) -> Outcome:
    """Settle conflicts of one record in one change, inside a write transaction that the caller opened.

    `seen` goes with a single choice. The problems are those of `resolve`, and SecondPersonNeeded.
    """
    rows = [_shown(conn, choice.conflict, seen) for choice in choices]
    if len({row.record for row in rows}) != 1:
        raise Refused(detail=Label("一次只能裁决同一条记录", "decide on one record at a time"))
    record = rows[0].record
    state = merged(conn, [record]).get(record)
    if state is None or any(row.kind not in ("values", "delete_edit") for row in rows):
        raise Refused(detail=Label("这类事项请用“采纳”或“关闭”", "admit or close this kind of conflict instead"))
    require_second(desk, state.kind, [row.path for row in rows], by)
    values: dict[str, tuple[Any, list[str]]] = {}
    for row, choice in zip(rows, choices, strict=True):
        live = state.live.get(row.path, {})
        parents = [id for id in (seen or row.candidates) if id in live]
        if row.status == "resolved" or not parents:
            raise Stale(what=row.id)
        value = choice.value
        if choice.take is not None:
            chosen = [id for id in live if id.startswith(choice.take)]
            if len(chosen) != 1:
                raise NotFound(what=choice.take)
            value = live[chosen[0]]
        values[row.path] = (value, parents)
    decision: dict[str, Any] = {"do": "resolve", "conflict": rows[0].id, "reason": reason}
    if len(rows) > 1:
        decision["conflicts"] = [row.id for row in rows]
    if sweep:
        decision["sweep"] = sweep
    return _decide(desk, conn, state.kind, record, decision, by, rights, values)


def require_second(desk: Desk, kind: str, paths: Iterable[str], by: Sequence[str]) -> None:
    """Raise SecondPersonNeeded where one of these paths takes two people and fewer decide."""
    for path in paths:
        field = sensitive(desk.registry.get(kind), path)
        if field is not None and len(set(by)) < 2:
            raise SecondPersonNeeded(field=field.label)


def sensitive(schema: type[RecordSchema] | None, path: str) -> RecordField | None:
    """The field of a path if two people decide on it together, else None."""
    field = schema.field_of(path) if schema is not None and path else None
    return field if field is not None and field.second_person else None


def keep_deleted(desk: Desk, prefix: str, *, reason: str, by: Sequence[str], rights: Rights = EVERYWHERE) -> Outcome:
    """Settle a deletion that had not seen an edit by deleting again, having seen it."""
    with desk.database.write() as conn:
        row = _shown(conn, prefix, None)
        state = merged(conn, [row.record])[row.record]
        before = {id for value in state.live.get(row.path, {}).values() if value for id in value["seen"]}
        seen = sorted(before | set(row.candidates))
        value = {"seen": seen, "reason": reason}
        return _decide(
            desk,
            conn,
            state.kind,
            row.record,
            {"do": "resolve", "conflict": row.id, "reason": reason},
            by,
            rights,
            {row.path: (value, state.ids(row.path))},
        )


def undo(desk: Desk, prefix: str, *, reason: str, by: Sequence[str], rights: Rights = EVERYWHERE) -> Outcome:
    """Take back the decision that closed a conflict; what it had replaced is live again."""
    with desk.database.write() as conn:
        row = found(conn, prefix)
        if row.status != "resolved" or row.decision is None:
            raise Refused(detail=Label("这条冲突没有可撤销的裁决", "this conflict has no decision to take back"))
        return withdraw_within(conn, desk, row.record, [row.decision], reason=reason, by=by, rights=rights)


def merge(
    desk: Desk, survivor: str, other: str, *, reason: str, by: Sequence[str], rights: Rights = EVERYWHERE
) -> Outcome:
    """Say that two records are one thing. Their changes are folded together; the other id is accepted for ever."""
    with desk.database.write() as conn:
        kind = _same_kind(conn, survivor, other)
        return _decide(desk, conn, kind, survivor, {"do": "merge", "other": other, "reason": reason}, by, rights, {})


def unmerge(
    desk: Desk, survivor: str, other: str, *, reason: str, by: Sequence[str], rights: Rights = EVERYWHERE
) -> Outcome:
    """Take a merge back; both records stand for themselves again, each with its own values."""
    with desk.database.write() as conn:
        members = journal.connected(conn, {survivor})
        merges = [
            change.id
            for change, kept, _ in journal.history(conn, members)
            if kept.status == "accepted"
            and (change.decision or {}).get("do") == "merge"
            and {change.record, change.body["decision"]["other"]} == {survivor, other}
        ]
        if not merges:
            raise NotFound(what=f"{survivor} + {other}")
        return withdraw_within(conn, desk, survivor, merges, reason=reason, by=by, rights=rights)


def admit(
    desk: Desk, changes: Sequence[str], *, reason: str, by: Sequence[str], rights: Rights = EVERYWHERE
) -> Outcome:
    """Let kept changes count after all; where they meet newer values a conflict opens."""
    return _waiting(desk, "admit", changes, reason, by, rights)


def close(
    desk: Desk, changes: Sequence[str], *, reason: str, by: Sequence[str], rights: Rights = EVERYWHERE
) -> Outcome:
    """Leave kept changes out for good; they stay in the log with the reason."""
    return _waiting(desk, "close", changes, reason, by, rights)


# --- How it is done --------------------------------------------------------------------------------------------------


def _decide(
    desk: Desk,
    conn: Connection,
    kind: str,
    record: str,
    decision: dict[str, Any],
    by: Sequence[str],
    rights: Rights,
    values: dict[str, tuple[Any, list[str]]],
) -> Outcome:
    now = desk.now()
    schema = desk.registry.get(kind)
    voice = desk.keys.voice(schema.compartment if schema else "")
    arrival = ServerWriter(conn, voice, now).arrival(
        kind=kind,
        record=record,
        values=values,
        by=list(by),
        schema=schema.version if schema else 1,
        decision=decision,
        rights=rights._replace(deciding=True),
    )
    return _accepted(Sequencer(conn, desk.registry, desk.projections, voice, now).apply([arrival]))[0]


def withdraw_within(
    conn: Connection,
    desk: Desk,
    record: str,
    changes: list[str],
    *,
    reason: str,
    by: Sequence[str],
    rights: Rights = EVERYWHERE,
) -> Outcome:
    """Take decisions on a record back, inside a write transaction that the caller opened."""
    kept = journal.known(conn, changes)
    kind = next(iter(kept.values())).kind
    return _decide(desk, conn, kind, record, {"do": "withdraw", "changes": changes, "reason": reason}, by, rights, {})


def _waiting(desk: Desk, do: str, changes: Sequence[str], reason: str, by: Sequence[str], rights: Rights) -> Outcome:
    with desk.database.write() as conn:
        return wait_no_more(conn, desk, do, changes, reason=reason, by=by, rights=rights)


def wait_no_more(
    conn: Connection,
    desk: Desk,
    do: str,
    changes: Sequence[str],
    *,
    reason: str,
    by: Sequence[str],
    rights: Rights = EVERYWHERE,
    sweep: str = "",
) -> Outcome:
    """Admit or close kept changes of one record, inside a write transaction that the caller opened."""
    kept = journal.known(conn, changes)
    for id in changes:
        if id not in kept:
            raise NotFound(what=id)
        if kept[id].status == "accepted":
            raise Refused(detail=Label(f"{id} 已采纳", f"{id} is accepted already"))
        if kept[id].reason == "not-a-change":
            raise Refused(detail=Label("内容无法读取，只能保留", "it cannot be read; it can only be kept"))
    if len({kept[id].record for id in changes}) != 1:
        raise Refused(detail=Label("一次只能处理同一条记录的变更", "decide on one record at a time"))
    one = kept[changes[0]]
    if do == "admit":
        require_second(desk, one.kind, journal.paths_of(conn, changes), by)
    decision = {"do": do, "changes": list(changes), "reason": reason} | ({"sweep": sweep} if sweep else {})
    return _decide(desk, conn, one.kind, one.record, decision, by, rights, {})


def check_value(desk: Desk, row: Row, value: Any) -> None:
    """Raise InvalidField for a value that the field of a conflict does not take."""
    schema = desk.registry.get(row.record_kind)
    try:
        if schema is not None:
            schema.check_path(row.path, value)
    except Invalid as invalid:
        raise InvalidField(field=invalid.path, detail=invalid.problem) from invalid


def ticket(row: Row) -> str:
    """The conflict as it was shown: its id and a digest of its candidates. It no longer fits once a newcomer joins."""
    return f"{row.id}-{hashlib.sha256(chr(10).join(sorted(row.candidates)).encode()).hexdigest()[:6]}"


def found(conn: Connection, named: str) -> Row:
    """A conflict by its ticket, its id, or the beginning of its id. Raises NotFound, or Stale for an old ticket."""
    prefix, _, proof = named.partition("-")
    rows = conflicts.get(conn, prefix) if prefix else []
    if len(rows) != 1:
        raise NotFound(what=named)
    if proof and ticket(rows[0]) != f"{rows[0].id}-{proof}":
        raise Stale(what=rows[0].id)
    return rows[0]


def _shown(conn: Connection, named: str, seen: Sequence[str] | None) -> Row:
    """The same for a decision, which must say what the person saw."""
    if seen is None and "-" not in named:
        hint = Label(
            "请照 conflicts show 所示写全编号（含横线后的部分）", "name it as conflicts show does, dash and all"
        )
        raise Refused(detail=hint)
    return found(conn, named)


def merged(conn: Connection, records: Sequence[str]) -> dict[str, State]:
    """record → its state, also for one that was merged into another."""
    roots = {record: record for record in records} | journal.roots(conn, list(records))
    stored = states.load(conn, set(roots.values()))
    return {
        record: State.read(stored[root].bytes)
        for record, root in roots.items()
        if root in stored and stored[root].bucket is not None
    }


def _same_kind(conn: Connection, first: str, second: str) -> str:
    found = states.load(conn, [first, second])
    for id in (first, second):
        if id not in found:
            raise NotFound(what=id)
    if first == second:
        raise Refused(detail=Label("不能与自己合并", "a record cannot be merged with itself"))
    if found[first].kind != found[second].kind:
        raise Refused(detail=Label("两条记录类型不同", "the two records are of different kinds"))
    return found[first].kind


def _accepted(written: Written) -> list[Outcome]:
    for outcome in written.outcomes:
        if outcome.status != "accepted":
            raise InvalidField(field=outcome.field or outcome.reason, detail=outcome.detail or outcome.reason)
    return written.outcomes


__all__ = [
    "Candidate",
    "Change",
    "Choice",
    "Desk",
    "Shown",
    "admit",
    "canonical",
    "check_value",
    "close",
    "found",
    "keep_deleted",
    "merge",
    "merged",
    "require_second",
    "resolve",
    "sensitive",
    "settle_within",
    "show",
    "undo",
    "unmerge",
    "wait_no_more",
    "withdraw_within",
    "write",
    "write_many",
    "write_seen",
    "write_within",
]
