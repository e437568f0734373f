"""A copy in which parts of a picture are destroyed. Runs inside the worker only.

Every box is filled with black, and so is a margin around it: a block of a JPEG or a film that reaches into the box holds
some of it outside. Then the pixels are encoded anew, and nothing else is: no EXIF, no comment, no small picture inside, no
layer, no sound. Blurring, coarse pixels or making it smaller would leave something to work from; black leaves nothing.
"""

from __future__ import annotations

import io
from typing import BinaryIO

import PIL
from PIL import Image, ImageDraw

from custody.media import FILMS, PDF, PICTURES
from custody.pictures.draw import Unshowable, photo
from custody.pictures.orders import MARGIN_PX, REDACTED, Made, Redaction

PAGE_PX = 2400
"""The long side of a page of a PDF."""
QUALITY = 92
_WHOLE = 1 << 20
"""Longer than any picture that is decoded."""


def redacted(stream: BinaryIO, mime: str, wish: Redaction) -> Made:
    """The copy. Raises Unshowable: it cannot be decoded, or a box lies outside of the picture."""
    if mime in FILMS and wish.at_ms is None:
        from custody.pictures import films

        content, size = films.covered(stream, lambda picture: covered(picture, wish.boxes))
        return Made({REDACTED: content}, *size, tool=_tool())
    picture = covered(_picture(stream, mime, wish), wish.boxes)
    return Made({REDACTED: _encoded(picture, "PNG" if mime in ("image/png", PDF) else "JPEG")}, *picture.size, tool=_tool())


def covered(picture: Image.Image, boxes: tuple[tuple[int, int, int, int], ...]) -> Image.Image:
    """The picture with every box, and the margin around it, in black. Raises Unshowable for a box that is none."""
    fresh = Image.new("RGB", picture.size)  # nothing but pixels comes along
    fresh.paste(picture)
    pen = ImageDraw.Draw(fresh)
    for x, y, width, height in boxes:
        if not (0 <= x < fresh.width and 0 <= y < fresh.height and width > 0 and height > 0):
            raise Unshowable(
                f"方框 {x},{y},{width},{height} 不在画面内（{fresh.width}×{fresh.height}）",
                f"the box {x},{y},{width},{height} is not inside the picture ({fresh.width}×{fresh.height})",
            )
        last = x + width - 1 + MARGIN_PX, y + height - 1 + MARGIN_PX
        pen.rectangle((x - MARGIN_PX, y - MARGIN_PX, *last), fill="black")
    return fresh


def _picture(stream: BinaryIO, mime: str, wish: Redaction) -> Image.Image:
    if mime in PICTURES:
        return photo(stream, PICTURES[mime], _WHOLE)[0]
    if mime in FILMS:
        from custody.pictures import films

        return films.frame_at(stream, wish.at_ms or 0)
    if mime == PDF:
        from custody.pictures import pages

        return pages.one(stream, PAGE_PX, wish.page)[0]
    raise Unshowable("不是可遮挡的图片、视频或 PDF", "it is no picture, film or PDF in which something could be covered")


def _encoded(picture: Image.Image, form: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **({"quality": QUALITY} if form == "JPEG" else {}))
    return out.getvalue()


def _tool() -> str:
    return f"Pillow {PIL.__version__}"
