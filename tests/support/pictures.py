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


def heic(width: int = 800, height: int = 600, orientation: int = 1) -> bytes:
    """As pillow-heif writes it: how it is turned stands in EXIF alone, where readers of HEIC do not look."""
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)
    return encoded(scene(width, height), "HEIF", exif=camera_exif(orientation))


def film(
    seconds: int = 1,
    form: str = "mp4",
    notes: dict[str, str] | None = None,
    rotate: int = 0,
    size: tuple[int, int] = (128, 96),
) -> bytes:
    """A real film of ten frames a second, the first two of them black, begun at 2026-11-22 12:30:45 in China."""
    import av

    out = io.BytesIO()
    as_keys = any(name.startswith("com.apple") for name in notes or {})
    options = {"movflags": "use_metadata_tags"} if as_keys else {}
    with av.open(out, "w", format=form, options=options) as container:
        container.metadata.update({"creation_time": "2026-11-22T04:30:45Z", **(notes or {})})
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *size, "yuv420p", 1
        for number in range(10 * seconds):
            shown = Image.new("RGB", size) if number < 2 else scene(*size)
            frame = av.VideoFrame.from_image(shown)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = out.getvalue()
    if rotate:
        plain = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
        a, b, c, d = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[rotate]
        turned = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
        at = content.index(plain, content.index(b"tkhd"))
        content = content[:at] + turned + content[at + len(plain) :]
    return content


def sound(seconds: int = 1, form: str = "ipod") -> bytes:
    """A real recording in AAC; `ipod` is how an M4A is called there."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format=form) as container:
        container.metadata["creation_time"] = "2026-11-22T04:30:45Z"
        stream = container.add_stream("aac", rate=8000, layout="mono")
        for start in range(0, 8000 * seconds, 1024):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.planes[0].update(bytes(4096))
            frame.sample_rate, frame.pts = 8000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def pdf(pages: int = 1, width: int = 595, height: int = 842) -> bytes:
    """A document with a red upper half on each page."""
    out = io.BytesIO()
    page = Image.new("RGB", (width, height), "white")
    page.paste(RED, (0, 0, width, height // 2))
    page.save(out, "PDF", save_all=True, append_images=[page] * (pages - 1))
    return out.getvalue()


def mp4(brand: bytes = b"isom", size: int = 4096) -> bytes:
    """The beginning of an MP4: its `ftyp` box and a `mdat` that fills it up."""
    kind = b"ftyp" + brand + bytes(4) + b"isomiso2avc1mp41"
    head = struct.pack(">I", len(kind) + 4) + kind
    return head + struct.pack(">I", size - len(head)) + b"mdat" + bytes(range(256)) * (size // 256)
