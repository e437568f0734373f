"""The fault simulator: a server, some tablets, and everything that goes wrong between them, from one seed.

    python -m tests.simulation.run                         the design as it is, 200 seeds
    python -m tests.simulation.run --seeds 3000 --first 500
    python -m tests.simulation.run --bug last_push_wins    with a planted bug (names: --list)
    python -m tests.simulation.run --first 17 --seeds 1 --trace

Requests and answers are lost, requests arrive again much later, tablets crash while applying a page, are
restored from backups and cloned; the server is restored too; records move, merge and come apart, feeds are
compacted. Then the network heals, everybody syncs until nothing is left to say, and the promises of the
design are checked on what came out. Two are checked all along: a tablet shows its own writes, and holds the
records that it should.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

from tests.simulation.bugs import BUGS, DESIGN, Bug
from tests.simulation.model import (
    DELETED,
    Change,
    History,
    Live,
    contested,
    deletions,
    fold,
    hidden,
    merge_type,
    unseen,
    uuid7,
)
from tests.simulation.peers import STAFF, CursorGone, Envelope, Forked, NewEpoch, Page, PushAnswer, Tablet

EVENTS = 300
BUCKETS = 3
TABLETS = 4
PATHS = ["title"] * 2 + ["answers/FIR-05"] * 2 + ["deadline", "tags/storage", "visits", "notes/*"]


class Violation(Exception):
    """A promise of the design that a run broke."""

    def __init__(self, promise: str, detail: str) -> None:
        super().__init__(f"{promise}: {detail}")
        self.promise = promise


class Simulation:
    """One run. `tally` counts what happened, so that a quiet generator shows; `trace` says it in words."""

    def __init__(self, seed: int, bug: Bug = DESIGN, events: int = EVENTS) -> None:
        self.rng = rng = Random(seed)
        self.events = events
        self.tally: Counter[str] = Counter()
        self.trace: list[str] = []
        self.ms = 1_795_000_000_000

        self.server = bug.server(BUCKETS, bug.history)
        everything = range(BUCKETS)
        self.tablets: list[Tablet] = [bug.tablet("desk", STAFF, everything)]
        self.tablets += [
            bug.tablet(
                f"tablet-{i}", f"inspector-{i}", sorted(rng.sample(everything, rng.randint(1, BUCKETS)))
            )
            for i in range(1, TABLETS)
        ]
        self.records = [uuid7(rng, self.ms) for _ in range(rng.choice((1, 3, 8)))]
        self.written: dict[str, Change] = {}
        self.destroyed: set[str] = set()
        self.late: list[tuple[int, list[Envelope]]] = []
        self.server_backup: Any = None
        self.backups: list[Tablet] = []

        self.loss = rng.choice((0, 0.05, 0.2, 0.4))
        self.page = rng.choice((1, 2, 5, 100))
        self.acts = Counter(write=300, push=260, pull=260, deliver_late=30, decide=70, move=20, compact=15)
        disasters = rng.choice(("none", "tablets", "server", "both", "both"))
        if disasters in ("tablets", "both"):
            self.acts.update(back_up_tablet=10, restore_tablet=10, clone_tablet=3)
        if disasters in ("server", "both"):
            self.acts.update(back_up_server=8, restore_server=5)

    def run(self) -> Simulation:
        """Raises Violation as soon as a promise is broken."""
        names, weights = list(self.acts), list(self.acts.values())
        for _ in range(self.events):
            tablet = self.rng.choice(self.tablets)
            self.ms += self.rng.randrange(1, 5_000)
            getattr(self, self.rng.choices(names, weights)[0])(tablet)
            check_own_writes(tablet)
        self.heal()
        check_outcome(self)
        return self

    def note(self, what: str, detail: str = "") -> None:
        self.tally[what] += 1
        self.trace.append(f"{what} {detail}".rstrip())

    # --- messages

    def push(self, tablet: Tablet) -> None:
        envelopes = tablet.offer(self.rng.choice((1, 3, 50)))
        if not envelopes:
            return
        if self.happens():
            return self.note("request lost", tablet.name)
        if self.happens():
            self.late.append((tablet.epoch, envelopes))
        answer = self.server.push(tablet.epoch, envelopes)
        if self.happens():
            return self.note("answer lost", tablet.name)
        self.note({PushAnswer: "push", NewEpoch: "new epoch", Forked: "fork"}[type(answer)], tablet.name)
        tablet.on_push(answer, new_replica=f"{tablet.name}-{self.rng.getrandbits(40):x}")

    def pull(self, tablet: Tablet) -> bool:
        """One page; True when there is more."""
        if self.happens():
            return False
        answer = self.server.pull(tablet.epoch, tablet.cursors, self.page)
        crash = self.happens()
        self.note({Page: "pull", NewEpoch: "new epoch", CursorGone: "cursor gone"}[type(answer)], tablet.name)
        more = tablet.on_pull(answer, crash)
        if isinstance(answer, Page) and not crash:
            check_contents(tablet, answer)
        return more

    def deliver_late(self, tablet: Tablet) -> None:
        if self.late:
            self.note("late duplicate")
            self.server.push(*self.late.pop(self.rng.randrange(len(self.late))))

    def happens(self) -> bool:
        return self.rng.random() < self.loss

    # --- people

    def write(self, tablet: Tablet) -> None:
        rng, record = self.rng, self.rng.choice(self.records)
        act = rng.random()
        if act < 0.80:
            values = {
                path: self.value(path)
                for path in sorted({self.path() for _ in range(rng.choice((1, 1, 2, 3)))})
            }
        elif act < 0.92:
            last = "approved" if tablet.person == STAFF and rng.random() < 0.7 else "submitted"
            values = {"status": rng.choice(("draft", "submitted", "returned", last))}
            if rng.random() < 0.3:
                values["title"] = self.value("title")
        elif act < 0.97:
            values = {
                DELETED: {"seen": sorted(everything_shown(tablet.view(record))), "reason": "entered twice"}
            }
        else:
            values = {DELETED: False}
        self.compose(tablet, record, values, schema=2 if rng.random() < 0.02 else 1)

    def compose(self, tablet: Tablet, record: str, values: dict[str, Any], **more: Any) -> None:
        skew = self.rng.choice((0, 0, 0, -300_000, 300_000))
        id = uuid7(self.rng, self.ms + skew)
        self.note("write", f"{tablet.name} {record[-4:]} {id[-4:]} {values} {more.get('decision', '')}")
        self.written[id] = tablet.write(
            id=id,
            record=record,
            values=values,
            ms=self.ms + skew,
            bucket=self.rng.choice(list(tablet.cursors)),
            **more,
        )

    def path(self) -> str:
        return self.rng.choice(PATHS).replace("*", f"{self.rng.randrange(1000):03d}")

    def value(self, path: str) -> Any:
        match merge_type(path):
            case "answer":
                pair = [("answer", self.rng.choice(("pass", "fail"))), ("measured", 71)]
                return dict(self.rng.sample(pair, 2))
            case "tag":
                return self.rng.random() < 0.5
        return self.rng.choice((1, 2)) if path == "visits" else self.rng.choice((1, True, "消防通道"))

    def decide(self, tablet: Tablet) -> None:
        """Mostly the desk; an inspector who tries to undo something is parked."""
        if self.rng.random() < 0.85:
            tablet = self.tablets[0]
        decisions = {"resolve": 2, "merge": 1, "withdraw": 3, "admit": 2, "close": 2}
        do = self.rng.choices(list(decisions), list(decisions.values()))[0]
        getattr(self, f"decide_{do}")(tablet)

    def decide_resolve(self, tablet: Tablet) -> None:
        for record in tablet.records():
            live = tablet.view(record)
            paths = sorted(path for path, kind in contested(live).items() if kind == "values")
            if paths:
                path = self.rng.choice(paths)
                choice = self.rng.choice([live[path][id] for id in sorted(live[path])])
                decision = {"do": "resolve", "conflict": path, "reason": "as measured again"}
                return self.compose(tablet, record, {path: choice}, decision=decision)

    def decide_merge(self, tablet: Tablet) -> None:
        if len(self.records) > 1:
            record, other = self.rng.sample(self.records, 2)
            self.compose(
                tablet, record, {}, decision={"do": "merge", "other": other, "reason": "entered twice"}
            )

    def decide_withdraw(self, tablet: Tablet) -> None:
        made = [id for id, change in self.written.items() if "decision" in change]
        self.decide_on("withdraw", tablet, made if made and self.rng.random() < 0.8 else list(self.written))

    def decide_admit(self, tablet: Tablet) -> None:
        self.decide_on("admit", tablet, self.not_accepted())

    def decide_close(self, tablet: Tablet) -> None:
        self.decide_on("close", tablet, self.not_accepted())

    def decide_on(self, do: str, tablet: Tablet, ids: list[str]) -> None:
        if ids:
            named = sorted({self.rng.choice(ids) for _ in range(self.rng.choice((1, 1, 2)))})
            at_hand = self.written[named[0]]["record"]
            record = at_hand if self.rng.random() < 0.7 else self.rng.choice(self.records)
            self.compose(tablet, record, {}, decision={"do": do, "changes": named, "reason": "checked"})

    def not_accepted(self) -> list[str]:
        return [
            id for id, (_, status) in self.server.log.items() if status != "accepted" and id in self.written
        ]

    # --- housekeeping and disasters

    def move(self, tablet: Tablet) -> None:
        if self.server.placed:
            self.note("move")
            self.server.move(self.rng.choice(sorted(self.server.placed)), self.rng.randrange(BUCKETS))

    def compact(self, tablet: Tablet) -> None:
        self.note("compact")
        self.server.compact(keep=self.rng.choice((2, 5, 20)))

    def back_up_tablet(self, tablet: Tablet) -> None:
        self.backups.append(tablet.copy())

    def restore_tablet(self, tablet: Tablet) -> None:
        mine = [backup for backup in self.backups if backup.name == tablet.name]
        if mine:
            self.note("tablet restored", tablet.name)
            self.replace_tablet(tablet, self.rng.choice(mine).copy())

    def clone_tablet(self, tablet: Tablet) -> None:
        """A tablet's database is copied onto another tablet, and both go on."""
        other = self.rng.choice(self.tablets[1:])
        if tablet is not other and tablet.person != STAFF:
            self.note("tablet cloned", f"{tablet.name} over {other.name}")
            twin = tablet.copy()
            twin.name = other.name
            self.replace_tablet(other, twin)

    def replace_tablet(self, old: Tablet, new: Tablet) -> None:
        self.tablets[self.tablets.index(old)] = new
        self.count_destroyed()

    def back_up_server(self, tablet: Tablet) -> None:
        self.server_backup = self.server.copy()

    def restore_server(self, tablet: Tablet) -> None:
        if self.server_backup is not None:
            self.note("server restored")
            epoch = self.server.epoch + 1
            self.server = self.server_backup.copy()
            self.server.epoch = epoch
            self.count_destroyed()

    def count_destroyed(self) -> None:
        """What is on no surviving store is not promised."""
        held = set(self.server.log)
        for tablet in self.tablets:
            held |= tablet.queued.keys() | tablet.acknowledged.keys()
        self.destroyed |= self.written.keys() - held

    # --- the end

    def heal(self) -> None:
        """No more faults: deliver what is late, then sync until nobody has anything left to say."""
        self.loss = 0
        for request in self.late:
            self.server.push(*request)
        calm = 0
        for _ in range(400):
            calm = 0 if [self.sync(tablet) for tablet in self.tablets].count(True) else calm + 1
            if calm == 2:
                return
        raise Violation("quiet", "the tablets never come to rest")

    def sync(self, tablet: Tablet) -> bool:
        """A page of pull and a batch of push; True while there was something to do."""
        busy = bool(tablet.queued)
        self.push(tablet)
        return self.pull(tablet) or busy


