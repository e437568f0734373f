"""The map: institutions and findings in layers, gathered into clusters by the server, drawn without any network.

Every kind that has a place is a layer, one with a day to be done by three: within its time, overdue, and over. A hazard
stands where its institution does. Each layer has a shape beside its colour, so that neither depends on seeing colours.

What lies under them is the server's own: pictures from `map/tiles.mbtiles`, outlines from `map/outlines.geojson`; without either,
a grid of degrees. Positions are WGS-84 as they were measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import urlencode

from flask import Response, abort, request, send_file, url_for

from schemas.base import RecordSchema
from schemas.labels import Label
from server.access.policy import Sight
from server.console import tabling
from server.console.background import outlines_at, tiles_at
from server.console.frame import Answer, Desk, Seat, instance, page, seat
from server.console.naming import Places, placed
from server.console.records import lenders, query, wanted_of
from server.console.tabling import Asked
from server.instance import Instance
from server.moments import day
from server.reading import records
from server.storage import places
from server.storage.cells import DEEPEST, Box
from server.storage.lists import Wanted
from sync.core.errors import InvalidField, NotFound

desk = Desk("map", __name__)

FIRST_KIND = "institution"
NAMED = 200
"""Records of one layer of which the map says the name."""
CHINA = Box(180_000_000, 735_000_000, 536_000_000, 1_351_000_000)

DUE, LATE, OVER = "due", "late", "over"
PARTS = {
    DUE: Label("期限内", "in time"),
    LATE: Label("已逾期", "overdue"),
    OVER: Label("其他状态", "other statuses"),
}
"""What a kind with a day to be done by falls into."""
SHAPES = {
    "circle": "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18z",
    "triangle": "M12 1.500L23 21H1z",
    "diamond": "M12 0.500L23.500 12L12 23.500L0.500 12z",
    "square": "M3.500 3.500h17v17h-17z",
    "pentagon": "M12 1.500L23 9.600L18.800 22H5.200L1 9.600z",
    "hexagon": "M12 1L21.600 6.500v11L12 23L2.400 17.500v-11z",
    "cross": "M8 2h8v6h6v8h-6v6H8v-6H2V8h6z",
    "drop": "M12 23C7 17 4 13.500 4 9.500a8 8 0 1 1 16 0C20 13.500 17 17 12 23z",
    "flag": "M3 3h18l-5 7l5 7H3z",
    "down": "M1 3h22L12 22.500z",
    "house": "M12 1L23 11v12H1V11z",
    "star": "M12 0.500l3.400 7.800l8.400.8l-6.300 5.600l1.900 8.300L12 18.600L4.600 23l1.900-8.300L.2 9.100l8.400-.8z",
    "hourglass": "M3 2h18l-6 10l6 10H3l6-10z",
    "bar": "M1 8h22v8H1z",
}
"""Outlines on a grid of 24 around (12, 12), drawn in the legend and on the map."""
LOOKS = {
    "institution": ("circle", "accent"),
    "hazard:due": ("triangle", "wait"),
    "hazard:late": ("diamond", "late"),
    "clue:due": ("drop", "deep"),
    "clue:late": ("flag", "late"),
    "patrol_note": ("square", "clash"),
}
"""Layers that are shown from the start: layer → its shape and its colour in `records.css`."""
OTHERS = ("hexagon", "pentagon", "cross", "down", "house", "star", "hourglass", "bar")
"""Shapes of the further layers, in turn; all of them in the quiet colour."""


class Layer(NamedTuple):
    """What is shown of one kind, or of a part of it. `filtered`: the conditions of the page's list are on it."""

    name: str
    kind: str
    part: str
    label: Label
    shape: str
    colour: str
    on: bool
    filtered: bool
    clusters: str

    @property
    def outline(self) -> str:
        return SHAPES[self.shape]


@desk.get("/map", may="records.read")
def start() -> Answer:
    house, who = instance(), seat()
    kind = request.args.get("kind", "")
    schema = _schema(house, who.sight, kind) if kind else None
    asked = tabling.read(schema, who.role, request.args, day(house.now()), placed(house)) if schema else None
    layers = list(_layers(house, who, kind, asked))
    around = None
    for layer in sorted((one for one in layers if one.on), key=lambda one: one.kind not in (kind or FIRST_KIND)):
        around = around or _around(house, who, layer, asked)
    return page(
        "records/map.html", schema=schema, asked=asked, layers=layers, around=around or CHINA, empty=around is None,
        query=query(), tiles=tiles_at(house), outlines=outlines_at(house),
    )  # fmt: skip


