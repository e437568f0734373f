"""How a blob is cut into parts, and which go next."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.core.errors import InvalidField, NotFound
from sync.core.parts import MAX_PARTS, MIB, Part, PartPlan, part_size_for

PLANS = st.builds(PartPlan, st.integers(1, 10_000), st.integers(1, 64).map(lambda size: size * 157))


@pytest.mark.parametrize(
    ("size", "slow", "expected"),
    [
        (1, False, 8 * MIB),
        (1, True, 5 * MIB),
        (7_516_192_768, False, 8 * MIB),  # two hours of video
        (9_000 * 8 * MIB, False, 8 * MIB),
        (9_000 * 8 * MIB + 1, False, 9 * MIB),
        (9_000 * 5 * MIB, True, 5 * MIB),
        (9_000 * 5 * MIB + 1, True, 6 * MIB),
    ],
)
def test_parts_grow_only_for_giants(size: int, slow: bool, expected: int) -> None:
    assert part_size_for(size, slow) == expected


@given(st.integers(1, 2**46), st.booleans())
def test_a_planned_blob_has_at_most_9000_parts(size: int, slow: bool) -> None:
    assert PartPlan(size, part_size_for(size, slow)).count <= 9_000


@pytest.mark.parametrize("size", [0, -1])
def test_a_blob_without_bytes_is_refused(size: int) -> None:
    with pytest.raises(InvalidField) as refusal:
        PartPlan(size, 8 * MIB)
    assert refusal.value.facts["field"] == "size"
    with pytest.raises(InvalidField):
        part_size_for(size)


@pytest.mark.parametrize(("size", "part_size"), [(10, 0), (10, -5), (MAX_PARTS + 1, 1)])
def test_a_part_size_that_makes_no_sense_is_refused(size: int, part_size: int) -> None:
    with pytest.raises(InvalidField) as refusal:
        PartPlan(size, part_size)
    assert refusal.value.facts["field"] == "part_size"


def test_a_blob_may_have_ten_thousand_parts() -> None:
    assert PartPlan(MAX_PARTS, 1).part(MAX_PARTS) == Part(MAX_PARTS, MAX_PARTS - 1, 1)


def test_a_two_hour_video_goes_in_896_parts_the_last_one_full() -> None:
    plan = PartPlan(7_516_192_768, 8 * MIB)
    assert plan.count == 896
    assert plan.part(896) == Part(896, 895 * 8 * MIB, 8 * MIB)


def test_a_file_smaller_than_a_part_is_one_part() -> None:
    assert list(PartPlan(3, 8 * MIB)) == [Part(1, 0, 3)]


@given(PLANS)
def test_parts_cover_the_blob_without_gap_or_overlap(plan: PartPlan) -> None:
    at = 0
    for number, part in enumerate(plan, start=1):
        assert (part.number, part.offset) == (number, at)
        assert 0 < part.length <= plan.part_size
        at += part.length
    assert at == plan.size


@pytest.mark.parametrize("number", [0, -1, 4])
def test_a_part_number_outside_the_plan_is_not_found(number: int) -> None:
    plan = PartPlan(30, 10)
    with pytest.raises(NotFound, match=f"part {number} of 3"):
        plan.part(number)
    with pytest.raises(NotFound):
        plan.missing({1, number})


@given(PLANS, st.data())
def test_what_is_missing_and_what_is_there_make_the_whole(plan: PartPlan, data: st.DataObject) -> None:
    have = data.draw(st.sets(st.integers(1, plan.count)))
    assert sorted([*have, *plan.missing(have)]) == list(range(1, plan.count + 1))


def test_the_first_missing_parts_go_next_and_only_as_many_as_there_is_room_for() -> None:
    plan = PartPlan(100, 10)
    assert [part.number for part in plan.next_parts({1, 3}, parallel=3)] == [2, 4, 5]
    assert [part.number for part in plan.next_parts({1, 3}, under_way={2}, parallel=2)] == [4]
    assert plan.next_parts({1, 3}, under_way={2, 4}, parallel=2) == []
    assert plan.next_parts({1, 3}, under_way={2, 4}, parallel=1) == []
    assert plan.next_parts(range(1, 11), parallel=2) == []


@given(PLANS, st.integers(1, 4), st.randoms(use_true_random=False))
def test_sending_what_is_next_sends_every_part_once_in_whatever_order_they_land(
    plan: PartPlan, parallel: int, random: Random
) -> None:
    have: set[int] = set()
    under_way: list[int] = []
    while len(have) < plan.count:
        started = [part.number for part in plan.next_parts(have, under_way, parallel)]
        assert not have & {*started}
        under_way += started
        assert 0 < len(under_way) <= parallel
        have.add(under_way.pop(random.randrange(len(under_way))))
    assert under_way == plan.missing(have) == []
