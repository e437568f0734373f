"""QR codes before this tablet's camera or in a file: one way of reading them, whatever they are for."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from custody.media import HEAD_BYTES, identify
from custody.pictures.orders import Order, Pictures
from schemas.labels import Label
from sync.core.errors import Refused


def codes_in(pictures: Pictures | None, stream: BinaryIO, name: str = "QR") -> tuple[str, ...]:
    """What the QR codes in a picture say, those that can be read whole; empty where none is seen.

    :raises Refused: this device reads none; BrokenFile: it is no picture
    """
    if pictures is None:
        raise Refused(detail=Label("本机不能识别二维码，请输入文字", "this device reads no QR codes: type the text"))
    mime = identify(stream.read(HEAD_BYTES))
    stream.seek(0)
    return pictures.make(stream, Order(mime, {}, codes=True), name).codes


def codes_of(pictures: Pictures | None, file: Path) -> tuple[str, ...]:
    """The same of a file. Raises as `codes_in`, and Refused where it cannot be opened."""
    try:
        with open(file, "rb") as stream:
            return codes_in(pictures, stream, file.name)
    except OSError as error:
        raise Refused(detail=Label(f"打不开文件 {file}", f"the file {file} cannot be opened")) from error
