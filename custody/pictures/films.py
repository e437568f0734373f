"""The poster of a film: one of its first pictures. Inside the worker only.

The one demuxer that fits is named. Others read lists of files to open, and a film must not make anybody open anything.
"""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image, ImageStat

from custody.pictures.draw import Unshowable, within_bounds

LOOKED_AT = 8
"""Frames tried before a dark or empty one is taken: many films begin with a covered lens."""
DULL = 6.0
"""Standard deviation of the brightness below which a frame shows nothing."""


def poster(stream: BinaryIO) -> Image.Image:
    """The first frame that shows something, upright, RGB. Raises Unshowable."""
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
            track.codec_context.skip_frame = "NONKEY"
            best: Image.Image | None = None
            for number, frame in enumerate(film.decode(track)):
                within_bounds(frame.width, frame.height)
                best = _upright(frame.to_image(), frame.rotation)  # type: ignore[no-untyped-call]
                if number >= LOOKED_AT or ImageStat.Stat(best.convert("L")).stddev[0] >= DULL:
                    break
    except (av.error.FFmpegError, OSError, ValueError, EOFError) as error:
        raise Unshowable("视频无法解码", f"the film cannot be decoded ({error.__class__.__name__})") from error
    if best is None:
        raise Unshowable("没有画面", "there is no picture in it")
    return best


def _upright(picture: Image.Image, rotation: int) -> Image.Image:
    """A track's rotation is counter-clockwise, in degrees."""
    turned = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
    how = turned.get(rotation % 360)
    return picture.transpose(how) if how is not None else picture
