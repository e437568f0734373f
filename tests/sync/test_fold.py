"""The laws of merging, and the real fold held against the oracle."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync.core.change import Change, canonical, compose
from sync.core.fold import (
    Entry,
    State,
    absorb,
    conflicts_of,
    contested,
    deleted,
    fold,
    overlay,
    values_of,
)
from tests.simulation import model

seeds = st.integers(min_value=0, max_value=2**40)


def history(seed: int, **kind: Any) -> list[tuple[dict[str, Any], model.Status]]:
    rng = Random(seed)
    return model.random_history(rng, changes=rng.choice([8, 25, 60]), records=rng.choice([1, 2, 4]), **kind)


def entries(acts: list[tuple[dict[str, Any], model.Status]]) -> list[Entry]:
    return [Entry(Change.make(change), status, "" if status == "accepted" else "locked") for change, status in acts]


def live(states: dict[str, State]) -> dict[str, Any]:
    return {root: state.live for root, state in states.items() if state.live}


def write(id: str, path: str, value: Any, parents: list[str] = [], hlc: int = 1, **more: Any) -> Change:  # noqa: B006
    return compose(
        id=id,
        kind="inspection",
        record=more.pop("record", "r1"),
        set={path: (value, parents)} if path else {},
        by=["p1"],
        schema=1,
        hlc=f"{hlc:012x}-0000",
        clock={"wall": hlc, "mono": 0, "boot": "b", "off": 0},
        **more,
    )


def decide(id: str, do: str, **more: Any) -> Change:
    record = more.pop("record", "r1")
    return write(id, "", None, record=record, decision={"do": do, "reason": "because", **more})


@settings(max_examples=400, deadline=None)
@given(seeds)
def test_the_fold_means_what_the_oracle_says(seed: int) -> None:
    acts = history(seed)
    states = fold(entries(acts))
    assert live(states) == model.fold(acts)
    assert {root for root, state in states.items() if deleted(state)} == model.deleted(acts)


@settings(max_examples=400, deadline=None)
@given(seeds)
def test_conflicts_and_waiting_changes_are_those_of_the_oracle(seed: int) -> None:
    acts = history(seed)
    states = fold(entries(acts))
    found = {
        root: {c.path: c.kind for c in conflicts_of(state, model.merge_type) if c.path}
        for root, state in states.items()
    }
    assert {root: c for root, c in found.items() if c} == {r: c for r, c in model.conflicts(acts).items() if c}
    assert {p.id for state in states.values() for p in state.parked} == model.waiting(acts)


@settings(max_examples=200, deadline=None)
@given(seeds, seeds)
def test_order_and_repetition_do_not_matter(seed: int, other: int) -> None:
    acts = entries(history(seed))
    again = [*acts, *Random(other).choices(acts, k=len(acts))] if acts else []
    Random(other).shuffle(again)
    assert {r: s.dump() for r, s in fold(again).items()} == {r: s.dump() for r, s in fold(acts).items()}


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_rings_of_decisions_that_no_honest_writer_makes_still_fold_alike_in_any_order(seed: int) -> None:
    acts = [Entry(Change.stored(canonical(c)), status, "x") for c, status in history(seed, rings=True)]
    turned = list(reversed(acts))
    assert {r: s.dump() for r, s in fold(turned).items()} == {r: s.dump() for r, s in fold(acts).items()}


@settings(max_examples=300, deadline=None)
@given(seeds)
def test_absorbing_changes_one_by_one_is_folding_them(seed: int) -> None:
    acts = [e for e in entries(history(seed)) if e.status == "accepted" and e.change.decision is None]
    by_record: dict[str, list[Entry]] = {}
    for entry in acts:
        so_far = by_record.setdefault(entry.change.record, [])
        before = fold(so_far).get(entry.change.record, State(entry.change.record, entry.change.kind))
        so_far.append(entry)
        early = any(entry.change.id in e.change.parents(p) for e in so_far for p in e.change.set)
        step = None if early else absorb(before, entry)
        if step is not None:
            assert step.dump() == fold(so_far)[entry.change.record].dump()


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_a_state_survives_writing_and_reading(seed: int) -> None:
    for state in fold(entries(history(seed))).values():
        state.rev = seed % 1000
        assert State.read(state.dump()).dump() == state.dump()


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_what_was_never_seen_is_never_replaced(seed: int) -> None:
    acts = [e for e in entries(history(seed)) if e.change.decision is None]
    newcomer = write("newcomer", "title", "what nobody saw")
    after = fold([*acts, Entry(newcomer)])
    assert any("newcomer" in state.live.get("title", {}) for state in after.values())


@settings(max_examples=200, deadline=None)
@given(seeds, st.integers(1, 5))
def test_a_tablet_shows_what_the_server_will_hold(seed: int, count: int) -> None:
    acts = [e for e in entries(history(seed)) if e.change.decision is None]
    states = fold(acts)
    if not states:
        return
    base = states[min(states)]
    rng, pending = Random(seed), list[Change]()
    for n in range(count):
        shown = overlay(base, pending)
        path = rng.choice(["title", "answers/FIR-05", "deadline"])
        pending.append(write(f"own-{n}", path, n, shown.ids(path), record=base.record))
    merged = fold([*acts, *map(Entry, pending)])[base.record]
    assert overlay(base, pending).live == merged.live


def test_two_people_on_one_field_leave_both_values_for_a_person() -> None:
    first, a, b = write("c1", "title", "x"), write("c2", "title", "y", ["c1"]), write("c3", "title", "z", ["c1"])
    state = fold(map(Entry, [first, a, b]))["r1"]
    assert state.live["title"] == {"c2": "y", "c3": "z"}
    assert contested(state, model.merge_type) == ["title"]


def test_equal_values_are_no_conflict() -> None:
    state = fold([Entry(write("c1", "title", {"b": 1, "a": 2})), Entry(write("c2", "title", {"a": 2, "b": 1}))])["r1"]
    assert contested(state, model.merge_type) == []


@example(late=False)
@given(late=st.booleans())
def test_a_resolution_that_did_not_see_a_newcomer_leaves_it_live(late: bool) -> None:
    a, b, new = write("c1", "title", "a"), write("c2", "title", "b"), write("c3", "title", "c")
    chosen = write("d1", "title", "a", ["c1", "c2"], decision={"do": "resolve", "conflict": "k", "reason": "seen"})
    acts = [a, b, chosen, new] if late else [new, chosen, b, a]
    assert fold(map(Entry, acts))["r1"].live["title"] == {"c3": "c", "d1": "a"}


def test_a_resolved_conflict_stays_resolved_when_everything_arrives_again() -> None:
    acts = [write("c1", "title", "a"), write("c2", "title", "b"), write("d1", "title", "b", ["c1", "c2"])]
    assert fold(map(Entry, acts * 3))["r1"].live["title"] == {"d1": "b"}


def test_taking_a_resolution_back_brings_both_values_back() -> None:
    acts = [write("c1", "title", "a"), write("c2", "title", "b"), write("d1", "title", "b", ["c1", "c2"])]
    undone = fold(map(Entry, [*acts, decide("d2", "withdraw", changes=["d1"])]))["r1"]
    assert set(undone.live["title"]) == {"c1", "c2"}
    redo = decide("d3", "withdraw", changes=["d2"])
    assert set(fold(map(Entry, [*acts, redo, decide("d2", "withdraw", changes=["d1"])]))["r1"].live["title"]) == {"d1"}


def test_records_merged_and_parted_again_have_their_own_values_back() -> None:
    acts = [write("c1", "title", "a", record="r1"), write("c2", "title", "b", record="r2")]
    merge = decide("d1", "merge", record="r1", other="r2")
    settled = write("c3", "title", "b", ["c1", "c2"], record="r1")
    merged = fold(map(Entry, [*acts, merge, settled]))
    assert list(merged) == ["r1"] and merged["r1"].members == ("r2",) and merged["r1"].live["title"] == {"c3": "b"}
    parted = fold(map(Entry, [*acts, merge, settled, decide("d2", "withdraw", changes=["d1"])]))
    assert parted["r2"].live["title"] == {"c2": "b"} and parted["r1"].live["title"] == {"c3": "b"}


def test_a_chain_of_offline_edits_through_a_parked_one_still_replaces_what_was_seen() -> None:
    acts = [
        Entry(write("c1", "title", "a")),
        Entry(write("c2", "title", "b", ["c1"]), "parked", "locked"),
        Entry(write("c3", "title", "c", ["c2"])),
    ]
    assert fold(acts)["r1"].live["title"] == {"c3": "c"}


def test_a_deletion_that_missed_an_edit_keeps_the_record_visible() -> None:
    gone = write("c2", "_deleted", {"seen": ["c1"], "reason": "twice"})
    seen = fold(map(Entry, [write("c1", "title", "a"), gone]))["r1"]
    assert deleted(seen) and conflicts_of(seen, model.merge_type) == []
    missed = fold(map(Entry, [write("c1", "title", "a"), gone, write("c3", "phone", "1")]))["r1"]
    assert not deleted(missed)
    assert [c.kind for c in conflicts_of(missed, model.merge_type)] == ["delete_edit"]


def test_tags_add_counters_sum_and_cosmetic_fields_take_the_newest() -> None:
    acts = [
        write("c1", "tags/x", True),
        write("c2", "tags/x", False),
        write("c3", "visits", 2),
        write("c4", "visits", 3),
        write("c5", "phone", "old", hlc=5),
        write("c6", "phone", "new", hlc=6),
    ]
    state = fold(map(Entry, acts))["r1"]
    assert contested(state, model.merge_type) == []
    assert values_of(state, model.merge_type) == {"tags/x": True, "visits": 5, "phone": "new"}
