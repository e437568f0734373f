"""证件卡: the card of an officer, to be printed and carried; its QR code is what a tablet scans at the start of a visit.

The code names the certificate and vouches for nothing: every tablet looks it up in its list of officers (`schemas.cards`).
"""

from __future__ import annotations

import segno

from schemas.cards import card_text
from schemas.certificates import certificate_of, why_not
from schemas.kinds.officer import Officer
from server import records
from server.console.frame import Answer, Desk, instance, page, seat
from server.moments import day
from sync.core.errors import NotFound

desk = Desk("cards", __name__)


@desk.get("/record/<record>/card", may="records.read")
def show(record: str) -> Answer:
    """The card of an officer in sight; why it would be refused today, where it would."""
    house = instance()
    with house.database.read() as conn:
        seen = records.one(house, conn, seat().sight, record)
    if seen.state.kind != Officer.kind or not certificate_of(seen.values):
        raise NotFound(what=record)
    text = card_text(str(seen.values["certificate_number"]))
    return page(
        "cards/show.html",
        seen=seen,
        picture=segno.make(text, error="m").svg_data_uri(scale=6, border=2),
        refused=why_not(seen.values, day(house.now())),
    )
