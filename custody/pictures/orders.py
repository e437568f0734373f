"""What a workshop is asked for and what it delivers. Plain values: they cross a pipe as JSON and bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, NamedTuple, Protocol

from custody.media import FILMS, PDF, PICTURES

MOST_PIXELS = 50_000_000
"""A picture with more is refused before it is decoded: 10 kB of PNG can ask for 400 MB."""

MOST_CODES = 4
MOST_CHARACTERS = 3000
"""Of a QR code: the largest holds 2953 bytes."""

DRAWN = frozenset({*PICTURES, *FILMS, PDF})
"""The media types that a picture can be made of."""

Box = tuple[int, int]
"""At most so wide and so high; a picture keeps its shape and is never enlarged."""


class Mark(NamedTuple):
    """The lines of a watermark from top to bottom, (what it is, what is said) each, both as written; the code last."""

    lines: tuple[tuple[str, str], ...]
    code: str
    footer: str = ""


MARGIN_PX = 24
"""Destroyed around a box: the largest block of a JPEG (16) that reaches into it, and what smoothing carries over the edge."""


class Redaction(NamedTuple):
    """What is to be destroyed in a copy, delivered as `REDACTED`.

    boxes  (x, y, width, height) each, in pixels of the upright picture
    at_ms  of a film: the frame at this time, as a picture; None: the whole film, without its sound
    page   of a PDF, from 1
    """

    boxes: tuple[tuple[int, int, int, int], ...]
    at_ms: int | None = None
    page: int = 1


class Stroke(NamedTuple):
    """Something drawn on a picture to point at what it shows.

    shape   `line` through all its points, `arrow` from the first to the last, `box` between them
    colour  one of `COLOURS`
    points  (x, y) in ten-thousandths of the turned picture's width and height
    """

    shape: str
    colour: str
    points: tuple[tuple[int, int], ...]


SHAPES = ("line", "arrow", "box")
COLOURS = {"red": (214, 40, 40), "yellow": (250, 204, 21), "blue": (29, 99, 220)}
MOST_STROKES = 60
MOST_POINTS = 2000
"""Of one stroke."""
WHOLE = 10_000


class Edit(NamedTuple):
    """What a person does to a copy: quarter turns clockwise, then strokes. Never to the original."""

    turns: int = 0
    strokes: tuple[Stroke, ...] = ()


class Order(NamedTuple):
    """Pictures to make of one file.

    mime   what the file is by its first bytes; nothing else is tried
    sizes  name → box of each JPEG wanted
    mark   the watermark, and `marked` the box of the copy that carries it, delivered as `MARKED`
    looks  whether to describe how the picture looks, for finding it again
    codes  whether to read the QR codes in it
    redaction  a copy in which something is destroyed
    edit   how a copy within the box `marked` is turned and drawn on, delivered as `EDITED`
    """

    mime: str
    sizes: Mapping[str, Box]
    mark: Mark | None = None
    marked: Box = (0, 0)
    looks: bool = False
    codes: bool = False
    redaction: Redaction | None = None
    edit: Edit | None = None


MARKED = "marked"
REDACTED = "redacted"
EDITED = "edited"


class Made(NamedTuple):
    """What was delivered.

    files  name → JPEG; a redacted copy may be a PNG or an MP4
    width, height  of the whole picture as seen
    pages  of a PDF
    looks  name → description in hexadecimal (`custody.pictures.draw.LOOKS`)
    tool   the library that drew, with its version
    codes  what QR codes in it say
    """

    files: Mapping[str, bytes]
    width: int | None = None
    height: int | None = None
    pages: int | None = None
    looks: Mapping[str, str] = {}
    tool: str = ""
    codes: tuple[str, ...] = ()


class Pictures(Protocol):
    """Whoever makes pictures on a device."""

    def make(self, stream: BinaryIO, order: Order, name: str = "") -> Made:
        """Make what was ordered from a seekable stream; `name` is for messages.

        :raises BrokenFile: damaged, not what it claims, too large, or it took too long or too much memory
        """

    def warm(self) -> None:
        """Get ready, so that the next order need not wait; returns at once."""
