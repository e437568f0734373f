"""The transparency log of the device's compartment: its newest checkpoint and its proofs. They hold hashes only."""

from __future__ import annotations

from base64 import b64encode

from flask import Response, request
from flask_smorest import Blueprint

from schemas import wire
from server.api import door
from server.api.description import BASE, query, verb
from server.storage import merkle
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
    "The newest signed checkpoint",
    gives={"text/plain": {"schema": {"type": "string"}}},
)
@door.signed(revoked=True)
def checkpoint() -> Response:
    house = door.instance()
    voice = door.voice()
    with house.database.read() as conn:
        note = merkle.checkpoint(conn, voice, house.now())
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
