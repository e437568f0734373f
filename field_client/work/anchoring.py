"""锚定 on the tablet: where its chain stands, shown to a colleague's tablet and printed on the copy for the party.

Neither needs a network. What was noted elsewhere cannot be rolled back here: `sync.core.anchors` has the written forms,
the server compares them with what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from field_client.exchange.outbox import Head
from field_client.moments import moment
from field_client.tablet import Tablet
from field_client.work.inspecting import content_of
from field_client.work.scanning import codes_of
from schemas.kinds.anchor import Anchor
from schemas.kinds.inspection import Inspection
from schemas.labels import Label
from sync.core import anchors
from sync.core.anchors import Paper
from sync.core.cosigning import written
from sync.core.errors import NotAllowed, NotFound, Refused
from sync.core.signing import document_hash, document_of

KIND = Anchor.kind

Stage = Literal["start", "end"]
Word = Literal["agrees", "contradicts", "elsewhere"]
SAYS: dict[Word, Label] = {
    "agrees": Label("与本机的链一致", "agrees with this tablet's chain"),
    "contradicts": Label(
        "与本机的链不符：本机或其数据曾被回退", "is not this tablet's chain: the tablet or its data was rolled back"
    ),
    "elsewhere": Label(
        "是另一台平板或旧副本的链，请在服务器上核对：patrolbook-server anchor check",
        "is of another tablet or replica; ask the server: patrolbook-server anchor check",
    ),
}


class Printed(NamedTuple):
    """The anchor on a printed copy: the text of its QR code and the code to read aloud. `again`: printed before."""

    text: str
    spoken: str
    again: bool


class Checked(NamedTuple):
    """What this tablet knows of a code.

    word       what its own chain says of the head
    unchanged  whether the inspection still says what was printed; None where it is not here
    """

    n: int
    head: str
    inspection: str
    word: Word
    unchanged: bool | None


# --- Between two tablets ---------------------------------------------------------------------------------------------


def show(tablet: Tablet) -> str:
    """Where the chain stands, signed, as one line for a QR code. Raises Refused where nothing was written yet."""
    head = _head(tablet)
    return anchors.show(head.replica, head.n, head.chain, tablet.public_key, tablet.sign)


def scan(
    tablet: Tablet, text: str, inspection: str | None = None, stage: Stage | None = None, record: str | None = None
) -> str:
    """Note where a colleague's chain stands; returns the id of the anchor, which is `record` where a form named it.

    :raises Malformed, BadSignature: it is no anchor, or was altered on the way
    :raises Refused: it is this tablet's own
    :raises NotAllowed: this role writes no anchors
    """
    if record is not None and tablet.store.knows(record):
        return record
    area = _area(tablet, inspection)
    peer = anchors.scan(text)
    if bytes.fromhex(peer.key) == tablet.public_key:
        raise Refused(detail=Label("这是本机自己的锚定码", "this is the anchor of this very tablet"))
    values = {
        "sort": "peer",
        "area": area,
        "replica": peer.replica,
        "n": peer.n,
        "head": peer.head,
        "taken_at": moment(tablet),
        "inspection": inspection,
        "stage": stage,
        "key": peer.key,
        "signature": written(peer.signature),
    }
    return tablet.write(KIND, record, {path: value for path, value in values.items() if value is not None}).record


def read_photo(tablet: Tablet, file: Path) -> str:
    """The anchor in a photo of another tablet's screen, or of a printed copy: the text of its QR code.

    :raises Refused: no anchor is seen in it, or it cannot be opened; BrokenFile: it is no picture
    """
    return seen(codes_of(tablet.platform.pictures, file))


def seen(codes: Iterable[str]) -> str:
    """The first code that is an anchor. Raises Refused where none is."""
    for text in codes:
        if text.startswith((f"{anchors.PEER}|", f"{anchors.PAPER}|")):
            return text
    detail = Label(
        "没有看到锚定码，请靠近、对正再拍", "no anchor is seen: take it again, closer and straight"
    )
    raise Refused(detail=detail)


# --- On paper --------------------------------------------------------------------------------------------------------


def anchor_document(tablet: Tablet, inspection: str) -> Printed:
    """The anchor for a copy of an inspection as it stands. The same content has the same one however often it is printed.

    :raises NotReady: something in it is in conflict
    :raises Refused: this tablet has written nothing yet; NotAllowed: this role writes no anchors
    """
    area = _area(tablet, inspection)
    content_of(tablet, inspection)  # refuses what is in conflict
    if (before := printed(tablet, inspection)) is not None:
        return before
    document = _document(tablet, inspection)
    head = _head(tablet)
    paper = Paper(head.chain, head.n, document)
    tablet.write(
        KIND,
        None,
        {
            "sort": "paper",
            "area": area,
            "replica": head.replica,
            "n": head.n,
            "head": head.chain,
            "taken_at": moment(tablet),
            "inspection": inspection,
            "stage": "end",
            "document": document,
            "code": anchors.spoken(paper),
        },
    )
    return Printed(anchors.paper_text(paper), anchors.spoken(paper), again=False)


def printed(tablet: Tablet, inspection: str) -> Printed | None:
    """The anchor that was made for an inspection as it stands; None where it was not printed yet. Raises NotFound."""
    document = _document(tablet, inspection)
    for id in tablet.store.mentioning(KIND, inspection):
        values = tablet.values(id)
        if (values.get("inspection"), values.get("document")) == (inspection, document):
            paper = Paper(str(values["head"]), int(values["n"]), document)
            return Printed(anchors.paper_text(paper), anchors.spoken(paper), again=True)
    return None


def noted(tablet: Tablet, inspection: str | None) -> list[Mapping[str, Any]]:
    """The anchors of other tablets that were noted here for an inspection, or for none, in the order of their noting."""
    ids = tablet.records(KIND) if inspection is None else tablet.store.mentioning(KIND, inspection)
    every = [tablet.values(id) for id in ids]
    found = [one for one in every if one.get("sort") == "peer" and one.get("inspection") == inspection]
    return sorted(found, key=lambda one: str(one.get("taken_at")))


def _document(tablet: Tablet, inspection: str) -> str:
    """The hash of the document that an inspection is now."""
    return document_hash(document_of(Inspection, tablet.view(inspection).record, tablet.values(inspection)))


def check(tablet: Tablet, code: str) -> Checked:
    """What this tablet knows of a code from paper: read aloud, or the text of the QR code.

    :raises Malformed: it is none, or was misheard
    :raises NotFound: no anchor with this code is here
    """
    paper = anchors.read_paper(code) if code.strip().startswith(anchors.PAPER + "|") else None
    wanted = anchors.spoken(paper) if paper is not None else anchors.heard(code)
    for id in tablet.records(KIND):
        values = tablet.values(id)
        if values.get("sort") != "paper":
            continue
        known = Paper(str(values.get("head")), int(values.get("n") or 0), str(values.get("document")))
        if anchors.spoken(known) == wanted:  # computed, whatever the record says its code is
            chain = tablet.store.outbox.chain_at(str(values.get("replica")), known.n)
            return _checked(tablet, known, chain, str(values.get("inspection") or ""))
    raise NotFound(what=Label("这个码对应的锚定", "the anchor of this code"))


def _checked(tablet: Tablet, paper: Paper, chain: str | None, inspection: str) -> Checked:
    unchanged = None
    try:
        shown = document_of(Inspection, tablet.view(inspection).record, tablet.values(inspection))
        unchanged = document_hash(shown) == paper.document
    except NotFound:
        pass
    word: Word = "elsewhere" if chain is None else "agrees" if chain == paper.head else "contradicts"
    return Checked(paper.n, paper.head, inspection, word, unchanged)


# --- Both ------------------------------------------------------------------------------------------------------------


def _head(tablet: Tablet) -> Head:
    head = tablet.store.outbox.head()
    if not head.n:
        raise Refused(detail=Label("本机还没有写过任何内容", "nothing was written on this tablet yet"))
    return head


def _area(tablet: Tablet, inspection: str | None) -> str:
    """Where an anchor belongs. Refuses the roles whose anchors would show in the open that somebody was there."""
    identity = tablet.identity
    if identity is not None and identity.person.role not in Anchor.makers:
        raise NotAllowed(detail=Label("该角色不写锚定", "this role writes no anchors"))
    if inspection is not None:
        return str(tablet.values(inspection).get("area") or "")
    areas = [grant.area for grant in identity.grants if grant.area] if identity is not None else []
    if not areas:
        raise Refused(detail=Label("请写明检查：--inspection", "say which inspection it belongs to: --inspection"))
    return areas[0]
