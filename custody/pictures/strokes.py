"""Turning a copy of a picture and drawing on it. Inside the worker only."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from custody.pictures.orders import COLOURS, WHOLE, Edit, Stroke

THICK = 1 / 160
"""Of the picture's longest side."""
HEAD = 5.0
"""Length of an arrow's head, in widths of its line."""
EDGE = (255, 255, 255)
_TURNS = {1: Image.Transpose.ROTATE_270, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_90}

Points = list[tuple[float, float]]


def put(picture: Image.Image, edit: Edit) -> Image.Image:
    """The turned copy with every stroke, each with a light edge so that it shows on any ground."""
    turned = picture.transpose(_TURNS[edit.turns % 4]) if edit.turns % 4 else picture.copy()
    width = max(3, round(max(turned.size) * THICK))
    draw = ImageDraw.Draw(turned)
    for stroke in edit.strokes:
        points = [(x * turned.width / WHOLE, y * turned.height / WHOLE) for x, y in stroke.points]
        _stroke(draw, stroke, points, width + max(2, width // 2), EDGE)
        _stroke(draw, stroke, points, width, COLOURS[stroke.colour])
    return turned


def _stroke(draw: ImageDraw.ImageDraw, stroke: Stroke, points: Points, width: int, colour: tuple[int, int, int]) -> None:
    if stroke.shape == "box":
        (left, top), (right, bottom) = points[0], points[-1]
        points = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top), (right, top)]
    elif stroke.shape == "arrow":
        points = [points[0], points[-1]]
        _head(draw, points, width, colour)
    draw.line(points, fill=colour, width=width, joint="curve")
    for x, y in (points[0], points[-1]):
        draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=colour)


def _head(draw: ImageDraw.ImageDraw, points: Points, width: int, colour: tuple[int, int, int]) -> None:
    (x0, y0), (x, y) = points[0], points[-1]
    angle, length = math.atan2(y - y0, x - x0), HEAD * width
    for side in (-0.5, 0.5):
        end = (x - length * math.cos(angle + side), y - length * math.sin(angle + side))
        draw.line([(x, y), end], fill=colour, width=width)
