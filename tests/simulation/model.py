"""The oracle of merging: what a set of changes means, written to be read rather than to be fast.

`fold`, `classes`, `deleted`, `conflicts` and `waiting` are pure functions of a set of (change, status) pairs;
order and repetition cannot matter. They work on plain dictionaries in the shape of a change's content and
share no code with `sync.core.fold`, so that the two can be held against each other:

    for seed in range(1000):
        history = random_history(Random(seed), changes=40)
        assert real_fold(history) == fold(history)

`random_history` makes such sets: several writers who have each seen a part of the others' work, with merges,
undone merges, redone ones, parked parents, deletes, and changes that never arrived. `smallest` cuts a failing
one down.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property
from random import Random
from typing import Any, Literal

Change = dict[str, Any]
"""A change's content: v, id, kind, record, set {path: {parents, value}}, by, schema, hlc, clock, decision?"""
Status = Literal["accepted", "parked", "quarantined"]
Entry = tuple[Change, Status]
Values = dict[str, Any]
"""change id → value, of one path"""
Live = dict[str, Values]
"""path → its live values"""

DELETED = "_deleted"
MERGE_TYPES = {
    "title": "scalar",
    "amount": "scalar",
    "answers": "answer",
    "status": "workflow",
    "deadline": "authority",
    "notes": "note",
    "evidence": "attachment",
    "tags": "tag",
    "visits": "counter",
    "phone": "latest",
}
"""First part of a path → merge type. What is not listed is a scalar; `_deleted` has rules of its own."""
CONTESTED = {"scalar", "answer", "workflow", "authority"}


@cache
def merge_type(path: str) -> str:
    return MERGE_TYPES.get(path.split("/")[0], "scalar")


def fold(entries: Iterable[Entry]) -> dict[str, Live]:
    """root → path → change id → value: everything live. Records and paths with nothing live are left out."""
    return {
        root: shown
        for root, live in History(entries).live.items()
        if (shown := {path: values for path, values in live.items() if values})
    }


def classes(entries: Iterable[Entry]) -> dict[str, frozenset[str]]:
    """root → records: every record that a change is about or that a merge in force names."""
    return History(entries).classes


def deleted(entries: Iterable[Entry]) -> set[str]:
    """The roots that are hidden by a deletion."""
    history = History(entries)
    return {root for root in history.classes if history.is_deleted(root)}


def conflicts(entries: Iterable[Entry]) -> dict[str, dict[str, str]]:
    """root → path → "values" (distinct live values) or, on `_deleted`, "delete_edit"; only what there is."""
    history = History(entries)
    return {root: found for root in history.classes if (found := history.conflicts(root))}


def waiting(entries: Iterable[Entry]) -> set[str]:
    """Parked and quarantined changes that nobody has admitted, closed or withdrawn yet."""
    return set().union(*History(entries).waiting.values())


