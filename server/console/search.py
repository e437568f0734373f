"""Search over all kinds: any piece of what somebody wrote, best first."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import request

from schemas.base import RecordSchema
from schemas.fields import Text
from server.console import tabling
from server.console.frame import Answer, Desk, instance, page, seat
from server.console.naming import placed
from server.console.tabling import Cell, Column
from server.moments import day
from server.reading import records
from server.reading.searching import Searcher
from server.storage import conflicts

desk = Desk("search", __name__)

SIZE = 30
AROUND = 24
"""Letters of an excerpt on each side of what was looked for."""


class Result(NamedTuple):
    """A record that fits, as a line."""

    record: str
    schema: type[RecordSchema]
    cells: list[Cell]
    conflicts: int
    overdue: bool
    excerpt: tuple[str, str, str] | None


@desk.get("/search", may="records.read")
def results() -> Answer:
    house, who = instance(), seat()
    text = request.args.get("q", "").strip()[:200]
    kinds = records.kinds_in_sight(house, who.sight)
    chosen = [one.kind for one in kinds if one.kind == request.args.get("kind")]
    answer = Searcher(house).find(text, records.text_sight(who.sight), chosen, after=_mark(), size=SIZE)
    today, say_place = day(house.now()), placed(house)
    found = []
    with house.database.read() as conn:
        open_now = [row.record for row in conflicts.of_records(conn, [one.row["record"] for one in answer.found]) if row.status != "resolved"]
        for one in answer.found:
            schema = house.registry[one.kind]
            columns = tabling.at_first(schema, tabling.columns_of(schema, who.role))[:5]
            cells = [tabling.cell(schema, column, one.row, today, say_place) for column in columns]
            record = one.row["record"]
            late = schema.overdue(one.row, today)
            excerpt = _excerpt(schema, columns, who.role, one.row, text)
            found.append(Result(record, schema, cells, open_now.count(record), late, excerpt))
        named = records.names(house, conn, who.sight, (cell.ref for one in found for cell in one.cells if cell.ref))
    after = "-".join(map(str, answer.after)) if answer.after else ""
    return page(
        "records/search.html", text=text, found=found, after=after, behind=answer.behind, kinds=kinds, named=named,
        kind=chosen[0] if chosen else "",
    )  # fmt: skip


def _excerpt(
    schema: type[RecordSchema], shown: list[Column], role: str, row: dict[str, Any], text: str
) -> tuple[str, str, str] | None:
    """Where the first word stands in a field that the line does not show: what is before it, the word, what follows."""
    word = text.split()[0].casefold() if text else ""
    names = {column.name for column in shown}
    for name, field in schema.projected():
        value = row.get(name)
        if name in names or role in field.hidden_from or not isinstance(field, Text) or not isinstance(value, str):
            continue
        at = value.casefold().find(word)
        if word and at >= 0 and len(value.casefold()) == len(value):
            start, end = max(0, at - AROUND), at + len(word) + AROUND
            before, after = ("…" if start else "") + value[start:at], value[at + len(word) : end] + ("…" if end < len(value) else "")
            return before, value[at : at + len(word)], after
    return None


def _mark() -> tuple[int, str] | None:
    """Where the page before ended; None for the first, and for what is no such place."""
    first, _, record = request.args.get("after", "").partition("-")
    return (int(first), record) if first.isascii() and first.isdecimal() and len(first) == 1 and 0 < len(record) < 100 else None
