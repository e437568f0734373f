"""A county for whole days of a tablet: its server as a process of its own, behind a network that breaks.

    with county_of(folder) as county:
        program.start() …                     # enrols at county.url, which is the network
        county.network.refuse()               # a basement
        county.network.cut_upload_after(200_000)
        held = county.end()                   # what the server holds, once it is down
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo.faultproxy import FaultProxy
from server.config import Settings
from tests.support.patrols import held
from tests.support.processes import Child, Children, free_port
from tests.support.server import TestServer, opened_server, wsgi_server


class Held:
    """What a server holds: live values by record, and every blob that a record names, read and hashed again."""

    def __init__(self, server: TestServer) -> None:
        self.records = held(server)
        self.files: dict[str, bytes] = {}
        folder = server.instance.settings.data / "blobs"
        for file in folder.rglob("*"):
            if file.is_file():
                content = file.read_bytes()
                assert hashlib.sha256(content).hexdigest() == file.name
                self.files[file.name] = content

    def values(self, path: str) -> list[Any]:
        """Every live value on a path."""
        return [value for live in self.records.values() for value in live.get(path, {}).values()]

    def under(self, prefix: str) -> list[Any]:
        """Every live value on the paths that begin so: all notes, all evidence."""
        return [one for live in self.records.values() for path, values in live.items() if path.startswith(prefix) for one in values.values()]

    @property
    def missing(self) -> set[str]:
        """Digests of files that records name and the server does not hold."""
        named = {value["sha256"] for value in self.under("evidence/") if isinstance(value, dict)} | set(self.values("sha256"))
        return named - self.files.keys()


class County:
    """See the module. Before `up` and between `down` and `up` its data may be worked on in this process."""

    def __init__(self, children: Children, folder: Path, network: FaultProxy, port: int) -> None:
        self.network = network
        self.url = f"http://127.0.0.1:{network.port}"
        self.made: TestServer = wsgi_server(folder)
        self._children, self._port = children, port
        self._child: Child | None = None

    def up(self) -> None:
        self.made.instance.close()
        self._child = self._children.serve(self.made.instance.settings.data, self._port)

    def down(self) -> None:
        assert self._child is not None
        self._child.kill()

    def at_the_desk(self, work: Callable[[TestServer], None]) -> None:
        """Something that staff do, while the server is down for a moment."""
        self.down()
        server = opened_server(Settings(self.made.instance.settings.data))
        work(server)
        self.made = server
        self.up()

    def end(self) -> Held:
        """Stop the server; what it holds."""
        self.down()
        server = opened_server(Settings(self.made.instance.settings.data))
        try:
            return Held(server)
        finally:
            server.instance.close()


@contextmanager
def county_of(folder: Path) -> Iterator[County]:
    port = free_port()
    with Children() as children, FaultProxy("127.0.0.1", port) as network:
        yield County(children, folder, network, port)


def seen(server: TestServer, record: str, paths: Sequence[str]) -> dict[str, list[str]]:
    """The ids of the changes that now stand on some paths of a record."""
    live = held(server)[record]
    return {path: list(live.get(path, {})) for path in paths}
