"""An unlocked tablet: the keys in a private file for as long as somebody uses it.

The file (0600) lies in memory-backed storage where the system has one (`XDG_RUNTIME_DIR`). Every use pushes its end out;
it ends after `idle_s` without one, `LONGEST_S` after the PIN at the latest, with the boot, and by `patrolbook lock`.
A file that is past its end is removed by whoever looks; `guard.py` looks when nobody else does.

`patrolbook lock` also ends programs that go on in the background: `.locked` in the home is then another one.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from field_client.platform import Clock
from field_client.platform.files import destroy_file, make_folder, replace_file
from field_client.platform.readings import Reading, elapsed_ms

LONGEST_S = 12 * 3600
"""The PIN is asked for again after this, however busy the tablet was: once a working day."""
SLACK_S = 20.0
"""A use this soon after the last one is not noted: a dozen commands in a row write the file once."""


class Open(NamedTuple):
    """An unlocked session: when the PIN was given, when it was last used, how long it may lie idle, and what it holds."""

    since: Reading
    used: Reading
    idle_s: float
    held: dict[str, str]


class Sessions:
    """The session of the tablet in `home`; `runtime` is where its file goes, the home itself where it is None."""

    def __init__(self, home: Path, runtime: Path | None, clock: Clock) -> None:
        # Several homes share one runtime folder, so the name says whose session it is.
        owner = hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:16]
        self.file = runtime / "patrolbook" / f"{owner}.session" if runtime else home / ".session"
        self._locked, self._clock = home / ".locked", clock

    def begin(self, held: Mapping[str, bytes], idle_s: float) -> None:
        """Hold these until the session ends."""
        now = Reading.of(self._clock)
        make_folder(self.file.parent)
        self._write(Open(now, now, idle_s, {name: raw.hex() for name, raw in held.items()}))

    def held(self) -> dict[str, bytes] | None:
        """What the session holds, which counts as a use; None where there is none, or where it has ended."""
        known = self._read()
        if known is None:
            return None
        now = Reading.of(self._clock)
        if over(known, now):
            self.end()
            return None
        if elapsed_ms(known.used, now) > SLACK_S * 1000:
            self._write(known._replace(used=now))
        return {name: bytes.fromhex(text) for name, text in known.held.items()}

    def is_open(self) -> bool:
        """Whether there is a session that has not ended; this does not count as a use."""
        known = self._read()
        return known is not None and not over(known, Reading.of(self._clock))

    def set_idle(self, idle_s: float) -> None:
        """End it after so many idle seconds from now on; does nothing where there is none."""
        known = self._read()
        if known is not None and known.idle_s != idle_s:
            self._write(known._replace(idle_s=idle_s))

    def end(self) -> None:
        """Forget it; there may be none."""
        destroy_file(self.file)

    def lock(self) -> None:
        """Forget it, and let programs in the background know that a person wants it so."""
        self.end()
        replace_file(self._locked, secrets.token_hex(8).encode())

    def locks(self) -> bytes:
        """Another value after each `lock`."""
        try:
            return self._locked.read_bytes()
        except FileNotFoundError:
            return b""

    def look(self) -> bool:
        """Whether there is a session; the file of one that has ended is gone afterwards. This does not count as a use."""
        known = self._read()
        if known is not None and over(known, Reading.of(self._clock)):
            self.end()
            return False
        return known is not None

    def _write(self, known: Open) -> None:
        noted = {"since": known.since._asdict(), "used": known.used._asdict(), "idle_s": known.idle_s}
        replace_file(self.file, json.dumps({**noted, "held": known.held}).encode())

    def _read(self) -> Open | None:
        try:
            handle = os.open(self.file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            return None
        with open(handle, "rb") as file:
            about = os.fstat(handle)
            foreign = hasattr(os, "getuid") and about.st_uid != os.getuid()
            if os.name != "nt" and (foreign or stat.S_IMODE(about.st_mode) & 0o077):
                return None  # somebody else could have written it or read it
            try:
                return _opened(json.load(file))
            except (ValueError, KeyError, TypeError, AttributeError):
                return None


def over(known: Open, now: Reading) -> bool:
    """Whether a session has ended: idle or open for too long, or of another boot."""
    if known.used.boot != now.boot or now.mono_ms < known.used.mono_ms:
        return True
    idle, whole = elapsed_ms(known.used, now), elapsed_ms(known.since, now)
    return idle >= known.idle_s * 1000 or whole >= LONGEST_S * 1000


def _opened(noted: dict[str, Any]) -> Open:
    held = {str(name): str(text) for name, text in noted["held"].items()}
    for text in held.values():
        bytes.fromhex(text)
    return Open(Reading.read(noted["since"]), Reading.read(noted["used"]), float(noted["idle_s"]), held)
