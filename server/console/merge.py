"""The merge desk: what two people said differently, laid out side by side and decided with a reason.

A page names what it showed: the form posts the conflict's ticket and the candidates that were seen. Where something joined
meanwhile nothing is decided; the page comes back with the newcomer marked and with everything that was typed. Where a
colleague was quicker, it tells what they decided, and what is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson
from flask import current_app, request, url_for

import screens
from schemas.base import DELETED, RecordSchema
from schemas.forms import FormField, form_of
from schemas.labels import Label
from schemas.shipped.answers import CONFORMS
from server.access.policy import may
from server.access.rights import ROLES
from server.console.frame import Answer, Desk, answered, instance, local, onward, page, say, seat
from server.console.naming import value_of
from server.exchange import tablets
from server.merging import backlog, comparing, decisions, proposals, sweeps
from server.merging.backlog import PLACES, SORTS, STATUSES, Filter
from server.merging.decisions import Choice
from server.merging.weights import RANKS
from server.moments import day_span
from server.reading import records
from server.storage import conflicts, people
from server.storage import proposals as rows_of
from server.storage.conflicts import Mark, Row
from server.storage.proposals import Proposal
from sync.core.change import canonical
from sync.core.errors import InvalidField, NotFound, Refused, SecondPersonNeeded, Stale

desk = Desk("merge", __name__)

QUICK: Mapping[str, Label] = {
    "seen": Label("现场复核为准", "As checked on the spot"),
    "register": Label("以登记资料为准", "As the register has it"),
    "later": Label("以较晚的记录为准", "The later record is right"),
    "typing": Label("录入错误", "A slip in typing"),
    "agreed": Label("双方核对一致", "Both have agreed"),
    "combined": Label("两份内容互为补充", "The two complete each other"),
}
"""Reasons that are often given; each can be added to in words."""
QUICK_KEPT: Mapping[str, Label] = {
    "true": Label("情况属实", "It is so"),
    "known": Label("当时有权填写", "They had the right then"),
    "twice": Label("重复填写", "Written twice"),
    "overtaken": Label("已被后来的记录取代", "Overtaken by a later record"),
    "not-ours": Label("不属于本辖区", "Not of this area"),
}
RECORD = "console.records.one"
"""The page of a record."""
OTHER, COMBINED, UNION, KEEP_DELETED, RESTORE = "other", "combined", "union", "deleted", "restored"
ANSWER_PARTS: Mapping[str, Label] = {
    "answer": Label("结论", "Answer"),
    "measured": Label("测量值", "Measured"),
    "unit": Label("单位", "Unit"),
    "reason": Label("原因", "Reason"),
    "remark": Label("说明", "Remark"),
}
"""What an answer is typed from; one that is a table or names officers is taken whole from a side."""
TAKEN_WHOLE = ("rows", "composite", "blob", "ref")
"""Widgets of values that nobody types: tables, what names people or records, digests."""


class Typed(NamedTuple):
    """What somebody had filled in, so that a page that comes back has it."""

    choice: str = ""
    quick: str = ""
    reason: str = ""
    combined: str | None = None
    value: Any = None
    problems: Mapping[str, Label] = {}
    has_value: bool = False


# --- The queue --------------------------------------------------------------------------------------------------


@desk.get("/merge", may="merge.read")
def queue() -> Answer:
    house, who = instance(), seat()
    asked = _filter(request.args, place=request.args.get("place") or "values")
    found = backlog.page(house, who.sight, asked, _mark(request.args.get("after", "")))
    with house.database.read() as conn:
        titles = comparing.titles(house, conn, found.rows)
        waiting = {one.conflict for one in rows_of.of_conflicts(conn, [row.id for row in found.rows]) if one.status == rows_of.WAITING}
        device_name = tablets.name_of(house, conn, who.sight, asked.device)
    return page(
        "merge/queue.html",
        **_tabs(asked.place),
        asked=asked,
        rows=found.rows,
        titles=titles,
        waiting=waiting,
        after=_token(found.after),
        unreadable=backlog.unreadable(house, who.sight) if asked.place == "quarantine" else [],
        kinds=records.kinds_in_sight(house, who.sight),
        device_name=device_name,
        done=_done(),
        day=request.args.get("day", ""),
        **_words(),
    )


@desk.get("/merge/decided", may="merge.read")
def decided() -> Answer:
    house, who = instance(), seat()
    found = backlog.decided(house, who.sight, _mark(request.args.get("after", "")))
    with house.database.read() as conn:
        titles = comparing.titles(house, conn, found.rows)
    return page(
        "merge/decided.html",
        **_tabs("decided"),
        rows=found.rows,
        titles=titles,
        after=_token(found.after),
        sweeps=sweeps.recent(house, who.sight),
        people=_people(),
        done=_done(),
        rules=sweeps.RULES,
        **_words(),
    )


@desk.get("/merge/second", may="merge.read")
def second() -> Answer:
    house, who = instance(), seat()
    with house.database.read() as conn:
        found = proposals.in_sight(house, conn, who.sight)
        names = proposals.names(conn, found)
    return page("merge/second.html", **_tabs("second"), proposals=found, names=names, **_words())


# --- One conflict -----------------------------------------------------------------------------------------------


@desk.get("/merge/<conflict>", may="merge.read")
def one(conflict: str) -> Answer:
    return _shown(_row(conflict), Typed())


@desk.post("/merge/<conflict>", may="merge.decide")
def decide(conflict: str) -> Answer:
    """Choose, edit or combine. The whole page comes back where that is not possible, with what was typed."""
    row = _row(conflict)
    typed = _typed(row)
    reason, ticket = _reason(QUICK), request.form.get("ticket", "")
    if row.status == "resolved" or ticket != decisions.ticket(row):
        return _shown(row, typed, status=409, seen=request.form.getlist("seen"))
    if typed.problems or not reason or not typed.choice:
        problems = dict(typed.problems)
        if not typed.choice:
            problems["choice"] = Label("请选定一个值", "Choose a value")
        if not reason:
            problems["reason"] = Label("请写明理由", "Say why")
        return _shown(row, typed._replace(problems=problems), status=400)
    house, who = instance(), seat()
    try:
        told = _decide(row, ticket, typed, reason)
    except Stale:
        return _shown(_row(conflict), typed, status=409, seen=request.form.getlist("seen"))
    say(told)
    return onward(_next(row, who.sight, house.now()))


@desk.post("/merge/<conflict>/kept", may="merge.decide")
def kept(conflict: str) -> Answer:
    """Let kept changes in, or leave them out for good: exactly those that the page showed."""
    row, who, house = _row(conflict), seat(), instance()
    do, reason = request.form.get("do", ""), _reason(QUICK_KEPT)
    typed = Typed(do, request.form.get("quick", ""), request.form.get("reason", ""))
    if do not in ("admit", "close") or not reason:
        return _shown(row, typed._replace(problems={"reason": Label("请写明理由", "Say why")}), status=400)
    ticket = request.form.get("ticket", "")
    try:
        with house.database.write() as conn:
            now = decisions.found(conn, ticket)
            if now.id != row.id or now.status == "resolved" or now.kind in ("values", "delete_edit"):
                raise Stale(what=row.id)
            decisions.wait_no_more(
                conn, house.desk, do, now.candidates, reason=reason, by=[who.person.id], rights=who.rights
            )
        said = Label("已采纳，开始生效", "Let in: it counts now") if do == "admit" else Label("已关闭，不予采纳；内容仍在日志中", "Closed and left out; it stays in the log")
    except SecondPersonNeeded:
        proposals.propose(house, ticket, do=do, reason=reason, person=who.person)
        said = Label("已提出，待另一人复核", "Proposed: waits for a second person")
    except Stale:
        return _shown(_row(conflict), typed, status=409, seen=request.form.getlist("seen"))
    say(said)
    return onward(_next(row, who.sight, house.now()))


@desk.post("/merge/<conflict>/undo", may="merge.decide")
def undo(conflict: str) -> Answer:
    row, who = _row(conflict), seat()
    reason = request.form.get("reason", "").strip() or Label("撤销裁决", "taken back").zh
    decisions.undo(instance().desk, row.id, reason=reason, by=[who.person.id], rights=who.rights)
    say(Label("已撤销：被替换的值重新待决", "Taken back: what was replaced waits again"))
    return onward(url_for("console.merge.one", conflict=row.id))


@desk.post("/merge/proposals/<proposal>/confirm", may="merge.confirm")
def confirm(proposal: str) -> Answer:
    who, one = seat(), _proposal(proposal)
    try:
        proposals.confirm(instance(), one.id, person=who.person, rights=who.rights, reason=request.form.get("reason", "").strip())
    except Stale:
        say(Label("提出之后又有新值或已被裁决，这项提议不再适用", "Something joined or was decided since: the proposal fits no more"), "wrong")
        return onward(url_for("console.merge.one", conflict=one.conflict))
    say(Label("已复核，两人共同裁决生效", "Confirmed: the decision of two people stands"))
    return onward(url_for("console.merge.second"))


@desk.post("/merge/proposals/<proposal>/refuse", may="merge.decide")
def refuse(proposal: str) -> Answer:
    who, one = seat(), _proposal(proposal)
    if one.by != who.person.id and not may(who.role, "merge.confirm"):
        raise Refused(detail=Label("只有复核人或提出人可以退回", "who may confirm, or proposed it, may turn it down"))
    reason = request.form.get("reason", "").strip()
    if not reason:
        say(Label("退回须写明理由", "Say why it is turned down"), "wrong")
    else:
        proposals.refuse(instance(), one.id, person=who.person, reason=reason)
        say(Label("已退回，冲突仍待裁决", "Turned down: the conflict waits on"))
    return onward(url_for("console.merge.one", conflict=one.conflict))


# --- Many at once -----------------------------------------------------------------------------------------------


@desk.get("/merge/sweep", may="merge.decide")
def preview() -> Answer:
    """What a rule would do to a record, a tablet or a day; nothing is decided yet."""
    house, who = instance(), seat()
    rule = request.args.get("rule", "")
    scope = _filter(request.args)
    if not (scope.record or scope.device or scope.since is not None):
        raise InvalidField(field="record", detail=Label("请选一条记录、一台平板或一天", "choose a record, a tablet or a day"))
    rules = [name for name in sweeps.RULES if scope.device or name not in sweeps.OF_A_TABLET]
    rule = rule if rule in rules else rules[0]
    planned = sweeps.plan(house, who.sight, scope, rule)
    with house.database.read() as conn:
        titles = comparing.titles(house, conn, [one.row for one in planned])
        device_name = tablets.name_of(house, conn, who.sight, scope.device)
    return page(
        "merge/sweep.html",
        **_tabs(""),
        planned=planned,
        titles=titles,
        rule=rule,
        rules={name: sweeps.RULES[name] for name in rules},
        scope=scope,
        day=request.args.get("day", ""),
        device_name=device_name,
        most=sweeps.MOST,
        **_words(),
    )


@desk.post("/merge/sweep", may="merge.decide")
def sweep() -> Answer:
    house, who = instance(), seat()
    scope, rule = _filter(request.form), request.form.get("rule", "")
    reason = _reason(QUICK)
    if not reason:
        say(Label("请写明理由", "Say why"), "wrong")
        return onward(f"{url_for('console.merge.preview')}?{urlencode(_told(scope, request.form.get('day', '')) | {'rule': rule})}")
    done = sweeps.carry_out(
        house, who.sight, scope, rule, request.form.getlist("ticket"), reason=reason, person=who.person, rights=who.rights
    )
    say(
        Label(
            f"已裁决 {done.decided} 项，提交复核 {done.proposed} 项" + (f"；{done.left} 项在预览之后有变化，未动" if done.left else ""),
            f"{done.decided} decided, {done.proposed} proposed" + (f"; {done.left} had changed since and were left" if done.left else ""),
        )
    )
    return onward(url_for("console.merge.swept", id=done.sweep) if done.decided else url_for("console.merge.queue"))


@desk.get("/merge/sweeps/<id>", may="merge.read")
def swept(id: str) -> Answer:
    house, who = instance(), seat()
    found = sweeps.find(house, who.sight, id)
    with house.database.read() as conn:
        rows = {row.id: row for row in conflicts.named(conn, [line.conflict for line in found.lines])}
        titles = comparing.titles(house, conn, list(rows.values()))
    return page("merge/swept.html", **_tabs("decided"), sweep=found, rows=rows, titles=titles, people=_people(), rules=sweeps.RULES, **_words())


@desk.post("/merge/sweeps/<id>/undo", may="merge.decide")
def unsweep(id: str) -> Answer:
    who = seat()
    reason = request.form.get("reason", "").strip() or "撤销批量裁决"
    count = sweeps.undo(instance(), who.sight, id, reason=reason, person=who.person, rights=who.rights)
    say(Label(f"已撤销 {count} 项裁决，重新待决", f"{count} decisions taken back; they wait again"))
    return onward(url_for("console.merge.swept", id=id))


# --- How it is done ---------------------------------------------------------------------------------------------


def _shown(row: Row, typed: Typed, *, status: int = 200, seen: list[str] | None = None) -> Answer:
    """The page of a conflict. `seen`: what its reader had looked at before; the others are marked as new."""
    house = instance()
    with house.database.read() as conn:
        view = comparing.lay_out(house, conn, row)
    newcomers = {side.change for side in view.sides if seen is not None and side.change not in seen}
    field = _field(view.schema, row.path)
    if field is not None:
        field = replace(field, required=False)  # one of several choices: a browser would ask for it with each
    parts = _parts(field)
    return answered(
        "merge/one.html",
        status,
        **_tabs(backlog.place_of(row.kind)),
        view=view,
        row=row,
        field=field,
        parts=parts if _in_parts(parts, [side.value for side in view.sides]) else {},
        is_typed=field is not None and _is_typed(field),
        typed=typed,
        newcomers=newcomers,
        late=seen is not None,
        record_at=url_for(RECORD, record=row.record) if RECORD in current_app.view_functions else "",
        quick=QUICK if row.kind in ("values", "delete_edit") else QUICK_KEPT,
        done=_done(),
        conforms=CONFORMS,
        **_words(),
    )


def _decide(row: Row, ticket: str, typed: Typed, reason: str) -> Label:
    """Carry a choice out, or propose it where it takes two people; returns what to say."""
    house, who = instance(), seat()
    common: dict[str, Any] = {"reason": reason, "by": [who.person.id], "rights": who.rights}
    if typed.choice == KEEP_DELETED:
        decisions.keep_deleted(house.desk, ticket, **common)
        return Label("已裁决：维持删除", "Decided: it stays deleted")
    take = typed.choice if typed.choice in row.candidates else None
    value = None if take is not None else typed.value
    try:
        with house.database.write() as conn:
            decisions.settle_within(conn, house.desk, [Choice(ticket, take, value)], **common)
        return Label("已裁决", "Decided")
    except SecondPersonNeeded:
        proposals.propose(house, ticket, do="resolve", take=take, value=value, reason=reason, person=who.person)
        return Label("已提出，待另一人复核后生效", "Proposed: it counts once somebody else has confirmed it")


def _typed(row: Row) -> Typed:
    """What the form of a conflict holds."""
    form = request.form
    choice = form.get("choice", "")
    typed = Typed(choice, form.get("quick", ""), form.get("reason", ""), form.get("combined"))
    if row.path == DELETED:
        return typed._replace(value=False) if choice in (KEEP_DELETED, RESTORE) else typed._replace(choice="")
    if choice in (OTHER, COMBINED, UNION):
        value, problems = _value(row, choice)
        return typed._replace(value=value, problems=problems, has_value=True)
    return typed if choice in row.candidates else typed._replace(choice="")


def _value(row: Row, choice: str) -> tuple[Any, Mapping[str, Label]]:
    """The value that was typed in place of the candidates'."""
    house, form = instance(), request.form
    schema = house.registry.get(row.record_kind)
    field = _field(schema, row.path)
    value: Any = None
    if choice == COMBINED:
        value = form.get("combined", "").replace("\r\n", "\n").strip() or None
    elif choice == UNION:
        value = _json(form.get("union", ""))
    elif parts := _parts(field):
        value = {name: text for name in parts if (text := form.get(f"part.{name}", "").strip())}
    elif schema is not None and field is not None and _is_typed(field):
        read = screens.read(schema, form_of(schema, seat().role), form)
        if field.name in read.problems:
            return None, read.problems
        if field.name not in read.values:
            return None, {field.name: Label("请填写", "Fill this in")}
        value = read.values[field.name]
    else:
        return None, {"choice": Label("请选定一方的值", "Take the value of one side")}
    try:
        decisions.check_value(house.desk, row, value)
    except InvalidField as wrong:
        detail = wrong.facts["detail"]
        return value, {row.path: detail if isinstance(detail, Label) else Label(str(detail), str(detail))}
    return value, {}


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _is_typed(field: FormField) -> bool:
    return not field.keyed and field.widget not in TAKEN_WHOLE


