"""The tablets in sight: when each was last heard of, what is still on it, enrolling one, and what to do when one is lost."""

from __future__ import annotations

from typing import Any

import segno
from flask import request, url_for

from schemas.labels import Label
from server.access.rights import ROLES
from server.console.frame import Answer, Desk, answered, instance, onward, page, say, seat
from server.errors import status_of
from server.exchange import shifts, tablets
from server.exchange.tablets import Invited, Tablet
from server.reading import records
from server.storage import contacts, facts
from server.storage.contacts import Invitation
from sync.core.errors import InvalidField, Problem

desk = Desk("devices", __name__)

SHOWS = {
    "used": Label("在用", "In use"),
    "owing": Label("未同步或有文件未传", "Not synced or with files left"),
    "copied": Label("曾被恢复或复制", "Restored or copied"),
    "revoked": Label("已停用", "Revoked"),
}
_MOST_RECORDS, _MOST_SHIFTS = 50, 10
_USUAL_HOURS = 24


@desk.get("/devices", may="devices.read")
def listing() -> Answer:
    house, who = instance(), seat()
    show = request.args.get("show", "used")
    show = show if show in SHOWS else "used"
    with house.database.read() as conn:
        found = tablets.in_sight(house, conn, who.sight)
        waiting = tablets.waiting(house, conn, who.sight)
    groups = {name: [one for one in found if _belongs(one, name)] for name in SHOWS}
    return page(
        "devices/list.html", shows=SHOWS, show=show, groups=groups, found=groups[show], waiting=waiting, roles=ROLES,
        summary=tablets.summary(found), now=house.now(),
    )  # fmt: skip


def _belongs(one: Tablet, show: str) -> bool:
    match show:
        case "revoked":
            return one.device.revoked is not None
        case "owing":
            return one.silent or bool(one.owing.files or one.owing.under_way)
        case "copied":
            return one.copied
        case _:
            return one.device.revoked is None


@desk.get("/devices/new", may="devices.enrol")
def new() -> Answer:
    return page("devices/new.html", **_asking())


@desk.post("/devices/new", may="devices.enrol")
def invite() -> Answer:
    house, who, said = instance(), seat(), request.form
    try:
        hours = int(said.get("hours", "")) if said.get("hours", "").isdecimal() else 0
        made = tablets.invite(house, who.sight, who.person, said.get("person", ""), hours, said.get("address", ""))
    except InvalidField as problem:
        return answered("devices/new.html", status_of(problem), **_asking(wrong=problem))
    if isinstance(made, Invitation):
        say(Label("已提交，须由另一人复核后生成登记码", "Asked; another person has to agree before there is a code"), "info")
        return onward(url_for(".listing"))
    return _code(made)


@desk.post("/devices/invitations/<invitation>/approve", may="devices.approve")
def approve(invitation: str) -> Answer:
    return _code(tablets.approve(instance(), seat().sight, seat().person, invitation))


@desk.post("/devices/invitations/<invitation>/refuse", may="devices.approve")
def refuse(invitation: str) -> Answer:
    tablets.refuse(instance(), seat().sight, invitation)
    say(Label("已拒绝，没有生成登记码", "Refused; no code was made"), "info")
    return onward(url_for(".listing"))


@desk.get("/devices/<device>", may="devices.read")
def one(device: str) -> Answer:
    return page("devices/one.html", **_of(device))


@desk.get("/devices/<device>/lost", may="devices.read")
def lost(device: str) -> Answer:
    return page("devices/lost.html", **_of(device))


@desk.post("/devices/<device>/revoke", may="devices.revoke")
def revoke(device: str) -> Answer:
    try:
        tablets.revoke(instance(), seat().sight, seat().person, device, request.form.get("reason", ""))
    except InvalidField as problem:
        return answered("devices/lost.html", status_of(problem), **_of(device, wrong=problem))
    say(Label("已停用，它从现在起读不到任何内容", "Revoked: from now on it reads nothing"))
    return onward(url_for(".lost", device=device))


@desk.post("/devices/enrolment", may="settings.write")
def second_person() -> Answer:
    house, two = instance(), request.form.get("two") == "1"
    tablets.need_second(house, seat().person, two)
    say(Label("今后登记平板须两人", "From now on enrolling takes two") if two else Label("今后登记平板只须一人", "From now on enrolling takes one"))
    return onward(url_for(".listing"))


def _asking(wrong: Problem | None = None) -> dict[str, Any]:
    house, said = instance(), request.form
    with house.database.read() as conn:
        address = facts.get(conn, facts.ADDRESS) or request.host_url.rstrip("/")
        return {
            "people": tablets.holders(house, conn, seat().sight),
            "roles": ROLES,
            "two": tablets.needs_second(conn),
            "address": said.get("address", address),
            "hours": said.get("hours", _USUAL_HOURS),
            "person": said.get("person", request.args.get("person", "")),
            "wrong": wrong,
        }


def _code(made: Invited) -> Answer:
    picture = segno.make(made.address, error="m").svg_data_uri(scale=6, border=4)
    return page("devices/code.html", made=made, picture=picture)


def _of(device: str, wrong: Problem | None = None) -> dict[str, Any]:
    house, who = instance(), seat()
    with house.database.read() as conn:
        tablet = tablets.the_tablet(house, conn, who.sight, device)
        loose = shifts.loose(house, conn, device)
        return {
            "tablet": tablet,
            "roles": ROLES,
            "loose": loose,
            "shifts": tablets.shifts(house, conn, who.sight, device, _MOST_SHIFTS),
            "awaited": records.names(house, conn, who.sight, contacts.records_awaiting(conn, device, _MOST_RECORDS)).values(),
            "kinds": house.registry,
            "lease": tablets.lease_until(conn, device),
            "now": house.now(),
            "wrong": wrong,
        }

