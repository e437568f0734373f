"""An inspection from start to submission, as acts on a tablet that the command line and the touch screen share.

Every act is one committed change, so whatever a person was told is saved is saved. What would be parked by the server
anyway (a missing field, no signature, one officer where two are needed) is said here first, while it can be mended.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from custody.media import HEAD_BYTES, called, identify
from field_client.evidence import derivatives
from field_client.evidence.derivatives import CaptureFiles
from field_client.moments import CHINA, moment
from field_client.tablet import Tablet
from field_client.work import tasks
from schemas.base import DELETED
from schemas.certificates import day_of, enforcing
from schemas.forms import FormGroup, FormItem, checklist_form
from schemas.kinds.inspection import Inspection
from schemas.labels import Label
from schemas.shipped import contents, library
from schemas.shipped.answers import CONFORMS, misfit, photo_due, verdict
from schemas.shipped.catalogue import CONDITIONS, Group, Item, applicable
from sync.core.errors import InvalidField, NotAllowed, NotFound, NotReady, Refused, Stale
from sync.core.fold import contested, values_of
from sync.core.rules import GUARDS, Facts
from sync.core.signing import content_hash

KIND = Inspection.kind
SUBMIT = Label("提交", "submit")
SIGN = Label("签字", "sign")
SAID = {word: code for code, label in CONFORMS.items() for word in (code, label.zh, label.en.lower())}


class Gap(NamedTuple):
    """An item that is not finished, and why."""

    code: str
    why: Label


def start(
    tablet: Tablet,
    institution: str,
    mode: str = "patrol",
    officers: Sequence[str] = (),
    record: str | None = None,
    task: str | None = None,
) -> str:
    """Begin an inspection of an institution, on the newest published checklist; returns its id.

    record  the id that it gets, where a form named it: begun once however often that is sent
    task    what it is begun for: the task names it, and is done when it is submitted

    :raises NotFound: there is no such institution
    :raises NotAllowed: not for this person's role
    :raises InvalidField: a mode that does not exist
    """
    if record is not None and tablet.store.knows(record):
        return record
    tablet.require_maker(KIND)
    about = tablet.values(institution)
    checklist, edition = _checklist_for(tablet)
    values = {
        "institution": institution,
        "name": about.get("name"),
        "area": about.get("area"),
        "address": about.get("address"),
        "person_in_charge": about.get("legal_representative"),
        "mode": mode,
        "checklist": checklist,
        "edition": edition,
        "started_at": moment(tablet),
        "status": "draft",
        **{f"officers/{officer}": True for officer in officers},
    }
    with tablet.store.writing():
        begun = tablet.write(KIND, record, {path: value for path, value in values.items() if value is not None}).record
        if task is not None:
            tasks.tie(tablet, task, begun)
    return begun


def drafts_at(tablet: Tablet, institution: str) -> list[str]:
    """The inspections of an institution that were begun and not handed in, newest first."""
    found = []
    for record in tablet.store.mentioning(KIND, institution):
        values = tablet.values(record)
        if values.get("institution") == institution and values.get("status") == "draft" and DELETED not in values:
            found.append((str(values.get("started_at") or ""), record))
    return [record for _, record in sorted(found, reverse=True)]


def choose_officers(tablet: Tablet, inspection: str, officers: Collection[str]) -> None:
    """Who inspects. For an enforcement inspection nobody is taken whose certificate does not count that day, and nobody
    twice.

    :raises Refused: says who and why; nothing was written
    """
    values = tablet.values(inspection)
    before = officers_of(values)
    new = sorted(set(officers) - before)
    if values.get("mode") == "enforcement":
        _refuse_unfit(tablet, values, set(officers) & before, new)
    written = {f"officers/{one}": True for one in new} | {f"officers/{one}": False for one in before - set(officers)}
    if written:
        tablet.write(KIND, inspection, written)


def officers_of(values: Mapping[str, Any]) -> set[str]:
    """The ids of the officers that an inspection names."""
    return {path.removeprefix("officers/") for path, there in values.items() if path.startswith("officers/") and there}


def _refuse_unfit(tablet: Tablet, values: Mapping[str, Any], kept: set[str], new: Sequence[str]) -> None:
    day, known = day_of(values.get("started_at")), values_known(tablet, [*kept, *new])
    for one in new:
        before, after = (enforcing(named, known, day) for named in (kept, kept | {one}))
        if len(after.certificates) == len(before.certificates):
            why = [reason for reason in after.refused if reason not in before.refused]
            raise Refused(detail=Label("；".join(one.zh for one in why), "; ".join(one.en for one in why)))
        kept = kept | {one}


def groups_of(tablet: Tablet, inspection: str, known: Mapping[str, Any] | None = None) -> tuple[FormGroup, ...]:
    """The items to ask, by group: those of the inspection's edition that apply to the institution. `known`: its values."""
    values = tablet.values(inspection) if known is None else known
    groups, items = _edition(tablet, values.get("checklist"))
    category, mode, conditions = _traits(tablet, values.get("institution"))
    if items is library().items:
        return _shipped(category, mode, None if conditions is None else frozenset(conditions))
    return checklist_form(groups, applicable(items, category, mode, conditions), library())


