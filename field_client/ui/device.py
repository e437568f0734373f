"""This tablet: whose it is, what it may do, how much room there is and what may go, its PIN, how the screens look."""

from __future__ import annotations

import shutil

from flask import Response, request

from field_client.evidence import retention, tidying
from field_client.tablet import DATABASE
from field_client.ui import here, preferences
from field_client.ui.here import Nav, Screen
from field_client.work.showing import lasting
from schemas.labels import Label
from schemas.words import size
from sync.core.errors import InvalidField, Problem, Refused
from sync.core.note import fingerprint

screen = Screen(
    "device", __name__, nav=Nav(Label("平板", "Tablet"), "settings", 70, "device.about"), audience="both"
)

LITTLE_BYTES = 2 << 30
SORTS = {
    "derived": Label("预览和水印副本", "Previews and marked copies"),
    "sealed": Label("密封件", "Sealed files"),
    "original": Label("原件", "Originals"),
    "thumbnail": Label("缩略图", "Thumbnails"),
}


@screen.get("/tablet")
def about(problem: Problem | None = None) -> str:
    """Everything but what is in the store, which takes a moment to count and comes as a piece of its own."""
    tablet, seat = here.tablet(), here.seat()
    free = shutil.disk_usage(seat.home).free
    left = here.held().vault.leases.left()
    return here.page(
        "device/about.html",
        identity=tablet.identity,
        log=fingerprint(tablet.identity.log.key) if tablet.identity else "",
        own_key=fingerprint(tablet.public_key),
        device_lease=lasting(left) if left is not None else None,
        free=free,
        little=free < LITTLE_BYTES,
        offset=tablet.store.time()[1],
        problem=problem,
    )


@screen.get("/tablet/space")
def space() -> str:
    """What takes room, and what of it may go."""
    tablet = here.tablet()
    found = retention.lines(tablet)
    return here.page(
        "device/space.html" if "piece" in request.args else "device/space_page.html",
        kinds=[(schema.label if (schema := tablet.registry.get(kind)) else Label(kind, kind), count) for kind, count in tablet.kinds().items()],
        sizes=[(SORTS[what], count, bytes) for what, count, bytes in retention.sizes(found) if count],
        may_go=sum(line.blob.size for line in found if line.may),
        database=(tablet.home / DATABASE).stat().st_size,
    )


@screen.post("/tablet/tidy")
def tidy() -> Response:
    """Remove what the server answers for with a receipt and whose term is over."""
    done = tidying.tidy(here.tablet())
    if done.refused:
        here.warn(Label(f"{len(done.refused)} 个文件保留：回执或服务器的答复不够", f"{len(done.refused)} files stay: receipt or answer not enough"))
    return here.done(Label(f"已清理 {done.files} 个文件，{size(done.bytes)}", f"Removed {done.files} files, {size(done.bytes)}"), ".about")


@screen.post("/tablet/pin")
def pin() -> Response | str:
    """Another PIN; the data stays as it is."""
    held = here.held()
    old, new, again = (request.form.get(name, "") for name in ("old", "pin", "again"))
    try:
        if here.seat().practice:
            raise Refused(detail=Label("练习模式不换 PIN", "practice keeps its PIN"))
        if new != again:
            raise InvalidField(field="PIN", detail=Label("两次输入不一样", "the two are not the same"))
        held.vault.change_pin(old, new)
    except Problem as problem:
        return about(problem)
    return here.done(Label("PIN 已更换", "The PIN was changed"), ".about")


@screen.post("/tablet/name")
def name() -> Response:
    """What the lock screen calls this place."""
    preferences.choose(here.seat().home, name=here.posted("name")[:40])
    return here.done(Label("已保存", "Saved"), ".about")
