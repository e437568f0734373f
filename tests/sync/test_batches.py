"""Batches of a size that suits the link, and the one bad change that must not hold up the rest."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sync.core.batches import FAST_S, FIRST_COUNT, Batcher, is_dead

SLOW_S = FAST_S * 2


def test_a_first_batch_has_500_changes_or_what_there_is() -> None:
    assert Batcher().take([100] * 2000) == FIRST_COUNT == 500
    assert Batcher().take([100] * 3) == 3
    assert Batcher().take([]) == 0


def test_fast_answers_double_the_batch_up_to_the_limit() -> None:
    batcher, counts = Batcher(count=500, max_count=3000), []
    for _ in range(4):
        batcher = batcher.answered(batcher.count, seconds=1.0)
        counts.append(batcher.count)
    assert counts == [1000, 2000, 3000, 3000]


def test_a_slow_answer_or_one_to_a_small_batch_says_nothing_about_larger_ones() -> None:
    assert Batcher().answered(500, seconds=SLOW_S).count == 500
    assert Batcher().answered(499, seconds=0.1).count == 500


def test_silence_halves_the_batch_down_to_one_change() -> None:
    batcher, counts = Batcher(count=5), []
    for _ in range(4):
        batcher = batcher.timed_out()
        counts.append(batcher.count)
    assert counts == [2, 1, 1, 1]


def test_a_batch_keeps_within_the_bytes_that_the_peer_takes() -> None:
    batcher = Batcher(max_bytes=1000)
    assert batcher.take([400, 600, 1]) == 2
    assert batcher.take([400, 601, 1]) == 1


def test_a_change_above_the_limit_goes_alone_for_the_peer_to_judge() -> None:
    assert Batcher(max_bytes=1000).take([5000, 1]) == 1


def test_the_peers_limit_holds_from_the_first_batch() -> None:
    assert Batcher(max_count=100).take([1] * 500) == 100


def test_a_giant_is_parted_from_its_neighbours_by_one_refusal() -> None:
    queue = [1_000] * 250 + [2_000_000] + [1_000] * 249
    batcher = Batcher().too_large(500, sum(queue))
    assert batcher.take(queue) == 250
    assert batcher.take(queue[250:]) == 1
    assert batcher.take(queue[251:]) == 249


def test_a_peer_that_still_finds_it_too_large_is_sent_less_each_time() -> None:
    batcher = Batcher(max_bytes=1000).too_large(2, size=5000)
    assert batcher.max_bytes == 500
    assert batcher.too_large(2, size=1).max_bytes == 1


def test_a_giant_among_suspects_is_one_suspect_less() -> None:
    batcher = Batcher().refused(8).too_large(1, size=10**7)
    assert batcher.suspects == 7
    assert Batcher().too_large(1, size=10**7) == Batcher()


def test_bisecting_sends_half_of_the_suspects_until_one_is_left() -> None:
    batcher = Batcher().refused(8)
    assert batcher.take([1] * 100) == 4
    batcher = batcher.answered(4, SLOW_S)
    assert batcher.take([1] * 96) == 2
    batcher = batcher.refused(2)
    assert batcher.take([1] * 96) == 1
    assert is_dead(1)
    assert batcher.refused(1).take([1] * 1000) == 500


def test_what_a_timeout_taught_holds_during_a_bisection_too() -> None:
    batcher = Batcher(count=4).refused(4).timed_out().timed_out()
    assert batcher.take([1] * 4) == 1


@pytest.mark.parametrize("limits", [{"count": 0}, {"max_count": 0}, {"max_bytes": 0}, {"suspects": -1}])
def test_senseless_limits_are_an_error(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        Batcher(**limits)


def push(queue: list[int], bad: set[int], limit: int, lost: list[bool]) -> tuple[list[int], list[int], int]:
    """Push changes of these sizes to a peer that refuses bad ones and batches above `limit` bytes.

    `lost`: which answers never come, in order. Returns the positions that arrived, those that are dead, and
    how many requests it took.
    """
    batcher, arrived, dead, requests = Batcher(count=8, max_count=64), [], [], 0
    outbox, losses = list(range(len(queue))), iter(lost)
    while outbox:
        sent = outbox[: batcher.take(queue[at] for at in outbox)]
        size = sum(queue[at] for at in sent)
        requests += 1
        if next(losses, False):
            batcher = batcher.timed_out()
            continue
        if size <= limit and not bad & {*sent}:
            batcher = batcher.answered(len(sent), seconds=0.1)
            arrived += sent
        else:
            batcher = batcher.refused(len(sent)) if size <= limit else batcher.too_large(len(sent), size)
            dead += sent if is_dead(len(sent)) else []
            if not is_dead(len(sent)):
                continue
        del outbox[: len(sent)]
    return arrived, dead, requests


@given(
    st.lists(st.integers(1, 100), max_size=200),
    st.sets(st.integers(0, 199), max_size=8),
    st.integers(20, 2000),
    st.lists(st.booleans(), max_size=20),
)
@example([10] * 200, {0, 1, 2, 199}, 2000, [])
@example([10] * 200, {*range(200)}, 2000, [])
def test_every_good_change_arrives_in_order_and_every_bad_one_is_found(
    queue: list[int], bad: set[int], limit: int, lost: list[bool]
) -> None:
    expected = {at for at, size in enumerate(queue) if at in bad or size > limit}
    arrived, dead, _ = push(queue, bad, limit, lost)
    assert dead == sorted(expected)
    assert arrived == [at for at in range(len(queue)) if at not in expected]


def test_one_bad_change_among_thousands_costs_a_dozen_requests() -> None:
    queue = [10] * 4000
    undisturbed, disturbed = push(queue, set(), 10**6, [])[2], push(queue, {2345}, 10**6, [])[2]
    assert disturbed - undisturbed <= 12
