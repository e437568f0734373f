"""隐患: noted on the spot, the order handed over, looked at again beside the earlier photo, struck off by somebody else."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Response, request

from field_client.tablet import Tablet
from field_client.ui import here, papers, scanning, typed
from field_client.ui.here import Nav, Screen
from field_client.ui.institutions import searching
from field_client.ui.told import Told, told
from field_client.work import agenda, inspecting, rectification_order, rectifying
from field_client.work.search import Search
from field_client.work.showing import title_of
from schemas.base import DELETED
from schemas.kinds.evidence import STAGES
from schemas.kinds.hazard import GRADES, Hazard, overdue
from schemas.labels import Label
from schemas.words import value_of
from sync.core.errors import InvalidField, NotFound, Problem, Refused
from sync.core.fold import contested, deleted, values_of

KIND = Hazard.kind

screen = Screen("hazards", __name__, nav=Nav(Label("隐患", "Hazards"), "hazard", 40, "hazards.listed"), writes=Hazard.kind)

TYPED = ("description", "responsible", "deadline", "measures", "contingency")
LISTED = 80


@screen.get("/hazards")
def listed() -> str:
    """Those that are open, overdue first; those that wait to be verified; how many were struck off."""
    tablet = here.tablet()
    today = agenda.today_of(tablet)
    dangers = agenda.dangers(tablet, today)
    waiting = _in_status(tablet, "rectified")
    shown = dangers[:LISTED]
    named = {one.institution for one in shown} | {str(values["institution"] or "") for _, values in waiting}
    return here.page(
        "hazards/list.html",
        dangers=shown,
        more=max(0, len(dangers) - LISTED),
        waiting=waiting,
        closed=len(_in_status(tablet, "verified")),
        names=Search(tablet.store).names(named),
    )


def _in_status(tablet: Tablet, status: str) -> list[tuple[str, Told]]:
    """The hazards that stand there now."""
    found = [(one.record, Told(values_of(one, Hazard.merge_of))) for one in tablet.store.views(tablet.store.mentioning(KIND, f'"{status}"'))]
    return [(record, values) for record, values in found if values["status"] == status and DELETED not in values]


@screen.get("/hazards/new")
def new() -> str:
    tablet, given = here.tablet(), request.args
    inspection, item, institution = (given.get(name, "") for name in ("inspection", "item", "institution"))
    description = ""
    if inspection:
        about = tablet.values(inspection)
        institution = str(about.get("institution") or "")
        if item:
            description = _found(tablet, inspection, item, about)
    responsible = str(tablet.values(institution).get("legal_representative") or "") if tablet.store.knows(institution) else ""
    return _form({"inspection": inspection, "item": item, "institution": institution, "description": description,
                  "grade": "general", "deadline": "", "responsible": responsible})  # fmt: skip


def _found(tablet: Tablet, inspection: str, item: str, about: dict[str, Any]) -> str:
    """The question and what was found, as the beginning of a description."""
    try:
        one = inspecting.item_of(inspecting.all_groups(tablet, inspection), item)
    except NotFound:
        return ""
    reason = told(about.get(one.path))["reason"]
    return f"{one.item.question.zh}：{reason}" if reason else one.item.question.zh


def _form(typed_in: dict[str, str], problem: Problem | None = None) -> str:
    tablet = here.tablet()
    institution, text = typed_in["institution"], request.args.get("q", "").strip()
    found = searching(tablet).find(text, 12) if not institution and text else []
    photos = 0
    if typed_in["inspection"] and typed_in["item"]:
        values = tablet.values(typed_in["inspection"])
        photos = sum(path.startswith("evidence/") and told(one)["item"] == typed_in["item"] for path, one in values.items())
    return here.page(
        "hazards/new.html",
        typed=typed_in,
        where=title_of(tablet, institution) if institution else "",
        found=found,
        text=text,
        grades=GRADES,
        deadlines=rectifying.deadlines(tablet),
        photos=photos,
        record=request.form.get("record") or tablet.store.clock.new_id(),
        problem=problem,
    )


@screen.post("/hazards")
def add() -> Response | tuple[str, int]:
    """Note it; the form names it. Photos of the item come along as photos from before."""
    tablet, record = here.tablet(), here.posted_id()
    names = ("inspection", "item", "institution", "description", "grade", "deadline", "responsible")
    said = {name: here.posted(name) for name in names}
    said["deadline"] = said["deadline"] or here.posted("term")
    if tablet.store.knows(record):
        typed.again(tablet, KIND, record, {name: said[name] for name in ("description", "grade", "deadline", "responsible")})
        return here.done(Label("已登记隐患", "The hazard is noted"), ".show", record=record)
    try:
        if not said["institution"]:
            raise InvalidField(field="institution", detail=Label("请选择机构", "choose the institution"))
        if not said["description"]:
            raise InvalidField(field="description", detail=Label("请写明问题", "describe the hazard"))
        given = {name: said[name] or None for name in ("deadline", "responsible", "inspection", "item")}
        rectifying.note(tablet, said["institution"], said["description"], record=record, grade=said["grade"] or "general", **given)
    except InvalidField as problem:
        return _form(said, problem), 422
    if here.posted("photos") == "1":
        rectifying.carry_photos(tablet, record)
    return here.done(Label("已登记隐患", "The hazard is noted"), ".show", record=record)


@screen.get("/hazards/<record>")
def show(record: str) -> str:
    return _show(record)


def _show(record: str, problem: Problem | None = None) -> str:
    tablet = here.tablet()
    state = tablet.view(record)
    if state.kind != KIND or deleted(state):
        raise NotFound(what=Label("这处隐患", "this hazard"))
    values = Told(values_of(state, Hazard.merge_of))
    today = agenda.today_of(tablet)
    deadline = str(values["deadline"] or "")
    photos = _photos(tablet, values)
    before = photos["before"] or photos[""]
    notes = sorted((told(value) for path, value in values.items() if path.startswith("notes/")), key=lambda one: str(one["at"]), reverse=True)
    workflow = Hazard.workflow
    return here.page(
        "hazards/show.html",
        record=state.record,
        values=values,
        bases={name: typed.digest(values[name]) for name in TYPED},
        fields={name: Hazard.fields_by_name()[name] for name in TYPED},
        institution=str(values["institution"] or ""),
        where=title_of(tablet, str(values["institution"] or "")),
        late=overdue(values, today.isoformat()),
        days=(date.fromisoformat(deadline) - today).days if deadline else None,
        status=value_of(Hazard, "status", values["status"] or "open"),
        locked=(workflow is not None and workflow.locked(str(values["status"] or "open"))) or not tablet.may_write(KIND),
        photos=photos,
        stages=STAGES,
        first_before=before[0][0] if before else "",
        last_after=photos["after"][-1][0] if photos["after"] else "",
        notes=notes,
        steps=rectifying.steps(tablet, state.record),
        disputes=contested(state, Hazard.merge_of),
        verifies=rectifying.may_verify(tablet),
        today=today.isoformat(),
        problem=problem,
    )


def _photos(tablet: Tablet, values: Told) -> dict[str, list[tuple[str, Told]]]:
    """Its photos by stage, in the order of their taking."""
    found: dict[str, list[tuple[str, Told]]] = {"": [], **{stage: [] for stage in STAGES}}
    for path in sorted(one for one in values if one.startswith("evidence/")):
        id = path.removeprefix("evidence/")
        about = told(tablet.values(id) if tablet.store.knows(id) else None)
        found[str(about["stage"] or "")].append((id, about))
    return found


@screen.post("/hazards/<record>/fields/<name>")
def field(record: str, name: str) -> Response:
    """One typed field, saved as it is left."""
    tablet = here.tablet()
    if name not in TYPED:
        raise NotFound(what=Label("这个栏目", "this field"))
    _writable(tablet, record)
    return typed.save(tablet, Hazard, record, name, ".show")


def _writable(tablet: Tablet, record: str) -> None:
    workflow = Hazard.workflow
    if workflow is not None and workflow.locked(str(tablet.values(record).get("status") or "open")):
        raise Refused(detail=Label("已销号或作废，不能再改", "it is struck off or void and not changed any more"))


@screen.post("/hazards/<record>/notes")
def note(record: str) -> Response:
    """Progress; the form names the note, so it is written once."""
    typed.note(here.tablet(), KIND, record)
    return here.done(Label("已记下", "Noted"), ".show", record=record, _anchor="notes")


@screen.post("/hazards/<record>/step")
def step(record: str) -> Response | tuple[str, int]:
    """A step of the workflow that this role may take."""
    tablet = here.tablet()
    try:
        rectifying.take(tablet, record, here.posted("target"), here.posted("words"), here.posted("rectified_on") or None)
    except Problem as problem:
        return _show(record, problem), 409
    here.seat().rounds.again()
    return here.done(Label("已记录", "Done"), ".show", record=record)


@screen.get("/hazards/<record>/order")
def order(record: str) -> str:
    """What is to be put right and by when: to be printed, taken as PDF, or read off the screen by a telephone."""
    made = rectification_order.of(here.tablet(), record)
    return here.page(
        "hazards/order.html",
        record=record,
        order=made,
        qr=scanning.drawn(made.text),
        sticks=papers.sticks(),
        beside=rectification_order.BESIDE,
        sign=rectification_order.SIGN,
        sealed=rectification_order.SEALED,
    )


@screen.get("/hazards/<record>/order.pdf")
def order_pdf(record: str) -> Response:
    """The same as PDF."""
    return papers.download(rectification_order.pdf(here.tablet(), record), rectification_order.TITLE.zh, record)


@screen.post("/hazards/<record>/order/stick")
def order_to_stick(record: str) -> Response:
    """The same as PDF onto a USB stick."""
    told_where = papers.to_stick(rectification_order.pdf(here.tablet(), record), rectification_order.TITLE.zh, record)
    return here.done(told_where, ".order", record=record)
