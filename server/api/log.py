"""The transparency log of the device's compartment: its newest checkpoint and its proofs. They hold hashes only."""

from __future__ import annotations

from base64 import b64encode

from flask import Response, request
from flask_smorest import Blueprint

from schemas import wire
from schemas.labels import Label
from server.api import door
from server.api.description import BASE, query, verb
from server.proofs import witnesses
from server.storage import attested, merkle
from sync.core.errors import NotFound

blueprint = Blueprint("log", __name__, url_prefix=BASE, description="Proofs that nothing was rewritten")

NOTE = "text/plain; charset=utf-8"

_INCLUSION = wire.InclusionRequest()
_CONSISTENCY = wire.ConsistencyQuery()
_SIZE = {"type": "integer", "minimum": 0}


@verb(
    blueprint,
    "GET",
    "/log/checkpoint",
    "The newest signed checkpoint, with the cosignatures that it has so far",
    gives={"text/plain": {"schema": {"type": "string"}}},
)
@door.signed(revoked=True)
def checkpoint() -> Response:
    house = door.instance()
    voice = door.voice()
    with house.database.read() as conn:
        note = merkle.checkpoint(conn, voice, house.now())
        note = attested.note(conn, voice.compartment, merkle.size(conn, voice.compartment)) or note
    return Response(note, content_type=NOTE)


@verb(
    blueprint,
    "GET",
    "/log/witnessed",
    "The newest checkpoint that as many witnesses have cosigned as the trust file asks for",
    gives={"text/plain": {"schema": {"type": "string"}}},
    problems=[NotFound],
)
@door.signed(revoked=True)
def witnessed() -> Response:
    house, trust = door.instance(), witnesses.trusted(door.instance())
    with house.database.read() as conn:
        note = witnesses.newest_witnessed(conn, door.voice(), trust) if trust is not None else None
    if note is None:
        raise NotFound(what=Label("有见证的检查点", "a witnessed checkpoint"))
    return Response(note, content_type=NOTE)


@verb(
    blueprint,
    "POST",
    "/log/inclusion",
    "Proofs that these leaves are in the log",
    takes=wire.InclusionRequest,
    gives=wire.InclusionAnswer,
    problems=[NotFound],
)
@door.signed(revoked=True)
def inclusion() -> Response:
    wanted = door.checked(_INCLUSION)
    size = wanted["size"]
    log = door.voice().compartment
    with door.instance().database.read() as conn:
        proofs = {str(leaf): _base64(merkle.inclusion(conn, log, leaf, size)) for leaf in wanted["leaves"]}
    return door.answer({"size": size, "proofs": proofs})


@verb(blueprint, "GET", "/log/consistency", "Proof that the log of one size extends that of another",
    gives=wire.ConsistencyAnswer,
    parameters=[query("old", "Size that is known", _SIZE, required=True),
                query("new", "Larger size", _SIZE, required=True)],
    problems=[NotFound],
)  # fmt: skip
@door.signed(revoked=True)
def consistency() -> Response:
    wanted = door.checked_value(_CONSISTENCY, request.args.to_dict())
    log = door.voice().compartment
    with door.instance().database.read() as conn:
        return door.answer({"proof": _base64(merkle.consistency(conn, log, wanted["old"], wanted["new"]))})


def _base64(proof: list[bytes]) -> list[str]:
    return [b64encode(one).decode() for one in proof]
