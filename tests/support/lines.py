"""Tablets on good and bad lines: real stores and keys, with a clock to set, pauses that take no time, lost answers.

    tablet = joined(server, tmp_path / "a")
    line = with_faults(tablet, "before", "after")
    tablet.sync()

`line.calls` then names the verbs that were asked for.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import requests

from field_client.platform import Connect, Line, Platform
from field_client.platform.clock import SystemClock
from field_client.platform.desktop import desktop
from field_client.platform.files import EncryptedFiles
from field_client.platform.remote import Remote
from field_client.tablet import Tablet
from schemas.registry import Registry
from sync.core.errors import Unavailable
from sync.peer import Peer
from sync.replicator import Surroundings
from tests.support.local_peer import LocalPeer
from tests.support.server import TestServer

AREA = "430102001"


class TabletClock(SystemClock):
    """The device's clock, `ahead` milliseconds before the real one."""

    def __init__(self, ahead: int = 0) -> None:
        self.ahead = ahead

    def wall_ms(self) -> int:
        return super().wall_ms() + self.ahead


class Faulty:
    """A peer behind a bad line. `faults` hit the coming calls in turn: "" passes, "before" cuts before the peer hears
    of it, "after" loses the answer, a problem is raised. When they are used up all is well."""

    def __init__(self, peer: Peer, faults: Iterable[str | Exception] = ()) -> None:
        self.peer = peer
        self.faults = deque(faults)
        self.calls: list[str] = []

    @property
    def traffic(self) -> Any:
        return self.peer.traffic

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        method = getattr(self.peer, verb)

        def call(*args: Any) -> Any:
            self.calls.append(verb)
            fault = self.faults.popleft() if self.faults else ""
            if isinstance(fault, Exception):
                raise fault
            if fault == "before":
                raise Unavailable(detail="cut before")
            answer = method(*args)
            if fault == "after":
                raise Unavailable(detail="the answer was lost")
            return answer

        return call


def over_http(session: requests.Session) -> Connect:
    """Connections of tablets that share the session of a test server."""
    return lambda line: Remote(line, session=session)


def in_process(server: TestServer) -> Connect:
    """Connections that call the server's functions."""
    return lambda line: LocalPeer(server.instance, line.device)


def platform_with(
    connect: Connect, clock: SystemClock | None = None, pool: Callable[[int], Executor] | None = None
) -> Platform:
    """What a tablet in a test takes from its device: nothing that waits, no threads unless asked for."""
    ticks = count()
    around = Surroundings(pause=lambda seconds: None, chance=lambda: 0.5, monotonic=lambda: next(ticks) * 0.001)
    return Platform(clock or TabletClock(), around, connect, pool, nullcontext, desktop().pictures)


def alone(
    home: Path,
    connect: Connect | None = None,
    *,
    clock: SystemClock | None = None,
    registry: Registry | None = None,
    pool: Callable[[int], Executor] | None = None,
) -> Tablet:
    """A tablet that is not enrolled yet."""
    key = secrets.token_bytes(32)
    platform = platform_with(connect or _nowhere, clock, pool)
    files = EncryptedFiles(home / "blobs", key)
    return Tablet.create(home, key, secrets.token_bytes(32), files, registry=registry, platform=platform)


def joined(server: TestServer, home: Path, role: str = "inspector", area: str = AREA[:6], **more: Any) -> Tablet:
    """A tablet enrolled for somebody new, in this process unless `connect` says otherwise."""
    tablet = alone(home, more.pop("connect", None) or in_process(server), **more)
    tablet.enrol(server.url, server.code(server.person(role, area)), home.name)
    return tablet


def with_faults(tablet: Tablet, *faults: str | Exception) -> Faulty:
    """Put a bad line between the tablet and its server from now on."""
    peer = tablet.peer()
    faulty = Faulty(peer.peer if isinstance(peer, Faulty) else peer, faults)
    tablet._peer = faulty  # type: ignore[assignment]
    return faulty


def _nowhere(line: Line) -> Peer:
    raise Unavailable(detail="a tablet without a server")
