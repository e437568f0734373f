"""Pictures of evidence for the pages: from this tablet where they are here, from the server where there is a line.

Nothing of them stays in the browser (`no-store`): what lies on the tablet's disk is encrypted.
"""

from __future__ import annotations

from contextlib import closing, suppress
from typing import Literal, cast, get_args

from flask import Response, redirect, url_for

from field_client.tablet import Tablet
from field_client.ui import here
from field_client.ui.here import Screen
from sync.core.errors import NotFound, Problem

screen = Screen("photos", __name__)

Size = Literal["thumbnail", "preview"]
WIDTHS: dict[Size, int] = {"thumbnail": 320, "preview": 1600}


@screen.get("/photo/<evidence>/<size>")
def photo(evidence: str, size: str) -> Response:
    """A JPEG of a piece of evidence; a drawing in its place where none can be had now."""
    if size not in get_args(Size):
        raise NotFound(what=size)
    try:
        content = picture_of(here.tablet(), evidence, cast(Size, size))
    except Problem:
        response = redirect(url_for("static", filename="no-picture.png"), 302)
    else:
        response = Response(content, content_type="image/jpeg")
    response.headers["Cache-Control"] = "no-store"
    return cast(Response, response)


def picture_of(tablet: Tablet, evidence: str, size: Size) -> bytes:
    """A small picture of a piece of evidence. Raises NotFound, and Unavailable where it would have to be fetched."""
    values = tablet.values(evidence)
    for name in (size, *(one for one in WIDTHS if one != size)):
        sha256 = values.get(name)
        if isinstance(sha256, str):
            try:
                with closing(tablet.files.open(sha256)) as stream:
                    return stream.read()
            except NotFound:
                continue
    if values.get("role") == "derived" and values.get("mime") == "image/jpeg":
        with suppress(NotFound), closing(tablet.files.open(str(values.get("sha256")))) as stream:
            return stream.read()  # a copy that was made to be looked at
    if here.seat().practice:
        raise NotFound(what=evidence)
    return tablet.fetch(str(values.get("sha256", "")), WIDTHS[size])
