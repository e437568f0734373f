"""Duplicate photos at the server: every photo is looked at once, against all that are held.

    queue → picture made small and described by a worker process, from the original → print kept
          → searched for in the index → what is alike is kept → put into the index → off the queue

The queue is filled by the transactions that take blobs and changes in. A photo leaves it in the same transaction that
keeps what was found, so a job that is killed goes on where it was, and doing a photo twice changes nothing. A tablet's
own fingerprint is never used: it could have been made to hide or to accuse.

Sealed material is not looked at: the server cannot read it, and its records are not evidence of this kind. Nothing that is
in a compartment can therefore be found, counted or timed from here.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from custody.likeness import Likeness, NotAPrint, Seen, compare, find
from custody.media import PICTURES
from schemas.kinds.evidence import Evidence
from schemas.labels import Label
from server.evidence import imaging
from server.instance import Instance
from server.storage import blobs, photos
from server.storage.database import Connection
from server.storage.photos import Found, IndexShelf, PhotoIndex
from sync.core.errors import BrokenFile, NotFound, Refused

KIND = Evidence.kind
IDENTICAL = "identical"

Row = dict[str, Any]


class Done(NamedTuple):
    """What a run of the job did: pictures looked at, of them not readable, likenesses found."""

    looked: int = 0
    unreadable: int = 0
    found: int = 0


class Pair(NamedTuple):
    """Two pieces of evidence that are alike, with their records (path → value).

    earlier    its record is empty where it lies outside the area of whoever asks
    repeated   "before" and "after" of a rectification look the same
    outside    the earlier one is outside the area: no more than that is told
    """

    found: Found
    record: Row
    earlier: Row
    repeated: bool
    outside: bool


def catch_up(
    house: Instance,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> Done:
    """Look at everything in the queue. Raises Refused where another program is doing so."""
    with _alone(house):
        index = _index(house)
        done, after = Done(), ""
        total = waiting(house)
        number = 0
        while not stop():
            with house.database.read() as conn:
                some = photos.waiting(conn, after)
            if not some:
                break
            for digest in some:
                if stop():
                    return done
                one = _look_at(house, index, digest)
                done = Done(*(have + more for have, more in zip(done, one, strict=True)))
                number += 1
                progress(number, max(total, number))
            after = some[-1]
        index.close()
        return done


def waiting(house: Instance) -> int:
    """How many files of evidence were not looked at yet."""
    with house.database.read() as conn:
        return photos.waiting_count(conn, house.projections.table(KIND))


def rebuild(house: Instance) -> int:
    """Make the index again from the prints; returns the number of photos in it."""
    with _alone(house):
        file = house.settings.photo_index
        for suffix in ("", "-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        return _filled(house, PhotoIndex(file))


def pairs(house: Instance, areas: tuple[str, ...] = ("",), since: int = 0, everything: bool = False) -> Iterator[Pair]:
    """What was found for whoever may see these areas, newest first.

    Two photos of one visit are left out unless `everything` is asked for: nobody is surprised that they are alike.
    """
    with house.database.read() as conn:
        for found in photos.found_since(conn, since):
            pair = _pair(house, conn, found, areas)
            if pair is not None and (everything or pair.repeated or not _one_visit(pair)):
                yield pair


def compared(house: Instance, one: str, other: str) -> tuple[Row, Row, Found | None]:
    """Two pieces of evidence by id or digest, and how the first is like the second.

    :raises NotFound: there is no such evidence, or it is not a picture that the server holds
    """
    with house.database.read() as conn:
        ours, theirs = (_evidence(house, conn, text) for text in (one, other))
        if ours["sha256"] == theirs["sha256"]:
            return ours, theirs, Found(ours["record"], theirs["record"], IDENTICAL, "", 100, 100, house.now())
        held = photos.print_of(conn, theirs["sha256"])
    seen = _seen(house, ours["sha256"])
    if seen is None or (held is None and (looked := _seen(house, theirs["sha256"])) is None):
        raise NotFound(what=Label("能读取的图片", "a picture that can be read"))
    alike = compare(seen, held if held is not None else looked.print)  # type: ignore[union-attr]
    if alike is None:
        return ours, theirs, None
    told = alike.sort, alike.turn, alike.score, alike.share
    return ours, theirs, Found(ours["record"], theirs["record"], *told, house.now())


# ---- one photo ---------------------------------------------------------------------------------------------


def _look_at(house: Instance, index: PhotoIndex, digest: str) -> Done:
    with house.database.read() as conn:
        own = _originals(house, conn, digest)
        held = blobs.get(conn, digest)
    if not own or held is None or held.mime not in PICTURES:
        with house.database.write() as conn:
            photos.looked_at(conn, digest)
        return Done()
    seen = _seen(house, digest)
    with house.database.write() as conn:  # the number first: the index names it
        number = photos.keep_print(conn, digest, seen.print.dump() if seen is not None else None, house.now())
    if seen is not None:
        index.put([(number, seen.print)])
    with house.database.read() as conn:
        alike = [] if seen is None else find(seen, IndexShelf(conn, index))
        digests = photos.digests_of(conn, [photo for photo, _ in alike])
    with house.database.write() as conn:
        own = _originals(house, conn, digest)
        found = [Found(*_in_order(one, other), IDENTICAL, "", 100, 100, house.now()) for one in own for other in own
                 if one["record"] > other["record"]]  # fmt: skip
        for photo, likeness in alike:
            if photo != number:
                others = _originals(house, conn, digests[photo])
                found += [_found(one, other, likeness, house.now()) for one in own for other in others]
        photos.keep_found(conn, found)
        photos.looked_at(conn, digest)
    return Done(1, int(seen is None), len(found))


def _in_order(one: Row, other: Row) -> tuple[str, str]:
    """The later one first: ids are in the order of time."""
    later, earlier = sorted((one["record"], other["record"]), reverse=True)
    return later, earlier


def _found(one: Row, other: Row, alike: Likeness, now: int) -> Found:
    """What is kept when `one` was found to be like `other`: always told of the later one."""
    record, earlier = _in_order(one, other)
    told = alike if record == one["record"] else alike.other_way()
    return Found(record, earlier, told.sort, told.turn, told.score, told.share, now)


def _originals(house: Instance, conn: Connection, digest: str) -> list[Row]:
    """The evidence with these bytes, without what was made from other evidence."""
    return [row for row in house.projections.find(conn, KIND, "sha256", digest) if row["role"] == "original"]


def _seen(house: Instance, digest: str) -> Seen | None:
    """What the server itself sees in a blob; None for what is no readable picture."""
    try:
        return Seen.load(imaging.looks(house.files.path(digest), digest))
    except (BrokenFile, NotAPrint, FileNotFoundError):
        return None


# ---- the index ---------------------------------------------------------------------------------------------


def _index(house: Instance) -> PhotoIndex:
    index = PhotoIndex(house.settings.photo_index)
    if not index.exists:  # new, or somebody made room
        _filled(house, index)
    return index


def _filled(house: Instance, index: PhotoIndex) -> int:
    index.create()
    with house.database.read() as conn:
        return index.fill((number, held) for number, _, held in photos.scan(conn))


@contextmanager
def _alone(house: Instance) -> Iterator[None]:
    with open(house.settings.data / "looking.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            raise Refused(detail=Label("另一个程序正在比对照片", "another program is looking at photos")) from busy
        yield


# ---- what was found ----------------------------------------------------------------------------------------


def _pair(house: Instance, conn: Connection, found: Found, areas: tuple[str, ...]) -> Pair | None:
    later, earlier = (_row(house, conn, id) for id in (found.record, found.earlier))
    if later is None or earlier is None:
        return None
    sees_later, sees_earlier = (_within(one, areas) for one in (later, earlier))
    if not sees_later and not sees_earlier:
        return None
    repeated = _repeated(later, earlier)
    if sees_later and sees_earlier:
        return Pair(found, later, earlier, repeated, False)
    own = later if sees_later else earlier
    hidden = found._replace(record=own["record"], earlier="", turn="", share=0)
    return Pair(hidden, own, {}, False, True)


def _row(house: Instance, conn: Connection, record: str) -> Row | None:
    rows = house.projections.find(conn, KIND, "record", record)
    return rows[0] if rows else None


def _within(row: Row, areas: tuple[str, ...]) -> bool:
    return any((row["area"] or "").startswith(area) for area in areas)


def _repeated(later: Row, earlier: Row) -> bool:
    """Whether these are "before" and "after" of one rectification."""
    stages = {later["stage"], earlier["stage"]}
    return stages == {"before", "after"}


def _one_visit(pair: Pair) -> bool:
    same = pair.record.get("subject") == pair.earlier.get("subject")
    return same and not pair.outside


def _evidence(house: Instance, conn: Connection, text: str) -> Row:
    for field in ("record", "sha256"):
        rows = house.projections.find(conn, KIND, field, text)
        if rows:
            return rows[0]
    raise NotFound(what=Label(f"证据 {text}", f"evidence {text}"))
