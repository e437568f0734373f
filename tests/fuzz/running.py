"""Giving a parser one input after the other, each bounded in time, and keeping what broke it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import chain
from pathlib import Path
from random import Random
from typing import NamedTuple

from sync.core.errors import Problem
from tests.fuzz.mutations import bent
from tests.fuzz.parsers import SECONDS, Parser

PLACE = Path(".fuzz")


class Hang(BaseException):
    """No answer in time. Not an Exception, so that nothing in between takes it for its own."""


class Ran(NamedTuple):
    """How many inputs a parser got, how many of them it read, in how many seconds, and what broke it."""

    inputs: int
    values: int
    seconds: float
    broken: tuple[Path, ...] = ()


def tried(parser: Parser, content: bytes, seconds: float = SECONDS) -> bool:
    """Whether the parser could read it; raises whatever is neither a value nor a problem of ours."""
    with _bounded(seconds):
        try:
            parser.read(content)
        except Problem as problem:
            if not problem.text("zh") or not problem.text("en"):
                raise AssertionError("a problem says what it is") from problem
            return False
    return True


def run(parser: Parser, seed: int, *, inputs: int = 1 << 40, seconds: float = 1e9, place: Path = PLACE) -> Ran:
    """The seeds as they are, and then bent ones, until there were so many inputs or seconds."""
    given = _inputs(parser, seed)
    first = next(given)  # making the seeds takes a while and is not counted
    begun, count, values = time.monotonic(), 0, 0
    for content in chain((first,), given):
        if count >= inputs or time.monotonic() - begun > seconds:
            break
        count += 1
        try:
            values += tried(parser, content)
        except (Exception, Hang) as error:
            return Ran(count, values, time.monotonic() - begun, (kept(parser, content, error, place),))
    return Ran(count, values, time.monotonic() - begun)


def kept(parser: Parser, content: bytes, error: BaseException, place: Path = PLACE) -> Path:
    """A file with the input, to be tried again."""
    place.mkdir(exist_ok=True, parents=True)
    file = place / f"{parser.name.replace(' ', '-')}.{sha256(content).hexdigest()[:12]}"
    file.write_bytes(content)
    file.with_suffix(file.suffix + ".txt").write_text(f"{type(error).__name__}: {error}\n")
    return file


def _inputs(parser: Parser, seed: int) -> Iterator[bytes]:
    chance, seeds = Random(f"{parser.name} {seed}"), parser.seeds()
    yield from seeds
    pool, longest = list(seeds), 2 * max(map(len, seeds))
    while True:
        content = bent(chance.choice(pool), chance, seeds)
        if chance.random() < 0.05 and len(content) <= longest:  # bent ones are bent further
            pool[len(seeds) :] = [*pool[len(seeds) :][-50:], content]
        yield content


@contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """Seconds of the processor: on a busy machine the wall's would blame a parser for its neighbours."""

    def stop(*_: object) -> None:
        raise Hang(f"no answer within {seconds} s of the processor")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
