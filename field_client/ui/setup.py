"""Set-up in two minutes: the code, typed or out of a picture; a PIN, twice; the first fill with its progress. And practice.

The address of the server and the one-time code come together in the QR code that the county shows. It also carries the
fingerprint of the server's log, which is compared before the code is spent.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import parse_qs

from flask import Response, jsonify, request

from field_client.platform import Line
from field_client.tablet import Tablet
from field_client.ui import here, practising, preferences, scanning
from field_client.ui.here import Screen
from field_client.ui.lock import PRACTICE_PIN
from field_client.ui.seats import Seat
from field_client.work.search import Search
from schemas.cards import SCHEME
from schemas.labels import Label
from sync.core.errors import Problem, Refused
from sync.core.note import fingerprint

screen = Screen("setup", __name__, open=True)


class Asked(NamedTuple):
    """What the county's code says: where the server is, the code, and the fingerprint of its log where it is known."""

    url: str
    code: str
    log: str = ""


@screen.get("/setup")
def begin() -> Response | str:
    """The first step: address and code."""
    if _done(here.seat()):
        return here.go("today.today")
    return _asking(Asked("https://", ""))


@screen.post("/setup/picture")
def picture() -> Response | str:
    """Address and code out of a photo of the county's QR code, or out of a still of the camera that a script sends."""
    if here.wants_json():
        return jsonify(_seen(scanning.posted())._asdict())
    try:
        return _asking(_seen(scanning.posted()), found=True)
    except Problem as problem:
        return _asking(Asked(here.posted("url"), here.posted("code")), problem)


@screen.post("/setup/pin")
def pin() -> str:
    """The second step: a PIN, unless there is one."""
    asked = _posted()
    if not asked.url.startswith(("https://", "http://")) or not asked.code:
        return _asking(asked, Refused(detail=Label("请填写服务器地址和登记码", "give the server's address and the code")))
    return here.page("setup/pin.html", asked=asked, problem=None, exists=here.seat().exists)


@screen.post("/setup")
def enrol() -> Response | str:
    """Make the vault where there is none, spend the code, and begin the first fill."""
    asked, seat = _posted(), here.seat()
    try:
        if not seat.exists:
            first, second = request.form.get("pin", ""), request.form.get("again", "")
            if first != second:
                raise Refused(detail=Label("两次输入的 PIN 不一样", "the two PINs are not the same"))
            vault = seat.vault()
            seat.hold(vault, vault.create(first), new=True)
        elif seat.peek() is None:
            return here.go("lock.locked", after="/setup")
    except Problem as problem:
        return here.page("setup/pin.html", asked=asked, problem=problem, exists=seat.exists)
    try:
        _enrol(here.tablet(), seat, asked)
    except Problem as problem:
        return _asking(asked, problem)
    held = seat.held()
    seat.hold(held.vault, held.secrets)  # whose tablet it is decides how long it stays unlocked
    return here.go("setup.filling")


@screen.get("/setup/filling")
def filling() -> Response | str:
    """The first fill, with its progress; the person may go on at once."""
    if here.seat().peek() is None:
        return here.go("lock.locked", after="/setup/filling")
    tablet = here.tablet()
    identity = tablet.identity
    if identity is None:
        return here.go("setup.begin")
    return here.page("setup/filling.html", identity=identity, log=fingerprint(identity.log.key))


def _seen(codes: Iterable[str]) -> Asked:
    """The first code that is one for enrolment. Raises Refused where none is."""
    for text in codes:
        if (asked := read_code(text)) is not None:
            return asked
    raise Refused(detail=Label("图片里没有看到登记二维码，请靠近、对正再拍", "no enrolment code is seen in it: take it again, closer and straight"))


def read_code(text: str) -> Asked | None:
    """The text of a QR code, where it is one for enrolment."""
    form, _, query = text.strip().partition("?")
    if not form.startswith(SCHEME):
        return None
    said = {name: values[0] for name, values in parse_qs(query).items()}
    return Asked(said["url"], said["code"], said.get("log", "")) if {"url", "code"} <= said.keys() else None


def _posted() -> Asked:
    typed = read_code(here.posted("code"))  # somebody pasted the text of the QR code
    return typed or Asked(here.posted("url").rstrip("/"), here.posted("code").upper(), here.posted("log"))


def _asking(asked: Asked, problem: Problem | None = None, found: bool = False) -> str:
    return here.page("setup/code.html", asked=asked, problem=problem, found=found, seats=here.seats())


def _enrol(tablet: Tablet, seat: Seat, asked: Asked) -> None:
    if asked.log:
        hello = seat.platform.connect(Line(asked.url, "", tablet.sign, seat.platform.clock.wall_ms)).hello()
        known = {fingerprint(one.key).replace(" ", "") for one in hello.logs}
        if asked.log.replace(" ", "") not in known:
            raise Refused(
                detail=Label(
                    "服务器的日志指纹与二维码不符，没有登记；请向县级核对",
                    "the server's log has another fingerprint than the code says; nothing was enrolled: ask the county",
                )
            )
    identity = tablet.enrol(asked.url, asked.code, here.posted("name") or platform.node() or "tablet",
                            f"{platform.system()} {platform.machine()}")  # fmt: skip
    if not seat.preferences.name and identity.person.role != "team":
        preferences.choose(seat.home, name=identity.person.name)


def _done(seat: Seat) -> bool:
    """Whether somebody is set up and enrolled here; a tablet that is locked was set up as far as this page knows."""
    if not seat.exists:
        return False
    if seat.peek() is None:
        return True
    return here.tablet().identity is not None


# ---- practice ----------------------------------------------------------------------------------------------


@screen.get("/practice")
def practice() -> str:
    """What practice is, and how to begin and end it."""
    seats = here.seats()
    return here.page("setup/practice.html", inside=here.seat().practice, exists=seats.practice.exists)


@screen.post("/practice")
def practise() -> Response:
    """Begin afresh with a made-up register, or go on with the one that is there."""
    seats = here.seats()
    if here.posted("afresh") or not seats.practice.exists:
        seats.sit(seats.seat("0"))
        seat = seats.clear_practice()
        vault = seat.vault()
        seat.hold(vault, vault.create(PRACTICE_PIN), new=True)
        tablet = seat.tablet()
        try:
            practising.fill(tablet)
            search = Search(tablet.store)
            while search.catch_up():
                pass
        finally:
            tablet.close()
    seats.sit(seats.practice)
    return here.go("today.today")


@screen.post("/practice/end")
def end_practice() -> Response:
    seats = here.seats()
    seats.sit(seats.seat("0"))
    return here.go("lock.locked")
