"""Revoking a tablet, and telling it so with the proof: the act of the log that says it.

A tablet destroys its keys on this word, so the word is one that only the holder of the log's key can give: the act, its
place in the log, and a signed checkpoint. It travels in the problem `device-revoked` that a revoked tablet meets.
"""

from __future__ import annotations

from base64 import b64encode

from server import acts
from server.access import rights
from server.exchange import leases
from server.instance import Instance
from server.storage import merkle, people
from server.storage.database import Connection
from server.storage.people import Device
from sync.core.errors import DeviceRevoked, NotFound


def revoke(house: Instance, device: str, reason: str) -> None:
    """From now on it reads nothing, and its share of its keys is gone. Raises NotFound: no such device, or revoked."""
    with house.database.write() as conn:
        now = house.now()
        if not people.revoke(conn, device, now, reason):
            raise NotFound(what=device)
        known = people.device(conn, device)
        assert known is not None  # it was just revoked
        where, owner = rights.compartment_of(conn, known), people.person(conn, known.person)
        role = owner.role if owner is not None else ""
        whose = {"device": device, "key": known.key.hex(), "person": known.person, "role": role}
        acts.append(conn, where, acts.REVOKED, now, **whose, reason=reason)
        leases.destroy(conn, device)


def told(house: Instance, conn: Connection, device: Device) -> DeviceRevoked:
    """What a revoked device is answered; without the proof where no act says so, and then it destroys nothing."""
    voice = house.keys.voice(rights.compartment_of(conn, device))
    said = [one for one in acts.every(conn, voice.compartment, acts.REVOKED) if one.body["device"] == device.id]
    if not said:
        return DeviceRevoked()
    act, size = said[-1], merkle.size(conn, voice.compartment)
    proof = merkle.inclusion(conn, voice.compartment, act.leaf, size)
    return DeviceRevoked(
        act=act.content.decode(),
        leaf=act.leaf,
        proof=[b64encode(one).decode() for one in proof],
        checkpoint=merkle.checkpoint(conn, voice, house.now()),
    )
