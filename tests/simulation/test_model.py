"""The oracle of merging: small cases, the laws it keeps, and that the simulator notices what is wrong."""

from collections.abc import Sequence
from itertools import islice
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.core.change import Change as WireChange
from sync.core.change import canonical
from tests.simulation.bugs import BUGS, DESIGN
from tests.simulation.model import (
    DELETED,
    Change,
    Entry,
    History,
    Status,
    change_content,
    classes,
    conflicts,
    deleted,
    fold,
    merge_type,
    random_history,
    smallest,
    waiting,
)
from tests.simulation.run import Simulation, failures, main

ROUND = 25
"""Seeds per test of the design; 12 rounds make 300."""


def wrote(id: str, value: Any, *over: str, path: str = "title", record: str = "r1") -> Change:
    return change_content(id=id, record=record, writes={path: (over, value)}, by="wang", ms=1)


def decided(id: str, do: str, *changes: str, other: str = "", record: str = "r1") -> Entry:
    named = {"other": other} if do == "merge" else {"changes": list(changes)}
    return accepted(
        change_content(
            id=id, record=record, writes={}, by="desk", ms=1, decision={"do": do, **named, "reason": "x"}
        )
    )


def accepted(change: Change) -> Entry:
    return change, "accepted"


def parked(change: Change) -> Entry:
    return change, "parked"


def titles(*entries: Entry, record: str = "r1") -> dict[str, Any]:
    return fold(entries).get(record, {}).get("title", {})


# --- what replaces what


def test_a_value_stays_until_somebody_who_saw_it_replaces_it() -> None:
    assert titles(accepted(wrote("a", 1)), accepted(wrote("b", 2))) == {"a": 1, "b": 2}
    assert titles(accepted(wrote("a", 1)), accepted(wrote("b", 2, "a"))) == {"b": 2}


def test_a_parked_change_replaces_nothing() -> None:
    assert titles(accepted(wrote("a", 1)), parked(wrote("b", 2, "a"))) == {"a": 1}


def test_an_edit_upon_parked_edits_replaces_what_they_had_replaced() -> None:
    chain = [accepted(wrote("a", 1)), parked(wrote("b", 2, "a")), parked(wrote("c", 3, "b"))]
    assert titles(*chain, accepted(wrote("d", 4, "c"))) == {"d": 4}


def test_a_parent_that_never_arrived_stands_for_nothing() -> None:
    assert titles(accepted(wrote("a", 1)), accepted(wrote("c", 3, "lost"))) == {"a": 1, "c": 3}


def test_replacing_one_value_of_a_change_leaves_its_others() -> None:
    both = change_content(id="a", record="r1", writes={"title": ((), 1), "amount": ((), 5)}, by="wang", ms=1)
    assert fold([accepted(both), accepted(wrote("b", 2, "a"))]) == {
        "r1": {"title": {"b": 2}, "amount": {"a": 5}}
    }


def test_increments_add_up_whatever_they_name() -> None:
    entries = [accepted(wrote("a", 2, path="visits")), accepted(wrote("b", 3, "a", path="visits"))]
    assert History(entries).reading("r1", "visits") == 5


def test_a_tag_added_while_another_removes_it_stays() -> None:
    entries = [
        accepted(wrote(id, value, *over, path="tags/storage"))
        for id, value, over in (("a", True, ()), ("off", False, ("a",)), ("on", True, ("a",)))
    ]
    assert History(entries).reading("r1", "tags/storage") is True


def test_a_parent_named_twice_is_replaced_once() -> None:
    assert titles(accepted(wrote("a", 1)), accepted(wrote("b", 2, "a", "a"))) == {"b": 2}


# --- decisions


def test_an_admitted_change_replaces_what_its_author_saw() -> None:
    entries = [accepted(wrote("a", 1)), parked(wrote("b", 2, "a"))]
    assert waiting(entries) == {"b"}
    entries.append(decided("ok", "admit", "b"))
    assert titles(*entries) == {"b": 2}
    assert waiting(entries) == set()


def test_a_closed_change_waits_no_more_and_counts_no_more_than_before() -> None:
    entries = [accepted(wrote("a", 1)), parked(wrote("b", 2, "a")), decided("no", "close", "b")]
    assert titles(*entries) == {"a": 1}
    assert waiting(entries) == set()