# --- promises


def check_own_writes(tablet: Tablet) -> None:
    """A tablet shows what it wrote until a pulled state has it, it left the scope, or was written over."""
    own = [envelope.change for envelope in tablet.queued.values()]
    own += [envelope.change for envelope, _ in tablet.acknowledged.values()]
    roots = tablet.roots()
    expected = [change for change in own if must_show(tablet, change, roots)]
    if not expected:
        return
    over = {
        (path, parent)
        for change in own
        for path, write in change["set"].items()
        for parent in write["parents"]
    }
    views = {record: tablet.view(record) for record in {change["record"] for change in expected}}
    for change in expected:
        for path in change["set"]:
            if (path, change["id"]) not in over and change["id"] not in views[change["record"]].get(path, {}):
                raise Violation("own writes", f"{tablet.name} does not show {change['id']} on {path}")


def must_show(tablet: Tablet, change: Change, roots: dict[str, str]) -> bool:
    if change["id"] in tablet.queued:
        return True
    record: str = change["record"]
    state = tablet.pulled.get(roots.get(record, record))
    if state is None:
        return change["id"] not in tablet.settled
    return state.rev < tablet.acknowledged[change["id"]][1].rev


def check_contents(tablet: Tablet, page: Page) -> None:
    """At a complete pull a tablet holds exactly the records of its buckets, each as the server has it."""
    for bucket, contents in page.contents.items():
        if tablet.contents(bucket) != contents:
            raise Violation("same contents", f"{tablet.name} differs in bucket {bucket}")


