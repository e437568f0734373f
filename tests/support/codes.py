"""QR codes as a test shows them to a tablet: as a picture, and as a film that Chromium takes for its camera."""

from __future__ import annotations

import io
from pathlib import Path

import segno
from PIL import Image


def picture(text: str) -> bytes:
    """A PNG of a QR code, as a photo of it would be."""
    made = io.BytesIO()
    segno.make(text, error="m").save(made, kind="png", scale=8, border=4)
    return made.getvalue()


def camera_film(file: Path, *texts: str, each: int = 20) -> Path:
    """A film of QR codes, `each` frames of every text in turn, that `--use-file-for-fake-video-capture` shows as the camera."""
    width, height = 640, 480
    frames = b""
    for text in texts:
        code = Image.open(io.BytesIO(picture(text))).convert("L").resize((440, 440), Image.Resampling.NEAREST)
        page = Image.new("L", (width, height), 200)
        page.paste(code, (100, 20))
        frames += (b"FRAME\n" + page.tobytes() + bytes([128]) * (width * height // 2)) * each
    file.write_bytes(f"YUV4MPEG2 W{width} H{height} F10:1 Ip C420jpeg\n".encode() + frames)
    return file