def test_withdrawing_a_resolution_opens_the_conflict_again_and_withdrawing_that_closes_it() -> None:
    entries = [accepted(wrote("a", 1)), accepted(wrote("b", 2)), accepted(wrote("c", 1, "a", "b"))]
    assert conflicts(entries) == {}
    entries.append(decided("undo", "withdraw", "c"))
    assert conflicts(entries) == {"r1": {"title": "values"}}
    entries.append(decided("redo", "withdraw", "undo"))
    assert conflicts(entries) == {}
    assert titles(*entries) == {"c": 1}


def test_a_resolution_that_did_not_see_a_newcomer_leaves_the_conflict_open() -> None:
    entries = [accepted(wrote("a", 1)), accepted(wrote("b", 2)), accepted(wrote("new", 3))]
    assert titles(*entries, accepted(wrote("c", 1, "a", "b"))) == {"c": 1, "new": 3}


def test_a_decision_that_is_not_in_force_decides_nothing() -> None:
    undo, _ = decided("undo", "withdraw", "a")
    assert titles(accepted(wrote("a", 1)), parked(undo)) == {"a": 1}
    assert titles(accepted(wrote("a", 1)), parked(undo), decided("ok", "admit", "undo")) == {}


def test_decisions_in_a_ring_are_void() -> None:
    ring = [decided("u", "withdraw", "v", "a"), decided("v", "withdraw", "u")]
    assert titles(accepted(wrote("a", 1)), *ring) == {"a": 1}
    assert History(ring).in_force == frozenset()


def test_a_change_has_one_status() -> None:
    with pytest.raises(ValueError, match="two statuses"):
        fold([accepted(wrote("a", 1)), parked(wrote("a", 1))])


# --- records that are one thing


def test_a_merged_record_goes_by_its_smallest_member_that_was_never_merged_away() -> None:
    entries = [accepted(wrote(f"c{n}", n, record=f"r{n}")) for n in (1, 2, 3)]
    entries += [
        decided("m", "merge", other="r1", record="r2"),
        decided("n", "merge", other="r1", record="r3"),
    ]
    assert classes(entries) == {"r2": {"r1", "r2", "r3"}}
    assert titles(*entries, record="r2") == {"c1": 1, "c2": 2, "c3": 3}


def test_a_ring_of_merges_goes_by_its_smallest_member() -> None:
    ring = [decided("m", "merge", other="r1", record="r2"), decided("n", "merge", other="r2", record="r1")]
    assert classes(ring) == {"r1": {"r1", "r2"}}


def test_undoing_a_merge_gives_each_record_back_what_the_other_had_replaced() -> None:
    entries = [accepted(wrote("a", 1, record="r1")), accepted(wrote("b", 2, "a", record="r2"))]
    entries.append(decided("m", "merge", other="r2"))
    assert fold(entries) == {"r1": {"title": {"b": 2}}}
    entries.append(decided("undo", "withdraw", "m"))
    assert fold(entries) == {"r1": {"title": {"a": 1}}, "r2": {"title": {"b": 2}}}


def test_a_parked_parent_of_another_record_is_not_looked_through() -> None:
    chain = [accepted(wrote("a", 1)), parked(wrote("b", 2, "a", record="r2")), accepted(wrote("c", 3, "b"))]
    assert titles(*chain) == {"a": 1, "c": 3}
    assert titles(*chain, decided("m", "merge", other="r2")) == {"c": 3}


# --- deletions and conflicts


def test_a_deletion_hides_what_its_author_saw_and_nothing_else() -> None:
    entries = [
        accepted(wrote("a", 1)),
        accepted(wrote("d", {"seen": ["a"], "reason": "twice"}, path=DELETED)),
    ]
    assert deleted(entries) == {"r1"}
    unseen = [*entries, accepted(wrote("b", 5, path="amount"))]
    assert deleted(unseen) == set()
    assert conflicts(unseen) == {"r1": {DELETED: "delete_edit"}}


