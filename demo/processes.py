"""The programs of the demonstration as separate processes: the server, and a command of a tablet at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

BIN = Path(sys.executable).parent
STARTS_WITHIN_S = 60


class Failed(Exception):
    """A command that should have succeeded did not; shows what it printed."""


def surroundings(more: dict[str, str]) -> dict[str, str]:
    """The environment of a program, with byte code kept: each command is a new process."""
    dropped = ("PYTHONDONTWRITEBYTECODE", "PATROLBOOK_")  # what the caller's own tablet or server is set to
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def attempt(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command of the installed programs, however it ends."""
    return subprocess.run(
        [str(BIN / arguments[0]), *arguments[1:]], capture_output=True, text=True, env=surroundings(env or {})
    )


def run(*arguments: str, env: dict[str, str] | None = None, may_fail: bool = False) -> str:
    """Run one command of the installed programs; returns what it printed."""
    done = attempt(*arguments, env=env)
    if done.returncode and not may_fail:
        raise Failed(f"$ {' '.join(arguments)}\n{done.stdout}{done.stderr}")
    return done.stdout + (done.stderr if may_fail else "")


@dataclass
class Server:
    """`patrolbook-server` over one data folder; `serve` runs in a process group of its own."""

    data: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def command(self, *arguments: str, may_fail: bool = False, **env: str) -> str:
        return run("patrolbook-server", *arguments, env={**self.env, **env}, may_fail=may_fail)

    @property
    def env(self) -> dict[str, str]:
        return {"PATROLBOOK_DATA": str(self.data), "PATROLBOOK_LANG": "en"}

    def start(self) -> None:
        """Serve until killed or stopped; returns when connections are taken."""
        log = open(self.data.parent / "server.log", "ab")  # noqa: SIM115  the process keeps it
        self.process = subprocess.Popen(
            [str(BIN / "patrolbook-server"), "serve", "--bind", f"127.0.0.1:{self.port}"],
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            env=surroundings(self.env),
        )
        assert self.process.stdout is not None
        deadline = time.monotonic() + STARTS_WITHIN_S
        for line in self.process.stdout:
            if str(self.port).encode() in line:
                return
            if time.monotonic() > deadline:
                break
        raise Failed(f"the server did not start; see {log.name}")

    def kill(self) -> None:
        """SIGKILL to master and workers: nothing is cleaned up, as when the power goes."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        os.killpg(self.process.pid, how)
        self.process.wait()


@dataclass
class Witness:
    """`patrolbook-witness` of another organisation, in a folder of its own."""

    home: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self, *arguments: str) -> str:
        return run("patrolbook-witness", *arguments, "--home", str(self.home), "--lang", "en")

    def start(self) -> None:
        """Serve until stopped; returns when connections are taken."""
        words = ["serve", "--home", str(self.home), "--bind", f"127.0.0.1:{self.port}", "--lang", "en"]
        self.process = subprocess.Popen(
            [str(BIN / "patrolbook-witness"), *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=surroundings({})
        )
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            raise Failed("the witness did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


@dataclass
class Tablet:
    """One tablet's folder; every command is a process of its own, as when an inspector uses it."""

    name: str
    home: Path
    pin: str = "271828"

    def command(self, *arguments: str, may_fail: bool = False, locked: bool = False) -> str:
        """`locked`: nobody has entered the PIN."""
        env = {"PATROLBOOK_LANG": "en"} | ({} if locked else {"PATROLBOOK_PIN": self.pin})
        return run("patrolbook", "--home", str(self.home), *arguments, env=env, may_fail=may_fail)