def check_outcome(simulation: Simulation) -> None:
    server = simulation.server
    truth = History(server.log.values())
    check_nothing_lost(simulation)
    check_statuses(simulation)
    check_nothing_replaced_unseen(server.history, truth)
    check_fold(server, simulation.rng)
    check_shown(simulation, truth)
    check_convergence(simulation)


def check_nothing_lost(simulation: Simulation) -> None:
    """Everything written on a surviving store is in the server's log, as it was written."""
    for id, change in simulation.written.items():
        if id not in simulation.destroyed and id not in simulation.server.log:
            raise Violation("nothing lost", id)
        if id in simulation.server.log and simulation.server.log[id][0] != change:
            raise Violation("nothing lost", f"{id} is not what was written")


def check_statuses(simulation: Simulation) -> None:
    """The status that a tablet was told is the one that the server goes by."""
    for tablet in simulation.tablets:
        for id, (_, acknowledgement) in tablet.acknowledged.items():
            if id in simulation.server.log and simulation.server.log[id][1] != acknowledgement.status:
                raise Violation("status stays", f"{id} was acknowledged as {acknowledgement.status}")


def check_nothing_replaced_unseen(shown: History, truth: History) -> None:
    """A value in force is live unless somebody in force, of its class, saw it; and only then is it not.

    Looks from the replaced value up to those who name it: the other way round than the fold.
    """
    naming: dict[tuple[str, str], list[str]] = {}
    for id, change in truth.changes.items():
        for path, write in change["set"].items():
            for parent in write["parents"]:
                naming.setdefault((path, parent), []).append(id)
    live = {(path, id) for paths in shown.live.values() for path, values in paths.items() for id in values}
    for id, change in truth.changes.items():
        for path in change["set"]:
            counts = id in truth.in_force
            replaced = merge_type(path) != "counter" and is_replaced(truth, naming, id, path)
            if counts and not replaced and (path, id) not in live:
                raise Violation("no silent loss", f"{id} on {path}")
            if (not counts or replaced) and (path, id) in live:
                raise Violation("what is replaced stays replaced", f"{id} on {path}")


