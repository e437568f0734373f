"""The tablet's screens as a test uses them: in this process behind a real socket, or as the program that people start.

    with shown(home) as ui:
        ui.open()                         # as the browser that was started with it
        ui.post("/unlock", pin=PIN)
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import waitress
from flask import Flask

from field_client.platform import Platform, serving
from field_client.platform.background import Task
from field_client.platform.desktop import desktop
from field_client.platform.wrapping import Cost
from field_client.ui.app import create_ui
from field_client.ui.guard import Guard, start_url
from field_client.ui.seats import Seats
from tests.support.processes import Child, Children, free_port

PIN = "480215"
CHEAP = Cost(memory_kib=64, passes=1, lanes=1)


class Screen:
    """Somebody in front of the screens at `port`; `seats` and `app` are those behind them, where they are in this process."""

    def __init__(self, port: int, secret: bytes, seats: Seats | None = None, app: Flask | None = None) -> None:
        self.port, self.secret, self.seats, self.app = port, secret, seats, app
        self.origin = f"http://127.0.0.1:{port}"
        self.session = requests.Session()
        self.session.trust_env = False

    def open(self) -> Screen:
        """As the browser that is started with the program."""
        assert self.get(start_url(self.port, self.secret).removeprefix(self.origin)).status_code != 403
        return self

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.session.get(self.origin + path, headers=_named(headers), timeout=60)

    def post(self, path: str, files: Any = None, headers: dict[str, str] | None = None, **form: str) -> requests.Response:
        """Send a form as a page of ours does, and follow where it leads."""
        said = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin"} if headers is None else headers
        return self.session.post(self.origin + path, data=form, files=files, headers=said, timeout=60)

    def value(self, path: str, name: str) -> str:
        """A hidden field of the first form on a page that has one of this name."""
        return field(self.get(path).text, name)

    def enrol(self, url: str, code: str) -> Screen:
        """Through the set-up, as a person does."""
        assert "PIN" in self.post("/setup/pin", url=url, code=code).text
        answer = self.post("/setup", url=url, code=code, pin=PIN, again=PIN)
        assert answer.url.endswith("/setup/filling"), answer.text
        return self

    def practise(self) -> Screen:
        assert self.post("/practice", afresh="1").status_code == 200
        return self


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, page
    return found[1]


@contextmanager
def shown(home: Path, platform: Platform | None = None) -> Iterator[Screen]:
    """The screens over a home, in this process. PINs cost next to nothing."""
    with serving.listening(home, 0) as (listener, running):
        seats = Seats(home, None, platform or desktop(), Task, cost=CHEAP)
        app = create_ui(seats, Guard(running.port, running.secret, home / "ui.browser"))
        server = waitress.create_server(app, sockets=[listener], threads=4, inbuf_overflow=serving.BODY_BYTES)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        screen = Screen(running.port, running.secret, seats, app)
        try:
            yield screen
        finally:
            screen.session.close()
            server.task_dispatcher.shutdown()
            _close_in_its_thread(server)
            thread.join(5)
            seats.close()


def _close_in_its_thread(server: Any) -> None:
    """Closed under its feet its loop would complain; so the loop closes, once nobody writes to its trigger any more.

    The loop may be awake already and come upon the errand before the write that was to wake it.
    """
    woken = threading.Event()

    def close() -> None:
        woken.wait(5)
        server.close()

    server.trigger.pull_trigger(close)
    woken.set()


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


class Program:
    """`patrolbook ui` as a process of its own on a port that stays the same, so that a window goes on after a kill."""

    def __init__(self, children: Children, home: Path) -> None:
        self.children, self.home, self.port = children, home, free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.child: Child | None = None

    def start(self) -> str:
        """Start it; the address that opens the screens once."""
        self.child = self.children.start(
            "-m", "field_client", "ui", "--no-browser", "--port", str(self.port), "--home", str(self.home)
        )
        self.child.wait_for("/start/")
        found = re.search(r"http://\S+/start/[0-9a-f]+", "\n".join(self.child.lines))
        assert found is not None
        return found[0]

    def kill(self) -> None:
        """As a battery that falls out."""
        assert self.child is not None
        self.child.kill()