def test_an_undeleted_record_is_there_without_a_conflict() -> None:
    entries = [
        accepted(wrote("a", 1)),
        accepted(wrote("d", {"seen": ["a"], "reason": "twice"}, path=DELETED)),
    ]
    entries.append(accepted(wrote("u", False, "d", path=DELETED)))
    assert deleted(entries) == set()
    assert conflicts(entries) == {}


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        (1, 1, False),
        ({"x": 1, "y": 2}, {"y": 2, "x": 1}, False),
        (1, True, True),
        (1, "1", True),
        (None, 0, True),
    ],
)
def test_a_conflict_is_about_values_that_differ_as_json(one: Any, other: Any, differ: bool) -> None:
    assert bool(conflicts([accepted(wrote("a", one)), accepted(wrote("b", other))])) is differ


@pytest.mark.parametrize("path", ["notes/1", "evidence/1", "tags/storage", "visits", "phone"])
def test_some_paths_never_conflict(path: str) -> None:
    assert conflicts([accepted(wrote("a", 1, path=path)), accepted(wrote("b", 2, path=path))]) == {}


# --- laws, on random histories

histories = st.builds(
    lambda seed, changes, records: random_history(
        Random(seed), changes=changes, records=records, short_ids=True
    ),
    st.integers(0, 2**32),
    st.integers(0, 40),
    st.integers(1, 4),
)
spoilt = st.builds(
    lambda seed, rings: random_history(Random(seed), sloppy=True, rings=rings),
    st.integers(0, 2**32),
    st.booleans(),
)


def told(entries: Sequence[Entry], history_type: type[History] = History) -> list[Any]:
    """Everything that a fold says, comparable."""
    history = history_type(entries)
    readings = {
        (root, path): history.reading(root, path)
        for root, live in history.live.items()
        for path, values in live.items()
        if values
    }
    shown = {
        root: {path: values for path, values in live.items() if values} for root, live in history.live.items()
    }
    by_root = {root: (history.is_deleted(root), history.conflicts(root)) for root in history.classes}
    return [shown, history.classes, by_root, readings]


