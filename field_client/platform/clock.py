"""The clocks of a desktop or tablet operating system, and ids made from them."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import uuid_utils

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SAME_BOOT_S = 30


class SystemClock:
    """See `field_client.platform.Clock`."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def mono_ms(self) -> int:
        return _mono_ns() // 1_000_000

    def boot(self) -> str:
        return _boot()

    def new_id(self) -> str:
        return str(uuid_utils.uuid7())


def _mono_ns() -> int:
    """The counter that goes on while the device sleeps, where the system has one: a tablet sleeps most of the day."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.monotonic_ns()


@cache
def _boot() -> str:
    """The kernel's name for this boot; elsewhere the moment of it, coarse enough to be the same when asked again."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        started = time.time() - _mono_ns() / 1e9
        return f"boot-{round(started / _SAME_BOOT_S)}"
