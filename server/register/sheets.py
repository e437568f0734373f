"""Tables in and out: what Excel and its like save, and what they may open without harm.

In: CSV as it comes (UTF-8 with or without a mark, GB18030, UTF-16; comma, tab or semicolon) and XLSX. Out: CSV with the
mark without which Excel garbles Chinese, and XLSX. A cell that begins like a formula is written as text with an
apostrophe before it: a name typed on a tablet must not compute anything on a desk.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from schemas.labels import Label
from server.storage.files import disk_full_told
from sync.core.errors import BadRoster

LARGEST_FILE = 64 << 20
LARGEST_INFLATED = 1 << 30
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a formula begins with, also as it is typed on a Chinese keyboard."""
LONGEST_NUMBER = 11
"""Digits up to which Excel shows what it reads from CSV; of longer ones it keeps fifteen."""

MOST_ROWS = 1_048_576
LONGEST_CELL = 32_767
PIECE = 64 << 10

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SHEET_NAME = re.compile(r"[\[\]:*?/\\]")
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_BOOK = {
    "[Content_Types].xml": f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPES}.worksheet+xml"/></Types>',
    "_rels/.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1"'
    f' Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
    '<bookViews><workbookView/></bookViews><sheets><sheet name="{title}" sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1"'
    f' Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}
_SHEET_BEGINS = (
    f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
    '<sheetFormatPr defaultRowHeight="15"/><cols><col min="1" max="256" width="18" customWidth="1"/></cols><sheetData>'
).encode()

Line = tuple[int, Sequence[Any]]


# --- In -------------------------------------------------------------------------------------------------------


def rows_of(file: Path) -> Iterator[Line]:
    """(line, cells) of a table. Raises BadRoster where it cannot be read, at the latest when it gets there."""
    try:
        check_workbook(file)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise BadRoster(file=file.name, detail=str(error)) from error
    return _xlsx(file) if zipfile.is_zipfile(file) else _csv(file)


def check_workbook(file: Path) -> None:
    """Refuse what is not there or would not fit in memory, before any reader of spreadsheets sees it. Raises OSError,
    ValueError or BadZipFile with words for a person."""
    if not file.is_file():
        raise FileNotFoundError("没有这个文件 / there is no such file")
    if file.stat().st_size > LARGEST_FILE:
        raise ValueError("文件太大 / it is too large")
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            if sum(one.file_size for one in archive.infolist()) > LARGEST_INFLATED:
                raise ValueError("解压后太大 / it is too large inside")


def text_of(cell: Any) -> str:
    """A cell as a person reads it: Excel keeps 430102003001 as 430102003001.0."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "是" if cell else "否"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, (datetime, date)):
        return cell.strftime("%Y-%m-%d")
    return str(cell).strip().strip("\u200b\ufeff")


def _csv(file: Path) -> Iterator[Line]:
    text = _decoded(file)
    head = text[:4096].split("\n", 1)[0]
    delimiter = max((",", "\t", ";"), key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line = 0
    try:
        for cells in reader:
            yield line + 1, [cell.removesuffix("\t") for cell in cells]  # where the row begins: a cell may hold line breaks
            line = reader.line_num
    except csv.Error as error:
        raise BadRoster(file=file.name, detail=f"{line + 1}: {error}") from error


def _decoded(file: Path) -> str:
    raw = file.read_bytes()
    encodings = ["utf-16"] if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    detail = Label("既不是 UTF-8 也不是 GB18030 文字", "it is text in neither UTF-8 nor GB18030")
    raise BadRoster(file=file.name, detail=detail)


def _xlsx(file: Path) -> Iterator[Line]:
    from openpyxl import load_workbook  # here and below: it takes longer to import than most commands take
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        check_workbook(file)
        book = load_workbook(file, read_only=True, data_only=True)
        try:
            yield from enumerate(book.worksheets[0].iter_rows(values_only=True), start=1)
        finally:
            book.close()
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, IndexError, OSError) as error:
        raise BadRoster(file=file.name, detail=str(error)) from error


# --- Out ------------------------------------------------------------------------------------------------------


def safe(cell: Any) -> Any:
    """A cell that no spreadsheet computes: numbers stay numbers, text that begins like a formula gets an apostrophe."""
    if isinstance(cell, str) and cell.startswith(FORMULA):
        return "'" + cell
    return cell


def _plain(cell: Any) -> Any:
    """The same for CSV, where Excel takes any digits for a number: a code keeps its zeros and its length by a tab behind it."""
    if isinstance(cell, str) and cell.isascii() and cell.isdecimal() and (len(cell) > LONGEST_NUMBER or (len(cell) > 1 and cell[0] == "0")):
        return cell + "\t"
    return safe(cell)


class _Out(io.RawIOBase):
    """What is written comes out again piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._pieces.append(bytes(content))
        return len(content)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def stream_csv(rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Rows as CSV for Excel, as they come."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    yield codecs.BOM_UTF8
    for row in rows:
        writer.writerow([_plain(cell) for cell in row])
        if text.tell() > PIECE:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def stream_xlsx(rows: Iterable[Sequence[Any]], title: str) -> Iterator[bytes]:
    """Rows as a workbook of one sheet, as they come: a download begins at once, and no file of it lies anywhere.

    Text is text (`inlineStr`), which no spreadsheet computes. Rows beyond `MOST_ROWS` are left out: Excel has no more.
    """
    out = _Out()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        for name, content in _BOOK.items():
            archive.writestr(name, content.replace("{title}", _escaped(_SHEET_NAME.sub(" ", title)[:31])))
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(_SHEET_BEGINS)
            pieces: list[str] = []
            for number, row in enumerate(rows):
                if number == MOST_ROWS:
                    break
                pieces.append(f"<row>{''.join(map(_cell, row))}</row>")
                if len(pieces) == 500:
                    sheet.write("".join(pieces).encode())
                    pieces = []
                    yield out.taken()
            sheet.write("".join(pieces).encode() + b"</sheetData></worksheet>")
    yield out.taken()


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "<c/>"
    if type(value) in (int, float):
        return f"<c><v>{value}</v></c>"
    text = _UNPRINTABLE.sub(" ", str(safe(value)))[:LONGEST_CELL]
    return f'<c t="inlineStr"><is><t xml:space="preserve">{_escaped(text)}</t></is></c>'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def write_csv(file: Path, rows: Iterable[Sequence[Any]]) -> int:
    """Write rows as CSV for Excel; returns their number. Raises DiskFull."""
    count = 0
    with disk_full_told(file.parent), open(file, "w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out)
        for row in rows:
            writer.writerow([_plain(cell) for cell in row])
            count += 1
    return count


def csv_text(rows: Iterable[Sequence[Any]]) -> bytes:
    """The same in memory, for a table that is short."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([_plain(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def write_xlsx(file: Path, rows: Iterable[Sequence[Any]], title: str) -> int:
    """Write rows as a workbook of one sheet, row by row; returns their number. Raises DiskFull."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet(title[:31])
    count = 0
    for row in rows:
        sheet.append([safe(cell) for cell in row])
        count += 1
    with disk_full_told(file.parent):
        book.save(file)
    return count
