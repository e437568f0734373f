"""How a tablet and the server get to know each other: capabilities, enrolment, replicas."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from flask import Response
from flask_smorest import Blueprint

from schemas import wire
from schemas.labels import Label
from server.access import enrolment
from server.api import bodies, door
from server.api.description import BASE, verb
from server.keys import Voice
from server.proofs import trusts
from server.storage import people
from sync.core.errors import BadSignature, CodeNotValid, InvalidField, NotFound, Refused, ReplicaForked

blueprint = Blueprint("meeting", __name__, url_prefix=BASE, description="Meeting each other")

API = 1
_ENROL = wire.EnrolRequest()
_REPLICA = wire.Replica()


@verb(blueprint, "GET", "/capabilities", "Limits, encodings, kinds, epoch, time", gives=wire.Capabilities, signed=False)
@door.anybody
def capabilities() -> Response:
    house = door.instance()
    settings = house.settings
    return door.answer({
        "api": API,
        "epoch": house.epoch,
        "time": house.now(),
        "encodings": list(bodies.ENCODINGS),
        "limits": {
            "push_changes": settings.push_changes,
            "push_bytes": settings.push_bytes,
            "change_bytes": settings.change_bytes,
            "pull_bytes": settings.pull_bytes,
            "part_bytes": settings.body_bytes,
            "blob_bytes": settings.blob_bytes,
        },
        "schemas": {schema.kind: schema.version for schema in house.registry},
        "logs": [_log(one) for one in house.keys.voices.values()],
    })  # fmt: skip


@verb(
    blueprint,
    "POST",
    "/enrol",
    "Spend a one-time code; the tablet becomes a device",
    takes=wire.EnrolRequest,
    gives=wire.EnrolAnswer,
    problems=[CodeNotValid, BadSignature, Refused],
    signed=False,
)
@door.anybody
def enrol() -> Response:
    house = door.instance()
    enrolled = enrolment.enrol(house.database, house.keys, door.checked(_ENROL), house.now())
    person = enrolled.person
    return door.answer({
        "device": enrolled.device.id,
        "person": {"id": person.id, "name": person.name, "role": person.role},
        "grants": [_grant(one) for one in enrolled.grants],
        "epoch": house.epoch,
        "log": _log(house.keys.voice(enrolled.compartment)),
        "time": house.now(),
    })  # fmt: skip


@verb(
    blueprint,
    "POST",
    "/replicas",
    "Register the id of this tablet's database; safe to repeat",
    takes=wire.Replica,
    gives=wire.Replica,
    problems=[ReplicaForked],
)
@door.signed(revoked=True)
def replicas() -> Response:
    house = door.instance()
    replica = door.checked(_REPLICA)["replica"]
    if len(replica) != 36:  # also keeps tablets away from the ids under which the server writes
        raise InvalidField(field="replica", detail="is a UUID")
    with house.database.write() as conn:
        owner = people.register_replica(conn, replica, door.device().id, house.now())
    if owner != door.device().id:
        raise ReplicaForked(replica=replica)  # a cloned tablet: it takes a new id and goes on
    return door.answer({"replica": replica})


@verb(
    blueprint,
    "GET",
    "/trust",
    "The trust file as it was published, with the root's signature and key",
    gives=wire.TrustFile,
    problems=[NotFound],
)
@door.signed(revoked=True)
def trust() -> Response:
    held = trusts.published(door.instance().settings)
    if held is None:
        raise NotFound(what=Label("信任文件", "the trust file"))
    parts = {"content": held.content, "signature": held.signature, "root": held.root}
    return door.answer({name: b64encode(part).decode() for name, part in parts.items()})


def _log(voice: Voice) -> dict[str, str]:
    return {"origin": voice.origin, "key": b64encode(voice.log_public).decode()}


def _grant(grant: people.Grant) -> dict[str, Any]:
    told: dict[str, Any] = {"area": grant.area, "role": grant.role}
    return told | {"until": grant.until} if grant.until is not None else told
