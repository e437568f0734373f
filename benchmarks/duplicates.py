"""Finding a copy among very many photos: 10,000, 100,000 and 1,000,000 in one run.

    look-up    from the picture as it was seen to the answer: keys asked of the index, candidates compared. No floor; the
               same look-up among fewer photos. For comparison a scan, which compares the signs of all photos with numpy
    fill       the index made from prints at once, as `photos index --rebuild` does after they were read
    insert     photos put in one at a time, each its own transaction, into the index of that size

The photos in the index are invented, but their keys are not drawn evenly: each mark is one of a real photograph with signs
turned over by chance, so that keys meet at least as often as those of real photographs do (the rate is printed; among real
ones it was 4 in 100 million). The photographs of the tests are planted in between, and their copies are what is searched for:
cropped, compressed, marked. A copy that is not found ends the run with an error.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.meter import expect
from benchmarks.table import Aim, Verdict
from custody.likeness import Print, Seen, find, look
from custody.likeness.marks import POWERS
from custody.likeness.prints import GIST_BIT, KEPT, KEY_BITS
from server.storage import migrations, tables_photos
from server.storage.database import Bulk, Database
from server.storage.photos import IndexShelf, PhotoIndex

SIZES = (10_000, 100_000, 1_000_000)
PHOTOGRAPHS = Path(__file__).parents[1] / "tests" / "photographs"
TURNED_OVER = 0.15
INSERTED = 100
AIM = Aim("look-up among 1,000,000 photos against 10,000", 3.0, 0.3)

_PRINT = np.dtype(
    [("version", "S1"), ("height", ">u2"), ("width", ">u2"), ("gist", "V30"), ("marks", [
        ("x", ">u2"), ("y", ">u2"), ("scale", ">u2"), ("signs", ">u8")], KEPT)]
)  # fmt: skip
_write_prints = Bulk(tables_photos.photo_prints, ("number", "sha256", "print", "made"))


class Copy(NamedTuple):
    """A planted photo's number, and a copy of it as it was seen."""

    number: int
    seen: Seen


def duplicates(folder: Path, turns: int, most: int = SIZES[-1]) -> list[Verdict]:
    """Look-ups, fills and inserts at each size."""
    originals = {one.stem: Image.open(one).convert("RGB") for one in sorted(PHOTOGRAPHS.glob("*.jpg"))}
    pool = np.concatenate([look(one).marks.signs for one in originals.values()])
    database = Database(folder / "patrolbook.db")
    migrations.upgrade(database)
    planted = {number: look(one).print for number, one in enumerate(originals.values(), start=1)}
    copies = [Copy(number, seen) for number, one in enumerate(originals.values(), start=1) for seen in _copies(one)]
    begun = time.perf_counter()
    keys, numbers = _invent(database, pool, planted, most)
    print(f"duplicates: {most:,} prints of 931 bytes written in {time.perf_counter() - begun:.0f} s")
    lookups: dict[int, list[list[float]]] = {size: [] for size in SIZES if size <= most}
    opened: dict[int, PhotoIndex] = {}
    print(f"{'photos':>12}{'fill s':>9}{'photos/s':>11}{'MB':>8}{'B/photo':>9}{'insert ms':>11}{'keys meet':>12}")
    for size in lookups:
        opened[size] = _filled(folder, size, keys, numbers, list(planted.values()))
    for _ in range(turns):
        for size, index in opened.items():
            lookups[size].append(_looked_up(database, index, copies))
    print(f"{'photos':>12}{'look-up ms':>12}{'ratio':>8}{'slowest ms':>12}{'scan ms':>10}")
    floor = [statistics.median(turn) for turn in lookups[SIZES[0]]]
    ratios = {}
    for size, taken in lookups.items():
        medians = [statistics.median(turn) for turn in taken]
        ratios[size] = statistics.median(a / b for a, b in zip(medians, floor, strict=True))
        scan = _scan_s(copies[0].seen, pool, size)
        slowest = max(one for turn in taken for one in turn)
        print(
            f"{size:>12,}{statistics.median(medians) * 1e3:>12.1f}{ratios[size]:>8.2f}{slowest * 1e3:>12.1f}{scan * 1e3:>10.0f}"
        )
    print(
        f"  all {len(copies)} copies of {len(planted)} planted photographs found in each turn at each size", end="\n\n"
    )
    for index in opened.values():
        index.close()
    database.close()
    return [Verdict(AIM, ratios[most])] if most == SIZES[-1] else []


