"""Sealing against `pyrage` alone, and the memory that sealing a large film takes.

floor  `pyrage.encrypt_io` of the same bytes to one recipient, made before
ours   `custody.sealing.seal`: a fresh identity, its secret wrapped to the recipients, SHA-256 and chunk tree of the
       plaintext and SHA-256 of the ciphertext, all in the same pass
large  a process of its own seals `LARGE` bytes from a stream into a file with fsync; its peak memory is compared with
       what it held before it began
"""

from __future__ import annotations

import io
import json
import os
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage

from benchmarks.processes import own_usage
from benchmarks.table import Aim, Verdict, spread_of, times
from custody import sealing
from custody.sealing import new_identity

SEALED = 256 << 20
LARGE = 2 << 30
SEALING = Aim("sealing against pyrage alone", 2.5, 0.3)
MEMORY = Aim("peak memory of sealing 2 GiB, in units of 32 MiB above the start", 1.0)


class Endless(io.RawIOBase):
    """A stream of `size` bytes that repeats one random block: a film that needs no disk."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._block = memoryview(secrets.token_bytes(1 << 20))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._left, len(self._block))
        buffer[:count] = self._block[:count]
        self._left -= count
        return count


def throughput(folder: Path, turns: int) -> list[Verdict]:
    """Throughput in turns, then one large object."""
    content = secrets.token_bytes(SEALED)
    province, escrow = (new_identity() for _ in range(2))
    recipient = pyrage.x25519.Recipient.from_str(province.recipient)
    floor, ours = [], []
    for _ in range(turns):
        floor.append(_seconds(lambda: pyrage.encrypt_io(io.BytesIO(content), io.BytesIO(), [recipient])))
        ours.append(
            _seconds(lambda: sealing.seal(io.BytesIO(content), io.BytesIO(), [province.recipient, escrow.recipient]))
        )
    print(times(f"sealing {SEALED >> 20} MiB", [("pyrage", floor), ("seal", ours)]))
    rate = SEALED / statistics.median(ours) / 1e6
    print(f"  {rate:.0f} MB/s, {spread_of(ours, floor)}", end="\n\n")
    told = _large(folder / "large.age", province.recipient)
    print(
        f"  {LARGE >> 30} GiB from a stream into a file, fsync: {told['seconds']:.1f} s "
        f"({LARGE / told['seconds'] / 1e6:.0f} MB/s), {told['grown'] / (1 << 20):.0f} MiB more memory at its peak "
        f"({told['peak'] / (1 << 20):.0f} MiB in all)",
        end="\n\n",
    )
    return [
        Verdict(SEALING, statistics.median(a / b for a, b in zip(ours, floor, strict=True))),
        Verdict(MEMORY, told["grown"] / (32 << 20)),
    ]


def _large(file: Path, recipient: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.sealing", str(file), recipient], capture_output=True, text=True, check=True
    )
    file.unlink()
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _seal_one(file: Path, recipient: str) -> None:
    """In the process of its own: seal, and print what it took."""
    sealing.seal(io.BytesIO(b"warm"), io.BytesIO(), [recipient])
    before, started = own_usage().peak, time.perf_counter()
    with open(file, "wb") as out:
        made = sealing.seal(io.BufferedReader(Endless(LARGE)), out, [recipient])
        out.flush()
        os.fsync(out.fileno())
    seconds, peak = time.perf_counter() - started, own_usage().peak
    if made.size != file.stat().st_size or made.size <= LARGE:
        raise RuntimeError("not all of it was sealed; the figures would mean nothing")
    print(json.dumps({"seconds": seconds, "peak": peak, "grown": peak - before}))


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    _seal_one(Path(sys.argv[1]), sys.argv[2])
