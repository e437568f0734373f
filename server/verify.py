"""Checking a server from the inside: is everything that was ever acknowledged still there, and unaltered?

    database     the file is sound
    log          every hash is that of its content, positions have no gap, the tree's root follows from the leaves,
                 every checkpoint that was ever signed is a root of this very log
    chains       every change follows its predecessor and its device signed it, or a later change that covers it
    blobs        every blob is there with its SHA-256, as the log says
    records      every stored record is the fold of its changes; buckets, feed, conflicts and projections agree

Nothing is repaired here. What is wrong with projections, `rebuild` makes again; anything else is a matter for a backup.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas.labels import Label
from server.instance import Instance
from server.keys import Voice, is_server
from server.storage import blobs, conflicts, examination, journal, merkle, people, states
from server.storage.database import Connection, Database
from server.storage.examination import Link
from sync.core.change import CHANGE_TAG, START, chain_hash, signature_input
from sync.core.errors import Problem
from sync.core.fold import State, checksum, conflicts_of, fold
from sync.core.log import extended_frontier, frontier_root, leaf_hash
from sync.core.note import Verifier, open_note

RECORDS_AT_ONCE = 200

Progress = Callable[[str, int], None]


class Finding(NamedTuple):
    """Something that is not as it should be: which check, what it is about, and in words."""

    check: str
    subject: str
    detail: Label


class Verdict(NamedTuple):
    """What was looked at (by check) and what was found."""

    counts: dict[str, int]
    findings: list[Finding]


def verify(house: Instance, progress: Progress = lambda check, count: None) -> Verdict:
    """Check everything. Reads one snapshot per check, so a server may go on serving meanwhile."""
    counts: dict[str, int] = {}
    findings: list[Finding] = []
    for name, check in CHECKS.items():
        with house.database.read() as conn:
            for one in check(house, conn):
                if isinstance(one, Finding):
                    findings.append(one)
                else:
                    counts[name] = counts.get(name, 0) + one
                    progress(name, counts[name])
        counts.setdefault(name, 0)
    return Verdict(counts, findings)


Found = Iterator[Finding | int]  # findings, and how many more were looked at


def _database(house: Instance, conn: Connection) -> Found:
    for problem in examination.integrity(conn):
        yield Finding("database", house.database.path.name, Label(problem, problem))
    yield 1


# --- The log ----------------------------------------------------------------------------------------------------


def _log(house: Instance, conn: Connection) -> Found:
    for voice in house.keys.voices.values():
        yield from _one_log(voice, conn)


def _one_log(voice: Voice, conn: Connection) -> Found:
    log = voice.compartment
    notes = examination.notes(conn, log)
    note = next(notes, None)
    frontier: list[bytes] = []
    size = 0
    for leaf in examination.leaves(conn, log):
        while note is not None and note[0] <= size:
            yield from _checkpoint(voice, note, size, frontier_root(frontier))
            note = next(notes, None)
        if leaf.position != size:
            yield _finding("log", leaf.id or str(leaf.position), f"日志位置 {size} 缺失", f"position {size} is missing")
            return
        digest = hashlib.sha256(CHANGE_TAG + leaf.content).digest() if leaf.hash else merkle.act_leaf(leaf.content)
        if leaf.hash is not None and digest != leaf.hash:
            yield _finding("log", leaf.id, "内容与校验值不符", "its content does not match its hash")
        frontier = extended_frontier(frontier, size, [leaf_hash(leaf.hash or digest)])
        size += 1
        yield 1
    while note is not None:
        yield from _checkpoint(voice, note, size, frontier_root(frontier))
        note = next(notes, None)
    if size != merkle.size(conn, log) or frontier_root(frontier) != merkle.root(conn, log):
        yield _finding("log", voice.origin, "日志树与内容不符", "the tree does not follow from the leaves")


def _checkpoint(voice: Voice, note: tuple[int, str], size: int, root: bytes) -> Found:
    try:
        opened = open_note(note[1], [Verifier(voice.origin, voice.log_public)]).checkpoint
    except Problem as problem:
        yield Finding("log", f"checkpoint {note[0]}", Label(problem.text("zh"), problem.text("en")))
        return
    if (opened.size, opened.root) != (size, root) or note[0] != size:
        yield _finding("log", f"checkpoint {note[0]}", "检查点与日志不符", "this checkpoint is not of this log")


# --- Chains -----------------------------------------------------------------------------------------------------


def _chains(house: Instance, conn: Connection) -> Found:
    keys = {device.id: Ed25519PublicKey.from_public_bytes(device.key) for device, _ in people.every_device(conn)}
    before: Link | None = None
    unsigned: list[Link] = []
    for link in examination.chains(conn):
        follows = before is not None and before.replica == link.replica and before.n == link.n - 1
        if not follows:
            yield from _never_signed(unsigned)
            unsigned = []
        prev = before.chain if before is not None and follows else START if link.n == 1 else None
        if prev is not None and chain_hash(link.replica, link.n, prev, link.hash) != link.chain:
            yield _finding("chains", link.id, "与前一条变更接不上", "it does not follow the change before it")
        key = _own(house, link.device) if is_server(link.device) else keys.get(link.device)
        if key is not None and _signed(key, link):
            unsigned = []  # a signature covers the whole chain before it
        elif link.reason != "bad-signature":
            unsigned.append(link)
        before = link
        yield 1
    yield from _never_signed(unsigned)


def _own(house: Instance, replica: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(house.keys.of_replica(replica).replica_public)


def _never_signed(links: list[Link]) -> Found:
    for link in links:
        yield _finding("chains", link.id, "没有有效签名", "no valid signature covers it")


def _signed(key: Ed25519PublicKey, link: Link) -> bool:
    try:
        key.verify(link.signature, signature_input(link.chain))
    except InvalidSignature:
        return False
    return True


# --- Blobs ------------------------------------------------------------------------------------------------------


def _blobs(house: Instance, conn: Connection) -> Found:
    for blob in blobs.scan(conn):
        found = house.files.digest_on_disk(blob.sha256)
        if found is None:
            yield _finding("blobs", blob.sha256, "文件不见了", "its file is gone")
        elif found != (blob.size, bytes.fromhex(blob.sha256)):
            yield _finding("blobs", blob.sha256, "文件内容已变", "its file holds other bytes")
        holdings = blobs.holdings(conn, blob.sha256)
        if not holdings or any(merkle.act_bytes(conn, one.log, one.leaf) != one.act for one in holdings):
            yield _finding("blobs", blob.sha256, "日志中没有收讫记录", "the log does not say that it is held")
        yield 1


# --- Records ----------------------------------------------------------------------------------------------------


def _records(house: Instance, conn: Connection) -> Found:
    batch: list[states.Stored] = []
    for stored in states.scan(conn):
        batch.append(stored)
        if len(batch) == RECORDS_AT_ONCE:
            yield from _folded(house, conn, batch)
            batch = []
    yield from _folded(house, conn, batch)
    yield from _buckets(conn)


def _folded(house: Instance, conn: Connection, batch: list[states.Stored]) -> Found:
    """These records against the fold of everything that was kept of them and of what was merged with them."""
    try:
        merged = fold(journal.entries(conn, journal.connected(conn, [one.record for one in batch])))
    except (ValueError, KeyError, TypeError, AttributeError):  # what was altered may be no change at all any more
        if len(batch) == 1:
            yield _finding("records", batch[0].record, "其变更无法读取", "its changes cannot be read")
            return
        for one in batch:
            yield from _folded(house, conn, [one])
        return
    known: dict[str, set[tuple[str, tuple[str, ...]]]] = {}
    for row in conflicts.of_records(conn, [one.record for one in batch]):
        if row.status != "resolved":
            known.setdefault(row.record, set()).add((row.id, row.candidates))
    for stored in batch:
        state = merged.get(stored.record)
        if state is None:
            yield _finding("records", stored.record, "没有对应的变更", "no change tells of it")
            continue
        state.rev = stored.rev
        if state.dump() != bytes(stored.bytes) or stored.sum != checksum(bytes(stored.bytes)):
            yield _finding("records", stored.record, "与变更合并的结果不符", "it is not the fold of its changes")
        schema = house.registry.get(state.kind)
        open_now = {(one.id, one.candidates) for one in conflicts_of(state, schema.merge_of if schema else _scalar)}
        if open_now != known.get(stored.record, set()):
            yield _finding("records", stored.record, "冲突列表不符", "its conflicts are not those listed")
        yield 1


def _buckets(conn: Connection) -> Found:
    totals = examination.bucket_totals(conn)
    for bucket in states.heads(conn, [""]).values():
        if (bucket.count, bucket.sum) != totals.get(bucket.key, (0, 0)):
            yield _finding("records", bucket.id, "范围的数量或校验和不符", "the bucket's count or checksum is wrong")
    for record in examination.outside_the_feed(conn):
        yield _finding("records", record, "不在下发队列中", "no feed shows it")


def _scalar(path: str) -> str:
    return "scalar"


# --- Projections ------------------------------------------------------------------------------------------------


def _projections(house: Instance, conn: Connection) -> Found:
    """The projection tables against ones that are made afresh from the states, in a database of their own."""
    if not house.projections.current(conn):
        yield _finding("projections", "", "列表属于旧版程序，请运行 rebuild", "of an older program: run rebuild")
        return
    with tempfile.TemporaryDirectory(prefix="patrolbook-") as folder:
        fresh = Database(Path(folder) / "projections.db")
        with fresh.write() as other:
            house.projections.create(other)
            batch: list[State] = []
            for stored in states.scan(conn):
                batch.append(State.read(stored.bytes))
                if len(batch) == 1000:
                    house.projections.write(other, batch)
                    batch = []
            house.projections.write(other, batch)
        with fresh.read() as other:
            for kind in house.registry.names():
                yield from _same_rows(house, conn, other, kind)
                if house.projections.cells.counts(conn, kind) != house.projections.cells.counts(other, kind):
                    zh, en = f"{kind} 地图计数与列表不符，请运行 rebuild", f"{kind}: the map counts otherwise than the list, run rebuild"
                    yield _finding("projections", "", zh, en)
        fresh.close()


def _same_rows(house: Instance, conn: Connection, other: Connection, kind: str) -> Found:
    stored = house.projections.rows(conn, kind, with_deleted=True)
    made = house.projections.rows(other, kind, with_deleted=True)
    for one, should in zip_longest(stored, made):
        if one != should:
            record = str((one or should or {}).get("record"))
            zh, en = f"{kind} 列表从此与记录不符，请运行 rebuild", f"{kind}: wrong from here, run rebuild"
            yield _finding("projections", record, zh, en)
            return
        yield 1


CHECKS: dict[str, Callable[[Instance, Any], Found]] = {
    "database": _database,
    "log": _log,
    "chains": _chains,
    "blobs": _blobs,
    "records": _records,
    "projections": _projections,
}

NAMES = {
    "database": Label("数据库文件", "database file"),
    "log": Label("日志", "log"),
    "chains": Label("签名链", "chains and signatures"),
    "blobs": Label("文件", "blobs"),
    "records": Label("记录", "records"),
    "projections": Label("列表", "projections"),
}


def _finding(check: str, subject: str, zh: str, en: str) -> Finding:
    return Finding(check, subject, Label(zh, en))
