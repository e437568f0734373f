"""Reference server and tablet: the sync protocol in memory, with nothing but dictionaries.

The server folds its whole log after every new change and publishes each record that came out different.
Tablets push changes and pull states. Nothing here loses, repeats or delays a message: the simulation does
that (`run.py`). Left out: the hash chain and signatures, blobs, grants that change, bytes on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tests.simulation.model import (
    Change,
    Entry,
    History,
    Live,
    Status,
    change_content,
    merge_type,
)

SCHEMA = 1
"""The newest schema that the server knows; changes with a newer one are quarantined."""
STAFF = "staff"
"""Who may decide. A decision by anybody else is parked."""
OPEN_WHEN_LOCKED = ("notes",)


class Envelope(NamedTuple):
    """A change, its place in a replica's chain, and the bucket where its record is to live if it is new."""

    replica: str
    n: int
    change: Change
    bucket: int


class Acknowledgement(NamedTuple):
    """What the server did with a change, and where its record stood right after."""

    id: str
    status: Status
    root: str
    rev: int
    bucket: int
    position: int


class PushAnswer(NamedTuple):
    acknowledgements: list[Acknowledgement]
    high: int
    """The greatest number the server knows of the replica that pushed."""


class State(NamedTuple):
    """A record as merged. `rev` grows with every state that shows one of the members, across merges too."""

    root: str
    rev: int
    members: frozenset[str]
    live: Live
    deleted: bool
    conflicts: dict[str, str]
    readings: dict[str, Any]
    waiting: frozenset[str]


class Item(NamedTuple):
    """One row of a bucket's feed; without a state, the record left the bucket."""

    bucket: int
    position: int
    root: str
    state: State | None


class Cursor(NamedTuple):
    """How far a tablet has read a bucket, and the bucket's floor when it began to read from 0."""

    position: int = 0
    floor: int = 0


class Page(NamedTuple):
    items: list[Item]
    cursors: dict[int, Cursor]
    complete: bool
    contents: dict[int, dict[str, State]]
    """bucket → root → state: what a checksum over the bucket stands for, in full. Only in complete pages."""


class NewEpoch(NamedTuple):
    """The server was restored since the tablet last spoke with it."""

    epoch: int


class Forked(NamedTuple):
    """The replica's number is known with another change: the tablet's database was restored or cloned."""


class CursorGone(NamedTuple):
    """Removals that the tablet has not read were pruned from the bucket: read it again from 0."""

    bucket: int


@dataclass
class Feed:
    """One bucket: a dense counter and, for each record, its latest place only."""

    head: int = 0
    floor: int = 0
    rows: dict[str, tuple[int, bool]] = field(default_factory=dict)
    """root → (position, still here)"""

    def add(self, root: str, here: bool) -> None:
        self.head += 1
        self.rows[root] = (self.head, here)

    def compact(self, keep: int) -> None:
        """Prune the removals older than the newest `keep` positions."""
        cut = self.head - keep
        if cut > self.floor:
            self.rows = {root: row for root, row in self.rows.items() if row[1] or row[0] > cut}
            self.floor = cut


