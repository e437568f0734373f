"""The share of a tablet's keys that it has to ask for: see `server.exchange.leases`."""

from __future__ import annotations

from flask import Response
from flask_smorest import Blueprint

from schemas import wire
from server.api import door
from server.api.description import BASE, verb
from server.exchange import leases
from sync.core.errors import DeviceRevoked, WrongPin

blueprint = Blueprint("leases", __name__, url_prefix=BASE, description="What a tablet's keys need besides its PIN")

_LEASE = wire.LeaseRequest()
_UNLOCK = wire.UnlockRequest()


@verb(
    blueprint,
    "POST",
    "/lease",
    "Have or renew the share of this tablet's keys",
    takes=wire.LeaseRequest,
    gives=wire.LeaseAnswer,
    problems=[DeviceRevoked],
)
@door.signed()
def lease() -> Response:
    house = door.instance()
    return door.answer(leases.renew(house, door.device(), door.checked(_LEASE), house.now()))


@verb(
    blueprint,
    "POST",
    "/lease/unlock",
    "The same for a locked tablet: signed by its contact key, with a proof that somebody knows the PIN",
    takes=wire.UnlockRequest,
    gives=wire.LeaseAnswer,
    problems=[WrongPin, DeviceRevoked],
)
@door.signed_by_contact
def unlock() -> Response:
    house = door.instance()
    return door.answer(leases.unlock(house, door.device(), door.checked(_UNLOCK), house.now()))
