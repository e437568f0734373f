"""A province, its server and one tablet on the command line, for whom days can pass."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

from custody import sealing
from field_client import session
from field_client.cli import cli
from field_client.platform.clock import SystemClock
from field_client.platform.keys import Vault
from field_client.platform.wrapping import Cost
from server.cli import main
from server.proofs import trusts
from sync.core.trust import Seal
from tests.support.server import TestServer, running_server

PIN, NEW = "480215", "864209"
HOUR_MS = 3_600_000


class Province(NamedTuple):
    """The seed of its root key, and its key for sealing: in a file, the recipient, and the file of somebody else."""

    root: bytes
    secret: Path
    recipient: str
    foreign: Path


def province_in(folder: Path) -> Province:
    """To be made once for a module: each passphrase costs a second."""
    mine, other = sealing.new_identity(), sealing.new_identity()
    for name, identity in (("mine", mine), ("other", other)):
        (folder / name).write_bytes(sealing.lock_identity(identity.secret, "p"))
    return Province(secrets.token_bytes(32), folder / "mine", mine.recipient, folder / "other")


class Scene:
    """A province with its secret in a file, its server, and a tablet; days can pass for all of them."""

    def __init__(self, folder: Path, server: TestServer, province: Province, pass_time: Callable[[int], None]) -> None:
        self.folder, self.server, self._pass = folder, server, pass_time
        self.home, self.province, self.secret = folder / "home", province, province.secret

    def trust(self) -> None:
        house = self.server.instance
        edition = trusts.next_edition(house.keys, "湖南省教育厅", house.now(), None)
        trusts.publish(house.settings, replace(edition, seal=Seal(7, (self.province.recipient,))), self.province.root)

    def go(self, hours: int) -> None:
        self._pass(hours)

    def tablet(self, *words: str, pin: str = PIN) -> Result:
        env = {"PATROLBOOK_HOME": str(self.home), "PATROLBOOK_PIN": pin, "PATROLBOOK_LANG": "en", "XDG_RUNTIME_DIR": "",
               "PATROLBOOK_GUARD": "no"}  # fmt: skip
        return CliRunner().invoke(cli, list(words), env=env, prog_name="patrolbook")

    def said(self, *words: str, pin: str = PIN) -> str:
        done = self.tablet(*words, pin=pin)
        assert done.exit_code == 0, done.output
        return done.output

    def refused(self, *words: str, pin: str = PIN) -> str:
        done = self.tablet(*words, pin=pin)
        assert done.exit_code == 1 and isinstance(done.exception, SystemExit), done.output
        return done.output

    def lease(self) -> Any:
        return json.loads(self.tablet("status", "--json").stdout)["lease"]

    def enrol(self, role: str = "inspector") -> None:
        code = self.server.code(self.server.person(role, "430102"))
        self.said("enrol", self.server.url, code)
        self.said("sync")

    def at_the_server(self, *words: str) -> Result:
        env = {"PATROLBOOK_DATA": str(self.server.instance.settings.data), "PATROLBOOK_LANG": "en"}
        return CliRunner().invoke(main, list(words), env=env)

    @property
    def device(self) -> str:
        return str(json.loads((self.home / "device.json").read_bytes())["device"])

    def unplug(self) -> None:
        """The tablet reaches no server any more."""
        noted = json.loads((self.home / "device.json").read_bytes())
        (self.home / "device.json").write_text(json.dumps({**noted, "url": "http://127.0.0.1:9"}))


@contextmanager
def scene_in(folder: Path, province: Province, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """The scene with a running server, on cheap keys."""
    ahead, wall, mono = [0], SystemClock.wall_ms, SystemClock.mono_ms
    monkeypatch.setattr(session, "Vault", partial(Vault, cost=Cost(memory_kib=64, passes=1, lanes=1)))
    monkeypatch.setattr(SystemClock, "wall_ms", lambda self: wall(self) + ahead[0])
    monkeypatch.setattr(SystemClock, "mono_ms", lambda self: mono(self) + ahead[0])
    with running_server(folder / "server") as server:

        def pass_time(hours: int) -> None:
            ahead[0] += hours * HOUR_MS
            server.clock.ahead += hours * HOUR_MS

        yield Scene(folder, server, province, pass_time)


def recover(scene: Scene, code: str = "") -> Result:
    """Ask on the tablet and answer on the station, by the code that was read out or another one."""
    told = scene.said("recover", "ask", str(scene.folder / "ask"))
    found = re.search(r"((?:[0-9a-f]{4} ){7}[0-9a-f]{4})", told)
    assert found is not None, told
    files = [str(scene.folder / name) for name in ("ask", "answer")]
    words = ["trust", "recover", *files, "--identity", str(scene.secret), "--passphrase", "p"]
    return scene.at_the_server(*words, "--code", code or found[1])
