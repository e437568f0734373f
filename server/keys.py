"""The server's own keys: one signs the log's checkpoints, one the changes that the server writes, one blinds codes.

They live in `keys/` of the data directory, readable by the owner only, outside the database and its backup.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import orjson
import uuid_utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.labels import Label
from server.storage.files import write_new
from sync.core.errors import NotReady, Refused
from sync.core.note import fingerprint

FILE = "server.json"
REPLICA_PREFIX = "server-"


@dataclass
class ServerKeys:
    """origin names the log in every checkpoint; replica is the id under which the server writes changes.

    Seeds are 32 bytes. `last_stamp` is the newest clock stamp that this process made as the server's replica.
    """

    origin: str
    log_seed: bytes
    replica: str
    replica_seed: bytes
    codes_seed: bytes
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

    @staticmethod
    def new_id(now_ms: int) -> str:
        """A UUIDv7 (RFC 9562) for a record or a change made at this server time."""
        return str(uuid_utils.uuid7(nanoseconds=now_ms * 1_000_000))

    @cached_property
    def _signer(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.replica_seed)


def create(folder: Path, origin: str) -> ServerKeys:
    """Make new keys; raises Refused where there are some already, for those must never be replaced."""
    if (folder / FILE).exists():
        raise Refused(detail=Label(f"{folder} 中已有密钥", f"there are keys in {folder} already"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    keys = ServerKeys(origin, secrets.token_bytes(32), _new_replica(), secrets.token_bytes(32), secrets.token_bytes(32))
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
    return ServerKeys(
        body["origin"], b64decode(body["log"]), body["replica"], b64decode(body["seed"]), b64decode(body["codes"])
    )


def renew_replica(folder: Path) -> ServerKeys:
    """A new replica id for the server, as after a restore: its numbering may have gone back."""
    keys = replace(load(folder), replica=_new_replica(), last_stamp=None)
    _write(folder, keys)
    return keys


def is_server(replica: str) -> bool:
    """Whether a replica id is one that the server has used; tablets choose UUIDs."""
    return replica.startswith(REPLICA_PREFIX)


def _new_replica() -> str:
    return f"{REPLICA_PREFIX}{secrets.token_hex(8)}"


def _write(folder: Path, keys: ServerKeys) -> None:
    body = {
        "origin": keys.origin,
        "log": b64encode(keys.log_seed).decode(),
        "replica": keys.replica,
        "seed": b64encode(keys.replica_seed).decode(),
        "codes": b64encode(keys.codes_seed).decode(),
    }
    write_new(folder / FILE, orjson.dumps(body), mode=0o600)
