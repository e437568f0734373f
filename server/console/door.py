"""Signing in and out, and the language."""

from __future__ import annotations

from flask import Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from schemas.labels import Label
from server.access import accounts, passwords
from server.access.accounts import SECOND, Begun
from server.console import problems
from server.console.frame import (
    ANYBODY,
    LANGUAGE_COOKIE,
    PREFIX,
    YEAR_S,
    Answer,
    Desk,
    answered,
    csrf_token,
    current_seat,
    instance,
    let_in,
    let_out,
    local,
    onward,
    page,
    seat_again,
    session_token,
    visit,
)
from server.errors import status_of
from sync.core.errors import InvalidField, NotFound, Problem, SignInFailed, TooManyGuesses

desk = Desk("door", __name__)

HOME = f"{PREFIX}/"


@desk.get("/sign-in", may=ANYBODY)
def sign_in() -> Answer:
    if current_seat() is not None:
        return onward(_next())
    csrf_token()
    return page("door/sign_in.html", login="", wrong=None, next=_next(), kept="")


@desk.post("/sign-in", may=ANYBODY)
def enter() -> Answer:
    login = request.form.get("login", "")
    try:
        begun = accounts.sign_in(instance(), login, request.form.get("password", ""), visit())
    except (SignInFailed, TooManyGuesses) as problem:
        return _again("door/sign_in.html", problem, login=login)
    return _entered(begun)


@desk.get("/sign-in/first", may=ANYBODY)
def first() -> Answer:
    if current_seat() is not None:
        return onward(_next())
    return page("door/first.html", login="", code="", wrong=None, next=_next(), kept="", shortest=passwords.SHORTEST)


@desk.post("/sign-in/first", may=ANYBODY)
def set_first() -> Answer:
    said = request.form
    login, code, new = said.get("login", ""), said.get("code", ""), said.get("new", "")
    try:
        check_repeated(new, said.get("again", ""))
        begun = accounts.first(instance(), login, code, new, visit())
    except (SignInFailed, TooManyGuesses, InvalidField) as problem:
        return _again("door/first.html", problem, login=login, code=code, shortest=passwords.SHORTEST)
    return _entered(begun)


@desk.get("/sign-in/second", may=ANYBODY)
def second() -> Answer:
    session = accounts.current(instance(), session_token())
    if session is None or session.stage != SECOND:
        return onward(url_for(".sign_in", next=_next()))
    return page("door/second.html", wrong=None, next=_next(), kept="")


@desk.post("/sign-in/second", may=ANYBODY)
def complete() -> Answer:
    try:
        begun = accounts.complete(instance(), session_token(), request.form.get("code", ""), visit())
    except NotFound:  # it took too long
        return onward(url_for(".sign_in", next=_next()))
    except (SignInFailed, TooManyGuesses) as problem:
        return _again("door/second.html", problem)
    return _entered(begun)


@desk.post("/sign-out", may=ANYBODY)
def sign_out() -> Answer:
    accounts.sign_out(instance(), session_token())
    return let_out(onward(url_for(".sign_in")))


@desk.post("/language", may=ANYBODY)
def choose_language() -> Answer:
    chosen = "en" if request.form.get("language") == "en" else "zh"
    response = onward(_next())
    response.set_cookie(
        LANGUAGE_COOKIE, chosen, YEAR_S, path="/", secure=request.is_secure, httponly=True, samesite="Lax"
    )
    return response


def check_repeated(new: str, again: str) -> None:
    """Raises InvalidField where a new password was not typed twice alike."""
    if new != again:
        detail = Label("两次输入不一样", "was not typed the same twice")
        raise InvalidField(field=Label("新密码", "new password"), detail=detail)


def _entered(begun: Begun) -> Answer:
    """On to where they wanted to go, or to the second step; what was kept goes along."""
    kept = request.form.get("kept", "")
    if begun.halfway and not kept:
        return let_in(onward(url_for(".second", next=_next())), begun)
    if begun.halfway:
        seat_again(begun)
        return let_in(_page("door/second.html", wrong=None, next=_next(), kept=kept), begun)
    offered = problems.offered(kept) if kept else {}
    if not offered:
        return let_in(onward(_next()), begun)
    seat_again(begun)
    return let_in(_page("door/again.html", **offered), begun)


def _again(template: str, problem: Problem, **values: object) -> Response:
    kept = request.form.get("kept", "")
    return answered(template, status_of(problem), wrong=problem, next=_next(), kept=kept, **values)


def _page(template: str, **values: object) -> AnyResponse:
    return answered(template, 200, **values)


def _next() -> str:
    return local(request.values.get("next"), HOME)
