"""The server's own keys: in each compartment one signs the log's checkpoints and one the changes that the server writes.

They live in `keys/` of the data directory, readable by the owner only, outside the database and its backup.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import orjson
import uuid_utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schemas.base import COMPARTMENTS
from schemas.labels import Label
from server.storage.files import write_new
from sync.core.errors import NotReady, Refused
from sync.core.note import fingerprint

FILE = "server.json"
REPLICA_PREFIX = "server-"


@dataclass
class Voice:
    """How the server speaks in one compartment: the log that it signs, and the chain of the changes that it writes.

    Each compartment has its own, so that no size, number or stamp that one side sees tells of the other.
    compartment: empty for the open one; origin names the log in every checkpoint; replica is the id under which
    changes are written. Seeds are 32 bytes. `last_stamp` is the newest clock stamp that this process made here.
    """

    compartment: str
    origin: str
    log_seed: bytes
    replica: str
    replica_seed: bytes
    last_stamp: str | None = None

    @cached_property
    def log_public(self) -> bytes:
        """The 32 bytes by which tablets know this log."""
        return Ed25519PrivateKey.from_private_bytes(self.log_seed).public_key().public_bytes_raw()

    @cached_property
    def replica_public(self) -> bytes:
        """The 32 bytes that verify the server's own changes."""
        return self._signer.public_key().public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """The log key for a person to compare with what a tablet shows."""
        return fingerprint(self.log_public)

    def sign(self, message: bytes) -> bytes:
        """Sign for the server's replica."""
        return self._signer.sign(message)

    @cached_property
    def _signer(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.replica_seed)


@dataclass
class ServerKeys:
    """The server's voices by compartment, and the key that blinds enrolment codes and seals what tablets are lent."""

    voices: dict[str, Voice]
    codes_seed: bytes

    @property
    def open(self) -> Voice:
        """The voice that everybody hears."""
        return self.voices[""]

    def voice(self, compartment: str) -> Voice:
        """The voice in a compartment."""
        return self.voices[compartment]

    def of_replica(self, replica: str) -> Voice:
        """The voice that wrote under a replica id, also an earlier one of its ids."""
        walled = (one for one in self.voices.values() if one.compartment)
        return next((one for one in walled if replica.startswith(_prefix(one.compartment))), self.open)

    @cached_property
    def leases_key(self) -> bytes:
        """The key (32 bytes) under which shares lie in the database and its backups."""
        return HKDF(SHA256(), 32, None, b"patrolbook/leases/v1").derive(self.codes_seed)

    @cached_property
    def accounts_key(self) -> bytes:
        """The key (32 bytes) that seals and blinds what accounts keep in the database."""
        return HKDF(SHA256(), 32, None, b"patrolbook/accounts/v1").derive(self.codes_seed)

    @cached_property
    def notices_key(self) -> bytes:
        """The key (32 bytes) under which a notice travels to the next page in the browser."""
        return HKDF(SHA256(), 32, None, b"patrolbook/notices/v1").derive(self.codes_seed)

    @staticmethod
    def new_id(now_ms: int) -> str:
        """A UUIDv7 (RFC 9562) for a record or a change made at this server time."""
        return str(uuid_utils.uuid7(nanoseconds=now_ms * 1_000_000))


def create(folder: Path, origin: str) -> ServerKeys:
    """Make new keys; raises Refused where there are some already, for those must never be replaced."""
    if (folder / FILE).exists():
        raise Refused(detail=Label(f"{folder} 中已有密钥", f"there are keys in {folder} already"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    voices = {one: _new_voice(one, origin) for one in ("", *COMPARTMENTS)}
    keys = ServerKeys(voices, secrets.token_bytes(32))
    _write(folder, keys)
    return keys


def load(folder: Path) -> ServerKeys:
    """Read the keys. Raises NotReady where there are none, or where others on the machine can read them."""
    file = folder / FILE
    start = Label("启动", "start")
    if not file.exists():
        detail = Label(
            f"{folder.parent} 还没有建立服务器（patrolbook-server init）",
            f"{folder.parent} holds no server yet (patrolbook-server init)",
        )
        raise NotReady(action=start, detail=detail)
    if file.stat().st_mode & 0o077:
        detail = Label(f"{file} 可被他人读取，请执行 chmod 600", f"{file} is readable by others: chmod 600")
        raise NotReady(action=start, detail=detail)
    body = orjson.loads(file.read_bytes())
    return ServerKeys({one["compartment"]: _voice(one) for one in body["voices"]}, b64decode(body["codes"]))


def renew_replica(folder: Path) -> ServerKeys:
    """New replica ids for the server, as after a restore: its numbering may have gone back."""
    keys = load(folder)
    for voice in keys.voices.values():
        voice.replica = _new_replica(voice.compartment)
    _write(folder, keys)
    return keys


def is_server(replica: str) -> bool:
    """Whether a replica id is one that the server has used; tablets choose UUIDs."""
    return replica.startswith(REPLICA_PREFIX)


def _new_voice(compartment: str, origin: str) -> Voice:
    own = f"{origin}/{compartment}" if compartment else origin
    return Voice(compartment, own, secrets.token_bytes(32), _new_replica(compartment), secrets.token_bytes(32))


def _new_replica(compartment: str) -> str:
    return f"{_prefix(compartment)}{secrets.token_hex(8)}"


def _prefix(compartment: str) -> str:
    return f"{REPLICA_PREFIX}{compartment}-" if compartment else REPLICA_PREFIX


def _voice(body: dict[str, str]) -> Voice:
    log, seed = b64decode(body["log"]), b64decode(body["seed"])
    return Voice(body["compartment"], body["origin"], log, body["replica"], seed)


def _write(folder: Path, keys: ServerKeys) -> None:
    voices = [
        {
            "compartment": one.compartment,
            "origin": one.origin,
            "log": b64encode(one.log_seed).decode(),
            "replica": one.replica,
            "seed": b64encode(one.replica_seed).decode(),
        }
        for one in keys.voices.values()
    ]
    body = {"voices": voices, "codes": b64encode(keys.codes_seed).decode()}
    write_new(folder / FILE, orjson.dumps(body), mode=0o600)
