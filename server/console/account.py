"""One's own account: password, second step, where one is signed in."""

from __future__ import annotations

from typing import Any

from flask import request, url_for

from schemas.labels import Label
from server.access import accounts, passwords, second
from server.console.door import check_repeated
from server.console.frame import Answer, Desk, answered, instance, onward, page, say, seat, visit
from server.errors import status_of
from server.storage import accounts as rows
from server.storage import facts
from sync.core.errors import InvalidField, NotFound, Problem, SignInFailed, TooManyGuesses

desk = Desk("account", __name__)

_SHOWN = 12


@desk.get("/account", may="account")
def own() -> Answer:
    offered: dict[str, Any] = {}
    if request.args.get("second") == "new":
        offered = _offered(second.new_seed())
    return page("account/own.html", **_values(**offered))


@desk.post("/account/password", may="account")
def change_password() -> Answer:
    said = request.form
    try:
        check_repeated(said.get("new", ""), said.get("again", ""))
        accounts.change_password(instance(), seat().session, said.get("old", ""), said.get("new", ""), visit())
    except (SignInFailed, TooManyGuesses, InvalidField) as problem:
        return _wrong(problem)
    say(Label("密码已更改，其他地方的登录已结束", "The password is changed; your other sessions have ended"))
    return onward(url_for(".own"))


@desk.post("/account/second", may="account")
def set_second() -> Answer:
    said = request.form
    seed = said.get("seed", "")
    try:
        spare = accounts.set_second(instance(), seat().session, seed, said.get("code", ""), visit())
    except (SignInFailed, TooManyGuesses, InvalidField) as problem:
        return _wrong(problem, **_offered(seed if second.is_seed(seed) else second.new_seed()))
    return page("account/own.html", **_values(spare=spare))


@desk.post("/account/second/off", may="account")
def drop_second() -> Answer:
    try:
        accounts.drop_second(instance(), seat().session, request.form.get("code", ""), visit())
    except (SignInFailed, TooManyGuesses, NotFound) as problem:
        return _wrong(problem)
    say(Label("两步验证已关闭", "The second step is switched off"), "info")
    return onward(url_for(".own"))


@desk.post("/account/second/codes", may="account")
def renew_spare() -> Answer:
    try:
        spare = accounts.renew_spare(instance(), seat().session, request.form.get("code", ""), visit())
    except (SignInFailed, TooManyGuesses, NotFound) as problem:
        return _wrong(problem)
    return page("account/own.html", **_values(spare=spare))


@desk.post("/account/sessions", may="account")
def end_others() -> Answer:
    own = seat()
    count = accounts.end_sessions(instance(), own.person.id, own.person.id, but=own.session.digest)
    say(Label(f"已结束 {count} 个登录", f"{count} sessions ended"))
    return onward(url_for(".own"))


@desk.post("/account/session", may="account")
def end_one() -> Answer:
    if not accounts.end_session(instance(), seat().person.id, request.form.get("session", "")):
        raise NotFound(what=Label("登录", "session"))
    say(Label("已结束该登录", "The session has ended"))
    return onward(url_for(".own"))


def _values(**more: Any) -> dict[str, Any]:
    house, own = instance(), seat()
    with house.database.read() as conn:
        account = rows.get(conn, own.person.id)
        values = {
            "account": account,
            "spare_left": rows.spare_left(conn, own.person.id),
            "sessions": rows.sessions_of(conn, own.person.id),
            "noted": rows.noted(conn, own.person.id, _SHOWN),
        }
    return {
        **values,
        "outcomes": accounts.OUTCOMES,
        "shortest": passwords.SHORTEST,
        "offer": None,
        "spare": None,
        "wrong": None,
        **more,
    }


def _offered(seed: str) -> dict[str, Any]:
    house = instance()
    with house.database.read() as conn:
        account, authority = rows.get(conn, seat().person.id), facts.get(conn, facts.NAME)
    login = account.login if account is not None else seat().person.name
    return {"seed": seed, "offer": second.offer(seed, login, f"巡查簿 {authority}".strip())}


def _wrong(problem: Problem, **more: Any) -> Answer:
    return answered("account/own.html", status_of(problem), **_values(wrong=problem, **more))
