"""What one guess of a PIN costs somebody who has copied a tablet's key file.

    floor  PBKDF2-HMAC-SHA512 with 256,000 rounds, as SQLCipher does it where it is given a passphrase
    ours   Argon2id as `field_client.platform.wrapping` does it, up to the refusal of a wrong PIN

No aim: a guess should be dear, and what is dear enough depends on the PIN (docs/security.md). Processor time is what a
guesser pays, and a busy machine disturbs it less.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import statistics
import time
from collections.abc import Callable

from cryptography.exceptions import InvalidTag

from benchmarks.table import spread_of, times
from field_client.platform.wrapping import USUAL, unwrap, wrap

ROUNDS = 256_000
_INFO = b"benchmark"


def guessing(turns: int) -> None:
    """One wrong PIN after another against one key file."""
    wrapped = wrap(secrets.token_bytes(64), "482915", USUAL, _INFO)
    salt = os.urandom(16)

    def wrong() -> None:
        with contextlib.suppress(InvalidTag):
            unwrap(wrapped, "915482", _INFO)
            raise RuntimeError("a wrong PIN opened the file")

    floor, ours = [], []
    for _ in range(turns):
        floor.append(_cpu_seconds(lambda: hashlib.pbkdf2_hmac("sha512", b"915482", salt, ROUNDS)))
        ours.append(_cpu_seconds(wrong))
    print(times("one guess of a PIN, seconds of one core", [("PBKDF2, SQLCipher's", floor), ("Argon2id, ours", ours)]))
    print(f"  {1 / statistics.median(ours):.1f} guesses per second and core, {spread_of(ours, floor)}", end="\n\n")


def _cpu_seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun
