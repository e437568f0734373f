"""Tables in and out: what Excel and its like save, and what they may open without harm.

In: CSV as it comes (UTF-8 with or without a mark, GB18030, UTF-16; comma, tab or semicolon) and XLSX. Out: CSV with the
mark without which Excel garbles Chinese, and XLSX. A cell that begins like a formula is written as text with an
apostrophe before it: a name typed on a tablet must not compute anything on a desk.
"""

from __future__ import annotations

import csv
import io
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
FORMULA = ("=", "+", "-", "@", "\t", "\r")

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
            yield line + 1, cells  # where the row begins: a cell may hold line breaks
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


def write_csv(file: Path, rows: Iterable[Sequence[Any]]) -> int:
    """Write rows as CSV for Excel; returns their number. Raises DiskFull."""
    count = 0
    with disk_full_told(file.parent), open(file, "w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out)
        for row in rows:
            writer.writerow([safe(cell) for cell in row])
            count += 1
    return count


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
