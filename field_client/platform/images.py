"""What a file is, and small pictures of it: the one place that speaks to Pillow.

A file is known by its first bytes, never by its name. Metadata is read without decoding; `previews` decodes once, as
small as the JPEG allows, and makes both pictures from that. Nothing here writes to the original.

What comes from outside is not trusted: only the formats of `PICTURES` are tried, a picture above 50 million pixels is
refused before it is decoded (10 kB of PNG can ask for 400 MB), and a preview carries no comment, no EXIF and no profile
over from its source.
"""

from __future__ import annotations

import io
import re
import warnings
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, BinaryIO, NamedTuple

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from schemas.labels import Label
from sync.core.errors import BrokenFile

MOST_PIXELS = 50_000_000
Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # Pillow warns above it and raises above twice as many; `_opened` raises at once
warnings.filterwarnings("ignore", module=r"PIL\.")  # damaged EXIF is the file's fault and nothing for the terminal

THUMBNAIL_PX = 320
PREVIEW_PX = 1600


def _reads_heic() -> bool:
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener(thumbnails=False)
    return True


READS_HEIC = _reads_heic()
"""Without pillow-heif a HEIC photo is kept as evidence all the same, only without small pictures."""

PICTURES = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP", "image/heic": "HEIF"}
UNKNOWN = "application/octet-stream"
HEAD_BYTES = 64
"""How many of its first bytes tell what a file is."""

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"})
_AUDIO_BRANDS = frozenset({b"M4A ", b"M4B "})
_VIDEO_BRANDS = frozenset(
    [b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"dash", b"3gp4", b"3gp5"]
)
_EXIF_TIME = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)\Z")
_EXIF_OFFSET = re.compile(r"[+-]\d\d:\d\d\Z")


class Position(NamedTuple):
    """Where the camera says that it was: 1e-7 degree (WGS 84), accuracy in centimetres where it says so."""

    lat: int
    lon: int
    acc: int | None = None


class Metadata(NamedTuple):
    """What a picture says about itself; None where it says nothing. Claims, not facts: a camera's clock may be wrong.

    width, height  pixels as seen, that is after turning by the orientation
    taken          the camera's clock, `2026-11-22T12:30:45` with `+08:00` behind it where the camera gave its zone
    """

    width: int | None = None
    height: int | None = None
    taken: str | None = None
    position: Position | None = None
    camera: str | None = None


class Previews(NamedTuple):
    """Two JPEG files without metadata: at most 320 and 1600 pixels on the long side, never enlarged."""

    thumbnail: bytes
    preview: bytes


def identify(head: bytes) -> str:
    """The media type for the first `HEAD_BYTES` of a file; `UNKNOWN` for what is none of ours."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    if head[4:8] == b"ftyp":
        return _container(head)
    return UNKNOWN


def metadata(stream: BinaryIO, mime: str, name: str = "") -> Metadata:
    """Read size, time and place from the headers of a picture; decodes nothing. Empty for other files.

    :raises BrokenFile: the headers cannot be read, or promise more than 50 million pixels (`name` is for the message)
    """
    if not _is_picture(mime):
        return Metadata()
    with _opened(stream, mime, name) as picture:
        exif = _exif(picture)
        width, height = picture.size
        if exif.get(ExifTags.Base.Orientation) in (5, 6, 7, 8):
            width, height = height, width
        taken = _taken(exif, _block(exif, ExifTags.IFD.Exif))
        return Metadata(width, height, taken, _position(_block(exif, ExifTags.IFD.GPSInfo)), _camera(exif))


def previews(stream: BinaryIO, mime: str, name: str = "") -> Previews | None:
    """A thumbnail and a preview of a picture; None for what has no picture (video, sound, PDF, unknown).

    :raises BrokenFile: truncated or damaged, or above 50 million pixels
    """
    if not _is_picture(mime):
        return None
    with _opened(stream, mime, name) as picture:
        try:
            preview = _reduced(picture, PREVIEW_PX)
            thumbnail = preview.copy()
            thumbnail.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BICUBIC)
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise BrokenFile(file=name, detail=str(error)) from error
    return Previews(_jpeg(thumbnail, 80), _jpeg(preview, 85))


def _container(head: bytes) -> str:
    """ISO base media (ISO/IEC 14496-12): the brands after `ftyp`, the major one first."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]
    for brand in brands:
        if brand in _HEIF_BRANDS:
            return "image/heic"
        if brand in _AUDIO_BRANDS:
            return "audio/mp4"
        if brand in _VIDEO_BRANDS:
            return "video/mp4"
    return UNKNOWN


