"""Every page of the tablet's screens, with what a person does on it: the one table that the tests of all pages go by.

A page that is added without a row fails `tests/field_client/test_pages.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from flask import Flask
from playwright.sync_api import Page

from tests.support.pictures import jpeg
from tests.support.screens import PIN

Whose = Literal["inspector", "team", "nobody", "revoked"]


class Hand(NamedTuple):
    """How an action is done: once, or twice as by a hand that slips; `ids` of the home that it is done in."""

    twice: bool = False
    ids: Mapping[str, str] = {}


Act = Callable[[Page, Hand], None]


class Row(NamedTuple):
    """A page as it comes to somebody.

    name      unlike all others
    path      where it is; ids of the home in braces
    template  what draws it
    act       the main action
    shows     what is to be seen after it
    makes     what a home holds more of once it is done, see `homes.census`
    typed     text that is typed into fields without being sent
    keeps     whether that text is there after a reload; not where a text would be a secret on the disk
    whose     in whose home; `nobody`: before the set-up
    locked    the page is for a tablet that is locked
    reach     how the page is come to, where it is not at an address of its own
    """

    name: str
    path: str
    template: str
    act: Act
    shows: str
    makes: dict[str, int] = {}
    typed: dict[str, str] = {}
    keeps: bool = True
    whose: Whose = "inspector"
    locked: bool = False
    reach: Act | None = None


def tap(selector: str) -> Act:
    """A tap on the first of what a selector finds."""

    def act(page: Page, hand: Hand) -> None:
        place = page.locator(selector).first
        if hand.twice:
            place.dblclick()
        else:
            place.click()

    return act


def fill(selector: str, **fields: str) -> Act:
    """Fill in what is asked for (fields by id), then tap."""

    def act(page: Page, hand: Hand) -> None:
        for id, text in fields.items():
            page.fill(f"#{id}", text.format(**hand.ids))
        tap(selector)(page, hand)

    return act


def unlock(page: Page, hand: Hand) -> None:
    for digit in PIN:
        page.locator(f"[data-digit='{digit}']").click()
    tap(".pad .primary")(page, hand)


def choose(selector: str, *, once: bool = False) -> Act:
    """A photo through a file field; `once` where the page cannot know that the same was chosen again."""

    def act(page: Page, hand: Hand) -> None:
        for _ in range(1 if once else 1 + hand.twice):
            page.locator(selector).first.set_input_files({"name": "IMG_7.jpg", "mimeType": "image/jpeg", "buffer": jpeg(610, 470)})

    return act


def sign(page: Page, hand: Hand) -> None:
    page.fill("#party", "罗雨")
    draw(page, "[data-pad-for=party] canvas")
    tap("form[data-keep=party] button.primary")(page, hand)


def draw(page: Page, selector: str) -> None:
    """A signature with a finger."""
    pad = page.locator(selector)
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    for step in range(8):
        page.mouse.move(box["x"] + 40 + 30 * step, box["y"] + 40 + 30 * (step % 2))
    page.mouse.up()


def verify(page: Page, hand: Hand) -> None:
    page.locator(".outcomes label").first.click()
    page.fill("#result", "停课公告贴在门上，屋内无人")
    tap("#verify button.primary")(page, hand)


def to_pin(page: Page, _: Hand) -> None:
    page.fill("#url", "http://127.0.0.1:9")
    page.fill("#code", "K7M2-P9XD-4HTR")
    page.locator("#typed button.primary").click()


BEGIN = tap("form[action$='/inspections'] button")
SAVED = ".notice.done"
NOTE = {"#text": "二楼还有一间教室"}

ROWS: tuple[Row, ...] = (
    Row("lock", "/lock", "lock/pad.html", unlock, "h1:has-text('今日')", locked=True),
    Row("forgotten", "/forgotten", "lock/forgotten.html", tap("form[action$=ask] button"), "form[action$=finish]", locked=True),
    Row("setup", "/setup", "setup/code.html", to_pin, "#pin", typed={"#code": "K7M2-P9XD-4HTR"}, whose="nobody"),
    Row("setup-pin", "/setup", "setup/pin.html", fill("form[data-slow] button.primary", pin=PIN, again=PIN), "main > .notice.wrong",
        whose="nobody", reach=to_pin),
    Row("filling", "/setup/filling", "setup/filling.html", tap("#filling a.primary"), "h1:has-text('今日')"),
    Row("practice", "/practice", "setup/practice.html", tap("button[name=afresh]"), "h1:has-text('今日') ~ .practice-mark"),
    Row("today", "/", "today/today.html", tap("button[name=act]"), SAVED),
    Row("institutions", "/institutions", "institutions/list.html", tap("#found .line"), "form[data-keep=note]", typed={"#q": "口才"}),
    Row("new-site", "/institutions/new", "institutions/new.html", fill("form[data-keep] button.primary", name="金鹰羽毛球馆"), SAVED,
        {"institution": 1, "institution:unlicensed": 1}, {"#name": "金鹰羽毛球馆", "#address": "朝阳路 9 号"}),
    Row("card", "/institutions/{place}", "institutions/card.html", BEGIN, "h1:has-text('方式与人员')",
        {"inspection": 1, "inspection:draft": 1}, NOTE),
    Row("card-note", "/institutions/{place}", "institutions/card.html", fill("form[data-keep=note] button", text="门口有新招牌"), SAVED,
        {"notes/": 1}, NOTE),
    Row("visits", "/inspections", "inspection/list.html", tap("main a.line"), "#findings, #notes"),
    Row("visit", "/inspections/{visit}", "inspection/show.html", fill("form[data-keep=note] > button", text="已出示执法证件"), SAVED,
        {"notes/": 1}, {"#f-findings": "后院二十余名小学生", **NOTE}),
    Row("items", "/inspections/{visit}/items/LIC", "inspection/group.html", tap("[id='LIC-03'] .choice.yes"),
        "[id='LIC-03'] [data-saved]:has-text('已保存')", {"answers/": 1}, {"[id='reason-LIC-02']": "许可证挂在隔壁"}),
    Row("people", "/inspections/{visit}/people", "inspection/people.html", tap(".pick:not(.on)"), ".pick.on", {"officers/": 1}),
    Row("submit", "/inspections/{ready}/submit", "inspection/check.html", tap("form.sticky-foot button"), SAVED,
        {"inspection:submitted": 1, "inspection:draft": -1}),
    Row("again", "/institutions/{long}", "inspection/again.html", tap("form[action$='/inspections'] button"), "h1:has-text('方式与人员')",
        {"inspection": 1, "inspection:draft": 1}, reach=BEGIN),
    Row("sign", "/inspections/{ended}/sign", "signing/sheet.html", sign, SAVED, {"signatures/": 1}, {"#party": "罗雨"}),
    Row("between", "/inspections/{visit}/anchor", "anchors/between.html", tap("header a.icon-button"), "#findings"),
    Row("copy", "/inspections/{ready}/copy", "signing/copy.html", tap("form[action$=copy] button"), ".anchor svg", {"anchor": 1}),
    Row("camera", "/records/{visit}/camera", "camera/live.html", choose("[data-pick=gallery]"), "[data-taken] .badge.ok",
        {"evidence": 1, "evidence/": 1}),
    Row("photo", "/evidence/{photo}", "camera/viewer.html", tap("form[data-keep=caption] button"), SAVED,
        typed={"[name=caption]": "二楼东侧通道"}),
    Row("beside", "/evidence/{photo}/beside/{other}?back=/", "camera/beside.html", tap("header a.icon-button"), "[name=caption]"),
    Row("hazards", "/hazards", "hazards/list.html", tap("main a.line"), "#description"),
    Row("new-hazard", "/hazards/new?institution={place}", "hazards/new.html",
        fill("form[data-keep] button.primary", description="通道堆放桌椅"), SAVED, {"hazard": 1, "hazard:open": 1},
        {"#description": "通道堆放桌椅", "#responsible": "罗雨"}),
    Row("hazard-where", "/hazards/new?q=xx", "hazards/new.html", tap("main a.line"), "#description"),
    Row("hazard", "/hazards/{hazard}", "hazards/show.html", fill("form[data-keep=note] button", text="已约定周五复查"), SAVED,
        {"notes/": 1}, {"#f-measures": "清空通道", "form[data-keep=step-rectified] [name=words]": "已清空", **NOTE}),
    Row("hazard-done", "/hazards/{hazard}", "hazards/show.html", tap("form[data-keep=step-rectified] button"), SAVED,
        {"hazard:rectified": 1, "hazard:open": -1}),
    Row("order", "/hazards/{hazard}/order", "hazards/order.html", tap("header a.icon-button"), "#description"),
    Row("patrol", "/patrol", "notes/new.html", fill("form[data-keep] button.primary", spot="坡子街", seen="门口有学生"), SAVED,
        {"patrol_note": 1, "patrol_note:noted": 1}, {"#spot": "坡子街", "#seen": "门口有学生"}),
    Row("patrol-note", "/patrol/{note}", "notes/show.html", fill("form[data-keep=note] button", text="又来了十人"), SAVED, {"notes/": 1}, NOTE),
    Row("task", "/tasks/{task}", "tasks/show.html", fill("form[data-keep=note] button", text="大门锁闭，改日再来"), SAVED, {"notes/": 1}, NOTE),
    Row("clue", "/clues/{clue}", "tasks/show.html", verify, SAVED,
        {"clue:verified": 1, "clue:received": -1, "task:done": 1, "task:planned": -1}, {"#result": "停课公告贴在门上"}),
    Row("sync", "/sync", "sync/ledger.html", tap("form[action$=now] button"), "#hand-in"),
    Row("stick", "/couriers", "couriers/couriers.html",
        fill("form[data-keep=out] button.primary", folder="{folder}", passphrase="eight-or-more", again="eight-or-more"), SAVED,
        typed={"#folder": "/media/usb"}),
    Row("tablet", "/tablet", "device/about.html", tap("form[data-keep=name] button"), SAVED, typed={"#name": "欧阳"}),
    Row("space", "/tablet/space", "device/space_page.html", tap("header a.icon-button"), "button[name=theme]"),
    Row("missing", "/institutions/none", "problem.html", tap("main a.primary"), "h1:has-text('今日')"),
    Row("revoked", "/", "revoked.html", tap("main .primary"), ".pad, [data-watch]", whose="revoked"),
    Row("covert", "/notes", "covert/plain.html", choose("[data-file]", once=True), "[data-told]:has-text('1 ·')", typed={"#note": "二楼教室"}, keeps=False,
        whose="team", locked=True),
    Row("covert-counts", "/notes/counts", "covert/counts.html", tap("main a.primary"), "#note", whose="team"),
)  # fmt: skip
PIECES: frozenset[str] = frozenset(
    {"start", "static", "look", "sync.state", "covert.count", "inspection.piece", "camera.content", "photos.photo", "signing.file", "signing.copy_pdf", "hazards.order_pdf",
     "institutions.alike"}
)  # fmt: skip
"""Endpoints that answer a GET with something else than a page: a file, a piece of a page, figures for a script."""


def unlisted(app: Flask, templates: Path) -> list[str]:
    """What the application shows and the table does not have: endpoints, and templates of whole pages."""
    adapter = app.url_map.bind("x")
    named = {adapter.match(re.sub(r"\{\w+\}", "x", row.path).partition("?")[0])[0] for row in ROWS}
    asked = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    pages = {str(file.relative_to(templates)) for file in templates.rglob("*.html") if 'extends "ui/page.html"' in file.read_text("utf-8")}
    return sorted([*(asked - named - PIECES), *(pages - {row.template for row in ROWS})])


def named(rows: Iterable[Row]) -> list[str]:
    return [row.name for row in rows]