@lru_cache(maxsize=32)
def _shipped(category: str, mode: str, conditions: frozenset[str] | None) -> tuple[FormGroup, ...]:
    """Items of the shipped edition, which never changes while the program runs: asked for with every tap."""
    return checklist_form(library().groups, applicable(library().items, category, mode, conditions), library())


def all_groups(tablet: Tablet, inspection: str) -> tuple[FormGroup, ...]:
    """All items of the inspection's edition: what is not asked may be answered all the same."""
    groups, items = _edition(tablet, tablet.values(inspection).get("checklist"))
    return checklist_form(groups, items, library())


def notice_of(tablet: Tablet, inspection: str) -> Label:
    """What its publisher says about the edition that the inspection follows."""
    checklist = tablet.values(inspection).get("checklist")
    if isinstance(checklist, str):
        with suppress(NotFound):
            notice = str(tablet.values(checklist).get("notice") or "")
            return Label(notice, notice)
    return library().notice


def item_of(groups: Iterable[FormGroup], code: str) -> FormItem:
    """The item with a code, written in capitals or not; raises NotFound."""
    for group in groups:
        for one in group.items:
            if one.item.code.lower() == code.lower():
                return one
    raise NotFound(what=Label(f"检查事项 {code}", f"the item {code}"))


# --- answering -------------------------------------------------------------------------------------------------------


def answer_of(item: FormItem, said: Any, reason: str = "", remark: str = "") -> dict[str, Any]:
    """What a person wrote, as the value of an answer.

    `said` is a word (`yes`, `符合`, `1.2`, `20:30`, an option; several separated by commas) or a whole answer as an
    object, given as such or as JSON text.

    :raises InvalidField: not an answer to this item
    """
    value = _object(said)
    if value is None:
        value = _from_words(item, str(said).strip())
    value |= {name: text for name, text in (("reason", reason), ("remark", remark)) if text}
    wrong = misfit(item.asked, value)
    if wrong is not None:
        raise InvalidField(field=item.item.code, detail=wrong)
    return value


def answer(tablet: Tablet, inspection: str, item: FormItem, value: Mapping[str, Any]) -> None:
    """Write one answer; saved on return. Raises InvalidField."""
    tablet.write(KIND, inspection, {item.path: dict(value)})


def _object(said: Any) -> dict[str, Any] | None:
    if isinstance(said, str) and said.lstrip().startswith("{"):
        try:
            said = json.loads(said)
        except ValueError as error:
            raise InvalidField(field="answer", detail=f"JSON: {error}") from error
    return dict(said) if isinstance(said, dict) else None


def _from_words(item: FormItem, said: str) -> dict[str, Any]:
    conforms = SAID.get(said.lower())
    if conforms is not None and (item.member == "answer" or conforms == "na"):
        return {"answer": conforms}
    parts = [part.strip() for part in said.replace("，", ",").split(",") if part.strip()]
    if item.member in ("rows", "officers"):
        return {item.member: parts}
    if item.member == "answer":
        return {"answer": said}
    unit = {"unit": item.asked.unit.zh} if item.asked.unit is not None else {}
    return {"measured": said, **unit}


def gaps(tablet: Tablet, inspection: str) -> list[Gap]:
    """The items without an answer, those half answered, and those whose answer asks for a photo that was not taken."""
    values = tablet.values(inspection)
    day, pictured = _day(str(values.get("started_at") or moment(tablet))), pictured_items(values)
    found = [(one, gap(one, values, day, pictured)) for group in groups_of(tablet, inspection, values) for one in group.items]
    return [Gap(one.item.code, why) for one, why in found if why is not None]


def gap(item: FormItem, values: Mapping[str, Any], day: str, pictured: Collection[str]) -> Label | None:
    """What one item lacks on the day of the inspection, `pictured` being the items with a photo; None where nothing."""
    given = values.get(item.path)
    if not isinstance(given, dict):
        return Label("未作答", "no answer")
    if misfit(item.asked, given) is not None:
        return Label("未答完", "half answered")
    if item.item.code not in pictured and photo_due(item.item, verdict(item.asked, given, today=day)):
        return Label("缺照片", "no photo")
    return None


def pictured_items(values: Mapping[str, Any]) -> set[str]:
    """The codes of the items that have evidence."""
    return {
        str(one.get("item")) for path, one in values.items() if path.startswith("evidence/") and isinstance(one, dict)
    }