def _parts(field: FormField | None) -> Mapping[str, Label]:
    """The texts that another value is typed from, by name; none where it is one input, or taken whole."""
    if field is not None and field.widget == "answers":
        return ANSWER_PARTS
    return {part.code: part.label for part in field.parts} if field is not None and field.widget == "entries" else {}


def _in_parts(parts: Mapping[str, Label], values: Iterable[Any]) -> bool:
    """Whether these values hold nothing that typing the parts would lose."""
    return all(isinstance(one, dict) and all(name in parts and isinstance(text, str) for name, text in one.items()) for one in values)


def _field(schema: type[RecordSchema] | None, path: str) -> FormField | None:
    """The form field of a path, as whoever sits there may fill it."""
    if schema is None or not path or path == DELETED:
        return None
    try:
        return form_of(schema, seat().role).field(path.partition("/")[0])
    except KeyError:
        return None


def _row(conflict: str) -> Row:
    """The conflict of an id or a ticket. Raises NotFound, out of sight too."""
    house = instance()
    with house.database.read() as conn:
        return backlog.find(house, conn, seat().sight, conflict.partition("-")[0])


def _proposal(id: str) -> Proposal:
    with instance().database.read() as conn:
        return proposals.find(instance(), conn, seat().sight, id)


def _reason(quick: Mapping[str, Label]) -> str:
    """The reason that was chosen and what was added to it; kept in Chinese, as the log is read by other offices."""
    chosen = quick.get(request.form.get("quick", ""))
    return "：".join(filter(None, (chosen.zh if chosen else "", request.form.get("reason", "").strip())))


