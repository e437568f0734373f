"""Thumbnails, made by a process of their own.

A picture from outside is the likeliest way to make a decoder misbehave. So the decoder runs in a child that may use one
gigabyte and fifteen seconds, opens three formats, and refuses giants; what it writes carries no EXIF and no comment.
Thumbnails are a cache: the original is never touched, and the folder may be deleted at any time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from schemas.labels import Label
from server.storage.files import write_new
from sync.core.errors import BrokenFile

WIDTHS = (320, 1600)
FORMATS = ("JPEG", "PNG", "WEBP")
MOST_PIXELS = 50_000_000
MEMORY_BYTES = 1 << 30
CPU_S = 15
WAIT_S = 20

_AT_ONCE = threading.BoundedSemaphore(2)
_ROOT = Path(__file__).resolve().parents[1]


def thumbnail(source: Path, folder: Path, sha256: str, width: int) -> Path:
    """The thumbnail of a blob in the cache, made if it is not there. Raises BrokenFile where it cannot be drawn."""
    target = folder / sha256[:2] / sha256[2:4] / f"{sha256}-{width}.jpg"
    if not target.exists():
        with _AT_ONCE:
            if not target.exists():
                write_new(target, _drawn(source, sha256, width))
    return target


def _drawn(source: Path, sha256: str, width: int) -> bytes:
    command = [sys.executable, "-m", "server.imaging", str(source), str(width)]
    environment = {"PYTHONPATH": str(_ROOT), "PATH": os.environ.get("PATH", "")}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=WAIT_S, check=False)
    except subprocess.TimeoutExpired as expired:
        detail = Label("解码超时", "it took too long to decode")
        raise BrokenFile(file=sha256, detail=detail) from expired
    if done.returncode != 0 or not done.stdout:
        detail = Label("不是可显示的图片", "it is no picture that can be shown")
        raise BrokenFile(file=sha256, detail=detail)
    return done.stdout


def _draw(source: str, width: int) -> None:
    """The child: bind itself, then decode."""
    import resource
    import warnings

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    with Image.open(source, formats=FORMATS) as picture:
        picture.draft("RGB", (width, width))  # lets the JPEG decoder scale while it decodes
        upright = ImageOps.exif_transpose(picture).convert("RGB")
        upright.thumbnail((width, width * 4))
        clean = Image.new("RGB", upright.size)  # a new picture has none of the old one's metadata
        clean.paste(upright)
        clean.save(sys.stdout.buffer, "JPEG", quality=80)


if __name__ == "__main__":
    _draw(sys.argv[1], int(sys.argv[2]))
