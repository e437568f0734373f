"""People, what each may do where, and their accounts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import request, url_for

from schemas.certificates import CHINA
from schemas.kinds.institution import DEPARTMENTS
from schemas.labels import Label
from server.access import accounts
from server.access.rights import ROLES
from server.console.frame import Answer, Desk, answered, instance, onward, page, say, seat
from server.console.naming import typed_code
from server.errors import status_of
from server.register import staffing
from server.storage import accounts as rows
from sync.core.errors import InvalidField, NotAllowed, Problem, Refused

desk = Desk("people", __name__)

_SHOWN = 10
DAY_MS = 86_400_000


@desk.get("/people", may="people.read")
def listing() -> Answer:
    house = instance()
    asked = {name: request.args.get(name, "").strip() for name in ("q", "role", "area")}
    try:
        area, wrong = typed_code(asked["area"]), None
    except InvalidField as problem:
        area, wrong = "", problem
    with house.database.read() as conn:
        every = staffing.in_sight(house, conn, seat().sight)
    found = [one for one in every if _fits(one, asked["q"], asked["role"], area)]
    return page("people/list.html", members=found, total=len(every), roles=ROLES, asked=asked, wrong=wrong)


def _fits(one: staffing.Member, text: str, role: str, area: str) -> bool:
    """Whether somebody is looked for: by a part of the name or sign-in name, a role, and where they may do something."""
    called = f"{one.person.name} {one.account.login if one.account else ''}".casefold()
    there = not area or any(held.area.startswith(area) or area.startswith(held.area) for held in one.grants)
    return text.casefold() in called and role in ("", one.person.role) and there


@desk.get("/people/new", may="people.manage")
def new() -> Answer:
    return page("people/new.html", **_asking())


@desk.post("/people/new", may="people.manage")
def add() -> Answer:
    said = request.form
    try:
        role = said.get("role", "")
        department = said.get("department", "") if role == "department" else ""
        person = staffing.add(instance(), seat().sight, said.get("name", ""), role, typed_code(said.get("area", "")), department)
    except (InvalidField, NotAllowed) as problem:
        return answered("people/new.html", status_of(problem), **_asking(wrong=problem))
    say(Label(f"已登记 {person.name}", f"Added {person.name}"))
    return onward(url_for(".one", person=person.id))


@desk.get("/people/<person>", may="people.read")
def one(person: str) -> Answer:
    return page("people/one.html", **_of(person))


@desk.post("/people/<person>/grants", may="people.manage")
def grant(person: str) -> Answer:
    said = request.form
    try:
        since, until = _day_of(said, "since", Label("起", "since")), _day_of(said, "until", Label("截止", "until"))
        area, department = typed_code(said.get("area", "")), said.get("department", "")
        staffing.grant(instance(), seat().sight, person, area, department, since, until + DAY_MS if until is not None else None)
    except (InvalidField, NotAllowed, Refused) as problem:
        return answered("people/one.html", status_of(problem), **_of(person, wrong=problem))
    say(Label("已授权", "Granted"))
    return onward(url_for(".one", person=person))


@desk.post("/people/<person>/grants/<named>/end", may="people.manage")
def end_grant(person: str, named: str) -> Answer:
    staffing.end(instance(), seat().sight, person, named)
    say(Label("已结束，从现在起不再有效", "Ended: it no longer counts"))
    return onward(url_for(".one", person=person))


@desk.post("/people/<person>/account", may="people.manage")
def open_account(person: str) -> Answer:
    house, who, said = instance(), seat(), request.form
    try:
        code = staffing.code_for(house, who.sight, who.person, person, said.get("login", ""), said.get("phone", ""))
    except (InvalidField, NotAllowed, Refused) as problem:
        return answered("people/one.html", status_of(problem), **_of(person, wrong=problem))
    return page("people/one.html", **_of(person, code=code))


@desk.post("/people/<person>/account/reset", may="people.manage")
def reset(person: str) -> Answer:
    house, who = instance(), seat()
    staffing.kept(house, who.sight, person)
    code = accounts.reset(house, person, who.person.id, second_too=request.form.get("second") == "1")
    return page("people/one.html", **_of(person, code=code))


@desk.post("/people/<person>/account/close", may="people.manage")
def close(person: str) -> Answer:
    staffing.kept(instance(), seat().sight, person)
    accounts.close(instance(), person, seat().person.id)
    say(Label("账号已停用，登录已全部结束", "The account is closed and its sessions have ended"))
    return onward(url_for(".one", person=person))


@desk.post("/people/<person>/account/end", may="people.manage")
def end_sessions(person: str) -> Answer:
    staffing.kept(instance(), seat().sight, person)
    count = accounts.end_sessions(instance(), person, seat().person.id)
    say(Label(f"已结束 {count} 个登录", f"{count} sessions ended"))
    return onward(url_for(".one", person=person))


def _asking(wrong: Problem | None = None) -> dict[str, Any]:
    return {"roles": ROLES, "departments": DEPARTMENTS, "typed": request.form, "wrong": wrong}


def _of(person: str, wrong: Problem | None = None, code: str = "") -> dict[str, Any]:
    house = instance()
    with house.database.read() as conn:
        member = staffing.member(house, conn, seat().sight, person)
        noted = rows.noted(conn, person, _SHOWN)
    return {
        "member": member, "noted": noted, "outcomes": accounts.OUTCOMES, "roles": ROLES, "departments": DEPARTMENTS,
        "hours": accounts.CODE_MS // 3_600_000, "wrong": wrong, "code": code, "typed": request.form if wrong else {},
    }  # fmt: skip


def _day_of(said: Mapping[str, str], name: str, field: Label) -> int | None:
    """The begin of a day in China, in ms; None where nothing was typed. Raises InvalidField."""
    text = said.get(name, "").strip()
    if not text:
        return None
    try:
        day = datetime.fromisoformat(text).replace(tzinfo=CHINA)
    except ValueError as error:
        detail = Label("应为日期，如 2026-12-31", "is a date such as 2026-12-31")
        raise InvalidField(field=field, detail=detail) from error
    return int(day.timestamp() * 1000)