def _filter(given: Mapping[str, str], place: str = "") -> Filter:
    day = given.get("day", "")
    span = day_span(day) if day else None
    if day and span is None:
        raise InvalidField(field="day", detail=Label("应为日期，例如 2026-11-25", "is a date such as 2026-11-25"))
    return Filter(
        place if place in PLACES else "",
        "age" if given.get("order") == "age" else "rank",
        given.get("kind", ""),
        given.get("record", ""),
        given.get("device", ""),
        *(span or (None, None)),
    )


def _told(scope: Filter, day: str) -> dict[str, str]:
    found = {"record": scope.record, "device": scope.device, "kind": scope.record_kind, "day": day}
    return {name: value for name, value in found.items() if value}


def _mark(text: str) -> Mark | None:
    rank, _, rest = text.partition("-")
    opened, _, id = rest.partition("-")
    return Mark(int(rank), int(opened), id) if rank.isdecimal() and opened.isdecimal() and id else None


def _token(mark: Mark | None) -> str:
    return f"{mark.rank}-{mark.opened}-{mark.id}" if mark is not None else ""


def _done() -> Row | None:
    """The conflict that was decided just now, for the notice with its way back."""
    id = request.args.get("done", "")
    if not id:
        return None
    try:
        row = _row(id)
    except NotFound:
        return None
    return row if row.status == "resolved" and row.decision is not None else None


