"""The chunk tree and the SM3 of what tablets sent: computed here too, and compared with what their records claim.

An upload is taken in by its SHA-256 alone, so that no tablet waits for more. The other two digests that an evidence record
may state are computed in the background, from the file as it lies here:

    act "blob-held" in the open log → queue → the file is read once, 1 MiB at a time → tree and SM3 are kept

The comparison is made whenever somebody looks, because a record gets its SM3 later than its file, and may be corrected. A
wrong claim changes nothing about the file: SHA-256 names it, and it stays. It is told on the page of the record, by
`evidence verify` and `evidence lookup`, and in the report of a bundle, whose verifier (V09) finds it again without us. It
is no part of the grade, which follows from signed facts and comes out the same on a tablet that never had the bytes.

Sealed material is not read: its records claim no digest of what the server could see.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from custody.digests import all_of
from schemas.kinds.evidence import Evidence
from schemas.labels import Label
from server.instance import Instance
from server.storage import digests
from server.storage.database import Connection
from server.storage.digests import Kept
from sync.core.errors import BrokenFile, Problem

CLAIMS = ("tree", "sm3")

ROUND_S = 20.0
"""After so long a round ends with the file that it is at: witnesses and time stamps have their turn in between."""


class Claim(NamedTuple):
    """A digest that a record states and the file does not have. `name`: the field."""

    name: str
    claimed: str
    computed: str

    @property
    def label(self) -> Label:
        return Evidence.fields_by_name()[self.name].label


class Compared(NamedTuple):
    """How the claims of a record fare. `known`: the server has computed them; else nothing is said yet."""

    known: bool
    wrong: tuple[Claim, ...] = ()


class Done(NamedTuple):
    """Files that were read, and what was wrong with the ones that could not be: they stay in the queue."""

    read: int
    problems: list[Problem]


def catch_up(
    house: Instance,
    progress: Callable[[int, int], None] = lambda done, total: None,
    seconds: float | None = None,
) -> Done:
    """Compute the digests of everything in the queue, or of as much as fits into this time."""
    problems: list[Problem] = []
    began, read, after = time.monotonic(), 0, ""
    with house.database.read() as conn:
        total = digests.waiting_count(conn)
    while True:
        with house.database.read() as conn:
            some = digests.waiting(conn, after)
        if not some:
            return Done(read, problems)
        for digest in some:
            try:
                _read(house, digest)
                read += 1
            except Problem as problem:
                problems.append(problem)
            progress(read + len(problems), max(total, read + len(problems)))
            if seconds is not None and time.monotonic() - began > seconds:
                return Done(read, problems)
        after = some[-1]


def _read(house: Instance, digest: str) -> None:
    """Raises BrokenFile where the file is not what it was when it came: of that nothing is kept."""
    try:
        with open(house.files.path(digest), "rb") as file:
            found, sm3 = all_of(file)
    except OSError as error:
        raise BrokenFile(file=digest, detail=str(error)) from error
    if found.sha256 != digest:
        changed = Label("内容已变，请从备份恢复", "it holds other bytes: restore it from a backup")
        raise BrokenFile(file=digest, detail=changed)
    with house.database.write() as conn:
        digests.keep(conn, digest, Kept(found.tree, sm3), house.now())


def compared(conn: Connection, values: Mapping[str, Any]) -> Compared | None:
    """What a record of evidence (path → value) claims, against what was computed; None where it claims nothing."""
    if not any(values.get(name) for name in CLAIMS):
        return None
    kept = digests.of(conn, str(values.get("sha256")))
    return Compared(kept is not None, _wrong(values, kept) if kept is not None else ())


def contradicted(house: Instance, area: str = "") -> Iterator[tuple[dict[str, Any], tuple[Claim, ...]]]:
    """Every row of evidence in an area with a wrong claim, and its wrong claims."""
    with house.database.read() as conn:
        for values, kept in digests.contradicted(conn, house.projections.table(Evidence.kind), area):
            yield values, _wrong(values, kept)


def _wrong(values: Mapping[str, Any], kept: Kept) -> tuple[Claim, ...]:
    computed = kept._asdict()
    said = {name: str(values[name]) for name in CLAIMS if values.get(name)}
    return tuple(Claim(name, claim, computed[name]) for name, claim in said.items() if claim != computed[name])
