"""A tablet at work in a process of its own: writes, attaches photos and synchronises until it is killed.

Prints `confirmed <change id>` after a write returned, `captured <sha256>` after a photo did, `held <change id>` when a
round acknowledged it: what a person would have seen on the screen.

    python tests/faults/field_day.py HOME URL KEY SEED [--last]
"""

from __future__ import annotations

import io
import os
import random
import sys
from pathlib import Path

from field_client.platform.files import EncryptedFiles
from field_client.tablet import Tablet

AREA = "430104001003"


def say(word: str, thing: str) -> None:
    os.write(1, f"{word} {thing}\n".encode())


def work(tablet: Tablet) -> None:
    chance = random.Random()
    while True:
        known = tablet.records("patrol_note")
        for _ in range(chance.randint(1, 6)):
            if known and chance.random() < 0.6:
                change = tablet.write("patrol_note", chance.choice(known), {"seen": f"看到 {chance.random()}"})
            else:
                change = tablet.write("patrol_note", None, {"area": AREA, "spot": "三楼", "seen": "开始"})
                known.append(change.record)
            say("confirmed", change.id)
        if chance.random() < 0.5:
            photo = tablet.files.add(io.BytesIO(chance.randbytes(chance.randint(50_000, 1_500_000))))  # type: ignore[attr-defined]
            record = chance.choice(known)
            with tablet.store.writing():
                tablet.attach(record, photo.sha256, photo.size, "image/jpeg")
                value = {"sha256": photo.sha256, "size": photo.size, "mime": "image/jpeg"}
                change = tablet.write("patrol_note", record, {f"evidence/{photo.sha256[:20]}": value})
            say("confirmed", change.id)
            say("captured", photo.sha256)
        settle(tablet)


def settle(tablet: Tablet) -> bool:
    report = tablet.sync()
    held = "SELECT id FROM changes WHERE status IN ('held', 'settled')"
    for (id,) in tablet.store.database.rows(held):
        if id not in told:
            told.add(id)
            say("held", id)
    return report.problem is None


told: set[str] = set()


def main(home: str, url: str, key: str, seed: str, last: bool) -> int:
    files = EncryptedFiles(Path(home) / "blobs", bytes.fromhex(key))
    tablet = Tablet.open(Path(home), bytes.fromhex(key), bytes.fromhex(seed), files)
    say("opened", tablet.store.database.path.name)
    if not last:
        work(tablet)
    safe = any(settle(tablet) and tablet.ledger().safe_to_hand_in for _ in range(6))
    say("safe", str(safe))
    return 0 if safe else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5], last="--last" in sys.argv))
