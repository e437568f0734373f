"""The vault: what opens the tablet's store, wrapped by a PIN.

Two secrets are made once and never change: the 32-byte database key and the seed of the device's Ed25519 key. They lie
in `keys.json`, sealed by a key that only the PIN gives:

    Argon2id(PIN, salt, 64 MiB, t=3, p=4) → HKDF-SHA256 → AES-256-GCM(database key ‖ seed), the header authenticated

So a new PIN rewrites one small file and never the database. Argon2id (RFC 9106) makes each guess cost memory as well as
time, but a PIN is short: against somebody with a copy of the disk it is a delay, not a wall, which is why the disk of a
tablet ought to be encrypted too. The counter of wrong PINs lies in a file beside it and shares that limit. It delays
and never destroys: a colleague's hand on the screen must not cost evidence.

Unlocking leaves the secrets in a session file (0600), in memory-backed storage where the system has one
(`XDG_RUNTIME_DIR`), and every use pushes its expiry out. Times are seconds since 1970.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import secrets
import stat
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from field_client.platform.files import make_folder, replace_file
from schemas.labels import Label
from sync.core.errors import BrokenStore, Locked, NotEnrolled, Refused, WrongPin

IDLE_S = 12 * 3600
"""An unlocked tablet that nobody uses for this long asks for the PIN again: a working day, not a night."""

FREE_FAILURES = 5
WAITS_S = (30, 120, 600, 3600)
"""The pause after the fifth wrong PIN, the sixth, the seventh, and every one after that."""

SHORTEST_PIN = 6

_KEY_INFO = b"patrolbook/vault/v1"
_CLOCK_SLACK_S = 60.0


class Secrets(NamedTuple):
    """What the vault holds: the raw key of the database, and the seed of the device's signing key; 32 bytes each."""

    database_key: bytes
    seed: bytes

    def derived(self, purpose: str) -> bytes:
        """A 32-byte key for another purpose, such as wrapping the keys of blob files."""
        return HKDF(SHA256(), 32, None, f"patrolbook/{purpose}/v1".encode()).derive(self.database_key)


@dataclass(frozen=True)
class Cost:
    """What one guess costs: memory in KiB, passes and lanes of Argon2id. About 0.2 s on two cores of a desktop."""

    memory_kib: int = 64 * 1024
    passes: int = 3
    lanes: int = 4


class _Attempts(NamedTuple):
    """How many wrong PINs in a row, and when the last one was."""

    failures: int
    at: float


