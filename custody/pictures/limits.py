"""What a worker may use. Set by the worker on itself, before it sees the first foreign byte."""

from __future__ import annotations

import signal

try:
    import resource
except ImportError:  # Windows: only the workshop's time-out holds there
    resource = None  # type: ignore[assignment]

MEMORY_BYTES = 1 << 30
CPU_S = 15
FILES = 64
BOUNDED = resource is not None
"""Whether this system can bound a process. Where it cannot, memory is not bounded and time only by being ended."""


def bind() -> None:
    """Bound memory; no file may grow, no core dump may hold a photo. Interrupts are for the program, not for its worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if resource is None:
        return
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, FILES),
    ):
        resource.setrlimit(what, (most, most))


def allow_one_job() -> None:
    """From now on `CPU_S` seconds of processor, whatever earlier jobs have used."""
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + CPU_S + 1, hard))