def day_of_visit(values: Mapping[str, Any]) -> str:
    """The calendar day of an inspection, in China."""
    return day_of(values.get("started_at"))


def photo_due_for(tablet: Tablet, inspection: str, item: FormItem, value: Mapping[str, Any]) -> bool:
    """Whether this answer asks for a photo that was not taken yet."""
    return _lacks_photo(tablet, tablet.values(inspection), item, value)


def _lacks_photo(tablet: Tablet, values: Mapping[str, Any], item: FormItem, value: Mapping[str, Any]) -> bool:
    day = _day(str(values.get("started_at") or moment(tablet)))
    return item.item.code not in pictured_items(values) and photo_due(item.item, verdict(item.asked, value, today=day))


# --- notes, signatures, submission -----------------------------------------------------------------------------------


def note(tablet: Tablet, record: str, text: str, item: str | None = None) -> str:
    """Add a dated note to a record of any kind that holds notes; returns the note's id."""
    id = tablet.store.clock.new_id()
    value = {"text": text, "at": moment(tablet), **({"item": item} if item else {})}
    tablet.write(tablet.view(record).kind, record, {f"notes/{id}": value})
    return id


def content_of(tablet: Tablet, inspection: str) -> str:
    """The hash of what a signature covers, as the inspection stands. Raises NotReady where it is in conflict."""
    state = tablet.view(inspection)
    disputed = contested(state, Inspection.merge_of)
    if disputed:
        paths = "、".join(disputed)
        raise NotReady(action=SIGN, detail=Label(f"有冲突：{paths}", f"in conflict: {paths}"))
    return content_hash(Inspection, state.record, values_of(state, Inspection.merge_of))


def finish(tablet: Tablet, inspection: str) -> None:
    """Note that the inspection has ended, once: the time is among what is signed."""
    if "ended_at" not in tablet.values(inspection):
        tablet.write(KIND, inspection, {"ended_at": moment(tablet)})


def refuse(tablet: Tablet, inspection: str, reason: str, witness: str = "") -> None:
    """Note that the party does not sign, why, and who saw it. The officers sign that, so it comes before them."""
    tablet.write(KIND, inspection, {"refusal": reason, **({"witness": witness} if witness else {})})


def sign(
    tablet: Tablet,
    inspection: str,
    name: str,
    role: str = "party",
    image: Path | BinaryIO | None = None,
    officer: str | None = None,
    cosign: Callable[[str], Mapping[str, str]] | None = None,
    shown: str | None = None,
) -> str:
    """Sign what the inspection shows now; the first signature also notes when the inspection ended.

    role    "party", "officer" or "witness"
    image   the signature as drawn or photographed
    cosign  makes the signature an officer's own: content hash → the parts that say so
    shown   the content hash of what the person was shown, where that was another page than this one
    Returns the content that was signed. Raises NotReady where a signed field is in conflict, Stale where it changed
    since it was `shown`, Refused for no such image.
    """
    if isinstance(image, Path):
        try:
            with open(image, "rb") as file:
                return sign(tablet, inspection, name, role, file, officer, cosign, shown)
        except OSError as error:
            raise Refused(detail=Label(f"打不开文件 {image}", f"the file {image} cannot be opened")) from error
    stored, title = None, ""
    if image is not None:
        title = called(Path(str(getattr(image, "name", ""))).name)
        mime = identify(image.read(HEAD_BYTES))
        image.seek(0)
        stored = cast(CaptureFiles, tablet.files).add(image, title)
    with tablet.store.writing():  # a wrong PIN leaves nothing behind
        finish(tablet, inspection)
        content = content_of(tablet, inspection)
        if shown is not None and shown != content:
            raise Stale(what=Label("所签内容", "what is signed"))
        value: dict[str, Any] = {"name": name, "content": content, "at": moment(tablet), "as": role}
        if officer:
            value["officer"] = officer
        if cosign is not None:
            value |= cosign(content)
        if stored is not None:
            value |= {"sha256": stored.sha256, "size": stored.size, "mime": mime}
        tablet.write(KIND, inspection, {f"signatures/{tablet.store.clock.new_id()}": value})
        if stored is not None:
            tablet.attach(inspection, stored.sha256, stored.size, mime, "original", title)
    return content


def amended(tablet: Tablet, inspection: str) -> list[str]:
    """The names of those who signed something else than what the inspection shows now."""
    values = tablet.values(inspection)
    now = content_hash(Inspection, tablet.view(inspection).record, values)
    signed = [v for path, v in values.items() if path.startswith("signatures/") and isinstance(v, dict)]
    return [str(one.get("name")) for one in signed if one.get("content") != now]


class Obstacle(NamedTuple):
    """Why an inspection cannot be handed in, and where that is mended: the name of a field, or none."""

    why: Label
    place: str


