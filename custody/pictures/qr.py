"""QR codes in a picture. Runs inside the worker only, like every decoder."""

from __future__ import annotations

import zxingcpp
from PIL import Image

from custody.pictures.orders import MOST_CHARACTERS, MOST_CODES


def texts(picture: Image.Image) -> tuple[str, ...]:
    """What the QR codes in an upright picture say, those that are read whole; at most `MOST_CODES`."""
    grey = picture.convert("L")
    rows = memoryview(grey.tobytes()).cast("B", (grey.height, grey.width))
    found = zxingcpp.read_barcodes(rows, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    read = (one.text for one in found if one.valid and len(one.text) <= MOST_CHARACTERS)
    return tuple(dict.fromkeys(read))[:MOST_CODES]