class History:
    """A set of changes with the status that the server gave each; all answers come from the set alone.

    Raises ValueError if the same change is given with two statuses: a status never changes.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.changes: dict[str, Change] = {}
        self.status: dict[str, Status] = {}
        for change, status in entries:
            if self.status.setdefault(change["id"], status) != status:
                raise ValueError(f"change {change['id']} has two statuses")
            self.changes[change["id"]] = change
        deciding = {
            id: one["decision"] for id, one in self.changes.items() if "decision" in one and targets(one)
        }
        self.void = rings({id: one["changes"] for id, one in deciding.items() if one["do"] != "close"})
        self.naming: dict[str, dict[str, list[str]]] = {"admit": {}, "close": {}, "withdraw": {}}
        for id in deciding.keys() - self.void:
            for target in deciding[id]["changes"]:
                self.naming[deciding[id]["do"]].setdefault(target, []).append(id)

    # --- what counts

    @cached_property
    def in_force(self) -> frozenset[str]:
        """The changes that count: accepted or admitted and not withdrawn, by decisions that count too."""
        admits, withdraws = self.naming["admit"], self.naming["withdraw"]
        known = dict.fromkeys(self.void, False)

        def holds(id: str) -> bool:
            if id not in known:
                admitted = self.status[id] == "accepted" or any(map(holds, admits.get(id, ())))
                known[id] = admitted and not any(map(holds, withdraws.get(id, ())))
            return known[id]

        return frozenset(filter(holds, self.changes))

    def named_by(self, target: str, do: str) -> list[str]:
        """The decisions in force of one sort ("admit", "close", "withdraw") that name the change."""
        return [id for id in self.naming[do].get(target, ()) if id in self.in_force]

    # --- which records are one thing

    @cached_property
    def merges(self) -> list[tuple[str, str]]:
        """(record, other) of every merge in force."""
        deciding = [change for change in self._counting() if "decision" in change]
        return [
            (one["record"], one["decision"]["other"]) for one in deciding if one["decision"]["do"] == "merge"
        ]

    @cached_property
    def classes(self) -> dict[str, frozenset[str]]:
        """root → members, for every record that a change is about or that a merge in force names."""
        group = {change["record"]: {change["record"]} for change in self.changes.values()}
        for record, other in self.merges:
            together = group[record] | group.get(other, {other})
            group.update(dict.fromkeys(together, together))
        return {self.root(members): members for members in map(frozenset, group.values())}

    def root(self, members: frozenset[str]) -> str:
        """The smallest member that was never merged away; in a ring of merges, the smallest member."""
        merged_away = {other for _, other in self.merges}
        return min(members - merged_away or members)

    @cached_property
    def roots(self) -> dict[str, str]:
        """record → root of its class"""
        return {member: root for root, members in self.classes.items() for member in members}

    # --- what is live

    @cached_property
    def live(self) -> dict[str, Live]:
        """root → path → change id → value. Paths whose values are all replaced stay, empty."""
        live: dict[str, Live] = {root: {} for root in self.classes}
        counting = [(change, live[self.roots[change["record"]]]) for change in self._counting()]
        for change, shown in counting:
            for path, written in change["set"].items():
                shown.setdefault(path, {})[change["id"]] = written["value"]
        for change, shown in counting:
            for path in change["set"]:
                if merge_type(path) != "counter":
                    for parent in self.effective_parents(change, path):
                        shown[path].pop(parent, None)
        return live

    def _counting(self) -> list[Change]:
        return [change for id, change in self.changes.items() if id in self.in_force]

    def effective_parents(self, change: Change, path: str) -> set[str]:
        """The values that the change replaces: its parents; one not in force stands for what it replaced.

        Only parents in the change's own class are looked through; any other is returned as it is.
        """
        found: set[str] = set()
        passed: set[str] = set()
        named = list(change["set"][path]["parents"])
        while named:
            parent = named.pop()
            if parent in self.in_force or not self._same_class(parent, change):
                found.add(parent)
            elif parent not in passed:
                passed.add(parent)
                named += self.changes[parent]["set"].get(path, {"parents": ()})["parents"]
        return found

    def _same_class(self, id: str, change: Change) -> bool:
        return id in self.changes and self.roots[self.changes[id]["record"]] == self.roots[change["record"]]

    # --- what people are told

    @cached_property
    def waiting(self) -> dict[str, frozenset[str]]:
        """root → its changes that still ask for a person"""
        waiting: dict[str, frozenset[str]] = dict.fromkeys(self.classes, frozenset())
        for id, status in self.status.items():
            if status != "accepted" and not any(
                self.named_by(id, do) for do in ("admit", "close", "withdraw")
            ):
                waiting[self.roots[self.changes[id]["record"]]] |= {id}
        return waiting

    def is_deleted(self, root: str) -> bool:
        return hidden(self.live[root])

    def conflicts(self, root: str) -> dict[str, str]:
        return contested(self.live[root])

    def reading(self, root: str, path: str) -> Any:
        return reading(path, self.live[root].get(path, {}))


def targets(change: Change) -> Sequence[str]:
    """The changes that an admit, close or withdraw decision names."""
    decision = change.get("decision", {})
    return decision["changes"] if decision.get("do") in ("admit", "close", "withdraw") else ()


def rings(names: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """The decisions that decide on themselves, directly or through others. They are void.

    Nobody can name a change that is not written yet, so honest histories have none. Without a rule for them
    "in force" would have no answer (two withdrawals of each other) or depend on the order of asking.
    """

    def named_from(start: str) -> set[str]:
        found: set[str] = set()
        ahead = list(names[start])
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead += names.get(name, ())
        return found

    return frozenset(id for id in names if id in named_from(id))


def hidden(live: Live) -> bool:
    """Whether some live deletion had seen every other live value of the record."""
    return any(not unseen(live, deletion) for deletion in deletions(live))


def contested(live: Live) -> dict[str, str]:
    """path → kind of conflict, of one record's live values."""
    found = {
        path: "values"
        for path, values in live.items()
        if path != DELETED
        and merge_type(path) in CONTESTED
        and len({plain(value) for value in values.values()}) > 1
    }
    if deletions(live) and not hidden(live):
        found[DELETED] = "delete_edit"
    return found