def _next(row: Row, sight: Any, now: int) -> str:
    """Where to go after a decision: the next conflict of the same list, or the list."""
    place = backlog.place_of(row.kind)
    if request.form.get("go") == "next":
        found = backlog.page(instance(), sight, Filter(place), size=2).rows
        following = next((one for one in found if one.id != row.id), None)
        if following is not None:
            return url_for("console.merge.one", conflict=following.id, done=row.id)
    back = local(request.form.get("back"), "")
    return back or url_for("console.merge.queue", place=place, done=row.id)


def _tabs(place: str) -> dict[str, Any]:
    house, who = instance(), seat()
    counts = backlog.counts(house, who.sight)
    with house.database.read() as conn:
        second = len(proposals.in_sight(house, conn, who.sight))
    return {"places": PLACES, "counts": counts, "second": second, "place": place, "now": house.now()}


def _people() -> dict[str, str]:
    with instance().database.read() as conn:
        return {one.id: one.name for one in people.everybody(conn)}


def _words() -> dict[str, Any]:
    """What templates say things with."""
    registry = instance().registry
    return {
        "sorts": SORTS,
        "statuses": STATUSES,
        "roles": ROLES,
        "ranks": RANKS,
        "quick_reasons": QUICK,
        "kind_of": lambda kind: schema.label if (schema := registry.get(kind)) is not None else kind,
        "about": lambda row: backlog.said(registry, row),
        "value_said": lambda kind, path, value: _value_said(registry.get(kind), path, value),
        "canonical": lambda value: canonical(value).decode(),
    }


def _value_said(schema: type[RecordSchema] | None, path: str, value: Any) -> Label | str | None:
    if path == DELETED:
        why = value.get("reason") if isinstance(value, dict) else ""
        if value:
            return Label(f"删除：{why}", f"deleted: {why}") if why else Label("删除", "deleted")
        return Label("未删除", "not deleted")
    if schema is None:
        return value if isinstance(value, str) else canonical(value).decode()
    return value_of(schema, path, value)

