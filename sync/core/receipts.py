"""What a replica believes of the server's log, and why: checkpoints that extend each other, receipts that fit them.

The tablet pins the log's key when it enrols and remembers the newest checkpoint that it has seen. From then on the
server cannot take back what it acknowledged: a log that does not extend the remembered one, a receipt that does not
fit its checkpoint or a checkpoint with another signature ends synchronising at once (`LogInconsistent`,
`UntrustedNote`), and nothing is marked as safe.

Pure: what has to be fetched (a consistency proof) is asked for by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import orjson

from sync.core.change import canonical
from sync.core.errors import LogInconsistent, Malformed, UntrustedNote
from sync.core.log import (
    EMPTY_ROOT,
    frontier_root,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
    verify_tail,
)
from sync.core.note import Checkpoint, Verifier, open_note

ACT_TAG = b"patrolbook/act/v1\0"


def change_leaf(digest: bytes) -> bytes:
    """The leaf hash that stands for a change in the log; `digest` is the hash of its content."""
    return leaf_hash(digest)


def act_leaf(act: str) -> bytes:
    """The leaf hash that stands for an act of the server (a blob held, a hand-over) in the log."""
    return leaf_hash(sha256(ACT_TAG + act.encode()).digest())


def opened(note: str, trusted: Verifier) -> Checkpoint:
    """The checkpoint in a note that the pinned key signed.

    :raises UntrustedNote: not a note, another log's, or not signed by the key
    """
    try:
        checkpoint = open_note(note, [trusted]).checkpoint
    except UntrustedNote:
        raise
    except Malformed as problem:
        raise UntrustedNote(detail=str(problem)) from problem
    if checkpoint.origin != trusted.name:
        raise UntrustedNote(detail=f"of another log: {checkpoint.origin}")
    return checkpoint


def empty(origin: str) -> Checkpoint:
    """What is known of a log before anything was seen of it."""
    return Checkpoint(origin, 0, EMPTY_ROOT)


def extended(known: Checkpoint, seen: Checkpoint, proof: Sequence[bytes]) -> Checkpoint:
    """The newer of two checkpoints, once `proof` (from the smaller to the larger) shows that they are one log.

    :raises LogInconsistent: they are not
    """
    old, new = sorted((known, seen), key=lambda checkpoint: checkpoint.size)
    if not verify_consistency(old.size, new.size, old.root, new.root, proof):
        raise LogInconsistent(known=known.size, seen=seen.size)
    return new


def adjoins(known: Checkpoint, before: int, frontier: Sequence[bytes]) -> bool:
    """Whether a tail begins exactly where the known log ends, so that no consistency proof is needed.

    :raises LogInconsistent: same size, other root
    """
    if before != known.size:
        return False
    if frontier_root(frontier) != known.root:
        raise LogInconsistent(known=known.size, seen=before)
    return True


def check_tail(frontier: Sequence[bytes], before: int, digests: Sequence[bytes], checkpoint: Checkpoint) -> None:
    """That changes with these content hashes are the last leaves of the checkpoint's log.

    :raises LogInconsistent: they are not
    """
    leaves = [change_leaf(digest) for digest in digests]
    if checkpoint.size != before + len(leaves) or not verify_tail(frontier, before, leaves, checkpoint.root):
        raise LogInconsistent(known=before, seen=checkpoint.size)


def check_inclusion(leaf: bytes, index: int, proof: Sequence[bytes], checkpoint: Checkpoint) -> None:
    """That a leaf hash is in the checkpoint's log at this index.

    :raises LogInconsistent: it is not
    """
    if not verify_inclusion(leaf, index, checkpoint.size, proof, checkpoint.root):
        raise LogInconsistent(leaf=index, seen=checkpoint.size)


def check_blob(act: str, digest: str, size: int) -> None:
    """That an act says: the server holds this blob.

    :raises LogInconsistent: it says something else, or says it in another form
    """
    said = _said(act)
    if (said.get("act"), said.get("sha256"), said.get("size"), said.get("v")) != (
        "blob-held",
        digest,
        size,
        1,
    ):
        raise LogInconsistent(detail="an act about something else")


def check_revocation(act: str, device: str) -> Mapping[str, Any]:
    """What an act says, once it says that this device was revoked.

    :raises LogInconsistent: it says something else, or says it in another form
    """
    said = _said(act)
    if (said.get("act"), said.get("device"), said.get("v")) != ("device-revoked", device, 1):
        raise LogInconsistent(detail="an act about something else")
    return said


def _said(act: str) -> Mapping[str, Any]:
    try:
        said = orjson.loads(act)
    except orjson.JSONDecodeError as error:
        raise LogInconsistent(detail="an act that cannot be read") from error
    if not isinstance(said, Mapping) or canonical(said).decode() != act:
        raise LogInconsistent(detail="an act in another form")
    return said