def deletions(live: Live) -> list[dict[str, Any]]:
    return [value for value in live.get(DELETED, {}).values() if isinstance(value, dict)]


def unseen(live: Live, deletion: dict[str, Any]) -> set[str]:
    """The live values of other paths that the deleter did not name."""
    return {id for path, values in live.items() if path != DELETED for id in values} - set(deletion["seen"])


def reading(path: str, values: Values) -> Any:
    """The one value to show: a counter's sum, a tag's yes if any says so, else what all agree on or None."""
    if merge_type(path) == "counter":
        return sum(values.values())
    if merge_type(path) == "tag":
        return any(value is True for value in values.values())
    return next(iter(values.values())) if len({plain(value) for value in values.values()}) == 1 else None


def plain(value: Any) -> str:
    """Canonical JSON: 1, true and "1" differ, the order of keys does not."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


# --- making changes


def change_content(
    *,
    id: str,
    record: str,
    writes: Mapping[str, tuple[Iterable[str], Any]],
    by: str,
    ms: int,
    decision: dict[str, Any] | None = None,
    kind: str = "inspection",
    schema: int = 1,
) -> Change:
    """A change from `path → (parents, value)`, written at `ms` (since 1970) by the writer's clock."""
    content: Change = {
        "v": 1,
        "id": id,
        "kind": kind,
        "record": record,
        "by": [by],
        "schema": schema,
        "hlc": f"{ms:012x}-0000",
        "clock": {"wall": ms, "mono": ms % 86_400_000, "boot": "boot-1", "off": 0},
        "set": {
            path: {"parents": sorted(parents), "value": value} for path, (parents, value) in writes.items()
        },
    }
    if decision:
        content["decision"] = decision
    return content


def uuid7(rng: Random, ms: int) -> str:
    """UUIDv7 text (RFC 9562) for a time in milliseconds since 1970."""
    tail = f"{rng.getrandbits(74):019x}"
    return (
        f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7{tail[:3]}-{'89ab'[int(tail[3], 16) % 4]}{tail[4:7]}-{tail[7:]}"
    )


def random_history(
    rng: Random,
    *,
    changes: int = 25,
    records: int = 3,
    writers: int = 3,
    lost: float = 0.08,
    short_ids: bool = False,
    sloppy: bool = False,
    rings: bool = False,
    kind: str = "inspection",
) -> list[Entry]:
    """A set of changes as several writers could have made it, in a random order of arrival.

    changes    how many acts are written; a `lost` share of them never arrives and is not in the result
    records    how many records they are about; fewer means more concurrency on each
    short_ids  "c07" and "r2" instead of UUIDv7 text. Neither says which change came first: clocks are wrong
    sloppy     also write what no tablet of ours does, though it has a meaning: increments that name parents,
               a deletion that is not a {seen, reason}
    rings      also let some decisions and parents name each other in a ring, as no honest writer can
    """
    author = _Authors(rng, records, writers, short_ids, kind, changes)
    entries = [author.act() for _ in range(changes)]
    if sloppy:
        _write_sloppily(rng, entries)
    if rings:
        _tie_rings(rng, entries)
    arrived = [entry for entry in entries if rng.random() >= lost]
    rng.shuffle(arrived)
    return arrived


def smallest(entries: Sequence[Entry], fails: Callable[[Sequence[Entry]], bool]) -> list[Entry]:
    """The entries cut down until leaving out any one of them makes `fails` false."""
    rest = list(entries)
    while shorter := next((cut for i in range(len(rest)) if fails(cut := rest[:i] + rest[i + 1 :])), None):
        rest = shorter
    return rest


