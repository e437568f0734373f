"""隐患整改 on a tablet: noted on the spot, handed over, put right, looked at again, struck off by somebody else."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from datetime import date, timedelta
from typing import NamedTuple

from field_client.evidence.capture import capture
from field_client.moments import moment
from field_client.tablet import Tablet
from field_client.work import tasks
from schemas.certificates import day_of
from schemas.forms import FormStep, form_of
from schemas.kinds.hazard import VERIFIERS, Hazard
from schemas.labels import Label
from sync.core.errors import InvalidField, NotAllowed, NotFound, NotReady
from sync.core.fold import State, overlay, values_of
from sync.core.rules import Facts, blobs_of
from sync.core.rules import unmet as unmet_guard

KIND = Hazard.kind
TERMS = (0, 3, 7, 15, 30)
"""Days that a deadline is usually set to, counted from today."""


class Offered(NamedTuple):
    """A step that the person of this tablet could take; `why_not` where it cannot be taken now."""

    step: FormStep
    why_not: Label | None


def note(
    tablet: Tablet,
    institution: str,
    description: str,
    *,
    record: str | None = None,
    grade: str = "general",
    deadline: str | None = None,
    responsible: str | None = None,
    inspection: str | None = None,
    item: str | None = None,
) -> str:
    """Note a hazard; returns its id, which is `record` where a form named it: noted once however often that is sent.

    :raises NotFound: there is no such institution; InvalidField: nothing was written
    :raises NotAllowed: not for this person's role
    """
    if record is not None and tablet.store.knows(record):
        return record
    tablet.require_maker(KIND)
    values = {
        "institution": institution,
        "area": tablet.values(institution).get("area"),
        "inspection": inspection,
        "item": item,
        "description": description,
        "grade": grade,
        "deadline": deadline,
        "responsible": responsible,
        "status": "open",
    }
    return tablet.write(KIND, record, {path: value for path, value in values.items() if value is not None}).record


def carry_photos(tablet: Tablet, hazard: str) -> int:
    """The photos of the item that it was found at, as photos from before; returns how many are taken over.

    The same file is evidence of both records, and the reason for that is written down at once.
    """
    values = tablet.values(hazard)
    inspection, item, taken = str(values.get("inspection") or ""), values.get("item"), 0
    if not item or not tablet.store.knows(inspection):
        return 0
    for path, named in sorted(tablet.values(inspection).items()):
        if not path.startswith("evidence/") or not isinstance(named, dict) or named.get("item") != item:
            continue
        evidence = path.removeprefix("evidence/")
        try:
            about = tablet.values(evidence)
            with closing(tablet.files.open(str(named["sha256"]))) as stream:
                made = capture(tablet, hazard, stream, item=str(item), caption=about.get("caption"),
                               source=about.get("source") or "camera", name=tablet.store.uploads.name_of(str(named["sha256"])),
                               place=about.get("place"), stage="before", pictures=False)  # fmt: skip
        except NotFound:  # its bytes have left this tablet
            continue
        small: dict[str, object] = {name: about[name] for name in ("thumbnail", "preview", "fingerprint", "phash") if name in about}
        with tablet.store.writing():
            tablet.write("evidence", made.evidence, {**small, "repeats": evidence, "repeat_reason": "other-record"})
            if {"thumbnail", "preview"} <= small.keys():
                tablet.store.chores.done(made.evidence, ["pictures"])
        taken += 1
    return taken


def deadlines(tablet: Tablet) -> list[tuple[int, str]]:
    """(days, date) of the terms that are usual, from today on."""
    today = date.fromisoformat(day_of(moment(tablet)))
    return [(days, (today + timedelta(days=days)).isoformat()) for days in TERMS]


def steps(tablet: Tablet, hazard: str) -> list[Offered]:
    """The steps from its status that the role of this tablet's person may take, and what keeps one from being taken."""
    identity, state = tablet.identity, tablet.view(hazard)
    role = identity.person.role if identity is not None else None
    status = str(values_of(state, Hazard.merge_of).get("status") or "open")
    return [Offered(one, _why_not(tablet, state, one)) for one in form_of(Hazard, role).steps if one.source == status]


def take(tablet: Tablet, hazard: str, target: str, words: str = "", rectified_on: str | None = None) -> None:
    """Take a step; the words go with it as a note, as the conclusion where it is struck off.

    :raises NotAllowed: not for this role, or by the one who put it right
    :raises NotReady: says what is missing
    """
    if tablet.values(hazard).get("status") == target:
        return  # a second tap
    offered = next((one for one in steps(tablet, hazard) if one.step.target == target), None)
    if offered is None:
        raise NotAllowed(detail=Label("该角色不能走这一步", "this role may not take this step"))
    if offered.why_not is not None:
        raise NotReady(action=offered.step.label, detail=offered.why_not)
    if target in ("open", "void") and not words:
        raise InvalidField(field="reason", detail=Label("请写明原因", "give the reason"))
    written: dict[str, object] = {"status": target}
    if target == "rectified":
        written["rectified_on"] = rectified_on or day_of(moment(tablet))
    if target == "verified" and words:
        written["conclusion"] = words
    elif words:
        written[f"notes/{tablet.store.clock.new_id()}"] = {"text": words, "at": moment(tablet)}
    with tablet.store.writing():
        tablet.write(KIND, hazard, written)
        if target != "open":
            tasks.rechecked(tablet, hazard)


def _why_not(tablet: Tablet, state: State, step: FormStep) -> Label | None:
    workflow = Hazard.workflow
    assert workflow is not None  # the kind has one
    transition = workflow.step(step.source, step.target)
    assert transition is not None  # the form has it from there
    identity = tablet.identity
    if step.target == "verified" and identity is not None and identity.person.id in rectifiers(state):
        return Label("报告整改完成的人不能验收销号，须由另一人验收", "whoever reported it as put right does not strike it off")
    return unmet_guard(transition, overlay(state, []), Hazard, Facts(missing_blobs=lambda blobs: _missing(tablet, state, blobs)))


def rectifiers(state: State) -> set[str]:
    """The people who reported it as put right, as far as that stands now."""
    return {who for change, status in state.live.get("status", {}).items() if status == "rectified" for who in state.acts[change].by}


def _missing(tablet: Tablet, state: State, blobs: Collection[str]) -> list[str]:
    """Of the files that it names, those of this tablet that the server does not hold yet."""
    waiting = {blob.sha256 for blob in tablet.store.uploads.all(state.record) if not blob.held}
    return sorted(waiting & (set(blobs) or blobs_of(state)))


def may_verify(tablet: Tablet) -> bool:
    """Whether this tablet's person strikes off at all."""
    return tablet.identity is not None and tablet.identity.person.role in VERIFIERS
