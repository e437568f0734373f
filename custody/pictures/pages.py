"""A page of a PDF as a picture. Inside the worker only; pdfium is built without scripts."""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image

from custody.pictures.draw import Unshowable, within_bounds


def first(stream: BinaryIO, longest: int) -> tuple[Image.Image, int]:
    """(first page with `longest` pixels on its long side, number of pages). Raises Unshowable."""
    return one(stream, longest, 1)


def one(stream: BinaryIO, longest: int, number: int) -> tuple[Image.Image, int]:
    """The same of another page, from 1."""
    try:
        import pypdfium2 as pdfium
    except ImportError as error:
        raise Unshowable("本机不能显示 PDF", "this device cannot show PDF") from error
    try:
        document = pdfium.PdfDocument(stream)
        try:
            count = len(document)
            if not count:
                raise Unshowable("没有页面", "it has no page")
            if not 1 <= number <= count:
                raise Unshowable(f"只有 {count} 页", f"it has {count} pages")
            page = document[number - 1]
            width, height = page.get_size()
            if not (width > 0 and height > 0):
                raise Unshowable("页面没有大小", "the page has no size")
            scale = longest / max(width, height)
            within_bounds(round(width * scale), round(height * scale))
            return page.render(scale=scale, may_draw_forms=False).to_pil().convert("RGB"), count
        finally:
            document.close()
    except (pdfium.PdfiumError, OSError, ValueError) as error:
        raise Unshowable("PDF 无法打开", f"the PDF cannot be opened ({error})") from error