@given(histories | spoilt, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(history: list[Entry], rng: Random) -> None:
    again = history + rng.choices(history, k=5) if history else []
    rng.shuffle(again)
    assert told(again) == told(history)


@given(histories | spoilt)
def test_what_is_in_force_satisfies_its_own_definition(entries: list[Entry]) -> None:
    history = History(entries)

    def decided_on(target: str, do: str) -> bool:
        decisions = (history.changes[id].get("decision", {}) for id in history.in_force)
        return any(one.get("do") == do and target in one["changes"] for one in decisions)

    for id, status in history.status.items():
        counts = (status == "accepted" or decided_on(id, "admit")) and not decided_on(id, "withdraw")
        assert (id in history.in_force) == (counts and id not in history.void)


@given(histories | spoilt)
def test_live_is_what_its_definition_says_word_for_word(entries: list[Entry]) -> None:
    history = History(entries)
    force, changes, roots = history.in_force, history.changes, history.roots

    def effective(parent: str, like: Change, path: str, passed: frozenset[str]) -> set[str]:
        if parent in passed:
            return set()
        known = parent in changes and roots[changes[parent]["record"]] == roots[like["record"]]
        if parent in force or not known:
            return {parent}
        behind = changes[parent]["set"].get(path, {"parents": ()})["parents"]
        return set().union(*(effective(one, like, path, passed | {parent}) for one in behind))

    def replaced(id: str, path: str) -> bool:
        same = [
            z
            for z in map(changes.__getitem__, force)
            if path in z["set"] and roots[z["record"]] == roots[changes[id]["record"]]
        ]
        return any(
            id in effective(parent, z, path, frozenset())
            for z in same
            for parent in z["set"][path]["parents"]
        )

    expected: dict[str, dict[str, dict[str, Any]]] = {}
    for id in force:
        for path, write in changes[id]["set"].items():
            if merge_type(path) == "counter" or not replaced(id, path):
                expected.setdefault(roots[changes[id]["record"]], {}).setdefault(path, {})[id] = write[
                    "value"
                ]
    assert fold(entries) == expected


@given(histories)
def test_a_path_that_somebody_in_force_wrote_shows_something(entries: list[Entry]) -> None:
    history, shown = History(entries), fold(entries)
    for change in (history.changes[id] for id in history.in_force):
        assert all(shown[history.roots[change["record"]]][path] for path in change["set"])


@given(histories, st.randoms(use_true_random=False))
def test_a_withdrawal_withdrawn_changes_nothing(entries: list[Entry], rng: Random) -> None:
    target = rng.choice(entries)[0]["id"] if entries else "anything"
    undo_and_redo = [decided("undo", "withdraw", target), decided("redo", "withdraw", "undo")]
    assert fold(entries + undo_and_redo) == fold(entries)


@given(histories, st.sampled_from(["r0", "r1", "r2"]))
def test_a_merge_withdrawn_leaves_no_trace(entries: list[Entry], record: str) -> None:
    merge_and_unmerge = [decided("m", "merge", other="r3", record=record), decided("undo", "withdraw", "m")]
    assert fold(entries + merge_and_unmerge) == fold(entries)


@given(histories, st.sampled_from(["parked", "quarantined"]))
def test_a_parked_change_admitted_counts_like_an_accepted_one(entries: list[Entry], status: Status) -> None:
    change = wrote("new", "value", *[change["id"] for change, _ in entries[:3]])
    assert fold([*entries, (change, status), decided("ok", "admit", "new")]) == fold(
        [*entries, accepted(change)]
    )


@given(histories, st.randoms(use_true_random=False))
def test_closing_changes_nothing_that_is_shown(entries: list[Entry], rng: Random) -> None:
    target = rng.choice(entries)[0]["id"] if entries else "anything"
    assert fold([*entries, decided("no", "close", target)]) == fold(entries)


# --- random histories


@pytest.mark.parametrize("seed", range(40))
def test_random_histories_are_what_the_wire_carries(seed: int) -> None:
    for change, _ in random_history(Random(seed), short_ids=seed % 2 == 0, sloppy=seed % 3 == 0):
        assert WireChange.read(canonical(change)).body == change


def test_the_same_seed_makes_the_same_history() -> None:
    assert random_history(Random(7)) == random_history(Random(7)) != random_history(Random(8))


@pytest.mark.parametrize("bug", [name for name, bug in BUGS.items() if bug.history is not History])
def test_random_histories_tell_every_spoilt_fold_from_the_sound_one(bug: str) -> None:
    drawn = (random_history(Random(seed), changes=40) for seed in range(200))
    assert any(told(entries, BUGS[bug].history) != told(entries) for entries in drawn)


def test_a_failing_history_is_cut_down_to_what_it_takes() -> None:
    history = next(entries for seed in range(100) if conflicts(entries := random_history(Random(seed))))
    assert len(smallest(history, lambda entries: bool(conflicts(entries)))) == 2


# --- the simulator


@pytest.mark.parametrize("first", range(0, 300, ROUND))
def test_the_design_keeps_its_promises(first: int) -> None:
    assert list(failures(DESIGN, range(first, first + ROUND))) == []


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    bug = BUGS[name]
    found = list(islice(failures(bug, range(bug.first, bug.first + min(bug.within, 20))), 1))
    assert found, f"pin another first seed: python -m tests.simulation.run --bug {name} --seeds {bug.within}"


def test_a_seed_runs_the_same_again() -> None:
    assert Simulation(11).run().trace == Simulation(11).run().trace


def test_everything_that_can_go_wrong_does() -> None:
    happened = set().union(*(Simulation(seed).run().tally for seed in range(12)))
    faults = {"request lost", "answer lost", "late duplicate", "fork", "cursor gone", "new epoch"}
    assert faults | {"server restored", "tablet restored", "tablet cloned", "move", "compact"} <= happened


def test_the_command_says_whether_the_design_held() -> None:
    said: list[str] = []
    assert main(["--seeds", "2", "--events", "60", "--trace"], said.append) == 0
    assert main(["--bug", "lww", "--seeds", "2"], said.append) == 0
    assert main(["--bug", "one_step_only", "--seeds", "1", "--events", "5"], said.append) == 1
    assert any("design: 0 of 2 seeds break a promise" in line for line in said)
    assert any("lww: 2 of 2 seeds break a promise" in line for line in said)
