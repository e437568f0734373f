"""Where the time goes: the tablet's and the server's part of a push and of a pull, function by function.

Everything runs as it does over a network, except that requests reach the server's WSGI application in this process, so
that each side can be watched apart from the other and from waiting. The plain microseconds per record above each table
are measured without the profiler; it makes every call dearer, so in the tables read the order, not the seconds.
"""

from __future__ import annotations

import cProfile
import io
import pstats
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from werkzeug.test import EnvironBuilder, run_wsgi_app

from benchmarks import data, house
from field_client.platform.desktop import desktop
from field_client.platform.remote import Remote
from field_client.tablet import Tablet
from server.api.door import EXTENSION
from server.app import create_app
from server.config import Settings
from sync.replicator import Progress

TOP = 15
URL = "http://server.bench"
_ROOT = str(Path(__file__).resolve().parent.parent) + "/"

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Watch:
    """Seconds of each side, and profiles of both where asked for. Nothing counts before `begin` or after `end`."""

    def __init__(self, profiled: bool) -> None:
        self.seconds = {"tablet": 0.0, "server": 0.0}
        self._profiles = {side: cProfile.Profile() for side in self.seconds} if profiled else {}
        self._side = ""
        self._since = 0.0

    def begin(self) -> None:
        self._turn_to("tablet")

    def end(self) -> None:
        self._turn_to("")

    def cross(self, side: str) -> None:
        """From now on it is this side that works."""
        if self._side:
            self._turn_to(side)

    def table(self, side: str) -> str:
        """The functions of a side that take most time themselves."""
        text = io.StringIO()
        pstats.Stats(self._profiles[side], stream=text).sort_stats("tottime").print_stats(TOP)
        lines = text.getvalue().replace(_ROOT, "").splitlines()
        start = next(at for at, line in enumerate(lines) if line.lstrip().startswith("ncalls"))
        return "\n".join(line for line in lines[start:] if line.strip())

    def _turn_to(self, side: str) -> None:
        if self._side in self._profiles:
            self._profiles[self._side].disable()
        now = time.perf_counter()
        if self._side:
            self.seconds[self._side] += now - self._since
        self._side, self._since = side, time.perf_counter()
        if side in self._profiles:
            self._profiles[side].enable()


class Doorway(HTTPAdapter):
    """Carries requests to an application in this process, and tells a watch when they cross over."""

    def __init__(self, app: Application) -> None:
        super().__init__()
        self.app = app
        self.watch = Watch(False)

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        split = urlsplit(request.url)
        environ = EnvironBuilder(
            request.path_url, f"{split.scheme}://{split.netloc}", method=request.method, headers=dict(request.headers)
        ).get_environ()
        body = request.body or b""
        environ |= {"RAW_URI": request.path_url, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        self.watch.cross("server")
        pieces, status, headers = run_wsgi_app(self.app, environ, buffered=True)
        content = b"".join(pieces)
        self.watch.cross("tablet")
        answer = HTTPResponse(io.BytesIO(content), dict(headers), int(status.split()[0]), preload_content=False)
        return self.build_response(request, answer)


def profile(folder: Path, records: int) -> None:
    """Print the profiles of both sides of a push and of a pull of so many records."""
    for name, run in (("push", _push), ("pull", _pull)):
        plain = run(folder / f"{name}-plain", records, Watch(profiled=False))
        watched = run(folder / f"{name}-watched", records, Watch(profiled=True))
        for side, seconds in plain.seconds.items():
            print(f"{name}, {side}: {1e6 * seconds / records:.1f} us per record\n{watched.table(side)}\n")


def _push(folder: Path, records: int, watch: Watch) -> Watch:
    house.make_server(folder / "server")
    tablet, doorway, person = _tablet(folder)
    with tablet.store.writing():
        for change in data.changes(records, person):
            tablet.store.outbox.append(change)
    doorway.watch = watch

    sent: list[int] = []

    def told(progress: Progress) -> None:
        if progress.phase == "pushing" and progress.done == records:
            watch.end()
            sent.append(progress.sent)

    watch.begin()
    tablet.sync(told, "records", stop=lambda: bool(sent))
    _leave(tablet, doorway)
    return watch


def _pull(folder: Path, records: int, watch: Watch) -> Watch:
    house.make_server(folder / "server", data.merged(records))
    tablet, doorway, _ = _tablet(folder)
    doorway.watch = watch
    watch.begin()
    tablet.sync(until="records")
    watch.end()
    _leave(tablet, doorway)
    return watch


def _tablet(folder: Path) -> tuple[Tablet, Doorway, str]:
    """An enrolled tablet whose server is an application in this process, and the id of its person."""
    app = create_app(Settings(folder / "server"))
    doorway = Doorway(app)
    session = requests.Session()
    session.mount(URL, doorway)
    platform = desktop()._replace(connect=lambda line: Remote(line, session=session))
    enrolled = house.enrol(folder / "server", URL, folder / "tablet", platform=platform)
    tablet = house.open_tablet(enrolled.home, platform=platform)
    tablet.peer().have([])
    return tablet, doorway, enrolled.person


def _leave(tablet: Tablet, doorway: Doorway) -> None:
    tablet.close()
    doorway.app.extensions[EXTENSION].close()  # type: ignore[attr-defined]
