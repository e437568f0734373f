"""检查: an inspection from its first question to its submission. Each tap is a change of its own, written before the screen
says so.

    begin      at an institution: how, and who; a draft that is open there is offered first
    show       what is done and what is missing, the findings, photos, notes
    group      the items of a group; an answer is posted alone, with the digest of the answer that the page showed

An answer that another page or another tablet gave meanwhile is never written over unseen: both are shown (`_Item.tried`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Response, jsonify, request

from field_client.evidence import repeats
from field_client.moments import moment
from field_client.tablet import Tablet
from field_client.ui import here, scanning, typed
from field_client.ui.here import Nav, Screen
from field_client.ui.told import Told, told
from field_client.ui.typed import digest
from field_client.work import agenda, cards, inspecting, tasks
from field_client.work.showing import dispute, lines_of, title_of
from schemas.base import DELETED
from schemas.certificates import certificate_of, day_of, why_not
from schemas.forms import FormGroup, FormItem, FormStep, form_of
from schemas.kinds.hazard import Hazard
from schemas.kinds.inspection import Inspection
from schemas.labels import Label
from schemas.shipped.answers import REASONS, Verdict, misfit, photo_due, verdict
from schemas.words import value_of
from screens.forms import narrow
from sync.core.errors import InvalidField, NotAllowed, NotFound, Problem, Refused
from sync.core.fold import State, contested, deleted, values_of

KIND = Inspection.kind

screen = Screen("inspection", __name__, nav=Nav(Label("检查", "Visits"), "checklist", 30, "inspection.listed"), writes=KIND)

LISTED = 60
OFFICERS_SHOWN = 60
TYPED = ("findings", "party_opinion", "person_in_charge", "person_post", "person_phone", "led_by", "notice_number")
"""Fields of an inspection that are typed on its own page, each saved as it is left."""
JUDGED = frozenset({"choice", "multi", "table", "text", "number"})
"""Answers of which a person may say whether they conform."""
PHRASES = (
    Label("负责人不在场，由前台接待", "The person in charge was away; reception received us"),
    Label("正在上课", "Classes were going on"),
    Label("大门锁闭，无人应答", "Locked, nobody answered"),
    Label("当场改正", "Put right on the spot"),
    Label("已告知权利和义务", "Rights and duties were explained"),
    Label("已出示执法证件", "Certificates were shown"),
)
"""What is noted often, one tap each."""


class _Item(NamedTuple):
    """An item as it is drawn.

    base   digest of the answer shown: an answer to something else is not taken unseen
    lacks  what is missing
    tried  an answer that was given to an older one, to be given again or dropped
    wrong  why what was typed cannot be taken; it is shown all the same
    """

    one: FormItem
    value: Mapping[str, Any]
    base: str
    verdict: Verdict | None
    lacks: Label | None
    photo_due: bool
    photos: tuple[tuple[str, Mapping[str, Any]], ...]
    hazards: tuple[tuple[str, str], ...]
    disputed: Label | None
    tried: Mapping[str, Any] | None = None
    tried_words: Label | None = None
    wrong: Label | None = None


class _Progress(NamedTuple):
    """How far a group is."""

    code: str
    label: Label
    answered: int
    total: int
    failed: int
    lacking: int


class Visit:
    """An inspection with what its pages ask of it, each thing read once; `ours`: this tablet's person writes inspections."""

    def __init__(self, tablet: Tablet, record: str, groups: tuple[FormGroup, ...] | None = None) -> None:
        """`groups`: the items that it asks, where they were read in this request already."""
        self.tablet = tablet
        self.state: State = tablet.view(record)
        if self.state.kind != KIND or deleted(self.state):
            raise NotFound(what=Label("这次检查", "this inspection"))
        self.record = self.state.record
        self.ours = tablet.may_write(KIND)
        self.values = Told(values_of(self.state, Inspection.merge_of))
        self.groups = inspecting.groups_of(tablet, self.record, self.values) if groups is None else groups
        self.day = day_of(self.values.get("started_at")) or day_of(moment(tablet))
        self.status = str(self.values.get("status") or "draft")
        self.photos: dict[str, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
        for path, value in sorted(self.values.items()):
            if path.startswith("evidence/") and isinstance(value, dict):
                self.photos[str(value.get("item") or "")].append((path.removeprefix("evidence/"), told(value)))

    @property
    def locked(self) -> bool:
        """Whether nothing of it is to be changed any more, or not by this tablet's person."""
        workflow = Inspection.workflow
        return (workflow is not None and workflow.locked(self.status)) or not self.ours

    @property
    def open(self) -> bool:
        """Whether it is still being filled in, here and now."""
        return self.status in ("draft", "returned") and self.ours

    @property
    def disputes(self) -> list[str]:
        return contested(self.state, Inspection.merge_of)

    def item(self, code: str) -> FormItem:
        """The item with a code: one that is not asked here may be answered all the same."""
        try:
            return inspecting.item_of(self.groups, code)
        except NotFound:
            return inspecting.item_of(inspecting.all_groups(self.tablet, self.record), code)

    def lack(self, one: FormItem) -> Label | None:
        return inspecting.gap(one, self.values, self.day, self.photos)

    def progress(self) -> list[_Progress]:
        return [self._progress(group) for group in self.groups]

    def _progress(self, group: FormGroup) -> _Progress:
        answers = [self.values.get(one.path) for one in group.items]
        failed = sum(
            isinstance(value, dict) and verdict(one.asked, value, today=self.day) == "no"
            for one, value in zip(group.items, answers, strict=True)
        )
        return _Progress(
            group.code,
            group.label,
            sum(isinstance(value, dict) for value in answers),
            len(group.items),
            failed,
            sum(self.lack(one) is not None for one in group.items),
        )

    def first_gap(self, after: str = "", begin: str = "") -> tuple[str, str] | None:
        """(group, code) of the next item that lacks something: behind the item `after`, else from `begin` or the start."""
        order = [(group.code, one) for group in self.groups for one in group.items]
        codes = [one.item.code for _, one in order]
        start = codes.index(after) + 1 if after in codes else codes.index(begin) if begin in codes else 0
        for group, one in order[start:] + order[:start]:
            if self.lack(one) is not None:
                return group, one.item.code
        return None

    def shown(self, one: FormItem, hazards: Mapping[str, Any] | None = None, **more: Any) -> _Item:
        value = self.values.get(one.path)
        given = told(value)
        said = verdict(one.asked, given, today=self.day) if given else None
        disputed = None
        if one.path in self.disputes:
            own = {change.change.id for change in self.tablet.history(self.record)}
            disputed = dispute(Inspection, self.state, one.path, own)
        return _Item(
            one,
            given,
            digest(value),
            said,
            self.lack(one),
            bool(given) and photo_due(one.item, said),
            tuple(self.photos.get(one.item.code, ())),
            tuple((hazards or {}).get(one.item.code, ())),
            disputed,
            **more,
        )

    def strays(self) -> list[tuple[str, Label]]:
        """Answers to items that are not asked: the institution's entry has changed since, or another edition was followed."""
        asked = {one.path for group in self.groups for one in group.items}
        return [
            (path.removeprefix("answers/"), value_of(Inspection, path, value) or Label("", ""))
            for path, value in sorted(self.values.items())
            if path.startswith("answers/") and path not in asked and value is not None
        ]


def hazards_by_item(tablet: Tablet, inspection: str) -> dict[str, list[tuple[str, str]]]:
    """The hazards that were noted in an inspection: item code → (id, description)."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for state in tablet.store.views(tablet.store.mentioning(Hazard.kind, inspection)):
        values = values_of(state, Hazard.merge_of)
        if values.get("inspection") == inspection and DELETED not in values:
            found[str(values.get("item") or "")].append((state.record, str(values.get("description") or "")))
    return found


# ---- the list, and beginning one -----------------------------------------------------------------------------------


@screen.get("/inspections")
def listed() -> str:
    """What is under way, what was sent back, and what was handed in lately."""
    tablet = here.tablet()
    open_now = agenda.visits(tablet)
    done = []
    for status in ("submitted", "approved"):
        for state in tablet.store.views(tablet.store.mentioning(KIND, f'"{status}"')):
            values = values_of(state, Inspection.merge_of)
            if values.get("status") == status and DELETED not in values:
                done.append((str(values.get("started_at") or ""), state.record, str(values.get("name") or ""), status))
    done.sort(reverse=True)
    return here.page(
        "inspection/list.html", drafts=open_now.drafts, returned=open_now.returned, done=done[:LISTED], more=len(done) - LISTED
    )


@screen.post("/inspections")
def start() -> Response | str:
    """Begin one; the form names it. Where one is open already it is offered first."""
    tablet, institution, record = here.tablet(), here.posted("institution"), here.posted_id()
    if tablet.store.knows(record):
        return here.go(".show", record=record)
    drafts, task = inspecting.drafts_at(tablet, institution), here.posted("task")
    if task:
        tasks.open_task(tablet, task)
    if drafts and here.posted("anyway") != "1":
        open_now = [(one, told(tablet.values(one))) for one in drafts]
        return here.page("inspection/again.html", institution=institution, record=record, drafts=open_now, task=task,
                         name=title_of(tablet, institution))  # fmt: skip
    inspecting.start(tablet, institution, record=record, task=task or None)
    return here.go(".people", record=record, first=1)


# ---- the page of one -----------------------------------------------------------------------------------------------


@screen.get("/inspections/<record>")
def show(record: str) -> str:
    tablet = here.tablet()
    visit = Visit(tablet, record)
    values = visit.values
    alike = repeats.pending(tablet)
    every = [one for photos in visit.photos.values() for one in photos]
    signed = [told(value) for path, value in values.items() if path.startswith("signatures/") and isinstance(value, dict)]
    return here.page(
        "inspection/show.html",
        visit=visit,
        values=values,
        bases={name: digest(values.get(name)) for name in TYPED},
        fields={name: Inspection.fields_by_name()[name] for name in TYPED},
        warnings=Inspection.warnings({name: values.get(name) for name in TYPED}),
        groups=visit.progress(),
        answered=sum(path.startswith("answers/") and value is not None for path, value in values.items()),
        following=visit.first_gap(),
        photos=every,
        unexplained=[one for one, _ in every if one in alike],
        notes=_notes(values),
        reasons=_reviews(values),
        officers=[(one, told(tablet.values(one) if tablet.store.knows(one) else None)) for one in sorted(inspecting.officers_of(values))],
        signed=signed,
        amended=inspecting.amended(tablet, visit.record) if signed else [],
        hazards=[one for many in hazards_by_item(tablet, visit.record).values() for one in many],
        phrases=PHRASES,
        notice=inspecting.notice_of(tablet, visit.record),
        mode=value_of(Inspection, "mode", values.get("mode")),
        state_words=value_of(Inspection, "status", visit.status),
        lines=[] if visit.open else lines_of(tablet, visit.record),
        steps=steps_for(tablet, visit.status),
        waiting=sum(own.status == "queued" for own in tablet.history(visit.record)),
    )  # fmt: skip


def steps_for(tablet: Tablet, status: str) -> list[FormStep]:
    """The steps of the workflow that the person of this tablet may take from a status, submitting left to its own page."""
    identity = tablet.identity
    role = identity.person.role if identity is not None else None
    return [one for one in form_of(Inspection, role).steps if one.source == status and one.target != "submitted"]


def _notes(values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = [told(value) for path, value in values.items() if path.startswith("notes/") and isinstance(value, dict)]
    return sorted(found, key=lambda one: str(one.get("at")), reverse=True)


def _reviews(values: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str]]:
    """What staff remarked, newest first, and where on these pages that is."""
    found = [told(value) for path, value in values.items() if path.startswith("review/") and isinstance(value, dict)]
    return [(one, str(one.get("item") or "")) for one in sorted(found, key=lambda one: str(one.get("at")), reverse=True)]


# ---- items ---------------------------------------------------------------------------------------------------------


@screen.get("/inspections/<record>/items/<group>")
def items(record: str, group: str) -> Response:
    return _group(Visit(here.tablet(), record), group)


def _group(visit: Visit, code: str, tried: _Item | None = None, status: int = 200) -> Response:
    codes = [one.code for one in visit.groups]
    if code not in codes:
        raise NotFound(what=Label("这一组事项", "this group of items"))
    at = codes.index(code)
    hazards = hazards_by_item(visit.tablet, visit.record)
    drawn = [visit.shown(one, hazards) for one in visit.groups[at].items]
    if tried is not None:
        drawn = [tried if one.one.item.code == tried.one.item.code else one for one in drawn]
    return here.flowing(
        "inspection/group.html",
        status,
        visit=visit,
        group=visit.groups[at],
        groups=visit.progress(),
        items=drawn,
        before=codes[at - 1] if at else None,
        after=codes[at + 1] if at + 1 < len(codes) else None,
        following=visit.first_gap(begin=visit.groups[at].items[0].item.code),
        **_facts(visit),
    )


def _facts(visit: Visit) -> dict[str, Any]:
    """What every drawn item needs besides itself."""
    officers = [(one, told(visit.tablet.values(one))) for one in sorted(inspecting.officers_of(visit.values)) if visit.tablet.store.knows(one)]
    return {"reasons": REASONS, "officers": officers, "judged": JUDGED}


@screen.get("/inspections/<record>/items/<code>/piece")
def piece(record: str, code: str) -> Response | tuple[str, int]:
    """One item as it is now, for a script that took a photo of it."""
    visit = Visit(here.tablet(), record)
    one = visit.item(code)
    group = next((group.code for group in visit.groups if one in group.items), "")
    return _told(visit, group, visit.shown(one, hazards_by_item(visit.tablet, record)), 200)


@screen.post("/inspections/<record>/items/<code>")
def answer(record: str, code: str) -> Response | str | tuple[str, int]:
    """One answer. A script is told what the item looks like now; a plain form comes back to its page."""
    tablet = here.tablet()
    visit = Visit(tablet, record)
    one = visit.item(code)
    group = next((group.code for group in visit.groups if one in group.items), "")
    given = {} if here.posted("clear") else answer_posted(one)
    current = visit.values.get(one.path)
    wrong = _unreadable(one, given)
    if wrong is not None:
        return _told(visit, group, visit.shown(one, hazards_by_item(tablet, record), tried=told(given), wrong=wrong), 422)
    if here.posted("base") != digest(current) and given != (current or {}):
        words = value_of(Inspection, one.path, given) or Label("（清除）", "(cleared)")
        shown = visit.shown(one, hazards_by_item(tablet, record), tried=told(given), tried_words=words)
        return _told(visit, group, shown, 409)
    if given != (current or {}):
        _writable(visit)
        try:
            tablet.write(KIND, visit.record, {one.path: given or None})
        except InvalidField as problem:
            words = Label(problem.text("zh"), problem.text("en"))
            return _told(visit, group, visit.shown(one, tried=told(given), wrong=words), 422)
    visit = Visit(tablet, record, visit.groups)
    if not here.wants_json():
        return here.go(".items", record=visit.record, group=group, _anchor=code) if group else here.go(".show", record=visit.record)
    return _told(visit, group, visit.shown(one, hazards_by_item(tablet, record)), 200)


def _writable(visit: Visit) -> None:
    if visit.locked:
        raise Refused(detail=Label("已审核或已归档，不能再改；可以补充备忘和证据", "it is approved or archived; notes and evidence may still follow"))


def _told(visit: Visit, group: str, shown: _Item, status: int) -> Response | tuple[str, int]:
    """The item as it is now, as a piece for a script or on its page."""
    if not here.wants_json():
        return _group(visit, group, shown, status)
    at = next((one for one in visit.progress() if one.code == group), None)
    following = visit.first_gap(shown.one.item.code)
    response = jsonify(
        saved=status == 200,
        base=shown.base,
        words=here.say(shown.wrong or shown.tried_words or Label("已保存", "Saved")),
        html=here.page("inspection/item.html", visit=visit, item=shown, **_facts(visit)),
        group={"answered": at.answered, "total": at.total, "lacking": at.lacking} if at else None,
        following=list(following) if following else None,
    )
    response.status_code = status
    return response


def _unreadable(one: FormItem, given: Mapping[str, Any]) -> Label | None:
    """Why a typed answer is none. What is only half filled in is kept, and counted among what is missing."""
    if not given or one.asked.type in ("table", "multi", "choice", "officers", "text"):
        return None
    return misfit(one.asked, given) if "measured" in given or one.member == "answer" else None


def answer_posted(one: FormItem) -> dict[str, Any]:
    """What was tapped and typed into an item, as the value of its answer; empty where it says nothing."""
    form, kind = request.form, one.asked.type
    said = here.posted("answer")
    value: dict[str, Any] = {}
    if said == "na" or (said in ("yes", "no") and (kind == "yes_no_na" or kind in JUDGED)):
        value["answer"] = said
    if said != "na":
        measured = here.posted("measured")
        match kind:
            case "number" | "date" | "time" if measured:
                value["measured"] = narrow(measured).replace(",", "")
                if one.asked.unit is not None:
                    value["unit"] = one.asked.unit.zh
            case "choice" | "text" if measured:
                value["measured"] = measured
            case "multi" if form.getlist("row"):
                value["rows"] = form.getlist("row")
            case "table":
                value |= _table(one, [cell.strip() for cell in form.getlist("cell")])
            case "officers" if form.getlist("officer"):
                value["officers"] = form.getlist("officer")
    if value:
        value |= {name: text for name in ("reason", "remark") if (text := here.posted(name))}
    return value


def _table(one: FormItem, cells: list[str]) -> dict[str, Any]:
    wide = len(one.asked.columns)
    rows = [cells[at : at + wide] for at in range(0, len(cells), wide)]
    filled = [row for row in rows if any(row)]
    return {"rows": filled} if filled else {}


# ---- fields and notes ----------------------------------------------------------------------------------------------


@screen.post("/inspections/<record>/fields/<name>")
def field(record: str, name: str) -> Response:
    """One typed field, saved as it is left."""
    visit = Visit(here.tablet(), record)
    if name not in TYPED:
        raise NotFound(what=Label("这个栏目", "this field"))
    _writable(visit)
    return typed.save(visit.tablet, Inspection, visit.record, name, ".show")


@screen.post("/inspections/<record>/notes")
def note(record: str) -> Response:
    """A quick note; the form names it, so it is written once."""
    typed.note(here.tablet(), KIND, record, here.posted("item"))
    return here.done(Label("已记下", "Noted"), ".show", record=record, _anchor="notes")


# ---- how, and who --------------------------------------------------------------------------------------------------


@screen.get("/inspections/<record>/people")
def people(record: str) -> str:
    return _people(Visit(here.tablet(), record))


def _people(visit: Visit, problem: Problem | None = None) -> str:
    tablet, text = visit.tablet, request.args.get("q", "").strip()
    identity = tablet.identity
    role = identity.person.role if identity is not None else None
    chosen = inspecting.officers_of(visit.values)
    known = [(one.record, told(values_of(one, tablet.merge_of("officer")))) for one in tablet.browse("officer")]
    fits = [
        (id, values, why_not(values, visit.day))
        for id, values in known
        if id in chosen or not text or any(text in str(values.get(name) or "") for name in ("name", "certificate_number", "unit"))
    ]
    fits.sort(key=lambda one: (one[0] not in chosen, one[2] is not None, str(one[1].get("name"))))
    here_not = [one for one in chosen if one not in {id for id, _ in known}]
    return here.page(
        "inspection/people.html",
        visit=visit,
        modes=form_of(Inspection, role).field("mode").options,
        officers=fits[:OFFICERS_SHOWN],
        more=max(0, len(fits) - OFFICERS_SHOWN),
        chosen=chosen,
        unknown=here_not,
        text=text,
        first=request.args.get("first") == "1",
        problem=problem,
        certificate_of=certificate_of,
    )


@screen.post("/inspections/<record>/mode")
def mode(record: str) -> Response:
    """How: on patrol, to give guidance, or to enforce, which takes two certified officers."""
    tablet = here.tablet()
    visit = Visit(tablet, record)
    _writable(visit)
    if here.posted("mode") != visit.values.get("mode"):
        tablet.write(KIND, visit.record, {"mode": here.posted("mode")})
    return here.go(".people", record=visit.record, first=here.posted("first") or None)


@screen.post("/inspections/<record>/people")
def choose(record: str) -> Response | tuple[str, int]:
    """Take an officer in, or out: picked from the list, or by what was read off a card. Somebody who may not enforce is
    refused with the reason."""
    tablet = here.tablet()
    visit = Visit(tablet, record)
    _writable(visit)
    officer, chosen = here.posted("officer"), inspecting.officers_of(visit.values)
    try:
        if card := here.posted("card"):
            return _taken(visit, cards.take(tablet, visit.record, card))
        inspecting.choose_officers(tablet, visit.record, chosen - {officer} if here.posted("out") else chosen | {officer})
    except Refused as problem:
        return _people(Visit(tablet, record), problem), 409
    return here.go(".people", record=visit.record, first=here.posted("first") or None, _anchor="officers")


@screen.post("/inspections/<record>/people/picture")
def card(record: str) -> Response | tuple[str, int]:
    """A card in a photo: its officer is taken in. A script that sends stills is told what the card says, and posts that."""
    visit = Visit(here.tablet(), record)
    if here.wants_json():
        return jsonify(card=cards.seen(scanning.posted()))
    _writable(visit)
    try:
        return _taken(visit, cards.take(visit.tablet, visit.record, cards.seen(scanning.posted())))
    except Problem as problem:
        return _people(visit, problem), 409


def _taken(visit: Visit, officer: str) -> Response:
    about = told(visit.tablet.values(officer))
    words = Label(f"已加入 {about['name']}，证号 {about['certificate_number']}", f"{about['name']} is taken, certificate {about['certificate_number']}")
    return here.done(words, ".people", record=visit.record, first=here.posted("first") or None, _anchor="officers")


# ---- handing in, and other steps -----------------------------------------------------------------------------------


@screen.get("/inspections/<record>/submit")
def check(record: str) -> str:
    """Everything that is unmet or missing, each with the way to it."""
    visit = Visit(here.tablet(), record)
    return _check(visit)


def _check(visit: Visit, problem: Problem | None = None) -> str:
    tablet = visit.tablet
    try:
        obstacles = inspecting.obstacles(tablet, visit.record)
    except NotAllowed as refused:
        obstacles, problem = [], refused
    gaps = [
        (group.code, one, lack) for group in visit.groups for one in group.items if (lack := visit.lack(one)) is not None
    ]
    alike = repeats.pending(tablet)
    started, ended = (str(visit.values.get(name) or "") for name in ("started_at", "ended_at"))
    return here.page(
        "inspection/check.html",
        visit=visit,
        obstacles=obstacles,
        gaps=gaps,
        unexplained=[one for photos in visit.photos.values() for one, _ in photos if one in alike],
        amended=inspecting.amended(tablet, visit.record) if not any(one.place == "signatures" for one in obstacles) else [],
        disputes=visit.disputes,
        backwards=bool(ended) and ended < started,
        problem=problem,
    )


@screen.post("/inspections/<record>/submit")
def submit(record: str) -> Response | tuple[str, int]:
    tablet = here.tablet()
    visit = Visit(tablet, record)
    if visit.status == "submitted":
        return here.go(".show", record=visit.record)  # a second tap
    try:
        inspecting.submit(tablet, visit.record)
    except Problem as problem:
        return _check(visit, problem), 409
    here.seat().rounds.again()
    return here.done(Label("已提交，联网后自动上传", "Submitted; it goes up with the next round"), ".show", record=visit.record)


@screen.post("/inspections/<record>/step")
def step(record: str) -> Response:
    """Another step of the workflow that this role may take: making a draft void, with the reason as a note."""
    tablet = here.tablet()
    visit = Visit(tablet, record)
    target, reason = here.posted("target"), here.posted("reason")
    if target == visit.status:
        return here.go(".show", record=visit.record)
    if target not in {one.target for one in steps_for(tablet, visit.status)}:
        raise NotAllowed(detail=Label("该角色不能走这一步", "this role may not take this step"))
    if not reason:
        raise InvalidField(field="reason", detail=Label("请写明原因", "give the reason"))
    note_id = tablet.store.clock.new_id()
    tablet.write(KIND, visit.record, {"status": target, f"notes/{note_id}": {"text": reason, "at": moment(tablet)}})
    return here.done(Label("已记录", "Done"), ".show", record=visit.record)