class _Authors:
    """Writers who each know a part of what was written and act on what that part shows."""

    ACTS = {
        "write": 46,
        "step": 8,
        "delete": 5,
        "undelete": 3,
        "resolve": 8,
        "merge": 9,
        "withdraw": 15,
        "admit": 6,
        "close": 3,
    }
    STATUSES: tuple[Status, ...] = ("accepted", "parked", "quarantined")
    USUAL, LOCKED = (90, 6, 4), (15, 80, 5)

    def __init__(
        self, rng: Random, records: int, writers: int, short_ids: bool, kind: str, changes: int
    ) -> None:
        self.rng = rng
        self.kind = kind
        self.ms = 1_795_000_000_000
        self.skew = [rng.choice((0, 0, 40_000, -90_000)) for _ in range(writers)]
        self.short = iter(rng.sample([f"c{i:02d}" for i in range(changes)], changes)) if short_ids else None
        self.records = [f"r{i}" if short_ids else uuid7(rng, self.ms) for i in range(records)]
        self.locked = dict.fromkeys(self.records, False)
        self.made: list[Entry] = []
        self.known: list[dict[str, Entry]] = [{} for _ in range(writers)]
        self._sit_down()

    def act(self) -> Entry:
        if self.rng.random() < 0.4:
            self._sit_down()
        writer = self.writer
        self.ms += self.rng.randrange(1, 2_000)
        record, writes, decision = self._choose(writer)
        ms = self.ms + self.skew[writer]
        id = next(self.short) if self.short else uuid7(self.rng, ms)
        change = change_content(
            id=id,
            record=record,
            writes=writes,
            by=f"person-{writer}",
            ms=ms,
            decision=decision,
            kind=self.kind,
        )
        status = self._status(record)
        self.made.append((change, status))
        self.known[writer][id] = (change, "accepted")  # who wrote it does not know what the server will say
        return self.made[-1]

    def _status(self, record: str) -> Status:
        """Parked ones come in rows, as on a locked record: edits upon edits that do not count."""
        if self.rng.random() < (0.3 if self.locked[record] else 0.12):
            self.locked[record] = not self.locked[record]
        return self.rng.choices(self.STATUSES, self.LOCKED if self.locked[record] else self.USUAL)[0]

    def _sit_down(self) -> None:
        """Somebody goes on, at one record and mostly one path of it, and hears of some of the others' work.

        Who works on without hearing builds on own changes that the server may have parked by then.
        """
        self.writer = self.rng.randrange(len(self.known))
        self.record = self.rng.choice(self.records)
        self.favourite = self._path()
        share = self.rng.choice((0, 0.2, 0.6, 1))
        self.known[self.writer].update(
            {entry[0]["id"]: entry for entry in self.made if self.rng.random() < share}
        )

    def _choose(self, writer: int) -> tuple[str, dict[str, tuple[set[str], Any]], dict[str, Any] | None]:
        """(record, writes, decision) of an act that makes sense to who knows what the writer knows."""
        rng, history = self.rng, History(self.known[writer].values())
        root = history.roots.get(self.record, self.record)
        record = rng.choice(sorted(history.classes.get(root, {root})))
        live = history.live.get(root, {})
        act = rng.choices(list(self.ACTS), list(self.ACTS.values()))[0]
        reason = {"reason": rng.choice(("现场核实", "entered twice", "mistake"))}
        if act == "step":
            return (
                record,
                self._writes(live, {"status": rng.choice(("draft", "submitted", "approved"))}),
                None,
            )
        if act == "delete":
            seen = sorted(id for path, values in live.items() if path != DELETED for id in values)
            return record, self._writes(live, {DELETED: {"seen": seen, **reason}}), None
        if act == "undelete" and live.get(DELETED):
            return record, self._writes(live, {DELETED: False}), None
        if act == "resolve" and (open_conflicts := sorted(set(contested(live)) - {DELETED})):
            path = rng.choice(open_conflicts)
            choice = rng.choice([live[path][id] for id in sorted(live[path])])
            return record, self._writes(live, {path: choice}), {"do": "resolve", "conflict": path, **reason}
        if act == "merge" and len(self.records) > 1:
            other = rng.choice([one for one in self.records if one != record])
            return record, self._some_writes(live, 0, 1), {"do": "merge", "other": other, **reason}
        if act in ("withdraw", "admit", "close") and (named := self._targets(writer, act)):
            home = self.known[writer][named[0]][0]["record"] if rng.random() < 0.8 else record
            return home, {}, {"do": act, "changes": named, **reason}
        return record, self._some_writes(live, 1, 3), None

    def _targets(self, writer: int, act: str) -> list[str]:
        known = self.known[writer]
        if act == "withdraw":  # decisions more often than plain changes: undo and redo are what is hard
            likely = [id for id, (change, _) in known.items() if "decision" in change for _ in range(3)]
            pool = [*known, *likely]
        else:
            pool = [id for id, (_, status) in known.items() if status != "accepted"]
            if self.rng.random() < 0.2:
                pool = list(known)
        return sorted({self.rng.choice(pool) for _ in range(self.rng.choice((1, 1, 2)))}) if pool else []

    def _some_writes(self, live: Live, least: int, most: int) -> dict[str, tuple[set[str], Any]]:
        picks = (
            self._path() if self.rng.random() < 0.5 else self.favourite
            for _ in range(self.rng.randint(least, most))
        )
        return self._writes(live, {path: self._value(path) for path in sorted(set(picks))})

    def _writes(self, live: Live, values: Mapping[str, Any]) -> dict[str, tuple[set[str], Any]]:
        return {path: (self._parents(live, path), value) for path, value in values.items()}

    def _parents(self, live: Live, path: str) -> set[str]:
        if merge_type(path) == "counter":
            return set()
        parents = {id for id in sorted(live.get(path, ())) if self.rng.random() < 0.92}
        if self.made and self.rng.random() < 0.06:
            parents.add(self.rng.choice(self.made)[0]["id"])
        if self.rng.random() < 0.02:
            parents.add("never-written")
        return parents

    def _path(self) -> str:
        entry = self.rng.randrange(10_000)
        return self.rng.choice(
            (
                "title",
                "title",
                "title",
                "amount",
                "answers/FIR-05",
                "answers/FIR-05",
                "answers/ELE-02",
                "deadline",
                "tags/storage",
                "tags/dormitory",
                "visits",
                "phone",
                f"notes/{entry:04d}",
                f"evidence/{entry:04d}",
                "unknown_field",
                DELETED if entry < 500 else "title",
            )
        )

    def _value(self, path: str) -> Any:
        rng = self.rng
        match merge_type(path):
            case "counter":
                return rng.randrange(1, 4)
            case "tag":
                return rng.random() < 0.5
            case "answer":
                pair = [("answer", rng.choice(("pass", "fail"))), ("measured", rng.choice((71, 92)))]
                return dict(rng.sample(pair, 2))
            case "note" | "attachment":
                return {"text": f"巡查 {rng.randrange(100)}"}
        return False if path == DELETED else rng.choice((0, 1, True, "1", None, "消防通道", ["a", {"b": 1}]))


