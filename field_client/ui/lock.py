"""Locking and unlocking, whose place it is, and how the screens look: all that works without a key.

A wrong PIN costs a growing pause that is told; a lease that ran out asks for a network once; a forgotten PIN goes to the
province and back as a file, as on the command line.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from flask import Response, jsonify, request, send_file

from field_client.config import LANGUAGES, Settings
from field_client.evidence.dropbox import DropBox
from field_client.holding import recovery, revocation
from field_client.platform import locks
from field_client.ui import here, preferences
from field_client.ui.here import Screen
from schemas.labels import Label
from sync.core.errors import InvalidField, KeysDestroyed, LeaseExpired, Problem

screen = Screen("lock", __name__, open=True)

PRACTICE_PIN = "246813"


@screen.get("/lock")
def locked() -> Response | str:
    """The PIN pad, for the place in use."""
    seat = here.seat()
    if not seat.exists:
        return here.go("setup.begin")
    if seat.peek() is not None:
        return here.back_to(request.args.get("after", "/"), "today.today")
    return _pad()


@screen.post("/unlock")
def unlock() -> Response | str:
    seat = here.seat()
    try:
        seat.unlock(request.form.get("pin", ""))
    except KeysDestroyed:
        return here.go("lock.locked")  # where a revoked place says the whole of it
    except Problem as problem:
        if here.wants_json():
            raise
        return _pad(problem)
    if here.wants_json():  # on a page that is not left, for what was taken there is not saved yet
        return jsonify(unlocked=True)
    left = seat.held().vault.leases.left()
    if left is not None and left.short:
        here.warn(
            Label(
                f"解锁租约只剩 {left.left_ms // 3_600_000} 小时，请尽快联网同步一次",
                f"the lease of the keys lasts {left.left_ms // 3_600_000} more hours: find a network soon",
            )
        )
    return here.back_to(request.form.get("after") or "/", "today.today")


@screen.post("/lock")
def lock() -> Response:
    here.seat().lock()
    return here.go("lock.locked")


def _pad(problem: Problem | None = None) -> str:
    seat = here.seat()
    people = [(one, one.preferences.name or _numbered(one.key)) for one in here.seats().people() if one.exists]
    return here.page(
        "lock/pad.html",
        problem=problem,
        wait_s=seat.vault().wait_s() if seat.exists else 0,
        lease_over=isinstance(problem, LeaseExpired),
        people=people,
        after=request.values.get("after", ""),
        practice_pin=PRACTICE_PIN if seat.practice else "",
        covert=DropBox(seat.home, seat.platform.clock).key() is not None,
    )


def _numbered(key: str) -> str:
    return here.say(Label(f"{int(key) + 1 if key.isdecimal() else key} 号", f"No. {int(key) + 1 if key.isdecimal() else key}"))


# ---- whose place -------------------------------------------------------------------------------------------


@screen.post("/sit")
def sit() -> Response:
    """Go to somebody's place; the one that is left is locked."""
    seats = here.seats()
    seats.sit(seats.seat(here.posted("seat")))
    return here.go("lock.locked")


@screen.post("/sit/new")
def sit_new() -> Response:
    """A place for one more inspector."""
    seats = here.seats()
    seats.sit(seats.add())
    return here.go("setup.begin")


# ---- how it looks ------------------------------------------------------------------------------------------


@screen.post("/look")
def look() -> Response:
    """Language, theme and size of the text, from any page and back to it."""
    home = here.seat().home
    if (language := here.posted("language")) in LANGUAGES:
        Settings(home).choose(language)
    if (theme := here.posted("theme")) in preferences.THEMES:
        preferences.choose(home, theme=theme)
    if "large" in request.form:
        preferences.choose(home, large=here.posted("large") == "1")
    return here.back_to(here.posted("back") or "/", "today.today")


# ---- a forgotten PIN ---------------------------------------------------------------------------------------


@screen.get("/forgotten")
def forgotten() -> str:
    home = here.seat().home
    return here.page("lock/forgotten.html", slot=recovery.held(home), asked=(home / recovery.ASKED).exists(), code="", problem=None)


@screen.post("/forgotten/ask")
def ask() -> Response:
    """The request as a file to take to the province; its code is shown on the page that follows."""
    seat = here.seat()
    with tempfile.TemporaryDirectory(prefix="patrolbook-") as folder:
        file = Path(folder) / "request.ask"
        request_made = recovery.ask(seat.home, file)
        content = file.read_bytes()
    from io import BytesIO

    response = send_file(BytesIO(content), "application/octet-stream", as_attachment=True, download_name=f"{request_made.code}.ask")
    response.headers["Cache-Control"] = "no-store"
    return response


@screen.post("/forgotten/finish")
def finish() -> Response | str:
    """The province's answer and a new PIN."""
    seat = here.seat()
    given = request.files.get("answer")
    try:
        new = _twice()
        if given is None or not given.filename:
            raise InvalidField(field="answer", detail=Label("请选择答复文件", "choose the file with the answer"))
        with tempfile.TemporaryDirectory(prefix="patrolbook-") as folder, locks.alone(seat.home / "recovery.lock"):
            file = Path(folder) / "answer"
            file.write_bytes(given.read())
            recovery.finish(seat.home, seat.vault(), file, lambda: new)
            revocation.recovered(seat.home, seat.platform.clock.wall_ms())
        seat.unlock(new)
    except Problem as problem:
        home = seat.home
        return here.page("lock/forgotten.html", slot=recovery.held(home), asked=(home / recovery.ASKED).exists(), code="", problem=problem)
    return here.done(Label("已恢复，新 PIN 生效；请联网同步一次", "Recovered with a new PIN; synchronise once"), "today.today")


def _twice() -> str:
    """A new PIN that was typed twice. Raises InvalidField where the two differ."""
    first, second = request.form.get("pin", ""), request.form.get("again", "")
    if first != second:
        raise InvalidField(field="PIN", detail=Label("两次输入不一样", "the two are not the same"))
    return first
