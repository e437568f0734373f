"""What a locked tablet keeps beside its sealed keys, readable without a PIN.

    device.json   the device secret (32 bytes), where the server is, who this device is, the pinned key of its log
    lease.json    the share that the server lends, until when, and by which clocks that is counted

Neither opens anything by itself: the vault's key needs the PIN, the device secret and the share (`keys.py`). The share
is removed by the first program that finds it expired, and comes back from the server to somebody who knows the PIN.

When it is expired is told by the server's time, counted on here: within the boot in which it was granted by a counter
that nobody sets; in later boots by the newest server time that was ever known, or the wall clock where that is ahead.
Setting the clock back therefore gains nothing; setting it far ahead costs one contact with the server.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from field_client.platform import Clock
from field_client.platform.files import destroy_file, replace_file
from field_client.platform.readings import Reading, elapsed_ms, same_boot
from schemas.labels import Label
from sync.core.errors import BrokenStore, LeaseExpired
from sync.peer import Lease, LogKey

DEVICE, LEASE = "device.json", "lease.json"
NOTED_MS = 60_000
"""The newest known time is written this often at most."""

_ID_TAG = b"patrolbook/lease-id/v1\0"
_CONTACT_INFO = b"patrolbook/contact-key/v1"


class Contact(NamedTuple):
    """How a locked tablet reaches its server, and the secret that is this device's part of the vault's key."""

    url: str
    device: str
    log: LogKey
    secret: bytes

    def signer(self) -> Ed25519PrivateKey:
        """The key that shows the server that this tablet asks. It signs requests for a lease and nothing else."""
        return Ed25519PrivateKey.from_private_bytes(HKDF(SHA256(), 32, None, _CONTACT_INFO).derive(self.secret))


class Kept(NamedTuple):
    """A lease as it lies here.

    before   a share that the vault's key may still be sealed by: the program may be killed while it is changed
    at       the clocks when it was granted; `newest` and `newest_ms`: a later moment, and the server's time then
    """

    share: bytes
    before: bytes
    granted_ms: int
    expires_ms: int
    at: Reading
    newest: Reading
    newest_ms: int

    def server_ms(self, now: Reading) -> int:
        """The server's time now, as far as it can be known; it never goes back."""
        if same_boot(self.at, now):
            return self.granted_ms + elapsed_ms(self.at, now)
        offset = self.granted_ms - self.at.wall_ms
        since = elapsed_ms(self.newest, now) if same_boot(self.newest, now) else 0
        return max(self.newest_ms + since, now.wall_ms + offset)


class Left(NamedTuple):
    """How long a lease still lasts, of how long it was granted for; milliseconds."""

    left_ms: int
    term_ms: int

    @property
    def short(self) -> bool:
        """Whether a person should be told to find a network: a third of it is left."""
        return self.left_ms * 3 < self.term_ms


def id_of(share: bytes) -> bytes:
    """The name of a share, which tells nothing of it."""
    return hashlib.sha256(_ID_TAG + share).digest()[:16]


class Leases:
    """The two files in `home`."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._device, self._lease, self._clock = home / DEVICE, home / LEASE, clock

    # ---- the device's own slot -----------------------------------------------------------------------------

    def contact(self) -> Contact | None:
        """None where this tablet never had one.

        :raises BrokenStore: the file is damaged
        """
        try:
            noted = json.loads(self._device.read_bytes())
            log = LogKey(str(noted["log"][0]), b64decode(noted["log"][1]))
            contact = Contact(str(noted["url"]), str(noted["device"]), log, b64decode(noted["secret"], validate=True))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise BrokenStore(file=DEVICE, detail=str(error)) from error
        if len(contact.secret) != 32:
            raise BrokenStore(file=DEVICE, detail=Label("设备密钥长度不对", "a device secret of another length"))
        return contact

    def introduce(self, contact: Contact) -> None:
        """Note where the server is; the secret of a contact that is here already must not change."""
        if contact != self.contact():
            noted = {
                "v": 1,
                "url": contact.url,
                "device": contact.device,
                "log": [contact.log.origin, _text(contact.log.key)],
                "secret": _text(contact.secret),
            }
            replace_file(self._device, json.dumps(noted).encode())

    # ---- the lease -----------------------------------------------------------------------------------------

    def keep(self, lease: Lease, before: bytes = b"") -> None:
        """Keep what the server just granted."""
        now = Reading.of(self._clock)
        self._write(Kept(lease.share, before, lease.granted_ms, lease.expires_ms, now, now, lease.granted_ms))

    def share(self, id: bytes) -> bytes:
        """The share of this name.

        :raises LeaseExpired: it is not here (any more)
        """
        kept = self._running()
        for share in (kept.share, kept.before) if kept is not None else ():
            if share and id_of(share) == id:
                return share
        raise LeaseExpired()

    def left(self) -> Left | None:
        """How long the lease still lasts; None where there is none, or where it has just been removed."""
        kept = self._running()
        if kept is None:
            return None
        left = kept.expires_ms - kept.server_ms(Reading.of(self._clock))
        return Left(left, kept.expires_ms - kept.granted_ms)

    def destroy(self) -> None:
        """Remove the share."""
        destroy_file(self._lease)

    def destroy_all(self) -> None:
        """Remove the share and the device secret."""
        destroy_file(self._lease)
        destroy_file(self._device)

    def _running(self) -> Kept | None:
        kept = self._read()
        if kept is None:
            return None
        now = Reading.of(self._clock)
        server_ms = kept.server_ms(now)
        if server_ms >= kept.expires_ms:
            self.destroy()
            return None
        if server_ms - kept.newest_ms > NOTED_MS:
            self._write(kept._replace(newest=now, newest_ms=server_ms))
        return kept

    def _read(self) -> Kept | None:
        """A damaged lease is no lease: the server has the share."""
        try:
            noted = json.loads(self._lease.read_bytes())
            return Kept(
                b64decode(noted["share"], validate=True),
                b64decode(noted["before"], validate=True),
                int(noted["granted_ms"]),
                int(noted["expires_ms"]),
                Reading.read(noted["at"]),
                Reading.read(noted["newest"]),
                int(noted["newest_ms"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, kept: Kept) -> None:
        noted: dict[str, Any] = {
            "v": 1,
            "share": _text(kept.share),
            "before": _text(kept.before),
            "granted_ms": kept.granted_ms,
            "expires_ms": kept.expires_ms,
            "at": kept.at._asdict(),
            "newest": kept.newest._asdict(),
            "newest_ms": kept.newest_ms,
        }
        replace_file(self._lease, json.dumps(noted).encode())


def _text(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")
