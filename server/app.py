"""The server as a WSGI application: the verbs for tablets, the console, and one way of saying what went wrong."""

from __future__ import annotations

import errno
import logging
import secrets

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.exceptions import NotFound as NoSuchAddress

from schemas.labels import Label
from schemas.registry import Registry
from server import console
from server.api import evidence, exchange, leases, log, meeting
from server.api.description import document
from server.api.door import EXTENSION, language
from server.config import Settings
from server.console import frame, problems
from server.errors import MEDIA_TYPE, render, status_of
from server.instance import open_instance, wall_ms
from server.storage.database import Clock
from sync.core.errors import DiskFull, Malformed, NotFound, Overloaded, Problem, Refused, TooLarge, Unavailable

logger = logging.getLogger("patrolbook.server")

BLUEPRINTS = (meeting.blueprint, exchange.blueprint, evidence.blueprint, log.blueprint, leases.blueprint)
BUSY_S = 5


def create_app(settings: Settings, registry: Registry | None = None, now: Clock = wall_ms) -> Flask:
    """The application over the data in `settings.data`. Raises NotReady where no server was set up there.

    Opens its database on the first request, so it may be made before a process forks.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.body_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]
    house = open_instance(settings, registry, now)
    app.extensions[EXTENSION] = house
    api = document(app)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    console.register(app, house)
    app.register_error_handler(Problem, _problem)
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(OSError, _disk_problem)
    app.register_error_handler(Exception, _surprise)

    @app.after_request
    def stamp(response: Response) -> Response:
        response.headers["Patrolbook-Epoch"] = house.epoch
        response.headers["Patrolbook-Time"] = str(house.now())
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return app


def _problem(problem: Problem) -> Response:
    response = _written(problem, status_of(problem))
    if isinstance(problem, Unavailable):
        response.headers["Retry-After"] = str(int(problem.retry_after or BUSY_S))
    return response


def _http_problem(error: HTTPException) -> Response:
    """What Flask itself finds wrong, in the same words as everything else."""
    status = error.code or 500
    if isinstance(error, NoSuchAddress):
        return _written(NotFound(what=request.path[:200]), status)
    if isinstance(error, RequestEntityTooLarge):
        return _written(TooLarge(limit=request.max_content_length or 0), status)
    if isinstance(error, MethodNotAllowed):
        detail = Label(f"{request.path} 不接受 {request.method}", f"{request.path} does not take {request.method}")
        response = _written(Refused(detail=detail), status)
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return response
    if status < 500:
        return _written(Malformed(detail=error.name), status)
    return _written(Overloaded(detail=error.name) if status == 503 else Problem(), status)


def _disk_problem(error: OSError) -> Response:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _problem(DiskFull(where="server"))
    return _surprise(error)


def _surprise(error: Exception) -> Response:
    """A mistake of ours: a number for the person, the traceback under that number for whoever looks it up."""
    number = secrets.token_hex(4)
    logger.error("problem %s: %s %s", number, request.method, request.path, exc_info=error)
    return _written(Problem(number=number), 500)


def _written(problem: Problem, status: int) -> Response:
    if frame.ours():
        return problems.page(problem, status)
    return Response(render(problem, language(), status), status, content_type=MEDIA_TYPE)
