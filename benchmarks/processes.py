"""Child processes: servers on free ports of this machine, and what a process group has used so far.

Figures come from /proc (Linux): processor time of all processes of a group, and the highest resident memory of any one
of them. They are read before and after the measured part, so starting a process and loading its modules does not count
as time. (It does count as memory.)
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
START_S = 30.0
STOP_S = 10.0
CLIENT_S = 900.0
"""A client that takes longer hangs; the benchmark ends rather than waits."""

_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """Processor seconds so far, and the highest resident memory of any one process in bytes."""

    cpu_s: float
    peak: int


class Server(NamedTuple):
    """A running server; `group` is its process group."""

    url: str
    group: int


def usage(group: int) -> Usage:
    """What the processes of a group have used; raises ProcessLookupError where there is none left."""
    found = [used for pid in _pids() if (used := _usage_in_group(pid, group)) is not None]
    if not found:
        raise ProcessLookupError(f"no process in group {group}")
    return Usage(sum(u.cpu_s for u in found), max(u.peak for u in found))


def own_usage() -> Usage:
    """What this process has used."""
    return Usage(time.process_time(), _peak(os.getpid()))


@contextlib.contextmanager
def serving(command: Sequence[str], port: int, log: Path, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run a server until the end of the block. It must listen on this port of the loopback interface.

    Raises RuntimeError, with the end of its log, where it does not start or ends too early.
    """
    with open(log, "ab") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
    try:
        _wait_until_open(child, port)
        yield Server(f"http://127.0.0.1:{port}", child.pid)
    except Exception as error:
        if child.poll() is None:
            raise
        raise RuntimeError(f"a server ended by itself:\n{log.read_text('utf-8', 'replace')[-2000:]}") from error
    finally:
        _end(child)


def run_client(module: str, task: str) -> str:
    """Run `python -m module task` and return what it printed. Raises RuntimeError where it fails; why stands on stderr."""
    command = [sys.executable, "-m", module, task]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=CLIENT_S, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{module} ended with {done.returncode}")
    return done.stdout


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _usage_in_group(pid: int, group: int) -> Usage | None:
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        if int(fields[2]) != group:
            return None
        return Usage((int(fields[11]) + int(fields[12])) / _TICKS, _peak(pid))
    except (FileNotFoundError, ProcessLookupError):
        return None  # it ended while we looked


def _peak(pid: int) -> int:
    status = (PROC / str(pid) / "status").read_text()
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(line.split()[1]) * 1024


def _wait_until_open(child: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + START_S
    while child.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens on port {port}")


def _end(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
