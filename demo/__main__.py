"""`make demo`: tells the story in two acts, a day and what its evidence is worth, and ends with exit status 0 only if everything that it promises came true."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from rich.console import Console

from demo.custody import Custody
from demo.processes import Failed
from demo.story import Story

FOLDER = Path(__file__).parents[1] / ".demo"


def main() -> int:
    wanted = argparse.ArgumentParser(prog="make demo", description=__doc__)
    wanted.add_argument("--folder", type=Path, default=FOLDER, help="where to run; photographs are kept there")
    folder = wanted.parse_args().folder
    console = Console(width=None if sys.stdout.isatty() else 120)
    began = time.monotonic()
    shutil.rmtree(folder / "run", ignore_errors=True)
    story = Story(folder / "run", folder / "cache", console)
    try:
        came_true = story.tell() and Custody(story).tell()
    except Failed as failed:
        console.print(str(failed), style="red", markup=False, highlight=False)
        came_true = False
    took = f"in {time.monotonic() - began:.0f} s"
    console.print(
        f"[green]Everything came true {took}.[/green]" if came_true else f"[red]Not everything came true {took}.[/red]"
    )
    return 0 if came_true else 1


if __name__ == "__main__":
    sys.exit(main())
