"""What every page of the console passes: who sits there, may they, did the form come from one of our pages.

    desk = Desk("devices", __name__)

    @desk.get("/devices", may="devices.read")
    def listing() -> str:
        return page("devices/list.html", devices=…, sight=seat().sight)

`may` names an action of `server.access.policy`; a page without one cannot be written. A session ends while somebody
types: then the post is not lost, but offered again once they have signed in (`sign_in.py`).
"""

from __future__ import annotations

import functools
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, flash, g, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from schemas.labels import Label, Language
from server.access import accounts, policy
from server.access.accounts import SIGNED, Visit
from server.access.policy import Sight
from server.api.door import EXTENSION
from server.errors import language_of
from server.instance import Instance
from server.storage import people
from server.storage.accounts import Session
from server.storage.people import Grant, Person
from sync.core.errors import CrossSite, NotAllowed, SessionEnded
from sync.core.rules import Rights

PREFIX = "/console"
ANYBODY = "anybody"
"""In place of an action: pages for those who have not signed in."""

TOKEN = "csrf"
LANGUAGE_COOKIE = "patrolbook-language"
_SESSION, _DOOR, _KNOWN = "patrolbook", "patrolbook-door", "patrolbook-known"
YEAR_S = 365 * 86_400

P = ParamSpec("P")
Answer = str | Response | AnyResponse
View = Callable[P, Answer]


@dataclass(frozen=True)
class Seat:
    """Who sits at the desk, by which session, and what they may read and write now."""

    person: Person
    session: Session
    grants: tuple[Grant, ...]
    role: str
    sight: Sight
    rights: Rights

    def may(self, action: str) -> bool:
        return policy.allows(self.sight, action)


class Desk:
    """The pages of one kind of work. Their endpoints are `console.<name>.<function>`."""

    def __init__(self, name: str, module: str) -> None:
        self.blueprint = Blueprint(name, module)

    def get(self, rule: str, *, may: str) -> Callable[[View[P]], View[P]]:
        """A page that changes nothing."""
        return self._route(rule, "GET", may)

    def post(self, rule: str, *, may: str) -> Callable[[View[P]], View[P]]:
        """What a form does. The token of the form is looked at before anything else."""
        return self._route(rule, "POST", may)

    def _route(self, rule: str, method: str, may: str) -> Callable[[View[P]], View[P]]:
        if may != ANYBODY and may not in policy.ACTIONS:
            raise RuntimeError(f"{may} is no action of the policy")

        def wrap(view: View[P]) -> View[P]:
            @functools.wraps(view)
            def guarded(*args: P.args, **kwargs: P.kwargs) -> Answer:
                admit(may)
                return view(*args, **kwargs)

            guarded.policy = may  # type: ignore[attr-defined]
            self.blueprint.add_url_rule(rule, view.__name__, guarded, methods=[method])
            return guarded

        return wrap


# --- Admitting ------------------------------------------------------------------------------------------------


def admit(may: str) -> None:
    """Let a request pass to the view, or raise SessionEnded, NotAllowed or CrossSite."""
    if may != ANYBODY:
        found = current_seat()
        if found is None:
            raise SessionEnded()
        if not found.may(may):
            raise NotAllowed(detail=_why_not(found, may))
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        _check_origin()
        if not hmac.compare_digest(request.form.get(TOKEN, "").encode(), csrf_token().encode()):
            raise CrossSite()


def _why_not(found: Seat, action: str) -> Label:
    if not found.sight.runs:
        return Label("您没有现行授权", "no grant of yours runs now")
    label = policy.ACTIONS[action].label
    return Label(f"“{label.zh}”不在您的职责内", f"{label.en} is not for your role")


def seat() -> Seat:
    """Who sits there. Raises SessionEnded where nobody does."""
    found = current_seat()
    if found is None:
        raise SessionEnded()
    return found


def current_seat() -> Seat | None:
    """Who sits there; None before signing in, and halfway."""
    if not hasattr(g, "seat"):
        g.seat = _load()
    return g.seat  # type: ignore[no-any-return]


def instance() -> Instance:
    """The server that this application belongs to."""
    return current_app.extensions[EXTENSION]  # type: ignore[no-any-return]


def _load() -> Seat | None:
    house = instance()
    session = accounts.current(house, session_token())
    if session is None or session.stage != SIGNED:
        return None
    now = house.now()
    with house.database.read() as conn:
        person = people.person(conn, session.person)
        grants = people.grants_of(conn, session.person)
    if person is None:
        return None
    sight = policy.sight_of(grants, person.role, now)
    own = policy.rights_at_desk(grants, person.role, now)
    return Seat(person, session, tuple(grants), sight.role, sight, own)


