"""A film as a hidden camera would leave it: a real MP4 of a few megabytes, panning over a photograph of a room."""

from __future__ import annotations

from pathlib import Path

import av
from PIL import Image

SIZE = (1280, 960)
RATE = 10  # frames a second


def make_film(path: Path, room: Path, seconds: int = 3) -> Path:
    """Write a film of `seconds` into `path`, seen in the photograph `room`."""
    picture = Image.open(room).convert("RGB")
    picture.thumbnail((2 * SIZE[0], 2 * SIZE[1]))
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = *SIZE, "yuv420p", 12_000_000
        for number in range(seconds * RATE):
            left = number * (picture.width - SIZE[0]) // (seconds * RATE)
            top = (picture.height - SIZE[1]) // 2
            frame = av.VideoFrame.from_image(picture.crop((left, top, left + SIZE[0], top + SIZE[1])))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
