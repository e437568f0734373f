"""Opening the tablet of a home with its keys: the command line and the screens do it the same way."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from field_client.evidence import covert
from field_client.exchange.rescue import BLOBS
from field_client.holding import renewal, revocation
from field_client.platform import Platform
from field_client.platform.files import EncryptedFiles
from field_client.platform.keys import Secrets, Vault
from field_client.tablet import DATABASE, Tablet
from field_client.work.shifts import first_of_day
from schemas.labels import Label
from sync.core.errors import BrokenStore, DeviceRevoked, KeysDestroyed


def opened(home: Path, secrets: Secrets, *, new: bool = False, platform: Platform | None = None) -> Tablet:
    """The tablet for these keys; where `new`, its database may be made.

    :raises BrokenStore: damaged, or gone while there are photos: an empty one in its place would hide the loss
    """
    files = EncryptedFiles(home / BLOBS, secrets.derived(BLOBS))
    files.sweep(time.time())
    make = Tablet.open
    if not (home / DATABASE).exists():
        if not new or any(files.list()):
            raise BrokenStore(file=DATABASE, detail=Label("文件不见了", "the file is gone"))
        make = Tablet.create
    tablet = make(home, secrets.database_key, secrets.seed, files, platform=platform)
    tablet.before_write = first_of_day
    return tablet


def unlocked(home: Path, secrets: Secrets, *, platform: Platform | None = None) -> Tablet:
    """The tablet right after its unlocking: what was sealed while it was locked is taken in. Raises as `opened`."""
    tablet = opened(home, secrets, platform=platform)
    covert.settle(tablet)
    return tablet


def unlock(
    home: Path,
    vault: Vault,
    pin: Callable[[], str],
    platform: Platform,
    *,
    remember: bool,
    handing_in: bool,
    watch: Callable[[], None] | None = None,
) -> Secrets:
    """The keys of a locked tablet, for the right PIN, which is asked for only where it can help. One that learns at this
    moment that it was revoked destroys its keys: locked for good, it can hand nothing in.

    :param remember: leave a session behind for the next command
    :param handing_in: what is unlocked does nothing on a revoked tablet but hand in, so that it may be unlocked for that
    :param watch: begins what ends sessions and leases when nobody comes, see `platform.guard`
    :raises DeviceRevoked, KeysDestroyed: as `revocation.forbid`, and where the server says so, and proves it, at this moment
    :raises WrongPin, LeaseExpired: as `renewal.opened`
    """
    revocation.forbid(home, handing_in)
    try:
        keys = renewal.opened(vault, pin(), platform.connect, remember)
    except DeviceRevoked as problem:
        contact = vault.leases.contact()
        if contact is None:
            raise
        revocation.learn(home, contact.device, contact.log, problem, platform.clock.wall_ms())
        revocation.clear(home, vault)
        raise KeysDestroyed() from problem
    if watch is not None:
        watch()
    return keys
