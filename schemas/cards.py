"""证件卡: what the QR code on an officer's card says. Written at the desk, read by a tablet that has no network.

    patrolbook:officer?certificate=<number>

A card names a certificate and vouches for nothing: a photo of a card is as good as the card. What counts is the ledger of
officers, so a tablet looks the number up there. Other cards whose code is nothing but the number are read too.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlencode

from schemas.certificates import certificate_of

SCHEME = "patrolbook:"
_FORM = f"{SCHEME}officer"
_BARE = re.compile(r"[\w\-—－()（）〔〕 ]{4,60}\Z")
"""A number alone, as other makers of cards write it: no address, no separator of other codes."""


def card_text(certificate: str) -> str:
    """What the QR code on the card of a certificate says."""
    return f"{_FORM}?{urlencode({'certificate': certificate})}"


def read_card(text: str) -> str | None:
    """The certificate that a code names, in its one form (`certificates.certificate_of`); None where it is no card."""
    form, _, query = text.strip().partition("?")
    said = parse_qs(query).get("certificate", [""])[0] if form == _FORM else text
    if form != _FORM and not _BARE.match(text.strip()):
        return None
    return certificate_of({"certificate_number": said}) or None
