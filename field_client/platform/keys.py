"""The vault: what opens the tablet's store.

Two secrets are made once and never change: the 32-byte database key and the seed of the device's Ed25519 key. They lie
in `keys.json`, sealed by a key that needs

    Argon2id(PIN) ‖ device secret ‖ share        HKDF-SHA256 → AES-256-GCM (`wrapping.py`)

The device secret lies on the tablet, the share is lent by the server for some days (`leases.py`). Until the first lease
is bound the PIN alone seals them, and a tablet that was never enrolled stays so. A new PIN or another share rewrites one
small file and never the database.

Without the share nobody can try a PIN against this file. Whoever has no share must ask the server, with a signature by
the *lease key*, whose seed lies in `pad`, added to a stream that the PIN gives. Every PIN gives some seed and nothing
here tells which is right; the server alone knows the public key, counts wrong ones and makes them wait.

Unlocking leaves the secrets in a session file (`sessions.py`).
"""

from __future__ import annotations

import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from field_client.platform import Clock, locks
from field_client.platform.clock import SystemClock
from field_client.platform.files import destroy_file, make_folder, replace_file
from field_client.platform.leases import DEVICE, Contact, Leases, id_of
from field_client.platform.sessions import Sessions
from field_client.platform.wrapping import (
    USUAL,
    Attempts,
    Cost,
    Stretched,
    check_pin,
    read_wrapped,
    seal,
    stretch,
    stretch_again,
    unseal,
)
from schemas.labels import Label
from sync.core.errors import BrokenStore, Locked, NotEnrolled, NotFound, Refused
from sync.peer import Lease

KEYS, ATTEMPTS = "keys.json", "attempts.json"
IDLE_S = 15 * 60
"""An unlocked tablet that nobody uses for this long asks for the PIN again. A talk with the person in charge lasts as
long; a PIN after every silence of five minutes would be a short PIN soon."""
COVERT_IDLE_S = 2 * 60
"""The same on a tablet of an undercover team, which can seal without being unlocked."""

_ALONE_INFO = b"patrolbook/vault/v1"
_LEASED_INFO = b"patrolbook/vault/v2"
_PAD_INFO = b"patrolbook/lease-key/v1"
_EXTRA = ("lease", "pad")

T = TypeVar("T")


class Secrets(NamedTuple):
    """What the vault holds: the raw key of the database, and the seed of the device's signing key; 32 bytes each."""

    database_key: bytes
    seed: bytes

    def derived(self, purpose: str) -> bytes:
        """A 32-byte key for another purpose, such as wrapping the keys of blob files."""
        return HKDF(SHA256(), 32, None, f"patrolbook/{purpose}/v1".encode()).derive(self.database_key)


