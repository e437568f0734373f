"""What a passphrase opens: a file in the format of age, whose key is derived by scrypt.

age measures the machine and refuses what would take too long on it. How much work a file asks for was measured where it was
made, so on a slower machine, or on one that is busy, the right passphrase is refused as well. That is told apart from a wrong
one, and tried again: being busy passes.
"""

from __future__ import annotations

from sync.core.errors import TooSlow

ATTEMPTS = 3
_TOO_MUCH = "Excessive work"


def unlocked(content: bytes, passphrase: str) -> bytes | None:
    """What is inside; None where it is damaged or the passphrase is another one.

    :raises TooSlow: this machine cannot do the work that the file asks for, as it is now
    """
    import pyrage

    for _ in range(ATTEMPTS):
        try:
            inside: bytes = pyrage.passphrase.decrypt(content, passphrase)
            return inside
        except pyrage.DecryptError as error:
            if not str(error).startswith(_TOO_MUCH):
                return None
    raise TooSlow
