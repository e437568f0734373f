"""Asking the witnesses of the trust file to cosign the newest checkpoints (c2sp.org/tlog-witness).

Never while a tablet waits: a background round of `serve` does it (`server.attending`), `witness ask`, and whoever makes a
bundle. What came back is verified with the key in the trust file before it is kept.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.labels import Label
from server.instance import Instance
from server.keys import Voice
from server.proofs import posting, trusts
from server.storage import attested, merkle
from server.storage.database import Connection
from sync.core.errors import Malformed, Problem, Refused, Unavailable, UntrustedNote
from sync.core.note import SignatureType, Verifier, open_note
from sync.core.trust import Trust, Witness
from sync.core.witnessing import Answer, signed_by_log, witnessed_at, write_submission

SLIP_MS = 60_000
"""A witness whose clock is further from ours is not believed: its time is part of what it signs."""

_REFUSALS = {
    Answer.MALFORMED: Label("见证读不懂提交的内容", "the witness cannot read what was submitted"),
    Answer.UNTRUSTED: Label("见证登记的日志公钥不同", "the witness knows another key of this log"),
    Answer.UNKNOWN_LOG: Label(
        "见证还没有加入这份日志（对方运行 log add）", "the witness does not watch this log yet (log add on its side)"
    ),
    Answer.NOT_PROVEN: Label("见证认为日志没有延续", "to the witness this log does not extend what it cosigned"),
}


class Asked(NamedTuple):
    """What came of asking one witness about one log. `at` is its time in milliseconds; None where it did not cosign."""

    log: str
    witness: str
    size: int
    at: int | None = None
    problem: Problem | None = None


def trusted(house: Instance) -> Trust | None:
    """The trust file that is published; None where there is none."""
    held = trusts.published(house.settings)
    return held.trust if held is not None else None


def ask(house: Instance, *, all: bool = True) -> list[Asked]:
    """Have the newest checkpoint of every log cosigned by every witness that has an address.

    Without `all` only by those that have not cosigned it yet.
    """
    trust = trusted(house)
    witnesses = [one for one in trust.witnesses if one.url] if trust is not None else []
    if not witnesses:
        return []
    found = []
    for voice in house.keys.voices.values():
        with house.database.read() as conn:
            held = merkle.size(conn, voice.compartment)
            due = [one for one in witnesses if held and (all or _behind(conn, voice, one, held))]
        if due:
            with house.database.write() as conn:  # so that the checkpoint is kept, and is one of this very moment
                note = merkle.checkpoint(conn, voice, house.now())
                size = merkle.size(conn, voice.compartment)
            found += [_ask(house, voice, one, note, size) for one in due]
    return found


def _behind(conn: Connection, voice: Voice, witness: Witness, size: int) -> bool:
    newest = attested.newest_by(conn, voice.compartment, witness.name)
    return newest is None or newest[0] < size


def _ask(house: Instance, voice: Voice, witness: Witness, note: str, size: int) -> Asked:
    try:
        line, at = _cosignature(house, voice, witness, note, size)
        with house.database.write() as conn:
            attested.cosign(conn, voice.compartment, size, witness.name, line, at)
    except Problem as problem:
        return Asked(voice.origin, witness.name, size, problem=problem)
    return Asked(voice.origin, witness.name, size, at)


def _cosignature(house: Instance, voice: Voice, witness: Witness, note: str, size: int) -> tuple[str, int]:
    """The line and its time. Raises Refused or Unavailable where there is none."""
    with house.database.read() as conn:
        newest = attested.newest_by(conn, voice.compartment, witness.name)
    answer = _submit(house, voice, witness, note, newest[0] if newest else 0, size)
    if answer.status == Answer.CONFLICT:
        known = _known(answer)
        if known >= size:
            raise Refused(
                detail=Label(
                    f"见证 {witness.name} 见过大小 {known} 的另一份日志：本服务器的日志被回退或分叉，请立即查明",
                    f"the witness {witness.name} has cosigned another log of size {known}: this server's log was rolled "
                    "back or forked; find out why at once",
                )
            )
        answer = _submit(house, voice, witness, note, known, size)
    if answer.status != Answer.COSIGNED:
        said = _REFUSALS.get(answer.status)  # type: ignore[call-overload]
        detail = said or Label(f"见证答复 {answer.status}", f"the witness answered {answer.status}")
        if answer.status >= 500:
            raise Unavailable(detail=detail)
        raise Refused(detail=detail)
    return _verified(house, witness, note, answer)


def _submit(house: Instance, voice: Voice, witness: Witness, note: str, old: int, size: int) -> posting.Answered:
    with house.database.read() as conn:
        proof = merkle.consistency(conn, voice.compartment, old, size)
    url = witness.url.rstrip("/") + "/add-checkpoint"
    return posting.post(url, write_submission(old, proof, note), "text/plain; charset=utf-8")


def _known(answer: posting.Answered) -> int:
    text = answer.content.decode("ascii", "replace").removesuffix("\n")
    if not text.isdecimal() or len(text) > 19:
        raise Refused(detail=Label("见证的答复读不懂", "the witness's answer cannot be read"))
    return int(text)


def _verified(house: Instance, witness: Witness, note: str, answer: posting.Answered) -> tuple[str, int]:
    """The one line among those that came which is this witness's; others are passed over."""
    verifier = Verifier(witness.name, witness.key, SignatureType.COSIGNATURE)
    for line in answer.content.decode("utf-8", "replace").split("\n"):
        try:
            (signature,) = open_note(f"{note}{line}\n", [verifier]).signatures
        except (Malformed, UntrustedNote):
            continue
        at = (signature.time or 0) * 1000
        if abs(at - house.now()) > SLIP_MS:
            raise Refused(
                detail=Label(
                    f"见证 {witness.name} 的时钟与本机相差太大",
                    f"the clock of the witness {witness.name} is too far off",
                )
            )
        return f"{line}\n", at
    raise Refused(
        detail=Label(
            f"见证 {witness.name} 的签名与信任文件中的公钥不符",
            f"the signature of the witness {witness.name} is not by its key in the trust file",
        )
    )


# --- What is held -----------------------------------------------------------------------------------------------------


def newest_witnessed(conn: Connection, voice: Voice, trust: Trust) -> str | None:
    """The newest checkpoint that enough witnesses of the trust file have cosigned, with their lines; None: there is none."""
    for size in attested.cosigned_sizes(conn, voice.compartment, trust.quorum, newest=True):
        note = attested.note(conn, voice.compartment, size)
        if note is not None and witnessed(note, voice, trust) is not None:
            return note
    return None


def witnessed(note: str, voice: Voice, trust: Trust) -> int | None:
    """When (seconds) enough witnesses, as the trust file names them today, had cosigned a note of this log, if they did."""
    verifiers = [Verifier(voice.origin, voice.log_public), *trust.verifiers()]
    try:
        opened = open_note(note, list({(one.name, one.id): one for one in verifiers}.values()))
    except Malformed:
        return None
    return witnessed_at(opened, trust) if signed_by_log(opened) else None
