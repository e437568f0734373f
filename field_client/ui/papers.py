"""Papers that are handed over: as a PDF for this browser, or written to a USB stick. A page that has one includes
`ui/take_pdf.html` and gives it `sticks`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from flask import Response

from field_client.platform.drives import drives, folder_of
from field_client.platform.files import replace_file
from field_client.ui import here
from schemas.labels import Label
from sync.core.errors import DiskFull, Refused

PDF = "application/pdf"


def sticks() -> list[Path]:
    """Where a paper may be put now."""
    return drives()


def download(content: bytes, title: str, record: str) -> Response:
    """The PDF for the browser to keep."""
    response = Response(content, content_type=PDF)
    name = quote(file_name(title, record))
    response.headers["Content-Disposition"] = f"attachment; filename=patrolbook-{record[-8:]}.pdf; filename*=UTF-8''{name}"
    response.headers["Cache-Control"] = "no-store"
    return response


def to_stick(content: bytes, title: str, record: str) -> Label:
    """Write it into the folder that the form names; what to tell the person.

    :raises Refused: there is no such folder, or it cannot be written to; DiskFull
    """
    file = folder_of(here.posted("folder")) / file_name(title, record)
    try:
        replace_file(file, content)
    except DiskFull:
        raise
    except OSError as error:
        raise Refused(detail=Label(f"不能写入 {file}", f"{file} cannot be written")) from error
    return Label(f"已写入 {file}", f"Written to {file}")


def file_name(title: str, record: str) -> str:
    """What the file is called; the same paper again takes the place of its older copy."""
    return f"{title}-{record[-8:]}.pdf"