def _copies(picture: Image.Image) -> Iterator[Seen]:
    width, height = picture.size
    part = picture.crop((width // 6, height // 6, width, height))  # 31 % cut off
    marked = picture.copy()
    marked.paste("black", (0, round(height * 0.85), width, height))
    for one, quality in ((picture, 40), (part, 70), (marked, 70), (picture.resize((width // 3, height // 3)), 80)):
        file = io.BytesIO()
        one.save(file, "JPEG", quality=quality)
        yield look(Image.open(io.BytesIO(file.getvalue())))


def _invent(
    database: Database, pool: np.ndarray, planted: dict[int, Print], most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Write the prints of `most` photos; returns every (key, number) of them, by photo."""
    rng = np.random.default_rng(2026)
    keys, numbers = [], []
    at_once = 10_000
    for start in range(0, most, at_once):
        count = min(at_once, most - start)
        signs = pool[rng.integers(0, len(pool), (count, KEPT))]
        for bit in POWERS:
            signs ^= np.where(rng.random(signs.shape, np.float32) < TURNED_OVER, bit, np.uint64(0))
        made = np.zeros(count, _PRINT)
        made["version"], made["height"], made["width"] = b"1", 384, 512
        gists = rng.bytes(30 * count)
        made["gist"] = np.frombuffer(gists, "V30")
        made["marks"]["signs"] = signs
        for name, reach in (("x", 512 * 64), ("y", 384 * 64), ("scale", 8 * 256)):
            made["marks"][name] = rng.integers(256, reach, signs.shape)
        rows = []
        for place in range(count):
            number = start + place + 1
            held = planted.get(number)
            rows.append((number, f"{number:064x}", held.dump() if held is not None else made[place].tobytes(), 0))
        with database.write() as conn:
            _write_prints(conn, rows)
        own = (signs & np.uint64((1 << KEY_BITS) - 1)).astype(np.int64)
        bands = np.unpackbits(np.frombuffer(gists, np.uint8)).reshape(count, 24, 10).astype(np.int64)
        gist_keys = (bands << np.arange(24)[:, None]).sum(1) | (np.arange(10) << 24) | (1 << GIST_BIT)
        whole = np.concatenate([own, gist_keys], axis=1)
        there = np.arange(start + 1, start + count + 1)
        for number in planted.keys() & set(there.tolist()):
            mine = planted[number].keys()
            whole[number - start - 1] = np.resize(mine, whole.shape[1])  # some twice, which changes nothing
        keys.append(whole.ravel())
        numbers.append(np.repeat(there, whole.shape[1]))
    return np.concatenate(keys), np.concatenate(numbers)


def _filled(folder: Path, size: int, keys: np.ndarray, numbers: np.ndarray, more: list[Print]) -> PhotoIndex:
    index = PhotoIndex(folder / f"photos-{size}.db")
    index.create()
    chosen = numbers <= size
    begun = time.perf_counter()
    index.fill_from(keys[chosen], numbers[chosen])
    filled = time.perf_counter() - begun
    with index.database.read() as conn:
        conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    bytes_each = index.database.path.stat().st_size
    begun = time.perf_counter()
    for number in range(INSERTED):
        index.put([(2 * SIZES[-1] + number, more[number % len(more)])])
    inserted = (time.perf_counter() - begun) / INSERTED
    some = np.sort(keys[chosen & (keys < 1 << GIST_BIT)][: 64 * 20_000])
    _, counts = np.unique(some, return_counts=True)
    meet = float((counts * (counts - 1) / 2).sum() / (len(some) * (len(some) - 1) / 2))
    print(f"{size:>12,}{filled:>9.1f}{size / filled:>11,.0f}{bytes_each / 1e6:>8.0f}{bytes_each / size:>9.0f}"
          f"{inserted * 1e3:>11.1f}{meet:>12.1e}")  # fmt: skip
    return index


def _looked_up(database: Database, index: PhotoIndex, copies: list[Copy]) -> list[float]:
    taken = []
    for copy in copies:
        with database.read() as conn:
            begun = time.perf_counter()
            found = [number for number, _ in find(copy.seen, IndexShelf(conn, index))]
            taken.append(time.perf_counter() - begun)
        expect(copy.number in found, True, f"whether the copy of planted photo {copy.number} is found")
    return taken


def _scan_s(seen: Seen, pool: np.ndarray, size: int) -> float:
    """What it takes to compare the signs of a picture with those of so many photos, one after the other."""
    held = pool[:KEPT] if len(pool) >= KEPT else np.resize(pool, KEPT)
    begun, photos_compared = time.perf_counter(), 200
    for _ in range(photos_compared):
        np.nonzero(np.bitwise_count(seen.marks.signs[:, None] ^ held) <= 16)
    return (time.perf_counter() - begun) / photos_compared * size
