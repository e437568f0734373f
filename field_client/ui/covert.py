"""Undercover capture: a plain page, reachable from the lock screen, that seals what it is given at once.

    the camera     pieces of a few seconds, posted as they come; each is sealed and on the disk before it is answered
    a file         in pieces of 8 MiB, so that no part of it is ever in a temporary file
    afterwards     counts, and nothing else: this tablet cannot open what it sealed

A piece is sent again until it is answered; one that comes twice is sealed once. Only a tablet of an undercover team has
these pages at all: on any other they do not exist.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from flask import Response, jsonify, request

from field_client.evidence import covert as taking
from field_client.evidence.dropbox import SEGMENT_BYTES, About, DropBox
from field_client.ui import here
from field_client.ui.here import Nav, Screen
from schemas.labels import Label
from sync.core.errors import InvalidField, NotFound, TooLarge

screen = Screen("covert", __name__, nav=Nav(Label("备忘", "Notes"), "document", 15, "covert.counts"), open=True, audience="teams")

_MIME = re.compile(r"[a-z]+/[a-z0-9.+-]{1,60}")
_sealed: dict[str, set[int]] = {}
"""Recording → its pieces that this program sealed or found; a record of what was answered, not of what is in them."""


def _box() -> DropBox:
    """The drop box of the place in use; raises NotFound where the tablet is no undercover team's."""
    seat = here.seat()
    box = DropBox(seat.home, seat.platform.clock)
    if box.key() is None:
        raise NotFound(what=Label("这个页面", "this page"))
    return box


@screen.get("/notes")
def plain() -> str:
    """The plain page. It looks like a sheet for notes, and says nothing of what was captured but how much."""
    box = _box()
    return here.page("covert/plain.html", waiting=_waiting(box), piece=SEGMENT_BYTES)


@screen.get("/notes/count.json")
def count() -> Response:
    return jsonify(_waiting(_box()))


@screen.post("/notes/piece/<recording>/<int:number>")
def piece(recording: str, number: int) -> Response:
    """One piece of a recording or a file as the body; `last=1` ends it. Answered once it is sealed and on the disk."""
    box = _box()
    try:
        recording = str(UUID(recording))
    except ValueError:
        raise InvalidField(field="recording", detail=Label("不是编号", "is no id")) from None
    if (request.content_length or 0) > SEGMENT_BYTES * 2:
        raise TooLarge(limit=SEGMENT_BYTES * 2)
    if recording not in _sealed:
        _sealed[recording] = box.numbers(recording)
    last = request.args.get("last") == "1"
    if number not in _sealed[recording]:
        box.sealer().segment(request.get_data(cache=False), _about(), recording, number, last)
        _sealed[recording].add(number)
    if last:
        _sealed.pop(recording, None)
        seat = here.seat()
        if seat.peek() is not None:
            seat.rounds.again()
    response = jsonify(sealed=number)
    response.status_code = 201
    return response


@screen.post("/notes/file")
def file() -> Response | str:
    """A file where the browser runs no scripts."""
    box = _box()
    given = request.files.get("file")
    if given is None or not given.filename:
        raise InvalidField(field="file", detail=Label("请选择文件", "choose a file"))
    content, recording = given.read(), here.seat().platform.clock.new_id()
    about = About(here.posted("audit"), here.posted("note"), given.filename)
    pieces = range(0, max(1, len(content)), SEGMENT_BYTES)
    for number, start in enumerate(pieces, start=1):
        box.sealer().segment(content[start : start + SEGMENT_BYTES], about, recording, number, number == len(pieces))
    return here.go(".plain")


@screen.get("/notes/counts")
def counts() -> Response | str:
    """What the team sees after unlocking: how much of each recording is at the server, and nothing of what it is."""
    if here.seat().peek() is None:
        return here.go("lock.locked")
    box, tablet = _box(), here.tablet()
    return here.page("covert/counts.html", recordings=list(reversed(taking.counts(tablet))), waiting=_waiting(box),
                     damaged=len(box.damaged()), audits=[(one, tablet.values(one)) for one in tablet.records(taking.AUDITS)])  # fmt: skip


def _about() -> About:
    """What was told of a piece, in a header of its own so that the body is nothing but the piece."""
    mime = request.content_type or ""
    return About(
        audit=unquote(request.headers.get("Note-Audit", ""))[:64],
        note=unquote(request.headers.get("Note-Text", ""))[:2000],
        name=unquote(request.headers.get("Note-Name", ""))[:200],
        mime=mime if _MIME.fullmatch(mime) and mime != "application/octet-stream" else "",
    )


def _waiting(box: DropBox) -> dict[str, Any]:
    found = [entry.capture for entry in box.waiting()]
    return {"recordings": len({one.recording for one in found}), "pieces": len(found), "bytes": sum(one.size for one in found)}
