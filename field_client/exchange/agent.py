"""Background rounds: when, and how soon again. What goes first within a round is the engine's business.

    something was written      a round at once
    nothing to do              a round after a minute or so, never at the same moment as everybody else; later and later, up to
                               five minutes, while nothing comes or goes: each round wakes the radio
    a metered line             the same, without large files
    no answer, a busy server   back-off with jitter, no sooner than the server asked for
    a contradicting log        the agent stops and says so; nobody but a person can know what is behind it

`plan` decides, and is pure; `Agent` sleeps and calls. Sleep, time and chance are given to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from field_client.tablet import Until
from sync.core import retry
from sync.core.errors import LogInconsistent, Problem, Unavailable, UntrustedNote
from sync.replicator import Progress, RoundReport

IDLE_S = 60.0
"""How long an idle tablet waits on average before it looks again; half of it to one and a half, by chance."""
MOST_QUIET = 5
"""How many times as long it waits at most, after as many rounds in which nothing came or went."""
LOOK_S = 5.0
"""How often a waiting agent looks whether another program wrote. Who writes in this one ends its sleep."""
ODDITY_S = 900.0
"""The least wait after a refusal that waiting alone will not mend, such as a revoked device."""


class Plan(NamedTuple):
    """Wait so many seconds before the next round, or less if somebody writes and that helps; or `stop`."""

    wait_s: float
    until_written: bool = True
    stop: bool = False


def plan(problem: Problem | None, failures: int, chance: float, quiet: int = 1) -> Plan:
    """What to do after a round that ended with `problem`, the `failures`-th in a row; `chance` is from 0 to 1.

    `quiet`: rounds in a row in which nothing came or went.
    """
    match problem:
        case None:
            return Plan(IDLE_S * min(max(quiet, 1), MOST_QUIET) * (0.5 + chance))
        case LogInconsistent() | UntrustedNote():
            return Plan(0.0, stop=True)
        case Unavailable():
            # Writing more brings neither the network back nor a busy server to rest.
            return Plan(retry.wait_s(failures, chance, problem.retry_after), until_written=False)
        case _:
            return Plan(ODDITY_S * (1 + chance), until_written=False)


class Syncing(Protocol):
    """What the agent needs of a tablet."""

    def sync(
        self, progress: Callable[[Progress], None] | None = None, until: Until = ..., stop: Callable[[], bool] = ...
    ) -> RoundReport: ...

    def queued(self) -> int: ...


class Agent:
    """Keeps a tablet synchronised until `stop` says so.

    sleep    for so many seconds; may return early, as when somebody writes
    now      seconds that never go back
    chance   a random number from 0 to 1
    metered  whether bytes are dear now: then large files wait
    look_s   how often to look whether another program wrote
    prepare  called before each round, to do what is owed to evidence that was captured since
    tell     called with the report of each round; `progress` within it
    """

    def __init__(
        self,
        tablet: Syncing,
        *,
        sleep: Callable[[float], None],
        now: Callable[[], float],
        chance: Callable[[], float],
        stop: Callable[[], bool] = lambda: False,
        metered: Callable[[], bool] = lambda: False,
        look_s: float = LOOK_S,
        prepare: Callable[[], None] = lambda: None,
        tell: Callable[[RoundReport], None] = lambda report: None,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.tablet = tablet
        self._sleep = sleep
        self._now = now
        self._look_s = look_s
        self._chance = chance
        self._stop = stop
        self._metered = metered
        self._prepare = prepare
        self._tell = tell
        self._progress = progress

    def run(self) -> RoundReport | None:
        """Round after round, beginning at once; returns the last report when it is told to stop or has to."""
        report: RoundReport | None = None
        failures = quiet = 0
        while not self._stop():
            self._prepare()
            report = self.tablet.sync(self._progress, "previews" if self._metered() else "everything", self._stop)
            failures = failures + 1 if report.problem is not None else 0
            quiet = 0 if report.problem is not None or _moved(report) else quiet + 1
            self._tell(report)
            step = plan(report.problem, failures, self._chance(), quiet)
            if step.stop:
                break
            self._rest(step)
        return report

    def _rest(self, step: Plan) -> None:
        end = self._now() + step.wait_s
        while (left := end - self._now()) > 0 and not self._stop() and not (step.until_written and self.tablet.queued()):
            self._sleep(min(self._look_s, left))


def _moved(report: RoundReport) -> bool:
    """Whether anything came or went."""
    return bool(report.pulled or report.removed or report.pushed.total() or report.blobs)