# --- Forms that come from our own pages -------------------------------------------------------------------------


def csrf_token() -> str:
    """What every form carries: made from the secret of this browser, so that no other site can know it."""
    secret = session_token() or door_token()
    return hmac.digest(secret.encode(), b"patrolbook/form/v1", "sha256").hex()


def same_site() -> bool:
    """Whether the browser says that the request comes from a page of this server, as far as it says anything."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


def _check_origin() -> None:
    if not same_site():
        raise CrossSite()


# --- Cookies ----------------------------------------------------------------------------------------------------


def session_token() -> str:
    """The token that the browser sent, whatever it is worth, or that it is being given with this answer."""
    return g.token if hasattr(g, "token") else request.cookies.get(_name(_SESSION), "")


def seat_again(begun: accounts.Begun) -> None:
    """Draw the page that answers a sign-in for the session that has just begun."""
    g.token = begun.token
    g.pop("seat", None)


def door_token() -> str:
    """The secret of a browser that has not signed in."""
    if not hasattr(g, "door"):
        g.door = request.cookies.get(_name(_DOOR), "") or secrets.token_urlsafe(32)
    return g.door  # type: ignore[no-any-return]


def visit() -> Visit:
    """Where the request comes from."""
    return Visit(_address(), request.headers.get("User-Agent", "")[:200], request.cookies.get(_name(_KNOWN), ""))


def _address() -> str:
    """The address of the browser; as the proxy says it where one on this machine stands in front."""
    peer = request.remote_addr or ""
    told = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return told[:60] if told and peer in ("127.0.0.1", "::1", "") else peer


def seal_door(response: AnyResponse) -> AnyResponse:
    """Give a browser that has not signed in its secret."""
    if hasattr(g, "door"):
        _set(response, _DOOR, g.door)
    return response


def let_in(response: AnyResponse, begun: accounts.Begun) -> AnyResponse:
    """Give the browser its new session; what it had before is worth nothing any more."""
    _set(response, _SESSION, begun.token)
    _set(response, _KNOWN, begun.known, YEAR_S)
    response.delete_cookie(_name(_DOOR), secure=request.is_secure, httponly=True, samesite="Strict")
    return response


def let_out(response: AnyResponse) -> AnyResponse:
    response.delete_cookie(_name(_SESSION), secure=request.is_secure, httponly=True, samesite="Strict")
    return response


def _set(response: AnyResponse, name: str, value: str, age: int | None = None) -> None:
    response.set_cookie(
        _name(name), value, max_age=age, path="/", secure=request.is_secure, httponly=True, samesite="Strict"
    )


def _name(name: str) -> str:
    """`__Host-` binds a cookie to this host; browsers take it over TLS only."""
    return f"__Host-{name}" if request.is_secure else name


# --- Answering ----------------------------------------------------------------------------------------------------


def language() -> Language:
    """The language that was chosen in this browser, else the one that it asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return "en" if chosen == "en" else "zh" if chosen == "zh" else language_of(request.headers.get("Accept-Language"))


def page(template: str, /, **values: Any) -> str:
    """A page of the console: `template` below `templates/console/`."""
    return render_template(f"console/{template}", **values)


def answered(template: str, status: int, /, **values: Any) -> Response:
    """A page with a status of its own."""
    return make_response(page(template, **values), status)


def say(text: Label, category: str = "done") -> None:
    """A notice on the next page: done, info or wrong."""
    flash(text, category)  # type: ignore[arg-type]  # `showing` reads it back as the two texts that it is


def onward(target: str) -> AnyResponse:
    """After a post, on to a page."""
    return redirect(target, 303)


def local(target: str | None, otherwise: str) -> str:
    """A path of the console that somebody named, or another: never an address elsewhere."""
    given = target or ""
    if not given.startswith(f"{PREFIX}/") or any(one in given for one in "\\\r\n\t") or "//" in given.partition("?")[0]:
        return otherwise
    return given


def here() -> str:
    """The path of this page with its query, to come back to; the home page for what was posted."""
    return local(request.full_path.removesuffix("?"), f"{PREFIX}/") if request.method == "GET" else f"{PREFIX}/"


def ours() -> bool:
    """Whether this request is for the console."""
    return request.path == "/" or request.path == PREFIX or request.path.startswith(f"{PREFIX}/")


def typed() -> Mapping[str, list[str]]:
    """What was typed into the form that was sent, without its token."""
    return {name: request.form.getlist(name) for name in request.form if name != TOKEN}
