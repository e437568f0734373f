"""The only sequencer and the only automatic merger: changes in, merged records, positions and log leaves out.

One call is one transaction. Everything that has meaning is decided by `sync.core`; this module reads what the decision
needs, keeps the merged records of the batch in memory, and writes the outcome once, feed positions last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schemas.base import COMPARTMENTS, RecordSchema
from schemas.registry import Registry
from server.keys import ServerKeys, Voice
from server.merging.weights import rank
from server.storage import blobs, conflicts, journal, merkle, states
from server.storage.database import Connection
from server.storage.journal import Kept
from server.storage.projections import Projections
from server.storage.states import Placed, Stored
from sync.core import clock
from sync.core.change import START, Change, Link, compose, signature_input
from sync.core.fold import (
    Conflict,
    Entry,
    State,
    Status,
    absorb,
    checksum,
    conflicts_of,
    contested,
    deleted,
    fold,
    values_of,
)
from sync.core.rules import SYSTEM, Disposition, Facts, Rights, dispose, settle

RightsAt = Callable[[int], Rights]  # at a time in milliseconds

EVERYWHERE = Rights(SYSTEM, ("",), within=dict.fromkeys(COMPARTMENTS, ("",)))

_LEAF, _ID, _DEVICE = (journal.COLUMNS.index(name) for name in ("leaf", "id", "device"))


class Arrival(NamedTuple):
    """A change at the door, with its place in its replica's chain. `refused` was found before the records were read."""

    change: Change
    link: Link
    chain: str
    device: str
    rights: RightsAt
    refused: Disposition | None = None


class Outcome(NamedTuple):
    """What became of one arrival."""

    id: str
    duplicate: bool
    status: Status
    reason: str
    field: str
    detail: object  # a Label, empty where accepted
    record: str
    rev: int
    placed: Placed | None
    leaf: int
    sent: str  # the record id as it was sent


@dataclass
class Written:
    """The outcomes in the order of the arrivals, and the new leaves of those that were not known."""

    outcomes: list[Outcome]
    before: int  # log size before this batch
    leaves: list[str]  # ids of the new changes in log order
    frontier: list[bytes]
    checkpoint: str  # signed over exactly the arrivals' leaves, before any change that the server adds


@dataclass
class _Record:
    """A merged record while its batch is being decided."""

    state: State | None
    stored: Stored | None
    bucket: str | None = None
    touched: bool = False
    entries: list[Entry] = field(default_factory=list)