class Vault:
    """The keys of the tablet whose data lies in `home`.

    `runtime` is where the session file goes, `home/.session` where it is None; `now` gives the time.
    """

    def __init__(
        self,
        home: Path,
        *,
        runtime: Path | None = None,
        cost: Cost = Cost(),
        idle_s: float = IDLE_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.file = home / "keys.json"
        self._attempts = home / "attempts.json"
        self._lock = home / "keys.lock"
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
        with self._alone():
            sealed = self._read()
            self._refuse_while_waiting()
            failures = self._read_attempts().failures + 1
            # Counted before it is tried: ending the program during the computation must not save a guess.
            self._record(failures)
            try:
                opened = _unsealed(sealed, pin)
            except InvalidTag:
                raise WrongPin(wait=_pause_s(failures)) from None
            self._attempts.unlink(missing_ok=True)
            return opened

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
        if not -_CLOCK_SLACK_S <= now - used < self._idle_s:
            self.lock()
            raise Locked()
        if now - used > _CLOCK_SLACK_S:
            self._remember(opened)
        return opened

    def lock(self) -> None:
        """Forget the session; the next use asks for the PIN."""
        self._session.unlink(missing_ok=True)

    def wait_s(self) -> int:
        """Whole seconds until a PIN is tried again; 0 where it may be tried now."""
        known, now = self._read_attempts(), self._now()
        pause = _pause_s(known.failures)
        if not pause or known.at + pause <= now:
            return 0
        if now < known.at - _CLOCK_SLACK_S:
            self._record(known.failures)  # the clock was set back: the pause starts again instead of lasting days
            return pause
        return max(1, round(known.at + pause - now))

    # --- the sealed file ---------------------------------------------------------------------------------------------

    def _seal(self, made: Secrets, pin: str) -> None:
        header = {"v": 1, "kdf": "argon2id", **asdict(self._cost), "salt": _text(secrets.token_bytes(16))}
        nonce = secrets.token_bytes(12)
        sealed = AESGCM(_key(header, pin)).encrypt(nonce, made.database_key + made.seed, _bound(header))
        replace_file(self.file, json.dumps({**header, "nonce": _text(nonce), "sealed": _text(sealed)}).encode())

    def _read(self) -> dict[str, Any]:
        try:
            sealed = json.loads(self.file.read_bytes())
        except FileNotFoundError:
            raise NotEnrolled() from None
        except ValueError as error:
            raise BrokenStore(file=str(self.file), detail=str(error)) from error
        if not _readable(sealed):
            raise BrokenStore(file=str(self.file), detail="not a key file of this version")
        return sealed  # type: ignore[no-any-return]

    # --- wrong PINs --------------------------------------------------------------------------------------------------

    def _refuse_while_waiting(self) -> None:
        if wait := self.wait_s():
            raise WrongPin(wait=wait)

    def _read_attempts(self) -> _Attempts:
        try:
            known = json.loads(self._attempts.read_bytes())
            return _Attempts(int(known["failures"]), float(known["at"]))
        except FileNotFoundError:
            return _Attempts(0, 0.0)
        except (ValueError, KeyError, TypeError):
            # A damaged counter must neither lock the owner out nor open the door: one pause, then go on.
            return _Attempts(FREE_FAILURES, self._attempts.stat().st_mtime)

    def _record(self, failures: int) -> None:
        replace_file(self._attempts, json.dumps({"failures": failures, "at": self._now()}).encode())

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Two programs that guess at once would count one failure for two."""
        if os.name == "nt":
            yield
            return
        import fcntl

        if not self.exists:
            raise NotEnrolled()
        with open(os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600), "rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield

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


def check_pin(pin: str) -> None:
    """Refuse a PIN that is guessed within the first free tries.

    :raises Refused: shorter than six characters, one character repeated, or a run such as 123456 or 987654
    """
    steps = {ord(b) - ord(a) for a, b in zip(pin, pin[1:], strict=False)}
    if len(pin) < SHORTEST_PIN:
        raise Refused(detail=Label(f"PIN 至少 {SHORTEST_PIN} 位", f"a PIN has at least {SHORTEST_PIN} characters"))
    if len(steps) == 1 and steps <= {-1, 0, 1}:
        raise Refused(detail=Label("PIN 太简单，不能全部相同或连续", "the PIN is too simple: all the same, or a run"))


_FIELDS = {"v", "kdf", "memory_kib", "passes", "lanes", "salt", "nonce", "sealed"}


def _readable(sealed: Any) -> bool:
    """Whether a key file has every part, and a cost that does not freeze the tablet."""
    if type(sealed) is not dict or sealed.keys() != _FIELDS or sealed["v"] != 1:
        return False
    cost = (sealed["memory_kib"], sealed["passes"], sealed["lanes"])
    if not all(type(one) is int and 1 <= one <= most for one, most in zip(cost, (1 << 20, 64, 64), strict=True)):
        return False
    try:
        return all(_raw(sealed[name]) for name in ("salt", "nonce", "sealed"))
    except (ValueError, TypeError):
        return False


def _pause_s(failures: int) -> int:
    over = failures - FREE_FAILURES
    return 0 if over < 0 else WAITS_S[min(over, len(WAITS_S) - 1)]


def _unsealed(sealed: dict[str, Any], pin: str) -> Secrets:
    header = {name: sealed[name] for name in _FIELDS - {"nonce", "sealed"}}
    opened = AESGCM(_key(header, pin)).decrypt(_raw(sealed["nonce"]), _raw(sealed["sealed"]), _bound(header))
    return Secrets(opened[:32], opened[32:])


def _key(header: dict[str, Any], pin: str) -> bytes:
    stretched = hash_secret_raw(
        unicodedata.normalize("NFKC", pin).encode(),
        _raw(header["salt"]),
        time_cost=header["passes"],
        memory_cost=header["memory_kib"],
        parallelism=header["lanes"],
        hash_len=32,
        type=Type.ID,
    )
    return HKDF(SHA256(), 32, None, _KEY_INFO).derive(stretched)


def _bound(header: dict[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True).encode()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
