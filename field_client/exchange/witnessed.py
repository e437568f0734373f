"""Whether others have seen the log that this tablet was shown: the newest checkpoint with enough cosignatures.

How many are enough the trust file says (`quorum`). Where it asks for any, a receipt alone does not make a tablet safe to
hand in: the change must be below a checkpoint that so many witnesses have cosigned and that is one log with everything
this tablet saw. A checkpoint that claims to be witnessed and is not, or that is of another log, ends synchronising.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from field_client.exchange import trustfile
from field_client.store import Store
from schemas.labels import Label
from sync.core import receipts
from sync.core.errors import NotFound, Problem, Unavailable, UntrustedNote
from sync.core.note import Verifier, open_note
from sync.core.trust import Trust
from sync.core.witnessing import cosigners, witnessed_at
from sync.peer import LogKey, Peer

NOTED = "witnessed"


class Seen(NamedTuple):
    """The newest witnessed checkpoint of this epoch: its size, 0 before the first; when that was (seconds, by the
    witnesses); how many witnesses the trust file asks for.
    """

    size: int
    at: int | None
    quorum: int


def seen(home: Path, store: Store) -> Seen | None:
    """What is known; None where the trust file asks for no witness, or there is none."""
    trust = _trust(home)
    if trust is None or trust.quorum == 0:
        return None
    noted = store.meta(NOTED) or {}
    if noted.get("epoch") != (store.epoch or ""):
        return Seen(0, None, trust.quorum)
    return Seen(noted["size"], noted["at"], trust.quorum)


def renew(home: Path, store: Store, peer: Peer, log: LogKey) -> None:
    """Ask for the newest witnessed checkpoint, check it against everything that was seen, and note it.

    Nothing happens where the trust file asks for no witness, or the server has nothing newer.

    :raises UntrustedNote: it is not cosigned by enough witnesses of the trust file
    :raises LogInconsistent: it is of another log than this tablet saw
    """
    trust = _trust(home)
    if trust is None or trust.quorum == 0:
        return
    try:
        note = peer.witnessed()
        pinned = receipts.opened(note, Verifier(log.origin, log.key))
        at = _checked(note, trust)
        known = store.checkpoint()
        sizes = sorted((known.size, pinned.size))
        proof = peer.consistency(*sizes) if 0 < sizes[0] < sizes[1] else ()
    except (NotFound, Unavailable):
        return  # not yet; what lacks a witness is told by the ledger
    newest = receipts.extended(known, pinned, proof)
    held = seen(home, store)
    if held is not None and pinned.size < held.size:
        return
    if newest == pinned:
        store.remember(pinned, note)
    with store.writing():
        store.note(NOTED, {"epoch": store.epoch or "", "size": pinned.size, "at": at})


def _checked(note: str, trust: Trust) -> int:
    opened = open_note(note, trust.verifiers())
    at = witnessed_at(opened, trust)
    if at is None:
        count = len(cosigners(opened, trust))
        detail = Label(f"见证只有 {count} 个，应有 {trust.quorum} 个", f"{count} witnesses, {trust.quorum} are needed")
        raise UntrustedNote(detail=detail)
    return at


def _trust(home: Path) -> Trust | None:
    try:
        return trustfile.held(home).trust
    except Problem:
        return None
