"""The places at this tablet: one home for each inspector, and one for practice. One place is in use at a time.

    <home>              the first inspector's
    <home>/people/<n>   another one's: an own PIN, own enrolment, own drafts and an own database
    <home>/practice     made-up data; its platform has no way to any server

While a place is unlocked its keys are held in memory only, for all threads, and end as sessions of the command line do:
after some idle minutes, after a working day, with `patrolbook lock`; also where no request comes any more, for a thread
looks after them. A page that only looks how far something is (`peek`) does not count as a use. Another program watches
over the lease, which outlives this one (`platform.guard`).
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from field_client.evidence import covert
from field_client.holding import opening, revocation
from field_client.holding.revocation import Revoked
from field_client.platform import Line, Platform
from field_client.platform.files import make_folder
from field_client.platform.guard import LOOK_S
from field_client.platform.keys import COVERT_IDLE_S, IDLE_S, Secrets, Vault
from field_client.platform.readings import Reading
from field_client.platform.sessions import Open, over
from field_client.platform.wrapping import USUAL, Cost
from field_client.tablet import PRACTICE as NO_SERVER
from field_client.tablet import Tablet
from field_client.ui import preferences
from field_client.ui.rounds import Rounds, Spawn, Stop, Task
from schemas.labels import Label
from sync.core.errors import Locked, Refused
from sync.peer import Peer

PEOPLE, PRACTICE = "people", "practice"
MOST_PEOPLE = 12
_NAMED = re.compile("[0-9]{1,3}")

Watch = Callable[[Path, Path | None], None]
"""Begins to watch over a home and its runtime folder: `platform.guard.start`."""


class Held(NamedTuple):
    """An unlocked place: the tablet that every request opens again, the keys, and since when. `covert`: of a team."""

    tablet: Tablet
    vault: Vault
    secrets: Secrets
    since: Reading
    idle_s: float
    locks: bytes
    covert: bool


class Seat:
    """One person's place."""

    def __init__(
        self, home: Path, runtime: Path | None, platform: Platform, spawn: Spawn, *, practice: bool = False,
        cost: Cost = USUAL, watch: Watch | None = None
    ) -> None:  # fmt: skip
        self.home = home
        self.practice = practice
        self.platform = platform._replace(connect=_nowhere) if practice else platform
        self.rounds = Rounds(home, spawn)
        self._runtime, self._cost, self._spawn = runtime, cost, spawn
        self._watch = partial(watch, home, runtime) if watch is not None and not practice else None
        self._keeper: Task | None = None
        self._held: Held | None = None
        self._used: Reading | None = None

    def vault(self) -> Vault:
        """The vault as it lies on the disk; a share that has run out is removed by whoever comes first."""
        vault = Vault(self.home, runtime=self._runtime, cost=self._cost, clock=self.platform.clock)
        vault.leases.left()
        vault.sessions.look()
        revocation.resume(self.home, vault)
        return vault

    @property
    def key(self) -> str:
        """What a form calls this place."""
        return PRACTICE if self.practice else self.home.name if self.home.parent.name == PEOPLE else "0"

    @property
    def preferences(self) -> preferences.Preferences:
        return preferences.read(self.home)

    @property
    def revoked(self) -> Revoked | None:
        """What this place knows of its revocation; None where it is not revoked."""
        return revocation.standing(self.home)

    @property
    def exists(self) -> bool:
        """Whether somebody was set up here."""
        return self.vault().exists

    # ---- the keys ------------------------------------------------------------------------------------------

    def peek(self) -> Held | None:
        """The keys while the place is unlocked; this does not count as a use."""
        held, used = self._held, self._used
        if held is None or used is None:
            return None
        known = Open(held.since, used, held.idle_s, {})
        if over(known, Reading.of(self.platform.clock)) or held.vault.sessions.locks() != held.locks:
            self._forget()
            return None
        return held

    def held(self) -> Held:
        """The keys; using them keeps the place unlocked. Raises Locked."""
        held = self.peek()
        if held is None:
            raise Locked()
        self._used = Reading.of(self.platform.clock)
        return held

    def tablet(self) -> Tablet:
        """A tablet for this thread, to be closed by it. Raises Locked."""
        return self.held().tablet.another()

    def unlock(self, pin: str) -> None:
        """Open with the PIN, asking the server where the lease has run out. A revoked place opens to hand in what it has,
        and shows nothing else (`app.py`). Raises as `opening.unlock`."""
        vault = self.vault()
        keys = opening.unlock(
            self.home, vault, lambda: pin, self.platform, remember=False, handing_in=True, watch=self._watch
        )
        self.hold(vault, keys)

    def hold(self, vault: Vault, secrets: Secrets, *, new: bool = False) -> None:
        """Hold the keys of a vault that was just opened; where `new`, the database may be made."""
        opened = opening.opened(self.home, secrets, new=new, platform=self.platform)
        try:
            covert.settle(opened)
            sealed = covert.is_covert(opened)
        finally:
            opened.close()  # this thread's connection; `another` needs only the keys
        now = Reading.of(self.platform.clock)
        idle_s = COVERT_IDLE_S if sealed else IDLE_S
        self._held = Held(opened, vault, secrets, now, idle_s, vault.sessions.locks(), sealed)
        self._used = now
        if new and self._watch is not None:
            self._watch()
        self._keep()
        self.set_off()

    def _keep(self) -> None:
        """Look after the keys until their time is over, whether or not anybody asks for a page."""
        held = self._held

        def look(stop: Stop) -> None:
            while self._held is held and self.peek() is not None and not stop.wait(LOOK_S):
                pass

        if self._keeper is not None:
            self._keeper.stop()
        self._keeper = self._spawn(look, None)

    def stop(self) -> None:
        """The program ends: what goes on beside the screens is told."""
        self.rounds.stop()
        if self._keeper is not None:
            self._keeper.stop()

    def set_off(self) -> None:
        """Begin background rounds where they may: enrolled, no practice, not paused by the person."""
        held = self.peek()
        if held is not None and not self.practice and not self.preferences.paused:
            self.rounds.start(held.tablet, held.vault, held.secrets, lambda: self.peek() is not None)

    def lock(self) -> None:
        """Forget the keys, here and of the command line."""
        self.vault().lock()
        self._forget()

    def _forget(self) -> None:
        self._held = self._used = None
        self.rounds.stop()


