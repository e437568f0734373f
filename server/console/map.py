"""The map: institutions and findings, gathered into clusters by the server, drawn without any network.

What lies under them is the server's own: pictures from `map/tiles.mbtiles`, outlines from `map/outlines.geojson`; without either,
a grid of degrees. Positions are WGS-84 as they were measured.
"""

from __future__ import annotations

import json

from flask import Response, abort, request, send_file

from server import records
from server.console import tabling
from server.console.background import outlines_at, tiles_at
from server.console.frame import Answer, Desk, instance, page, seat
from server.console.records import query, wanted_of
from server.moments import day
from server.storage import places
from server.storage.places import Box
from sync.core.errors import InvalidField, NotFound

desk = Desk("map", __name__)

FIRST_KIND = "institution"
DEEPEST = 19
NAMED = 200
"""Single records of which the map says the name."""
CHINA = Box(180_000_000, 735_000_000, 536_000_000, 1_351_000_000)


@desk.get("/map", may="records.read")
def start() -> Answer:
    house, who = instance(), seat()
    kinds = [one for one in records.kinds_in_sight(house, who.sight) if list(one.points())]
    kind = request.args.get("kind", FIRST_KIND)
    schema = next((one for one in kinds if one.kind == kind), None)
    if schema is None:
        raise NotFound(what=kind)
    asked = tabling.read(schema, who.role, request.args, day(house.now()))
    wanted, _ = wanted_of(house, who, schema, asked)
    with house.database.read() as conn:
        around = places.bounds(conn, house.projections, wanted, next(iter(schema.points())))
    return page(
        "records/map.html", kinds=kinds, schema=schema, asked=asked, around=around or CHINA, empty=around is None,
        query=query(), tiles=tiles_at(house), outlines=outlines_at(house),
    )  # fmt: skip


@desk.get("/map/clusters", may="records.read")
def clusters() -> Answer:
    house, who = instance(), seat()
    schema = records.schema_of(house, who.sight, request.args.get("kind", FIRST_KIND))
    point = next(iter(schema.points()), None)
    if point is None:
        raise NotFound(what=schema.kind)
    box, zoom = _box(), _zoom()
    asked = tabling.read(schema, who.role, request.args, day(house.now()))
    wanted, _ = wanted_of(house, who, schema, asked)
    cell = 3_600_000_000 // (1 << zoom) // 4  # a quarter of a tile: 64 pixels
    with house.database.read() as conn:
        found = places.clusters(conn, house.projections, wanted, point, box, cell)
        single = [one.record for one in found if one.record][:NAMED]
        named = records.names(house, conn, who.sight, single)
    said = [
        [one.many, one.lat, one.lon, one.record, named[one.record].title if one.record in named else "", list(one.box)]
        for one in found
    ]
    return Response(json.dumps({"clusters": said}, ensure_ascii=False), mimetype="application/json")


def _box() -> Box:
    try:
        south, west, north, east = (int(float(part) * 1e7) for part in request.args.get("box", "").split(","))
    except (ValueError, OverflowError):
        raise InvalidField(field="box", detail="is south,west,north,east in degrees") from None
    return Box(south, west, north, east)


def _zoom() -> int:
    text = request.args.get("zoom", "")
    if not (text.isascii() and text.isdecimal() and len(text) < 3):
        raise InvalidField(field="zoom", detail=f"is 0 to {DEEPEST}")
    return min(int(text), DEEPEST)


@desk.get("/map/tiles/<int:zoom>/<int:x>/<int:y>", may="records.read")
def tile(zoom: int, x: int, y: int) -> Answer:
    if zoom > 22 or max(x, y) >= 1 << zoom:
        abort(404)
    content = places.tile(instance().settings.tiles, zoom, x, y)
    sort = next((mime for mark, mime in _PICTURES if content is not None and content.startswith(mark)), None)
    if content is None or sort is None:
        return Response(status=204)
    response = Response(content, mimetype=sort)
    response.cache_control.private = True
    response.cache_control.max_age = 86_400
    return response


_PICTURES = ((b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"RIFF", "image/webp"))


@desk.get("/map/outlines", may="records.read")
def outlines() -> Answer:
    file = instance().settings.outlines
    if not file.exists():
        abort(404)
    return send_file(file.absolute(), mimetype="application/geo+json", max_age=3600)
