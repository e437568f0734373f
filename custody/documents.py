"""文书: what is left with the party, as PDF: the copy of an inspection, the order to put something right.

Whoever has the facts says what goes on the paper (`Document`); here it is laid out, as the custody report is. Equal
documents give equal bytes, so a copy that was lost can be made again and compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, Spacer, Table

from custody import paper
from custody.paper import WIDTH, facts, p, qr

ACROSS = 2
"""Pictures in a row."""
QUESTION = 16
"""Characters from which a name is a question, which needs more room than its answer."""
LONG, LINES = 600, 20
"""Characters and lines of a text that are set in one row, which is never torn."""
_GAP = 4 * mm
_CODE = 36 * mm
DENSE = 400
"""Bytes from which a code has so many squares that it is drawn larger."""


class Part(NamedTuple):
    """Lines under one heading, which may be empty: (what it is, what is said)."""

    heading: str
    lines: tuple[tuple[str, str], ...]


class Document(NamedTuple):
    """What is printed.

    title, number  as they stand at its head; the number also at the foot of every page
    parts          in their order
    pictures       JPEGs with the words below them; what cannot be printed is told by its words alone
    code           the text of the QR code
    spoken         a code to be read aloud, beside the QR code
    beside         sentences beside the QR code
    blanks         lines to be filled in with a pen
    """

    title: str
    number: str
    parts: tuple[Part, ...]
    code: str
    pictures: tuple[tuple[bytes, str], ...] = ()
    spoken: str = ""
    beside: tuple[str, ...] = ()
    blanks: tuple[str, ...] = ()


def render(document: Document) -> bytes:
    """The document as PDF bytes."""
    story: list[Flowable] = [p(document.title, "document")]
    if document.number:
        story.append(p(f"编号 {document.number}", "right"))
    for part in document.parts:
        wide = 92 * mm if any(len(name) > QUESTION for name, _ in part.lines) else 34 * mm
        story.append(facts([row for line in part.lines for row in _rows(*line)], markup=True, name=wide, heading=part.heading))
    story += [Spacer(1, _GAP), *_pictures(document.pictures), _end(document)]
    foot = f"{document.title}　{document.number}".strip()
    return paper.build(story, paper.Sheet(foot, document.title, "", foot))


def _rows(name: str, text: str) -> Iterator[tuple[str, str]]:
    """A line as rows that fit on a page, its line breaks as they were typed."""
    row: list[str] = []
    for line in (one[at : at + LONG] for one in text.strip().splitlines() or [""] for at in range(0, max(len(one), 1), LONG)):
        if row and (len(row) >= LINES or sum(map(len, row)) + len(line) > LONG):
            yield name, "<br/>".join(row)
            name, row = "", []
        row.append(paper.safe(line))
    yield name, "<br/>".join(row)


def _pictures(pictures: Iterable[tuple[bytes, str]]) -> list[Flowable]:
    wide = (WIDTH - _GAP * (ACROSS - 1)) / ACROSS
    cells = []
    for content, words in pictures:
        drawn = paper.jpeg(content, (wide - 6, 46 * mm))
        cells.append([drawn, p(words, "quiet")] if drawn is not None else [p(f"（{words}：未能印出）", "quiet")])
    rows = [cells[at : at + ACROSS] for at in range(0, len(cells), ACROSS)]
    style = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 3)]
    return [Table([row + [""] * (ACROSS - len(row))], colWidths=[wide] * ACROSS, style=style) for row in rows]


def _end(document: Document) -> Flowable:
    """The code with what is said beside it, and the lines for a pen: never torn apart."""
    side = _CODE if len(document.code.encode()) < DENSE else 1.5 * _CODE
    beside: list[Flowable] = [p(one, "quiet") for one in document.beside]
    if document.spoken:
        beside.insert(1, p(document.spoken, "code"))
    box = Table(
        [[qr(document.code, side), beside]],
        colWidths=[side + 6 * mm, WIDTH - side - 6 * mm],
        style=[("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("BOX", (0, 0), (-1, -1), 0.6, paper.RULE)],
    )
    blanks = [flowable for one in document.blanks for flowable in (Spacer(1, 5 * mm), p(one, "body"))]
    return KeepTogether([box, *blanks])
