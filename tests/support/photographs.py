"""Real photographs, and what happens to photographs: cropped, compressed, resized, marked, turned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from tests.support.pictures import encoded

FOLDER = Path(__file__).parents[1] / "photographs"
NAMES = tuple(sorted(one.stem for one in FOLDER.glob("*.jpg")))


def photograph(name: str) -> Image.Image:
    return Image.open(FOLDER / f"{name}.jpg").convert("RGB")


def cropped(picture: Image.Image, away: float = 0.3) -> Image.Image:
    """A part of the picture, from its lower right, with this share of the area cut off."""
    width, height = (round(side * (1 - away) ** 0.5) for side in picture.size)
    return picture.crop((picture.width - width, picture.height - height, picture.width, picture.height))


def marked(picture: Image.Image) -> Image.Image:
    copy = picture.copy()
    drawn = ImageDraw.Draw(copy)
    drawn.rectangle((0, round(copy.height * 0.85), copy.width, copy.height), "black")
    drawn.text((10, round(copy.height * 0.88)), "2026-11-22 12:30:45 28.2281N 112.9388E", "white")
    return copy


def scaled(picture: Image.Image, factor: float) -> Image.Image:
    return picture.resize((round(picture.width * factor), round(picture.height * factor)))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "cropped": cropped,
    "cropped to half": lambda one: cropped(one, 0.5),
    "half as large": lambda one: scaled(one, 0.5),
    "twice as large": lambda one: scaled(one, 2),
    "marked": marked,
    "darker": lambda one: ImageEnhance.Brightness(one).enhance(0.7),
    "grey": lambda one: one.convert("L"),
    "mirrored": ImageOps.mirror,
    "turned": lambda one: one.transpose(Image.Transpose.ROTATE_90),
}


def compressed(picture: Image.Image, quality: int = 60) -> bytes:
    return encoded(picture.convert("RGB"), "JPEG", quality=quality)
