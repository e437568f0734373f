"""互扫: two officers' tablets note where each other's chain stands, at the start and at the end of an inspection.

What a colleague's tablet holds of this one's chain cannot be rolled back here, and the other way round. No network is needed.
"""

from __future__ import annotations

from typing import cast

from flask import Response, jsonify

from field_client.ui import here, scanning
from field_client.ui.here import Screen
from field_client.ui.inspection import Visit
from field_client.ui.told import told
from field_client.work import anchoring
from field_client.work.anchoring import Stage
from schemas.kinds.anchor import STAGES
from schemas.labels import Label
from sync.core.anchors import PEER
from sync.core.errors import Problem

screen = Screen("anchors", __name__)

SHOWN = 8


@screen.get("/anchor")
@screen.get("/inspections/<record>/anchor")
def between(record: str | None = None) -> str:
    """This tablet's code to be scanned, the colleague's to be scanned by this one, and what was noted so far. A colleague
    whose tablet does not have the inspection yet scans without one."""
    return _page(_visit(record))


def _visit(record: str | None) -> Visit | None:
    return Visit(here.tablet(), record) if record is not None else None


def _page(visit: Visit | None, problem: Problem | None = None) -> str:
    tablet = here.tablet()
    text, wrong = "", problem
    try:
        text = anchoring.show(tablet)
    except Problem as nothing:
        wrong = wrong or nothing
    done = [told(one) for one in anchoring.noted(tablet, visit.record if visit else None)]
    return here.page(
        "anchors/between.html",
        visit=visit,
        qr=scanning.drawn(text, "l") if text else "",
        number=text.split("|")[2] if text else "",
        done=done[-SHOWN:],
        stages=STAGES,
        stage="end" if any(one["stage"] == "start" for one in done) else "start",
        problem=wrong,
    )


@screen.post("/anchor")
@screen.post("/inspections/<record>/anchor")
def note(record: str | None = None) -> Response | tuple[str, int]:
    """Note what was scanned; the form names the record, so it is noted once."""
    visit = _visit(record)
    try:
        return _noted(visit, here.posted("text"))
    except Problem as problem:
        return _page(visit, problem), 409


@screen.post("/anchor/picture")
@screen.post("/inspections/<record>/anchor/picture")
def picture(record: str | None = None) -> Response | tuple[str, int]:
    """The code in a photo of the other screen. A script that sends stills is told what it says, and posts that."""
    visit = _visit(record)
    if here.wants_json():
        return jsonify(text=_peer(scanning.posted()))
    try:
        return _noted(visit, _peer(scanning.posted()))
    except Problem as problem:
        return _page(visit, problem), 409


def _peer(codes: tuple[str, ...]) -> str:
    return anchoring.seen(one for one in codes if one.startswith(f"{PEER}|"))


def _noted(visit: Visit | None, text: str) -> Response:
    chosen = here.posted("stage")
    stage = cast(Stage, chosen) if visit is not None and chosen in STAGES else None
    record = visit.record if visit is not None else None
    anchoring.scan(here.tablet(), text, record, stage, record=here.posted_id("anchor"))
    return here.done(Label("已记下对方平板的链首；请让对方也扫本机", "Noted. Let the other tablet scan this one too"),
                     ".between", record=record)  # fmt: skip
