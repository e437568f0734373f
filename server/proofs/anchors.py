"""锚定 at the server: whether what was noted on another tablet or on paper agrees with what is held.

An anchor names a place in a chain and its head. The server holds the chain as far as it has arrived; where the tablet
was rolled back, either another change stands at that place, or the tablet has gone on as a new replica without it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from server.instance import Instance
from server.storage import chains, journal, people
from server.storage.database import Connection
from sync.core import anchors
from sync.core.anchors import Kept, Paper, Peer, Verdict
from sync.core.change import START, Change, chain_hash
from sync.core.cosigning import read
from sync.core.fold import Entry, fold, values_of
from sync.core.signing import document_hash, document_of


class Checked(NamedTuple):
    """An anchor and what the log says of it.

    record    of the anchor; empty for one that was only typed in
    document  whether the printed document is what the inspection said at some time; None where that cannot be told
    """

    record: str
    sort: str
    replica: str
    device: str
    n: int
    head: str
    taken_at: str
    inspection: str
    verdict: Verdict
    document: bool | None = None

    @property
    def odd(self) -> bool:
        return self.verdict in anchors.ODD or self.document is False


def every(house: Instance, conn: Connection, documents: bool = True) -> list[Checked]:
    """Every anchor that arrived, oldest first; the printed documents are looked at where that is asked for."""
    rows = house.projections.rows(conn, "anchor")
    return [_of_record(house, conn, row, documents) for row in rows if row["n"] and row["head"]]


def by_code(house: Instance, conn: Connection, text: str) -> Checked | None:
    """The anchor that a person typed: the text of a QR code, or the code that is read aloud. None: it is not known here.

    :raises Malformed: it is none; BadSignature: an anchor of a tablet that the tablet did not sign
    """
    if text.strip().startswith(anchors.PEER):
        peer = anchors.scan(text)
        return Checked("", "peer", peer.replica, _device(conn, peer.replica), peer.n, peer.head, "", "",
                       of_peer(conn, peer))  # fmt: skip
    if text.strip().startswith(anchors.PAPER + "|"):
        return _printed(house, conn, anchors.read_paper(text))
    rows = house.projections.find(conn, "anchor", "code", anchors.heard(text))
    return _of_record(house, conn, rows[0]) if rows else None


def of_peer(conn: Connection, peer: Peer) -> Verdict:
    """What the log says of what another tablet showed; the key must be that of the replica's device."""
    owner = people.device(conn, _device(conn, peer.replica))
    if not anchors.vouched(peer) or (owner is not None and owner.key.hex() != peer.key):
        return "foreign"
    return verdict(conn, peer.replica, peer.n, peer.head)


def verdict(conn: Connection, replica: str, n: int, head: str) -> Verdict:
    """What the log says of a head of a chain."""
    found = journal.links_of(conn, replica, n, n).get(n)
    if found is not None:
        return anchors.judge(head, Kept(found[1]))
    later = _later(conn, replica)
    return anchors.judge(head, Kept(None, bool(later), _carried(conn, replica, n, later) if later else None))


def _of_record(house: Instance, conn: Connection, row: dict[str, Any], documents: bool = True) -> Checked:
    replica, n, head = str(row["replica"]), int(row["n"]), str(row["head"])
    if row["sort"] == "peer":
        said = of_peer(conn, Peer(replica, n, head, str(row["key"] or "00" * 32), read(row["signature"])))
    else:
        said = verdict(conn, replica, n, head)
    document = _is_document(house, conn, row["inspection"], row["document"]) if documents else None
    return Checked(row["record"], str(row["sort"]), replica, _device(conn, replica), n, head, str(row["taken_at"]),
                   str(row["inspection"] or ""), said, document)  # fmt: skip


def _printed(house: Instance, conn: Connection, paper: Paper) -> Checked | None:
    """What a printed QR code says, with the anchor record where it arrived, by the chain alone where it did not."""
    for row in house.projections.find(conn, "anchor", "head", paper.head):
        if row["n"] == paper.n and row["document"] == paper.document:
            return _of_record(house, conn, row)
    replica = chains.with_head(conn, paper.n, paper.head)
    if replica is None:
        return None
    return Checked("", "paper", replica, _device(conn, replica), paper.n, paper.head, "", "", "held")


def _device(conn: Connection, replica: str) -> str:
    return people.owner_of(conn, replica) or ""


def _later(conn: Connection, replica: str) -> list[str]:
    """The replicas that its device went on as."""
    device = people.owner_of(conn, replica)
    own = chains.replicas_of(conn, device) if device is not None else []
    return own[own.index(replica) + 1 :] if replica in own else []


def _carried(conn: Connection, replica: str, n: int, later: list[str]) -> str | None:
    """The head at n, had the changes that came under the next replica been numbered by this one.

    A tablet that goes on as a new replica numbers again what was not sent; ids and contents stay.
    """
    at, head = journal.last_link(conn, replica) or (0, START)
    for link in journal.chain_of(conn, later[0], 1, n - at):
        at += 1
        head = chain_hash(replica, at, head, link.hash)
    return head if at == n else None


def _is_document(house: Instance, conn: Connection, inspection: Any, document: Any) -> bool | None:
    """Whether the hash is that of the inspection as it stood after one of its changes.

    The changes are taken by their own time, which is the order in which its tablet saw them. None: it has not arrived.
    """
    schema = house.registry.get("inspection")
    if schema is None or not inspection or not document:
        return None
    entries = sorted(journal.entries(conn, [str(inspection)]), key=_by_time)
    kept: list[Entry] = []
    for entry in entries:
        kept.append(entry._replace(status="accepted"))  # a tablet shows its own changes, whatever becomes of them
        state = fold(kept).get(str(inspection))
        if state is not None:
            values = values_of(state, schema.merge_of)
            if document_hash(document_of(schema, state.record, values)) == document:
                return True
    return False if entries else None


def _by_time(entry: Entry) -> tuple[str, str]:
    change: Change = entry.change
    return change.hlc, change.id
