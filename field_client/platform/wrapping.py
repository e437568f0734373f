"""Secrets wrapped by a PIN: the one form in which the tablet's keys and each officer's own key lie on the disk.

    Argon2id(PIN, salt, 64 MiB, t=3, p=4) ‖ more → HKDF-SHA256(info) → AES-256-GCM(secret), the header authenticated

`info` says what the secret is for, so a file made for one purpose opens for no other. Argon2id (RFC 9106) makes each
guess cost memory as well as time, but a PIN is short: against somebody with a copy of the disk it is a delay, not a
wall. `more` is what else is needed besides the PIN (the vault's device secret and its lease, see `keys.py`).

`Attempts` counts wrong PINs in a file beside the secret and shares that limit. It delays and never destroys: a
colleague's hand on the screen must not cost evidence.
"""

from __future__ import annotations

import base64
import json
import secrets
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from field_client.platform import Clock, locks
from field_client.platform.files import replace_file
from schemas.labels import Label
from sync.core.errors import BrokenStore, NotFound, Problem, Refused, WrongPin

FREE_FAILURES = 5
WAITS_S = (30, 120, 600, 3600)
"""The pause after the fifth wrong PIN, the sixth, the seventh, and every one after that."""

SHORTEST_PIN = 6

CLOCK_SLACK_S = 60.0

_FIELDS = frozenset({"v", "kdf", "memory_kib", "passes", "lanes", "salt", "nonce", "sealed"})

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """What one guess costs: memory in KiB, passes and lanes of Argon2id. About 0.2 s on two cores of a desktop."""

    memory_kib: int = 64 * 1024
    passes: int = 3
    lanes: int = 4


USUAL = Cost()


class Stretched(NamedTuple):
    """What Argon2id made of a PIN, and the header of the file, by which it can be made again."""

    header: dict[str, Any]
    key: bytes

    def derived(self, info: bytes, more: bytes = b"") -> bytes:
        """A 32-byte key for one purpose."""
        return HKDF(SHA256(), 32, None, info).derive(self.key + more)


def stretch(pin: str, cost: Cost = USUAL) -> Stretched:
    """A PIN for a new file: with a salt of its own."""
    header = {"v": 1, "kdf": "argon2id", **asdict(cost), "salt": _text(secrets.token_bytes(16))}
    return Stretched(header, _stretched(header, pin))


def stretch_again(wrapped: Mapping[str, Any], pin: str) -> Stretched:
    """A PIN as it was stretched for this file."""
    header = {name: wrapped[name] for name in wrapped.keys() - {"nonce", "sealed"}}
    return Stretched(header, _stretched(header, pin))


def seal(secret: bytes, by: Stretched, info: bytes, more: bytes = b"") -> dict[str, Any]:
    """The secret sealed by a stretched PIN, as JSON. Whatever else is in the header is authenticated with it."""
    nonce = secrets.token_bytes(12)
    sealed = AESGCM(by.derived(info, more)).encrypt(nonce, secret, _bound(by.header))
    return {**by.header, "nonce": _text(nonce), "sealed": _text(sealed)}


def unseal(wrapped: Mapping[str, Any], by: Stretched, info: bytes, more: bytes = b"") -> bytes:
    """The secret. Raises InvalidTag for another PIN, another purpose, or a changed file."""
    cipher = AESGCM(by.derived(info, more))
    return cipher.decrypt(_raw(wrapped["nonce"]), _raw(wrapped["sealed"]), _bound(by.header))


def wrap(secret: bytes, pin: str, cost: Cost, info: bytes) -> dict[str, Any]:
    """The secret sealed by a PIN alone, as JSON."""
    return seal(secret, stretch(pin, cost), info)


def unwrap(wrapped: Mapping[str, Any], pin: str, info: bytes) -> bytes:
    """What `wrap` sealed; raises as `unseal`."""
    return unseal(wrapped, stretch_again(wrapped, pin), info)


def read_wrapped(file: Path, more: Collection[str] = ()) -> dict[str, Any]:
    """A file that `wrap` or `seal` filled; `more` names what else its header may hold, all of it or nothing, as base64.

    :raises NotFound: there is none
    :raises BrokenStore: it is damaged, or asks for a cost that would freeze the tablet
    """
    try:
        wrapped = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise NotFound(what=file.name) from None
    except ValueError as error:
        raise BrokenStore(file=str(file), detail=str(error)) from error
    if not _readable(wrapped, more):
        raise BrokenStore(file=str(file), detail="not a key file of this version")
    return wrapped  # type: ignore[no-any-return]


class _Known(NamedTuple):
    """How many wrong PINs in a row, and when the last one was: seconds since 1970, and by the device's own counter."""

    failures: int
    at: float
    mono: float = 0.0
    boot: str = ""


