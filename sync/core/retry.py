"""How long to wait before trying again: exponential back-off with full jitter.

Full jitter (any moment of the window, not its end) spreads a thousand tablets that lost the same server at
the same moment: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

BASE_S = 2.0
CAP_S = 600.0
LONGEST_WISH_S = 3600.0
"""A server's wish is believed up to an hour: a slip in its settings must not silence a tablet for a day."""

_ENOUGH_DOUBLINGS = 16


def wait_s(failures: int, jitter: float, retry_after_s: float | None = None) -> float:
    """Seconds to wait after the `failures`-th failure in a row (from 1).

    `jitter` is a random number from 0 to 1. `retry_after_s` is what the server asked for, if it did: we come
    back no earlier, and scattered over the usual window after it, since it told everyone the same.

    :raises ValueError: no failure yet, or jitter outside 0 to 1
    """
    if failures < 1:
        raise ValueError(f"nothing has failed yet: {failures}")
    if not 0 <= jitter <= 1:
        raise ValueError(f"jitter is from 0 to 1: {jitter}")
    window = min(CAP_S, BASE_S * 2.0 ** min(failures - 1, _ENOUGH_DOUBLINGS))
    wish = min(max(retry_after_s or 0.0, 0.0), LONGEST_WISH_S)
    return wish + jitter * window
