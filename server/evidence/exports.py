"""Undercover clips for somebody outside: a redacted copy, approved by two, within a limit of time, the log first.

    propose   what goes out, word for word and box for box
    approve   by two people, each of exactly that
    make      on the province's station: the act `opened`, the sealed object opened into a private folder, the copy drawn,
              the act `exported` and the new status in one transaction; only then the first byte leaves

Of the sealed original nothing stays behind in the clear. Where the log cannot be written there is no file.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from custody import sealing
from custody.pictures.orders import Redaction
from schemas.kinds.export import LONGEST_DAYS, Export
from schemas.kinds.sealed_evidence import SealedEvidence
from schemas.labels import Label
from server import acts
from server.evidence import openings, redaction, sealed
from server.evidence.approving import Approving
from server.instance import Instance
from server.merging import decisions
from server.moments import day
from server.reading import finding
from server.reading.finding import Seen
from server.storage import facts
from server.storage.files import write_new
from server.storage.people import Person
from sync.core.errors import InvalidField, MinorsVisible, NotFound, NotLogged, Problem, Refused
from sync.core.releasing import NEEDED, objects_of
from sync.core.rules import Rights

WALL = Export.compartment
STEP = Approving(Export)
approve, refuse = STEP.approve, STEP.refuse
_ACTION = Label("导出", "export")


class Exported(NamedTuple):
    """A file that went out, and the leaf of the sealed log that says so."""

    sha256: str
    size: int
    leaf: int


def propose(
    house: Instance, by: Person, rights: Rights, evidence: str, wish: Redaction, *, film: bool, nobody: bool,
    recipient: str, purpose: str, until: str,
) -> str:  # fmt: skip
    """Propose to show a clip outside; returns the id of the proposal.

    nobody: somebody looked, and nobody could be known by it; else there has to be a box

    :raises NotFound, InvalidField:
    :raises MinorsVisible: the legality review says that minors are visible, and nothing is covered
    """
    seen = finding.one(house, rights, SealedEvidence.kind, evidence)
    if not wish.boxes and (seen.values.get("review") or {}).get("minors"):
        raise MinorsVisible(what=seen.record[-12:])
    if not wish.boxes and not nobody:
        detail = Label("要有遮挡方框；经查看无人可识别的用 --nobody", "has to be given, or --nobody where nobody could be known")
        raise InvalidField(field="box", detail=detail)
    if film and (wish.at_ms is not None or wish.page > 1):
        detail = Label("导出整段视频时不写时刻或页码", "goes with a picture, not with a whole film")
        raise InvalidField(field="at" if wish.at_ms is not None else "page", detail=detail)
    today = date.fromisoformat(day(house.now()))
    if not today <= date.fromisoformat(until) <= today + timedelta(days=LONGEST_DAYS):
        detail = Label(f"从今天起最多 {LONGEST_DAYS} 天", f"is within {LONGEST_DAYS} days from today")
        raise InvalidField(field="until", detail=detail)
    with house.database.read() as conn:
        area = (facts.get(conn, facts.AREA) or str(seen.values["area"]))[:2]
    values: dict[str, Any] = {
        f"objects/{seen.record}": True,
        "area": area,
        "form": "film" if film else "picture",
        "boxes": [list(box) for box in wish.boxes],
        "recipient": recipient,
        "purpose": purpose,
        "until": until,
        "status": "proposed",
        **({"at_ms": wish.at_ms} if wish.at_ms is not None else {}),
        **({"page": wish.page} if wish.page > 1 else {}),
        **({"nobody": True} if nobody else {}),
    }
    return decisions.write(house.desk, Export.kind, None, values, by=[by.id], rights=rights).record


def make(house: Instance, by: Person, rights: Rights, text: str, secret: str, target: Path) -> Exported:
    """Write the copy that two people approved into a new file, after the log says so.

    secret: of the province's or the escrow's identity, in memory only

    :raises Refused: it was not approved, its limit of time is over, it has gone out already, or the file is there
    :raises WrongSealKey, BrokenSeal: the secret does not open it, or it is not what was captured
    :raises BrokenFile: it cannot be drawn, or a box lies outside
    :raises NotReady: the server does not hold its bytes
    :raises NotLogged: the act could not be written; no byte left
    """
    if target.exists():
        raise Refused(detail=Label(f"{target} 已存在，不会覆盖", f"{target} is there already and is not written over"))
    if not target.parent.is_dir():
        raise NotFound(what=Label(f"文件夹 {target.parent}", f"the folder {target.parent}"))
    proposal = finding.one(house, rights, Export.kind, text)
    if proposal.values.get("status") != "approved" or len(STEP.approvers(proposal)) < NEEDED:
        raise Refused(detail=Label("这份申请还没有两人批准，或已导出", "two people have not approved it, or it has gone out"))
    until = str(proposal.values["until"])
    if day(house.now()) > until:
        detail = Label(f"导出期限 {until} 已过，请重新提请", f"it was to be exported by {until}; propose it anew")
        raise Refused(detail=detail)
    (named,) = objects_of(proposal.values)
    evidence = finding.one(house, rights, SealedEvidence.kind, named)
    content = _drawn(house, by, proposal, evidence, secret)
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        with house.database.write() as conn:
            act = acts.append(
                conn, WALL, acts.EXPORTED, house.now(), approved_by=STEP.approvers(proposal), blob=evidence.values["sha256"],
                by=by.id, content=STEP.content(proposal), derived=sha256, export=proposal.record,
                purpose=proposal.values["purpose"], recipient=proposal.values["recipient"], record=evidence.record,
            )  # fmt: skip
            step = {"status": "exported", "derived": sha256}
            decisions.write_within(conn, house.desk, Export.kind, [(proposal.record, step)], by=[by.id], rights=rights)
    except Problem:  # it may not go out after all; nothing was written
        raise
    except Exception as error:  # whatever kept it from the log: nothing leaves that the log does not tell of
        raise NotLogged() from error
    write_new(target, content, 0o600)
    return Exported(sha256, len(content), act.leaf)


# --- How it is done --------------------------------------------------------------------------------------------------


def _drawn(house: Instance, by: Person, proposal: Seen, evidence: Seen, secret: str) -> bytes:
    """The copy. The sealed object is opened for as long as it takes to draw, into a folder that is gone afterwards."""
    checked = sealed.check(house, evidence, secret, _ACTION)
    found = openings.Found(checked.blob, evidence.record, restricted=True)
    device, purpose = openings.at_desk(house, by), f"导出：{proposal.values['purpose']}"
    openings.enter(house, device, found, purpose=purpose[: openings.LONGEST_PURPOSE], alone=True, wall=WALL)
    boxes = tuple((int(x), int(y), int(w), int(h)) for x, y, w, h in proposal.values.get("boxes") or ())
    held = checked.blob
    with tempfile.TemporaryDirectory(prefix="patrolbook-", dir=_scratch(held.size)) as folder:
        plain = Path(folder) / "plain"
        with open(house.files.path(held.sha256), "rb") as stream:
            digests = sealing.plain_of(checked.told.meta)
            sealing.open_sealed(stream, checked.secret, plain, sealed=(held.sha256, held.size), plain=digests)
        wish = Redaction(boxes, _moment(proposal), int(proposal.values.get("page") or 1))
        return redaction.drawn(plain, wish, evidence.record[-12:])[0]


def _moment(proposal: Seen) -> int | None:
    at_ms = proposal.values.get("at_ms")
    if proposal.values["form"] == "film":
        return None
    return int(at_ms) if at_ms is not None else 0


def _scratch(size: int) -> str | None:
    """In memory where that is large enough: what was sealed should not touch the disk in the clear."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 2 * size else None
