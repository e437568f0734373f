"""Small pictures of a file. Runs inside the worker only: this is where foreign bytes meet decoders.

One decoding, as small as the file allows, serves all sizes. The formats that may be tried are named, never guessed:
Pillow opens EPS and more where it is not told, and shows a JPEG with a web page behind it as sound.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import BinaryIO

import PIL
from PIL import Image, ImageOps, UnidentifiedImageError

from custody.media import FILMS, PDF, PICTURES
from custody.pictures.orders import EDITED, MARKED, MOST_PIXELS, Box, Edit, Made, Mark, Order
from schemas.labels import Label

Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # Pillow warns above it and raises above twice as many; `_opened` raises at once
warnings.filterwarnings("ignore", module=r"PIL\.")  # damaged EXIF is the file's fault and nothing for the terminal

QUALITY = 85
SMALL_QUALITY = 80
SMALL_PX = 400
CODE_PX = 2400
"""Enough for a code that fills a tenth of a photo; more only takes longer."""
LOOK_PX = 512


def _seen(picture: Image.Image) -> str:
    from custody.likeness import look  # NumPy: only for a picture that is to be found again

    return look(picture).dump().hex()


LOOKS: dict[str, Callable[[Image.Image], str]] = {"seen": _seen}
"""How a picture can be described so that it is found again: name → description of an upright RGB picture."""


class Unshowable(Exception):
    """Why no picture can be made."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.why = Label(zh, en)


def draw(stream: BinaryIO, order: Order) -> Made:
    """Everything that was ordered. Raises Unshowable."""
    if order.redaction is not None:
        from custody.pictures import redact  # only for a person at a desk

        return redact.redacted(stream, order.mime, order.redaction)
    boxes = [*order.sizes.values(), *([order.marked] if order.mark or order.edit else [])]
    longest = (
        max([LOOK_PX if order.looks else 0, CODE_PX if order.codes else 0, *(max(box) for box in boxes)]) or SMALL_PX
    )
    picture, size, pages = _reduced(stream, order.mime, longest)
    files = {}
    largest_first = sorted(order.sizes.items(), key=lambda one: one[1], reverse=True)
    small = picture
    for name, box in largest_first:
        small = _fitted(small, box)
        files[name] = jpeg(small, SMALL_QUALITY if max(small.size) <= SMALL_PX else QUALITY)
    looks = {name: describe(small_enough(picture)) for name, describe in LOOKS.items()} if order.looks else {}
    if order.mark is not None:
        files[MARKED] = _marked(_fitted(picture, order.marked), order.mark)
    if order.edit is not None:
        files[EDITED] = _edited(_fitted(picture, order.marked), order.edit)
    return Made(files, *size, pages, looks, f"Pillow {PIL.__version__}", _codes(picture) if order.codes else ())


def small_enough(picture: Image.Image) -> Image.Image:
    """A picture for describing, by averaging whole pixels: the eye of a fingerprint needs few, and scales once more."""
    return picture.reduce(max(1, max(picture.size) // LOOK_PX))


def jpeg(picture: Image.Image, quality: int = QUALITY) -> bytes:
    """The picture as a JPEG with nothing in it but the picture."""
    picture.info.clear()  # save() would carry a comment, EXIF or a profile over from here
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def within_bounds(width: int, height: int) -> None:
    """Raises Unshowable for more pixels than a picture may have."""
    if width * height > MOST_PIXELS:
        raise Unshowable(
            f"超过 {MOST_PIXELS // 1_000_000} 百万像素，不生成预览",
            f"more than {MOST_PIXELS // 1_000_000} million pixels",
        )


def _reduced(stream: BinaryIO, mime: str, longest: int) -> tuple[Image.Image, Box, int | None]:
    """(upright RGB picture with its longest side at most slightly above `longest`, full size as seen, pages)."""
    if mime in PICTURES:
        picture, size = photo(stream, PICTURES[mime], longest)
        return picture, size, None
    if mime in FILMS:
        from custody.pictures import films

        picture = films.poster(stream)
        return picture, picture.size, None
    if mime == PDF:
        from custody.pictures import pages

        picture, count = pages.first(stream, longest)
        return picture, picture.size, count
    raise Unshowable("不是可显示的图片", "it is no picture that can be shown")


def photo(stream: BinaryIO, form: str, longest: int) -> tuple[Image.Image, Box]:
    """(upright RGB picture, full size as seen). Raises Unshowable."""
    if form == "HEIF":
        _learn_heic()
    try:
        picture = Image.open(stream, formats=[form])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        within_bounds(MOST_PIXELS, 2)
        raise
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise Unshowable("不是完整的图片", f"not a whole picture ({error.__class__.__name__})") from error
    within_bounds(*picture.size)
    whole = picture.size
    scale = max(whole) / longest
    try:
        if scale > 1:
            # A box of the picture's own shape lets the decoder halve; Pillow's thumbnail() alone asks for twice as much.
            picture.draft("RGB", (round(whole[0] / scale), round(whole[1] / scale)))
            picture.thumbnail((longest, longest), Image.Resampling.BILINEAR, reducing_gap=2.0)
        turned = _upright(picture)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise Unshowable("不是完整的图片", f"not a whole picture ({error})") from error
    on_its_side = (turned.width > turned.height) != (picture.width > picture.height)
    return _flat(turned), (whole[1], whole[0]) if on_its_side else whole


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()  # what is truncated raises here, and not in the middle of what follows
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # a damaged EXIF block raises anything; the picture itself is sound
        return picture


def _flat(picture: Image.Image) -> Image.Image:
    """RGB on white: a JPEG has no transparency, and a stamp scanned as PNG must not turn black."""
    if picture.mode == "RGB":
        return picture
    if picture.has_transparency_data:
        layered = picture.convert("RGBA")
        ground = Image.new("RGB", picture.size, "white")
        ground.paste(layered, mask=layered.getchannel("A"))
        return ground
    if picture.mode.startswith("I"):  # 16-bit grey: conversion clips instead of scaling
        picture = picture.point(lambda value: value / 256).convert("L")
    return picture.convert("RGB")


def _fitted(picture: Image.Image, box: Box) -> Image.Image:
    """A copy within the box."""
    fitted = picture.copy()
    little = max(picture.size) < 2 * max(box)  # then the eye sees no difference, and it takes half the time
    fitted.thumbnail(box, Image.Resampling.BILINEAR if little else Image.Resampling.BICUBIC, reducing_gap=1.5)
    return fitted


def _marked(picture: Image.Image, mark: Mark) -> bytes:
    from custody.pictures import watermark

    return jpeg(watermark.put(picture, mark))


def _edited(picture: Image.Image, edit: Edit) -> bytes:
    from custody.pictures import strokes

    return jpeg(strokes.put(picture, edit))


def _codes(picture: Image.Image) -> tuple[str, ...]:
    try:
        from custody.pictures import qr
    except ImportError as error:
        raise Unshowable("本机不能识别二维码", "this device cannot read QR codes") from error
    return qr.texts(picture)


def _learn_heic() -> None:
    try:
        import pillow_heif
    except ImportError as error:
        raise Unshowable("本机不能解码 HEIC", "this device cannot decode HEIC") from error
    pillow_heif.register_heif_opener(thumbnails=False)
