"""Whether the line that this device uses now is billed by volume, as far as the system tells.

NetworkManager knows: somebody said so of the connection, or it guesses, from a modem or from what a telephone that shares its
line says. It is asked through `nmcli` about the device that the default route leads through. Its guess counts as its word.

Windows knows too, through an interface that could not be tried; Android's Termux has none. There nothing is told, and the person's
own choice is all there is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

ROUTES = Path("/proc/net/route")
PATIENCE_S = 3.0
_DEFAULT = "00000000"
_UP = 0x1
_DEVICE = re.compile(r"[\w.:@-]{1,32}\Z")


def metered(routes: Path = ROUTES) -> bool | None:
    """Whether bytes are dear now; None where nobody can tell. Takes some hundredths of a second."""
    device, program = _way_out(routes), shutil.which("nmcli")
    if device is None or program is None:
        return None
    try:
        said = subprocess.run(
            [program, "-g", "GENERAL.METERED", "device", "show", device],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
            env={**os.environ, "LC_ALL": "C", "LANGUAGE": "C"},  # else it answers in the person's language
            check=True,
            text=True,
            errors="replace",
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return {"yes": True, "no": False}.get(said.strip().partition(" ")[0])


def _way_out(routes: Path) -> str | None:
    """The device of the default route; of several the one that the system prefers (the lowest metric)."""
    found: list[tuple[int, str]] = []
    try:
        for line in routes.read_text("ascii").splitlines()[1:]:
            device, destination, _, flags, _, _, metric, mask, *_ = line.split()
            if destination == mask == _DEFAULT and int(flags, 16) & _UP and _DEVICE.match(device):
                found.append((int(metric), device))
    except (OSError, ValueError):
        return None
    return min(found)[1] if found else None
