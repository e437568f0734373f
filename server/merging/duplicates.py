"""Likely duplicates among institutions: found as records come in, shown with reasons, merged or told apart by staff.

    log of changes → records that changed since the last run → compared with all (`server.merging.twins`) → pairs kept

A merge is the ordinary one (`server.merging.decisions.merge`): both ids lead to one record for ever, what differs becomes a conflict, and
it is taken back like any decision. "Not the same" is remembered and the pair is not shown again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from schemas.kinds.institution import Institution as Kind
from schemas.labels import Label
from server.access.policy import Sight
from server.instance import Instance
from server.merging import decisions, twins
from server.merging.twins import Institution
from server.sequencer import Outcome
from server.storage import conflicts, facts, journal
from server.storage import twins as rows_of
from server.storage.conflicts import Row
from server.storage.database import Connection
from server.storage.projections import axes_of
from server.storage.twins import APART, OPEN, Mark, Twins
from sync.core.errors import NotFound, Refused
from sync.core.fold import State
from sync.core.rules import Rights

KIND = Kind.kind
LEAF = "twins_leaf"
MOST = 500
PAGE = 50
_AT_ONCE = 50_000


class Page(NamedTuple):
    """Pairs, and where the next page begins."""

    pairs: list[Twins]
    after: Mark | None


class Difference(NamedTuple):
    """A field on which two records differ: path, and the live values on each side."""

    path: str
    one: list[Any]
    other: list[Any]
    same: bool


def catch_up(house: Instance, everything: bool = False) -> int:
    """Compare what changed since the last run, or everything, with all institutions; returns the number of pairs found."""
    with house.database.read() as conn:
        newest = journal.newest_leaf(conn, "")
        last = -1 if everything else int(facts.get(conn, LEAF) or -1)
        touched = _touched(conn, last)
        if touched is not None and not touched:
            return 0
        known = _institutions(house, conn)
        about = None if last < 0 or touched is None else {one.record for one in known if one.record in touched}
        told = [twins.tell(one) for one in known] if about is None or about else []
    found = [_kept(pair, house.now()) for pair in twins.alike(told, about)]
    with house.database.write() as conn:
        if about is None or touched:
            rows_of.keep(conn, None if about is None else touched, found)
        facts.put(conn, LEAF, str(newest))
    return len(found)


def waiting(house: Instance, sight: Sight, apart: bool = False) -> list[Twins]:
    """Pairs in sight, the most alike first; with `apart`, those that somebody said are two."""
    return page(house, sight, apart, size=MOST).pairs


def page(house: Instance, sight: Sight, apart: bool = False, after: Mark | None = None, size: int = PAGE) -> Page:
    """A page of the same."""
    with house.database.read() as conn:
        found = rows_of.waiting(conn, sight.prefixes(), APART if apart else OPEN, size + 1, after)
        away = journal.roots(conn, {id for pair in found for id in (pair.one, pair.other)})
    last = found[size - 1] if len(found) > size else None
    pairs = [pair for pair in found[:size] if pair.one not in away and pair.other not in away]
    return Page(pairs, Mark(last.score, last.one, last.other) if last is not None else None)


def pair_of(house: Instance, conn: Connection, sight: Sight, one: str, other: str) -> tuple[State, State, Twins | None]:
    """Two institutions that are in sight. Raises NotFound."""
    states = decisions.merged(conn, [one, other])
    for id in (one, other):
        areas = states[id].live.get("area", {}).values() if id in states else ()
        if id not in states or states[id].kind != KIND or not all(sight.covers(str(area)) for area in areas) or not areas:
            raise NotFound(what=id)
    if states[one].record == states[other].record:
        raise Refused(detail=Label("两条已合并", "the two are merged already"))
    return states[one], states[other], rows_of.get(conn, *sorted((one, other)))


def differences(one: State, other: State) -> list[Difference]:
    """Every field of the two, those that differ first."""
    order = {name: number for number, name in enumerate(Kind.fields_by_name())}
    paths = sorted({*one.live, *other.live}, key=lambda path: (order.get(path.partition("/")[0], 999), path))
    found = []
    for path in paths:
        mine, theirs = (list(state.live.get(path, {}).values()) for state in (one, other))
        found.append(Difference(path, mine, theirs, mine == theirs))
    return sorted(found, key=lambda difference: difference.same)


def apart(house: Instance, sight: Sight, one: str, other: str, *, person: str, reason: str, back: bool = False) -> None:
    """Remember that two institutions are not the same; `back` forgets it."""
    first, second = sorted((one, other))
    with house.database.write() as conn:
        pair_of(house, conn, sight, one, other)
        if rows_of.get(conn, first, second) is None:
            raise NotFound(what=f"{one} + {other}")
        rows_of.say(conn, first, second, OPEN if back else APART, person, house.now(), reason)


def merge(
    house: Instance, sight: Sight, survivor: str, other: str, *, reason: str, person: str, rights: Rights
) -> Outcome:
    """Say that two institutions in sight are one; `survivor` keeps its id."""
    with house.database.read() as conn:
        pair_of(house, conn, sight, survivor, other)
    return decisions.merge(house.desk, survivor, other, reason=reason, by=[person], rights=rights)


def open_on(conn: Connection, state: State) -> list[Row]:
    """What waits at the merge desk for a record."""
    return [row for row in conflicts.of_records(conn, [state.record]) if row.status != "resolved"]


def _touched(conn: Connection, last: int) -> set[str] | None:
    """The records that changed after a leaf; None where there are so many that everything is compared."""
    found = journal.since(conn, "", last, _AT_ONCE)
    return None if len(found) == _AT_ONCE else {one.record for one in found}


def _institutions(house: Instance, conn: Connection) -> list[Institution]:
    lat, lon = axes_of("place")
    return [
        Institution(
            row["record"],
            row["name"] or "",
            row["area"] or "",
            row["credit_code"] or "",
            row["permit_number"] or "",
            row["address"] or "",
            row[lat],
            row[lon],
            row["phone"] or "",
            row["legal_representative"] or "",
        )
        for row in house.projections.rows(conn, KIND)
    ]


def _kept(pair: twins.Alike, now: int) -> Twins:
    return Twins(pair.one.record, pair.other.record, pair.one.area, pair.other.area, pair.score, pair.reasons, now)


