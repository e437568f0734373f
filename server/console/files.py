"""Files of records at a desk: pictures of them at once, the original on demand, with its purpose where it is restricted.

Every rule about who may open what is in `server.evidence.openings`: what is restricted leaves an act in the log before a byte leaves.
"""

from __future__ import annotations

from flask import Response, request

from server.access.rights import Scope
from server.api.evidence import sent, span_of
from server.console.frame import Answer, Desk, answered, instance, page, seat
from server.evidence import imaging, openings
from server.reading import records
from sync.core.errors import InvalidField, NotFound

desk = Desk("files", __name__)


@desk.get("/record/<record>/file/<sha256>", may="records.open")
def give(record: str, sha256: str) -> Answer:
    """The bytes as they are, or a picture of them of some `width`."""
    width = request.args.get("width", "")
    if width and width not in {str(one) for one in imaging.WIDTHS}:
        raise InvalidField(field="width", detail=f"is one of {', '.join(map(str, imaging.WIDTHS))}")
    return _opened(record, sha256, int(width) if width else None, request.args.get("purpose", ""))


@desk.get("/record/<record>/original/<sha256>", may="records.open")
def ask(record: str, sha256: str) -> Answer:
    """The original; where it is restricted, the page that asks what for."""
    try:
        return _opened(record, sha256, None, "")
    except InvalidField:
        return page("records/purpose.html", record=record, sha256=sha256, purpose="", wrong=None)


@desk.post("/record/<record>/original/<sha256>", may="records.open")
def opened(record: str, sha256: str) -> Answer:
    """The original of a restricted file, for the purpose that was said."""
    purpose = request.form.get("purpose", "")
    try:
        return _opened(record, sha256, None, purpose)
    except InvalidField as wrong:
        return answered("records/purpose.html", 422, record=record, sha256=sha256, purpose=purpose, wrong=wrong)


def _opened(record: str, sha256: str, width: int | None, purpose: str) -> Response:
    house, who = instance(), seat()
    with house.database.read() as conn:
        seen = records.one(house, conn, who.sight, record)
    if not records.names_file(seen, sha256):
        raise NotFound(what=sha256)
    device = openings.at_desk(house, who.person)
    scope = Scope(["ref:", *who.sight.buckets()], [])
    found = openings.find(house, device, scope, sha256)
    path = house.files.path(sha256)
    if width is not None:
        path = imaging.thumbnail(path, house.settings.derived, sha256, width)
    span = None if width else span_of(found.blob.size)
    part = str(width) if width else openings.ORIGINAL
    leaf = openings.enter(house, device, found, part=part, span=span, purpose=purpose, alone=True)
    return sent(path, "image/jpeg" if width else found.blob.mime, f"{sha256}-{width}" if width else sha256, leaf)
