"""`make fuzz`: every parser of `parsers.py` for a while, with bent inputs and, where it is installed, with atheris.

make fuzz                              20 seconds each, a new seed
make fuzz ARGS="note exif --seconds 300 --seed 7"
make fuzz ARGS="--again .fuzz/note.3f2a71bc90de"      what broke it, once more, with the traceback
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import resource
import secrets
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from tests.fuzz.parsers import PARSERS, Parser
from tests.fuzz.running import PLACE, Ran, run, tried

MEMORY = 2 << 30


def main() -> int:
    wanted = _arguments()
    if wanted.again:
        return _again(wanted.again)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
    guided = importlib.util.find_spec("atheris") is not None
    kind = "bent inputs, then atheris" if guided else "bent inputs only: atheris is not installed"
    print(f"fuzz: seed {wanted.seed}, {wanted.seconds} s for each parser and engine; {kind}\n", flush=True)
    print(f"{'parser':<15}{'bent':>12}{'read':>10}{'seconds':>9}{'guided':>12}{'edges':>8}{'seconds':>9}")
    total, broken = 0, []
    for parser in PARSERS:
        if wanted.parsers and parser.name not in wanted.parsers:
            continue
        bent = run(parser, wanted.seed, seconds=wanted.seconds)
        line = f"{parser.name:<15}{bent.inputs:>12,}{bent.values:>10,}{bent.seconds:>9.1f}"
        led, edges = _guided(parser, wanted.seed, wanted.seconds) if guided else (Ran(0, 0, 0.0), 0)
        print(line + (f"{led.inputs:>12,}{edges:>8,}{led.seconds:>9.1f}" if guided else ""), flush=True)
        total += bent.inputs + led.inputs
        for file in (*bent.broken, *led.broken):
            broken.append(file)
            print(f"  BROKEN: make fuzz ARGS='--again {file}'", flush=True)
    print(f"\nfuzz: {total:,} inputs, {len(broken)} of them broke a parser")
    return 1 if broken else 0


def _guided(parser: Parser, seed: int, seconds: int) -> tuple[Ran, int]:
    PLACE.mkdir(exist_ok=True)
    before = set(PLACE.iterdir())
    with tempfile.TemporaryDirectory() as corpus:
        for content in parser.seeds():
            (Path(corpus) / sha256(content).hexdigest()[:16]).write_bytes(content)
        words = [parser.name, corpus, str(PLACE), str(seed % 2**31), str(seconds)]
        command = [sys.executable, "-m", "tests.fuzz.guided", *words]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    count = re.search(r"number_of_executed_units: *(\d+)", done.stderr)
    took = re.search(r"in (\d+) second", done.stderr)
    edges = re.findall(r"\bcov: (\d+)", done.stderr)
    broken = tuple(sorted(set(PLACE.iterdir()) - before))
    if done.returncode and not broken:
        raise RuntimeError(f"atheris ended with {done.returncode}:\n{done.stderr[-2000:]}")
    ran = Ran(int(count[1]) if count else 0, 0, float(took[1]) if took else 0.0, broken)
    return ran, int(edges[-1]) if edges else 0


def _again(file: Path) -> int:
    parser = next(one for one in PARSERS if one.name.replace(" ", "-") == file.name.split(".")[0])
    print(f"{parser.name}: {'read' if tried(parser, file.read_bytes(), 60) else 'refused with a problem'}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Inputs that strangers might send, by the million.")
    parser.add_argument(
        "parsers", nargs="*", metavar="PARSER", help=f"some of {', '.join(one.name for one in PARSERS)}"
    )
    parser.add_argument("--seconds", type=int, default=20, help="for each parser and engine (20)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="for the same inputs again")
    parser.add_argument("--again", type=Path, metavar="FILE", help="try one input again")
    wanted = parser.parse_args()
    if unknown := set(wanted.parsers) - {one.name for one in PARSERS}:
        parser.error(f"there is no parser {', '.join(sorted(unknown))}")
    return wanted


if __name__ == "__main__":
    sys.exit(main())