class Sequencer:
    """Applies changes of one compartment (that of `voice`) inside a write transaction that the caller opened."""

    def __init__(self, conn: Connection, registry: Registry, projections: Projections, voice: Voice, now: int) -> None:
        self.conn, self.registry, self.projections, self.voice, self.now = conn, registry, projections, voice, now
        self.log = voice.compartment
        self._records: dict[str, _Record] = {}
        self._roots: dict[str, str] = {}
        self._rows: list[tuple[object, ...]] = []
        self._data: list[bytes] = []
        self._edges: list[tuple[str, str]] = []
        self._early: set[str] = set()
        self._new: dict[str, Entry] = {}
        self._by_record: dict[str, list[Entry]] = {}
        self._merged_away: dict[str, str] = {}
        self._decisions: dict[str, str] = {}
        self._last_own: Arrival | None = None
        self._facts = Facts(
            lambda digests: blobs.missing(conn, digests), lambda ids: self._values("officer", ids), self._values
        )

    def apply(self, arrivals: Sequence[Arrival]) -> Written:
        """Decide, merge and keep. Known changes come back as duplicates and alter nothing."""
        known = journal.known(self.conn, {a.change.id for a in arrivals})
        before = merkle.size(self.conn, self.log)
        frontier = merkle.frontier(self.conn, self.log, before)
        self._load({a.change.record for a in arrivals if a.change.id not in known})
        self._early = journal.replaced_before_arrival(
            self.conn, [a.change.id for a in arrivals if a.change.id not in known]
        )
        settled: list[tuple[Arrival, Kept | None, Disposition | None]] = []
        for arrival in arrivals:
            held = known.get(arrival.change.id)
            twin = self._new.get(arrival.change.id)
            if held is None and twin is not None:
                same = twin.change.hash == arrival.change.hash  # the same line twice in one batch
                settled.append((arrival, None, None) if same else self._collide(arrival, before))
            elif held is None:
                settled.append((arrival, None, self._take(arrival, before)))
            elif held.hash == arrival.change.hash and held.log == self.log:
                settled.append((arrival, held, None))
            else:
                settled.append(self._collide(arrival, before))
        mine = len(self._data)
        checkpoint = self._append(mine)
        leaves = [str(row[_ID]) for row in self._rows]
        self._settle_by_rule(before)
        if len(self._data) > mine:
            merkle.append(self.conn, self.log, self._data[mine:])
        placed = self._write()
        return Written(self._outcomes(settled, placed), before, leaves, frontier, checkpoint)

    # --- deciding ----------------------------------------------------------------------------------------------------

    def _take(self, arrival: Arrival, before: int) -> Disposition:
        change = arrival.change
        if arrival.link.replica == self.voice.replica:
            self._last_own = arrival
        record = self._record(change.record)
        stamp, skewed = clock.effective(change.hlc, self.now)
        rights = arrival.rights(self.now if skewed else clock.wall_ms(stamp))
        schema = self.registry.get(change.kind)
        others = self._others(change) if change.decision is not None else ()
        disposition = arrival.refused or dispose(change, schema, record.state, rights, self._facts, others)
        entry = Entry(change, disposition.status, disposition.reason, rights.role, stamp if skewed else "")
        self._keep(arrival, entry, disposition, before)
        if disposition.reason != "not-a-change":
            self._merge(entry)
        return disposition

    def _collide(self, arrival: Arrival, before: int) -> tuple[Arrival, Kept | None, Disposition | None]:
        """An id that is already taken by other content: kept under a name of its own, never written over."""
        disposition = Disposition("quarantined", "id-collision", "id")
        renamed = _renamed(arrival.change)
        kept = journal.known(self.conn, [renamed]).get(renamed)
        if kept is not None:
            return arrival, kept, None
        if renamed not in self._new:
            entry = Entry(arrival.change, disposition.status, "not-a-change", "")
            self._keep(arrival, entry, disposition._replace(reason="not-a-change"), before, id=renamed)
        return arrival, None, disposition

    def _keep(
        self, arrival: Arrival, entry: Entry, disposition: Disposition, before: int, id: str | None = None
    ) -> None:
        change, link = arrival.change, arrival.link
        id = id or change.id
        self._rows.append(
            (
                self.log,
                before + len(self._data),
                id,
                change.hash,
                link.replica,
                link.n,
                arrival.chain,
                link.signature,
                arrival.device,
                change.record,
                change.kind,
                change.content,
                entry.status,
                entry.reason,
                disposition.field,
                entry.role,
                entry.stamp,
                self.now,
            )
        )
        self._data.append(change.hash)
        self._new[id] = entry
        if change.replaces:
            for written in change.set.values():
                for parent in written["parents"]:
                    self._names(parent, id)
        for target in change.targets:
            self._names(target, id)

    def _names(self, older: str, id: str) -> None:
        """Remember that a change names an older one: should that still arrive, only a fold can tell what counts."""
        self._edges.append((older, id))
        self._early.add(older)

    def _merge(self, entry: Entry) -> None:
        change = entry.change
        root = self._roots.get(change.record, change.record)
        record = self._record(change.record)
        self._by_record.setdefault(change.record, []).append(entry)
        record.touched = True
        if change.decision is not None and entry.status == "accepted":
            self._decisions[root] = change.id
        if change.id not in self._early:
            base = record.state if record.state is not None else State(root, change.kind)
            if absorb(base, entry) is not None:
                record.state = base
                return
        self._refold(change)

    def _refold(self, change: Change) -> None:
        """Fold everything that was ever kept of the record and of what it was ever merged with."""
        others = self._connected_by(change) - {change.record}
        journal.insert_links(self.conn, [(change.record, other) for other in sorted(others)])
        members = journal.connected(self.conn, {change.record})
        kept = journal.entries(self.conn, members)
        waiting = [entry for member in members for entry in self._by_record.get(member, ())]
        merged = fold([*kept, *waiting])
        roots = {member: root for root, state in merged.items() for member in (root, *state.members)}
        if len(members) > 1:
            journal.set_aliases(self.conn, members, roots)
        self._load_rows([*members, *merged])
        for member in members:
            self._roots[member] = roots.get(member, member)
            if roots.get(member, member) != member:
                self._merged_away[member] = roots[member]
                self._records[member].touched = True
            else:
                self._merged_away.pop(member, None)
        for root, state in merged.items():
            record = self._records[root]
            state.rev = self._revision(members)  # of all that it ever was one thing with: a parted record goes on, too
            record.state = state
            record.touched = True

    def _revision(self, records: Iterable[str]) -> int:
        """The highest revision under which any of these records was ever sent: a merged record goes on from there."""
        stored = (self._records[record].stored for record in records if record in self._records)
        return max((one.rev for one in stored if one is not None), default=0)

    def _connected_by(self, change: Change) -> set[str]:
        """The records that a change ties to its own: by merging, or by a decision on a change kept under another."""
        found = {kept.record for kept in journal.known(self.conn, change.targets).values()}
        if change.decision is not None and change.decision["do"] == "merge":
            found.add(change.decision["other"])
        found |= {self._new[id].change.record for id in change.targets if id in self._new}
        if change.id in self._early:
            found |= journal.deciding(self.conn, change.id)
            waiting = [self._new[child].change for older, child in self._edges if older == change.id]
            found |= {one.record for one in waiting if change.id in one.targets}
        return found

    def _others(self, change: Change) -> list[State]:
        """The further records that a decision is about."""
        found = (self._record(record).state for record in sorted(self._connected_by(change) - {change.record}))
        return [state for state in found if state is not None]

    def _settle_by_rule(self, before: int) -> None:
        """Write the values that the county decides by rule as ordinary changes of the server."""
        for root, record in list(self._records.items()):
            state = record.state
            if not record.touched or state is None or root in self._merged_away:
                continue
            schema = self.registry.get(state.kind)
            if schema is None or state.plain:
                continue
            values = settle(state, schema)
            if values:
                arrival = ServerWriter(self.conn, self.voice, self.now).arrival(
                    kind=state.kind,
                    record=root,
                    values=values,
                    by=[SYSTEM],
                    schema=schema.version,
                    after=self._last_own,
                )
                self._take(arrival, before)

    def _values(self, kind: str, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Of these records, the values of those that are known and of the kind, this batch's own changes included."""
        unknown = [id for id in ids if id not in self._roots]
        self._roots |= {id: id for id in unknown} | journal.roots(self.conn, unknown)
        found = {id: self._record(id).state for id in ids}
        merge_of = self.registry[kind].merge_of
        return {
            id: {path: value for path, value in values_of(state, merge_of).items() if path not in unclear}
            for id, state in found.items()
            if state is not None and state.kind == kind and not deleted(state)
            for unclear in (contested(state, merge_of),)
        }

    # --- reading and writing -----------------------------------------------------------------------------------------

    def _load(self, records: set[str]) -> None:
        self._roots = {record: record for record in records} | journal.roots(self.conn, records)
        self._load_rows(set(self._roots.values()))

    def _load_rows(self, records: Sequence[str] | set[str]) -> None:
        missing = [record for record in records if record not in self._records]
        for record, stored in states.load(self.conn, missing).items():
            state = State.read(stored.bytes) if stored.bucket is not None else None
            self._records[record] = _Record(state, stored)
        for record in missing:
            self._records.setdefault(record, _Record(None, None))

    def _record(self, record: str) -> _Record:
        root = self._roots.get(record, record)
        if root not in self._records:
            self._load_rows([root])
        return self._records[root]

    def _append(self, count: int) -> str:
        if count:
            merkle.append(self.conn, self.log, self._data[:count])
        return merkle.checkpoint(self.conn, self.voice, self.now)

    def _write(self) -> dict[str, Placed]:
        journal.insert_changes(self.conn, self._rows)
        journal.insert_edges(self.conn, self._edges)
        blobs.mention(self.conn, [(self._new[str(row[_ID])].change, str(row[_DEVICE])) for row in self._rows])
        touched = {root: r for root, r in self._records.items() if r.touched}
        standing = {root: r.state for root, r in touched.items() if root not in self._merged_away and r.state}
        found: list[tuple[Conflict, str, str, int]] = []
        writes: list[states.Write] = []
        for root, state in standing.items():
            schema = self.registry.get(state.kind)
            state.rev += 1
            bucket = self._bucket(root, state, schema)
            content = state.dump()
            writes.append(states.Write(root, state.kind, state.rev, checksum(content), content, bucket))
            if not state.plain:
                merge_of = schema.merge_of if schema is not None else _as_scalar
                found.extend((c, state.kind, bucket, rank(c, schema)) for c in conflicts_of(state, merge_of))
        for member, root in self._merged_away.items():
            stored = self._records[member].stored
            if stored is not None:
                rev = standing[root].rev if root in standing else stored.rev + 1
                writes.append(states.Write(member, stored.kind, rev, 0, root.encode(), None))
        conflicts.keep(self.conn, found, list(standing), self._decisions, self.now)
        if self._merged_away:
            conflicts.rename(self.conn, list(self._merged_away), self.now)
            self.projections.forget(
                self.conn, [(r.stored.kind, m) for m in self._merged_away if (r := self._records[m]).stored]
            )
        self.projections.write(self.conn, standing.values())
        rows = {root: r.stored for root, r in self._records.items() if r.stored is not None and r.touched}
        return states.write(self.conn, writes, rows, self.now)

    def _bucket(self, root: str, state: State, schema: type[RecordSchema] | None) -> str:
        """Where a record belongs. One whose area nobody wrote yet stays with the device that began it."""
        if schema is not None and schema.area_field is None:
            return f"ref:{schema.kind}"
        live = state.live.get(schema.area_field or "", {}) if schema is not None else {}
        if schema is not None and live:
            newest = max(live, key=lambda c: (state.acts[c].hlc, c))
            if isinstance(live[newest], str):
                return f"{schema.bucket_sort()}:{live[newest]}"
        stored = self._records[root].stored
        if stored is not None and stored.bucket is not None:
            return states.bucket_id(self.conn, stored.bucket)
        entries = self._by_record.get(root) or [e for m in state.members for e in self._by_record.get(m, ())]
        first = next(
            (str(row[_DEVICE]) for row in self._rows if entries and row[_ID] == entries[0].change.id), "unknown"
        )
        return f"home:{first}"

    def _outcomes(
        self, settled: list[tuple[Arrival, Kept | None, Disposition | None]], placed: dict[str, Placed]
    ) -> list[Outcome]:
        leaves = {str(row[_ID]): int(str(row[_LEAF])) for row in self._rows}
        known_roots = {kept.record for _, kept, _ in settled if kept is not None}
        roots = {record: record for record in known_roots} | journal.roots(self.conn, known_roots)
        old = states.placed(self.conn, set(roots.values()))
        outcomes = []
        for arrival, kept, disposition in settled:
            id = arrival.change.id
            if kept is not None:
                root = roots[kept.record]
                rev, where = old.get(root, (0, None))
                told = (kept.status, kept.reason, kept.field, None)
                outcomes.append(Outcome(id, True, *told, root, rev, where, kept.leaf, arrival.change.record))
                continue
            root = self._roots.get(arrival.change.record, arrival.change.record)
            state = self._records[root].state if root in self._records else None
            entry = self._new.get(id)
            status = disposition.status if disposition else entry.status if entry else "quarantined"
            reason = disposition.reason if disposition else entry.reason if entry else ""
            leaf = leaves.get(_renamed(arrival.change), leaves.get(id, -1))
            outcomes.append(
                Outcome(
                    id,
                    disposition is None,
                    status,
                    reason,
                    disposition.field if disposition else "",
                    disposition.detail if disposition else None,
                    root,
                    state.rev if state else 0,
                    placed.get(root),
                    leaf,
                    arrival.change.record,
                )
            )
        return outcomes


class ServerWriter:
    """Composes the server's own changes: its replica's chain, its clock, its signature."""

    def __init__(self, conn: Connection, voice: Voice, now: int) -> None:
        self.conn, self.voice, self.now = conn, voice, now

    def arrival(
        self,
        *,
        kind: str,
        record: str,
        values: dict[str, tuple[object, list[str]]],
        by: list[str],
        schema: int,
        decision: dict[str, object] | None = None,
        rights: Rights = EVERYWHERE,
        after: Arrival | None = None,
    ) -> Arrival:
        """One change by the server's replica. `after` chains it to one that is composed but not yet kept."""
        if after is not None:
            n, prev = after.link.n + 1, after.chain
        else:
            newest = journal.last_link(self.conn, self.voice.replica)
            n, prev = (newest[0] + 1, newest[1]) if newest else (1, START)
        stamp = clock.tick(after.change.hlc if after is not None else self.voice.last_stamp, self.now)
        self.voice.last_stamp = stamp
        change = compose(
            id=ServerKeys.new_id(self.now),
            kind=kind,
            record=record,
            set=values,
            by=by,
            schema=schema,
            hlc=stamp,
            clock={"wall": self.now, "mono": 0, "boot": self.voice.replica, "off": 0},
            decision=decision,
        )
        link = Link(self.voice.replica, n, prev, b"")
        chain = link.chain(change.hash)
        link = link._replace(signature=self.voice.sign(signature_input(chain)))
        return Arrival(change, link, chain, self.voice.replica, lambda _: rights)


def _renamed(change: Change) -> str:
    """The id under which a change is kept whose own id is taken by other content."""
    return f"{change.id}~{change.hash.hex()[:16]}"


def _as_scalar(path: str) -> str:
    return "scalar"
