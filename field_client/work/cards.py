"""The card of an officer, scanned: who that is by the ledger on this tablet, and whether they may be taken.

The ledger decides and never the card: a card that was made by hand, or of a certificate that was given up, names nobody
here. Who is found is judged as somebody who was picked from the list (`inspecting.choose_officers`).
"""

from __future__ import annotations

from collections.abc import Iterable

from field_client.tablet import Tablet
from field_client.work import inspecting
from schemas.base import DELETED
from schemas.cards import read_card
from schemas.certificates import certificate_of, day_of, why_not
from schemas.kinds.officer import Officer
from schemas.labels import Label
from sync.core.errors import Refused
from sync.core.fold import values_of


def seen(codes: Iterable[str]) -> str:
    """The first code that is a card's. Raises Refused where none is."""
    found = list(codes)
    card = next((one for one in found if read_card(one) is not None), None)
    if card is not None:
        return card
    if found:
        raise Refused(detail=Label("看到的二维码不是执法人员的证件卡", "the QR code that is seen is no officer's card"))
    raise Refused(detail=Label("没有看到证件卡上的二维码，请靠近、对正再拍", "no card is seen: take it again, closer and straight"))


def officer_on(tablet: Tablet, card: str, day: str) -> str:
    """The id of the officer on a card; of several with that certificate the one who may enforce on the day.

    :raises Refused: it is no card, or the ledger here has no such certificate
    """
    certificate = read_card(card)
    if certificate is None:
        raise Refused(detail=Label("不是执法人员的证件卡", "this is no officer's card"))
    known = [(one.record, values_of(one, Officer.merge_of)) for one in tablet.browse(Officer.kind)]
    held = [(why_not(values, day) is not None, id) for id, values in known if certificate_of(values) == certificate and DELETED not in values]
    if not held:
        raise Refused(
            detail=Label(
                f"证号 {certificate} 不在本机的执法人员名册中：先同步再扫；仍没有的，卡是伪造的或已作废，请向县级核实",
                f"the certificate {certificate} is not in the list of officers here: synchronise and scan again; if it stays so, "
                "the card is forged or was given up: ask the county",
            )
        )
    return min(held)[1]


def take(tablet: Tablet, inspection: str, card: str) -> str:
    """Take the officer on a card into an inspection; returns the officer's id.

    :raises Refused: says why not: no such certificate, not in force that day, there already, the same person; nothing was
        written
    """
    values = tablet.values(inspection)
    officer, chosen = officer_on(tablet, card, day_of(values.get("started_at"))), inspecting.officers_of(values)
    if officer in chosen:
        name = tablet.values(officer).get("name")
        raise Refused(
            detail=Label(f"{name} 已在检查人员中，同一个人只算一名；请扫另一人的卡",
                         f"{name} is there already, and the same person counts once: scan somebody else's card")
        )  # fmt: skip
    inspecting.choose_officers(tablet, inspection, chosen | {officer})
    return officer
