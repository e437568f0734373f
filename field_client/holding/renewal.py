"""Renewing the lease of the tablet's keys.

    unlocked   after each round, with the device's key: `after_round`
    locked     with the contact key and a PIN, once the lease has run out: `opened`

A share is bound to the vault only where the keys can be recovered without it (`recovery.py`): a tablet is never locked
in a way that nobody could open.
"""

from __future__ import annotations

import secrets as random
import time
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from field_client.holding import recovery
from field_client.platform import Connect, Line
from field_client.platform.keys import Secrets, Vault
from field_client.platform.leases import Contact, Left
from field_client.tablet import Tablet
from schemas.labels import Label
from sync.core.errors import LeaseExpired, Unavailable, UntrustedNote, WrongKey
from sync.peer import Lease, LeaseClaim, Unlocking, unlock_proof_input

_SECRET_BYTES = 32


class Renewed(NamedTuple):
    """What became of the lease: how long it lasts; `unbound`: none, for nobody could recover the keys."""

    left: Left | None
    unbound: bool = False


def after_round(tablet: Tablet, vault: Vault, secrets: Secrets) -> Renewed:
    """Ask for the lease of an opened tablet.

    :raises Unavailable: no answer; nothing changed
    :raises DeviceRevoked: there is none any more; what is here ends when it ends
    """
    identity = tablet.identity
    assert identity is not None  # it was just synchronised
    recoverable = recovery.keep(tablet.home, secrets, identity.device)
    if recoverable is None and not vault.leased:
        return Renewed(None, unbound=True)
    known = vault.leases.contact()
    secret = known.secret if known is not None else random.token_bytes(_SECRET_BYTES)
    contact = Contact(identity.url, identity.device, identity.log, secret)
    vault.leases.introduce(contact)
    claim = LeaseClaim(_public(contact.signer()), _public(vault.lease_key()), recoverable)
    vault.bind(tablet.peer().lease(claim))
    return Renewed(vault.leases.left())


def is_due(vault: Vault) -> bool:
    """Whether a program that runs for days should renew: a tenth of the time is over, or nothing was ever lent."""
    left = vault.leases.left()
    return left is None or left.left_ms * 10 < left.term_ms * 9


def opened(vault: Vault, pin: str, connect: Connect, remember: bool) -> Secrets:
    """The secrets of a locked tablet, asking the server for the share where the lease has run out.

    :raises WrongPin: here or at the server, which counts for itself
    :raises LeaseExpired: no network, or this tablet knows no server; nothing was counted
    :raises DeviceRevoked: the server destroyed the share
    """
    act = vault.unlock if remember else vault.open
    try:
        return act(pin)
    except LeaseExpired:
        contact = vault.leases.contact()
        if contact is None:
            raise
    key = vault.guessed_lease_key(pin)
    try:
        lease = vault.asked(lambda: _ask(contact, key, connect))
    except Unavailable as problem:
        raise LeaseExpired() from problem
    vault.leases.keep(lease)
    try:
        return act(pin)
    except LeaseExpired:
        raise WrongKey(file=vault.file.name) from None  # the server lends another share than the one that was bound


def _ask(contact: Contact, key: Ed25519PrivateKey, connect: Connect) -> Lease:
    ahead = [0]
    peer = connect(Line(contact.url, contact.device, contact.signer().sign, lambda: _wall_ms() + ahead[0]))
    hello = peer.hello()
    if contact.log not in hello.logs:
        raise UntrustedNote(detail=Label("不是登记时的服务器", "it is not the server that this tablet enrolled with"))
    ahead[0] = hello.time_ms - _wall_ms()
    nonce = random.token_hex(16)
    proof = key.sign(unlock_proof_input(contact.device, hello.time_ms, nonce))
    return peer.unlock(Unlocking(hello.time_ms, nonce, proof))


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