def _layers(house: Instance, who: Seat, kind: str, asked: Asked | None) -> Iterator[Layer]:
    """Every layer in sight, those that are known first. A list that somebody came from is the only one shown at first."""
    chosen = request.args.get("layers")
    narrowed = asked is not None and bool(asked.told or asked.text)
    placed = (one for one in records.kinds_in_sight(house, who.sight) if house.projections.standing(one.kind) is not None)
    every = [(schema, part) for schema in placed for part in _parts_of(schema)]
    names = list(LOOKS)
    every.sort(key=lambda one: names.index(name) if (name := _name(*one)) in names else len(names))
    others = 0
    for schema, part in every:
        name = _name(schema, part)
        shape, colour = LOOKS.get(name) or (OTHERS[others % len(OTHERS)], "other")
        others += name not in LOOKS
        on = name in chosen.split(",") if chosen is not None else schema.kind == kind if kind else name in LOOKS
        filtered = narrowed and schema.kind == kind
        said = [(key, value) for key, value in request.args.items(multi=True) if key not in _NO_CONDITIONS] if filtered else []
        address = f"{url_for('.clusters')}?{urlencode([*said, ('kind', schema.kind), *([('part', part)] if part else [])])}"
        yield Layer(name, schema.kind, part, _label(schema, part), shape, colour, on, filtered, address)


_NO_CONDITIONS = frozenset({"kind", "part", "layers", "lat", "lon", "zoom", "record", "box", "cols", "order", "dir"})


def _name(schema: type[RecordSchema], part: str) -> str:
    return f"{schema.kind}:{part}" if part else schema.kind


def _parts_of(schema: type[RecordSchema]) -> tuple[str, ...]:
    return tuple(PARTS) if schema.runs_out is not None and schema.workflow is not None else ("",)


def _label(schema: type[RecordSchema], part: str) -> Label:
    if not part:
        return schema.label
    return Label(f"{schema.label.zh}（{PARTS[part].zh}）", f"{schema.label.en} ({PARTS[part].en})")


def _schema(house: Instance, sight: Sight, kind: str) -> type[RecordSchema]:
    """A kind that has a place on the map. Raises NotFound."""
    schema = records.schema_of(house, sight, kind)
    if house.projections.standing(schema.kind) is None:
        raise NotFound(what=kind)
    return schema


def _around(house: Instance, who: Seat, layer: Layer, asked: Asked | None) -> Box | None:
    schema = house.registry[layer.kind]
    if asked is None or layer.kind != request.args.get("kind"):
        asked = _everything(schema, who.role)
    wanted = _wanted(house, who, schema, layer.part, asked)
    with house.database.read() as conn:
        return places.bounds(conn, house.projections, wanted, lenders(house, who.sight, schema))


def _everything(schema: type[RecordSchema], role: str) -> Asked:
    return tabling.read(schema, role, tabling.Args(), "", Places({}))


def _wanted(house: Instance, who: Seat, schema: type[RecordSchema], part: str, asked: Asked) -> Wanted:
    """The list that a layer shows. Raises NotFound for a part that the kind has not."""
    if part not in _parts_of(schema) and part:
        raise NotFound(what=part)
    wanted, _ = wanted_of(house, who, schema, asked)
    today = day(house.now())
    of_part = {DUE: tabling.within_time, LATE: tabling.overdue}
    more = of_part[part](schema, today) if part in of_part else tabling.no_longer(schema) if part else []
    return replace(wanted, tests=[*wanted.tests, *more])


@desk.get("/map/clusters", may="records.read")
def clusters() -> Answer:
    """[how many, latitude, longitude, [[record, name] …] where they are few, a box around them] … of one layer;
    `newest` where only so many newest records were looked at."""
    house, who = instance(), seat()
    schema = _schema(house, who.sight, request.args.get("kind", FIRST_KIND))
    box, zoom = _box(), _zoom()
    asked = tabling.read(schema, who.role, request.args, day(house.now()), placed(house))
    wanted = _wanted(house, who, schema, request.args.get("part", ""), asked)
    with house.database.read() as conn:
        found, newest = places.clusters(conn, house.projections, wanted, lenders(house, who.sight, schema), box, zoom)
        few = sorted(found, key=lambda one: one.many)
        named = records.names(house, conn, who.sight, [record for one in few for record in one.records][:NAMED])
    said = [
        [one.many, one.lat, one.lon, [[record, named[record].title if record in named else ""] for record in one.records], list(one.box)]
        for one in found
    ]
    answer = {"clusters": said} | ({"newest": newest} if newest is not None else {})
    return Response(json.dumps(answer, ensure_ascii=False), mimetype="application/json")


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