def obstacles(tablet: Tablet, inspection: str) -> list[Obstacle]:
    """As `unmet`, one for every field that is missing; empty where the inspection can be handed in."""
    values = tablet.values(inspection)
    missing = [
        Obstacle(Label(f"缺少“{field.label.zh}”", f"{field.label.en} is missing"), name)
        for name, field in Inspection.fields_by_name().items()
        if field.required and values.get(name) is None and name != "ended_at"
    ]
    places = {"signed": "signatures", "two_officers": "officers"}
    others = [Obstacle(why, places.get(guard, "")) for guard, why in _unmet(tablet, inspection) if guard != "required"]
    return [*missing, *others]


def unmet(tablet: Tablet, inspection: str) -> list[Label]:
    """Why the inspection cannot be submitted yet; empty where it can."""
    return [why for _, why in _unmet(tablet, inspection)]


def _unmet(tablet: Tablet, inspection: str) -> list[tuple[str, Label]]:
    """(guard, why) of each; the step itself is the guard "step"."""
    state = tablet.view(inspection)
    statuses = set(state.live.get("status", {}).values())
    workflow = Inspection.workflow
    assert workflow is not None  # the kind has one
    step = workflow.step(next(iter(statuses), workflow.initial), "submitted") if len(statuses) <= 1 else None
    if step is None:
        return [("step", Label("当前状态不能提交", "it cannot be submitted from its status"))]
    identity = tablet.identity
    if identity is not None and identity.person.role not in step.roles:
        raise NotAllowed(detail=Label("该角色不能提交检查", "this role does not submit inspections"))
    facts = Facts(missing_blobs=lambda blobs: (), officers=lambda ids: values_known(tablet, ids))
    state.live.setdefault("ended_at", {"now": moment(tablet)})
    return [(name, why) for name in step.requires if (why := GUARDS[name](state, Inspection, facts)) is not None]


def values_known(tablet: Tablet, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Of these records, the values of those that this tablet knows."""
    found = {}
    for id in ids:
        with suppress(NotFound):
            found[id] = tablet.values(id)
    return found


def submit(tablet: Tablet, inspection: str) -> None:
    """Hand the inspection to the county; the tasks that it was begun for are done with it.

    :raises NotReady: says everything that is missing
    :raises NotAllowed: the person's role does not submit
    """
    missing = unmet(tablet, inspection)
    if missing:
        detail = Label("；".join(one.zh for one in missing), "; ".join(one.en for one in missing))
        raise NotReady(action=SUBMIT, detail=detail)
    _finish_evidence(tablet, inspection)
    ended = {} if "ended_at" in tablet.values(inspection) else {"ended_at": moment(tablet)}
    with tablet.store.writing():
        tablet.write(KIND, inspection, {**ended, "status": "submitted"})
        tasks.finished_with(tablet, inspection)


def _finish_evidence(tablet: Tablet, inspection: str) -> None:
    """Every digest and picture of its evidence, so that what is handed in is complete."""
    named = {path.removeprefix("evidence/") for path in tablet.values(inspection) if path.startswith("evidence/")}
    derivatives.catch_up(tablet, only=named)


# --- which checklist -------------------------------------------------------------------------------------------------


def _checklist_for(tablet: Tablet) -> tuple[str | None, str]:
    """The published edition that applies today, (id, edition); the shipped one, without an id, where there is none."""
    today = _day(moment(tablet))
    published = [
        (str(values.get("effective_from")), id, str(values.get("edition")))
        for id in tablet.records("checklist")
        if (values := tablet.values(id)).get("status") == "published" and str(values.get("effective_from")) <= today
    ]
    if not published:
        return None, library().edition
    _, id, edition = max(published)
    return id, edition


def _day(time: str) -> str:
    """The calendar day of a moment, in China."""
    return datetime.fromisoformat(time).astimezone(CHINA).date().isoformat()


def _edition(tablet: Tablet, checklist: Any) -> tuple[tuple[Group, ...], tuple[Item, ...]]:
    if isinstance(checklist, str):
        with suppress(NotFound):  # not on this tablet: the shipped items have the same codes
            return contents(tablet.values(checklist))
    return library().groups, library().items


def _traits(tablet: Tablet, institution: Any) -> tuple[str, str, set[str] | None]:
    """Category, form of training and conditions of an institution; what leaves nothing out where they are not known."""
    try:
        about = tablet.values(institution) if isinstance(institution, str) else {}
    except NotFound:
        about = {}
    known = {path.removeprefix("features/") for path, value in about.items() if path.startswith("features/") and value}
    if about.get("status") == "unlicensed":
        known.add("unlicensed")
    conditions = known & CONDITIONS if "category" in about else None
    return about.get("category") or "other", about.get("mode") or "both", conditions
