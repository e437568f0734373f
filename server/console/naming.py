"""Division codes in words on the pages of the console."""

from __future__ import annotations

from collections.abc import Callable

from server import divisions
from server.instance import Instance

NAMES = divisions.Names()


def placed(house: Instance) -> Callable[[str], str]:
    """What says a division code by its name, or as it is where it has none; for one page, which looks the names up once."""
    names = NAMES.all(house)
    return lambda code: divisions.full(names, code)
