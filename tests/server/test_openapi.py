"""The description of the interface: every verb, every schema, and the policy of every route."""

from pathlib import Path
from typing import Any

import pytest

from schemas import wire
from server.api.description import NDJSON
from tests.support.server import BASE, TestServer, wsgi_server

VERBS = {
    "/capabilities": {"get"},
    "/enrol": {"post"},
    "/replicas": {"post"},
    "/trust": {"get"},
    "/push": {"post"},
    "/pull": {"post"},
    "/have": {"post"},
    "/snapshots/{bucket}": {"get"},
    "/blobs": {"post"},
    "/blobs/{name}": {"get"},
    "/blobs/{upload}/parts/{number}": {"put"},
    "/blobs/{upload}/complete": {"post"},
    "/evidence/{code}": {"get"},
    "/lease": {"post"},
    "/lease/unlock": {"post"},
    "/log/checkpoint": {"get"},
    "/log/witnessed": {"get"},
    "/log/inclusion": {"post"},
    "/log/consistency": {"get"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> TestServer:
    return wsgi_server(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def description(server: TestServer) -> dict[str, Any]:
    response = server.session.get(f"{server.url}{BASE}/openapi.json", timeout=10)
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def operations(description: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]


def test_every_verb_is_described(description: dict[str, Any]) -> None:
    found = {path: {m for m in item if m != "parameters"} for path, item in description["paths"].items()}
    assert found == {BASE + path: methods for path, methods in VERBS.items()}


def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*(references(one) for one in value.values()))
        return set().union(*(references(one) for one in value)) if isinstance(value, list) else set()

    for reference in references(description):
        at: Any = description
        for name in reference.removeprefix("#/").split("/"):
            at = at[name]


def test_push_and_pull_are_described_as_lines(description: dict[str, Any]) -> None:
    push, pull = description["paths"][f"{BASE}/push"]["post"], description["paths"][f"{BASE}/pull"]["post"]
    line = push["requestBody"]["content"][NDJSON]["schema"]["anyOf"]
    assert {"$ref": "#/components/schemas/PushHeader"} in line
    assert pull["responses"]["200"]["content"][NDJSON]["schema"]["anyOf"] == [{"$ref": "#/components/schemas/PullLine"}]


def test_every_verb_tells_its_problems_as_problem_json(description: dict[str, Any]) -> None:
    for _, _, operation in operations(description):
        statuses = {s: r for s, r in operation["responses"].items() if s.isdigit() and int(s) >= 400}
        assert "400" in statuses
        assert all("application/problem+json" in response["content"] for response in statuses.values())


def test_all_but_two_verbs_are_signed_by_the_device(description: dict[str, Any]) -> None:
    open_to_all = {path for path, _, operation in operations(description) if not operation["security"]}
    assert open_to_all == {f"{BASE}/capabilities", f"{BASE}/enrol"}


FILES = {"/", "/look/<name>", "/console/static/<path:name>"}
"""The front door, and what pages look like: the same for everybody."""


def test_every_route_has_a_policy(server: TestServer) -> None:
    for rule in server.app.url_map.iter_rules():
        if rule.rule != f"{BASE}/openapi.json" and rule.rule not in FILES:
            assert hasattr(server.app.view_functions[rule.endpoint], "policy"), rule.rule


def test_every_shape_of_the_wire_says_what_its_fields_mean(description: dict[str, Any]) -> None:
    for name in ("PushHeader", "Run", "PushAnswer", "PullRequest", "BlobDeclaration", "EnrolRequest"):
        for field, schema in description["components"]["schemas"][name]["properties"].items():
            assert schema.get("description") or "$ref" in schema or "allOf" in schema, f"{name}.{field}"


def test_the_answers_are_what_the_description_promises(server: TestServer, tmp_path: Path) -> None:
    device = server.enrol("inspector", "430102")
    assert not wire.EnrolAnswer().validate(device.answer)
    assert not wire.Capabilities().validate(server.session.get(f"{server.url}{BASE}/capabilities").json())
    assert not wire.BlobHeld().validate(device.send_blob(b"x" * 100))
    assert not wire.HaveAnswer().validate(device.post("/have", {"ids": ["a"]}).json())
    assert not wire.ProblemBody().validate(device.get("/blobs/u-nothing").json())
