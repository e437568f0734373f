"""Removing files that `retention.py` lets go, each only when all of this holds at that moment:

    1. its receipt is right: the act names this file, and its proof leads to a checkpoint of the pinned log
    2. as many witnesses as the trust file asks for cosigned a checkpoint that covers it
    3. the server, asked again, says that it holds the file, in the epoch of the receipt

What is removed is noted first, with the leaf of the log that answers for it. A program that is killed in between leaves
a file that the next tidying looks at anew. Records and thumbnails stay, and the server gives an original back
(`bring_back`). On flash memory removing is not erasing: the files are encrypted.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection
from contextlib import closing
from typing import NamedTuple, cast

from field_client.evidence.derivatives import CaptureFiles
from field_client.evidence.removals import Removal, Removals, What
from field_client.evidence.retention import ORDER, Line, lines, server_ms
from field_client.exchange import trustfile
from field_client.exchange.uploads import Blob
from field_client.platform.files import EncryptedFiles
from field_client.tablet import Tablet
from schemas.labels import Label
from sync.core import receipts
from sync.core.errors import DigestMismatch, NotFound, Problem, Unavailable
from sync.core.note import Verifier, open_note
from sync.core.trust import Trust
from sync.core.witnessing import witnessed_at
from sync.peer import BlobReceipt, Held

PURPOSE = "平板调回"
"""What the log says where a restricted original is fetched again."""

Told = Callable[[int, int], None]


class Tidied(NamedTuple):
    """What a tidying did: how many files and bytes went, and by digest why one stayed although its term is over."""

    files: int
    bytes: int
    refused: dict[str, Label]


def tidy(
    tablet: Tablet,
    only: Collection[What] = ORDER,
    told: Told = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> Tidied:
    """Remove what may go of these sorts. Needs the server; `stop` is asked between files.

    :raises NotEnrolled, Unavailable: nothing more was removed
    """
    return _remove(tablet, [line for line in lines(tablet, only) if line.may], told, stop)


def remove_held(tablet: Tablet) -> Tidied:
    """Remove every file that the server holds, whatever its term: this tablet was revoked. Raises as `tidy`."""
    held = [line for line in lines(tablet) if line.blob.held and line.blob.proven]
    return _remove(tablet, held, lambda done, total: None, lambda: False)


def content(tablet: Tablet, sha256: str) -> bytes:
    """A file of this tablet, from the server where it was removed here. Raises NotFound, Unavailable."""
    if sha256 in Removals(tablet.store.database).all():
        return tablet.fetch(sha256, purpose=PURPOSE)
    with closing(tablet.files.open(sha256)) as here:
        return here.read()


def bring_back(tablet: Tablet, sha256: str) -> None:
    """Fetch a file that was removed here from the server; it stays until the next tidying.

    :raises NotFound: it was not removed here, or the server does not give it
    :raises DigestMismatch: what came is something else; nothing was kept
    :raises Unavailable, DiskFull:
    """
    removals = Removals(tablet.store.database)
    if sha256 not in removals.all():
        raise NotFound(what=Label(f"清理过的文件 {sha256[:12]}", f"a file {sha256[:12]} that was removed here"))
    files = cast(CaptureFiles, tablet.files)
    came = tablet.fetch(sha256, purpose=PURPOSE)
    stored = files.add(io.BytesIO(came), sha256[:12])
    if stored.sha256 != sha256:
        cast(EncryptedFiles, files).delete(stored.sha256)
        raise DigestMismatch(what=sha256[:12])
    with tablet.store.writing():
        removals.forget(sha256)


# ---- inside ------------------------------------------------------------------------------------------------


def _remove(tablet: Tablet, found: list[Line], told: Told, stop: Callable[[], bool]) -> Tidied:
    refused: dict[str, Label] = {}
    if not found:
        return Tidied(0, 0, refused)
    files, removals, trust = cast(EncryptedFiles, tablet.files), Removals(tablet.store.database), _trust(tablet)
    if tablet.peer().hello().epoch != tablet.store.epoch:
        raise Unavailable(detail=Label("服务器曾被恢复，请先同步", "the server was restored; synchronise first"))
    count = size = 0
    for number, line in enumerate(found):
        if stop():
            break
        told(number, len(found))
        blob = line.blob
        receipt = tablet.store.uploads.receipt(blob.sha256)
        why = _why_not(tablet, blob, receipt, trust)
        if why is not None or receipt is None:
            refused[blob.sha256] = why or Label("没有回执", "there is no receipt")
            continue
        with tablet.store.writing():
            removals.note(Removal(blob.sha256, line.what, blob.size, server_ms(tablet), receipt.leaf))
        files.delete(blob.sha256)
        count, size = count + 1, size + blob.size
    told(len(found), len(found))
    return Tidied(count, size, refused)


def _why_not(tablet: Tablet, blob: Blob, receipt: BlobReceipt | None, trust: Trust | None) -> Label | None:
    """Why a file must not go although its term is over; asks the server."""
    if receipt is None:
        return Label("没有回执", "there is no receipt")
    try:
        _check(tablet, blob, receipt)
    except Problem as problem:
        return Label(f"回执不符：{problem.text('zh')}", f"the receipt is not right: {problem.text('en')}")
    if trust is not None and trust.quorum and not _witnessed(tablet, receipt, trust):
        return Label(f"还没有 {trust.quorum} 个见证", f"{trust.quorum} witnesses have not signed yet")
    if isinstance(tablet.peer().offer(tablet.store.blob_offer(blob.sha256)), Held):
        return None
    with tablet.store.writing():
        tablet.store.uploads.unhold(blob.sha256)
    return Label("服务器已没有它，将重新上传", "the server has it no more; it goes up again")


def _check(tablet: Tablet, blob: Blob, receipt: BlobReceipt) -> None:
    checkpoint = receipts.opened(receipt.checkpoint, _log(tablet))
    receipts.check_blob(receipt.act, blob.sha256, blob.size)
    receipts.check_inclusion(receipts.act_leaf(receipt.act), receipt.leaf, receipt.proof, checkpoint)


def _witnessed(tablet: Tablet, receipt: BlobReceipt, trust: Trust) -> bool:
    """Whether a checkpoint that covers the receipt is cosigned by enough witnesses."""
    try:
        note = tablet.peer().witnessed()
    except NotFound:
        return False
    seen = receipts.opened(note, _log(tablet))
    if witnessed_at(open_note(note, trust.verifiers()), trust) is None or receipt.leaf >= seen.size:
        return False
    proof = tablet.peer().inclusion(seen.size, [receipt.leaf]).get(receipt.leaf, ())
    receipts.check_inclusion(receipts.act_leaf(receipt.act), receipt.leaf, proof, seen)
    return True


def _trust(tablet: Tablet) -> Trust | None:
    """What the trust file asks for; None where there is none: then no witnesses are asked for.

    :raises NoSealKeys: one that is damaged must not pass as none
    """
    if not (tablet.home / trustfile.FILE).exists():
        return None
    return trustfile.held(tablet.home).trust


def _log(tablet: Tablet) -> Verifier:
    identity = tablet.identity
    assert identity is not None  # there is a receipt
    return Verifier(identity.log.origin, identity.log.key)
