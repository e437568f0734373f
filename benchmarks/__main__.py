"""`python -m benchmarks`: see the package for what is and is not measured."""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import (
    capture,
    console,
    duplicates,
    growth,
    guessing,
    institutions,
    photos,
    profiles,
    screens,
    sealing,
    sync_rounds,
    table,
    verification,
    visit,
)
from benchmarks.table import Verdict

NAMES = ("push", "pull", "snapshot", "growth", "hashing", "capture", "duplicates", "guessing", "sealing", "verification", "screens", "visit", "console", "institutions")
ASKED_FOR = ("photos",)
"""Fetches packages, so it runs only where it is named."""
PLACE = Path(".bench")


def main() -> None:
    wanted = _arguments()
    turns = wanted.turns or 3
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a table at a time, into a pipe too
    print(table.machine(), end="\n\n")
    verdicts: list[Verdict] = []
    with _place() as place:
        if wanted.profile:
            profiles.profile(place, wanted.records)
            return
        for name in wanted.names or NAMES:
            folder = place / name
            folder.mkdir()
            match name:
                case "push":
                    verdicts.append(sync_rounds.push(folder, wanted.records, turns))
                case "pull":
                    verdicts.append(sync_rounds.pull(folder, wanted.records, turns))
                case "snapshot":
                    verdicts.append(sync_rounds.snapshot(folder, wanted.snapshot, turns))
                case "institutions":
                    institutions.main()
                case "growth":
                    large = 1_000_000 if wanted.large else 200_000
                    verdicts.extend(growth.growth(folder, 10_000, large))
                case "console":
                    verdicts.extend(
                        console.console(
                            wanted.at or folder, 10_000, 1_000_000 if wanted.large else 200_000, wanted.turns or console.TURNS, wanted.only
                        )
                    )
                case "hashing":
                    verdicts.extend(capture.hashing(turns))
                case "capture":
                    verdicts.extend(capture.photo(folder, max(turns, 9)))
                case "sealing":
                    verdicts.extend(sealing.throughput(folder, turns))
                case "verification":
                    verdicts.extend(verification.verification(folder, turns))
                case "guessing":
                    guessing.guessing(max(turns, 9))
                case "visit":
                    verdicts.extend(visit.visit(folder, turns))
                case "photos":
                    photos.photos()
                case "duplicates":
                    verdicts.extend(duplicates.duplicates(folder, turns))
                case "screens":
                    verdicts.extend(screens.screens(folder, turns))
            shutil.rmtree(folder)
    if verdicts:
        print(table.aims(verdicts))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed as ratios to a floor.")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"some of {', '.join(NAMES)}; all where none is named. Also {', '.join(ASKED_FOR)}",
    )
    parser.add_argument("--turns", type=int, help="turns of each side; medians are printed (3); of the console: requests of a page (200)")
    parser.add_argument("--records", type=int, default=10_000, help="records of push, pull and profile (10000)")
    parser.add_argument("--snapshot", type=int, default=100_000, help="records of the first fill (100000)")
    parser.add_argument("--large", action="store_true", help="growth and console up to 1,000,000 records instead of 200,000")
    parser.add_argument("--at", type=Path, help="console: a folder that keeps what was filled, and is used again")
    parser.add_argument("--only", default="", help="console: only pages with this in their names")
    parser.add_argument("--profile", action="store_true", help="where the time goes, instead of ratios")
    wanted = parser.parse_args()
    if unknown := [name for name in wanted.names if name not in (*NAMES, *ASKED_FOR)]:
        parser.error(f"there is no measurement {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return wanted


@contextlib.contextmanager
def _place() -> Iterator[Path]:
    """An empty folder of this run alone, on the disk of the project rather than in a /tmp that may be memory."""
    PLACE.mkdir(exist_ok=True)
    place = Path(tempfile.mkdtemp(dir=PLACE)).resolve()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        with contextlib.suppress(OSError):  # another run is in there
            PLACE.rmdir()


if __name__ == "__main__":
    main()
