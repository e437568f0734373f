"""The screens as one WSGI application: for each request a tablet of its own, and one way of saying what went wrong."""

from __future__ import annotations

import errno
import hashlib
import io
import logging
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Request, Response, current_app, jsonify, redirect, request, url_for
from werkzeug.exceptions import HTTPException

import screens as shared
from field_client.ui import (
    anchors,
    camera,
    couriers,
    covert,
    device,
    hazards,
    here,
    inspection,
    institutions,
    lock,
    notes,
    photos,
    setup,
    signing,
    sync,
    tasks,
    today,
)
from field_client.ui.guard import Guard
from field_client.ui.here import EXTENSION, Screen
from field_client.ui.seats import Seats
from schemas.labels import Label
from sync.core.errors import (
    DeviceRevoked,
    DiskFull,
    KeysDestroyed,
    Locked,
    Malformed,
    NotEnrolled,
    NotFound,
    Problem,
    TooLarge,
    Unavailable,
)

logger = logging.getLogger("patrolbook.ui")

SCREENS: tuple[Screen, ...] = (
    lock.screen,
    setup.screen,
    today.screen,
    institutions.screen,
    inspection.screen,
    signing.screen,
    anchors.screen,
    camera.screen,
    hazards.screen,
    notes.screen,
    tasks.screen,
    photos.screen,
    covert.screen,
    sync.screen,
    couriers.screen,
    device.screen,
)
"""Every screen; the navigation follows their `nav`."""

OPEN_ENDPOINTS = frozenset({"start", "static", "look"})
PLACES = frozenset({"lock.sit", "lock.look", "lock.forgotten", "lock.ask", "lock.finish"})
HANDING_IN = PLACES | {"lock.locked", "lock.unlock", "lock.lock", "sync.state", "sync.now", "couriers.choose", "couriers.export"}
"""What a revoked place still answers: once its keys are gone, and while it hands in."""
STATUSES: tuple[tuple[type[Problem], int], ...] = (
    (NotFound, 404),
    (Locked, 401),
    (NotEnrolled, 401),
    (TooLarge, 413),
    (DiskFull, 507),
    (Malformed, 400),
    (Unavailable, 503),
    (Problem, 409),
)
LARGEST_BODY = 256 << 20


class _Request(Request):
    """A posted file stays in memory: what a camera gave is on no disk before it is encrypted."""

    max_form_memory_size = LARGEST_BODY
    max_form_parts = 2000

    def _get_file_stream(self, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO()


def create_ui(seats: Seats, guard: Guard) -> Flask:
    """The screens over the places of one tablet, behind the door `guard`."""
    app = Flask("field_client.ui", static_folder="static", template_folder="templates")
    app.request_class = _Request
    app.config.update(
        MAX_CONTENT_LENGTH=LARGEST_BODY,
        SECRET_KEY=secrets.token_bytes(32),  # signs notices to the next page, and nothing that must outlive the program
        SESSION_COOKIE_NAME=f"{guard.cookie}-notices",
        SESSION_COOKIE_SAMESITE="Strict",
        SEND_FILE_MAX_AGE_DEFAULT=31_536_000,
    )
    app.extensions[EXTENSION] = seats
    guard.protect(app)
    app.before_request(_locked)
    app.after_request(_written)
    app.teardown_request(here.close)
    shared.dress(app, here.language)
    for screen in SCREENS:
        app.register_blueprint(screen)
    app.register_error_handler(Problem, _problem)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(OSError, _disk)
    app.register_error_handler(Exception, _surprise)
    _give_words(app)
    return app


def _give_words(app: Flask) -> None:
    """What the templates of the tablet know besides the shared words."""
    folder = Path(app.root_path) / "static"
    versions = {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:12] for file in folder.iterdir()}
    app.jinja_env.globals.update(
        own=lambda name: url_for("static", filename=name, v=versions[name]),
        new_id=lambda: here.seat().platform.clock.new_id(),
        may_write=lambda kind: here.tablet().may_write(kind),
    )
    app.context_processor(_around)


