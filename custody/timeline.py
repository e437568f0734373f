"""Between which two times something was certainly written, from what others say about the log that it is in.

An *upper* mark says: at this time the log had at least so many leaves, so what lies below was written before. Witnesses and
time stamps make them. A *lower* mark says: nobody can have seen more than so many leaves of the log before this time. The
server makes them by putting each time stamp back into the log as an act: a checkpoint beyond that leaf contains a token
which did not exist earlier, whatever the server would like.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from schemas.labels import Label
from sync.core.bracket import Bracket, brackets, tick


class Mark(NamedTuple):
    """`size` leaves at `ms` (milliseconds since 1970), and who says so."""

    size: int
    ms: int
    by: Label


class Marks:
    """What is known of one log's times."""

    def __init__(self, upper: Iterable[Mark] = (), lower: Iterable[Mark] = ()) -> None:
        self.upper, self.lower = tuple(upper), tuple(lower)

    def not_after(self, leaf: int) -> Mark | None:
        """The earliest time at which this leaf was certainly in the log."""
        return min((one for one in self.upper if one.size > leaf), key=lambda one: one.ms, default=None)

    def not_before(self, seen: int) -> Mark | None:
        """The latest time before which nobody can have seen so large a log."""
        return max((one for one in self.lower if one.size < seen), key=lambda one: one.ms, default=None)


class Placed(NamedTuple):
    """A change of a chain: its number, its clock facts, its leaf, and the size of the log that its maker had seen."""

    n: int
    clock: Mapping[str, Any]
    leaf: int
    seen: int | None


def bracketed(chain: Sequence[Placed], marks: Marks) -> list[Bracket]:
    """The bracket of each change of one replica, given in the order of their numbers."""
    ticks = []
    for one in chain:
        lower = marks.not_before(one.seen) if one.seen is not None else None
        upper = marks.not_after(one.leaf)
        ticks.append(tick(one.n, one.clock, lower.ms if lower else None, upper.ms if upper else None))
    return brackets(ticks)


def written(ms: int) -> str:
    """A time as everybody reads it alike, to the second."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
