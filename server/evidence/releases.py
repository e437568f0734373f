"""From sealed evidence to a county: the legality review, the proposal, two approvals, and the release.

Everything here happens behind the wall but its last step, which writes the handover in front of it. That step, the act
`released` in the sealed log and the new status of the proposal are one transaction, the act first: either all of it is
there or nothing. The province's secret is used before, on the station that holds it, and never written anywhere. Only
key files and sealed facts are wrapped again; the sealed bytes stay as they are, and so does their digest. What the team told
stays behind the wall: the county has its commitment, and no key to it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from custody import sealing
from schemas.kinds.handover import Handover, past
from schemas.kinds.release import Release
from schemas.kinds.sealed_evidence import SealedEvidence
from schemas.labels import Label
from server import acts
from server.evidence import sealed
from server.evidence.approving import Approving
from server.instance import Instance
from server.merging import decisions
from server.moments import day, moment
from server.proofs import trusts
from server.reading import finding
from server.reading.finding import Seen
from server.storage import facts
from server.storage.database import Connection
from server.storage.people import Person
from sync.core.errors import InvalidField, NoSealKeys, NotLogged, NotReady, Refused
from sync.core.releasing import objects_of
from sync.core.rules import Rights
from sync.core.trust import Trust

WALL = Release.compartment
STEP = Approving(Release)
approve, refuse = STEP.approve, STEP.refuse
AGE = "application/age"
KEYS_IN_ONE_CHANGE = 100
_COPIED = ("unit", "institution", "target", "summary", "opinion", "requirements", "secrecy", "due")
"""What the county reads is what was approved, word for word."""

Progress = Callable[[int, int], None]


class Wrapped(NamedTuple):
    """One object for the county: what it is in front of the wall, and the keys to it."""

    named: dict[str, Any]
    keys: dict[str, Any]


def review(
    house: Instance, by: Person, rights: Rights, evidence: Sequence[str], answers: Mapping[str, Any]
) -> list[str]:
    """Say whether these were come by lawfully. Raises NotFound, or InvalidField where the person may not say so."""
    found = [finding.one(house, rights, SealedEvidence.kind, text).record for text in evidence]
    said = {**answers, "by": by.name, "at": moment(house.now())}
    decisions.write_many(
        house.desk, SealedEvidence.kind, [(record, {"review": said}) for record in found], by=[by.id], rights=rights
    )
    return found


def propose(
    house: Instance,
    by: Person,
    rights: Rights,
    *,
    audit: str,
    evidence: Sequence[str],
    to_area: str,
    said: Mapping[str, Any],
    again: str | None = None,
) -> str:
    """Propose to hand sealed evidence over; returns the id of the proposal.

    evidence: ids, or their ends; none is all of the audit's
    said: what the county will read, and the reason

    :raises NoSealKeys: the trust file names no key of the county
    :raises NotFound, InvalidField, Refused:
    """
    known = finding.one(house, rights, "audit", audit)
    trust = _trust(house)
    recipients(trust, to_area)
    if past(said, day(house.now())):
        raise InvalidField(field="due", detail=Label("期限已过", "is over already"))
    if evidence:
        named = [finding.one(house, rights, SealedEvidence.kind, text) for text in evidence]
    else:
        with house.database.read() as conn:
            known_here = list(finding.every(house, conn, rights, SealedEvidence.kind))
        named = [one for one in known_here if one.values.get("audit") == known.record]
    for one in named:
        if one.values.get("audit") not in (None, known.record):
            detail = Label(f"{one.record} 属于另一次暗访", f"{one.record} belongs to another audit")
            raise Refused(detail=detail)
    if not named:
        raise Refused(detail=Label("这次暗访没有密封证据", "this audit has no sealed evidence"))
    with house.database.read() as conn:
        area = (facts.get(conn, facts.AREA) or to_area)[:2]
    before = {"again": finding.one(house, rights, Handover.kind, again).record} if again else {}
    values: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    values |= {"audit": known.record, "area": area, "to_area": to_area, "status": "proposed", **before}
    values |= {f"objects/{one.record}": True for one in named}
    return decisions.write(house.desk, Release.kind, None, values, by=[by.id], rights=rights).record


def release(
    house: Instance, by: Person, rights: Rights, text: str, secret: str, progress: Progress = lambda done, total: None
) -> Seen:
    """Hand over what two people approved: wrap its keys for the county, and write the act and the handover.

    secret: of the province's or the escrow's identity, in memory only

    :raises Refused: it was not approved
    :raises NoSealKeys: the trust file names no key of the county
    :raises WrongSealKey, BrokenSeal: the secret does not open a key file, or something is not what was captured
    :raises NotReady: the server does not hold the bytes of an object
    :raises NotLogged: the act could not be written; then nothing was
    """
    proposal = finding.one(house, rights, Release.kind, text)
    if proposal.values.get("status") != "approved":
        raise Refused(detail=Label("这份申请还没有两人批准", "two people have not approved this proposal"))
    if past(proposal.values, day(house.now())):
        raise Refused(detail=Label("办结期限已过，请重新提请", "its deadline is over; propose it anew"))
    trust, to_area = _trust(house), str(proposal.values["to_area"])
    county = recipients(trust, to_area)
    named = objects_of(proposal.values)
    wrapped = []
    for record in named:
        wrapped.append(_wrap(house, finding.one(house, rights, SealedEvidence.kind, record), secret, county))
        progress(len(wrapped), len(named))
    handover = house.keys.new_id(house.now())
    with house.database.write() as conn:
        _released(house, conn, proposal, handover, wrapped, trust, by, to_area)
        step = {"status": "released", "handover": handover}
        decisions.write_within(conn, house.desk, Release.kind, [(proposal.record, step)], by=[by.id], rights=rights)
        written = _handover(house, conn, proposal, handover, wrapped, trust)
        decisions.write_within(conn, house.desk, Handover.kind, written, by=[by.id], rights=rights)
    with house.database.read() as conn:
        return finding.read(house, conn, handover)


def recipients(trust: Trust, area: str) -> tuple[str, ...]:
    """The keys of a county. Raises NoSealKeys where the trust file names none."""
    keys = trust.seal.county(area) if trust.seal is not None else ()
    if not keys:
        detail = Label(
            f"信任文件没有列出 {area} 的公钥（trust sign --county {area}=age1…）",
            f"the trust file names no key of {area} (trust sign --county {area}=age1…)",
        )
        raise NoSealKeys(detail=detail)
    return keys


# --- How it is done --------------------------------------------------------------------------------------------------


def _trust(house: Instance) -> Trust:
    held = trusts.published(house.settings)
    if held is None:
        hint = Label("还没有信任文件，请先 trust sign", "there is no trust file; run trust sign first")
        raise NotReady(action=Label("移交", "hand over"), detail=hint)
    return held.trust


def _wrap(house: Instance, evidence: Seen, secret: str, county: tuple[str, ...]) -> Wrapped:
    values = evidence.values
    checked = sealed.check(house, evidence, secret, Label("移交", "hand over"))
    keys = {
        "key_file": b64encode(sealing.rewrap(checked.key_file, secret, county)).decode(),
        "facts": b64encode(sealing.rewrap(checked.facts, secret, county)).decode(),
        "facts_commit": values["facts_commit"],
        "team_commit": values["team_commit"],
    }
    return Wrapped({"sha256": values["sha256"], "size": values["size"], "mime": AGE}, keys)


def _released(
    house: Instance,
    conn: Connection,
    proposal: Seen,
    handover: str,
    wrapped: Sequence[Wrapped],
    trust: Trust,
    by: Person,
    to_area: str,
) -> None:
    try:
        acts.append(
            conn,
            WALL,
            acts.RELEASED,
            house.now(),
            approved_by=STEP.approvers(proposal),
            by=by.id,
            content=STEP.content(proposal),
            due=proposal.values["due"],
            handover=handover,
            objects=[one.named["sha256"] for one in wrapped],
            recipients_version=trust.seal.version if trust.seal is not None else 0,
            release=proposal.record,
            to=to_area,
        )
    except Exception as error:  # whatever kept it from the log: nothing is handed over that the log does not tell of
        raise NotLogged() from error


def _handover(
    house: Instance, conn: Connection, proposal: Seen, id: str, wrapped: Sequence[Wrapped], trust: Trust
) -> list[tuple[str | None, dict[str, Any]]]:
    """The changes that write the handover. Its objects are numbered: the ids behind the wall tell when they were made."""
    values: dict[str, Any] = {name: proposal.values[name] for name in _COPIED if proposal.values.get(name) is not None}
    values |= {
        "number": _number(house, conn, str(proposal.values["to_area"])),
        "authority": trust.authority,
        "area": proposal.values["to_area"],
        "recipients_version": trust.seal.version if trust.seal is not None else 0,
        "status": "released",
    }
    numbered = [(str(at), one) for at, one in enumerate(wrapped, start=1)]
    values |= {f"objects/{at}": one.named for at, one in numbered}
    written: list[tuple[str | None, dict[str, Any]]] = [(id, values)]
    rest = iter(numbered)
    while some := list(islice(rest, KEYS_IN_ONE_CHANGE)):
        written.append((id, {f"keys/{at}": one.keys for at, one in some}))
    return written


def _number(house: Instance, conn: Connection, area: str) -> str:
    """The next number of a county in this year. Each county counts for itself and learns of no other."""
    year = day(house.now())[:4]
    start = f"{area}-{year}-"
    used = [row["number"] for row in house.projections.rows(conn, Handover.kind, with_deleted=True)]
    return f"{start}{sum((one or '').startswith(start) for one in used) + 1:03d}"

