"""Checking a bundle, per change, against what cannot be left out: one signature and one digest.

    floor  for each change the SHA-256 of its content and one Ed25519 verification by `cryptography`
    ours   every check of a real bundle (V01 to V20, without laying the report out again): canonical form, chain, signature,
           enrolment, inclusion in the log, grades and the rest

The bundle is of one inspection with many changes, written by a tablet and taken in by a server over HTTP.
"""

from __future__ import annotations

import hashlib
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from benchmarks import data, house, servers
from benchmarks.meter import expect
from benchmarks.processes import free_port
from benchmarks.table import Aim, Verdict, spread_of, times
from custody.bundle import Bundle
from custody.checks import Examination, _heads, examine
from server.config import Settings
from server.instance import open_instance
from server.proofs import bundles, trusts
from sync.core.change import compose, signature_input
from sync.core.note import fingerprint
from sync.core.rules import Rights

CHANGES = 500
VERIFICATION = Aim("checking a bundle, per change, against signature and digest alone", 2.0, 0.5)


def verification(folder: Path, turns: int) -> list[Verdict]:
    """All checks of a bundle of `CHANGES` changes."""
    content, root = _bundle(folder)
    case = Examination(Bundle(io.BytesIO(content)), root)
    heads = _heads(case)
    told = [
        (change.content, case.devices[link.replica], link.signature, signature_input(heads[link.replica, link.n]))
        for link, change in case.changes
    ]

    def bare() -> None:
        for text, key, signature, message in told:
            hashlib.sha256(text).digest()
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)

    def whole() -> None:
        verdict = examine(io.BytesIO(content), root=root)
        expect([one.code for one in verdict.findings if one.outcome == "fail"], [], "checks that failed")

    floor, ours = [], []
    for _ in range(turns):
        floor.append(_seconds(bare))
        ours.append(_seconds(whole))
    count = len(told)
    print(
        times(f"checking a bundle of {count} changes, {len(content) / 1e6:.1f} MB", [("floor", floor), ("all", ours)])
    )
    each = statistics.median(ours) / count * 1e6
    print(f"  {each:.0f} µs per change, {1e6 / each:.0f} changes/s, {spread_of(ours, floor)}", end="\n\n")
    return [Verdict(VERIFICATION, statistics.median(a / b for a, b in zip(ours, floor, strict=True)))]


def _bundle(folder: Path) -> tuple[bytes, str]:
    """A bundle of one inspection that was edited `CHANGES` times, and the root's fingerprint."""
    place, home = folder / "server", folder / "tablet"
    house.make_server(place)
    with servers.ours(place, free_port()) as server:
        enrolled = house.enrol(place, server.url, home)
        record = _edited(home, enrolled.person)
        tablet = house.open_tablet(home)
        report = tablet.sync()
        expect(report.problem, None, "a round")
        tablet.close()
    passphrase, file = "benchmark", folder / "root.age"
    root = trusts.create_root(file, passphrase)
    instance = open_instance(Settings(place))
    edition = trusts.next_edition(instance.keys, "benchmark", instance.now(), None)
    trusts.publish(instance.settings, edition, trusts.open_root(file, passphrase))
    out = folder / "case.fib"
    bundles.make(instance, record, out, purpose="benchmark", by=enrolled.person, rights=Rights("lead", ("",)))
    instance.close()
    return out.read_bytes(), fingerprint(root)


def _edited(home: Path, person: str) -> str:
    """One inspection, edited again and again; every edit replaces the one before."""
    changes = [data.change(0, person)]
    for number in range(1, CHANGES):
        last, now = changes[-1], data.START_MS + number * data.SPACING_MS
        changes.append(
            compose(
                id=f"{last.id[:-6]}{number:06x}", kind=last.kind, record=last.record, by=[person],
                set={"findings": (str(data.values(number)["findings"]), [last.id])}, schema=changes[0].body["schema"],
                hlc=f"{now:012x}-0000", clock=changes[0].body["clock"] | {"wall": now, "mono": number * data.SPACING_MS},
            )
        )  # fmt: skip
    house.write_changes(home, changes)
    return changes[0].record


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
