"""Lists as files: XLSX and CSV that Excel opens, GeoJSON for maps. A download begins at once and is written as it is read.

What is exported is what the list shows: within sight, with its conditions, in its order, in words; a field in conflict says so.
An export is an act in the log before its first byte.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import orjson
from flask import Response, request, stream_with_context

from schemas.base import RecordSchema
from schemas.labels import Label, Language
from server import acts
from server.console import tabling
from server.console.frame import Answer, Desk, Seat, instance, language, seat
from server.console.naming import placed
from server.console.records import grades_of, lenders, wanted_of
from server.console.tabling import Column
from server.instance import Instance
from server.moments import day
from server.reading import records
from server.register import sheets
from server.storage import places
from server.storage.lists import Lists, Wanted
from sync.core.errors import InvalidField

desk = Desk("exports", __name__)

ID = Label("编号", "id")
TYPES = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
    "geojson": "application/geo+json",
}
AT_ONCE = 1000


@desk.post("/records/<kind>/export", may="records.export")
def make(kind: str) -> Answer:
    house, who = instance(), seat()
    schema = records.schema_of(house, who.sight, kind)
    form = request.form.get("form", "")
    if form not in TYPES or (form == "geojson" and house.projections.standing(kind) is None):
        raise InvalidField(field="form", detail=f"is one of {', '.join(TYPES)}")
    today = day(house.now())
    asked = tabling.read(schema, who.role, request.args, today, placed(house))
    wanted, _ = wanted_of(house, who, schema, asked)
    columns = tabling.columns_of(schema, who.role) if request.form.get("all") == "1" else asked.columns
    with house.database.write() as conn:
        lists = Lists(house.projections)
        count = lists.count(conn, wanted)
        acts.append(
            conn, schema.compartment, acts.EXPORTED, house.now(), by=who.person.id, kind=kind, form=form,
            query=request.query_string.decode("ascii", "replace")[:2000],
        )  # fmt: skip
    lines = _lines(house, who, schema, wanted, columns, language(), today)
    title = schema.label.text(language())
    makers: dict[str, Callable[[], Iterator[bytes]]] = {
        "xlsx": lambda: sheets.stream_xlsx(_table(columns, lines, language()), title),
        "csv": lambda: sheets.stream_csv(_table(columns, lines, language())),
        "geojson": lambda: _geojson(house, who, schema, columns, lines),
    }
    response = Response(stream_with_context(makers[form]()), mimetype=TYPES[form])
    name = f"{title}-{today}.{form}"
    response.headers["Content-Disposition"] = f"attachment; filename=\"{kind}-{today}.{form}\"; filename*=UTF-8''{quote(name)}"
    response.headers["Patrolbook-Rows"] = f"{count.number}{'+' if count.more else ''}"
    response.headers["X-Accel-Buffering"] = "no"
    return response


Line = tuple[dict[str, Any], list[Any]]
"""A row as it is stored, and its cells in words; numbers stay numbers."""


def _lines(
    house: Instance, who: Seat, schema: type[RecordSchema], wanted: Wanted, columns: list[Column], said: Language, today: str
) -> Iterator[Line]:
    lists = Lists(house.projections)
    mark = None
    while True:
        with house.database.read() as conn:  # a snapshot for each page: an export of a million holds nothing back
            page = lists.page(conn, wanted, AT_ONCE, after=mark)
            grades = grades_of(house, conn, columns, page.rows)
            cells = [[tabling.cell(schema, column, row | grades.get(row["record"], {}), today) for column in columns] for row in page.rows]
            named = records.names(house, conn, who.sight, (cell.ref for line in cells for cell in line if cell.ref))
        for row, line in zip(page.rows, cells, strict=True):
            shown: list[Any] = [row["record"]]
            for column, cell in zip(columns, line, strict=True):
                value = row.get(column.name)
                if cell.state == "number" and column.field is not None and column.field.widget != "money":
                    shown.append(value)
                elif cell.ref:
                    shown.append(named[cell.ref].title if cell.ref in named else cell.ref)
                else:
                    shown.append(cell.text.text(said) if cell.text is not None else None)
            yield row, shown
        if page.after is None:
            return
        mark = page.after


def _table(columns: list[Column], lines: Iterator[Line], said: Language) -> Iterator[list[Any]]:
    yield [ID.text(said), *(column.label.text(said) for column in columns)]
    for _, cells in lines:
        yield cells


def _geojson(
    house: Instance, who: Seat, schema: type[RecordSchema], columns: list[Column], lines: Iterator[Line]
) -> Iterator[bytes]:
    """RFC 7946: longitude first, WGS-84, as it was measured. Nothing is shifted to GCJ-02; maps that need it shift it.

    What stands in the position of another record says which, as `position_of`."""
    yield b'{"type":"FeatureCollection","features":['
    first = True
    by = lenders(house, who.sight, schema)
    while some := list(itertools.islice(lines, AT_ONCE)):
        with house.database.read() as conn:
            spots = places.spots(conn, house.projections, schema.kind, by, [row for row, _ in some])
        for row, cells in some:
            spot = spots.get(row["record"])
            if spot is None:
                continue
            said = dict(zip((column.name for column in columns), cells[1:], strict=True)) | {"position_of": spot.by or None}
            feature = {
                "type": "Feature",
                "id": row["record"],
                "geometry": {"type": "Point", "coordinates": [spot.lon / 1e7, spot.lat / 1e7]},
                "properties": {name: value for name, value in said.items() if value is not None},
            }
            yield (b"\n" if first else b",\n") + orjson.dumps(feature)
            first = False
    yield b"\n]}\n"
