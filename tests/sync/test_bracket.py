"""Time brackets: the truth lies inside, whatever the wall clock said; and a clock that was set shows."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from sync.core.bracket import DRIFT_PPM, JUMP_MS, Bracket, Jump, Tick, bracket, brackets, jumps, tick

START = 1_795_000_000_000


class Day(NamedTuple):
    """A history as it truly was, and what its ticks say."""

    truth: list[int]
    ticks: list[Tick]


@st.composite
def days(draw: st.DrawFn) -> Day:
    """Changes at true times; restarts; a wall clock that is anywhere; a monotonic clock that drifts within bounds."""
    now, mono, boot = START, draw(st.integers(0, 10**9)), 0
    ppm = draw(st.integers(-DRIFT_PPM, DRIFT_PPM))
    truth, ticks = [], []
    for n in range(1, draw(st.integers(1, 12)) + 1):
        if draw(st.integers(0, 5)) == 0:
            boot, mono = boot + 1, draw(st.integers(0, 10**6))
            now += draw(st.integers(0, 10**7))
        else:
            step = draw(st.integers(0, 10**7))
            now += step
            mono += step * (1_000_000 + ppm) // 1_000_000
        seen = draw(st.none() | st.integers(0, 10**8).map(lambda ago, now=now: now - ago))
        told = draw(st.none() | st.integers(0, 10**8).map(lambda later, now=now: now + later))
        wall = START + draw(st.integers(-(10**10), 10**10))
        truth.append(now)
        ticks.append(Tick(n, wall, mono, f"boot-{boot}", seen, told))
    return Day(truth, ticks)


def around(value: int | None, truth: int, side: int) -> bool:
    return value is None or (value - truth) * side >= -1  # a millisecond for the rounding of the clock itself


@settings(deadline=None)
@given(days())
def test_the_truth_lies_in_every_bracket(day: Day) -> None:
    for truth, found in zip(day.truth, brackets(day.ticks), strict=True):
        assert around(found.proven_from, truth, -1) and around(found.proven_to, truth, 1)
        assert around(found.reckoned_from, truth, -1) and around(found.reckoned_to, truth, 1)


@settings(deadline=None)
@given(days(), st.integers(-(10**11), 10**11))
def test_the_wall_clock_takes_no_part(day: Day, skew: int) -> None:
    skewed = [one._replace(wall=one.wall + skew * one.n) for one in day.ticks]
    assert brackets(skewed) == brackets(day.ticks)


@settings(deadline=None)
@given(days())
def test_reckoning_only_draws_the_proven_bounds_closer_and_later_changes_are_not_earlier(day: Day) -> None:
    found = brackets(day.ticks)
    for one in found:
        if one.proven_from is not None:
            assert one.reckoned_from is not None and one.reckoned_from >= one.proven_from
        if one.proven_to is not None:
            assert one.reckoned_to is not None and one.reckoned_to <= one.proven_to
    for before, after in zip(found, found[1:], strict=False):
        assert before.proven_from is None or (after.proven_from or 0) >= before.proven_from
        assert after.proven_to is None or (before.proven_to is not None and before.proven_to <= after.proven_to)
    assert not any(one.contradictory for one in found)


def test_a_change_between_two_anchored_ones_is_bound_by_both_and_by_the_clock() -> None:
    chain = [
        Tick(1, 0, 1_000, "b", not_before=START),
        Tick(2, 0, 61_000, "b"),
        Tick(3, 0, 121_000, "b", not_after=START + 150_000),
    ]
    assert bracket(chain, 1) == Bracket(START, START + 150_000, START + 59_970, START + 90_030)


def test_a_restart_ends_what_the_monotonic_clock_tells() -> None:
    chain = [Tick(1, 0, 1_000, "b", not_before=START), Tick(2, 0, 500, "c")]
    assert bracket(chain, 1) == Bracket(START, None, START, None)


def test_a_checkpoint_named_before_it_existed_is_a_contradiction() -> None:
    chain = [Tick(1, 0, 0, "b", not_before=START + 10), Tick(2, 0, 1, "b", not_after=START)]
    assert bracket(chain, 0).contradictory and not bracket(chain, 0).clock_doubtful


def test_a_monotonic_clock_that_cannot_be_true_is_doubted_and_the_proven_bounds_stay() -> None:
    chain = [Tick(1, 0, 0, "b", not_before=START), Tick(2, 0, 10**9, "b", not_after=START + 10)]
    found = bracket(chain, 1)
    assert found.clock_doubtful and (found.proven_from, found.proven_to) == (START, START + 10)


def test_nothing_known_is_nothing_bound() -> None:
    assert bracket([tick(1, {"wall": 5, "mono": 5, "boot": "b", "off": 0})], 0) == Bracket(None, None, None, None)


@given(days(), st.data())
def test_a_clock_that_was_set_within_a_boot_is_found_at_its_change(day: Day, data: st.DataObject) -> None:
    honest = [one._replace(boot="b", mono=one.n * 60_000, wall=START + one.n * 60_000) for one in day.ticks]
    assert jumps(honest) == []
    if len(honest) > 1:
        at = data.draw(st.integers(1, len(honest) - 1))
        step = data.draw(st.integers(JUMP_MS + 100, 10**9)) * data.draw(st.sampled_from((1, -1)))
        set_then = honest[:at] + [one._replace(wall=one.wall + step) for one in honest[at:]]
        assert jumps(set_then) == [Jump(at + 1, step)]


def test_over_a_restart_only_a_step_back_shows() -> None:
    before = Tick(1, START, 10**6, "b")
    assert jumps([before, Tick(2, START + 86_400_000, 5, "c")]) == []
    assert jumps([before, Tick(2, START - 86_400_000, 5, "c")]) == [Jump(2, -86_400_000)]
