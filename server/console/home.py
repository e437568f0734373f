"""The home page: what waits for whoever sits there."""

from __future__ import annotations

from server.console.frame import Answer, Desk, page

desk = Desk("home", __name__)


@desk.get("/", may="home")
def start() -> Answer:
    return page("home/start.html")
