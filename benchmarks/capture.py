"""Taking evidence in: hashing against hashlib alone; a photo of twelve megapixels against writing it, and decoding it.

    hashing      floor: hashlib's SHA-256 of the same bytes.  Ours: SHA-256 and chunk tree; SM3 apart
    saved        floor: the same bytes written to a file, fsync.  Ours: `capture` until it says "saved": encrypted,
                 hashed, fsynced, headers read, evidence recorded, chained and signed in an encrypted database, committed
    derivatives  floor: Pillow decodes the photo once, whole.  Ours: thumbnail, preview, watermarked copy, drawn in the worker,
                 stored encrypted with fsync, recorded and signed

The worker is warm for `derivatives`, as it is after the first photo of a visit; `first photo` includes its start.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw

from benchmarks.meter import expect
from benchmarks.table import Aim, Verdict, spread_of, times
from custody.digests import CHUNK, digests_of, sm3_of
from custody.pictures.workshop import Workshop
from field_client.evidence.capture import Captured, capture
from field_client.platform.desktop import desktop
from field_client.platform.files import EncryptedFiles
from field_client.tablet import Tablet
from field_client.work import inspecting

HASHED = 256 << 20
AREA = "430102001001"
HASHING = Aim("SHA-256 and chunk tree against SHA-256 alone", 2.1, 0.1)
SAVED_S, DERIVED_S = 0.1, 0.4
"""What a person waits for: until "saved", and until all pictures are there."""


def hashing(turns: int) -> list[Verdict]:
    """Digests of 256 MiB in memory."""
    content = secrets.token_bytes(HASHED)
    floor, ours, slow = [], [], []
    for _ in range(turns):
        floor.append(_seconds(lambda: _sha256(content)))
        ours.append(_seconds(lambda: digests_of(io.BytesIO(content))))
        slow.append(_seconds(lambda: sm3_of(io.BytesIO(content))))
    print(times(f"hashing {HASHED >> 20} MiB", [("SHA-256", floor), ("SHA-256 + tree", ours), ("SM3", slow)]))
    rate = HASHED / statistics.median(ours) / 1e6
    print(f"  SHA-256 + tree at {rate:.0f} MB/s, {spread_of(ours, floor)}", end="\n\n")
    return [Verdict(HASHING, statistics.median(a / b for a, b in zip(ours, floor, strict=True)))]


def photo(folder: Path, turns: int) -> list[Verdict]:
    """One photo of twelve megapixels after another, each another one, into an inspection."""
    shop = Workshop()
    tablet = _tablet(folder / "home", shop)
    inspection = _inspection(tablet)
    written, saved, decoded, derived = [], [], [], []
    first = 0.0
    for turn in range(turns + 1):
        content = twelve_megapixels(turn)
        on_disk = _seconds(lambda content=content, turn=turn: _write(folder / f"floor-{turn}", content))  # type: ignore[misc]
        whole = _seconds(lambda content=content: Image.open(io.BytesIO(content)).load())  # type: ignore[misc]
        moment: list[float] = []

        def told(made: Captured, moment: list[float] = moment) -> None:
            moment.append(time.perf_counter())

        started = time.perf_counter()
        made = capture(tablet, inspection, io.BytesIO(content), saved=told, name="IMG.jpg")
        ended = time.perf_counter()
        expect(made.watermark is not None and made.sha256, hashlib.sha256(content).hexdigest(), "the photo")
        if turn == 0:  # the worker starts
            first = ended - started
            size = len(content)
            continue
        written.append(on_disk)
        decoded.append(whole)
        saved.append(moment[0] - started)
        derived.append(ended - moment[0])
    title = f"a photo of 12 megapixels, {size / 1e6:.1f} MB"
    print(times(f"{title}: saved and safe", [("write + fsync", written), ("saved", saved)]))
    print(f"  {spread_of(saved, written)}", end="\n\n")
    print(times(f"{title}: thumbnail, preview, watermark", [("one decode", decoded), ("derivatives", derived)]))
    print(f"  {spread_of(derived, decoded)}; first photo of a program, all of it: {first:.3f} s", end="\n\n")
    tablet.close()
    shop.close()
    return [
        Verdict(Aim(f"photo saved, seconds of {SAVED_S}", 1.0), statistics.median(saved) / SAVED_S),
        Verdict(Aim(f"photo with all pictures, seconds of {DERIVED_S}", 1.0), _together(saved, derived) / DERIVED_S),
    ]


def twelve_megapixels(seed: int) -> bytes:
    """A photo as large in pixels and bytes as one of a telephone: surfaces, edges, letters and the grain of a sensor."""
    chance = Random(seed)
    picture = Image.effect_noise((2000, 1500), 34).convert("RGB").resize((4000, 3000))
    surface = Image.new("RGB", (4000, 3000))
    pen = ImageDraw.Draw(surface)
    for _ in range(120):
        x, y = chance.randrange(4000), chance.randrange(3000)
        colour = chance.randrange(256), chance.randrange(256), chance.randrange(256)
        pen.rectangle((x, y, x + chance.randrange(900), y + chance.randrange(700)), fill=colour)
    out = io.BytesIO()
    Image.blend(picture, surface, 0.6).save(out, "JPEG", quality=93)
    return out.getvalue()


def _together(saved: list[float], derived: list[float]) -> float:
    return statistics.median(a + b for a, b in zip(saved, derived, strict=True))


def _sha256(content: bytes) -> str:
    """In the pieces in which a file is read."""
    digest, stream = hashlib.sha256(), io.BytesIO(content)
    while piece := stream.read(CHUNK):
        digest.update(piece)
    return digest.hexdigest()


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _tablet(home: Path, shop: Workshop) -> Tablet:
    key = secrets.token_bytes(32)
    platform = desktop()._replace(pictures=shop)
    files = EncryptedFiles(home / "blobs", secrets.token_bytes(32))
    return Tablet.create(home, key, secrets.token_bytes(32), files, platform=platform)


def _inspection(tablet: Tablet) -> str:
    officer = {"name": "罗雨", "certificate_number": "43010200123", "area": AREA}
    place = {"name": "岳麓区学雅口才培训中心", "area": AREA, "address": "麓山南路 932 号"}
    at = tablet.write("institution", None, place).record
    return inspecting.start(tablet, at, "patrol", [tablet.write("officer", None, officer).record])
