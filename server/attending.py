"""What a running server does on the side, so that no request waits for it: asking time
stamping authorities and witnesses about what the log grew by, and computing digests of the files that came.
stamping authorities and witnesses about what the log grew by, comparing institutions that came in.

A thread in each worker; a file lock lets one of them work. What fails is told in the program's log once, and tried again
after a pause that grows. Nothing depends on it: what was not cosigned yet is told by `witness status` and by tablets.
"""

from __future__ import annotations

import fcntl
import logging
import threading
from collections.abc import Callable

from server.instance import Instance
from server.merging import duplicates
from server.proofs import digesting, stamping, witnesses
from sync.core.errors import Problem

logger = logging.getLogger("patrolbook.server")

LOOK_S = 5.0
"""How often it looks whether a log has grown: so old is the youngest checkpoint that witnesses have not been asked about."""
LONGEST_S = 600.0
"""The longest pause after failures."""

Round = Callable[[Instance], list[Problem]]


def cosigning(house: Instance) -> list[Problem]:
    """Ask every witness about every log that grew since it cosigned; returns what went wrong."""
    return [one.problem for one in witnesses.ask(house, all=False) if one.problem is not None]


def stamping_due(house: Instance) -> list[Problem]:
    """Have checkpoints stamped whose time has come; returns what went wrong."""
    return [one.problem for one in stamping.stamp(house, all=False) if one.problem is not None]


def comparing(house: Instance) -> list[Problem]:
    """Compute the digests of files that came, which their records are compared with; returns what went wrong."""
    return digesting.catch_up(house, seconds=digesting.ROUND_S).problems


def likening(house: Instance) -> list[Problem]:
    """Compare institutions that changed with all others."""
    duplicates.catch_up(house)
    return []


ROUNDS: tuple[Round, ...] = (stamping_due, cosigning, comparing, likening)


class Attendant:
    """Does the rounds until it is stopped. `start` returns at once."""

    def __init__(self, house: Instance, rounds: tuple[Round, ...] = ROUNDS, look_s: float = LOOK_S) -> None:
        self._house, self._rounds, self._look_s = house, rounds, look_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="attendant", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after what is under way; does not wait for it."""
        self._stopped.set()

    def _run(self) -> None:
        lock = self._house.settings.data / "attending.lock"
        while not self._stopped.wait(self._look_s):
            with open(lock, "w") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue  # another worker does it; should that one end, this one takes over
                self._attend()

    def _attend(self) -> None:
        waits = dict.fromkeys(self._rounds, 0.0)
        failures = dict.fromkeys(self._rounds, 0)
        while not self._stopped.wait(self._look_s):
            for one in self._rounds:
                waits[one] -= self._look_s
                if waits[one] > 0:
                    continue
                failures[one] = failures[one] + 1 if self._fails(one, failures[one]) else 0
                waits[one] = min(self._look_s * 2 ** min(failures[one], 20), LONGEST_S) if failures[one] else 0.0

    def _fails(self, one: Round, before: int) -> bool:
        """Do a round; whether it failed. The first failure of a row is told."""
        try:
            problems = one(self._house)
        except Problem as problem:
            problems = [problem]
        except Exception:  # a mistake of ours must not end the thread: the next round may do better
            logger.exception("%s", one.__name__)
            return True
        if problems and not before:
            for found in problems:
                logger.warning("%s: %s", one.__name__, found.text("en"))
        return bool(problems)
