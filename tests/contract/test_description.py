"""The description of the interface, tried by Schemathesis: what it says may be sent is sent, signed by a tablet of every
role, as the description says and against it, and every answer is one that the description announced."""

from __future__ import annotations

import contextlib
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import uuid4

import orjson
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from requests.auth import AuthBase
from schemathesis import APIOperation, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from schemas.base import DESK_ROLES, FIELD_ROLES, READ_ROLES
from server.exchange import revocations
from sync.core.errors import NotFound
from tests.support.server import BASE, TestDevice, TestServer, wsgi_server

ROLES = sorted(FIELD_ROLES | DESK_ROLES | READ_ROLES)
REVOKED = "revoked"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 6
"""Of every operation for every role."""


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    """The description has the schema of one line."""
    return value if isinstance(value, bytes) else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


@schemathesis.deserializer("application/x-ndjson")
def line(_: Any, response: Any) -> Any:
    return orjson.loads(response.content.split(b"\n")[0])


class Signed(AuthBase):
    """Signs what is about to be sent, whatever it is."""

    def __init__(self, device: TestDevice) -> None:
        self.device = device

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        content = body.encode() if isinstance(body, str) else body
        assert isinstance(content, bytes) and request.method is not None
        if request.method == "PUT":
            request.headers["Content-Digest"] = f"sha-256=:{b64encode(sha256(content).digest()).decode()}:"
        request.headers.update(self.device.headers(request.method, request.path_url, content))
        return request


class Tried(NamedTuple):
    """The server, its operations as described, a tablet of every role, and ids that exist, by the name of their field."""

    server: TestServer
    operations: list[APIOperation]
    devices: dict[str, TestDevice]
    known: dict[str, list[str]]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    server = wsgi_server(tmp_path_factory.mktemp("server"))
    description = server.session.get(f"{server.url}{BASE}/openapi.json", timeout=10).json()
    operations = [one.ok() for one in schemathesis.openapi.from_dict(description).get_all_operations()]
    devices = {role: server.enrol(role, "430102", department="fire" if role == "department" else "") for role in ROLES}
    devices[REVOKED] = server.enrol("inspector", "430102")
    yield Tried(server, operations, devices, filled(devices))
    server.instance.close()


def filled(devices: dict[str, TestDevice]) -> dict[str, list[str]]:
    """Something to be asked for: changes, a photo that is held and one that is under way, of every tablet."""
    known: dict[str, list[str]] = {"bucket": ["area:430102", "sealed:430102", "ref:checklist"], "size": [], "name": []}
    for device in devices.values():
        photo, record = b"\xff\xd8" + device.id.encode() * 20, str(uuid4())
        hazard = {"description": "通道堆物", "area": "430102", "status": "open", "grade": "general"}
        change = device.change("hazard", record, hazard)
        device.push(change)
        device.send_blob(photo)
        claim = {"sha256": "0" * 64, "size": 100_000, "mime": "image/jpeg", "part_size": 1 << 16, "role": "original"}
        upload = device.post("/blobs", claim).json()["upload"]
        known.setdefault("upload", []).append(upload)
        known["name"] += [upload, sha256(photo).hexdigest()]
        known.setdefault("replica", []).append(device.replica)
        known.setdefault("id", []).append(change.id)
    known["epoch"] = [device.answer["epoch"]]
    return known


def lifelike(draw: st.DrawFn, value: Any, known: dict[str, list[str]]) -> Any:
    """The same with ids that exist in some of its places, so that more than the first check is reached."""
    if not isinstance(value, dict):
        return value
    return {
        name: draw(st.sampled_from(known[name])) if known.get(name) and draw(st.booleans()) else lifelike(draw, held, known)
        for name, held in value.items()
    }


@pytest.mark.parametrize("role", [*ROLES, REVOKED])
def test_every_answer_to_a_tablet_is_one_that_the_description_announced(tried: Tried, role: str) -> None:
    device = tried.devices[role]
    if role == REVOKED:
        with contextlib.suppress(NotFound):
            revocations.revoke(tried.server.instance, device.id, "丢失")
    for operation in tried.operations:
        try_out(tried, device, operation)


def try_out(tried: Tried, device: TestDevice, operation: APIOperation) -> None:
    modes = [GenerationMode.POSITIVE]
    if operation.body or operation.query:
        modes.append(GenerationMode.NEGATIVE)
    cases = st.one_of([operation.as_strategy(mode) for mode in modes])

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(data=st.data())
    def answers(data: st.DataObject) -> None:
        case = data.draw(cases)
        case.path_parameters = lifelike(data.draw, case.path_parameters, tried.known)
        case.body = lifelike(data.draw, case.body, tried.known)
        answer = case.call(base_url=tried.server.url, session=tried.server.session, auth=Signed(device))
        case.validate_response(answer, checks=CHECKS)

    answers()
