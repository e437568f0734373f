"""Search over all kinds: any piece of what somebody wrote, best first."""

from __future__ import annotations

from typing import NamedTuple

from flask import request

from schemas.base import RecordSchema
from server import records
from server.console import tabling
from server.console.frame import Answer, Desk, instance, page, seat
from server.console.tabling import Cell
from server.moments import day
from server.searching import Searcher
from server.storage import conflicts

desk = Desk("search", __name__)

SIZE = 30


class Result(NamedTuple):
    """A record that fits, as a line."""

    record: str
    schema: type[RecordSchema]
    cells: list[Cell]
    conflicts: int
    overdue: bool


@desk.get("/search", may="records.read")
def results() -> Answer:
    house, who = instance(), seat()
    text = request.args.get("q", "").strip()[:200]
    kinds = [one for one in house.registry if who.sight.prefixes(one.compartment)]
    chosen = [one.kind for one in kinds if one.kind == request.args.get("kind")]
    answer = Searcher(house).find(text, records.text_sight(who.sight), chosen, after=_mark(), size=SIZE)
    today = day(house.now())
    found = []
    with house.database.read() as conn:
        open_now = [row.record for row in conflicts.of_records(conn, [one.row["record"] for one in answer.found]) if row.status != "resolved"]
        for one in answer.found:
            schema = house.registry[one.kind]
            columns = tabling.at_first(schema, tabling.columns_of(schema, who.role))[:5]
            cells = [tabling.cell(schema, column, one.row, today) for column in columns]
            record = one.row["record"]
            found.append(Result(record, schema, cells, open_now.count(record), schema.overdue(one.row, today)))
        named = records.names(house, conn, who.sight, (cell.ref for one in found for cell in one.cells if cell.ref))
    after = "-".join(map(str, answer.after)) if answer.after else ""
    return page(
        "records/search.html", text=text, found=found, after=after, behind=answer.behind, kinds=kinds, named=named,
        kind=chosen[0] if chosen else "",
    )  # fmt: skip


def _mark() -> tuple[int, int] | None:
    """Where the page before ended; None for the first, and for what is no such place."""
    first, _, second = request.args.get("after", "").partition("-")
    if not (first.isascii() and first.isdecimal() and second.isascii() and second.isdecimal() and len(first + second) < 20):
        return None
    return int(first), int(second)
