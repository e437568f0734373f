"""What every template of the console is given, and its own static files."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, redirect, request, send_file, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from schemas.labels import Label
from server.access.rights import ROLES, active
from server.console import browsers, frame, naming, navigation
from server.console.frame import Seat
from server.storage import facts
from sync.core.grade import GRADES

STATIC = Path(__file__).parent / "static"
SEARCH = "console.search.results"
"""The endpoint of the search box; it is drawn once there is such a page."""
YEAR_S = 365 * 86_400


def furnish(app: Flask) -> None:
    """Give the templates their words, and the application the console's files."""
    app.jinja_env.globals.update(
        asset=_asset, authority=_authority, grades=GRADES, said=_said, token=_token, place=naming.place, area_text=naming.area_text
    )
    app.jinja_env.filters.update(
        browser=browsers.called, caption=naming.caption, words=lambda value, schema, path: _worded(naming.value_of(schema, path, value))
    )
    app.context_processor(_values)
    app.add_url_rule("/", "front", _front)
    app.add_url_rule(f"{frame.PREFIX}/static/<path:name>", "console-file", _file)
    app.after_request(frame.seal_door)


def _values() -> dict[str, Any]:
    if not frame.ours():
        return {}
    seat = frame.current_seat()
    if seat is None:
        return {"seat": None, "here": frame.here()}
    return {
        "seat": seat,
        "here": frame.here(),
        "role": ROLES[seat.role],
        "areas": areas_of(seat),
        "navigation": navigation.shown(seat),
        "find_at": url_for(SEARCH) if SEARCH in _endpoints() else "",
    }


def areas_of(seat: Seat) -> list[str]:
    """The division codes where somebody's grants run now; the empty one is everywhere."""
    return sorted({one.area for one in active(seat.grants, frame.instance().now())})


def _worded(label: Label | None) -> str:
    return label.text(frame.language()) if label is not None else ""


def _token() -> Markup:
    return Markup('<input type="hidden" name="{}" value="{}">').format(frame.TOKEN, frame.csrf_token())


def _said(message: Any) -> str:
    """A notice: a Label that has travelled through a cookie."""
    return Label(*message).text(frame.language()) if isinstance(message, (list, tuple)) else str(message)


def _authority() -> str:
    house = frame.instance()
    with house.database.read() as conn:
        return facts.get(conn, facts.NAME)


def _endpoints() -> set[str]:
    from flask import current_app

    return set(current_app.view_functions)


def _front() -> AnyResponse:
    return redirect(f"{frame.PREFIX}/")


@cache
def _versions() -> dict[str, str]:
    files = (file for file in STATIC.rglob("*") if file.is_file())
    return {file.relative_to(STATIC).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()[:12] for file in files}


def _asset(name: str) -> str:
    return url_for("console-file", name=name, v=_versions()[name])


def _file(name: str) -> Response:
    if name not in _versions():
        abort(404)
    lasting = request.args.get("v") == _versions()[name]
    return send_file(STATIC / name, max_age=YEAR_S if lasting else 0)
