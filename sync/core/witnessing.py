"""Witnesses: other organisations that see the log grow and say so, in the protocol of c2sp.org/tlog-witness.

A witness keeps the newest checkpoint that it has cosigned of each log. It cosigns another one only when that extends it,
so a log that shows different people different trees, or goes back, gets at most one of them cosigned. A submission:

    old 41
    PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=

    fi.example/prov-log-1
    42
    YQpsGYhX0pJRdH5XkU0f1SubYu48mdieZqZIvav55wg=

    — fi.example/prov-log-1 gJUwj+pA…

The size that the witness is believed to know, a proof from there (RFC 9162 §2.1.4), an empty line and the checkpoint.

Pure: both sides' decisions, and how many cosignatures are enough. Keeping and sending are done elsewhere.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from sync.core.errors import Malformed, UntrustedNote
from sync.core.log import EMPTY_ROOT, verify_consistency
from sync.core.note import MAX_NOTE_BYTES, Checkpoint, OpenedNote, SignatureType, Verifier, open_note
from sync.core.trust import Trust

MAX_PROOF = 63
MAX_SUBMISSION = MAX_NOTE_BYTES + 64 * 64
"""Bytes: a note, and a proof of `MAX_PROOF` lines of 45."""

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


class Submission(NamedTuple):
    """What a log asks a witness to cosign: the size that the witness knows, a proof from there, the signed note."""

    old: int
    proof: tuple[bytes, ...]
    note: str


def origin_of(note: str) -> str:
    """Which log a note claims to be of: its first line."""
    return note.partition("\n")[0]


def write_submission(old: int, proof: Sequence[bytes], note: str) -> bytes:
    """The body of a request."""
    lines = [f"old {old}\n", *(b64encode(node).decode() + "\n" for node in proof), "\n", note]
    return "".join(lines).encode()


def read_submission(body: bytes) -> Submission:
    """The submission that `write_submission` wrote; the note in it is not looked at yet.

    :raises Malformed: anything else
    """
    try:
        head, blank, note = body.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise Malformed(detail="a submission is text") from None
    first, *lines = head.split("\n")
    match = _OLD.fullmatch(first)
    if not blank or match is None or len(lines) > MAX_PROOF:
        raise Malformed(detail="a submission is an old size, a proof, an empty line and a checkpoint")
    return Submission(int(match[1]), tuple(_node(line) for line in lines), note)


class Answer(IntEnum):
    """What a witness answers, as the status of HTTP that the protocol gives it."""

    COSIGNED = 200
    MALFORMED = 400
    UNTRUSTED = 403
    UNKNOWN_LOG = 404
    CONFLICT = 409
    NOT_PROVEN = 422


class Judgement(NamedTuple):
    """What a witness makes of a submission.

    checkpoint  what was submitted, where its log has signed it; None where not
    forked      the log has signed what cannot be a later state of the log that was cosigned: keep it, it proves that
    """

    answer: Answer
    checkpoint: Checkpoint | None = None
    forked: bool = False


def judge(submission: Submission, known: Checkpoint | None, keys: Sequence[Verifier]) -> Judgement:
    """What to answer, given the newest checkpoint of that log that was cosigned, and the log's keys; none: not our log.

    Only `COSIGNED` may be followed by a signature, and only after the checkpoint was stored.
    """
    if not keys:
        return Judgement(Answer.UNKNOWN_LOG)
    try:
        note = open_note(submission.note, keys)
    except UntrustedNote:
        return Judgement(Answer.UNTRUSTED)
    except Malformed:
        return Judgement(Answer.MALFORMED)
    seen = note.checkpoint
    if not signed_by_log(note):
        return Judgement(Answer.UNTRUSTED)
    if submission.old > seen.size:
        return Judgement(Answer.MALFORMED, seen)
    held = known or Checkpoint(seen.origin, 0, EMPTY_ROOT)
    if seen.size == held.size and seen.root != held.root:
        return Judgement(Answer.CONFLICT, seen, forked=True)
    if submission.old != held.size:
        return Judgement(Answer.CONFLICT, seen)
    if not verify_consistency(held.size, seen.size, held.root, seen.root, submission.proof):
        return Judgement(Answer.NOT_PROVEN, seen)
    return Judgement(Answer.COSIGNED, seen)


def cosigners(note: OpenedNote, trust: Trust) -> dict[str, int]:
    """Which of the witnesses of the trust file have cosigned a note, and when, in seconds since 1970."""
    names = {one.name for one in trust.witnesses}
    return {
        one.name: one.time
        for one in note.signatures
        if one.type is SignatureType.COSIGNATURE and one.name in names and one.time is not None
    }


def witnessed_at(note: OpenedNote, trust: Trust) -> int | None:
    """When a checkpoint was witnessed: the time, in seconds, at which the last of `quorum` witnesses had cosigned it.

    None where there are not enough; so few are never enough that there is none at all.
    """
    times = sorted(cosigners(note, trust).values())
    wanted = max(trust.quorum, 1)
    return times[wanted - 1] if len(times) >= wanted else None


def signed_by_log(note: OpenedNote) -> bool:
    """Whether the log itself signed its checkpoint, and not only witnesses."""
    return any(one.type is SignatureType.ED25519 and one.name == note.checkpoint.origin for one in note.signatures)


def _node(line: str) -> bytes:
    try:
        raw = b64decode(line, validate=True)
    except ValueError:
        raise Malformed(detail="a line of a proof") from None
    if len(raw) != 32 or b64encode(raw).decode() != line:
        raise Malformed(detail="a line of a proof")
    return raw
