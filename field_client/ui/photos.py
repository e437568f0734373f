"""Pictures of evidence for the pages: from this tablet where they are here, from the server where there is a line.

Nothing of them stays in the browser (`no-store`): what lies on the tablet's disk is encrypted.
"""

from __future__ import annotations

from typing import cast, get_args

from flask import Response, redirect, url_for

from field_client.evidence.looking import Size, picture_of
from field_client.ui import here
from field_client.ui.here import Screen
from sync.core.errors import NotFound, Problem

screen = Screen("photos", __name__)

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
