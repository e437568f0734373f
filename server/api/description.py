"""The OpenAPI description: made from the wire schemas, for every verb, those that speak NDJSON included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from flask import Flask
from flask_smorest import Api, Blueprint
from marshmallow import Schema

from schemas import wire
from server.errors import MEDIA_TYPE, status_of
from sync.core import errors
from sync.core.errors import Problem

BASE = "/api/v1"
NDJSON = "application/x-ndjson"
BINARY = {"type": "string", "format": "binary"}

P = ParamSpec("P")
R = TypeVar("R")

TEXT = """
The interface between tablets and the server.

Every request except /capabilities and /enrol is signed by the device (scheme `device`). Bodies may be zstd or gzip.
Every answer carries `Patrolbook-Epoch` (incarnation of the database) and `Patrolbook-Time` (server milliseconds).
Every error is application/problem+json with a stable `code` and a `hint`, in the language of Accept-Language (zh, en).
"""

DEVICE = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": (
        'Patrolbook device="…", time="<server milliseconds>", nonce="<32 hex digits>", sig="<base64>"; sig is the '
        'device\'s Ed25519 signature over "patrolbook/request/v1\\0" and the lines METHOD, path?query, SHA-256 of the '
        "body as sent in hexadecimal, time, nonce."
    ),
}


class Document(Api):  # type: ignore[misc]  # flask-smorest is not typed
    """flask-smorest for the description alone: answers and problems are written by us."""

    ERROR_SCHEMA = wire.ProblemBody
    DEFAULT_ERROR_RESPONSE_NAME = None  # every status that an answer may have is named

    def _register_error_handlers(self) -> None:
        """`server.app` has the one table of problems."""


def document(app: Flask) -> Document:
    """Serve the description at `/api/v1/openapi.json`."""
    app.config.update(
        API_TITLE="Patrolbook",
        API_VERSION="1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=BASE,
        OPENAPI_JSON_PATH="openapi.json",
    )
    api = Document(app, spec_kwargs={"info": {"description": TEXT}, "servers": [{"url": "/"}]})
    api.spec.components.security_scheme("device", DEVICE)
    return api


def verb(
    blueprint: Blueprint,
    method: str,
    rule: str,
    summary: str,
    *,
    takes: type[Schema] | dict[str, Any] | None = None,
    gives: type[Schema] | dict[str, Any] | None = None,
    status: int = 200,
    problems: Sequence[type[Problem]] = (),
    parameters: Sequence[dict[str, Any]] = (),
    signed: bool = True,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register and describe a verb. `takes` and `gives` are a wire schema (JSON) or a ready `content` of OpenAPI."""
    responses: dict[str, Any] = {str(status): _response(gives, "Done")}
    general: list[type[Problem]] = [errors.Malformed, errors.TooLarge, errors.UnsupportedEncoding, errors.Overloaded]
    for problem in [*problems, *general, *([errors.NotAuthenticated] if signed else [])]:
        _add_problem(responses, problem)
    doc: dict[str, Any] = {"summary": summary, "responses": responses, "parameters": list(parameters)}
    doc["security"] = [{"device": []}] if signed else []
    if takes is not None:
        content = takes if isinstance(takes, dict) else {"application/json": {"schema": takes}}
        doc["requestBody"] = {"required": True, "content": content}

    def register(view: Callable[P, R]) -> Callable[P, R]:
        blueprint.route(rule, methods=[method])(blueprint.doc(**doc)(view))
        return view

    return register


def lines(description: str, *schemas: type[Schema] | dict[str, Any]) -> dict[str, Any]:
    """NDJSON content. The schema is that of one line: OpenAPI 3.1 has no way to say "many of these"."""
    return {NDJSON: {"schema": {"description": f"One line. {description}", "anyOf": list(schemas)}}}


def query(name: str, description: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"in": "query", "name": name, "description": description, "schema": schema, "required": required}


def header(name: str, description: str, *, required: bool = False) -> dict[str, Any]:
    schema = {"type": "string"}
    return {"in": "header", "name": name, "description": description, "schema": schema, "required": required}


def _response(gives: type[Schema] | dict[str, Any] | None, description: str) -> dict[str, Any]:
    if gives is None:
        return {"description": description}
    content = gives if isinstance(gives, dict) else {"application/json": {"schema": gives}}
    return {"description": description, "content": content}


def _add_problem(responses: dict[str, Any], problem: type[Problem]) -> None:
    said = f"`{problem.code}` {problem.message.en}"
    status = str(status_of(problem))
    if status in responses:
        responses[status]["description"] += f"; {said}"
    else:
        responses[status] = {"description": said, "content": {MEDIA_TYPE: {"schema": wire.ProblemBody}}}
