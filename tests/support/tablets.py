"""Tablets for tests: a real encrypted store in a folder, with the blob files that the program uses."""

from __future__ import annotations

from pathlib import Path

from field_client.exchange.rescue import BLOBS
from field_client.platform.files import EncryptedFiles
from field_client.platform.keys import Secrets
from field_client.tablet import Tablet

SECRETS = Secrets(bytes(range(32)), bytes(range(32, 64)))
AREA = "430102001001"


def tablet_in(home: Path, secrets: Secrets = SECRETS) -> Tablet:
    """The tablet in a folder, new where there is none."""
    files = EncryptedFiles(home / BLOBS, secrets.derived(BLOBS))
    make = Tablet.open if (home / "patrolbook.db").exists() else Tablet.create
    return make(home, secrets.database_key, secrets.seed, files)


def institution(tablet: Tablet, name: str = "学雅口才培训中心", **values: object) -> str:
    """An institution that somebody wrote here; its id."""
    return tablet.write("institution", None, {"name": name, "area": AREA, **values}).record


def hazard(tablet: Tablet, description: str = "疏散通道堆放杂物") -> str:
    """A hazard that somebody wrote here; its id."""
    values = {"description": description, "area": AREA, "status": "open", "grade": "general"}
    return tablet.write("hazard", None, values).record