class Server:
    """The one sequencer: gives each change its status at arrival and publishes the fold of its log."""

    def __init__(self, buckets: int, history_type: type[History] = History) -> None:
        self.history_type = history_type
        self.epoch = 0
        self.log: dict[str, Entry] = {}
        self.numbers: dict[tuple[str, int], str] = {}
        self.homes: dict[str, int] = {}
        self.revs: dict[str, int] = {}
        self.placed: dict[str, int] = {}
        self.feeds = [Feed() for _ in range(buckets)]
        self.history = history_type(())
        self.states: dict[str, State] = {}
        """root → state, as far as it was asked for since anything changed"""

    def copy(self) -> Server:
        """A backup. Changes are immutable, so the log's entries are shared."""
        twin = type(self)(0)
        twin.__dict__.update(copied(self))
        twin.feeds = [replace(feed, rows=dict(feed.rows)) for feed in self.feeds]
        return twin

    # --- push

    def push(self, epoch: int, envelopes: list[Envelope]) -> PushAnswer | NewEpoch | Forked:
        if epoch != self.epoch:
            return NewEpoch(self.epoch)
        answers = []
        for envelope in envelopes:
            if not self.receive(envelope):
                return Forked()
            answers.append(self.acknowledge(envelope.change))
        numbers = (n for replica, n in self.numbers if replica == envelopes[-1].replica)
        return PushAnswer(answers, max(numbers, default=0))

    def receive(self, envelope: Envelope) -> bool:
        """Take one change in; False when its number belongs to another. A known change alters nothing."""
        change, place = envelope.change, (envelope.replica, envelope.n)
        if change["id"] in self.log:
            return True
        if place in self.numbers:
            return False
        self.numbers[place] = change["id"]
        self.homes.setdefault(change["record"], envelope.bucket)
        self.store(change, self.status_of(change))
        return True

    def status_of(self, change: Change) -> Status:
        """The status of a change that arrives now. It is stored and never computed again."""
        if change["schema"] > SCHEMA:
            return "quarantined"
        if "decision" in change:
            return "accepted" if change["by"] == [STAFF] else "parked"
        steps = self.history.live.get(self.root_of(change["record"]), {}).get("status", {})
        locked = "approved" in steps.values()
        if locked and any(path.split("/")[0] not in (*OPEN_WHEN_LOCKED, "status") for path in change["set"]):
            return "parked"
        return "parked" if "status" in change["set"] and self._is_stale(change, steps) else "accepted"

    def _is_stale(self, change: Change, steps: Mapping[str, Any]) -> bool:
        """Whether somebody has moved the status on since, and to another step than this one."""
        saw_the_present = not steps or steps.keys() & self.history.effective_parents(change, "status")
        return not saw_the_present and change["set"]["status"]["value"] not in steps.values()

    def store(self, change: Change, status: Status) -> None:
        self.log[change["id"]] = (change, status)
        self._show(self.history_type(self.log.values()), touched=change["record"])

    def acknowledge(self, change: Change) -> Acknowledgement:
        root = self.root_of(change["record"])
        bucket = self.placed[root]
        position, _ = self.feeds[bucket].rows[root]
        return Acknowledgement(
            change["id"], self.log[change["id"]][1], root, self.revs[root], bucket, position
        )

    # --- publishing

    def _show(self, new: History, touched: str) -> None:
        """Replace the fold, and publish every record that changed by it and the record that was touched."""
        old, self.history, self.states = self.history, new, {}
        for root in [root for root in self.placed if root not in new.classes]:
            self._remove(root)
        revs = dict(self.revs)
        for root, members in new.classes.items():
            if touched in members or self.differs(root, old):
                self._publish(root, self.next_rev(members, old, revs))

    def differs(self, root: str, old: History) -> bool:
        """Whether a record came out different: a decision on one record can change what another shows."""
        new = self.history
        return (
            old.classes.get(root) != new.classes[root]
            or old.live[root] != new.live[root]
            or old.waiting[root] != new.waiting[root]
        )

    def next_rev(self, members: frozenset[str], old: History, revs: Mapping[str, int]) -> int:
        """One more than any state that ever showed one of the members: no tablet takes an old one for new."""
        shown_with = {other for member in members for other in old.classes.get(old.roots.get(member, ""), ())}
        return 1 + max(revs.get(member, 0) for member in members | shown_with)

    def _publish(self, root: str, rev: int) -> None:
        members = self.history.classes[root]
        self.revs.update(dict.fromkeys(members, rev))
        bucket = self._home(root)
        if self.placed.get(root, bucket) != bucket:
            self._remove(root)
        self.placed[root] = bucket
        self.feeds[bucket].add(root, here=True)
        self.states.pop(root, None)

    def _remove(self, root: str) -> None:
        self.feeds[self.placed.pop(root)].add(root, here=False)

    def _home(self, root: str) -> int:
        """The root's own bucket; until a change of the root arrives, that of its smallest known member."""
        candidates = (root, *sorted(self.history.classes[root]))
        return next(self.homes[record] for record in candidates if record in self.homes)

    def root_of(self, record: str) -> str:
        return self.history.roots.get(record, record)

    # --- staff and housekeeping

    def move(self, root: str, bucket: int) -> None:
        """Move a record to another bucket."""
        self.homes[root] = bucket
        if self.placed[root] != bucket:
            self._publish(root, self.revs[root] + 1)

    def compact(self, keep: int) -> None:
        for feed in self.feeds:
            feed.compact(keep)

    # --- pull

    def pull(self, epoch: int, cursors: Mapping[int, Cursor], limit: int) -> Page | NewEpoch | CursorGone:
        """The next `limit` rows after the cursors. All buckets are read in one snapshot."""
        if epoch != self.epoch:
            return NewEpoch(self.epoch)
        items: list[Item] = []
        after = {bucket: self._begun(bucket, cursor) for bucket, cursor in cursors.items()}
        for bucket, cursor in after.items():
            if self.is_gone(bucket, cursor):
                return CursorGone(bucket)
        rows = [
            (bucket, *row)
            for bucket, cursor in after.items()
            for row in self.rows_after(bucket, cursor.position)
        ]
        for bucket, position, root, here in rows[:limit]:
            items.append(Item(bucket, position, root, self.state(root) if here else None))
            after[bucket] = after[bucket]._replace(position=position)
        complete = len(rows) <= limit
        contents = {bucket: self._contents(bucket) for bucket in cursors} if complete else {}
        return Page(items, after, complete, contents)

    def _begun(self, bucket: int, cursor: Cursor) -> Cursor:
        return Cursor(0, self.feeds[bucket].floor) if cursor.position == 0 else cursor

    def is_gone(self, bucket: int, cursor: Cursor) -> bool:
        """Who began to read at 0 after the pruning needs none of the pruned removals."""
        return self.feeds[bucket].floor > max(cursor)

    def rows_after(self, bucket: int, position: int) -> list[tuple[int, str, bool]]:
        """(position, root, still here) in order of position"""
        rows = self.feeds[bucket].rows
        return sorted((at, root, here) for root, (at, here) in rows.items() if at > position)

    def state(self, root: str) -> State:
        if root not in self.states:
            history, live = self.history, {path: ids for path, ids in self.history.live[root].items() if ids}
            self.states[root] = State(
                root=root,
                rev=self.revs[root],
                members=history.classes[root],
                live=live,
                deleted=history.is_deleted(root),
                conflicts=history.conflicts(root),
                readings={
                    path: history.reading(root, path)
                    for path in live
                    if merge_type(path) in ("counter", "tag")
                },
                waiting=history.waiting[root],
            )
        return self.states[root]

    def _contents(self, bucket: int) -> dict[str, State]:
        return {root: self.state(root) for root, (_, here) in self.feeds[bucket].rows.items() if here}


