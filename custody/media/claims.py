"""What a file can say about itself."""

from __future__ import annotations

from typing import NamedTuple


class Position(NamedTuple):
    """Where the camera says that it was: 1e-7 degree (WGS 84), accuracy in centimetres where it says so."""

    lat: int
    lon: int
    acc: int | None = None


class Metadata(NamedTuple):
    """None where the file says nothing. Claims, not facts.

    width, height  pixels as seen, that is after turning by the orientation
    taken          the camera's clock, `2026-11-22T12:30:45` with `+08:00` behind it where the camera gave its zone
    orientation    1 to 8 as in EXIF: how the stored picture has to be turned
    duration_ms    of a film or sound
    exif           SHA-256 of the EXIF block (from its byte order mark on), in hexadecimal
    sound_only     a film's container without a film in it
    """

    width: int | None = None
    height: int | None = None
    taken: str | None = None
    position: Position | None = None
    camera: str | None = None
    orientation: int | None = None
    duration_ms: int | None = None
    exif: str | None = None
    sound_only: bool = False
