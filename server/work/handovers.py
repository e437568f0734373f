"""A hand-over at the desk: the county signs for it, opens what is in it, reports; the province extends it and ends it.

Who sees one follows from its area and from the grants of whoever asks. What may be written in which order is said by the
kind (schemas/kinds/handover.py). Opening needs three things at once: a receipt, a deadline that is not over, and the
county's own private key, which the server does not have.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from custody import sealing
from custody.commitments import Part
from custody.digests import Digests
from custody.sealing import OpenedMeta
from schemas.kinds.handover import Handover, days_left, overdue, past
from schemas.labels import Label
from server.access.rights import Scope
from server.evidence import openings
from server.instance import Instance
from server.merging import decisions
from server.moments import day, moment
from server.reading import finding
from server.reading.finding import Seen
from server.storage.people import Person
from sync.core.errors import BrokenSeal, InvalidField, NotAllowed, NotFound, PastDue, Refused
from sync.core.rules import Rights
from sync.core.signing import content_hash

PROVINCE = "province"
_FACTS = Label("密封的核验信息", "the sealed facts")


class Told(NamedTuple):
    """A hand-over as it stands today."""

    seen: Seen
    left: int | None
    overdue: bool


class Opened(NamedTuple):
    """A file that was opened: its leaf in the log, and the facts that the tablet noted when it was captured."""

    leaf: int | None
    facts: dict[str, Any]
    plain: Digests


def every(house: Instance, rights: Rights) -> list[Told]:
    """The hand-overs in sight."""
    with house.database.read() as conn:
        return [told(house, one) for one in finding.every(house, conn, rights, Handover.kind)]


def told(house: Instance, seen: Seen) -> Told:
    today = day(house.now())
    return Told(seen, days_left(seen.values, today), overdue(seen.values, today))


def receive(house: Instance, by: Person, rights: Rights, text: str) -> Seen:
    """Sign for a hand-over. Raises NotFound, Refused (signed for already), InvalidField (the person may not)."""
    seen = finding.one(house, rights, Handover.kind, text)
    if seen.values.get("status") != "released":
        raise Refused(detail=Label("已经签收", "it was signed for already"))
    content = content_hash(Handover, seen.record, seen.values)
    said = {"name": by.name, "content": content, "at": moment(house.now())}
    steps: list[tuple[str | None, dict[str, Any]]] = [
        (seen.record, {f"receipts/{by.id}": said}),
        (seen.record, {"status": "received"}),
    ]
    decisions.write_many(house.desk, Handover.kind, steps, by=[by.id], rights=rights)
    return seen


def open_object(
    house: Instance, by: Person, rights: Rights, text: str, object: str, *, secret: str, target: Path, purpose: str
) -> Opened:
    """Open one file of a hand-over into `target`, after the log says so.

    The key is tried before anything is written in the log, and no byte of the file is read before.

    :raises NotFound: there is no such hand-over or file in sight
    :raises NotReceived, PastDue: nobody has signed for it, or its deadline is over
    :raises WrongSealKey, BrokenSeal: not this county's key, or not what was captured; nothing is left behind
    :raises NotLogged: the opening could not be logged
    :raises NotAllowed: this role does not work on hand-overs
    :raises Refused: the file to write to is there already
    """
    if rights.role not in Handover.makers:
        raise NotAllowed(detail=Label("该角色不办理交办", "this role does not work on hand-overs"))
    if target.exists():
        raise Refused(detail=Label(f"{target} 已存在，不会覆盖", f"{target} is there already and is not written over"))
    if not target.parent.is_dir():
        raise NotFound(what=Label(f"文件夹 {target.parent}", f"the folder {target.parent}"))
    seen = finding.one(house, rights, Handover.kind, text)
    named, keys = seen.names("objects").get(object), seen.names("keys").get(object)
    if named is None or keys is None:
        raise NotFound(what=Label(f"第 {object} 件", f"object {object}"))
    device = openings.at_desk(house, by)
    found = openings.find(house, device, Scope([], [f"area:{seen.values['area']}"]), named["sha256"])
    if found.record != seen.record:  # the same bytes were handed over twice, and this one is not open
        barred = openings.bar(seen.values, house.now())
        if barred is not None:
            raise barred
        found = found._replace(record=seen.record)
    own = sealing.open_key(b64decode(keys["key_file"]), secret)
    facts = facts_of(named, keys, secret).meta
    plain = sealing.plain_of(facts)
    leaf = openings.enter(house, device, found, purpose=purpose, alone=True)
    with open(house.files.path(named["sha256"]), "rb") as stream:
        sealing.open_sealed(stream, own, target, sealed=(named["sha256"], named["size"]), plain=plain)
    return Opened(leaf, facts, plain)


def facts_of(named: Mapping[str, Any], keys: Mapping[str, Any], secret: str) -> OpenedMeta:
    """The facts of one object of a hand-over, seen to be those that the tablet committed to.

    named, keys: its values under `objects` and `keys`

    :raises WrongSealKey, BrokenSeal:
    """
    if not {"facts", "facts_commit", "team_commit"} <= keys.keys():
        detail = Label(
            "是另一版本的交办，没有单独的核验信息；请省级重新交办",
            "it was handed over by another version, without facts of their own; have the province hand it over anew",
        )
        raise BrokenSeal(what=_FACTS, detail=detail)
    opened = sealing.open_meta(b64decode(keys["facts"]), secret)
    sealing.check_commitment(Part.FACTS, keys["facts_commit"], opened)
    if opened.meta.get("content") != named["sha256"]:
        raise BrokenSeal(what=_FACTS, detail=Label("说的是另一个文件", "they are about another file"))
    return opened


def report(
    house: Instance,
    by: Person,
    rights: Rights,
    text: str,
    *,
    outcome: str,
    result: str,
    inspections: Sequence[str] = (),
    case: str | None = None,
) -> None:
    """Say what the county found and did. Raises NotFound, Refused (not signed for, or done), InvalidField."""
    seen = finding.one(house, rights, Handover.kind, text)
    values: dict[str, Any] = {"outcome": outcome, "result": result}
    values |= {
        f"inspections/{finding.one(house, rights, 'inspection', one).record}": True for one in inspections
    }
    if case is not None:
        values["case"] = finding.one(house, rights, "case", case).record
    _step(house, seen, "reported", ("received", "returned"), values, by, rights)


def extend(
    house: Instance, by: Person, rights: Rights, text: str, *, until: str | None = None, reason: str | None = None
) -> str | None:
    """Ask for more time, or grant it; returns the new deadline once it is granted. Once only, and before it is over.

    Whoever has the role `province` grants, what was asked for unless it says otherwise; everybody else asks.

    :raises Refused: it was extended before, or it is reported or closed
    :raises PastDue: too late: it is handed over anew
    :raises InvalidField: no day or no reason, or a day that is not later
    """
    seen = finding.one(house, rights, Handover.kind, text)
    values, now = seen.values, house.now()
    held = dict(values.get("extension") or {})
    if held.get("granted_at"):
        raise Refused(detail=Label("已延期一次，不能再延", "it was extended once; there is no second time"))
    if values.get("status") not in ("released", "received", "returned"):
        raise Refused(detail=Label("已反馈或办结，无需延期", "it is reported or closed and needs no more time"))
    if past(values, day(now)):
        raise PastDue(what=values["number"], due=values["due"])
    new = {**held, **{name: value for name, value in (("until", until), ("reason", reason)) if value is not None}}
    if not new.get("until") or not new.get("reason"):
        raise InvalidField(field="extension", detail=Label("请写明延至何日和理由", "say until when and why"))
    if new["until"] <= values["due"]:
        raise InvalidField(field="until", detail=Label("应晚于现在的期限", "is later than the deadline as it is"))
    if rights.role != PROVINCE:
        new |= {"asked_by": by.name, "asked_at": moment(now)}
        _write(house, seen, {"extension": new}, by, rights)
        return None
    new |= {"granted_by": by.name, "granted_at": moment(now)}
    _write(house, seen, {"extension": new, "due": new["until"]}, by, rights)
    return str(new["until"])


def close(house: Instance, by: Person, rights: Rights, text: str, said: str) -> None:
    """End a hand-over whose report is accepted."""
    seen = finding.one(house, rights, Handover.kind, text)
    _step(house, seen, "closed", ("reported",), {"review": said}, by, rights)


def give_back(house: Instance, by: Person, rights: Rights, text: str, said: str) -> None:
    """Return a report to the county, which has to look again."""
    seen = finding.one(house, rights, Handover.kind, text)
    _step(house, seen, "returned", ("reported",), {"review": said}, by, rights)


# --- How it is done --------------------------------------------------------------------------------------------------


def _step(
    house: Instance, seen: Seen, to: str, before: Sequence[str], values: dict[str, Any], by: Person, rights: Rights
) -> None:
    workflow = Handover.workflow
    if seen.values.get("status") not in before:
        assert workflow is not None  # the kind has one
        status = workflow.statuses.get(str(seen.values.get("status")))
        now = status.label if status is not None else Label("冲突待决", "in conflict")
        raise Refused(detail=Label(f"现在的状态是“{now.zh}”", f"its status is now “{now.en}”"))
    _write(house, seen, {**values, "status": to}, by, rights)


def _write(house: Instance, seen: Seen, values: dict[str, Any], by: Person, rights: Rights) -> None:
    decisions.write(house.desk, Handover.kind, seen.record, values, by=[by.id], rights=rights)
