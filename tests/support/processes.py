"""Real processes for tests that kill them: a server under gunicorn, and whatever script a test brings."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
STARTS_WITHIN_S = 60


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Child:
    """A process in a group of its own, so that a kill takes its children with it. Its output is read line by line."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "PATROLBOOK_GUARD": "no"},
        )
        self._rest = b""
        self.lines: list[str] = []

    def read(self, seconds: float = 0.0) -> list[str]:
        """Whatever it has printed by now; waits up to `seconds` for something new."""
        assert self.process.stdout is not None
        new: list[str] = []
        while select.select([self.process.stdout], [], [], 0.0 if new else seconds)[0]:
            block = os.read(self.process.stdout.fileno(), 65536)
            if not block:
                break
            *whole, self._rest = (self._rest + block).split(b"\n")
            new += [line.decode(errors="replace") for line in whole]
        self.lines += new
        return new

    def wait_for(self, text: str) -> None:
        """Wait until a line contains `text`; raises RuntimeError with the output when it ends or takes too long."""
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not any(text in line for line in self.lines):
            if (self.process.poll() is not None and not self.read(0.1)) or time.monotonic() > deadline:
                raise RuntimeError("\n".join(["no sign of " + repr(text), *self.lines]))
            self.read(0.2)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL to the whole group: no clean-up of any kind runs. Killing it again does nothing."""
        assert self.process.stdout is not None
        if self.process.stdout.closed:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.read()
        self.process.stdout.close()

    def finish(self, seconds: float = 60) -> int:
        """Wait for it to end by itself; returns its exit status and keeps its output."""
        deadline = time.monotonic() + seconds
        while self.alive and time.monotonic() < deadline:
            self.read(0.1)
        code = self.process.wait(timeout=max(0.1, deadline - time.monotonic()))
        self.kill()
        return code


SERVE = """
import sys
from pathlib import Path
from server.config import Settings
from server.serve import Listening, serve
serve(Settings(Path(sys.argv[1])), Listening(bind=sys.argv[2], workers=int(sys.argv[3])), lambda at: print("ready", *at))
"""


class Children:
    """Starts processes and kills at the end whichever of them are left."""

    def __init__(self) -> None:
        self._all: list[Child] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._all:
            child.kill()

    def start(self, *arguments: str) -> Child:
        self._all.append(Child(*arguments))
        return self._all[-1]

    def serve(self, data: Path, port: int, workers: int = 2) -> Child:
        """Serve a data folder with gunicorn, as `patrolbook-server serve` does; returns when it takes connections."""
        child = self.start("-c", SERVE, str(data), f"127.0.0.1:{port}", str(workers))
        child.wait_for("ready")
        return child