def _write_sloppily(rng: Random, entries: list[Entry]) -> None:
    """Spoil some changes in ways that a reader must bear. Works in place."""
    for change, _ in entries:
        for path, written in change["set"].items():
            if merge_type(path) == "counter":
                same = [one["id"] for one, _ in entries if path in one["set"] and one is not change]
                written["parents"] = sorted(rng.sample(same, min(len(same), rng.randrange(3))))
            if path == DELETED and rng.random() < 0.3:
                written["value"] = rng.choice((True, None, "gone", []))


def _tie_rings(rng: Random, entries: list[Entry]) -> None:
    """Let a few decisions, and parents of one path, name each other in a ring. Works in place."""
    deciding = [change for change, _ in entries if targets(change)]
    for _ in range(min(2, len(deciding))):
        ring = rng.sample(deciding, rng.randint(1, min(3, len(deciding))))
        for change, following in zip(ring, ring[1:] + ring[:1], strict=True):
            change["decision"]["changes"] = sorted({*targets(change), following["id"]})
    for path in ("title", "answers/FIR-05"):
        writing = [change for change, _ in entries if path in change["set"]]
        ring = rng.sample(writing, rng.randint(0, min(3, len(writing))))
        for change, following in zip(ring, ring[1:] + ring[:1], strict=True):
            change["set"][path]["parents"] = sorted({*change["set"][path]["parents"], following["id"]})
