"""今日: what is to be done now, overdue first; what staff sent back and why; what is new since yesterday; the shift."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Response

from field_client.evidence import covert
from field_client.ui import here
from field_client.ui.here import Nav, Screen
from field_client.work import agenda, shifts, tasks
from field_client.work.search import Search
from schemas.labels import Label
from sync.core.errors import Problem

screen = Screen("today", __name__, nav=Nav(Label("今日", "Today"), "home", 10, "today.today"))

SHOWN = 8
"""Of each list at first; the rest is one tap away."""


@screen.get("/")
def today() -> Response | str:
    tablet = here.tablet()
    identity = tablet.identity
    if identity is None:
        return here.go("setup.begin")
    if covert.is_covert(tablet):
        return here.go("covert.counts")
    day = agenda.today_of(tablet)
    visits = agenda.visits(tablet)
    dangers = agenda.dangers(tablet, day)
    jobs = tasks.waiting(tablet, day)
    late = [one for one in dangers if one.late]
    soon = [one for one in dangers if not one.late and one.days is not None and one.days <= agenda.SOON.days]
    return here.page(
        "today/today.html",
        identity=identity,
        day=day,
        returned=visits.returned,
        drafts=visits.drafts,
        late=late,
        soon=soon,
        later=len(dangers) - len(late) - len(soon),
        names=Search(tablet.store).names({*(one.institution for one in (*late, *soon)), *(one.institution for one in jobs if one.institution)}),
        jobs=[one for one in jobs if one.mine],
        others=[one for one in jobs if not one.mine],
        orders=agenda.orders(tablet, day),
        sightings=agenda.sightings(tablet),
        news=agenda.News(tablet).since(agenda.yesterday_ms(day)),
        conflicts=len(tablet.conflicts()),
        shift=shifts.current(tablet),
        shown=SHOWN,
        hour=(datetime.now(UTC) + timedelta(hours=8)).hour,
    )


@screen.post("/shift")
def shift() -> Response:
    """Open or close a shift. Opening works without a network; a round that is due tells the server of it."""
    tablet = here.tablet()
    standing = shifts.current(tablet)
    try:
        if here.posted("act") == "close":
            if standing is not None and not standing.open:
                return here.go(".today")  # a second tap
            closed = shifts.end(tablet, here.posted("note"))
            return here.done(
                Label(
                    f"班次已结束：{closed.changes} 条变更、{closed.files} 个文件",
                    f"The shift is closed: {closed.changes} changes, {closed.files} files",
                ),
                ".today",
            )
        if standing is not None and standing.open and standing.day == agenda.today_of(tablet).isoformat():
            return here.go(".today")
        last = here.seat().rounds.last
        shifts.begin(tablet, online=last is not None and last.complete)
    except Problem as problem:
        here.warn(Label(problem.text("zh"), problem.text("en")))
        return here.go(".today")
    return here.done(Label("班次已开始", "The shift is open"), ".today")
