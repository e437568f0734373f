"""How many changes to push at once, and how to find the one that a server refuses.

The batch doubles while answers come fast and halves when none comes. Above the byte limit that the server
gives, or that its refusals teach, nothing is sent together. A batch that is refused as a whole for what is in
it is bisected: its changes are *suspects*, and half of them go next, until a single one is refused. That one
is *dead*: its owner moves it to the dead-letter list, where it is seen, and the rest goes on.

Everything counts from the head of the outbox: what was accepted or is dead has left it, and new changes join
at its tail. So the state is a few numbers, and a batch that was lost on the way is simply taken again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

FIRST_COUNT = 500
MAX_COUNT = 4000
MAX_BYTES = 8 * 1024 * 1024
FAST_S = 3.0
"""An answer within this time invites a larger batch."""


@dataclass(frozen=True, slots=True)
class Batcher:
    """What one round has learnt about batches. Each answer makes the next state.

    `count`: changes in a batch; `max_count`, `max_bytes`: the peer's limits; `suspects`: how many changes at
    the head of the outbox were refused together.
    """

    count: int = FIRST_COUNT
    max_count: int = MAX_COUNT
    max_bytes: int = MAX_BYTES
    suspects: int = 0

    def __post_init__(self) -> None:
        if min(self.max_count, self.max_bytes, self.count) < 1 or self.suspects < 0:
            raise ValueError(f"limits and counts are positive: {self}")
        object.__setattr__(self, "count", min(self.count, self.max_count))

    def take(self, sizes: Iterable[int]) -> int:
        """How many changes from the head of the outbox make the next batch; `sizes`: theirs in bytes.

        At least one, if there is any: a change above the limit goes alone, for the peer to judge.
        """
        most = min(self.count, max(1, self.suspects // 2)) if self.suspects else self.count
        taken = total = 0
        for size in sizes:
            total += size
            if taken and (taken == most or total > self.max_bytes):
                break
            taken += 1
        return taken

    def answered(self, sent: int, seconds: float) -> Batcher:
        """The peer took a batch of `sent` changes and answered after `seconds`."""
        roomy = sent >= self.count and seconds < FAST_S
        return replace(
            self,
            count=self.count * 2 if roomy else self.count,
            suspects=max(0, self.suspects - sent),
        )

    def timed_out(self) -> Batcher:
        """No answer came. The same changes go again, fewer at a time."""
        return replace(self, count=max(1, self.count // 2))

    def too_large(self, sent: int, size: int) -> Batcher:
        """The peer found a batch of `sent` changes, `size` bytes together, too large.

        Halving the bytes, not the count, parts one giant from its neighbours at once: it then goes alone.
        When `is_dead(sent)`, take the change out of the outbox.
        """
        if is_dead(sent):
            return replace(self, suspects=max(0, self.suspects - 1))
        return replace(self, max_bytes=max(1, min(self.max_bytes, size) // 2))

    def refused(self, sent: int) -> Batcher:
        """The peer refused a batch of `sent` changes for its content, naming none of them.

        When `is_dead(sent)`, take the change out of the outbox.
        """
        return replace(self, suspects=0 if is_dead(sent) else sent)


def is_dead(sent: int) -> bool:
    """Whether the refusal of `sent` changes is the last word on the one at the head of the outbox."""
    return sent == 1
