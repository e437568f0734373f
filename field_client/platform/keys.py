"""The vault: what opens the tablet's store, wrapped by a PIN.

Two secrets are made once and never change: the 32-byte database key and the seed of the device's Ed25519 key. They lie
in `keys.json`, sealed by a key that only the PIN gives (`wrapping.py`). So a new PIN rewrites one small file and never
the database. A PIN is short: against somebody with a copy of the disk it is a delay, not a wall, which is why the disk
of a tablet ought to be encrypted too.

Unlocking leaves the secrets in a session file (0600), in memory-backed storage where the system has one
(`XDG_RUNTIME_DIR`), and every use pushes its expiry out. Times are seconds since 1970.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from field_client.platform.files import make_folder, replace_file
from field_client.platform.wrapping import CLOCK_SLACK_S, USUAL, Attempts, Cost, check_pin, read_wrapped, wrap
from schemas.labels import Label
from sync.core.errors import Locked, NotEnrolled, NotFound, Refused

IDLE_S = 12 * 3600
"""An unlocked tablet that nobody uses for this long asks for the PIN again: a working day, not a night."""

_KEY_INFO = b"patrolbook/vault/v1"


class Secrets(NamedTuple):
    """What the vault holds: the raw key of the database, and the seed of the device's signing key; 32 bytes each."""

    database_key: bytes
    seed: bytes

    def derived(self, purpose: str) -> bytes:
        """A 32-byte key for another purpose, such as wrapping the keys of blob files."""
        return HKDF(SHA256(), 32, None, f"patrolbook/{purpose}/v1".encode()).derive(self.database_key)


class Vault:
    """The keys of the tablet whose data lies in `home`.

    `runtime` is where the session file goes, `home/.session` where it is None; `now` gives the time.
    """

    def __init__(
        self,
        home: Path,
        *,
        runtime: Path | None = None,
        cost: Cost = USUAL,
        idle_s: float = IDLE_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.file = home / "keys.json"
        self._attempts = Attempts(home / "attempts.json", now)
        self._cost, self._idle_s, self._now = cost, idle_s, now
        # Several homes share one runtime folder, so the name says whose session it is.
        owner = hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:16]
        self._session = runtime / "patrolbook" / f"{owner}.session" if runtime else home / ".session"

    @property
    def exists(self) -> bool:
        return self.file.exists()

    def create(self, pin: str) -> Secrets:
        """Make the secrets and seal them.

        :raises Refused: there is a vault already, or the PIN is too simple
        """
        if self.exists:
            raise Refused(detail=Label("这台平板已有密钥", "this tablet has its keys already"))
        check_pin(pin)
        made = Secrets(secrets.token_bytes(32), secrets.token_bytes(32))
        self._seal(made, pin)
        return made

    def open(self, pin: str) -> Secrets:
        """The secrets, for the right PIN.

        :raises NotEnrolled: there is no vault here
        :raises WrongPin: says how many seconds to wait; the PIN is not even tried before they have passed
        :raises BrokenStore: the key file is damaged
        """
        opened = self._attempts.open(self._read(), pin, _KEY_INFO)
        return Secrets(opened[:32], opened[32:])

    def change_pin(self, old: str, new: str) -> None:
        """Seal the same secrets by another PIN; raises as `open` and `create`. Ends no session."""
        check_pin(new)
        self._seal(self.open(old), new)

    def unlock(self, pin: str) -> Secrets:
        """Open, and remember it for this session; raises as `open`."""
        opened = self.open(pin)
        self._remember(opened)
        return opened

    def secrets(self) -> Secrets:
        """The secrets of an unlocked tablet; using them keeps it unlocked.

        :raises NotEnrolled: there is no vault here
        :raises Locked: never unlocked, locked, or idle for too long
        """
        if not self.exists:
            raise NotEnrolled()
        session = self._read_session()
        if session is None:
            raise Locked()
        used, opened = session
        now = self._now()
        # A use that lies in the future means that the clock was set back: the idle time is then unknown.
        if not -CLOCK_SLACK_S <= now - used < self._idle_s:
            self.lock()
            raise Locked()
        if now - used > CLOCK_SLACK_S:
            self._remember(opened)
        return opened

    def lock(self) -> None:
        """Forget the session; the next use asks for the PIN."""
        self._session.unlink(missing_ok=True)

    def wait_s(self) -> int:
        """Whole seconds until a PIN is tried again; 0 where it may be tried now."""
        return self._attempts.wait_s()

    # --- the sealed file ---------------------------------------------------------------------------------------------

    def _seal(self, made: Secrets, pin: str) -> None:
        wrapped = wrap(made.database_key + made.seed, pin, self._cost, _KEY_INFO)
        replace_file(self.file, json.dumps(wrapped).encode())

    def _read(self) -> dict[str, Any]:
        try:
            return read_wrapped(self.file)
        except NotFound:
            raise NotEnrolled() from None

    # --- the session -------------------------------------------------------------------------------------------------

    def _remember(self, opened: Secrets) -> None:
        make_folder(self._session.parent)
        content = {"used": self._now(), "key": opened.database_key.hex(), "seed": opened.seed.hex()}
        replace_file(self._session, json.dumps(content).encode())

    def _read_session(self) -> tuple[float, Secrets] | None:
        try:
            handle = os.open(self._session, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            return None
        with open(handle, "rb") as file:
            about = os.fstat(handle)
            foreign = hasattr(os, "getuid") and about.st_uid != os.getuid()
            if os.name != "nt" and (foreign or stat.S_IMODE(about.st_mode) & 0o077):
                return None  # somebody else could have written it or read it
            try:
                known = json.load(file)
                return float(known["used"]), Secrets(bytes.fromhex(known["key"]), bytes.fromhex(known["seed"]))
            except (ValueError, KeyError, TypeError):
                return None
