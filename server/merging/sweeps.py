"""A sweep: many conflicts decided at once by one rule, for a record, a tablet or a day. Planned, shown, carried out, undone.

A plan says for each conflict what would stand and why, or why it is left alone; carrying it out decides exactly what was
shown: what changed since is left open. Fields that take two people are proposed, not decided. Everything that one sweep
decided is taken back at once, or one by one like any decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, NamedTuple

from schemas.base import DESK_ROLES
from schemas.labels import Label
from server.access.policy import Sight
from server.instance import Instance
from server.merging import backlog, decisions, proposals
from server.merging.backlog import Filter
from server.merging.decisions import Choice
from server.storage import conflicts, journal
from server.storage import proposals as rows_of
from server.storage.conflicts import Row
from server.storage.database import Connection
from server.storage.people import Person
from server.storage.proposals import Line, Sweep
from sync.core.errors import InvalidField, NotFound, Refused, Stale
from sync.core.fold import State
from sync.core.rules import Rights

MOST = 500
"""Conflicts in one sweep; those that are left are there for the next one."""
AT_ONCE = 50
"""Records decided in one transaction: whoever pushes meanwhile does not wait long."""

RULES: Mapping[str, Label] = {
    "newest": Label("以较晚填写的为准", "What was written last stands"),
    "oldest": Label("以较早填写的为准", "What was written first stands"),
    "desk": Label("以机关填写的为准", "What the office wrote stands"),
    "tablet": Label("以这台平板的为准", "What this tablet wrote stands"),
    "others": Label("以其他人的为准", "What the others wrote stands"),
    "admit": Label("全部采纳搁置的修改", "Let all kept changes in"),
    "close": Label("全部不予采纳", "Leave all kept changes out"),
}
"""Rule → what it says. The last two are for kept changes, the others for values."""
ON_KEPT = frozenset({"admit", "close"})
OF_A_TABLET = frozenset({"tablet", "others"})


class Planned(NamedTuple):
    """A conflict in a plan.

    values  candidate → its value on the path; empty for kept changes
    take    the candidate whose value stands
    why     why it is left alone; None where it is decided
    second  it is proposed to a second person
    """

    row: Row
    values: dict[str, Any]
    take: str | None
    why: Label | None
    second: bool

    @property
    def ticket(self) -> str:
        return decisions.ticket(self.row)


class Done(NamedTuple):
    """What became of a sweep: conflicts decided, proposed to a second person, and left open because they had changed."""

    sweep: str
    decided: int
    proposed: int
    left: int


def plan(house: Instance, sight: Sight, scope: Filter, rule: str, tickets: Sequence[str] | None = None) -> list[Planned]:
    """What a rule would do. Of `tickets` only these, which are left out where they do not fit any more."""
    if rule not in RULES:
        raise InvalidField(field="rule", detail=Label("没有这种规则", "there is no such rule"))
    rows = backlog.page(house, sight, scope, size=MOST).rows
    if tickets is not None:
        asked = set(tickets)
        rows = [row for row in rows if decisions.ticket(row) in asked]
    with house.database.read() as conn:
        states = decisions.merged(conn, [row.record for row in rows])
        devices = journal.devices(conn, {change for row in rows for change in row.candidates})
        return [_planned(house, conn, row, states.get(row.record), devices, scope.device, rule) for row in rows]


def carry_out(
    house: Instance,
    sight: Sight,
    scope: Filter,
    rule: str,
    tickets: Sequence[str],
    *,
    reason: str,
    person: Person,
    rights: Rights,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Done:
    """Decide what a plan showed, by the tickets that it showed."""
    id = house.keys.new_id(house.now())
    planned = [one for one in plan(house, sight, scope, rule, tickets) if one.why is None]
    lines: list[Line] = []
    proposed = 0
    records = [list(group) for _, group in groupby(sorted(planned, key=lambda one: one.row.record), lambda one: one.row.record)]
    for start in range(0, len(records), AT_ONCE):
        with house.database.write() as conn:
            for group in records[start : start + AT_ONCE]:
                done, waiting = _carry(conn, house, group, rule, id, reason, person, rights)
                lines += done
                proposed += waiting
            if start == 0:
                rows_of.add_sweep(conn, Sweep(id, person.id, house.now(), _told(scope), rule, reason, ()))
            rows_of.set_lines(conn, id, lines)
        progress(min(start + AT_ONCE, len(records)), len(records))
    return Done(id, len(lines), proposed, len(tickets) - len(lines) - proposed)


def undo(house: Instance, sight: Sight, id: str, *, reason: str, person: Person, rights: Rights) -> int:
    """Take a sweep back; returns the number of decisions taken back. What was taken back before stays so."""
    sweep = find(house, sight, id)
    if sweep.undone is not None:
        raise Refused(detail=Label("这批裁决已经撤销", "this sweep was taken back already"))
    by_record = {line.record: line for line in sweep.lines}
    count = 0
    records = sorted(by_record)
    for start in range(0, len(records), AT_ONCE):
        with house.database.write() as conn:
            for record in records[start : start + AT_ONCE]:
                mine = sorted({line.change for line in sweep.lines if line.record == record})
                standing = {row.decision for row in conflicts.of_records(conn, [record]) if row.status == "resolved"}
                mine = [change for change in mine if change in standing]
                if mine:
                    decisions.withdraw_within(
                        conn, house.desk, record, mine, reason=reason, by=[person.id], rights=rights
                    )
                    count += sum(line.change in mine for line in sweep.lines)
            if start + AT_ONCE >= len(records):
                rows_of.undone(conn, id, house.now())
    return count


def find(house: Instance, sight: Sight, id: str) -> Sweep:
    """A sweep all of which is in sight. Raises NotFound."""
    with house.database.read() as conn:
        sweep = rows_of.sweep(conn, id)
        if sweep is None or not _covered(house, conn, sight, sweep):
            raise NotFound(what=id)
        return sweep


def recent(house: Instance, sight: Sight, limit: int = 20) -> list[Sweep]:
    """The newest sweeps in sight."""
    with house.database.read() as conn:
        found = rows_of.sweeps(conn, limit * 5)
        return list(islice((one for one in found if one.lines and _covered(house, conn, sight, one)), limit))


def _covered(house: Instance, conn: Connection, sight: Sight, sweep: Sweep) -> bool:
    """Whether all of a sweep is in sight, where its records lie now."""
    asked = backlog.wanted(house, conn, sight, backlog.EVERYTHING)
    if not all(backlog.covers(asked, line.bucket) for line in sweep.lines):
        return False
    rows = conflicts.named(conn, [line.conflict for line in sweep.lines])
    return all(backlog.covers(asked, row.bucket, row.record_kind) for row in rows)


# --- How it is done ---------------------------------------------------------------------------------------------


def _planned(
    house: Instance,
    conn: Connection,
    row: Row,
    state: State | None,
    devices: Mapping[str, tuple[str, str]],
    device: str,
    rule: str,
) -> Planned:
    second = proposals.needed(house.registry, conn, row) is not None
    if row.kind != "values":
        why = None
        if row.kind == "delete_edit":
            why = Label("删改冲突须逐条裁决", "a deletion is decided one by one")
        elif rule not in ON_KEPT:
            why = Label("搁置的修改用“采纳”或“不予采纳”", "kept changes are let in or left out")
        return Planned(row, {}, None, why, second and rule == "admit")
    live = {id: value for id, value in (state.live.get(row.path, {}) if state else {}).items() if id in row.candidates}
    if rule in ON_KEPT:
        return Planned(row, live, None, Label("取值不同，须选定一个", "different values: one has to be chosen"), second)
    take, why = _chosen(state, live, devices, device, rule)
    return Planned(row, live, take, why, second)


def _chosen(
    state: State | None, live: Mapping[str, Any], devices: Mapping[str, tuple[str, str]], device: str, rule: str
) -> tuple[str | None, Label | None]:
    """The candidate that a rule singles out, or why it does not."""
    if state is None or not live:
        return None, Label("已无待选的值", "nothing is left to choose from")
    if rule in ("newest", "oldest"):
        order = sorted(live, key=lambda change: (state.acts[change].hlc, change))
        return (order[-1] if rule == "newest" else order[0]), None
    fits: Callable[[str], bool] = {
        "desk": lambda change: devices.get(change, ("", ""))[1] in DESK_ROLES,
        "tablet": lambda change: devices.get(change, ("", ""))[0] == device,
        "others": lambda change: devices.get(change, ("", ""))[0] != device,
    }[rule]
    found = [change for change in sorted(live) if fits(change)]
    distinct = {decisions.canonical(live[change]) for change in found}
    if len(distinct) == 1:
        return found[0], None
    none = Label("没有符合规则的值", "no value fits the rule")
    return None, none if not found else Label("符合规则的值不止一个", "more than one value fits the rule")


def _carry(
    conn: Connection,
    house: Instance,
    group: Sequence[Planned],
    rule: str,
    sweep: str,
    reason: str,
    person: Person,
    rights: Rights,
) -> tuple[list[Line], int]:
    """Decide the conflicts of one record: one change for all values, one for each sort of kept changes."""
    who: dict[str, Any] = {"reason": reason, "by": [person.id], "rights": rights}
    proposed = 0
    values: list[Planned] = []
    lines: list[Line] = []
    for one in group:
        try:
            row = decisions.found(conn, one.ticket)
            if row.status == "resolved":
                continue
            if one.second:
                do = "resolve" if one.row.kind == "values" else "admit"
                proposals.propose_within(conn, house, one.ticket, do=do, take=one.take, reason=reason, person=person)
                proposed += 1
            elif one.row.kind == "values":
                values.append(one)
            else:
                outcome = decisions.wait_no_more(conn, house.desk, rule, row.candidates, sweep=sweep, **who)
                lines.append(Line(row.id, row.record, row.bucket, outcome.id))
        except Stale:
            continue
    if values:
        choices = [Choice(one.ticket, one.take) for one in values]
        outcome = decisions.settle_within(conn, house.desk, choices, sweep=sweep, **who)
        lines += [Line(one.row.id, one.row.record, one.row.bucket, outcome.id) for one in values]
    return lines, proposed


def _told(scope: Filter) -> dict[str, Any]:
    return {name: value for name, value in scope._asdict().items() if value not in ("", None)}
