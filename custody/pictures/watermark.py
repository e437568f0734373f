"""The text on a derivative: when, where, at whom, by whom, and the code under which the original is looked up.

    white on a dark veil, outlined where it is large: legible on snow and at night
    letters as large as the picture allows, smaller where there is much to say, wrapped at the veil's edge
    never more than `MOST_SHARE` of the picture is covered: what does not fit at a legible size goes on a strip below it

Inside the worker only.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from custody import fonts
from custody.pictures.orders import Mark

MOST_SHARE = 0.25
"""Of the picture's area."""
LARGEST, SMALLEST = 1 / 30, 1 / 60
"""Height of the letters as a share of the picture's mean side, …"""
LEGIBLE_PX = 13
"""… and never fewer pixels than this."""
WIDEST = 0.7
"""Share of the width that a line takes before it is wrapped."""
MOST_LINES = 4
"""Of one entry: a name that is longer is cut, and says so."""
VEIL = (0, 0, 0, 168)
LEADING = 1.35
STRIP_PX = 240
"""The strip is at least so wide: under a narrow picture white fills the rest."""
CUT = "…"

_OPENERS = "（《【“‘([{<"
_CLOSERS = "，。、；：？！）》】”’)]}>%,.;:?!°℃"


class _Block(NamedTuple):
    """Lines set in one size, with their measure."""

    lines: list[str]
    font: ImageFont.FreeTypeFont
    width: int
    height: int


def put(picture: Image.Image, mark: Mark) -> Image.Image:
    """A copy of an RGB picture that carries the mark."""
    side = (picture.width * picture.height) ** 0.5
    largest, smallest = max(LEGIBLE_PX, round(side * LARGEST)), max(LEGIBLE_PX, round(side * SMALLEST))
    for size in range(largest, smallest - 1, -1):
        block = _set(mark, size, round(picture.width * WIDEST))
        fits = block.width <= picture.width and block.height <= picture.height
        if fits and block.width * block.height <= MOST_SHARE * picture.width * picture.height:
            return _over(picture, block)
    return _below(picture, mark, smallest)


def _over(picture: Image.Image, block: _Block) -> Image.Image:
    at = 0, picture.height - block.height
    veil = Image.new("RGBA", (block.width, block.height), VEIL)
    marked = picture.copy()
    marked.paste(veil, at, veil)
    _write(marked, block, at)
    return marked


def _below(picture: Image.Image, mark: Mark, size: int) -> Image.Image:
    width = max(picture.width, STRIP_PX)
    block = _set(mark, size, width)
    marked = Image.new("RGB", (max(width, block.width), picture.height + block.height), "white")
    marked.paste(picture, (0, 0))
    marked.paste("black", (0, picture.height, marked.width, marked.height))
    _write(marked, block, (0, picture.height))
    return marked


def _write(picture: Image.Image, block: _Block, at: tuple[int, int]) -> None:
    pen = ImageDraw.Draw(picture)
    size = block.font.size
    x, y = at[0] + size * 0.6, at[1] + size * 0.4
    for line in block.lines:
        pen.text((x, y), line, font=block.font, fill="white", stroke_width=round(size / 40), stroke_fill="black")
        y += size * LEADING


def _set(mark: Mark, size: int, widest: int) -> _Block:
    font = _font(size)
    room = max(size, round(widest - size * 1.2))
    lines = [line for what, said in mark.lines for line in _wrapped(f"{what} {said}".strip(), font, room)]
    lines += [*_wrapped(f"核验码 {mark.code}", font, room)] if mark.code else []
    lines += [*_wrapped(mark.footer, font, room)] if mark.footer else []
    longest = max((font.getlength(line) for line in lines), default=0.0)
    return _Block(lines, font, round(longest + size * 1.2), round(len(lines) * size * LEADING + size * 0.7))


def _wrapped(text: str, font: ImageFont.FreeTypeFont, room: int) -> Iterator[str]:
    """The text in lines that fit, at most `MOST_LINES`; words stay whole, marks stay with what they belong to."""
    lines, line = [], ""
    for piece in _pieces(fonts.drawable(" ".join(text.split()))):
        while piece:
            if font.getlength(line + piece.rstrip()) <= room:
                line, piece = line + piece, ""
            elif line:
                lines.append(line.rstrip())
                line, piece = "", piece.lstrip()
            else:  # one piece that is longer than a line
                fit = next((n for n in range(len(piece), 1, -1) if font.getlength(piece[:n]) <= room), 1)
                lines.append(piece[:fit])
                piece = piece[fit:]
    lines.append(line.rstrip())
    kept = [one for one in lines if one]
    if len(kept) > MOST_LINES:
        kept = [*kept[: MOST_LINES - 1], kept[MOST_LINES - 1][:-1] + CUT]
    return iter(kept)


def _pieces(text: str) -> Iterator[str]:
    """Where a line may be broken: after a blank and between Chinese characters, but not before 。 or after （."""
    piece = ""
    for sign, following in zip(text, text[1:] + " ", strict=True):
        piece += sign
        wide = ord(sign) > 0x2E7F or ord(following) > 0x2E7F
        if sign == " " or (wide and following not in _CLOSERS and sign not in _OPENERS):
            yield piece
            piece = ""
    if piece:
        yield piece


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(fonts.PATH), size, layout_engine=ImageFont.Layout.BASIC)
