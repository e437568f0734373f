"""Pictures of blobs for showing: a photo made smaller, a frame of a film, the first page of a PDF.

Each is made by a worker process that lives for this one file (`custody.pictures.workshop`), so nothing that a file does to
a decoder can reach another's. They are a cache: the original is never touched, and the folder may be deleted at any time.
"""

from __future__ import annotations

import threading
from pathlib import Path

from custody.media import examine
from custody.pictures.orders import Order
from custody.pictures.workshop import Workshop
from server.storage.files import write_new

WIDTHS = (320, 1600)
TALLEST = 4
"""Times the width: a till roll is cut to scale, not to shape."""

_AT_ONCE = threading.BoundedSemaphore(2)
_NAME = "small"


def thumbnail(source: Path, folder: Path, sha256: str, width: int) -> Path:
    """The thumbnail of a blob in the cache, made if it is not there. Raises BrokenFile where it cannot be drawn."""
    target = folder / sha256[:2] / sha256[2:4] / f"{sha256}-{width}.jpg"
    if not target.exists():
        with _AT_ONCE:
            if not target.exists():
                write_new(target, _drawn(source, sha256, width))
    return target


def looks(source: Path, sha256: str) -> bytes:
    """What a photo looks like (`custody.likeness.Seen`), told by a worker. Raises BrokenFile where it is no picture."""
    with _AT_ONCE:
        workshop = Workshop(jobs_each=1)
        try:
            with open(source, "rb") as file:
                mime, _ = examine(file)
                return bytes.fromhex(workshop.make(file, Order(mime, {}, looks=True), sha256).looks.get("seen", ""))
        finally:
            workshop.close()


def _drawn(source: Path, sha256: str, width: int) -> bytes:
    workshop = Workshop(jobs_each=1)
    try:
        with open(source, "rb") as file:
            mime, _ = examine(file)
            return workshop.make(file, Order(mime, {_NAME: (width, width * TALLEST)}), sha256).files[_NAME]
    finally:
        workshop.close()
