"""What is printed: the machine, a table for each measurement, and each aim with whether it was met."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pysqlite3.dbapi2 as server_sqlite
from sqlcipher3 import dbapi2 as tablet_sqlite

from benchmarks.meter import Cost

MB = 1_000_000
_COLUMNS = ("wall", "client", "server", "client", "server", "up", "down", "wall", "CPU")
_UNITS = ("s", "CPU s", "CPU s", "peak MB", "peak MB", "MB", "MB", "ratio", "ratio")


class Aim(NamedTuple):
    """A ratio that ours should not exceed, give or take the noise of measuring it."""

    what: str
    most: float
    noise: float = 0.0


class Verdict(NamedTuple):
    """An aim and the ratio that was measured."""

    aim: Aim
    ratio: float

    @property
    def met(self) -> bool:
        return self.ratio <= self.aim.most + self.aim.noise


def machine() -> str:
    """The facts without which no figure can be compared with another run's."""
    cipher = tablet_sqlite.connect(":memory:").execute("PRAGMA cipher_version").fetchone()[0]
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{_processor()}, {os.cpu_count()} cores, load {load}; {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}\n"
        f"SQLite: server {server_sqlite.sqlite_version}, tablet {tablet_sqlite.sqlite_version} (SQLCipher {cipher})"
    )


def costs(title: str, sides: Sequence[tuple[str, list[Cost]]]) -> str:
    """Medians of each side. The first one is the floor; ratios to it are of the same turn, then the median is taken."""
    floor = sides[0][1]
    width = max(len(name) for name, _ in sides)
    lines = [title, *(" " * width + "".join(f"{word:>9}" for word in words) for words in (_COLUMNS, _UNITS))]
    for name, taken in sides:
        cells = [f"{statistics.median(c[at] for c in taken):.3f}" for at in range(3)]
        cells += [f"{statistics.median(c[at] for c in taken) / MB:.{2 if at > 4 else 0}f}" for at in range(3, 7)]
        cells += [f"{ratio(taken, floor):.2f}", f"{cpu_ratio(taken, floor):.2f}"]
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def times(title: str, sides: Sequence[tuple[str, list[float]]]) -> str:
    """Medians in seconds of things that one process does; the first is the floor, ratios are of the same turn."""
    floor = sides[0][1]
    width = max(len(name) for name, _ in sides)
    lines = [title, f"{'':<{width}}{'wall s':>10}{'ratio':>9}"]
    for name, taken in sides:
        against = statistics.median(a / b for a, b in zip(taken, floor, strict=True))
        lines.append(f"{name:<{width}}{statistics.median(taken):>10.4f}{against:>9.2f}")
    return "\n".join(lines)


def spread_of(ours: Sequence[float], floor: Sequence[float]) -> str:
    """The smallest and the largest ratio among the turns, and of the absolute times of ours."""
    ratios = [a / b for a, b in zip(ours, floor, strict=True)]
    return (
        f"{min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} turns; {min(ours):.4f} to {max(ours):.4f} s"
    )


def ratio(ours: Sequence[Cost], floor: Sequence[Cost]) -> float:
    """How many times as long ours takes as the floor."""
    return statistics.median(a.wall_s / b.wall_s for a, b in zip(ours, floor, strict=True))


def cpu_ratio(ours: Sequence[Cost], floor: Sequence[Cost]) -> float:
    """How many times as much processor time both sides of ours need together."""
    return statistics.median(
        (a.client_cpu_s + a.server_cpu_s) / (b.client_cpu_s + b.server_cpu_s) for a, b in zip(ours, floor, strict=True)
    )


def spread(ours: Sequence[Cost], floor: Sequence[Cost]) -> str:
    """The smallest and the largest ratio of wall times among the turns."""
    all_of_them = [a.wall_s / b.wall_s for a, b in zip(ours, floor, strict=True)]
    return f"{min(all_of_them):.2f} to {max(all_of_them):.2f} in {len(all_of_them)} turns"


def aims(verdicts: Sequence[Verdict]) -> str:
    """Each aim beside what was measured."""
    width = max(len(v.aim.what) for v in verdicts)
    lines = [f"{'':<{width}}      aim  measured  met"]
    for v in verdicts:
        told = f"<= {v.aim.most:.2f}x"
        lines.append(f"{v.aim.what:<{width}}{told:>9}{v.ratio:>9.2f}x  {'yes' if v.met else 'no'}")
    return "\n".join(lines)


def _processor() -> str:
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in facts if line.startswith("model name")), platform.machine())