def _around() -> dict[str, Any]:
    """What every page shows around itself: whose place it is, how it looks, and what waits to be sent."""
    seat = here.seat()
    chosen = seat.preferences
    held = seat.peek()
    writes = next((one.writes for one in SCREENS if one.name == request.blueprint), "")
    named = [one for one in SCREENS if one.nav is not None and one.names(held is not None and held.covert)]
    return {
        "navigation": sorted(named, key=lambda one: one.nav.order if one.nav else 0),
        "seat": seat,
        "preferences": chosen,
        "look_classes": chosen.classes,
        "unlocked": held is not None,
        "lease": held.vault.leases.left() if held is not None else None,
        "rounds": seat.rounds,
        "screen_name": request.blueprint or "",
        "reading_only": held is not None and bool(writes) and not here.tablet().may_write(writes),
        "posted": (_came_from() or "/") if request.method == "POST" else "",
    }


def _locked() -> Response | None:
    """Ask for the PIN, or for the set-up, before any page that needs the keys."""
    if request.endpoint is None or request.endpoint in OPEN_ENDPOINTS:
        return None
    known = next((one for one in SCREENS if one.name == request.blueprint), None)
    if (over := _revoked()) is not None:
        return over
    if known is None or known.open:
        return None
    if here.seat().peek() is not None:
        if known.writes and request.method == "POST":
            here.tablet().require_maker(known.writes)
        return None
    if here.wants_json():
        return _answer(Locked())
    after = request.full_path.rstrip("?") if request.method == "GET" else _came_from()
    return redirect(url_for("lock.locked", after=after or None), 303)  # type: ignore[return-value]


def _came_from() -> str:
    """The page of ours from which something was sent: what was typed is still there, to be sent once more after the PIN."""
    said = urlsplit(request.referrer or "")
    if said.netloc != request.host:
        return ""
    try:
        current_app.url_map.bind(request.host).match(said.path, method="GET")
    except HTTPException:  # what a post answered has no address of its own
        return ""
    return f"{said.path}?{said.query}".rstrip("?")


def _revoked() -> Response | None:
    """On a revoked place: the one page that says so. It is unlocked only to hand in what it has; capture under cover goes on
    for as long as there are keys."""
    seat = here.seat()
    known = seat.revoked
    if known is None:
        return None
    if known.stage == "handing-in" and (request.endpoint in HANDING_IN or request.blueprint == "covert"):
        return None
    if known.stage != "handing-in" and request.endpoint in PLACES:
        return None
    if here.wants_json():
        return _answer(DeviceRevoked() if known.stage == "handing-in" else KeysDestroyed())
    response = Response(here.page("revoked.html", known=known, people=len(here.seats().people())))
    response.status_code = 403
    return response


def _written(response: Response) -> Response:
    """What was just written goes with a round at once; nobody polls for it."""
    if request.method == "POST":
        here.seat().rounds.written()
    return response


# ---- what goes wrong ---------------------------------------------------------------------------------------


def _problem(problem: Problem) -> Response:
    if isinstance(problem, Locked) and not here.wants_json():
        return redirect(url_for("lock.locked"), 303)  # type: ignore[return-value]
    return _answer(problem)


def _answer(problem: Problem) -> Response:
    status = next(code for kind, code in STATUSES if isinstance(problem, kind))
    language = here.language()
    if here.wants_json():
        detail = problem.facts.get("detail")
        told = {"code": problem.code, "message": problem.text(language), "hint": problem.next_step(language),
                "detail": detail.text(language) if isinstance(detail, Label) else ""}  # fmt: skip
        response = jsonify(told)
    else:
        facts = {"said": problem.text(language), "hint": problem.next_step(language), "number": problem.facts.get("number", "")}
        response = Response(here.page("problem.html", **facts))
    response.status_code = status
    return response


def _http(error: HTTPException) -> Response:
    """What Flask itself finds wrong, in the same words as everything else."""
    if error.code in (301, 302, 303, 307, 308):
        return error.get_response()  # type: ignore[return-value]
    if error.code == 404:
        return _answer(NotFound(what=Label("这个页面", "this page")))
    if error.code == 413:
        return _answer(TooLarge(limit=LARGEST_BODY))
    response = _answer(Malformed(detail=error.name))
    response.status_code = error.code or 500
    return response


def _disk(error: OSError) -> Response:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _answer(DiskFull(where=error.filename or Label("平板", "the tablet")))
    return _surprise(error)


def _surprise(error: Exception) -> Response:
    """A mistake of ours: a number for the person, the traceback under that number for whoever looks it up."""
    number = secrets.token_hex(4)
    logger.error("problem %s: %s %s", number, request.method, request.path, exc_info=error)
    response = _answer(Problem(number=number))
    response.status_code = 500
    return response


