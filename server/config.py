"""Settings of the server: where its data lies and the limits that it tells tablets.

Only the edge (the command line, the gunicorn worker) reads the environment; everything else is handed a `Settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sync.core.batches import MAX_COUNT
from sync.core.change import LARGEST_CHANGE

MIB = 1 << 20
DATA = "PATROLBOOK_DATA"
LANGUAGE = "PATROLBOOK_LANG"


@dataclass(frozen=True)
class Settings:
    """Sizes are bytes, times milliseconds. The defaults suit one county on one machine."""

    data: Path
    body_bytes: int = 16 * MIB
    """Largest request body as sent, and so the largest part."""
    json_bytes: int = 8 * MIB
    """Largest request body of a JSON verb once inflated."""
    push_changes: int = MAX_COUNT
    push_bytes: int = 7 * MIB
    """Changes in one push: below `json_bytes`, which also covers the line of signatures."""
    change_bytes: int = LARGEST_CHANGE
    pull_bytes: int = 4 * MIB
    """Longest page of a pull before compression; a page is built in memory."""
    blob_bytes: int = 64 << 30
    clock_ms: int = 5 * 60_000
    """How far the time in a signed request may be from the server's."""
    code_ms: int = 24 * 3_600_000
    """How long an enrolment code is good for."""
    upload_ms: int = 30 * 86_400_000
    """How long an unfinished upload is kept after its last part."""

    @property
    def database_file(self) -> Path:
        return self.data / "patrolbook.db"

    @property
    def nonces_file(self) -> Path:
        return self.data / "nonces.db"

    @property
    def blobs(self) -> Path:
        return self.data / "blobs"

    @property
    def uploads(self) -> Path:
        return self.data / "uploads"

    @property
    def derived(self) -> Path:
        """Thumbnails: a cache that may be deleted at any time."""
        return self.data / "derived"

    @property
    def photo_index(self) -> Path:
        """Finds photos that look alike: made again from the prints when it is gone."""
        return self.data / "photos.db"

    @property
    def text_index(self) -> Path:
        """Finds records by what is written in them: made again from the records when it is gone."""
        return self.data / "texts.db"

    @property
    def tiles(self) -> Path:
        """A map of one's own as pictures (MBTiles), if there is one."""
        return self.data / "map" / "tiles.mbtiles"

    @property
    def outlines(self) -> Path:
        """Outlines of areas as GeoJSON, if there are any."""
        return self.data / "map" / "outlines.geojson"

    @property
    def snapshots(self) -> Path:
        return self.data / "snapshots"

    @property
    def keys(self) -> Path:
        return self.data / "keys"

    @property
    def epoch_file(self) -> Path:
        """Outside the database: restoring an old database must not bring its old epoch back."""
        return self.data / "epoch"


def from_env(environ: Mapping[str, str]) -> Settings:
    """Settings from the environment; `PATROLBOOK_DATA` names the data folder, `./data` without it."""
    return Settings(data=Path(environ.get(DATA) or "data").expanduser().resolve())