class Seats:
    """Every place at this tablet."""

    def __init__(
        self,
        base: Path,
        runtime: Path | None,
        platform: Platform,
        spawn: Spawn,
        *,
        cost: Cost = USUAL,
        watch: Watch | None = None,
    ) -> None:
        self.base = base
        self._make: Callable[..., Seat] = lambda home, **how: Seat(
            home, runtime, platform, spawn, cost=cost, watch=watch, **how
        )
        self._first = self._make(base)
        self._practice = self._make(base / PRACTICE, practice=True)
        self._others: dict[str, Seat] = {}
        self.current = self._first

    def people(self) -> list[Seat]:
        """The places of inspectors, the first one's always among them."""
        for folder in sorted((self.base / PEOPLE).glob("*")):
            if _NAMED.fullmatch(folder.name) and folder.name not in self._others:
                self._others[folder.name] = self._make(folder)
        return [self._first, *(self._others[name] for name in sorted(self._others, key=int))]

    @property
    def practice(self) -> Seat:
        return self._practice

    def seat(self, key: str) -> Seat:
        """A place by what a form calls it; the first one's for anything unknown."""
        found = {one.key: one for one in (*self.people(), self._practice)}
        return found.get(key, self._first)

    def sit(self, seat: Seat) -> None:
        """Go to another place; the one that is left is locked, so that nobody works under somebody else's name."""
        if seat is not self.current and self.current.peek() is not None:
            self.current.lock()
        self.current = seat

    def add(self) -> Seat:
        """A place for one more inspector. Raises Refused where there are too many."""
        known = self.people()
        for one in known:
            if not one.exists:
                return one
        if len(known) >= MOST_PEOPLE:
            raise Refused(detail=Label(f"一台平板最多 {MOST_PEOPLE} 人", f"at most {MOST_PEOPLE} people on one tablet"))
        number = str(max((int(one.key) for one in known), default=0) + 1)
        make_folder(self.base / PEOPLE / number)
        return next(one for one in self.people() if one.key == number)

    def clear_practice(self) -> Seat:
        """An empty place for practice; nothing of an earlier one is left."""
        if self._practice.peek() is not None:
            self._practice.lock()
        shutil.rmtree(self._practice.home, ignore_errors=True)
        make_folder(self._practice.home)
        return self._practice

    def close(self) -> None:
        """The program ends: background work is told, and waited for a little."""
        places = [*self.people(), self._practice]
        for seat in places:
            seat.stop()
        end = time.monotonic() + 5
        for seat in places:
            seat.rounds.join(max(0.0, end - time.monotonic()))


def _nowhere(line: Line) -> Peer:
    raise Refused(detail=NO_SERVER)
