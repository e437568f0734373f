"""What a screen works with: its blueprint, the place in use, the tablet of this request, and how it answers.

    screen = Screen("institutions", __name__, nav=Nav(Label("机构", "Institutions"), "building", 20, "institutions.listed"))

    @screen.get("/institutions/<record>")
    def card(record: str) -> str:
        return page("institutions/card.html", about=here.tablet().values(record))

    @screen.post("/institutions")
    def add() -> Response:
        made = here.tablet().write("institution", request.form["record"], …)
        return done(SAVED, ".card", record=made.record)

A new screen is a module with a `Screen`, its templates, and one line in `app.SCREENS`. Rules that hold for all of them:
a GET changes nothing; a POST ends with a redirect; a form that makes a record names its id (`new_id()` in the template),
so that a second tap, a reload or a killed program never makes two; every text stands in both languages where it is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, cast

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    g,
    redirect,
    render_template,
    request,
    stream_template,
    url_for,
)

from field_client.tablet import Tablet
from field_client.ui.seats import Held, Seat, Seats
from schemas.labels import Label, Language
from sync.core.errors import InvalidField

EXTENSION = "patrolbook-seats"
Audience = Literal["inspectors", "teams", "both"]
AT_ONCE = 16_384
"""Characters of a page that are sent together; of the longest one this is the first screenful."""


class Nav(NamedTuple):
    """How the navigation names a screen and where it leads; the smallest `order` comes first."""

    label: Label
    icon: str
    order: int
    endpoint: str


class Screen(Blueprint):
    """The pages of one screen.

    open      they are shown while the tablet is locked too, and touch no key
    audience  whose navigation names it: that of inspectors, of undercover teams, or of both
    writes    the kind of record that its forms write; whoever may not write that kind reads here and sends nothing
    """

    def __init__(
        self, name: str, import_name: str, *, nav: Nav | None = None, open: bool = False, audience: Audience = "inspectors",
        writes: str = "",
    ) -> None:  # fmt: skip
        super().__init__(name, import_name)
        self.nav, self.open, self.audience, self.writes = nav, open, audience, writes

    def names(self, covert: bool) -> bool:
        """Whether the navigation has it."""
        return self.nav is not None and self.audience in ("both", "teams" if covert else "inspectors")


# ---- who and where -----------------------------------------------------------------------------------------


def seats() -> Seats:
    return cast(Seats, current_app.extensions[EXTENSION])


def seat() -> Seat:
    """The place in use."""
    return seats().current


def held() -> Held:
    """The keys of the place in use; this counts as a use. Raises Locked."""
    return seat().held()


def tablet() -> Tablet:
    """The tablet for this request, closed after it. Raises Locked."""
    if "tablet" not in g:
        g.tablet = seat().tablet()
    return cast(Tablet, g.tablet)


def close(_: object = None) -> None:
    """After a request."""
    opened = g.pop("tablet", None)
    if opened is not None:
        opened.close()


def language() -> Language:
    """The language of the place in use; asked often, so read once for a request."""
    if "language" not in g:
        from field_client.config import Settings

        g.language = Settings(seat().home).spoken()
    return cast(Language, g.language)


def say(words: Label) -> str:
    """A text in the reader's language."""
    return words.text(language())


# ---- what was posted ---------------------------------------------------------------------------------------


def posted(name: str) -> str:
    """A field of the posted form without space around it; empty where it was not posted."""
    return request.form.get(name, "").strip()


def posted_id(name: str = "record") -> str:
    """The id that a form gives to what it makes. Raises InvalidField where it is none."""
    from uuid import UUID

    try:
        return str(UUID(posted(name)))
    except ValueError:
        raise InvalidField(field=name, detail=Label("请重新打开此页", "open this page again")) from None


def wants_json() -> bool:
    """Whether a script asks, and not a person who turns a page."""
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


# ---- answers -----------------------------------------------------------------------------------------------


def page(template: str, /, **facts: Any) -> str:
    """A page of `templates/ui/`."""
    return render_template(f"ui/{template}", **facts)


def flowing(template: str, status: int = 200, /, **facts: Any) -> Response:
    """As `page`, sent while it is drawn: of a long page the browser paints the top before the rest is there."""
    pieces = iter(stream_template(f"ui/{template}", **facts))
    return Response(_gathered(pieces), status, mimetype="text/html")


def _gathered(pieces: Iterator[str]) -> Iterator[str]:
    """Pieces of a template, some thousand characters at a time."""
    held: list[str] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= AT_ONCE:
            yield "".join(held)
            held, size = [], 0
    yield "".join(held)


def go(endpoint: str, /, **values: Any) -> Response:
    """Show another page; a reload of that one sends nothing again."""
    return cast(Response, redirect(url_for(endpoint, **values), 303))


def done(words: Label, endpoint: str, /, **values: Any) -> Response:
    """As `go`, with a word that it worked."""
    flash(say(words), "done")
    return go(endpoint, **values)


def warn(words: Label) -> None:
    """A word of warning on the next page."""
    flash(say(words), "warn")


def back_to(told: str, otherwise: str) -> Response:
    """Go to an address of ours that a form or a link carries, never to another site."""
    ours = told.startswith("/") and not told.startswith(("//", "/\\"))
    return cast(Response, redirect(told if ours else url_for(otherwise), 303))
