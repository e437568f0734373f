"""The two servers under measurement, on ports of the loopback interface: ours as it is served, and the floor's handler.

Both run under gunicorn with the worker class, workers, threads and times that `patrolbook-server serve` chooses.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.processes import Server, serving
from server.config import DATA
from server.serve import GRACE_S, KEEP_ALIVE_S, STUCK_S, Listening
from server.storage.database import PRAGMAS


def ours(folder: Path, port: int) -> AbstractContextManager[Server]:
    """Patrolbook over the data in `folder`, until the end of the block."""
    command = [sys.executable, "-m", "server", "serve", "--bind", f"127.0.0.1:{port}"]
    return serving(command, port, folder / "serve.log", {DATA: str(folder)})


def floor(database: Path, port: int, file: Path | None = None) -> AbstractContextManager[Server]:
    """The floor's handler over a database that `floor.fill` made; `file` is what a download gives."""
    as_ours = Listening()
    command = [
        sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread",
        "--workers", str(as_ours.workers), "--threads", str(as_ours.threads), "--timeout", str(STUCK_S),
        "--graceful-timeout", str(GRACE_S), "--keep-alive", str(KEEP_ALIVE_S), "--log-level", "warning",
        "--no-control-socket", f"benchmarks.floor:create_app({str(database)!r}, {PRAGMAS!r}, {str(file or '')!r})",
    ]  # fmt: skip
    return serving(command, port, database.with_suffix(".log"))
