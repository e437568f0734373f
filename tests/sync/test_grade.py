"""Grades: what each fact is worth, and the two laws that no merge and no person can break."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.base import DESK_ROLES, FIELD_ROLES
from schemas.registry import shipped
from sync.core.cosigning import cosignature_input, key_id, written
from sync.core.grade import GRADED, Author, Graded, Known, grade_of, lowest
from sync.core.signing import content_hash

INSPECTION = shipped()["inspection"]
NOW = "2026-11-22T04:30:45.118Z"
SEEDS = {id: Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n, id in enumerate(("o1", "o2", "o3"), 1)}
OFFICERS = {
    "o1": {"name": "罗雨", "certificate_number": "43-001"},
    "o2": {"name": "周宁", "certificate_number": "43-002"},
    "o3": {"name": "陈旧", "certificate_number": "43-003", "valid_until": "2026-11-21"},
}
BARE: dict[str, Any] = {
    "institution": "i1",
    "mode": "enforcement",
    "started_at": NOW,
    "ended_at": NOW,
    "notice_number": "检通〔2026〕17号",
    "findings": "三间教室，两个出口",
    "answers/PRC-03": {"answer": "yes"},
    "officers/o1": True,
    "officers/o2": True,
}


def public(officer: str) -> bytes:
    return SEEDS[officer].public_key().public_bytes_raw()


KEYS = {key_id(public(id)): {"officer": id, "public_key": public(id).hex(), "status": "confirmed"} for id in SEEDS}


def cosignature(officer: str, content: str, key: str | None = None) -> dict[str, Any]:
    signer = key or officer
    return {
        "name": OFFICERS[officer]["name"],
        "content": content,
        "at": NOW,
        "as": "officer",
        "officer": officer,
        "key": key_id(public(signer)),
        "cosig": written(SEEDS[signer].sign(cosignature_input(content))),
    }


def known(values: dict[str, Any], **more: Any) -> Known:
    content = content_hash(INSPECTION, "r1", values)
    return replace(Known(content, [Author("officer")], OFFICERS, KEYS), **more)


def whole(**more: Any) -> dict[str, Any]:
    """An inspection with everything that A asks for."""
    values = {**BARE, **more}
    content = content_hash(INSPECTION, "r1", values)
    return values | {
        "signatures/a": cosignature("o1", content),
        "signatures/b": cosignature("o2", content),
        "signatures/c": {"name": "负责人", "content": content, "at": NOW, "as": "party"},
    }


def graded(values: dict[str, Any], **more: Any) -> Graded:
    found = grade_of("inspection", values, known(values, **more))
    assert found is not None
    return found


def test_everything_in_order_is_a_and_needs_no_reason() -> None:
    assert graded(whole()) == Graded("A")


@pytest.mark.parametrize(
    ("lacking", "why"),
    [
        ("signatures/a", "1 valid co-signatures"),
        ("signatures/c", "no refusal is noted"),
    ],
)
def test_a_missing_signature_makes_it_b_and_is_named(lacking: str, why: str) -> None:
    found = graded({path: value for path, value in whole().items() if path != lacking})
    assert found.grade == "B" and any(why in reason.en for reason in found.reasons)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"notice_number": None}, "no inspection notice"),
        ({"answers/PRC-03": {"answer": "no"}}, "credentials"),
    ],
)
def test_a_missing_step_of_the_procedure_makes_it_b(more: dict[str, Any], why: str) -> None:
    found = graded(whole(**more))
    assert found.grade == "B" and any(why in reason.en for reason in found.reasons)


@pytest.mark.parametrize("proof", [{"witness": "社区 张某"}, {"evidence/e": {"sha256": "a" * 64, "mime": "video/mp4"}}])
def test_a_refusal_counts_with_a_witness_or_a_recording_under_the_officers_signatures(proof: dict[str, Any]) -> None:
    values = whole(refusal="负责人拒签", **proof)
    del values["signatures/c"]
    assert graded(values).grade == "A"
    bare = whole(refusal="负责人拒签")
    del bare["signatures/c"]
    assert graded(bare).grade == "B"


def test_a_refusal_that_was_written_after_the_officers_signed_is_not_what_they_signed() -> None:
    values = whole() | {"refusal": "负责人拒签", "witness": "社区 张某"}
    found = graded(values)
    assert found.grade == "B" and any("before a change" in reason.en for reason in found.reasons)


@pytest.mark.parametrize(
    ("officers", "why"), [(("o1",), "only 1"), (("o1", "o3"), "ran out"), (("o1", "nobody"), "not in the list")]
)
def test_fewer_than_two_officers_that_day_is_d(officers: tuple[str, ...], why: str) -> None:
    values = {path: value for path, value in whole().items() if not path.startswith("officers/")}
    found = graded(values | {f"officers/{id}": True for id in officers})
    assert found.grade == "D" and any(why in reason.en for reason in found.reasons)


def test_a_foreign_unconfirmed_withdrawn_or_unknown_key_is_no_co_signature() -> None:
    values = whole()
    content = known(values).content
    foreign = graded(values | {"signatures/b": cosignature("o2", content, key="o1")})
    assert foreign.grade == "B" and any("somebody else's key" in reason.en for reason in foreign.reasons)
    id = key_id(public("o2"))
    for change, why in (
        ({"status": "proposed"}, "not confirmed"),
        ({"status": "withdrawn", "withdrawn_at": "2026-11-22T04:00:00.000Z"}, "withdrawn"),
        ({"public_key": public("o3").hex()}, "not registered"),
    ):
        found = graded(values, keys={**KEYS, id: {**KEYS[id], **change}})
        assert found.grade == "B" and any(why in reason.en for reason in found.reasons), why
    assert graded(values, keys={key: one for key, one in KEYS.items() if key != id}).grade == "B"
    later = {"status": "withdrawn", "withdrawn_at": "2026-11-23T00:00:00.000Z"}
    assert graded(values, keys={**KEYS, id: {**KEYS[id], **later}}).grade == "A"


def test_one_officer_signing_twice_is_one() -> None:
    values = whole()
    values["signatures/b"] = dict(values["signatures/a"])
    assert graded(values).grade == "B"


def test_a_flipped_bit_in_a_co_signature_is_found() -> None:
    values = whole()
    first = values["signatures/a"]["cosig"]
    values["signatures/a"] |= {"cosig": ("B" if first[0] == "A" else "A") + first[1:]}
    assert graded(values).grade == "B"


@pytest.mark.parametrize(
    ("author", "grade"),
    [
        (Author("officer", revoked=True), "D"),
        (Author("inspector"), "D"),
        (Author("supervisor"), "D"),
        (Author("team"), "C"),
        (Author(""), "D"),
        (Author("staff"), "A"),
    ],
)
def test_it_is_worth_no_more_than_the_least_of_its_authors(author: Author, grade: str) -> None:
    assert graded(whole(), authors=[Author("officer"), author]).grade == grade


def test_a_patrol_is_d_a_covert_lead_c_and_evidence_what_it_belongs_to() -> None:
    assert graded(whole(mode="patrol")).grade == "D"
    facts = Known(authors=[Author("officer")])
    assert grade_of("patrol_note", {}, facts) == Graded("D", grade_of("patrol_note", {}, facts).reasons)  # type: ignore[union-attr]
    assert grade_of("sealed_evidence", {}, replace(facts, authors=[Author("team")])).grade == "C"  # type: ignore[union-attr]
    for grade in "ABCD":
        of = replace(facts, sources=[Graded(grade)])  # type: ignore[arg-type]
        assert grade_of("evidence", {}, of).grade == grade  # type: ignore[union-attr]
    assert grade_of("hazard", {}, facts) is None


# --- Laws ------------------------------------------------------------------------------------------------------------

AUTHORS = st.builds(Author, st.sampled_from(sorted(FIELD_ROLES | DESK_ROLES | {"", "system"})), st.booleans())
GRADINGS = st.builds(Graded, st.sampled_from("ABCD"))
PATHS = sorted(whole())


@settings(deadline=None)
@given(
    st.lists(AUTHORS, max_size=4), st.lists(GRADINGS, max_size=4), st.sets(st.sampled_from(PATHS)), AUTHORS, GRADINGS
)
def test_a_merge_never_raises_a_grade(
    authors: list[Author], sources: list[Graded], lost: set[str], one: Author, other: Graded
) -> None:
    values = {path: value for path, value in whole().items() if path not in lost}
    before = graded(values, authors=authors, sources=sources)
    after = graded(values, authors=[*authors, one], sources=[*sources, other])
    assert after.grade >= max(before.grade, other.grade)
    assert all(before.grade >= source.grade for source in sources)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["grade", "level", "等级", "grade/A"]), st.sampled_from("ABCD")),
    st.sets(st.sampled_from(PATHS)),
)
def test_no_value_sets_a_grade(said: dict[str, str], lost: set[str]) -> None:
    values = {path: value for path, value in whole().items() if path not in lost}
    assert graded(values | said).grade == graded(values).grade


def test_no_kind_of_evidence_has_a_field_for_its_grade() -> None:
    for kind in GRADED & set(shipped().names()):
        assert "grade" not in shipped()[kind].fields_by_name()


@given(st.lists(GRADINGS, min_size=1), st.lists(GRADINGS, min_size=1))
def test_the_lowest_does_not_depend_on_order_or_grouping(some: list[Graded], more: list[Graded]) -> None:
    assert lowest([*some, *more]) == lowest([*more, *some]) == lowest([lowest(some), lowest(more)])
