"""Two people on one decision: somebody proposes what is to stand, another who may confirm looks at the same and confirms.

Which fields take two is data (`second_person` of a field). The decision that comes of it is one change that names both. What
arrived between the two makes the proposal overtaken: the second person never confirms what the first has not seen.
"""

from __future__ import annotations

from typing import Any

from schemas.labels import Label
from schemas.registry import Registry
from server.access.policy import Sight
from server.instance import Instance
from server.merging import backlog, decisions
from server.sequencer import Outcome
from server.storage import conflicts, journal, people, proposals
from server.storage.conflicts import Row
from server.storage.database import Connection
from server.storage.people import Person
from server.storage.proposals import CONFIRMED, OVERTAKEN, REFUSED, WAITING, Proposal
from sync.core.errors import NotFound, Refused, Stale
from sync.core.fold import State
from sync.core.rules import Rights


def needed(registry: Registry, conn: Connection, row: Row) -> Label | None:
    """The label of the field for which a conflict takes two people; None where one decides."""
    schema = registry.get(row.record_kind)
    paths = [row.path] if row.path else sorted(journal.paths_of(conn, row.candidates))
    found = (decisions.sensitive(schema, path) for path in paths)
    return next((field.label for field in found if field is not None), None)


def propose(
    house: Instance, ticket: str, *, do: str, take: str | None = None, value: Any = None, reason: str, person: Person
) -> Proposal:
    """Propose what is to stand (`do` resolve), or that kept changes are let in (admit). The ticket says what was seen.

    :raises Stale: something joined since, or it was decided
    """
    with house.database.write() as conn:
        return propose_within(conn, house, ticket, do=do, take=take, value=value, reason=reason, person=person)


def propose_within(
    conn: Connection,
    house: Instance,
    ticket: str,
    *,
    do: str,
    take: str | None = None,
    value: Any = None,
    reason: str,
    person: Person,
) -> Proposal:
    """The same inside a write transaction that the caller opened."""
    row = decisions.found(conn, ticket)
    if row.status == "resolved":
        raise Stale(what=row.id)
    if take is not None:
        live = _live(conn, row)
        if take not in live:
            raise Stale(what=row.id)
        value = live[take]
    if do == "resolve":
        decisions.check_value(house.desk, row, value)
    new = Proposal(
        house.keys.new_id(house.now()),
        row.id,
        row.record,
        row.record_kind,
        row.bucket,
        row.path,
        do,
        row.candidates,
        value,
        reason,
        person.id,
        house.now(),
    )
    proposals.add(conn, new)
    return new


def find(house: Instance, conn: Connection, sight: Sight, id: str) -> Proposal:
    """The proposal of this id. Raises NotFound, out of sight too."""
    one = proposals.get(conn, id)
    if one is None or not _covered(house, conn, sight, [one]):
        raise NotFound(what=id)
    return one


def in_sight(house: Instance, conn: Connection, sight: Sight) -> list[Proposal]:
    """What waits for a second person and is in sight, oldest first."""
    return _covered(house, conn, sight, proposals.waiting(conn))


def _covered(house: Instance, conn: Connection, sight: Sight, given: list[Proposal]) -> list[Proposal]:
    """Those of these whose records are in sight where they lie now."""
    asked = backlog.wanted(house, conn, sight, backlog.EVERYTHING)
    rows = conflicts.named(conn, {one.conflict for one in given})
    seen = {row.id for row in rows if backlog.covers(asked, row.bucket, row.record_kind)}
    return [one for one in given if one.conflict in seen]


def confirm(house: Instance, id: str, *, person: Person, rights: Rights, reason: str = "") -> Outcome:
    """Make what was proposed the decision of two people.

    :raises Refused: by the one who proposed it, or one that does not wait any more
    :raises Stale: something joined since it was proposed, or it was decided; it counts as overtaken then
    """
    with house.database.write() as conn:
        one = _waiting(conn, id, person)
        (row,) = conflicts.named(conn, [one.conflict])
        seen = row.status != "resolved" and row.candidates == one.seen
        if seen:
            both = {"reason": one.reason, "by": [one.by, person.id], "rights": rights}
            if one.do == "resolve":
                choice = decisions.Choice(decisions.ticket(row), value=one.value)
                outcome = decisions.settle_within(conn, house.desk, [choice], **both)  # type: ignore[arg-type]
            else:
                outcome = decisions.wait_no_more(conn, house.desk, one.do, one.seen, **both)  # type: ignore[arg-type]
            proposals.settle(conn, id, CONFIRMED, person.id, house.now(), reason, outcome.id)
            return outcome
        proposals.settle(conn, id, OVERTAKEN, person.id, house.now(), reason, None)
    raise Stale(what=one.conflict)


def refuse(house: Instance, id: str, *, person: Person, reason: str) -> None:
    """Say no to what was proposed, with a reason; whoever proposed it may take it back so."""
    with house.database.write() as conn:
        one = proposals.get(conn, id)
        if one is None:
            raise NotFound(what=id)
        if one.status != WAITING:
            raise Refused(detail=Label("这项提议已有结果", "this proposal has its answer already"))
        proposals.settle(conn, id, REFUSED, person.id, house.now(), reason, None)


def names(conn: Connection, given: list[Proposal]) -> dict[str, str]:
    """Person → name, of everybody whom these proposals name."""
    ids = {id for one in given for id in (one.by, one.second) if id}
    return {id: known.name for id in ids if (known := people.person(conn, id)) is not None}


def _waiting(conn: Connection, id: str, person: Person) -> Proposal:
    one = proposals.get(conn, id)
    if one is None:
        raise NotFound(what=id)
    if one.status != WAITING:
        raise Refused(detail=Label("这项提议已有结果", "this proposal has its answer already"))
    if one.by == person.id:
        raise Refused(detail=Label("须由提出人以外的人复核", "somebody else than who proposed it confirms it"))
    return one


def _live(conn: Connection, row: Row) -> dict[str, Any]:
    state: State | None = decisions.merged(conn, [row.record]).get(row.record)
    return state.live.get(row.path, {}) if state is not None else {}
