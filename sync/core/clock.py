"""The hybrid logical clock: stamps that order what is shown, and decide nothing.

A stamp is text, ``<12 hex digits: milliseconds since 1970>-<4 hex digits: counter>``:

    019aa9c4e1d8-0000
    019aa9c4e1d8-0001      the next one in the same millisecond

Text order is time order. A stamp follows the wall clock where it can and never falls behind a stamp already
seen, so an answer sorts after its question even when the answering tablet's clock is slow (Kulkarni et al.,
"Logical Physical Clocks and Consistent Snapshots in Globally Distributed Databases", 2014). Two tablets may
make the same stamp: ties are broken by the id of the change.

A clock that is wrong must not spoil the others'. So what is taken over from elsewhere is capped at
`TOLERANCE_MS` ahead, and a stamp that arrives from further ahead is kept as it is, with a sober one beside it
(`effective`).

All times are integers, milliseconds since 1970 UTC, and arguments.
"""

from __future__ import annotations

import re

from sync.core.errors import InvalidField

TOLERANCE_MS = 5 * 60 * 1000
"""How far ahead of its receipt a stamp may be and still be believed."""
MAX_MS = 2**48 - 1
MAX_COUNTER = 2**16 - 1

_STAMP = re.compile(r"([0-9a-f]{12})-([0-9a-f]{4})")
_Reading = tuple[int, int]
_NEVER: _Reading = (-1, 0)


def tick(last: str | None, now_ms: int) -> str:
    """The stamp for an act now; `last` is this replica's newest stamp, None for its first.

    Give the best estimate of the time as `now_ms` (wall clock plus known offset to the server).

    :raises InvalidField: `last` is not a stamp, or no stamp can hold the time (before 1970, after 10888)
    """
    return _stamp(_after(_reading(last), (now_ms, -1)))


def receive(last: str | None, remote: str, now_ms: int, server_now_ms: int | None) -> str:
    """This replica's newest stamp once it has seen `remote`.

    With the server's time at hand, the result is at most `TOLERANCE_MS` ahead of it, even where `last` was
    further ahead: so a tablet whose clock was once set to a wrong year recovers. Without it (a courier's
    file, no network) only `remote` is capped, at `TOLERANCE_MS` ahead of `now_ms`; our own past is not given
    up for a clock that may be slow.

    :raises InvalidField: `last` or `remote` is not a stamp, or no stamp can hold the time
    """
    mine, now = _reading(last), (now_ms, -1)
    if server_now_ms is None:
        theirs = _capped(_reading(remote), now_ms + TOLERANCE_MS)
    else:
        ceiling = server_now_ms + TOLERANCE_MS
        mine, now, theirs = _capped(mine, ceiling), _capped(now, ceiling), _capped(_reading(remote), ceiling)
    return _stamp(_after(mine, theirs, now))


def wall_ms(stamp: str) -> int:
    """The milliseconds in `stamp`.

    :raises InvalidField: not a stamp
    """
    return _reading(stamp)[0]


def effective(stamp: str, received_ms: int) -> tuple[str, bool]:
    """The stamp to sort by, and whether it differs because the writer's clock was too far ahead.

    :raises InvalidField: not a stamp, or no stamp can hold the time of receipt
    """
    if wall_ms(stamp) > received_ms + TOLERANCE_MS:
        return _stamp((received_ms, 0)), True
    return stamp, False


def _after(*readings: _Reading) -> _Reading:
    """The next reading after all of these. A bare time comes as (time, -1), so that (time, 0) follows it."""
    ms, counter = max(readings)
    return (ms, counter + 1) if counter < MAX_COUNTER else (ms + 1, 0)


def _capped(reading: _Reading, ceiling_ms: int) -> _Reading:
    return reading if reading[0] <= ceiling_ms else (ceiling_ms, -1)


def _reading(stamp: str | None) -> _Reading:
    if stamp is None:
        return _NEVER
    match = _STAMP.fullmatch(stamp)
    if not match:
        raise InvalidField(field="hlc", detail="is not a hybrid clock stamp")
    return int(match[1], 16), int(match[2], 16)


def _stamp(reading: _Reading) -> str:
    ms, counter = reading
    if not 0 <= ms <= MAX_MS:
        raise InvalidField(field="hlc", detail=f"cannot hold the time {ms} ms: check the clock")
    return f"{ms:012x}-{counter:04x}"