def is_replaced(truth: History, naming: dict[tuple[str, str], list[str]], id: str, path: str) -> bool:
    record_class = truth.roots[truth.changes[id]["record"]]
    ahead, passed = [id], {id}
    while ahead:
        for child in naming.get((path, ahead.pop()), ()):
            if truth.roots[truth.changes[child]["record"]] != record_class:
                continue
            if child in truth.in_force:
                return True
            if child not in passed:
                passed.add(child)
                ahead.append(child)
    return False


def check_fold(server: Any, rng: Random) -> None:
    """The set decides: the log in another order, with repetitions, shows the same."""
    entries = list(server.log.values())
    entries += rng.choices(entries, k=len(entries) // 4) if entries else []
    rng.shuffle(entries)
    shown = {root: live for root in server.history.classes if (live := server.state(root).live)}
    if shown != fold(entries):
        raise Violation("order does not matter", "the same changes in another order show something else")


def check_shown(simulation: Simulation, truth: History) -> None:
    """Counters add up what people wrote; nothing unseen is hidden; exactly the real conflicts are told."""
    for root, members in truth.classes.items():
        state = simulation.server.state(root)
        written = simulation.written.items()
        for path in (path for path in state.readings if merge_type(path) == "counter"):
            count = sum(
                change["set"][path]["value"]
                for id, change in written
                if path in change["set"] and id in truth.in_force and change["record"] in members
            )
            if state.readings[path] != count:
                raise Violation("counters are exact", f"{state.readings[path]} instead of {count}")
        for path in (path for path in state.readings if merge_type(path) == "tag"):
            if state.readings[path] != (True in state.live[path].values()):
                raise Violation("an added tag stays", path)
        if state.deleted and all(unseen(state.live, deletion) for deletion in deletions(state.live)):
            raise Violation("nothing unseen is deleted", root)
        if state.conflicts != contested(state.live) or state.deleted != hidden(state.live):
            raise Violation("conflicts are told", f"{state.conflicts} of {root}")


def check_convergence(simulation: Simulation) -> None:
    """Every tablet shows exactly the server's records of its buckets, each as the server has it."""
    server = simulation.server
    for tablet in simulation.tablets:
        held = {
            root: server.state(root) for root, bucket in server.placed.items() if bucket in tablet.cursors
        }
        shown = {root: tablet.view(root) for root in tablet.records()}
        if shown != {root: state.live for root, state in held.items()}:
            raise Violation("convergence", f"{tablet.name} shows something else than the server")
        if tablet.pulled != held:
            raise Violation("convergence", f"{tablet.name} holds other states than the server")


# --- command line


def failures(
    bug: Bug, seeds: Iterable[int], events: int = EVENTS, tally: Counter[str] | None = None
) -> Iterator[tuple[int, Violation]]:
    """(seed, what it broke) of the seeds that break a promise; `tally` adds up what happened in all."""
    for seed in seeds:
        simulation = Simulation(seed, bug, events)
        try:
            simulation.run()
        except Violation as violation:
            yield seed, violation
        if tally is not None:
            tally.update(simulation.tally)


def main(arguments: list[str] | None = None, say: Callable[[str], None] = print) -> int:
    """0 if the design held, or if the planted bug was found; 1 otherwise."""
    options = parser().parse_args(arguments)
    if options.list:
        for name, bug in BUGS.items():
            say(f"{name:28} within {bug.within:4} seeds  {bug.what}")
        return 0
    bug = BUGS[options.bug] if options.bug else DESIGN
    seeds = range(options.first, options.first + options.seeds)
    tally: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    first: tuple[int, Violation] | None = None
    began = time.perf_counter()
    for seed, violation in failures(bug, seeds, options.events, tally):
        broken[violation.promise] += 1
        first = first or (seed, violation)
        if bug is DESIGN:
            say(f"seed {seed}: {violation}")
    took = time.perf_counter() - began
    if options.trace:
        for line in traced(bug, options.first, options.events):
            say(line)
    say(
        f"{options.bug or 'design'}: {broken.total()} of {len(seeds)} seeds break a promise {dict(broken)}; "
        f"first {first[0] if first else None}; {took:.1f} s, {len(seeds) / took:.0f} seeds/s"
    )
    say(f"what happened: {dict(sorted(tally.items()))}")
    return int(bool(broken) == (bug is DESIGN))


def traced(bug: Bug, seed: int, events: int) -> list[str]:
    simulation = Simulation(seed, bug, events)
    try:
        simulation.run()
    except Violation as violation:
        return [*simulation.trace, str(violation)]
    return simulation.trace


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.run", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--bug", choices=sorted(BUGS), metavar="NAME", help="plant this bug")
    parser.add_argument("--list", action="store_true", help="list the bugs that can be planted")
    parser.add_argument("--seeds", type=int, default=200, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="K", help="the first seed")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--trace", action="store_true", help="print the events of the first seed")
    return parser


def everything_shown(live: Live) -> set[str]:
    return {id for path, values in live.items() if path != DELETED for id in values}


if __name__ == "__main__":
    sys.exit(main())
