"""Paper: Chinese PDF on A4, the same bytes for the same words. One way of laying out for everything that is printed.

    paper.build([paper.p("…", "h1"), paper.facts([("机构", "…")])], paper.Sheet(title, subject, author, foot))

The font is embedded, so it prints alike everywhere (decision 0019). Nothing in the file tells when it was printed, and nothing is
decoded here: a JPEG is put in as it is.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from reportlab import rl_config
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, LongTable, Paragraph, SimpleDocTemplate, Table, TableStyle

from custody import fonts, media

FONT = "PatrolbookChinese"
HEX = "Courier"
MARGIN = 18 * mm
WIDTH = A4[0] - 2 * MARGIN
FRAME = 6  # points that a page frame adds inside each margin

_INK = colors.HexColor("#1b1f24")
_QUIET = colors.HexColor("#59636e")
RULE = colors.HexColor("#c9d1d9")
SHADE = colors.HexColor("#eef2f6")


class Sheet(NamedTuple):
    """What a reader shows of the file, and the line at the foot of every page."""

    title: str
    subject: str
    author: str
    foot: str


def build(story: list[Flowable], sheet: Sheet) -> bytes:
    """The story as PDF bytes; equal words give equal bytes."""
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=MARGIN - FRAME,
        rightMargin=MARGIN - FRAME,
        topMargin=20 * mm,
        bottomMargin=20 * mm,
        title=sheet.title,
        author=sheet.author,
        subject=sheet.subject,
        lang="zh-CN",
        invariant=1,  # neither the time of printing nor a random id in the file
        pageCompression=1,
    )
    document.build(story, canvasmaker=lambda *args, **kw: _Numbered(sheet.foot, *args, **kw))
    return out.getvalue()


@cache
def _register() -> None:
    rl_config.invariant = 1
    pdfmetrics.registerFont(TTFont(FONT, str(fonts.PATH)))


class _Numbered(Canvas):  # type: ignore[misc]
    """Pages that know how many there are: drawn only once the last one is complete."""

    def __init__(self, foot: str, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._foot = foot
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, page in enumerate(self._pages, start=1):
            self.__dict__.update(page)
            self._frame(number)
            super().showPage()
        super().save()

    def _frame(self, number: int) -> None:
        self.setFont(FONT, 8)
        self.setFillColor(_QUIET)
        self.setStrokeColor(RULE)
        self.line(MARGIN, 15 * mm, A4[0] - MARGIN, 15 * mm)
        self.drawString(MARGIN, 11 * mm, fonts.drawable(self._foot))
        self.drawRightString(A4[0] - MARGIN, 11 * mm, f"第 {number} 页　共 {len(self._pages)} 页")


# --- Pieces ---------------------------------------------------------------------------------------------------------


def table(head: list[list[str]], rows: list[list[Any]], widths: list[float]) -> Flowable:
    """A table whose head is repeated on every page."""
    cells = [[p(text, "head") for text in line] for line in head] + rows
    style = TableStyle(
        [
            ("BACKGROUND", (0, 0), (-1, len(head) - 1), SHADE),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
        ]
    )
    return LongTable(cells, colWidths=widths, repeatRows=len(head), style=style)


def facts(
    rows: Iterable[tuple[str, str]], markup: bool = False, width: float = WIDTH, name: float = 34 * mm, heading: str = ""
) -> Flowable:
    """Names and what they are; a row without a name goes on where the one above it ended. No row may be taller than a page.

    `markup`: the texts are safe and may be marked up; `name`: how wide the names are.
    """
    made, said = marked if markup else p, list(rows)
    cells: list[list[Any]] = [[p(one, "name"), made(text, "cell")] for one, text in said]
    style: list[Any] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        *(("LINEBELOW", (0, first), (-1, last), 0.4, RULE) for first, last in _ends(said, int(bool(heading)))),
        ("LEFTPADDING", (0, 0), (-1, -1), 3),
        ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
    ]
    if heading:  # a row of the table, so that a long one need not begin on a new page to keep it
        cells.insert(0, [p(heading, "h2"), ""])
        style += [("SPAN", (0, 0), (-1, 0)), ("TOPPADDING", (0, 0), (-1, 0), 8), ("LEFTPADDING", (0, 0), (-1, 0), 0), ("NOSPLIT", (0, 0), (-1, 1))]
    return Table(cells, colWidths=[name, width - name], style=TableStyle(style))


def _ends(rows: list[tuple[str, str]], before: int) -> Iterable[tuple[int, int]]:
    """Runs of rows (first, last) with a rule below each: all but those that go on. `before`: rows above them, ruled too."""
    first = 0
    for at in range(1, len(rows)):
        if not rows[at][0]:
            if first < at - 1 + before:
                yield first, at - 2 + before
            first = at + before
    yield first, -1


def qr(text: str, side: float) -> Flowable:
    """A QR code of this size in points."""
    widget = QrCodeWidget(text, barLevel="M")
    left, bottom, right, top = widget.getBounds()
    return Drawing(side, side, widget, transform=[side / (right - left), 0, 0, side / (top - bottom), 0, 0])


def jpeg(content: bytes, box: tuple[float, float]) -> Flowable | None:
    """A JPEG as it is within a box, in points, in its own shape; None where its headers say that it is none."""
    said = media.metadata(io.BytesIO(content), media.identify(content[: media.HEAD_BYTES]))
    if media.identify(content[: media.HEAD_BYTES]) != "image/jpeg" or not said.width or not said.height:
        return None
    shrunk = min(box[0] / said.width, box[1] / said.height)
    return _Jpeg(content, said.width * shrunk, said.height * shrunk)


class _Jpeg(Flowable):  # type: ignore[misc]
    def __init__(self, content: bytes, width: float, height: float) -> None:
        super().__init__()
        self.width, self.height, self._content = width, height, content

    def draw(self) -> None:
        self.canv.drawImage(_Whole(self._content), 0, 0, self.width, self.height)


class _Whole(ImageReader):  # type: ignore[misc]
    """Bytes that go into the file as they are: nobody opens a picture to lay out a page."""

    def __init__(self, content: bytes) -> None:
        self._content, self._dataA = content, None

    def getRGBData(self) -> bytes:
        return self._content  # by which the same picture is known again

    def jpeg_fh(self) -> io.BytesIO:
        return io.BytesIO(self._content)


def hexadecimal(digest: str) -> str:
    """A digest to be compared by eye: groups of eight, two lines where it is long, in a typewriter face."""
    if not all(sign in "0123456789abcdef" for sign in digest.replace(" ", "")):
        return safe(digest)
    plain = digest.replace(" ", "")
    size = 4 if " " in digest else 8
    groups = [plain[at : at + size] for at in range(0, len(plain), size)]
    lines = [" ".join(groups[at : at + 4]) for at in range(0, len(groups), 4)]
    return f'<font name="{HEX}" size="8">{"<br/>".join(lines)}</font>'


def p(text: str, style: str) -> Flowable:
    """A paragraph of plain text."""
    return marked(safe(text), style)


def safe(text: str) -> str:
    """Text inside markup: escaped, and nothing in it may vanish for want of a glyph."""
    return escape(fonts.drawable(text))


def marked(markup: str, style: str) -> Flowable:
    """A paragraph of text that is safe, with marks in it."""
    return Paragraph(markup, _styles()[style])


@cache
def _styles() -> dict[str, ParagraphStyle]:
    _register()
    base: dict[str, Any] = {"fontName": FONT, "textColor": _INK, "wordWrap": "CJK"}
    return {
        "title": ParagraphStyle("title", fontSize=26, leading=36, alignment=TA_CENTER, **base),
        "subtitle": ParagraphStyle(
            "subtitle", fontSize=11, leading=16, alignment=TA_CENTER, **base | {"textColor": _QUIET}
        ),
        "h1": ParagraphStyle("h1", fontSize=15, leading=22, spaceBefore=12, spaceAfter=6, keepWithNext=1, **base),
        "h2": ParagraphStyle("h2", fontSize=11, leading=16, spaceBefore=8, spaceAfter=4, keepWithNext=1, **base),
        "document": ParagraphStyle("document", fontSize=18, leading=26, spaceAfter=2, alignment=TA_CENTER, **base),
        "code": ParagraphStyle("code", fontName=HEX, fontSize=12, leading=18, textColor=_INK, spaceBefore=2, spaceAfter=2),
        "body": ParagraphStyle("body", fontSize=10, leading=16, spaceAfter=3, **base),
        "strong": ParagraphStyle("strong", fontSize=11, leading=17, spaceAfter=3, **base),
        "quiet": ParagraphStyle("quiet", fontSize=9, leading=14, **base | {"textColor": _QUIET}),
        "right": ParagraphStyle("right", fontSize=9, leading=14, spaceAfter=4, alignment=TA_RIGHT, **base | {"textColor": _QUIET}),
        "cell": ParagraphStyle("cell", fontSize=9, leading=13, **base),
        "head": ParagraphStyle("head", fontSize=9, leading=13, **base | {"textColor": _QUIET}),
        "name": ParagraphStyle("name", fontSize=9, leading=13, **base | {"textColor": _QUIET}),
        "hex": ParagraphStyle("hex", fontName=HEX, fontSize=7, leading=10, textColor=_QUIET),
    }
