"""Changes → state. A record is the fold of its changes; order, repetition and batching cannot matter.

A value is live until an accepted change that saw it (named its change among the parents of the same path) replaces it.
No clock, counter or arrival order decides anything. The contract in one place:

* stands       a change counts when it was accepted on arrival, or a standing `admit` names it; a standing `withdraw`
               takes it out again. Decisions are changes themselves, so a withdrawal can be withdrawn.
* class        records connected by standing `merge` decisions are one thing. Its root is the smallest id that was not
               merged away. Supersession counts only inside the class, so taking a merge back brings everything back.
* parents      a parent that does not stand (parked, withdrawn) is replaced by its own parents, so a chain of offline
               edits through a parked one still replaces what its author had really seen.

`fold` is the definition. `absorb` is the same for one more change when nothing unusual is involved; `overlay` is what a
tablet shows: pulled state + its own pending changes − what they replace.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Literal, NamedTuple

import orjson

from schemas.paths import DELETED
from sync.core.change import Change, canonical

Status = Literal["accepted", "parked", "quarantined"]
MergeOf = Callable[[str], str]

CONTESTED = frozenset({"scalar", "answer", "workflow", "authority"})  # merge types whose values a person must choose


class Entry(NamedTuple):
    """A change with what the server did with it on arrival; neither is ever altered."""

    change: Change
    status: Status = "accepted"
    reason: str = ""
    role: str = ""  # the author's role at the time, as the server knew it
    stamp: str = ""  # effective hybrid clock stamp; empty where the change's own is used

    @property
    def act(self) -> Act:
        return Act(self.stamp or self.change.hlc, tuple(self.change.by), self.role)


class Act(NamedTuple):
    """Who and when behind a live value; for showing and for the newest-wins of cosmetic fields, never for merging."""

    hlc: str
    by: tuple[str, ...]
    role: str = ""


class Parked(NamedTuple):
    """A kept change that does not count until staff admit or close it."""

    id: str
    reason: str
    paths: tuple[str, ...]
    by: tuple[str, ...]


class State:
    """A record as merged.

    live     path → {change id: value}; more than one distinct value on a contested path is a conflict
    acts     change id → Act, for every change that has a live value
    members  ids of records merged into this one, sorted
    parked   kept changes waiting for a decision
    rev      the server's revision; 0 in a state that no server has sent
    """

    __slots__ = ("acts", "kind", "live", "members", "parked", "record", "rev")

    def __init__(self, record: str, kind: str) -> None:
        self.record = record
        self.kind = kind
        self.rev = 0
        self.live: dict[str, dict[str, Any]] = {}
        self.acts: dict[str, Act] = {}
        self.members: tuple[str, ...] = ()
        self.parked: tuple[Parked, ...] = ()

    def dump(self) -> bytes:
        """Canonical JSON: the bytes that are stored, sent and summed. Act ids are listed once and indexed."""
        acts = self.acts
        order = sorted(acts) if len(acts) > 1 else list(acts)
        index = {change: i for i, change in enumerate(order)}
        live: dict[str, list[list[Any]]] = {}
        for path, values in self.live.items():
            if len(values) == 1:
                ((change, value),) = values.items()
                live[path] = [[index[change], value]]
            else:
                live[path] = [[index[change], values[change]] for change in sorted(values)]
        body: dict[str, Any] = {
            "acts": [[c, acts[c].hlc, acts[c].by, acts[c].role] for c in order],
            "id": self.record,
            "kind": self.kind,
            "live": live,
            "rev": self.rev,
        }
        if self.members:
            body["members"] = self.members
        if self.parked:
            body["parked"] = [tuple(one) for one in self.parked]
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def read(cls, content: bytes) -> State:
        """The inverse of `dump`; trusts its input, which the server made or the tablet stored."""
        return cls.of(orjson.loads(content))

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> State:
        """A state from its decoded JSON."""
        state = cls(body["id"], body["kind"])
        state.rev = body["rev"]
        ids = [act[0] for act in body["acts"]]
        state.acts = {a[0]: Act(a[1], tuple(a[2]), a[3]) for a in body["acts"]}
        state.live = {path: {ids[i]: value for i, value in values} for path, values in body["live"].items()}
        state.members = tuple(body.get("members", ()))
        state.parked = tuple(Parked(p[0], p[1], tuple(p[2]), tuple(p[3])) for p in body.get("parked", ()))
        return state

    @property
    def plain(self) -> bool:
        """Whether nothing about the record could be contested: one value everywhere, nothing waiting, not deleted."""
        if self.parked or DELETED in self.live:
            return False
        return len(self.acts) == 1 or all(len(values) == 1 for values in self.live.values())

    def ids(self, path: str) -> list[str]:
        """The change ids whose values are live on a path: what a person who looks at it sees and replaces."""
        return sorted(self.live.get(path, ()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self.dump() == other.dump()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"State({self.kind} {self.record}, rev {self.rev}, {len(self.live)} paths)"


class Conflict(NamedTuple):
    """Work for a person. `candidates` are the change ids that a decision must name to settle it.

    kind  values (different values on `path`), delete_edit (deleted without having seen an edit),
          or late_edit, scope, stale, guard, invalid, … (kept changes waiting; `path` is empty)
    """

    id: str
    record: str
    kind: str
    path: str
    candidates: tuple[str, ...]


def fold(entries: Iterable[Entry]) -> dict[str, State]:
    """The merged records of a set of changes: root id → State. Repeated entries count once."""
    book = {entry.change.id: entry for entry in entries}
    standing = _standing(book)
    roots, members = _classes(book, standing)
    grouped: dict[str, list[Entry]] = defaultdict(list)
    for entry in book.values():
        grouped[roots[entry.change.record]].append(entry)
    settled = {
        target
        for id in standing
        if (book[id].change.decision or {}).get("do") in ("close", "withdraw")
        for target in book[id].change.targets
    }
    return {root: _fold_class(root, members[root], group, standing, settled) for root, group in grouped.items()}


def absorb(state: State, entry: Entry) -> State | None:
    """The same state with one more accepted change, in place; None where only a full fold can tell.

    The caller guarantees that no stored change names this one as a parent (it did not arrive before its parent's turn).
    """
    change = entry.change
    if entry.status != "accepted" or change.decision is not None:
        return None
    id, written, live = change.id, change.set, state.live
    replaced = [(path, p) for path, one in written.items() for p in one["parents"]] if change.replaces else []
    if any(parent not in live.get(path, ()) for path, parent in replaced):
        return None
    for path, parent in replaced:
        del live[path][parent]
    for path, one in written.items():
        if path in live:
            live[path][id] = one["value"]
        else:
            live[path] = {id: one["value"]}
    state.acts[id] = entry.act
    if replaced:
        alive = {c for values in live.values() for c in values}
        for gone in {parent for _, parent in replaced} - alive:
            del state.acts[gone]
    return state


def overlay(state: State | None, pending: Iterable[Change], record: str = "", kind: str = "") -> State:
    """What a tablet shows: pulled state + own pending changes − the values that they replace."""
    shown = State(state.record if state else record, state.kind if state else kind)
    shown.rev = state.rev if state else 0
    shown.members = state.members if state else ()
    shown.parked = state.parked if state else ()
    waiting = list(pending)
    dead = {(path, parent) for c in waiting for path in c.set for parent in c.parents(path)}
    acts = dict(state.acts) if state else {}
    acts.update({c.id: Entry(c).act for c in waiting if c.id not in acts})
    live: dict[str, dict[str, Any]] = {p: dict(values) for p, values in state.live.items()} if state else {}
    for change in waiting:
        for path in change.set:
            live.setdefault(path, {})[change.id] = change.value(path)
    for path, values in live.items():
        kept = {c: v for c, v in values.items() if (path, c) not in dead}
        if kept:
            shown.live[path] = kept
    used = {c for values in shown.live.values() for c in values}
    shown.acts = {c: act for c, act in acts.items() if c in used}
    return shown


def values_of(state: State, merge_of: MergeOf) -> dict[str, Any]:
    """path → the value to show. On a conflict it is provisional (newest by hybrid clock): screens and documents
    must print "in conflict" for the paths of `conflicts_of`, never this value."""
    return {path: _shown(state, merge_of(path), values) for path, values in state.live.items() if path != DELETED}


def contested(state: State, merge_of: MergeOf) -> list[str]:
    """The paths with more than one distinct live value that a person must choose from, sorted."""
    return sorted(
        path
        for path, values in state.live.items()
        if len(values) > 1 and path != DELETED and merge_of(path) in CONTESTED and _distinct(values) > 1
    )


def deleted(state: State) -> bool:
    """True where a live deletion saw every live value of the record."""
    return any(not _unseen(state, value) for value in state.live.get(DELETED, {}).values() if type(value) is dict)


def conflicts_of(state: State, merge_of: MergeOf) -> list[Conflict]:
    """Everything about the record that waits for a person, in a fixed order."""
    found = [_conflict(state, "values", path, state.ids(path)) for path in contested(state, merge_of)]
    deletions = [c for c, value in state.live.get(DELETED, {}).items() if type(value) is dict]
    if deletions and not deleted(state):
        missed = set.intersection(*(_unseen(state, state.live[DELETED][one]) for one in deletions))
        found.append(_conflict(state, "delete_edit", DELETED, {*deletions, *missed}))
    waiting: dict[str, list[str]] = defaultdict(list)
    for parked in state.parked:
        waiting["late_edit" if parked.reason == "locked" else parked.reason].append(parked.id)
    found.extend(_conflict(state, reason, "", ids) for reason, ids in sorted(waiting.items()))
    return found


def conflict_id(record: str, kind: str, path: str) -> str:
    """One conflict per record, kind and path: newcomers join it, and it keeps its id when it is opened again."""
    return hashlib.sha256(f"{record}\0{kind}\0{path}".encode()).hexdigest()[:12]


def checksum(state_bytes: bytes) -> int:
    """A 40-bit number per record whose sum over a bucket both sides compare after a complete pull."""
    return int.from_bytes(hashlib.sha256(state_bytes).digest()[:5], "big")


# --- How it is done --------------------------------------------------------------------------------------------------


def _standing(book: Mapping[str, Entry]) -> set[str]:
    withdrawing: dict[str, list[str]] = defaultdict(list)
    admitting: dict[str, list[str]] = defaultdict(list)
    for entry in book.values():
        decision = entry.change.decision
        if decision is not None and decision["do"] in ("withdraw", "admit"):
            by_target = withdrawing if decision["do"] == "withdraw" else admitting
            for target in entry.change.targets:
                by_target[target].append(entry.change.id)
    if not withdrawing and not admitting:
        return {id for id, entry in book.items() if entry.status == "accepted"}
    known: dict[str, bool] = {}

    def stands(id: str) -> bool:
        if id not in book:
            return False
        if id not in known:
            arrived = book[id].status == "accepted"
            known[id] = arrived  # what a ring of decisions falls back to; no honest writer can make one
            counted = arrived or any(stands(a) for a in sorted(admitting[id]))
            known[id] = counted and not any(stands(w) for w in sorted(withdrawing[id]))
        return known[id]

    return {id for id in sorted(book) if stands(id)}


def _classes(book: Mapping[str, Entry], standing: Collection[str]) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """record → root, and root → the other members."""
    leader: dict[str, str] = {}

    def find(record: str) -> str:
        while leader.setdefault(record, record) != record:
            record = leader[record]
        return record

    merged_away: set[str] = set()
    for entry in book.values():
        find(entry.change.record)
        decision = entry.change.decision
        if decision is not None and decision["do"] == "merge" and entry.change.id in standing:
            leader[find(decision["other"])] = find(entry.change.record)
            merged_away.add(decision["other"])
    groups: dict[str, list[str]] = defaultdict(list)
    for record in list(leader):
        groups[find(record)].append(record)
    roots: dict[str, str] = {}
    members: dict[str, tuple[str, ...]] = {}
    for group in groups.values():
        root = min([r for r in group if r not in merged_away] or group)
        roots.update(dict.fromkeys(group, root))
        members[root] = tuple(sorted(r for r in group if r != root))
    return roots, members


def _fold_class(
    root: str, members: tuple[str, ...], group: list[Entry], standing: Collection[str], settled: Collection[str]
) -> State:
    book = {entry.change.id: entry.change for entry in group}
    state = State(root, _kind_of(root, group, standing))
    state.members = members
    dead: dict[str, set[str]] = defaultdict(set)
    alive = [entry for entry in group if entry.change.id in standing]
    for entry in alive:
        for path in entry.change.set:
            dead[path].update(_effective_parents(entry.change, path, book, standing))
    for entry in alive:
        change = entry.change
        for path in change.set:
            if change.id not in dead[path]:
                state.live.setdefault(path, {})[change.id] = change.value(path)
                state.acts[change.id] = entry.act
    state.parked = _waiting(group, standing, settled)
    return state


def _kind_of(root: str, group: list[Entry], standing: Collection[str]) -> str:
    """The kind of the root record, by a change that counts where there is one: no kept change can alter it."""
    return min((e.change.id not in standing, e.change.record != root, e.change.id, e.change.kind) for e in group)[3]


def _effective_parents(change: Change, path: str, book: Mapping[str, Change], standing: Collection[str]) -> set[str]:
    found: set[str] = set()
    seen: set[str] = set()
    todo = list(change.parents(path))
    while todo:
        parent = todo.pop()
        if parent in seen:
            continue
        seen.add(parent)
        known = book.get(parent)
        if parent in standing or known is None:
            found.add(parent)
        elif path in known.set:
            todo.extend(known.parents(path))
    return found


def _waiting(group: list[Entry], standing: Collection[str], settled: Collection[str]) -> tuple[Parked, ...]:
    return tuple(
        sorted(
            Parked(e.change.id, e.reason, tuple(sorted(e.change.set)), tuple(e.change.by))
            for e in group
            if e.status != "accepted" and e.change.id not in standing and e.change.id not in settled
        )
    )


def _distinct(values: Mapping[str, Any]) -> int:
    return len({canonical(value) for value in values.values()})


def _shown(state: State, merge: str, values: Mapping[str, Any]) -> Any:
    if len(values) == 1:
        return next(iter(values.values()))
    if merge == "tag":
        return any(value is True for value in values.values())
    if merge == "counter":
        return sum(values.values())
    newest = max(values, key=lambda c: (state.acts[c].hlc, c))
    return values[newest]


def _unseen(state: State, deletion: Mapping[str, Any]) -> set[str]:
    return {c for path, values in state.live.items() if path != DELETED for c in values} - set(deletion["seen"])


def _conflict(state: State, kind: str, path: str, candidates: Iterable[str]) -> Conflict:
    return Conflict(conflict_id(state.record, kind, path), state.record, kind, path, tuple(sorted(candidates)))
