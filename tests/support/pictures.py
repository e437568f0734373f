"""Pictures as cameras make them: real files of each format, with EXIF where a camera would write it."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import ExifTags, Image

RED, BLUE = (200, 30, 30), (30, 30, 200)


def scene(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Red on the left half, blue on the right: shows which way up a picture is."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(BLUE, (width // 2, 0, width, height))
    return picture.convert(mode)


def noise(width: int, height: int) -> Image.Image:
    """A picture as large in bytes as one of a camera."""
    return Image.effect_noise((width // 4, height // 4), 60).convert("RGB").resize((width, height))


def camera_exif(orientation: int = 1) -> Image.Exif:
    """28°13'41.34"N 112°56'19.68"E, 2026-11-22 12:30:45 in China, accurate to 4.5 m."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "HUAWEI"
    exif[ExifTags.Base.Model] = "HUAWEI MatePad"
    exif[ExifTags.Base.Orientation] = orientation
    details: dict[int, Any] = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = "2026:11:22 12:30:45"
    details[ExifTags.Base.OffsetTimeOriginal] = "+08:00"
    gps: dict[int, Any] = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLongitudeRef] = "N", "E"
    gps[ExifTags.GPS.GPSLatitude] = (28.0, 13.0, 41.34)
    gps[ExifTags.GPS.GPSLongitude] = (112.0, 56.0, 19.68)
    gps[ExifTags.GPS.GPSHPositioningError] = 4.5
    return exif


def encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    """The picture as the bytes of a file."""
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def jpeg(width: int = 800, height: int = 600, *, orientation: int = 1, **options: Any) -> bytes:
    return encoded(scene(width, height), "JPEG", exif=camera_exif(orientation), quality=88, **options)


def hollow_png(width: int, height: int) -> bytes:
    """A PNG of any size in a few kilobytes: black, one bit deep."""
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    row = bytes(1 + (width + 7) // 8)
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def mp4(brand: bytes = b"isom", size: int = 4096) -> bytes:
    """The beginning of an MP4: its `ftyp` box and a `mdat` that fills it up."""
    kind = b"ftyp" + brand + bytes(4) + b"isomiso2avc1mp41"
    head = struct.pack(">I", len(kind) + 4) + kind
    return head + struct.pack(">I", size - len(head)) + b"mdat" + bytes(range(256)) * (size // 256)
