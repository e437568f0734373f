"""Wrong guesses make the next one wait, longer each time; nobody is ever locked out for good.

A guess is counted before it is looked at, so that many at once gain nothing, and forgiven when it was right. It counts
for the account and for the address it comes from. A browser in which the person has signed in before counts on its own:
a stranger who guesses makes strangers wait, and not the one who sits at the desk.
"""

from __future__ import annotations

from collections.abc import Sequence

from server.storage import accounts
from server.storage.accounts import Guess
from server.storage.database import Connection
from sync.core.errors import TooManyGuesses

FREE = 5
FREE_OF_ADDRESS = 30
"""An office shares one address."""
WAITS_S = (5, 15, 30, 60, 120, 300, 600, 900)
FORGOTTEN_MS = 24 * 3_600_000
_ADDRESS = "address:"


def count(conn: Connection, keys: Sequence[str], now: int) -> None:
    """Count a guess under each of these keys. Raises TooManyGuesses, and counts nothing, while one of them waits."""
    held = [_current(accounts.guess(conn, key), now) for key in keys]
    waits = max((one.free - now for one in held), default=0)
    if waits > 0:
        raise TooManyGuesses(seconds=-(-waits // 1000))
    for one in held:
        accounts.keep_guess(conn, Guess(one.key, one.count + 1, now, now + _pause(one.key, one.count + 1)))


def forgive(conn: Connection, keys: Sequence[str], now: int) -> None:
    """The guess was right: its account begins anew, and its address has one guess less."""
    accounts.forgive(conn, [key for key in keys if not of_address(key)])
    for key in keys:
        if of_address(key):
            held = accounts.guess(conn, key)
            accounts.keep_guess(conn, Guess(key, max(held.count - 1, 0), held.newest, now))


def of_address(key: str) -> bool:
    """Whether guesses under this key are those of an address."""
    return key.startswith(_ADDRESS)


def _current(one: Guess, now: int) -> Guess:
    return one if now - one.newest < FORGOTTEN_MS else Guess(one.key, 0, 0, 0)


def _pause(key: str, count: int) -> int:
    over = count - (FREE_OF_ADDRESS if of_address(key) else FREE)
    return 0 if over < 0 else WAITS_S[min(over, len(WAITS_S) - 1)] * 1000
