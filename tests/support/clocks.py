"""A device's clocks that a test sets: the wall clock, the counter since the start, and the start itself."""

from __future__ import annotations

import uuid_utils

START_MS = 1_795_000_000_000


class HandClock:
    """See `field_client.platform.Clock`. Nothing moves by itself."""

    def __init__(self, wall_ms: int = START_MS) -> None:
        self.wall, self.mono, self.starts = wall_ms, 5_000_000, 1

    def wall_ms(self) -> int:
        return self.wall

    def mono_ms(self) -> int:
        return self.mono

    def boot(self) -> str:
        return f"boot-{self.starts}"

    def new_id(self) -> str:
        return str(uuid_utils.uuid7())

    def go(self, seconds: float) -> None:
        """So much time passes."""
        self.wall += round(seconds * 1000)
        self.mono += round(seconds * 1000)

    def set(self, seconds: float) -> None:
        """Somebody sets the wall clock ahead by so much, or back."""
        self.wall += round(seconds * 1000)

    def restart(self) -> None:
        self.starts += 1
        self.mono = 1_000
