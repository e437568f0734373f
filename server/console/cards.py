"""证件卡: the cards of officers, to be printed and carried; the QR code is what a tablet scans at the start of a visit.

The code names the certificate and vouches for nothing: every tablet looks it up in its list of officers (`schemas.cards`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import segno

from schemas.cards import card_text
from schemas.certificates import certificate_of, why_not
from schemas.kinds.officer import Officer
from schemas.labels import Label
from server.console.frame import Answer, Desk, instance, page, seat
from server.moments import day
from server.reading import finding, records
from server.reading.finding import Seen
from sync.core.errors import NotFound

desk = Desk("cards", __name__)

MOST = 200
"""On one page; a county has fewer."""


class Card(NamedTuple):
    """A card as it is drawn; `refused`: why tablets refuse it today."""

    record: str
    values: Mapping[str, Any]
    picture: str
    refused: Label | None


@desk.get("/record/<record>/card", may="records.read")
def show(record: str) -> Answer:
    """The card of an officer in sight; why it would be refused today, where it would."""
    house = instance()
    with house.database.read() as conn:
        seen = records.one(house, conn, seat().sight, record)
    if seen.state.kind != Officer.kind or not certificate_of(seen.values):
        raise NotFound(what=record)
    return page("cards/show.html", card=_card(seen, day(house.now())))


@desk.get("/cards", may="records.write")
def every() -> Answer:
    """The cards of all officers in sight whose certificates count today, to be printed and cut."""
    house, today = instance(), day(instance().now())
    with house.database.read() as conn:
        seen = [one for one in finding.every(house, conn, seat().sight.rights(), Officer.kind) if why_not(one.values, today) is None]
    seen.sort(key=lambda one: (str(one.values.get("unit") or ""), str(one.values.get("name") or ""), one.record))
    return page("cards/every.html", cards=[_card(one, today) for one in seen[:MOST]], more=max(0, len(seen) - MOST))


def _card(seen: Seen, today: str) -> Card:
    text = card_text(str(seen.values["certificate_number"]))
    picture = segno.make(text, error="m").svg_data_uri(scale=6, border=2)
    return Card(seen.record, seen.values, picture, why_not(seen.values, today))
