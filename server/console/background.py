"""What lies under the points of a map: where its pictures and outlines are asked for."""

from __future__ import annotations

from flask import url_for

from server.instance import Instance


def tiles_at(house: Instance) -> str:
    """How the addresses of tiles are made; empty where there are none."""
    return "/console/map/tiles/{z}/{x}/{y}" if house.settings.tiles.exists() else ""


def outlines_at(house: Instance) -> str:
    """The address of the outlines of areas; empty where there are none."""
    return url_for("console.map.outlines") if house.settings.outlines.exists() else ""
