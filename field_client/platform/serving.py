"""The screens' own web server on this device's loopback: one for each home, and how a second start finds the first.

    ui.lock   held by the program that serves, however it ends
    ui.json   its port, and the secret by which starts of it are known (0600)

Whoever can read `ui.json` may open the screens, which still ask for the PIN. Bodies are held in memory and never in a
temporary file: what a camera gives is sealed or encrypted before it touches a disk.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from field_client.platform import locks
from field_client.platform.files import make_folder, replace_file
from schemas.labels import Label
from sync.core.errors import Refused

HOST = "127.0.0.1"
USUAL_PORT = 8471
BODY_BYTES = 256 << 20
"""The largest body; a photo fits, and a film comes in pieces."""
THREADS = 6
WAKE_S = 30
"""How long it sleeps where nobody asks for anything; a request wakes it, and idle connections are closed as often."""
_LOCK, _FILE = "ui.lock", "ui.json"


class Running(NamedTuple):
    """A server of these screens: where it listens, and the secret of its starts."""

    port: int
    secret: bytes


def running(home: Path) -> Running | None:
    """The server that serves this home now; None where there is none."""
    try:
        told = json.loads((home / _FILE).read_bytes())
        found = Running(int(told["port"]), bytes.fromhex(told["secret"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if os.name == "nt":  # no lock tells there; somebody has to listen
        with socket.socket() as probe:
            probe.settimeout(1)
            return found if probe.connect_ex((HOST, found.port)) == 0 else None
    with contextlib.suppress(FileNotFoundError):
        return None if locks.is_left(home / _LOCK) else found
    return None


@contextlib.contextmanager
def listening(home: Path, port: int | None) -> Iterator[tuple[socket.socket, Running]]:
    """Listen as the only server of this home; without a port the usual one, or any where that is taken.

    :raises Refused: another one serves this home, or the port that was asked for is taken
    """
    make_folder(home)
    with open(os.open(home / _LOCK, os.O_RDWR | os.O_CREAT, 0o600), "rb") as held:
        if not locks.try_claim(held):
            raise Refused(detail=Label("另一个 patrolbook ui 正在启动", "another patrolbook ui is being started"))
        with _bound(port) as listener:
            made = Running(int(listener.getsockname()[1]), secrets.token_bytes(32))
            replace_file(home / _FILE, json.dumps({"port": made.port, "secret": made.secret.hex()}).encode())
            try:
                yield listener, made
            finally:
                (home / _FILE).unlink(missing_ok=True)


def serve(app: Callable[..., Any], listener: socket.socket) -> None:
    """Answer until the program is told to end (SIGTERM, SIGINT)."""
    import waitress

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    waitress.create_server(
        app,
        sockets=[listener],
        threads=THREADS,
        ident=None,
        max_request_body_size=BODY_BYTES,
        inbuf_overflow=BODY_BYTES + 1,
        outbuf_overflow=BODY_BYTES,
        channel_request_lookahead=0,
        asyncore_loop_timeout=WAKE_S,
    ).run()


@contextlib.contextmanager
def _bound(port: int | None) -> Iterator[socket.socket]:
    for number in (USUAL_PORT, 0) if port is None else (port,):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name != "nt":  # there it would let two programs share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, number))
            listener.listen(64)
        except OSError as error:
            listener.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            continue
        with listener:
            yield listener
        return
    raise Refused(
        detail=Label(f"端口 {port} 被占用；请换一个 --port", f"the port {port} is taken; choose another --port")
    )