class Vault:
    """The keys of the tablet whose data lies in `home`.

    `runtime` is where the session file goes, `home/.session` where it is None; `idle_s` after how many idle seconds a
    session ends.
    """

    def __init__(
        self,
        home: Path,
        *,
        runtime: Path | None = None,
        cost: Cost = USUAL,
        idle_s: float = IDLE_S,
        clock: Clock | None = None,
    ) -> None:
        self.home = home
        self.file = home / KEYS
        clock = clock or SystemClock()
        self.leases = Leases(home, clock)
        self.sessions = Sessions(home, runtime, clock)
        self._attempts = Attempts(home / ATTEMPTS, lambda: clock.wall_ms() / 1000, clock)
        self._cost, self._idle_s = cost, idle_s
        self._pin_key: bytes | None = None  # what the PIN was stretched to, once it was right
        self._new_seed: bytes | None = None  # of a lease key that no key file holds yet

    @property
    def exists(self) -> bool:
        return self.file.exists()

    @property
    def leased(self) -> bool:
        """Whether opening needs a share from the server. Raises as `open`."""
        return "lease" in self._read()

    def create(self, pin: str) -> Secrets:
        """Make the secrets and seal them.

        :raises Refused: there is a vault already, or the PIN is too simple
        """
        self._absent()
        return self._seal_alone(Secrets(secrets.token_bytes(32), secrets.token_bytes(32)), pin)

    def restore(self, made: Secrets, pin: str) -> None:
        """Seal secrets that somebody recovered, in place of a key file that nobody can open. Raises as `create`."""
        self._seal_alone(made, pin)
        (self.home / ATTEMPTS).unlink(missing_ok=True)

    def open(self, pin: str) -> Secrets:
        """The secrets, for the right PIN.

        :raises NotEnrolled: there is no vault here
        :raises WrongPin: says how many seconds to wait; the PIN is not even tried before they have passed
        :raises LeaseExpired: it needs a share that is not here (any more); no PIN was tried
        :raises BrokenStore: a key file is damaged
        """
        wrapped = self._read()
        info, more = self._needed(wrapped)

        def guess() -> tuple[bytes, bytes]:
            by = stretch_again(wrapped, pin)
            return by.key, unseal(wrapped, by, info, more)

        self._pin_key, opened = self._attempts.counted(guess)
        return _secrets(opened)

    def change_pin(self, old: str, new: str) -> None:
        """Seal the same secrets by another PIN; raises as `open` and `create`. Ends no session."""
        check_pin(new)
        with self._alone():  # nobody writes the key file between opening it and writing it again
            made = self.open(old)
            wrapped = self._read()
            by = stretch(new, self._cost)
            if "lease" in wrapped:
                by = self._under(by, _raw(wrapped["lease"]), self._lease_seed(wrapped))
            info, more = self._needed(by.header)
            replace_file(self.file, json.dumps(seal(_bytes(made), by, info, more)).encode())
        self._pin_key = by.key
        if self.sessions.is_open():
            self._remember(made)

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
        held = self.sessions.held()
        if held is None or not {"key", "seed", "pin"} <= held.keys():
            raise Locked()
        self._pin_key = held["pin"]
        return Secrets(held["key"], held["seed"])

    def lock(self) -> None:
        """Forget the session; the next use asks for the PIN, and programs in the background end."""
        self.sessions.lock()
        self._pin_key = None

    def wait_s(self) -> int:
        """Whole seconds until a PIN is tried again; 0 where it may be tried now."""
        return self._attempts.wait_s()

    def destroy(self) -> None:
        """Destroy every key that lies here: afterwards only the province can open what is on this tablet."""
        self.leases.destroy_all()
        destroy_file(self.file)
        self.sessions.lock()
        self._pin_key = None

    # --- the lease ---------------------------------------------------------------------------------------------------

    def lease_key(self) -> Ed25519PrivateKey:
        """The lease key of an opened vault, whose public half the server has to know before a share is bound.

        :raises Locked: this vault was not opened
        """
        wrapped = self._read()
        if self._pin_key is None:
            raise Locked()
        if "pad" in wrapped:
            return Ed25519PrivateKey.from_private_bytes(self._lease_seed(wrapped))
        self._new_seed = self._new_seed or secrets.token_bytes(32)
        return Ed25519PrivateKey.from_private_bytes(self._new_seed)

    def guessed_lease_key(self, pin: str) -> Ed25519PrivateKey:
        """The lease key that this PIN gives, right or wrong: only the server can tell. Takes as long as opening."""
        wrapped = self._read()
        by = stretch_again(wrapped, pin)
        return Ed25519PrivateKey.from_private_bytes(_xor(_raw(wrapped["pad"]), self._stream(by)))

    def asked(self, ask: Callable[[], T]) -> T:
        """Let somebody else tell whether a PIN is right (see `Attempts.counted`)."""
        return self._attempts.counted(ask)

    def bind(self, lease: Lease) -> bool:
        """Keep a lease, and from now on need its share; False where the PIN was changed by another program meanwhile.

        A program that is killed in between leaves a key file that opens: with the share before, which is kept until
        the new file is there, or without one.

        :raises Locked: this vault was not opened
        """
        if self._pin_key is None:
            raise Locked()
        with self._alone():
            wrapped = self._read()
            if wrapped.get("lease") == _text(id_of(lease.share)):
                self.leases.keep(lease)
                return True
            by = Stretched(_header(wrapped), self._pin_key)
            info, more = self._needed(wrapped)
            try:
                opened = unseal(wrapped, by, info, more)
            except InvalidTag:
                return False
            seed = self._lease_seed(wrapped) if "pad" in wrapped else self._new_seed
            if seed is None:
                return False  # the server was told no lease key of ours
            self.leases.keep(lease, before=more[32:])
            by = self._under(by, id_of(lease.share), seed)
            info, more = self._needed(by.header)
            replace_file(self.file, json.dumps(seal(opened, by, info, more)).encode())
            self.leases.keep(lease)
            return True

    # --- the sealed file ---------------------------------------------------------------------------------------------

    def _absent(self) -> None:
        if self.exists:
            raise Refused(detail=Label("这台平板已有密钥", "this tablet has its keys already"))

    def _alone(self) -> Any:
        make_folder(self.home)
        return locks.alone(self.home / "keys.lock")

    def _seal_alone(self, made: Secrets, pin: str) -> Secrets:
        check_pin(pin)
        by = stretch(pin, self._cost)
        with self._alone():
            replace_file(self.file, json.dumps(seal(_bytes(made), by, _ALONE_INFO)).encode())
        self._pin_key = by.key
        return made

    def _needed(self, wrapped: dict[str, Any]) -> tuple[bytes, bytes]:
        """For what the key file is sealed, and what it needs besides the PIN."""
        if "lease" not in wrapped:
            return _ALONE_INFO, b""
        return _LEASED_INFO, self._contact().secret + self.leases.share(_raw(wrapped["lease"]))

    def _contact(self) -> Contact:
        contact = self.leases.contact()
        if contact is None:
            raise BrokenStore(file=DEVICE, detail=Label("文件不见了", "the file is gone"))
        return contact

    def _under(self, by: Stretched, lease: bytes, seed: bytes) -> Stretched:
        """The same PIN, for a file that needs a share."""
        pad = _text(_xor(seed, self._stream(by)))
        return Stretched({**by.header, "lease": _text(lease), "pad": pad}, by.key)

    def _lease_seed(self, wrapped: dict[str, Any]) -> bytes:
        assert self._pin_key is not None  # the callers looked
        return _xor(_raw(wrapped["pad"]), self._stream(Stretched(_header(wrapped), self._pin_key)))

    def _stream(self, by: Stretched) -> bytes:
        return by.derived(_PAD_INFO, self._contact().secret)

    def _read(self) -> dict[str, Any]:
        try:
            return read_wrapped(self.file, _EXTRA)
        except NotFound:
            raise NotEnrolled() from None

    def _remember(self, opened: Secrets) -> None:
        assert self._pin_key is not None  # it was just opened
        self.sessions.begin({"key": opened.database_key, "seed": opened.seed, "pin": self._pin_key}, self._idle_s)


def _header(wrapped: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wrapped.items() if name not in ("nonce", "sealed")}


def _bytes(made: Secrets) -> bytes:
    return made.database_key + made.seed


def _secrets(opened: bytes) -> Secrets:
    return Secrets(opened[:32], opened[32:])


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _text(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")


def _raw(text: str) -> bytes:
    return b64decode(text, validate=True)
