"""PDFs as a test reads them."""

from __future__ import annotations

import pypdfium2

from custody.pictures import qr


def words(pdf: bytes) -> str:
    """The text of a PDF without its white space, which only says where lines end."""
    return "".join("".join(page.get_textpage().get_text_bounded().split()) for page in pypdfium2.PdfDocument(pdf))


def codes(pdf: bytes) -> list[str]:
    """What the QR codes on its pages say, as a telephone reads them."""
    return [text for page in pypdfium2.PdfDocument(pdf) for text in qr.texts(page.render(scale=2).to_pil())]


def pictures(pdf: bytes) -> list[bytes]:
    """The files of the pictures on its pages, as they were put in."""
    kind = pypdfium2.raw.FPDF_PAGEOBJ_IMAGE
    found = [one for page in pypdfium2.PdfDocument(pdf) for one in page.get_objects(filter=[kind])]
    return [bytes(one.get_data(decode_simple=True)) for one in found]
