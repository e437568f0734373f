"""Settings of this server, and backups made from the page."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from flask import request, url_for

from schemas.certificates import CHINA
from schemas.kinds.patrol_note import URGENCIES
from schemas.labels import Label
from server import acts
from server.console.frame import Answer, Desk, instance, onward, page, say, seat
from server.evidence import openings
from server.storage import facts
from server.storage.backup import MANIFEST, back_up
from server.work import clues
from sync.core.errors import InvalidField

desk = Desk("settings", __name__)

FOLDER = "backups"
LATEST = 20
SCARCE = 0.1
"""The part of the disk that should stay free."""


class Made(NamedTuple):
    """A backup that lies beside the data; `size` counts the database only, blobs are shared where the disk can."""

    name: str
    blobs: int
    size: int


@desk.get("/settings", may="settings.read")
def show() -> Answer:
    house = instance()
    with house.database.read() as conn:
        name, area, originals = (facts.get(conn, fact) for fact in (facts.NAME, facts.AREA, facts.ORIGINALS))
        days = clues.days_now(conn)
    return page(
        "settings/show.html",
        name=name,
        area=area,
        clue_days=days,
        urgencies=URGENCIES,
        all_originals=originals == facts.LOGGED,
        fingerprint=house.keys.open.fingerprint,
        origin=house.keys.open.origin,
        data=house.settings.data,
        tight=_tight(house.settings.data),
        counted=_counted(),
        backups=_made(),
    )


@desk.post("/settings/name", may="settings.write")
def rename() -> Answer:
    name = request.form.get("name", "").strip()
    if not name or len(name) > 100:
        raise InvalidField(field="name", detail=Label("应为 1 到 100 个字", "is 1 to 100 characters"))
    house = instance()
    with house.database.write() as conn:
        acts.append(conn, "", acts.SETTING, house.now(), by=seat().person.id, name=name)
        facts.put(conn, facts.NAME, name)
    say(Label("单位名称已保存。", "The name is saved."))
    return onward(url_for(".show"))


@desk.post("/settings/clue-days", may="settings.write")
def clue_days() -> Answer:
    """Within how many days clues are verified: what is received from now on."""
    clues.set_days(instance(), seat().person.id, request.form)
    say(Label("已保存，今后受理的线索照此计算。", "Saved; it counts for clues received from now on."))
    return onward(url_for(".show"))


@desk.post("/settings/originals", may="settings.write")
def originals() -> Answer:
    which = "all" if request.form.get("originals") == "all" else "restricted"
    openings.log_originals(instance(), which, seat().person.id)
    say(Label("已保存，从现在起生效。", "Saved; it counts from now on."))
    return onward(url_for(".show"))


@desk.post("/settings/backup", may="backup.make")
def backup() -> Answer:
    house = instance()
    stamp = datetime.fromtimestamp(house.now() / 1000, CHINA).strftime("%Y-%m-%d-%H%M%S")
    made = back_up(house.settings.data, house.settings.data / FOLDER / stamp)
    zh, en = (f"：{made.blobs} 个文件", f": {made.blobs} files") if _counted() else ("", "")
    say(
        Label(
            f"备份 {stamp} 已完成{zh}。密钥不在其中，请另行保管；请把备份复制到另一块磁盘。",
            f"Backup {stamp} is done{en}. Keys are not in it, keep them elsewhere; copy it to another disk.",
        )
    )
    return onward(url_for(".show"))


def _counted() -> bool:
    """Whether the reader may know how much there is: what lies behind the wall is counted in a backup as well."""
    return bool(seat().sight.within)


def _tight(data: Path) -> bool:
    """Whether the disk is nearly full; how full it is would tell of uploads that the reader does not see."""
    usage = shutil.disk_usage(data)
    return usage.free < usage.total * SCARCE


def _made() -> list[Made]:
    folder = instance().settings.data / FOLDER
    found = sorted((one for one in folder.glob(f"*/{MANIFEST}")), reverse=True)[:LATEST]
    return [_read(one) for one in found]


def _read(manifest: Path) -> Made:
    body = json.loads(manifest.read_text("utf-8"))
    return Made(manifest.parent.name, len(body["blobs"]), (manifest.parent / "patrolbook.db").stat().st_size)
