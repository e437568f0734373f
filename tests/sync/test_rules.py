"""What the server decides by rule, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.registry import shipped
from sync.core.change import Change, compose
from sync.core.fold import Entry, State, absorb
from sync.core.rules import Disposition, Facts, Rights, dispose, settle

OFFICER, INSPECTOR, STAFF = (Rights(role, ("4301",)) for role in ("officer", "inspector", "staff"))
INSPECTION = shipped()["inspection"]
AREA = "430104001003"
NOW = "2026-11-22T04:30:45.118Z"
OFFICERS: dict[str, dict[str, Any]] = {
    "o1": {"name": "罗雨", "certificate_number": "43-001", "status": "active"},
    "o2": {"name": "周宁", "certificate_number": "43-002", "valid_until": "2026-11-22"},
    "old": {"name": "陈旧", "certificate_number": "43-003", "valid_until": "2026-11-21"},
    "new": {"name": "何新", "certificate_number": "43-004", "valid_from": "2026-11-23"},
    "away": {"name": "林远", "certificate_number": "43-005", "status": "suspended"},
    "left": {"name": "许静", "certificate_number": "43-006", "status": "left", "status_since": "2026-12-01"},
    "again": {"name": "罗雨", "certificate_number": " 43－001 "},
}
WHOLE: dict[str, Any] = {
    "institution": "i1",
    "name": "启航艺术培训学校",
    "area": AREA,
    "mode": "patrol",
    "started_at": NOW,
    "ended_at": NOW,
    "findings": "三间教室，两个出口",
    "status": "draft",
    "signatures/p1": {"name": "张三", "content": "0" * 64, "at": NOW},
}


def change(id: str, values: dict[str, Any], seen: State | None = None, **more: Any) -> Change:
    return compose(
        id=id,
        kind="inspection",
        record="r1",
        by=["p1"],
        schema=1,
        hlc="0192f3b11234-0000",
        set={path: (value, seen.ids(path) if seen else []) for path, value in values.items()},
        clock={"wall": 1, "mono": 1, "boot": "b", "off": 0},
        **more,
    )


def record(*steps: tuple[dict[str, Any], str]) -> State:
    state = State("r1", "inspection")
    for n, (values, role) in enumerate(steps):
        absorbed = absorb(state, Entry(change(f"c{n}", values, state), role=role))
        assert absorbed is not None
        state = absorbed
    return state


def judge(one: Change, state: State | None, rights: Rights = OFFICER, missing: set[str] | None = None) -> Disposition:
    facts = Facts(
        lambda digests: (missing or set()) & set(digests), lambda ids: {i: OFFICERS[i] for i in ids if i in OFFICERS}
    )
    return dispose(one, INSPECTION, state, rights, facts)


def test_a_whole_inspection_may_be_submitted() -> None:
    state = record((WHOLE, "officer"))
    assert judge(change("s", {"status": "submitted"}, state), state).status == "accepted"


@pytest.mark.parametrize("lacking", ["name", "findings", "signatures/p1", "ended_at"])
def test_one_that_lacks_something_is_parked_and_the_lack_is_named(lacking: str) -> None:
    state = record(({k: v for k, v in WHOLE.items() if k != lacking}, "officer"))
    verdict = judge(change("s", {"status": "submitted"}, state), state)
    assert (verdict.status, verdict.reason) == ("parked", "guard") and verdict.detail.zh


def test_a_step_may_bring_what_its_guard_asks_for() -> None:
    state = record(({k: v for k, v in WHOLE.items() if k != "findings"}, "officer"))
    assert judge(change("s", {"status": "submitted", "findings": "无异常"}, state), state).status == "accepted"


def test_enforcement_needs_two_officers_and_a_patrol_does_not() -> None:
    state = record(({**WHOLE, "mode": "enforcement", "officers/o1": True}, "officer"))
    step = change("s", {"status": "submitted"}, state)
    assert judge(step, state).reason == "guard"
    both = record(({**WHOLE, "mode": "enforcement", "officers/o1": True, "officers/o2": True}, "officer"))
    assert judge(change("s", {"status": "submitted"}, both), both).status == "accepted"


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ("old", "ran out on 2026-11-21"),
        ("new", "valid from 2026-11-23"),
        ("away", "suspended"),
        ("again", "same person"),
        ("nobody", "not in the list"),
    ],
)
def test_the_second_officer_is_another_person_whose_certificate_counts_that_day(second: str, why: str) -> None:
    state = record(({**WHOLE, "mode": "enforcement", "officers/o1": True, f"officers/{second}": True}, "officer"))
    verdict = judge(change("s", {"status": "submitted"}, state), state)
    assert verdict.reason == "guard" and why in verdict.detail.en and "现有 1 名" in verdict.detail.zh


def test_who_left_later_was_an_officer_that_day() -> None:
    state = record(({**WHOLE, "mode": "enforcement", "officers/o1": True, "officers/left": True}, "officer"))
    assert judge(change("s", {"status": "submitted"}, state), state).status == "accepted"


def test_approval_waits_for_every_blob_and_every_conflict() -> None:
    photo = {"evidence/e1": {"sha256": "a" * 64, "size": 9, "mime": "image/jpeg"}}
    state = record((WHOLE | photo, "officer"), ({"status": "submitted"}, "officer"))
    step = change("s", {"status": "approved"}, state)
    assert judge(step, state, STAFF, {"a" * 64}).reason == "guard"
    assert judge(step, state, STAFF).status == "accepted"
    contested = absorb(
        record((WHOLE, "officer"), ({"status": "submitted"}, "officer")), Entry(change("x", {"name": "另"}))
    )
    assert (
        contested is not None
        and judge(change("s", {"status": "approved"}, contested), contested, STAFF).reason == "guard"
    )


def test_a_step_that_did_not_see_the_status_is_parked_and_the_same_step_twice_agrees() -> None:
    draft = record((WHOLE, "officer"))
    mine = change("s1", {"status": "submitted"}, draft)
    theirs = change("s2", {"status": "void"}, draft)
    moved = absorb(record((WHOLE, "officer")), Entry(mine))
    assert moved is not None
    assert judge(theirs, moved).reason == "stale"
    assert judge(change("s3", {"status": "submitted"}, draft), moved).status == "accepted"


def test_a_role_may_take_only_its_own_steps() -> None:
    state = record((WHOLE, "officer"), ({"status": "submitted"}, "officer"))
    assert judge(change("s", {"status": "approved"}, state), state, OFFICER).reason == "not-permitted"


def test_a_locked_record_takes_notes_and_parks_the_rest() -> None:
    state = record((WHOLE, "officer"), ({"status": "approved"}, "staff"))
    assert judge(change("n", {"notes/n1": {"text": "后续"}}, state), state).status == "accepted"
    assert judge(change("e", {"findings": "改"}, state), state).reason == "locked"


def test_moving_a_record_needs_the_right_for_both_ends() -> None:
    state = record((WHOLE, "officer"))
    assert judge(change("m", {"area": "440101001001"}, state), state).reason == "scope"
    assert judge(change("m", {"area": "430102001001"}, state), state).status == "accepted"


def test_where_a_record_lies_now_is_not_told_to_who_writes_to_it_from_outside() -> None:
    told = judge(change("c", {"findings": "二楼"}), record(({"area": "440101001001"}, "officer")))
    assert told.reason == "scope" and "440101" not in told.detail.zh + told.detail.en
    assert "440101001001" in judge(change("d", {"area": "440101001001"}), None).detail.en


def test_reference_data_is_written_by_nobody_whose_grants_have_ended() -> None:
    checklist = shipped()["checklist"]
    one = compose(
        id="c", kind="checklist", record="r", by=["p1"], schema=1, hlc="0192f3b11234-0000", set={"name": ("清单", [])},
        clock={"wall": 1, "mono": 1, "boot": "b", "off": 0},
    )  # fmt: skip
    nothing = Facts(lambda digests: set())
    assert dispose(one, checklist, None, Rights("province", ("43",)), nothing).status == "accepted"
    assert dispose(one, checklist, None, Rights("province", ()), nothing).reason == "scope"


def test_a_revoked_device_is_parked_whatever_it_sends() -> None:
    assert judge(change("c", WHOLE), None, Rights("officer", ("4301",), True)).reason == "revoked"


def test_a_grid_inspector_cannot_make_it_an_enforcement_inspection() -> None:
    verdict = judge(change("c", WHOLE | {"mode": "enforcement"}), None, INSPECTOR)
    assert (verdict.status, verdict.reason, verdict.field) == ("parked", "not-permitted", "mode")
    assert judge(change("c", WHOLE | {"mode": "enforcement"}), None, OFFICER).status == "accepted"


def test_a_supervisor_does_not_write_inspections() -> None:
    assert judge(change("c", WHOLE), None, Rights("supervisor", ("4301",))).reason == "not-permitted"


def institution(*authors: tuple[str, str]) -> State:
    """An institution whose name (id, role) each wrote without having seen the others."""
    state = State("i1", "institution")
    for id, role in authors:
        one = compose(
            id=id,
            kind="institution",
            record="i1",
            set={"name": (id, [])},
            by=[id],
            schema=1,
            hlc="0192f3b11234-0000",
            clock={"wall": 1, "mono": 1, "boot": "b", "off": 0},
        )
        assert absorb(state, Entry(one, role=role)) is not None
    return state


def test_the_county_s_value_settles_an_authority_field_and_two_county_values_do_not() -> None:
    schema = shipped()["institution"]
    assert settle(institution(("a", "inspector"), ("b", "staff")), schema) == {"name": ("b", ["a", "b"])}
    assert settle(institution(("a", "inspector"), ("b", "staff"), ("c", "staff")), schema) == {}


def test_what_was_settled_by_rule_stays_the_county_s_value() -> None:
    schema = shipped()["institution"]
    assert settle(institution(("a", "system"), ("b", "inspector")), schema) == {"name": ("a", ["a", "b"])}