class Tablet:
    """A replica in the field: writes at any time, and shows its pending changes over the pulled states."""

    def __init__(self, name: str, person: str, buckets: Iterable[int]) -> None:
        self.name = name
        self.person = person
        self.replica = f"{name}-1"
        self.n = 0
        self.epoch = 0
        self.cursors = {bucket: Cursor() for bucket in buckets}
        self.pulled: dict[str, State] = {}
        self.sources: dict[str, frozenset[int]] = {}
        self.queued: dict[str, Envelope] = {}
        self.acknowledged: dict[str, tuple[Envelope, Acknowledgement]] = {}
        self.settled: frozenset[str] = frozenset()

    def copy(self) -> Tablet:
        """A backup or a clone of the tablet's database."""
        twin = type(self)(self.name, self.person, ())
        twin.__dict__.update(copied(self))
        return twin

    # --- what is shown

    def roots(self) -> dict[str, str]:
        """record → root of the pulled state that shows it"""
        return {member: state.root for state in self.pulled.values() for member in state.members}

    def pending(self) -> list[Change]:
        """Own changes that no pulled state is known to contain."""
        return [envelope.change for envelope in self.queued.values()] + [
            envelope.change for id, (envelope, _) in self.acknowledged.items() if id not in self.settled
        ]

    def view(self, record: str) -> Live:
        roots = self.roots()
        root = roots.get(record, record)
        pulled = self.pulled[root].live if root in self.pulled else {}
        live = {path: dict(values) for path, values in pulled.items()}
        pending = [
            change for change in self.pending() if root in (change["record"], roots.get(change["record"]))
        ]
        for change in pending:
            for path, written in change["set"].items():
                live.setdefault(path, {})[change["id"]] = written["value"]
        for change in pending:
            self.take_away_parents(change, live)
        return {path: values for path, values in live.items() if values}

    def take_away_parents(self, change: Change, live: Live) -> None:
        for path, written in change["set"].items():
            for parent in written["parents"]:
                live[path].pop(parent, None)

    def records(self) -> list[str]:
        pending: set[str] = {change["record"] for change in self.pending()}
        return sorted(self.pulled.keys() | (pending - self.roots().keys()))

    # --- writing

    def write(
        self,
        *,
        id: str,
        record: str,
        values: Mapping[str, Any],
        bucket: int,
        ms: int,
        schema: int = 1,
        decision: dict[str, Any] | None = None,
    ) -> Change:
        """Write values, each replacing what this tablet shows on its path, and queue the change."""
        live = self.view(record) if values else {}
        writes = {
            path: (() if merge_type(path) == "counter" else live.get(path, ()), value)
            for path, value in values.items()
        }
        change = change_content(
            id=id, record=record, writes=writes, by=self.person, ms=ms, schema=schema, decision=decision
        )
        self.n += 1
        self.queued[id] = Envelope(self.replica, self.n, change, bucket)
        return change

    # --- messages

    def offer(self, most: int) -> list[Envelope]:
        """What to push next, oldest first."""
        return list(self.queued.values())[:most]

    def on_push(self, answer: PushAnswer | NewEpoch | Forked, new_replica: str) -> None:
        match answer:
            case NewEpoch():
                self.on_new_epoch(answer)
            case Forked():
                self.on_forked(new_replica)
            case PushAnswer():
                self.on_acknowledged(answer)

    def on_acknowledged(self, answer: PushAnswer) -> None:
        """Per change, never "everything up to a number"."""
        for acknowledgement in answer.acknowledgements:
            if envelope := self.queued.pop(acknowledgement.id, None):
                self.acknowledged[acknowledgement.id] = (envelope, acknowledgement)

    def on_forked(self, new_replica: str) -> None:
        """Go on as a new replica; what was not sent gets new numbers, and keeps its ids and parents."""
        self.replica = new_replica
        self.n = len(self.queued)
        self.queued = {
            id: envelope._replace(replica=new_replica, n=n)
            for n, (id, envelope) in enumerate(self.queued.items(), start=1)
        }

    def on_new_epoch(self, answer: NewEpoch) -> None:
        """Forget what was pulled, and offer again every change that was kept."""
        self.epoch = answer.epoch
        self.forget_pulled()
        self.queued = {**{id: envelope for id, (envelope, _) in self.acknowledged.items()}, **self.queued}
        self.acknowledged = {}
        self.settled = frozenset()

    def forget_pulled(self) -> None:
        self.pulled, self.sources = {}, {}
        self.cursors = {bucket: Cursor() for bucket in self.cursors}

    def on_pull(self, answer: Page | NewEpoch | CursorGone, crash: bool = False) -> bool:
        """Apply an answer; True when there is more to fetch. A crash comes before the one transaction."""
        match answer:
            case NewEpoch():
                self.on_new_epoch(answer)
            case CursorGone():
                self.on_cursor_gone(answer.bucket)
            case Page() if not crash:
                for item in answer.items:
                    self.apply(item)
                self.cursors.update(answer.cursors)
                self.settle(answer)
                return not answer.complete
        return True

    def on_cursor_gone(self, bucket: int) -> None:
        self.cursors[bucket] = Cursor()
        for root in list(self.sources):
            self.leave(root, bucket)

    def apply(self, item: Item) -> None:
        state = item.state
        if state is None:
            self.leave(item.root, item.bucket)
            return
        self.take_over(state)
        self.pulled[item.root] = state
        self.sources[item.root] = self.sources.get(item.root, frozenset()) | {item.bucket}

    def take_over(self, state: State) -> None:
        """No older state shows a member of this one any more, not even after this one has left our scope."""
        for root, older in list(self.pulled.items()):
            if root != state.root and root in state.members:
                del self.pulled[root], self.sources[root]
            elif root != state.root and older.members & state.members:
                self.pulled[root] = older._replace(members=older.members - state.members)

    def leave(self, root: str, bucket: int) -> None:
        """Drop the record unless another bucket of ours still holds it."""
        rest = self.sources.pop(root, frozenset()) - {bucket}
        if rest:
            self.sources[root] = rest
        else:
            self.pulled.pop(root, None)

    def settle(self, page: Page) -> None:
        """Stop showing pending changes that a pulled state contains, or whose record left our scope."""
        revs = {member: self.pulled[root].rev for member, root in self.roots().items()}
        self.settled |= {
            id
            for id, (envelope, acknowledgement) in self.acknowledged.items()
            if revs.get(self.looked_up(envelope.change, acknowledgement), 0) >= acknowledgement.rev
            or self.left_scope(acknowledgement, page)
        }

    def looked_up(self, change: Change, acknowledgement: Acknowledgement) -> str:
        """The record whose state tells: the change's own. What was its root may be another record again."""
        record: str = change["record"]
        return record

    def left_scope(self, acknowledgement: Acknowledgement, page: Page) -> bool:
        """Whether a complete pull went past the change and did not bring its record: it is not ours now."""
        cursor = self.cursors.get(acknowledgement.bucket)
        return page.complete and (cursor is None or cursor.position >= acknowledgement.position)

    def contents(self, bucket: int) -> dict[str, State]:
        """The states that we hold because of the bucket."""
        return {root: self.pulled[root] for root, sources in self.sources.items() if bucket in sources}


def copied(thing: object) -> dict[str, Any]:
    """The attributes of a server or tablet, with dictionaries of their own. What is in them is immutable."""
    return {name: dict(value) if isinstance(value, dict) else value for name, value in vars(thing).items()}
