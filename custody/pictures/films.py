"""Pictures of a film, and a film in which something is covered. Inside the worker only.

The one demuxer that fits is named. Others read lists of files to open, and a film must not make anybody open anything.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, BinaryIO

from PIL import Image, ImageStat

from custody.pictures.draw import Unshowable, within_bounds

LOOKED_AT = 8
"""Frames tried before a dark or empty one is taken: many films begin with a covered lens."""
DULL = 6.0
"""Standard deviation of the brightness below which a frame shows nothing."""
FINENESS = "23"
"""Constant rate factor of a film that is encoded again; the encoder's own default."""
USUAL_RATE = Fraction(25)


def poster(stream: BinaryIO) -> Image.Image:
    """The first frame that shows something, upright, RGB. Raises Unshowable."""
    best: Image.Image | None = None
    with _opened(stream) as (film, track):
        track.codec_context.skip_frame = "NONKEY"
        for number, frame in enumerate(film.decode(track)):
            best = _picture(frame)
            if number >= LOOKED_AT or ImageStat.Stat(best.convert("L")).stddev[0] >= DULL:
                break
    if best is None:
        raise Unshowable("没有画面", "there is no picture in it")
    return best


def frame_at(stream: BinaryIO, at_ms: int) -> Image.Image:
    """The frame that is shown at this time, upright, RGB. Raises Unshowable: the film is shorter."""
    shown: Image.Image | None = None
    with _opened(stream) as (film, track):
        for frame in film.decode(track):
            if frame.time is not None and frame.time * 1000 > at_ms and shown is not None:
                return shown
            shown = _picture(frame)
            ended = frame.time is not None and (frame.time + 1 / float(track.average_rate or USUAL_RATE)) * 1000
    if shown is None or not ended or at_ms > ended:
        raise Unshowable("视频没有这么长", "the film is not that long")
    return shown


def covered(stream: BinaryIO, cover: Callable[[Image.Image], Image.Image]) -> tuple[bytes, tuple[int, int]]:
    """(MP4 of the same frames after `cover`, their size). No sound, no tags, no other tracks. Raises Unshowable."""
    import av

    out, size = io.BytesIO(), (0, 0)
    with _opened(stream) as (film, track), av.open(out, "w", format="mp4") as made:
        rate = track.average_rate or USUAL_RATE
        target: Any = None
        for frame in film.decode(track):
            picture = cover(_picture(frame))
            picture = picture.crop((0, 0, picture.width // 2 * 2, picture.height // 2 * 2))  # the encoder wants even sides
            if target is None:
                target = made.add_stream("libx264", rate=rate, options={"crf": FINENESS, "preset": "veryfast"})
                target.width, target.height = size = picture.size
                target.pix_fmt, target.codec_context.thread_count = "yuv420p", 1
            elif picture.size != size:
                raise Unshowable("画面大小中途改变", "the frames change their size")
            # Nothing but pixels: no side data of the old frame.
            fresh = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]
            fresh.pts, fresh.time_base = frame.pts, frame.time_base
            made.mux(target.encode(fresh))
        if target is None:
            raise Unshowable("没有画面", "there is no picture in it")
        made.mux(target.encode(None))
    return out.getvalue(), size


@contextlib.contextmanager
def _opened(stream: BinaryIO) -> Iterator[tuple[Any, Any]]:
    """The film and its first track of pictures. Raises Unshowable, for what goes wrong inside too."""
    try:
        import av
    except ImportError as error:
        raise Unshowable("本机不能解码视频", "this device cannot decode films") from error
    try:
        with av.open(stream, mode="r", format="mov", options={"protocol_whitelist": ""}) as film:
            if not film.streams.video:
                raise Unshowable("没有画面", "there is no picture in it")
            track = film.streams.video[0]
            within_bounds(track.codec_context.width, track.codec_context.height)
            track.thread_type, track.codec_context.thread_count = "NONE", 1
            yield film, track
    except (av.error.FFmpegError, OSError, ValueError, EOFError) as error:
        raise Unshowable("视频无法解码", f"the film cannot be decoded ({error.__class__.__name__})") from error


def _picture(frame: Any) -> Image.Image:
    within_bounds(frame.width, frame.height)
    return _upright(frame.to_image(), frame.rotation)


def _upright(picture: Image.Image, rotation: int) -> Image.Image:
    """A track's rotation is counter-clockwise, in degrees."""
    turned = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
    how = turned.get(rotation % 360)
    return picture.transpose(how) if how is not None else picture
