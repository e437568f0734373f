"""Checklists: their editions, an XLSForm as a draft, items changed in place, publishing to the tablets."""

from __future__ import annotations

from flask import request, url_for

from schemas.kinds.checklist import Checklist
from schemas.labels import Label
from schemas.shipped import library
from schemas.shipped.catalogue import ASKED_AS
from server.console.frame import Answer, Desk, instance, onward, page, say, seat
from server.console.received import chosen_file
from server.merging import decisions
from server.moments import day
from server.reading.listing import Listing
from server.register import editions, xlsforms
from server.register.editions import KIND, Writing
from sync.core.errors import BadForm, NotFound

desk = Desk("checklists", __name__)

COLUMNS = ("name", "edition", "effective_from", "status")
MAY_TYPE = ("name", "edition", "effective_from", "notice")
WORKFLOW = Checklist.workflow


@desk.get("/checklists", may="templates.read")
def listing() -> Answer:
    rows = sorted(
        Listing(instance(), KIND).rows(), key=lambda row: (row["effective_from"] or "9999", row["record"]), reverse=True
    )
    return page("checklists/list.html", rows=rows, statuses=WORKFLOW.statuses if WORKFLOW else {}, today=day(instance().now()))


@desk.get("/checklists/<checklist>", may="templates.read")
def show(checklist: str) -> Answer:
    edition = editions.show(instance(), seat().sight.rights(), checklist)
    shown = library()
    return page(
        "checklists/show.html",
        edition=edition,
        status=WORKFLOW.statuses[edition.values["status"]].label if WORKFLOW else None,
        library=shown,
        asked_as=ASKED_AS,
        today=day(instance().now()),
        editable=edition.draft and seat().may("templates.write"),
    )


@desk.post("/checklists/import", may="templates.write")
def import_form() -> Answer:
    with chosen_file(BadForm) as file:
        found = xlsforms.read(file)
    who = _who()
    values = found.values | {"effective_from": request.form.get("effective_from") or day(instance().now())}
    record = decisions.write(instance().desk, KIND, None, values, by=who.by, rights=who.rights).record
    say(Label(f"已导入 {found.count} 项，保存为草案。", f"{found.count} items imported as a draft."))
    for remark in found.remarks:
        say(Label(f"{remark.name}：{remark.said.zh}", f"{remark.name}: {remark.said.en}"), "info")
    return onward(url_for(".show", checklist=record))


@desk.post("/checklists/<checklist>/copy", may="templates.write")
def copy(checklist: str) -> Answer:
    record = editions.copy(instance(), _who(), checklist, request.form.get("edition", ""))
    say(Label("新版次已建立，改好后再发布。", "A new edition has begun; change it, then publish it."))
    return onward(url_for(".show", checklist=record))


@desk.post("/checklists/<checklist>/change", may="templates.write")
def change(checklist: str) -> Answer:
    typed = {name: request.form[name].strip() or None for name in MAY_TYPE if name in request.form}
    editions.change(instance(), _who(), checklist, typed)
    say(Label("已保存。", "Saved."))
    return onward(url_for(".show", checklist=checklist))


@desk.get("/checklists/<checklist>/item", may="templates.write")
def edit_item(checklist: str) -> Answer:
    edition = editions.show(instance(), seat().rights, checklist)
    item = next((one for one in edition.items if one.code == request.args.get("code")), None)
    wanted = item.group if item is not None else request.args.get("group")
    group = next((one for one in edition.groups if one.code == wanted), None)
    if group is None or not edition.draft:
        raise NotFound(what=Label("可修改的事项", "an item that can be changed"))
    return page("checklists/item.html", edition=edition, item=item, group=group, library=library(), asked_as=ASKED_AS)


@desk.post("/checklists/<checklist>/items", may="templates.write")
def put_item(checklist: str) -> Answer:
    form = request.form
    said = {name: form[name].strip() for name in ("group", "zh", "en", "photo", "severity", "handler") if name in form}
    said["en"] = said.get("en") or said.get("zh", "")
    if form.get("code", ""):
        item = editions.put_item(instance(), _who(), checklist, form["code"], said)
    else:
        rest = {"answer": {"type": form.get("answer", "yes_no_na")}, "applies_to": ["all"], "basis": [], "penalty": []}
        item = editions.put_item(instance(), _who(), checklist, "", {**rest, "violation": "PROC", "handler": "", **said})
    say(Label(f"{item} 已保存。", f"{item} is saved."))
    return onward(url_for(".show", checklist=checklist, _anchor=f"item-{item}"))


@desk.post("/checklists/<checklist>/items/drop", may="templates.write")
def drop_item(checklist: str) -> Answer:
    code = request.form.get("code", "")
    editions.drop_item(instance(), _who(), checklist, code)
    say(Label(f"{code} 已从草案中移除；历史中仍可查到。", f"{code} is out of the draft; history keeps it."))
    return onward(url_for(".show", checklist=checklist))


@desk.post("/checklists/<checklist>/groups", may="templates.write")
def put_group(checklist: str) -> Answer:
    zh, en = request.form.get("zh", ""), request.form.get("en", "")
    code = request.form.get("code", "").strip().upper()
    editions.put_group(instance(), _who(), checklist, code or f"G{request.form.get('count', '1')}", Label(zh, en))
    say(Label("分组已保存。", "The group is saved."))
    return onward(url_for(".show", checklist=checklist))


@desk.post("/checklists/<checklist>/publish", may="templates.write")
def publish(checklist: str) -> Answer:
    editions.move(instance(), _who(), checklist, "published", request.form.get("effective_from", ""))
    say(Label("已发布。平板下次同步时收到。", "Published. Tablets get it with their next round."))
    return onward(url_for(".show", checklist=checklist))


@desk.post("/checklists/<checklist>/retire", may="templates.write")
def retire(checklist: str) -> Answer:
    editions.move(instance(), _who(), checklist, "retired")
    say(Label("已停用。已做的检查不受影响。", "Retired. Inspections that followed it keep it."))
    return onward(url_for(".show", checklist=checklist))


def _who() -> Writing:
    return Writing([seat().person.id], seat().rights)
