"""The tablets in sight: when each was last heard of, what is still on it, and what to do when one is lost."""

from __future__ import annotations

from server.console.frame import Answer, Desk, page

desk = Desk("devices", __name__)


@desk.get("/devices", may="devices.read")
def listing() -> Answer:
    return page("home/start.html")