def _is_picture(mime: str) -> bool:
    return mime in PICTURES and (mime != "image/heic" or READS_HEIC)


def _opened(stream: BinaryIO, mime: str, name: str) -> Image.Image:
    try:
        picture = Image.open(stream, formats=[PICTURES[mime]])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels(name) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        detail = Label("不是完整的图片", f"not a whole picture ({error.__class__.__name__})")
        raise BrokenFile(file=name, detail=detail) from error
    if picture.width * picture.height > MOST_PIXELS:
        raise _too_many_pixels(name)
    return picture


def _too_many_pixels(name: str) -> BrokenFile:
    detail = Label("超过 {n} 百万像素，不生成预览", "more than {n} million pixels").fill(n=MOST_PIXELS // 1_000_000)
    return BrokenFile(file=name, detail=detail)


def _reduced(picture: Image.Image, longest: int) -> Image.Image:
    """The picture upright, RGB, at most `longest` pixels on its long side."""
    scale = max(picture.size) / longest
    if scale > 1:
        # A box of the picture's own shape lets the decoder halve; Pillow's thumbnail() alone asks for twice as much.
        picture.draft("RGB", (round(picture.width / scale), round(picture.height / scale)))
    picture.thumbnail((longest, longest), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return _flat(ImageOps.exif_transpose(picture))


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


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    picture.info.clear()  # save() would carry a comment, EXIF or a profile over from here
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


# --- EXIF (CIPA DC-008), read with distrust: every tag may be missing, of another type or nonsense --------------------


def _exif(picture: Image.Image) -> Image.Exif:
    try:
        return picture.getexif()
    except Exception:  # a damaged EXIF block raises anything; the picture itself may be sound
        return Image.Exif()


def _block(exif: Image.Exif, which: ExifTags.IFD) -> dict[int, Any]:
    try:
        return exif.get_ifd(which)
    except Exception:  # as above
        return {}


def _taken(exif: Image.Exif, details: dict[int, Any]) -> str | None:
    written = details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
    match = _EXIF_TIME.match(_ascii(written))
    if not match:
        return None
    try:
        taken = datetime(*(int(one) for one in match.groups()), tzinfo=UTC)  # type: ignore[arg-type, misc]
    except ValueError:
        return None
    offset = _ascii(details.get(ExifTags.Base.OffsetTimeOriginal) or details.get(ExifTags.Base.OffsetTime))
    return taken.strftime("%Y-%m-%dT%H:%M:%S") + (offset if _EXIF_OFFSET.match(offset) else "")


def _position(gps: dict[int, Any]) -> Position | None:
    lat = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "S", 90)
    lon = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "W", 180)
    if lat is None or lon is None or lat == lon == 0:  # 0, 0 is how cameras write "not known"
        return None
    error = _number(gps.get(ExifTags.GPS.GPSHPositioningError))
    return Position(lat, lon, round(error * 100) if error is not None and error > 0 else None)


def _degrees(parts: Any, side: Any, negative: str, most: int) -> int | None:
    try:
        whole, minutes, seconds = map(_number, parts)
    except (TypeError, ValueError):
        return None
    if whole is None or minutes is None or seconds is None:
        return None
    degrees = whole + minutes / 60 + seconds / 3600
    if not 0 <= degrees <= most:
        return None
    return round((-degrees if _ascii(side) == negative else degrees) * 10**7)


def _number(value: Any) -> Fraction | None:
    try:
        return Fraction(value.numerator, value.denominator)
    except (AttributeError, TypeError, ZeroDivisionError):
        return None


def _camera(exif: Image.Exif) -> str | None:
    words = [_ascii(exif.get(tag)) for tag in (ExifTags.Base.Make, ExifTags.Base.Model)]
    make, model = words
    name = model if model.startswith(make) else f"{make} {model}"
    return name.strip()[:80] or None


def _ascii(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    return "".join(sign for sign in text if sign.isprintable()).strip() if isinstance(text, str) else ""
