"""时间区间: between which two times a change was certainly written, whatever the tablet's clock said.

A change names the newest checkpoint that its tablet had seen (`seen`): it was written after that was signed. A receipt,
a witness or a time stamp covers it: it was written before that. In a chain the bounds of one change bind its neighbours:
what came later is not before what came earlier. Within one boot the monotonic clock tells true intervals between
changes, which draws the bounds closer; that part rests on the tablet's word and is kept apart.

    proven    from the chain, the log and the witnesses alone
    reckoned  the same, with the tablet's monotonic clock, give or take `DRIFT_PPM`

The wall clock takes no part. Where it was set between two changes, `jumps` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

DRIFT_PPM = 500
"""How wrong a monotonic clock may run: ordinary quartz keeps to a tenth of this, a cold tablet to a third."""

JUMP_MS = 2000
"""A smaller step of the wall clock is the work of a time service."""

_MILLION = 1_000_000


class Tick(NamedTuple):
    """The clock facts of one change, in milliseconds, and what others say about its time.

    n           its number in the chain
    wall, mono  what the tablet's clocks said; `boot` names the time since the last start
    not_before  when the checkpoint was signed that it names, where it names one
    not_after   the earliest receipt, cosignature or time stamp over a checkpoint that includes it, where there is one
    """

    n: int
    wall: int
    mono: int
    boot: str
    not_before: int | None = None
    not_after: int | None = None


class Bracket(NamedTuple):
    """Bounds in milliseconds since 1970; None where nothing bounds that side."""

    proven_from: int | None
    proven_to: int | None
    reckoned_from: int | None
    reckoned_to: int | None

    @property
    def contradictory(self) -> bool:
        """The proven bounds exclude each other: a checkpoint was named before it existed, or a time is forged."""
        return _above(self.proven_from, self.proven_to)

    @property
    def clock_doubtful(self) -> bool:
        """Only the tablet's monotonic clock does not fit: what it says about intervals cannot be used."""
        return not self.contradictory and _above(self.reckoned_from, self.reckoned_to)


class Jump(NamedTuple):
    """The wall clock was set just before change `n`: forward by `ms`, or back where that is negative."""

    n: int
    ms: int


def tick(n: int, clock: Mapping[str, Any], not_before: int | None = None, not_after: int | None = None) -> Tick:
    """The tick of a change from its `clock` facts."""
    return Tick(n, clock["wall"], clock["mono"], clock["boot"], not_before, not_after)


def bracket(chain: Sequence[Tick], at: int) -> Bracket:
    """The bracket of one change of a chain."""
    return brackets(chain)[at]


def brackets(chain: Sequence[Tick]) -> list[Bracket]:
    """The bracket of every change of one replica, given in the order of the chain. Takes time linear in its length."""
    size = len(chain)
    forward, backward = range(size), range(size - 1, -1, -1)
    lower = _running(forward, [one.not_before for one in chain], max)
    upper = _running(backward, [one.not_after for one in chain], min)
    closer_lower, closer_upper = list(lower), list(upper)
    for start, end in _boots(chain):
        _reckon(chain, start, end, closer_lower, closer_upper)
    closer_lower = _running(forward, closer_lower, max)
    closer_upper = _running(backward, closer_upper, min)
    return [Bracket(*bounds) for bounds in zip(lower, upper, closer_lower, closer_upper, strict=True)]


def jumps(chain: Sequence[Tick]) -> list[Jump]:
    """Where the wall clock was set between two changes of a chain, in order.

    Within a boot it is held against the monotonic clock. Over a restart only a step back shows.
    """
    found = []
    for before, after in zip(chain, chain[1:], strict=False):
        wall, mono = after.wall - before.wall, after.mono - before.mono
        if before.boot == after.boot:
            step = wall - mono
            if abs(step) > JUMP_MS + abs(mono) * DRIFT_PPM // _MILLION:
                found.append(Jump(after.n, step))
        elif wall < -JUMP_MS:
            found.append(Jump(after.n, wall))
    return found


def _boots(chain: Sequence[Tick]) -> Iterable[tuple[int, int]]:
    """The runs of changes within one boot whose monotonic clock never goes back: [start, end)."""
    start = 0
    for at in range(1, len(chain) + 1):
        if at == len(chain) or chain[at].boot != chain[start].boot or chain[at].mono < chain[at - 1].mono:
            yield start, at
            start = at


def _reckon(chain: Sequence[Tick], start: int, end: int, lower: list[int | None], upper: list[int | None]) -> None:
    """Draw the bounds within a boot closer: another change of it lies a known interval away."""
    base, slow, fast = chain[start].mono, _MILLION - DRIFT_PPM, _MILLION + DRIFT_PPM
    early, late = range(start, end), range(end - 1, start - 1, -1)
    # In millionths of a millisecond: bound at the change minus its place on the clock, run over all on one side.
    for order, lower_rate, upper_rate in ((early, slow, fast), (late, fast, slow)):
        least: int | None = None
        most: int | None = None
        for at in order:
            place = chain[at].mono - base
            if (known := lower[at]) is not None:
                least = _larger(least, known * _MILLION - place * lower_rate)
            if (bound := upper[at]) is not None:
                most = _smaller(most, bound * _MILLION - place * upper_rate)
            if least is not None:
                lower[at] = _larger(lower[at], (least + place * lower_rate) // _MILLION)
            if most is not None:
                upper[at] = _smaller(upper[at], -(-(most + place * upper_rate) // _MILLION))


def _running(order: Iterable[int], bounds: Sequence[int | None], choose: Callable[[int, int], int]) -> list[int | None]:
    found: list[int | None] = [None] * len(bounds)
    last: int | None = None
    for at in order:
        own = bounds[at]
        if own is not None:
            last = own if last is None else choose(last, own)
        found[at] = last
    return found


def _larger(one: int | None, other: int) -> int:
    return other if one is None else max(one, other)


def _smaller(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)


def _above(lower: int | None, upper: int | None) -> bool:
    return lower is not None and upper is not None and lower > upper
