"""QR codes on the screens: drawn, and read in a photo that a form posts, or in stills of the camera that `ui.js` sends until one fits.

A page that scans includes `ui/scan.html`. Its address answers a script with the fields of the form that is then sent, and
a plain form with the page that follows.
"""

from __future__ import annotations

import io

import segno
from flask import request
from markupsafe import Markup

from field_client.ui import here
from field_client.work.scanning import codes_in
from schemas.labels import Label
from sync.core.errors import Refused


def posted(name: str = "picture") -> tuple[str, ...]:
    """What the QR codes in the posted picture say; empty where none is seen.

    :raises Refused: no picture was posted, or this device reads no codes; BrokenFile: it is no picture
    """
    given = request.files.get(name)
    content = given.read() if given is not None else b""
    if not content:
        raise Refused(detail=Label("请先拍摄或选择图片", "take or choose a picture first"))
    return codes_in(here.seat().platform.pictures, io.BytesIO(content))


def drawn(text: str, error: str = "m") -> Markup:
    """A QR code as a drawing that fills the width of its place; `error`: how much of it may be dirty, `l` to `h`."""
    return Markup(segno.make(text, error=error, encoding=None if text.isascii() else "utf-8").svg_inline(omitsize=True, border=3))
