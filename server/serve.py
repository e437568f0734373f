"""Serving: gunicorn with threads, put together here so that one command starts everything.

The application is made after the fork, in each worker: no database connection and no key object crosses a fork.
Several workers share one machine's data through SQLite and a file lock; threads share a worker. A stop waits for the
requests that are under way.
"""

from __future__ import annotations

import fcntl
import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from schemas.labels import Label
from server.api.door import EXTENSION
from server.app import create_app
from server.attending import Attendant
from server.config import Settings
from server.instance import open_instance
from server.reading.searching import Keeper, Searcher
from server.storage import migrations
from sync.core.errors import Refused

GRACE_S = 30
"""How long requests under way may take once a stop was asked for."""
STUCK_S = 120
"""A worker that gives no sign of life for this long is replaced."""
KEEP_ALIVE_S = 75
"""Tablets make many small requests on one connection; a new one costs them several round trips."""
_ATTENDANT = "patrolbook-attendant"


@dataclass(frozen=True)
class Listening:
    """How to serve. `certificate` and `key` are PEM files for TLS without a proxy in front."""

    bind: str = "127.0.0.1:8750"
    workers: int = 2
    threads: int = 8
    pid_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def serve(settings: Settings, listening: Listening, ready: Callable[[list[str]], None]) -> None:
    """Serve until a signal stops it; `ready` is told the addresses once connections are taken.

    Raises NotReady where no server was set up, Refused where another one is running under the same PID file. A
    database of an older program is brought up to date first.
    """
    house = open_instance(settings)
    _ = house.epoch  # raises NotReady
    _refuse_second(listening.pid_file)
    with _serving(settings, fcntl.LOCK_SH):  # the workers inherit it, so it lasts until the last of them is gone
        if migrations.pending(house.database):
            migrations.upgrade(house.database)
        with house.database.write() as conn:
            house.projections.renew(conn)
        house.close()
        _Application(settings, listening, ready).run()


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """For work on a server that must not be running, such as a restore. Raises Refused where it is."""
    settings.data.mkdir(parents=True, exist_ok=True)
    with _serving(settings, fcntl.LOCK_EX):
        yield


@contextmanager
def _serving(settings: Settings, mode: int) -> Iterator[None]:
    with open(settings.data / "serving.lock", "w") as lock:
        try:
            fcntl.flock(lock, mode | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            detail = Label(
                "服务器正在运行（或正在恢复），请先停止", "the server is running (or being restored); stop it first"
            )
            raise Refused(detail=detail) from busy
        yield


class _Application(BaseApplication):  # type: ignore[misc]  # gunicorn is not typed
    def __init__(self, settings: Settings, listening: Listening, ready: Callable[[list[str]], None]) -> None:
        self._settings, self._listening, self._ready = settings, listening, ready
        super().__init__()

    def load_config(self) -> None:
        listening = self._listening
        wanted: dict[str, Any] = {
            "bind": listening.bind,
            "worker_class": "gthread",
            "workers": listening.workers,
            "threads": listening.threads,
            "timeout": STUCK_S,
            "graceful_timeout": GRACE_S,
            "keepalive": KEEP_ALIVE_S,
            "proc_name": "patrolbook-server",
            "loglevel": "warning",
            "control_socket_disable": True,  # two servers of one user would fight over the one in the home folder
            "when_ready": self._told,
            "worker_exit": _leave,
        }
        if listening.pid_file is not None:
            wanted["pidfile"] = str(listening.pid_file)
        if listening.certificate is not None and listening.key is not None:
            wanted |= {"certfile": str(listening.certificate), "keyfile": str(listening.key)}
        for name, value in wanted.items():
            if name in self.cfg.settings:  # an older gunicorn has fewer
                self.cfg.set(name, value)

    def load(self) -> Flask:
        app = create_app(self._settings)
        Keeper(Searcher(app.extensions[EXTENSION])).start()
        attendant = app.extensions[_ATTENDANT] = Attendant(app.extensions[EXTENSION])
        attendant.start()
        # A push makes tens of thousands of small objects that live as long as the request and hold no cycles; looking
        # for cycles among them again and again was a quarter of its time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 20, 100)
        return app

    def _told(self, arbiter: Any) -> None:
        scheme = "https" if self._listening.certificate is not None else "http"
        self._ready([_address(scheme, listener.sock.getsockname()) for listener in arbiter.LISTENERS])


def _leave(_: Any, worker: Any) -> None:
    app = getattr(worker, "wsgi", None)
    if isinstance(app, Flask):
        app.extensions[_ATTENDANT].stop()
        app.extensions[EXTENSION].close()


def _address(scheme: str, name: Any) -> str:
    if not isinstance(name, tuple):
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{scheme}://{host}:{name[1]}"


def _refuse_second(pid_file: Path | None) -> None:
    if pid_file is None or not pid_file.exists():
        return
    text = pid_file.read_text().strip()
    if text.isdigit() and _alive(int(text)):
        detail = Label(f"服务器已在运行（进程 {text}）", f"the server is running already (process {text})")
        raise Refused(detail=detail)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, and alive
    return True
