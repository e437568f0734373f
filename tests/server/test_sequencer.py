"""The server's core: dispositions, merging, feed, forks and the log, on a real SQLite file."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.merging import decisions
from server.storage import conflicts, journal, merkle, states
from sync.core.change import Change
from sync.core.errors import CursorExpired, EpochChanged, Malformed, Refused, ReplicaForked, Stale
from sync.core.fold import State, fold
from sync.core.log import leaf_hash, verify_consistency, verify_tail
from sync.core.note import Verifier, open_note
from sync.core.rules import Rights
from tests.simulation import model
from tests.support.county import DESK, EPOCH, County, Replica

AREA = "430102001001"


@pytest.fixture
def county(tmp_path: Path) -> County:
    return County(tmp_path)


def stored(county: County) -> dict[str, State]:
    with county.database.read() as conn:
        return {row.record: State.read(row.bytes) for row in states.scan(conn)}


def open_conflicts(county: County) -> list[tuple[str, str]]:
    with county.database.read() as conn:
        return [(row.kind, row.path) for row in conflicts.waiting(conn)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_whatever_arrives_in_whatever_batches_the_server_holds_the_fold_of_its_log(
    seed: int, tmp_path_factory: Any
) -> None:
    county = County(tmp_path_factory.mktemp("county"))
    rng = Random(seed)
    acts = [Change.make({**c, "kind": "visit"}) for c, _ in model.random_history(rng, changes=30)]
    writers = [Replica(county, f"r{i}", DESK) for i in range(3)]
    while acts:
        some, acts = acts[: rng.choice([1, 3, 10])], acts[rng.choice([1, 2, 10]) :]
        rng.choice(writers).push(*some)
    with county.database.read() as conn:
        records = {row[8] and Change.stored(row[8]).record for row in journal.scan(conn)}
        expected = {root: s for root, s in fold(journal.entries(conn, records)).items() if s.live or s.parked}
    held = stored(county)
    assert held.keys() >= expected.keys()
    for root, state in expected.items():
        state.rev = held[root].rev
        assert held[root].dump() == state.dump()
    _the_feed_agrees_with_the_states(county)


def _the_feed_agrees_with_the_states(county: County) -> None:
    with county.database.read() as conn:
        for bucket in states.heads(conn, [""]).values():
            items = states.after(conn, bucket.key, 0, 10_000)
            assert len({item.at for item in items}) == len(items)
            assert bucket.count == sum(item.gone is None for item in items)
            rows = states.load(conn, [item.record for item in items if item.gone is None])
            assert bucket.sum == sum(row.sum for row in rows.values())
            assert max((item.at for item in items), default=bucket.head) == bucket.head


def test_a_change_sent_twice_is_kept_once(county: County) -> None:
    writer = Replica(county, "r1")
    change = writer.change("v1", {"area": AREA, "title": "a"})
    body = writer.body([change])
    first, again = (county.push(body, signer=writer.signer)["results"][0] for _ in range(2))
    assert first["status"] == again["status"] == "accepted"
    assert again["duplicate"] and again["leaf"] == first["leaf"] and again["at"] == first["at"]
    assert stored(county)["v1"].rev == 1


def test_two_edits_of_one_field_open_a_conflict_that_staff_resolve_and_undo(county: County) -> None:
    writer, other = Replica(county, "r1"), Replica(county, "r2")
    base = writer.change("v1", {"area": AREA, "title": "a"})
    writer.push(base)
    mine = writer.change("v1", {"title": "b"}, {"title": [base.id]})
    theirs = other.change("v1", {"title": "c"}, {"title": [base.id]})
    writer.push(mine)
    other.push(theirs)
    assert open_conflicts(county) == [("values", "title")]
    with county.database.read() as conn:
        conflict = decisions.ticket(conflicts.waiting(conn)[0])
    shown = decisions.show(county.desk, conflict)
    assert {c.values["title"] for c in shown.candidates} == {"b", "c"}
    assert all(c.base == {"title": ["a"]} for c in shown.candidates)
    decisions.resolve(county.desk, conflict, take=theirs.id, reason="photo shows it", by=["s1"])
    assert open_conflicts(county) == []
    assert list(stored(county)["v1"].live["title"].values()) == ["c"]
    decisions.undo(county.desk, conflict, reason="wrong photo", by=["s1"])
    assert open_conflicts(county) == [("values", "title")]


def test_a_newcomer_that_the_person_did_not_see_keeps_the_conflict_open(county: County) -> None:
    writers = [Replica(county, f"r{i}") for i in range(3)]
    changes = [w.change("v1", {"area": AREA, "title": t}) for w, t in zip(writers, "abc", strict=True)]
    for writer, change in zip(writers, changes, strict=True):
        writer.push(change)
    with county.database.read() as conn:
        conflict = next(c.id for c in conflicts.waiting(conn) if c.path == "title")
    decisions.resolve(county.desk, conflict, value="a", seen=[changes[0].id, changes[1].id], reason="x", by=["s1"])
    assert sorted(stored(county)["v1"].live["title"].values()) == ["a", "c"]
    assert ("values", "title") in open_conflicts(county)


def test_merged_institutions_are_one_record_under_both_ids_until_the_merge_is_taken_back(county: County) -> None:
    writer = Replica(county, "r1")
    writer.push(writer.change("v1", {"area": AREA, "title": "a"}), writer.change("v2", {"area": AREA, "title": "b"}))
    decisions.merge(county.desk, "v1", "v2", reason="same house", by=["s1"])
    late = writer.change("v2", {"amount": "7"})
    assert writer.push(late)[0]["record"] == "v1"
    merged = stored(county)
    assert set(merged) == {"v1"} and merged["v1"].members == ("v2",)
    assert set(merged["v1"].live["title"].values()) == {"a", "b"} and merged["v1"].live["amount"] == {late.id: "7"}
    gone = [line for line in county.pull() if "gone" in line]
    assert [(line["gone"], line["why"], line["into"]) for line in gone] == [("v2", "merged", "v1")]
    decisions.unmerge(county.desk, "v1", "v2", reason="two floors", by=["s1"])
    parted = stored(county)
    assert parted["v2"].live["amount"] == {late.id: "7"} and "amount" not in parted["v1"].live
    assert open_conflicts(county) == []


def test_a_merge_that_was_withdrawn_under_another_record_before_it_arrived_never_counts(county: County) -> None:
    desk = Replica(county, "r1", DESK)
    merge = desk.change("v1", {}, decision={"do": "merge", "other": "v2", "reason": "x"})
    desk.push(*(desk.change(v, {"area": AREA}) for v in ("v1", "v2", "v3")))
    desk.push(desk.change("v3", {}, decision={"do": "withdraw", "changes": [merge.id], "reason": "x"}))
    desk.push(merge)
    assert set(stored(county)) == {"v1", "v2", "v3"}


def test_a_parted_record_goes_on_from_the_revision_of_what_it_was_part_of(county: County) -> None:
    writer = Replica(county, "r1")
    writer.push(writer.change("v1", {"area": AREA}), writer.change("v2", {"area": AREA}))
    decisions.merge(county.desk, "v1", "v2", reason="x", by=["s1"])
    for i in range(4):
        writer.push(writer.change("v1", {"amount": str(i)}))
    merged = stored(county)["v1"].rev
    decisions.unmerge(county.desk, "v1", "v2", reason="x", by=["s1"])
    assert min(stored(county)[v].rev for v in ("v1", "v2")) > merged


def test_a_tablet_decides_nothing_and_a_desk_only_in_its_own_area(county: County) -> None:
    theirs = Replica(county, "r9", Rights("officer", ("4302",)))
    foreign = theirs.change("w1", {"area": "430201001001", "title": "theirs"})
    theirs.push(foreign)
    tablet, desk = Replica(county, "r1", Rights("staff", ("4301",))), Replica(county, "r2", DESK)
    for writer, reason in ((tablet, "not-permitted"), (desk, "scope")):
        own = writer.change(f"v-{reason}", {"area": AREA})
        merge = writer.change(f"v-{reason}", {}, decision={"do": "merge", "other": "w1", "reason": "x"})
        undo = writer.change(f"v-{reason}", {}, decision={"do": "withdraw", "changes": [foreign.id], "reason": "x"})
        assert [r.get("reason") for r in writer.push(own, merge, undo)] == [None, reason, reason]
    assert stored(county)["w1"].live["title"] == {foreign.id: "theirs"}


def test_a_kept_change_of_another_kind_does_not_turn_the_record_into_it(county: County) -> None:
    writer = Replica(county, "r1")
    writer.push(writer.change("v1", {"area": AREA, "title": "a"}))
    other = Change.make({**writer.change("v1", {"area": AREA}, kind="zzz").body, "id": "0000"})
    assert writer.push(other)[0]["status"] == "quarantined"
    assert stored(county)["v1"].kind == "visit"
    assert writer.push(writer.change("v1", {"amount": "1"}))[0]["status"] == "accepted"


def test_two_contents_under_one_id_in_one_push_are_both_kept(county: County) -> None:
    writer = Replica(county, "r1")
    first = writer.change("v1", {"area": AREA, "title": "a"})
    second = Change.make({**first.body, "set": {"title": {"parents": [], "value": "b"}}})
    results = writer.push(first, second)
    assert [r["status"] for r in results] == ["accepted", "quarantined"] and results[1]["leaf"] == 1
    assert writer.push(second)[0]["leaf"] == 1
    with county.database.read() as conn:
        assert [content for _, content, _ in journal.waiting(conn)] == [second.content]


def test_a_push_says_nothing_of_where_a_record_is_that_the_tablet_may_not_see(county: County) -> None:
    theirs = Replica(county, "r9", Rights("officer", ("4302",)))
    theirs.push(theirs.change("w1", {"area": "430201001001"}))
    writer = Replica(county, "r1")
    (result,) = writer.push(writer.change("w1", {"amount": "1"}))
    assert (result["status"], result["rev"], "bucket" in result) == ("parked", 0, False)


def test_a_decision_needs_what_the_person_was_shown_and_an_old_showing_is_refused(county: County) -> None:
    writers = [Replica(county, f"r{i}") for i in range(3)]
    changes = [w.change("v1", {"area": AREA, "title": t}) for w, t in zip(writers, "abc", strict=True)]
    writers[0].push(changes[0])
    writers[1].push(changes[1])
    with county.database.read() as conn:
        shown = next(c for c in conflicts.waiting(conn) if c.path == "title")
    with pytest.raises(Refused):
        decisions.resolve(county.desk, shown.id, take=changes[0].id, reason="x", by=["s1"])
    writers[2].push(changes[2])
    with pytest.raises(Stale):
        decisions.resolve(county.desk, decisions.ticket(shown), take=changes[0].id, reason="x", by=["s1"])
    assert len(stored(county)["v1"].live["title"]) == 3


def test_the_county_decides_authority_fields_by_a_visible_change_of_the_server(county: County) -> None:
    field, desk = Replica(county, "r1"), Replica(county, "r2", DESK)
    base = field.change("v1", {"area": AREA, "deadline": "2026-12-01"})
    field.push(base)
    field.push(field.change("v1", {"deadline": "2026-12-24"}, {"deadline": [base.id]}))
    desk.push(desk.change("v1", {"deadline": "2026-12-05"}, {"deadline": [base.id]}))
    state = stored(county)["v1"]
    assert list(state.live["deadline"].values()) == ["2026-12-05"]
    assert [act.by for act in state.acts.values() if act.role == "system"] == [("system",)]
    assert open_conflicts(county) == []


def test_edits_of_an_approved_record_are_parked_as_one_late_edit_and_can_be_admitted(county: County) -> None:
    writer, desk = Replica(county, "r1"), Replica(county, "r2", DESK)
    base = writer.change("v1", {"area": AREA, "title": "a", "status": "draft"})
    sent = writer.change("v1", {"status": "sent"}, {"status": [base.id]})
    writer.push(base, sent)
    desk.push(desk.change("v1", {"status": "approved"}, {"status": [sent.id]}))
    late = writer.change("v1", {"title": "b"}, {"title": [base.id]})
    more = writer.change("v1", {"amount": "9"})
    note = writer.change("v1", {"notes/n1": {"text": "still open"}})
    assert [(r["status"], r.get("reason")) for r in writer.push(late, more, note)] == [
        ("parked", "locked"),
        ("parked", "locked"),
        ("accepted", None),
    ]
    assert open_conflicts(county) == [("late_edit", "")]
    assert stored(county)["v1"].live["title"] == {base.id: "a"}
    decisions.admit(county.desk, [late.id], reason="justified", by=["s1"])
    assert stored(county)["v1"].live["title"] == {late.id: "b"}
    decisions.close(county.desk, [more.id], reason="too late", by=["s1"])
    assert open_conflicts(county) == []


@pytest.mark.parametrize(
    ("values", "more", "expected"),
    [
        ({"area": AREA, "zzz": 1}, {}, ("quarantined", "unknown-field", "zzz")),
        ({"area": AREA, "zzz": 1}, {"schema": 2}, ("accepted", None, None)),
        ({"area": "4301021"}, {}, ("quarantined", "invalid-field", "area")),
        ({"area": AREA, "notes/x": "plain"}, {}, ("quarantined", "invalid-field", "notes/x")),
        ({"area": "440101001001"}, {}, ("parked", "scope", "area")),
        ({"area": AREA, "status": "approved"}, {}, ("parked", "stale", "status")),
        ({"area": AREA}, {"kind": "unheard_of"}, ("quarantined", "unknown-kind", "kind")),
        (
            {"area": AREA},
            {"decision": {"do": "close", "changes": ["x"], "reason": "y"}},
            ("parked", "not-permitted", "decision"),
        ),
    ],
)
def test_what_cannot_be_accepted_is_kept_with_its_reason_and_field(
    county: County, values: dict[str, Any], more: dict[str, Any], expected: tuple[str, Any, Any]
) -> None:
    writer = Replica(county, "r1")
    change = writer.change("v1", values, **more)
    result = writer.push(change, writer.change("v9", {"area": AREA, "title": "the rest goes on"}))
    assert (result[0]["status"], result[0].get("reason"), result[0].get("field")) == expected
    assert result[1]["status"] == "accepted"
    with county.database.read() as conn:
        assert journal.known(conn, [change.id])[change.id].hash == change.hash


def test_a_line_that_is_no_change_is_kept_as_it_is(county: County) -> None:
    writer = Replica(county, "r1")
    broken, spaced = b'{"v":1,', b'{"v": 1}'
    results = writer.push(broken, spaced, writer.change("v1", {"area": AREA}))
    assert [r["status"] for r in results] == ["quarantined", "quarantined", "accepted"]
    with county.database.read() as conn:
        assert {content for _, content, _ in journal.waiting(conn)} == {broken, spaced}


def test_changes_that_the_device_did_not_sign_are_quarantined_one_by_one(county: County) -> None:
    writer = Replica(county, "r1")
    good, bad = writer.change("v1", {"area": AREA}), writer.change("v2", {"area": AREA})
    header, *lines = writer.body([good, bad]).split(b"\n")
    spoiled = json.loads(header)
    spoiled["runs"][0]["sigs"][1] = base64.b64encode(bytes(64)).decode()
    results = county.push(b"\n".join([json.dumps(spoiled).encode(), *lines]), signer=writer.signer)["results"]
    assert [(r["status"], r.get("reason")) for r in results] == [("accepted", None), ("quarantined", "bad-signature")]


def test_a_restored_or_cloned_tablet_is_told_to_take_a_new_replica_id(county: County) -> None:
    writer = Replica(county, "r1")
    clone = Replica(county, "r1", signer=writer.signer)
    writer.push(writer.change("v1", {"area": AREA}))
    with pytest.raises(ReplicaForked) as caught:
        clone.push(clone.change("v2", {"area": AREA}))
    assert caught.value.facts["n"] == 1
    renamed = Replica(county, "r1b", signer=writer.signer)
    assert renamed.push(renamed.change("v2", {"area": AREA}))[0]["status"] == "accepted"


def test_a_fork_is_found_behind_an_honest_run_of_the_same_push(county: County) -> None:
    writer = Replica(county, "r1")
    clone = Replica(county, "r1", signer=writer.signer)
    writer.push(writer.change("v1", {"area": AREA}))
    honest, forked = (
        json.loads((body := w.body([w.change("v2", {"area": AREA})])).split(b"\n")[0])["runs"][0]
        | {"line": body.split(b"\n")[1]}
        for w in (writer, clone)
    )
    header = {"epoch": EPOCH, "runs": [{k: v for k, v in run.items() if k != "line"} for run in (honest, forked)]}
    with pytest.raises(ReplicaForked):
        county.push(b"\n".join([json.dumps(header).encode(), honest["line"], forked["line"]]), signer=writer.signer)


def test_an_id_taken_by_other_content_is_kept_under_its_own_name(county: County) -> None:
    writer = Replica(county, "r1")
    first = writer.change("v1", {"area": AREA, "title": "a"})
    other = Change.make({**first.body, "set": {"title": {"parents": [], "value": "b"}}})
    writer.push(first)
    assert (writer.push(other)[0]["status"], stored(county)["v1"].live["title"]) == ("quarantined", {first.id: "a"})
    with county.database.read() as conn:
        assert [content for _, content, _ in journal.waiting(conn)] == [other.content]


def test_a_body_that_was_cut_is_refused_whole(county: County) -> None:
    writer = Replica(county, "r1")
    body = writer.body([writer.change("v1", {"area": AREA}), writer.change("v2", {"area": AREA})])
    with pytest.raises(Malformed, match="cut"):
        county.push(body[: body.rfind(b"\n")], signer=writer.signer)
    assert stored(county) == {}


def test_another_epoch_is_refused_before_anything_is_kept(county: County) -> None:
    writer = Replica(county, "r1")
    with pytest.raises(EpochChanged):
        county.push(writer.body([writer.change("v1", {"area": AREA})], epoch="old"), signer=writer.signer)


def test_a_clock_three_days_ahead_is_kept_and_flagged_and_never_decides(county: County) -> None:
    writer = Replica(county, "r1")
    ahead = f"{county.now + 3 * 86_400_000:012x}-0000"
    early = writer.change("v1", {"area": AREA, "title": "from the future"}, hlc=ahead)
    writer.push(early, writer.change("v1", {"title": "now"}))
    state = stored(county)["v1"]
    assert len(state.live["title"]) == 2
    assert state.acts[early.id].hlc < ahead


def test_a_record_that_moves_to_another_area_leaves_one_bucket_and_enters_the_other(county: County) -> None:
    writer = Replica(county, "r1")
    base = writer.change("v1", {"area": AREA})
    writer.push(base)
    writer.push(writer.change("v1", {"area": "430103001001"}, {"area": [base.id]}))
    here = county.pull(prefixes=(f"area:{AREA}",))
    there = county.pull(prefixes=("area:430103",))
    assert [(line["gone"], line["why"]) for line in here if "gone" in line] == [("v1", "moved")]
    assert [line["put"]["id"] for line in there if "put" in line] == ["v1"]
    _the_feed_agrees_with_the_states(county)


def test_pages_of_a_pull_add_up_to_the_whole(county: County) -> None:
    writer = Replica(county, "r1")
    writer.push(*(writer.change(f"v{i}", {"area": AREA, "title": "x" * 50}) for i in range(40)))
    cursors: dict[str, str] = {}
    seen: list[str] = []
    for _ in range(100):
        lines = county.pull(cursors, limit=1000)
        seen += [line["put"]["id"] for line in lines if "put" in line]
        cursors = lines[-1]["end"]["cursors"]
        if not lines[-1]["end"]["more"]:
            break
    assert sorted(seen) == sorted(f"v{i}" for i in range(40))
    assert county.pull(cursors)[1:-1] == []


def test_a_reader_who_missed_forgotten_removals_is_told_to_fill_again(county: County) -> None:
    writer = Replica(county, "r1")
    base = writer.change("v1", {"area": AREA})
    writer.push(base)
    cursor = county.pull()[-1]["end"]["cursors"]
    writer.push(writer.change("v1", {"area": "430103001001"}, {"area": [base.id]}))
    with county.database.write() as conn:
        assert states.forget_removals(conn, county.now + 1) == 1
    with pytest.raises(CursorExpired):
        county.pull(cursor)
    assert county.pull({})[-1]["end"]["more"] is False


def test_a_push_proves_that_the_log_holds_its_changes(county: County) -> None:
    writer = Replica(county, "r1")
    writer.push(writer.change("v0", {"area": AREA}))
    changes = [writer.change(f"v{i}", {"area": AREA}) for i in range(1, 6)]
    log = county.push(writer.body(changes), signer=writer.signer)["log"]
    key = Verifier(county.keys.open.origin, county.keys.open.log_public)
    checkpoint = open_note(log["checkpoint"], [key]).checkpoint
    frontier = [base64.b64decode(one) for one in log["frontier"]]
    leaves = [leaf_hash(c.hash) for c in changes]
    assert log["leaves"] == [c.id for c in changes] and checkpoint.size == 6
    assert verify_tail(frontier, log["before"], leaves, checkpoint.root)
    assert not verify_tail(frontier, log["before"], leaves[:-1] + [leaf_hash(b"other")], checkpoint.root)


def test_every_later_log_extends_every_earlier_one(county: County) -> None:
    writer = Replica(county, "r1")
    roots = []
    for i in range(20):
        writer.push(writer.change(f"v{i}", {"area": AREA}))
        with county.database.read() as conn:
            roots.append((merkle.size(conn, ""), merkle.root(conn, "")))
    with county.database.read() as conn:
        for size, root in roots[:-1]:
            assert verify_consistency(
                size, roots[-1][0], root, roots[-1][1], merkle.consistency(conn, "", size, roots[-1][0])
            )


def test_one_bucket_s_feed_says_nothing_about_another(tmp_path: Path) -> None:
    pages = []
    for busy in (False, True):
        county = County(tmp_path / str(busy))
        writer = Replica(county, "r1")
        for i in range(3):
            if busy:
                writer.push(writer.change(f"secret{i}", {"area": "430199001001"}))
            writer.push(writer.change(f"v{i}", {"area": AREA}))
        lines = county.pull(prefixes=(f"area:{AREA}",))
        pages.append([(line["b"], line["q"], line["put"]["id"]) for line in lines if "put" in line])
    assert pages[0] == pages[1]


def test_an_epoch_is_not_part_of_the_database(county: County) -> None:
    with county.database.read() as conn:
        assert EPOCH not in str(states.heads(conn, [""]))
