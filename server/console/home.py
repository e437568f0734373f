"""The home page: what waits for whoever sits there, what is overdue, what has not synced, and two charts."""

from __future__ import annotations

from typing import Any

from flask import current_app, url_for

from schemas.labels import Label
from server.console.frame import Answer, Desk, Seat, instance, page, seat
from server.console.naming import NAMES
from server.merging.backlog import PLACES
from server.reading import overview
from server.reading.overview import Bar, Waiting
from server.storage.conflicts import Tally
from server.storage.database import Connection

desk = Desk("home", __name__)

LISTING = "console.records.listing"
MERGE = "console.merge.queue"
REVIEW = "console.review.queue"
DESKS = {"clue": "console.clues.listing", "task": "console.tasks.listing"}
"""Kinds that have a desk of their own."""


class Tile:
    """A number with what it counts; `address` is where the work is, empty where there is no such page for the role."""

    def __init__(self, number: str, label: Label, state: str, icon: str, address: str = "", note: Label | None = None):
        self.number, self.label, self.state, self.icon = number, label, state, icon
        self.address, self.note = address, note


@desk.get("/", may="home")
def start() -> Answer:
    house, who = instance(), seat()
    if not who.may("records.read"):
        return page("home/field.html")
    with house.database.read() as conn:
        return page(
            "home/start.html",
            tiles=_tiles(conn, who),
            synced=overview.synced(house, conn, who.sight) if who.may("devices.read") else None,
            institutions=overview.institutions(house, conn, who.sight),
            clues=[Bar(_place(code), number) for code, number in overview.clues_by_place(house, conn, who.sight)]
            if who.may("clues.read") else None,
            weeks=overview.hazards(house, conn, who.sight),
        )


def _tiles(conn: Connection, who: Seat) -> list[Tile]:
    house = instance()
    late = [_waiting(one) for one in overview.overdue(house, conn, who.sight)]
    found: list[Tile] = []
    if who.may("merge.read"):
        for place, waiting in overview.undecided(house, conn, who.sight).items():
            if waiting.number or place == "values":  # the other places are named where something is in them
                label = Label("冲突待决", "conflicts to decide") if place == "values" else PLACES[place].label
                found.append(_undecided(waiting, label, _at(MERGE, place=place), house.now()))
    if who.may("review.read"):
        found += [_waiting(one) for one in overview.steps(house, conn, who.sight)]
    return sorted([*late, *found], key=lambda one: one.state == "ok")  # what is done comes last


def _undecided(waiting: Tally, label: Label, address: str, now: int) -> Tile:
    days = (now - waiting.since) // 86_400_000 if waiting.since is not None else 0
    note = Label(f"最早的已等 {days} 天", f"the oldest for {days} days") if days else None
    return Tile(str(waiting.number), label, "wait" if waiting.number else "ok", "merge", address, note)


def _waiting(one: Waiting) -> Tile:
    number = f"{one.number}+" if one.more else str(one.number)
    state = "ok" if not one.number else "late" if one.late else "wait"
    query = {"overdue": "1"} if one.late else {"f-status": one.status}
    if one.kind in DESKS:
        address = _at(DESKS[one.kind], which="late" if one.late else one.status)
    else:
        address = _at(REVIEW) if one.kind == "inspection" else _at(LISTING, kind=one.kind, **query)
    return Tile(number, one.label, state, "clock" if one.late else "wait", address)


def _place(code: str) -> Label:
    """A division by its own name: a chart has little room."""
    name = NAMES.all(instance()).get(code, code)
    return Label(name, name)


def _at(endpoint: str, **values: Any) -> str:
    return url_for(endpoint, **values) if endpoint in current_app.view_functions else ""