class Attempts:
    """The wrong PINs in a row, in a file. Times are seconds since 1970.

    With the device's `clock` a pause lasts as long within one boot, whatever the wall clock is set to. Somebody who can
    start the device anew and set it ahead, or put an older copy of the file back, gets past the pause.
    """

    def __init__(self, file: Path, now: Callable[[], float], clock: Clock | None = None) -> None:
        self._file, self._now, self._clock = file, now, clock

    def open(self, wrapped: dict[str, Any], pin: str, info: bytes) -> bytes:
        """`unwrap`, counted; raises as `counted`."""
        return self.counted(lambda: unwrap(wrapped, pin, info))

    def counted(self, guess: Callable[[], T]) -> T:
        """What `guess` returns; it raises InvalidTag where the PIN is wrong.

        :raises WrongPin: says how many seconds to wait; the PIN is not even tried before they have passed
        """
        with locks.alone(self._file.with_suffix(".lock")):
            if wait := self.wait_s():
                raise WrongPin(wait=wait)
            before = self._read()
            # Counted before it is tried: ending the program during the computation must not save a guess.
            self._record(before.failures + 1)
            try:
                opened = guess()
            except InvalidTag:
                raise WrongPin(wait=_pause_s(before.failures + 1)) from None
            except Problem as problem:
                if not isinstance(problem, WrongPin):  # nobody was there to say whether it was right
                    self._write(before)
                raise
            self._file.unlink(missing_ok=True)
            return opened

    def wait_s(self) -> int:
        """Whole seconds until a PIN is tried again; 0 where it may be tried now."""
        known, now = self._read(), self._now()
        pause = _pause_s(known.failures)
        if not pause:
            return 0
        if self._clock is not None and known.boot == self._clock.boot():
            return _whole(known.mono + pause - self._clock.mono_ms() / 1000)
        if now < known.at - CLOCK_SLACK_S:
            self._record(known.failures)  # the clock was set back: the pause starts again instead of lasting days
            return pause
        return _whole(known.at + pause - now)

    def _read(self) -> _Known:
        try:
            known = json.loads(self._file.read_bytes())
            mono, boot = float(known.get("mono", 0.0)), str(known.get("boot", ""))
            return _Known(int(known["failures"]), float(known["at"]), mono, boot)
        except FileNotFoundError:
            return _Known(0, 0.0)
        except (ValueError, KeyError, TypeError, AttributeError):
            # A damaged counter must neither lock the owner out nor open the door: one pause, then go on.
            return _Known(FREE_FAILURES, self._file.stat().st_mtime)

    def _record(self, failures: int) -> None:
        clock = self._clock
        mono, boot = (clock.mono_ms() / 1000, clock.boot()) if clock is not None else (0.0, "")
        self._write(_Known(failures, self._now(), mono, boot))

    def _write(self, known: _Known) -> None:
        if known.failures:
            replace_file(self._file, json.dumps(known._asdict()).encode())
        else:
            self._file.unlink(missing_ok=True)


def check_pin(pin: str) -> None:
    """Refuse a PIN that is guessed within the first free tries.

    :raises Refused: shorter than six characters, one character repeated, or a run such as 123456 or 987654
    """
    steps = {ord(b) - ord(a) for a, b in zip(pin, pin[1:], strict=False)}
    if len(pin) < SHORTEST_PIN:
        raise Refused(detail=Label(f"PIN 至少 {SHORTEST_PIN} 位", f"a PIN has at least {SHORTEST_PIN} characters"))
    if len(steps) == 1 and steps <= {-1, 0, 1}:
        raise Refused(detail=Label("PIN 太简单，不能全部相同或连续", "the PIN is too simple: all the same, or a run"))


def _readable(wrapped: Any, more: Collection[str]) -> bool:
    """Whether a key file has every part, and a cost that does not freeze the tablet."""
    if type(wrapped) is not dict or wrapped.keys() not in (_FIELDS, _FIELDS | set(more)) or wrapped["v"] != 1:
        return False
    cost = (wrapped["memory_kib"], wrapped["passes"], wrapped["lanes"])
    if not all(type(one) is int and 1 <= one <= most for one, most in zip(cost, (1 << 20, 64, 64), strict=True)):
        return False
    try:
        return all(_raw(wrapped[name]) for name in ("salt", "nonce", "sealed", *(wrapped.keys() & set(more))))
    except (ValueError, TypeError):
        return False


def _pause_s(failures: int) -> int:
    over = failures - FREE_FAILURES
    return 0 if over < 0 else WAITS_S[min(over, len(WAITS_S) - 1)]


def _whole(seconds: float) -> int:
    return max(1, round(seconds)) if seconds > 0 else 0


def _stretched(header: Mapping[str, Any], pin: str) -> bytes:
    return hash_secret_raw(
        unicodedata.normalize("NFKC", pin).encode(),
        _raw(header["salt"]),
        time_cost=header["passes"],
        memory_cost=header["memory_kib"],
        parallelism=header["lanes"],
        hash_len=32,
        type=Type.ID,
    )


def _bound(header: dict[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True).encode()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
