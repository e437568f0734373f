"""Background rounds of one place, and what the pages tell of them.

`agent.py` decides when. Rounds begin with unlocking, end with locking, and stop at a part boundary where a person pauses
them. What a round is doing is kept here as plain values that any thread may read.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from field_client.evidence import covert, tidying
from field_client.exchange.agent import Agent
from field_client.holding import renewal, revocation
from field_client.platform.keys import Secrets, Vault
from field_client.tablet import Tablet
from field_client.ui import preferences
from field_client.work.agenda import News
from field_client.work.search import Search
from field_client.work.telling import INDEXING, OWED, PHASES, prepare
from schemas.labels import Label
from sync.core.errors import DeviceRevoked, Problem, Unavailable
from sync.replicator import Progress, RoundReport

JOIN_S = 5.0
LOOK_S = 30.0
"""How often waiting rounds look whether the command line wrote. Whoever writes on the screens rings (`written`)."""


class Stop(Protocol):
    """See `field_client.platform.background.Stop`."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


class Task(Protocol):
    """See `field_client.platform.background.Task`."""

    @property
    def alive(self) -> bool: ...

    def stop(self) -> None: ...

    def ring(self) -> None: ...

    def join(self, seconds: float | None = None) -> None: ...


Spawn = Callable[[Callable[[Stop], None], Any], Task]
"""Does work beside the screens: (work, the task that it waits for or None) → the task."""


class Doing(NamedTuple):
    """What a round is at: `done` of `total`, 0 where nobody knows; `sent` and `received` bytes."""

    phase: Label
    done: int = 0
    total: int = 0
    sent: int = 0
    received: int = 0


class Last(NamedTuple):
    """How the last round ended, and when by the wall clock (milliseconds since 1970)."""

    at_ms: int
    pulled: int
    pushed: int
    blobs: int
    complete: bool
    problem: Problem | None


class Rounds:
    """The rounds of the tablet in `home`."""

    def __init__(self, home: Path, spawn: Spawn) -> None:
        self._home, self._spawn = home, spawn
        self._task: Task | None = None
        self._begin: Callable[[], None] = lambda: None
        self.doing: Doing | None = None
        self.last: Last | None = None
        self.metered: bool | None = None
        """What the device said of its line before the newest round."""
        self.rounds = 0
        """How many rounds ended since the program was started."""

    @property
    def alive(self) -> bool:
        """Whether rounds go on by themselves."""
        return self._task is not None and self._task.alive

    def start(
        self, tablet: Tablet, vault: Vault, secrets: Secrets, held: Callable[[], bool], *, once: bool = False
    ) -> None:
        """Begin a round now, and go on unless `once`; those under way end first. `held`: whether it is still unlocked."""

        def begin() -> None:
            before = self._task
            if before is not None:
                before.stop()
            self._task = self._spawn(lambda stop: self._work(stop, tablet, vault, secrets, held, once), before)

        self._begin = begin
        begin()

    def again(self) -> None:
        """A round now; does nothing where none were begun."""
        self._begin()

    def written(self) -> None:
        """Somebody may have written something here: who waits for that looks now."""
        if self._task is not None:
            self._task.ring()

    def stop(self) -> None:
        """End at the next part boundary."""
        self._begin = lambda: None
        if self._task is not None:
            self._task.stop()

    def join(self, seconds: float = JOIN_S) -> None:
        if self._task is not None:
            self._task.join(seconds)

    # ---- in the thread -------------------------------------------------------------------------------------

    def _work(
        self, stop: Stop, mother: Tablet, vault: Vault, secrets: Secrets, held: Callable[[], bool], once: bool
    ) -> None:
        tablet = mother.another()
        try:
            if tablet.identity is None:
                return
            self._run(stop, tablet, vault, secrets, held, once)
        except Problem as problem:
            self._ended(tablet, None, problem)
        finally:
            self.doing = None
            tablet.close()

    def _run(
        self, stop: Stop, tablet: Tablet, vault: Vault, secrets: Secrets, held: Callable[[], bool], once: bool
    ) -> None:
        enough = False
        listening = not tablet.store.standing().fresh
        if listening:
            News(tablet).listen()

        def over() -> bool:
            return enough or stop.is_set() or not held()

        def tell(report: RoundReport) -> None:
            nonlocal listening, enough
            if not listening and report.problem is None and not report.stopped:
                News(tablet).listen()
                listening = True
            self._index(tablet, over)
            if report.problem is None and not report.stopped:
                if renewal.is_due(vault):
                    _renew(tablet, vault, secrets)
                if covert.is_covert(tablet):  # they cannot use it here; the rest is a person's to remove
                    with suppress(Problem):
                        tidying.tidy(tablet, ["sealed"], stop=over)
            elif isinstance(report.problem, DeviceRevoked):
                with suppress(Problem):  # without a good proof nothing is destroyed; the page says what the server said
                    revocation.hand_in(tablet, vault, report.problem)
            self._ended(tablet, report, report.problem)
            enough = once

        def owed(done: int, total: int) -> None:
            self.doing = Doing(OWED, done, total)

        Agent(
            tablet,
            sleep=lambda seconds: _rest(stop, seconds),
            now=tablet.platform.around.monotonic,
            chance=random.SystemRandom().random,
            look_s=LOOK_S,
            stop=over,
            metered=lambda: self._dear(tablet),
            prepare=lambda: _prepare(tablet, owed),
            tell=tell,
            progress=self._progress,
        ).run()

    def _dear(self, tablet: Tablet) -> bool:
        """Asked before each round: the line may be another one by now."""
        self.metered = tablet.platform.metered()
        return preferences.read(self._home).dear(self.metered)

    def _progress(self, progress: Progress) -> None:
        self.doing = Doing(
            PHASES[progress.phase], progress.done, progress.total, progress.sent, progress.received
        )

    def _index(self, tablet: Tablet, over: Callable[[], bool]) -> None:
        """Bring the search up to date with what came in: a person who searches does not wait for it."""
        search = Search(tablet.store)
        behind = left = search.behind()
        while left and not over():
            self.doing = Doing(INDEXING, behind - left, behind)
            left = search.catch_up()

    def _ended(self, tablet: Tablet, report: RoundReport | None, problem: Problem | None) -> None:
        self.doing = None
        self.rounds += 1
        now = tablet.store.clock.wall_ms()
        if report is None:
            self.last = Last(now, 0, 0, 0, False, problem)
        elif not report.stopped:
            self.last = Last(now, report.pulled, report.pushed.total(), report.blobs, report.complete, problem)


def _prepare(tablet: Tablet, progress: Callable[[int, int], None]) -> None:
    """What waits in the drop box, and what is owed to photos, go with the round."""
    covert.settle(tablet)
    prepare(tablet, progress)


def _renew(tablet: Tablet, vault: Vault, secrets: Secrets) -> None:
    """Renew the lease; where that fails the round was no worse for it, and the lock screen warns in time."""
    try:
        renewal.after_round(tablet, vault, secrets)
    except Unavailable:
        return


def _rest(stop: Stop, seconds: float) -> None:
    stop.wait(seconds)
