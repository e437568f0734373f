"""Couriers: everything of this tablet onto a USB stick, and another tablet's work into this one. Both may be done again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from flask import Response, request

from field_client.exchange import couriers
from field_client.moments import CHINA
from field_client.platform.drives import drives, folder_of
from field_client.ui import here
from field_client.ui.here import Screen
from schemas.labels import Label
from sync.core.errors import InvalidField, Problem, Refused

screen = Screen("couriers", __name__)

LEAST_PASSPHRASE = 8


@screen.get("/couriers")
def choose() -> str:
    """Where to, and what lies there already."""
    return _page()


@screen.post("/couriers/export")
def export() -> Response | str:
    """Write everything that can be read into a signed file in a folder."""
    seat, held = here.seat(), here.held()
    if seat.practice:
        raise Refused(detail=Label("练习数据不导出", "practice is not carried away"))
    try:
        folder = folder_of(here.posted("folder"))
        first, again = request.form.get("passphrase", ""), request.form.get("again", "")
        if first != again:
            raise InvalidField(field="passphrase", detail=Label("两次输入不一样", "the two are not the same"))
        if len(first) < LEAST_PASSPHRASE:
            raise InvalidField(field="passphrase", detail=Label(f"口令至少 {LEAST_PASSPHRASE} 个字", f"at least {LEAST_PASSPHRASE} characters"))
        now = seat.platform.clock.wall_ms()
        name = f"patrolbook-{datetime.fromtimestamp(now / 1000, CHINA):%Y%m%d-%H%M}{couriers.SUFFIX}"
        made = couriers.export(seat.home, held.secrets, now, folder / name, first)
    except Problem as problem:
        return _page(problem)
    for one in made.lost:
        here.warn(Label(f"未能读出：{one.what}（{one.detail}）", f"could not be read: {one.what} ({one.detail})"))
    told = Label(
        f"已写入 {made.files[0]}：{made.changes} 条变更、{made.blobs} 个文件",
        f"Written to {made.files[0]}: {made.changes} changes and {made.blobs} files",
    )
    return here.done(told, ".choose")


@screen.post("/couriers/import")
def take_in() -> Response | str:
    """Take another tablet's file in; this tablet then uploads it."""
    try:
        unpacked = couriers.take_in(here.tablet(), Path(here.posted("file")), lambda: request.form.get("passphrase", ""))
    except Problem as problem:
        return _page(problem)
    taken = unpacked.taken
    for one in unpacked.manifest.lost:
        here.warn(Label(f"原平板未能读出：{one.what}", f"the first tablet could not read: {one.what}"))
    here.seat().rounds.again()
    told = Label(
        f"新增 {taken.changes} 条变更、{taken.blobs} 个文件；已有 {taken.known_changes} 条、{taken.known_blobs} 个",
        f"New: {taken.changes} changes, {taken.blobs} files; known: {taken.known_changes} and {taken.known_blobs}",
    )
    return here.done(told, ".choose")


def _page(problem: Problem | None = None) -> str:
    places = drives()
    folder = here.posted("folder") or request.args.get("folder", "")
    listed = [*places, *([Path(folder)] if folder else [])]
    files = sorted({file for place in listed if place.is_dir() for file in place.glob(f"*{couriers.SUFFIX}")})
    return here.page("couriers/couriers.html", places=places, files=files, problem=problem, folder=folder or (str(places[0]) if places else ""))

