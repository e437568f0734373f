"""How long ago something was, whatever anybody does to the wall clock meanwhile.

    within one boot   by the counter of the device, which nobody sets and which goes on while it sleeps
    across boots      by the wall clock, which somebody may have set; never less than nothing

What is kept on the disk between two starts of the program is a `Reading`: both clocks at one moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from field_client.platform import Clock


class Reading(NamedTuple):
    """What the device's clocks said: milliseconds since 1970, milliseconds since the start `boot`."""

    wall_ms: int
    mono_ms: int
    boot: str

    @classmethod
    def of(cls, clock: Clock) -> Reading:
        return cls(clock.wall_ms(), clock.mono_ms(), clock.boot())

    @classmethod
    def read(cls, noted: Mapping[str, Any]) -> Reading:
        """From what `_asdict` gave. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(int(noted["wall_ms"]), int(noted["mono_ms"]), str(noted["boot"]))


def same_boot(before: Reading, now: Reading) -> bool:
    return before.boot == now.boot and now.mono_ms >= before.mono_ms


def elapsed_ms(before: Reading, now: Reading) -> int:
    """Milliseconds between two readings."""
    if same_boot(before, now):
        return now.mono_ms - before.mono_ms
    return max(0, now.wall_ms - before.wall_ms)
