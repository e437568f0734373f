"""What may leave the sealed compartment, and what a penalty may rest on: two people, a lawful source, a formal fact."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import RecordSchema
from schemas.kinds.case import Case
from schemas.kinds.handover import Handover, days_left, overdue, past
from schemas.kinds.release import Release
from schemas.kinds.sealed_evidence import SealedEvidence, withheld
from schemas.registry import shipped
from sync.core.change import Change, compose
from sync.core.fold import Entry, State, fold, values_of
from sync.core.grade import Grade
from sync.core.releasing import approvers
from sync.core.rules import Disposition, Facts, Rights, dispose
from sync.core.signing import content_hash

AREA, COUNTY = "43", "430104"
PROVINCE = Rights("province", ("",), within={"sealed": ("",)})
CLEAR = {"by": "p-9", "at": "2026-11-20T02:00:00.000Z", "venue": "public", "inducement": False, "minors": False}
PROPOSAL = {
    "area": AREA, "to_area": COUNTY, "unit": "天心区教育局", "summary": "三楼有无证班", "reason": "证据已固定",
    "due": "2026-12-10", "status": "proposed", "objects/e-1": True,
}  # fmt: skip


class World:
    """One record and what is known around it."""

    def __init__(self, schema: type[RecordSchema], record: str = "r-1") -> None:
        self.schema, self.state, self.n = schema, State(record, schema.kind), 0
        self.entries: list[Entry] = []
        self.reviews: dict[str, dict[str, Any]] = {"e-1": CLEAR}
        self.grades: dict[str, Grade] = {}

    def change(self, values: dict[str, Any], by: str) -> Change:
        self.n += 1
        written = {path: (value, self.state.ids(path)) for path, value in values.items()}
        return compose(
            id=f"c-{self.n:03d}", kind=self.schema.kind, record=self.state.record, set=written, by=[by], schema=1,
            hlc=f"{self.n:012x}-0000", clock={"wall": 1, "mono": 0, "boot": "b", "off": 0},
        )  # fmt: skip

    def write(self, values: dict[str, Any], by: str = "p-0", rights: Rights = PROVINCE) -> Disposition:
        change = self.change(values, by)
        known = {id: {"review": review} for id, review in self.reviews.items()}
        facts = Facts(
            lambda digests: (), records=lambda kind, ids: {id: known[id] for id in ids if id in known},
            grades=lambda ids: {id: self.grades[id] for id in ids if id in self.grades},
        )  # fmt: skip
        verdict = dispose(change, self.schema, self.state, rights, facts)
        if verdict.status == "accepted":  # a desk keeps nothing else: its transaction is rolled back
            self.keep(Entry(change, role=rights.role))
        return verdict

    def keep(self, *entries: Entry) -> None:
        self.entries += entries
        self.state = fold(self.entries).get(self.state.record, self.state)

    def approve(self, person: str, *, by: str | None = None, content: str | None = None) -> Disposition:
        own = content_hash(self.schema, self.state.record, values_of(self.state, self.schema.merge_of))
        said = {"name": person, "content": content or own, "at": "2026-11-21T02:00:00.000Z"}
        return self.write({f"approvals/{person}": said}, by or person)


@pytest.fixture
def proposal() -> World:
    world = World(Release)
    assert world.write(PROPOSAL, "p-1").status == "accepted"
    return world


# --- Two people -----------------------------------------------------------------------------------------------------


def test_two_people_release_and_one_of_them_may_have_proposed_it(proposal: World) -> None:
    for person in ("p-1", "p-2"):
        proposal.approve(person)
    assert approvers(proposal.state, Release) == ["p-1", "p-2"]
    assert proposal.write({"status": "approved"}, "p-2").status == "accepted"
    assert proposal.write({"status": "released"}, "p-2").status == "accepted"


def test_one_person_is_not_two_however_often(proposal: World) -> None:
    for _ in range(3):
        proposal.approve("p-1")
    verdict = proposal.write({"status": "approved"}, "p-1")
    assert (verdict.status, verdict.reason) == ("parked", "guard") and "1" in verdict.detail.zh


def test_nobody_approves_in_the_name_of_another(proposal: World) -> None:
    proposal.approve("p-1")
    proposal.approve("p-2", by="p-1")
    assert approvers(proposal.state, Release) == ["p-1"]


def test_two_in_one_change_count_for_neither(proposal: World) -> None:
    content = content_hash(Release, "r-1", values_of(proposal.state, Release.merge_of))
    said = {"name": "x", "content": content, "at": "2026-11-21T02:00:00.000Z"}
    change = proposal.change({"approvals/p-1": said, "approvals/p-2": said}, "p-1")
    body = compose(
        id="c-9", kind="release", record="r-1", set={p: (change.value(p), []) for p in change.set}, by=["p-1", "p-2"],
        schema=1, hlc="000000000999-0000", clock=change.body["clock"],
    )  # fmt: skip
    proposal.keep(Entry(body, role="province"))
    assert approvers(proposal.state, Release) == []


@pytest.mark.parametrize("role", ["staff", "lead", "city", "admin", "team"])
def test_only_the_province_approves(proposal: World, role: str) -> None:
    rights = Rights(role, ("",), within={"sealed": ("",)})
    said = {"name": "x", "content": "0" * 64, "at": "2026-11-21T02:00:00.000Z"}
    assert proposal.write({"approvals/p-3": said}, "p-3", rights).status == "parked"
    assert approvers(proposal.state, Release) == []


@given(changed=st.sampled_from(sorted(set(PROPOSAL) - {"status", "area", "objects/e-1"})))
def test_an_approval_is_of_what_was_approved_and_of_nothing_else(changed: str) -> None:
    world = World(Release)
    world.write(PROPOSAL, "p-1")
    world.approve("p-1")
    world.approve("p-2")
    assert len(approvers(world.state, Release)) == 2
    other = {"due": "2027-01-01", "to_area": "430105"}.get(changed, "别的内容")
    world.write({changed: other}, "p-1")
    assert approvers(world.state, Release) == []
    assert world.write({"status": "approved"}, "p-1").reason == "guard"


def test_an_object_that_was_added_after_the_approvals_takes_them_away(proposal: World) -> None:
    proposal.reviews["e-2"] = CLEAR
    proposal.approve("p-1")
    proposal.approve("p-2")
    proposal.write({"objects/e-2": True}, "p-1")
    assert approvers(proposal.state, Release) == []


def test_what_was_refused_is_over(proposal: World) -> None:
    proposal.approve("p-1")
    proposal.approve("p-2")
    assert proposal.write({"status": "refused", "refusal": "证据不足"}, "p-3").status == "accepted"
    assert proposal.write({"status": "approved"}, "p-2").status == "parked"
    assert proposal.approve("p-4").reason == "locked"


# --- A lawful source (rules of who may make what, 4) -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("review", "shown"),
    [
        (None, False),
        ({}, False),
        (CLEAR, True),
        (CLEAR | {"venue": "semi-public", "minors": True}, True),
        (CLEAR | {"use": "none"}, False),
        (CLEAR | {"venue": "dwelling"}, False),
        (CLEAR | {"venue": "dwelling", "use": "lead"}, False),
        (CLEAR | {"venue": "dwelling", "use": "lead", "note": "房东在场同意，对外招生"}, True),
        (CLEAR | {"inducement": True, "use": "lead", "note": "x"}, False),
    ],
)
def test_a_covert_item_is_shown_outside_only_after_a_review_and_a_dwelling_by_default_not(
    proposal: World, review: dict[str, Any] | None, shown: bool
) -> None:
    assert (withheld(review) is None) is shown
    proposal.reviews = {"e-1": review} if review is not None else {}
    proposal.approve("p-1")
    proposal.approve("p-2")
    assert proposal.write({"status": "approved"}, "p-1").status == ("accepted" if shown else "parked")


def test_a_review_says_who_when_where_and_how_and_cannot_leave_one_out() -> None:
    world = World(SealedEvidence, "e-1")
    assert world.write({"review": CLEAR}).status == "accepted"
    for name in ("by", "at", "venue", "inducement", "minors"):
        assert world.write({"review": {k: v for k, v in CLEAR.items() if k != name}}).status == "quarantined"
    assert world.write({"review": CLEAR | {"venue": "somewhere"}}).status == "quarantined"


def test_the_team_does_not_review_itself() -> None:
    team = Rights("team", (), within={"sealed": ("",)})
    assert World(SealedEvidence, "e-1").write({"review": CLEAR}, "t-1", team).reason == "not-permitted"


def test_two_reviews_at_once_are_a_conflict_and_no_mixture() -> None:
    world = World(SealedEvidence, "e-1")
    world.write({"review": CLEAR})
    first = world.change({"review": CLEAR | {"venue": "dwelling"}}, "p-1")
    second = world.change({"review": CLEAR | {"minors": True}}, "p-2")
    world.keep(*(Entry(one, role="province") for one in (first, second)))
    assert sorted(v["venue"] for v in world.state.live["review"].values()) == ["dwelling", "public"]


# --- A formal fact (3) ----------------------------------------------------------------------------------------------


@pytest.fixture
def case() -> World:
    world = World(Case)
    rights = Rights("lead", ("43",))
    begun = {"cause": "擅自举办", "area": COUNTY, "source": "handover", "handover": "h-1", "status": "draft"}
    assert world.write(begun, "p-5", rights).status == "accepted"
    return world


@given(
    grades=st.dictionaries(st.sampled_from(["i-1", "i-2", "i-3", "x-1", "x-2"]), st.sampled_from("ABCD"), max_size=5)
)
def test_a_lead_opens_a_case_and_only_a_formal_fact_lets_it_end_in_a_penalty(grades: dict[str, Grade]) -> None:
    world, lead = World(Case), Rights("lead", ("43",))
    begun = {"cause": "擅自举办", "area": COUNTY, "source": "handover", "handover": "h-1", "status": "draft"}
    named = {f"{'inspections' if id[0] == 'i' else 'evidence'}/{id}": True for id in grades}
    world.grades = grades
    world.write(begun | named, "p-5", lead)
    assert world.write({"status": "opened"}, "p-5", lead).status == "accepted"
    verdict = world.write({"status": "decided", "penalty": "责令停止举办"}, "p-5", lead)
    assert verdict.status == ("accepted" if "A" in grades.values() else "parked")


def test_a_fact_that_is_taken_off_the_case_no_longer_carries_it(case: World) -> None:
    lead = Rights("lead", ("43",))
    case.grades = {"i-1": "A", "x-1": "C"}
    case.write({"inspections/i-1": True, "evidence/x-1": True, "status": "opened"}, "p-5", lead)
    case.write({"inspections/i-1": False}, "p-5", lead)
    assert case.write({"status": "decided"}, "p-5", lead).reason == "guard"


# --- The hand-over itself -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["due", "summary", "objects/e-9", "keys/e-9", "review", "lookback", "number"])
@pytest.mark.parametrize("role", ["staff", "lead", "officer"])
def test_the_county_cannot_write_what_the_province_handed_over(path: str, role: str) -> None:
    world = World(Handover, "h-1")
    order = {"number": "1", "area": COUNTY, "unit": "教育局", "summary": "x", "due": "2026-12-10", "status": "released"}
    assert world.write(order).status == "accepted"
    value: Any = {
        "due": "2027-12-10", "objects/e-9": {"sha256": "0" * 64, "size": 1, "mime": "application/age"},
        "keys/e-9": {"key_file": "x"}, "lookback": {"on": "2026-12-01", "found": "holds"},
    }.get(path, "改写")  # fmt: skip
    assert world.write({path: value}, "c-1", Rights(role, ("43",))).reason == "not-permitted"


def test_only_who_signs_for_it_receives_it_and_only_the_province_closes_it() -> None:
    world, county = World(Handover, "h-1"), Rights("staff", ("43",))
    world.write({"number": "1", "area": COUNTY, "unit": "u", "summary": "x", "due": "2026-12-10", "status": "released"})
    assert world.write({"status": "received"}, "c-1", county).reason == "guard"
    said = {"name": "周强", "content": "0" * 64, "at": "2026-11-21T02:00:00.000Z"}
    world.write({"receipts/c-2": said}, "c-1", county)
    assert world.write({"status": "received"}, "c-1", county).reason == "guard"
    world.write({"receipts/c-1": said}, "c-1", county)
    assert world.write({"status": "received"}, "c-1", county).status == "accepted"
    assert world.write({"status": "reported"}, "c-1", county).reason == "guard"
    found = {"status": "reported", "outcome": "confirmed", "result": "已责令停办"}
    assert world.write(found, "c-1", county).status == "accepted"
    assert world.write({"status": "closed"}, "c-1", county).reason == "not-permitted"
    assert world.write({"status": "closed", "review": "同意"}).status == "accepted"


@pytest.mark.parametrize(
    ("status", "due", "late", "left"),
    [
        ("released", "2026-12-09", True, -1),
        ("received", "2026-12-09", True, -1),
        ("returned", "2026-12-09", True, -1),
        ("reported", "2026-12-09", False, -1),
        ("closed", "2026-12-09", False, -1),
        ("received", "2026-12-10", False, 0),
        ("received", "2026-12-20", False, 10),
    ],
)
def test_a_hand_over_is_overdue_from_the_day_after_it_was_due(status: str, due: str, late: bool, left: int) -> None:
    values = {"status": status, "due": due}
    assert overdue(values, "2026-12-10") is late
    assert days_left(values, "2026-12-10") == left and past(values, "2026-12-10") is (left < 0)


def test_a_hand_over_has_no_field_for_the_team_the_audit_or_the_proposal() -> None:
    fields = Handover.fields_by_name()
    targets = {getattr(field, "target", None) for field in fields.values()}
    assert not targets & {"audit", "release", "capture_key"}
    assert Handover.compartment == "" and all(
        shipped()[kind].compartment == "sealed" for kind in ("audit", "release", "sealed_evidence")
    )
