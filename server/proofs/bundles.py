"""Making an evidence bundle: one record, everything that it rests on, and the proofs.

What goes in: the record and what it names (institution, officers and their keys, evidence and what was derived from
it), all changes that were ever kept of them, the links of their replicas in between as bare hashes, the server's acts
about the files and devices, and proofs against one checkpoint of each log. What stays out: other cases. Their changes
leave nothing but a hash.

The act `exported` is in the log before the first byte is written.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from custody import report_pdf, single, timestamps
from custody.bundle import BUNDLE_TAG, Draft, Manifest, base64, joined
from custody.report import Access, Derivation, Item, Report, Step
from custody.timeline import Mark, Marks
from schemas.base import DELETED
from schemas.fields import Attachments, Ref, Tags
from schemas.kinds.evidence import OPERATIONS, SOURCES, STATUTORY_KINDS
from schemas.kinds.handover import Handover
from schemas.labels import Label
from server import acts
from server.acts import Act
from server.evidence import amending, minors, openings
from server.evidence.grading import Grader
from server.instance import Instance
from server.keys import Voice
from server.proofs import digesting, trusts, witnesses
from server.proofs.witnesses import Asked
from server.storage import attested, blobs, journal, merkle, people, states
from server.storage.database import Connection
from server.storage.files import sync_folder
from server.storage.journal import Linked
from server.work import handovers
from sync.core import grade as grading
from sync.core.change import START, Change, canonical
from sync.core.cosigning import key_id
from sync.core.errors import BadStamp, NotFound
from sync.core.fold import State, values_of
from sync.core.note import Checkpoint, body_of, fingerprint, parse_checkpoint
from sync.core.rules import Rights
from sync.core.signing import covered

FOLLOWED = frozenset({"inspection", "evidence", "hazard", "patrol_note", "case", "handover", "clue"})
"""Kinds whose own references are followed; of others (an institution, an officer) only the record itself goes in."""
LEFT_OUT = frozenset({"checklist", "informer"})
DEPTH = 4

_BY_STAMP, _BY_WITNESS = Label("可信时间戳", "a time stamp"), Label("见证会签", "witnesses")

Progress = Callable[[str, int, int], None]


class Made(NamedTuple):
    """A bundle that was written: its number, file, size in bytes, the report in it, and what witnesses said to it."""

    number: str
    file: Path
    size: int
    report: Report
    asked: tuple[Asked, ...] = ()


class _Shown(NamedTuple):
    """A record that goes in, as merged."""

    state: State
    values: dict[str, Any]


def make(
    house: Instance,
    record: str,
    file: Path,
    *,
    purpose: str,
    by: str,
    rights: Rights,
    originals: bool = True,
    with_minors: bool = False,
    secret: str = "",
    progress: Progress = lambda what, done, total: None,
) -> Made:
    """Write the bundle of a record into a new file, whole or not at all.

    with_minors: files in which minors are visible go in too, which the log says; else covered copies take their place
    secret: of the county, in memory only: with it the facts of handed-over files go in too, so that a stranger can check them

    :raises NotFound: there is no such record within the person's rights
    :raises MinorsVisible: of such a file there is no covered copy
    :raises NotReceived, PastDue, WrongSealKey, BrokenSeal: there is a `secret`, and the facts of a hand-over may not or cannot
        be opened with it
    """
    now = house.now()
    with house.database.read() as conn:
        shown = _gathered(house, conn, record, rights)
    disclosed = _disclosed(house, shown, secret) if secret else []
    told_apart = {id: one.values for id, one in shown.items() if one.state.kind == "evidence"}
    exposing = set() if with_minors or not originals else minors.exposing(told_apart)
    minors.require_covered(told_apart, exposing)
    voice = house.keys.voice(house.registry[shown[record].state.kind].compartment)
    number = f"{shown[record].state.kind}-{record[-8:]}-{house.keys.new_id(now)[-6:]}"
    with house.database.write() as conn:
        acts.append(conn, voice.compartment, acts.EXPORTED, now, bundle=number, record=record, by=by, purpose=purpose,
                    minors=True if with_minors else None)  # fmt: skip
        for one in house.keys.voices.values():
            merkle.checkpoint(conn, one, now)
    asked = tuple(witnesses.ask(house, all=False))
    with house.database.read() as conn:
        draft, withheld = Draft(), []
        evidence = {id: one for id, one in shown.items() if one.state.kind == "evidence"}
        hidden = {str(told_apart[id].get("sha256")) for id in exposing}
        for digest in sorted({str(one.values["sha256"]) for one in evidence.values() if "sha256" in one.values}):
            blob = blobs.get(conn, digest)
            if blob is None or not originals or digest in hidden:
                withheld.append(digest)
            else:
                opens = functools.partial(open, house.files.path(digest), "rb")
                draft.blobs[f"blobs/{digest}"] = (blob.size, digest, opens)
        pairs = journal.linked(conn, journal.connected(conn, shown))
        # Only from the logs of the records that are shown: what lies behind a wall is not even counted.
        walls = {house.registry[one.state.kind].compartment for one in shown.values()}
        told = _acts(conn, walls, pairs, evidence.values(), number)
        trust = trusts.published(house.settings)
        stamps = {wall: _Stamps(conn, wall, trust) for wall in {link.log for link, _ in pairs}}
        told = sorted([*told, *_dating(conn, pairs, stamps)], key=lambda act: (act.log, act.leaf))
        links = _chains(conn, draft, pairs)
        points = _points(conn, house, pairs, told, trust)
        _log(conn, house, draft, pairs, told, points)
        marks = _attested(conn, house, draft, pairs, told, points, trust, stamps)
        _people(conn, draft, links, pairs)
        grades = _grades(conn, house, shown)
        draft.texts["grades.ndjson"] = joined(grades)
        authority = trust.trust.authority if trust is not None else voice.origin
        if trust is not None:
            draft.texts |= trust.files()
        if disclosed:
            draft.texts["disclosed.ndjson"] = joined(disclosed)
        draft.texts["acts.ndjson"] = joined(
            [{"act": a.content.decode(), "leaf": a.leaf, "log": _origin(house, a)} for a in told]
        )
        report = _report(conn, house, shown, record, pairs, told, grades, voice, trust, points, marks)
        title = _title(house, shown[record])
        manifest = Manifest(
            number, record, shown[record].state.kind, title, purpose, authority, now,
            voice.replica, base64(voice.replica_public), draft.listed(), tuple(withheld),
        )  # fmt: skip
        report = replace(
            report, number=number, title=title, purpose=purpose, made=now, authority=authority, content=manifest.content
        )
        draft.texts["report.json"] = report.dump()
        draft.texts["report.pdf"] = report_pdf.render(report)
        draft.texts["verify.py"] = single.source().encode()
        draft.texts["README-zh.txt"] = README.encode()
        manifest = replace(manifest, members=draft.listed())
    signature = voice.sign(BUNDLE_TAG + manifest.dump())
    _write(file, draft, manifest, signature)
    progress("written", 1, 1)
    return Made(number, file, file.stat().st_size, report, asked)


# --- What goes in -----------------------------------------------------------------------------------------------------


def _gathered(house: Instance, conn: Connection, record: str, rights: Rights) -> dict[str, _Shown]:
    found: dict[str, _Shown] = {}
    todo = [(record, 0)]
    while todo:
        id, depth = todo.pop()
        root = journal.roots(conn, [id]).get(id, id)
        stored = states.load(conn, [root]).get(root)
        if root in found or stored is None or stored.bucket is None:
            continue
        state = State.read(stored.bytes)
        schema = house.registry.get(state.kind)
        if schema is None or state.kind in LEFT_OUT or not _in_sight(schema, state, rights):
            continue
        values = {path: value for path, value in values_of(state, schema.merge_of).items() if path != DELETED}
        found[root] = _Shown(state, values)
        if state.kind in FOLLOWED and depth < DEPTH:
            todo += [(one, depth + 1) for one in _named(house, conn, root, found[root])]
    if record not in found:
        raise NotFound(what=record)
    return found


def _disclosed(house: Instance, shown: Mapping[str, _Shown], secret: str) -> list[dict[str, Any]]:
    """The facts of every file of the hand-overs that are shown, each with the random bytes of its commitment."""
    found = []
    for record, one in sorted(shown.items()):
        if one.state.kind != Handover.kind:
            continue
        barred = openings.bar(one.values, house.now())
        if barred is not None:
            raise barred
        for key, named in sorted(_entries(one.values, "objects").items()):
            opened = handovers.facts_of(named, _entries(one.values, "keys")[key], secret)
            found.append({"facts": opened.meta, "handover": record, "object": key, "r": opened.r.hex()})
    return found


def _entries(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    start = f"{name}/"
    return {path.removeprefix(start): value for path, value in values.items() if path.startswith(start)}


def _in_sight(schema: Any, state: State, rights: Rights) -> bool:
    areas = state.live.get(schema.area_field or "", {}).values()
    return schema.area_field is None or any(rights.covers(str(area), schema.compartment) for area in areas)


def _named(house: Instance, conn: Connection, record: str, shown: _Shown) -> list[str]:
    """The records that one names, the keys that signed it, its anchors, and what was derived from it.

    An anchor's own change follows the head that it names, so with it the chain reaches as far as the paper does.
    """
    fields = house.registry[shown.state.kind].fields_by_name()
    named: list[str] = []
    for path, value in shown.values.items():
        name, _, key = path.partition("/")
        field = fields.get(name)
        if isinstance(field, Ref) and isinstance(value, str):
            named.append(value)
        elif isinstance(field, Attachments) or (isinstance(field, Tags) and field.target and value is True):
            named.append(key)
    if shown.state.kind == "evidence":
        named += [str(row["record"]) for row in house.projections.find(conn, "evidence", "original", record)]
    if shown.state.kind == "inspection":
        named += [str(row["record"]) for row in house.projections.find(conn, "anchor", "inspection", record)]
    keys = {value.get("key") for path, value in shown.values.items() if path.startswith("signatures/")}
    if keys - {None}:
        for row in house.projections.rows(conn, "officer_key"):
            if row["public_key"] and key_id(bytes.fromhex(row["public_key"])) in keys:
                named.append(str(row["record"]))
    return named


def _acts(
    conn: Connection, walls: set[str], pairs: list[tuple[Linked, Change]], evidence: Iterable[_Shown], number: str
) -> list[Act]:
    """The acts of these compartments that are about these files, devices and this export."""
    devices = {link.device for link, _ in pairs}
    digests = {str(one.values.get("sha256")) for one in evidence}
    told = []
    for compartment in sorted(walls):
        for act in acts.every(conn, compartment):
            body = act.body
            about = body.get("device") in devices or body.get("sha256") in digests or body.get("blob") in digests
            if about or body.get("bundle") == number:
                told.append(act)
    return told


def _chains(conn: Connection, draft: Draft, pairs: list[tuple[Linked, Change]]) -> dict[str, list[Linked]]:
    shown = {(link.replica, link.n): change for link, change in pairs}
    by_replica: dict[str, list[int]] = {}
    for link, _ in pairs:
        by_replica.setdefault(link.replica, []).append(link.n)
    found = {}
    for replica, numbers in by_replica.items():
        links = journal.chain_of(conn, replica, min(numbers), max(numbers))
        found[replica] = links
        draft.texts[f"chains/{replica}.ndjson"] = joined([_line(one, (replica, one.n) in shown) for one in links])
        contents = [shown[replica, one.n].content for one in links if (replica, one.n) in shown]
        draft.texts[f"changes/{replica}.ndjson"] = b"".join(content + b"\n" for content in contents)
    return found


def _line(one: Linked, shown: bool) -> dict[str, Any]:
    """A link as written. Of a change that is not shown, nothing but what the chain needs to hold together."""
    link = {"hash": bytes(one.hash).hex(), "n": one.n, "shown": shown, "sig": base64(bytes(one.signature))}
    return link | ({"leaf": one.leaf, "log": one.log, "status": one.status} if shown else {})


def _points(
    conn: Connection,
    house: Instance,
    pairs: list[tuple[Linked, Change]],
    told: list[Act],
    trust: trusts.Published | None,
) -> dict[str, str]:
    """compartment → the checkpoint that everything is proven against: the newest that enough witnesses have cosigned,
    where it covers all that is shown, else the newest.
    """
    covered: dict[str, int] = {}
    for log, leaf in _leaves(pairs, told):
        covered[log] = max(covered.get(log, 0), leaf + 1)
    points = {}
    for compartment, least in sorted(covered.items()):
        voice = house.keys.voice(compartment)
        note = witnesses.newest_witnessed(conn, voice, trust.trust) if trust is not None else None
        if note is None or _point(note).size < least:
            note = merkle.checkpoint(conn, voice, house.now())
            note = attested.note(conn, compartment, _point(note).size) or note
        points[compartment] = note
    return points


class _Stamps:
    """The time stamps of a log that the trust file of today bears out; one by an authority that it no longer names is not
    handed on, for a reader could not believe it.
    """

    def __init__(self, conn: Connection, log: str, trust: trusts.Published | None) -> None:
        self._conn, self._log = conn, log
        self._roots = trust.trust.stampers if trust is not None else ()
        self.held = {hashlib.sha256(one.response).hexdigest(): one for one in attested.stamps_of(conn, log)}
        self._tokens: dict[str, timestamps.Token | None] = {}

    def token(self, digest: str) -> timestamps.Token | None:
        """What a stamp says, by the SHA-256 of its response; None where it does not hold or is not here."""
        if digest not in self._tokens:
            self._tokens[digest] = self._verified(digest)
        return self._tokens[digest]

    def over(self, leaf: int, newest: int) -> str | None:
        """The earliest over a checkpoint of at most `newest` leaves that includes this one."""
        fits = [(one.at, digest) for digest, one in self.held.items() if leaf < one.size <= newest]
        return next((digest for _, digest in sorted(fits) if self.token(digest) is not None), None)

    def _verified(self, digest: str) -> timestamps.Token | None:
        one = self.held.get(digest)
        note = attested.signed(self._conn, self._log, one.size) if one is not None else None
        if one is None or note is None:
            return None
        try:
            return timestamps.verify(one.response, note.encode(), self._roots)
        except (BadStamp, timestamps.NoJudge):
            return None


def _dating(conn: Connection, pairs: list[tuple[Linked, Change]], stamps: dict[str, _Stamps]) -> list[Act]:
    """The acts about time stamps by which what tablets had seen is dated: before each size that was seen, the newest."""
    seen: dict[str, set[int]] = {}
    for link, change in pairs:
        if change.body.get("seen"):
            seen.setdefault(link.log, set()).add(int(change.body["seen"]["size"]))
    found: dict[tuple[str, int], Act] = {}
    for log, sizes in seen.items():
        stamped = list(acts.every(conn, log, acts.STAMPED))[::-1]
        for size in sizes:
            before = (act for act in stamped if act.leaf < size and stamps[log].token(str(act.body["stamp"])))
            newest = next(before, None)
            if newest is not None:
                found[log, newest.leaf] = newest
    return list(found.values())


def _attested(
    conn: Connection,
    house: Instance,
    draft: Draft,
    pairs: list[tuple[Linked, Change]],
    told: list[Act],
    points: dict[str, str],
    trust: trusts.Published | None,
    stamps: dict[str, _Stamps],
) -> dict[str, Marks]:
    """Put in what others say about when the log had which size: for every change the earliest stamp over it and the first
    checkpoint over it that enough witnesses cosigned, and the stamps that the acts tell of. Returns what they say.
    """
    lines: list[dict[str, Any]] = []
    marks = {}
    for compartment, note in points.items():
        voice, newest = house.keys.voice(compartment), _point(note).size
        leaves = sorted(link.leaf for link, _ in pairs if link.log == compartment)
        dated = {
            str(act.body["stamp"]): act for act in told if act.log == compartment and act.body["act"] == acts.STAMPED
        }
        held = stamps.get(compartment) or _Stamps(conn, compartment, trust)
        wanted = dated.keys() | {one for leaf in leaves if (one := held.over(leaf, newest)) is not None}
        upper, lower = [], []
        names: dict[int, list[str]] = {}
        for digest in sorted(wanted):
            kept, token = held.held[digest], held.token(digest)
            if token is None:
                continue
            upper.append(Mark(kept.size, token.latest, _BY_STAMP))
            if digest in dated:
                lower.append(Mark(dated[digest].leaf, token.earliest, _BY_STAMP))
            name = digest[:32]
            names.setdefault(kept.size, []).append(name)
            draft.texts[f"stamps/{name}.tsr"] = kept.response
            draft.texts[f"stamps/{name}.note"] = (attested.signed(conn, compartment, kept.size) or "").encode()
        for size, at in _witnessed(conn, voice, newest, leaves, trust):
            names.setdefault(size, [])
            upper.append(Mark(size, at * 1000 + 999, _BY_WITNESS))
        for size, some in sorted(names.items()):
            proof = [base64(node) for node in merkle.consistency(conn, compartment, size, newest)]
            lines.append({"note": attested.note(conn, compartment, size), "proof": proof, "stamps": sorted(some)})
        marks[compartment] = Marks(upper, lower)
    if lines:
        draft.texts["attested.ndjson"] = joined(lines)
    return marks


def _witnessed(
    conn: Connection, voice: Voice, newest: int, leaves: list[int], trust: trusts.Published | None
) -> list[tuple[int, int]]:
    """(size, seconds) of the first checkpoint over each leaf that enough witnesses of the trust file have cosigned."""
    found: dict[int, int] = {}
    if trust is None:
        return []
    for leaf in leaves:
        if any(size > leaf for size in found):  # leaves come in order, so this one was the first for an earlier leaf
            continue
        for size in attested.cosigned_sizes(conn, voice.compartment, trust.trust.quorum, above=leaf):
            note = attested.note(conn, voice.compartment, size) if size <= newest else None
            at = witnesses.witnessed(note, voice, trust.trust) if note is not None else None
            if at is not None:
                found[size] = at
            if at is not None or size > newest:
                break
    return sorted(found.items())


def _leaves(pairs: list[tuple[Linked, Change]], told: list[Act]) -> set[tuple[str, int]]:
    return {(link.log, link.leaf) for link, _ in pairs} | {(act.log, act.leaf) for act in told}


def _point(note: str) -> Checkpoint:
    return parse_checkpoint(body_of(note))


def _log(
    conn: Connection,
    house: Instance,
    draft: Draft,
    pairs: list[tuple[Linked, Change]],
    told: list[Act],
    notes: dict[str, str],
) -> None:
    """Proofs that every change and act is in its log, and that the log extends what tablets saw of it."""
    leaves = _leaves(pairs, told)
    seen = {
        (link.log, int(change.body["seen"]["size"]), str(change.body["seen"]["root"]))
        for link, change in pairs
        if change.body.get("seen")
    }
    proofs: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    for compartment, note in notes.items():
        voice, size = house.keys.voice(compartment), _point(note).size
        points.append({"note": note})
        for _, leaf in sorted(one for one in leaves if one[0] == compartment):
            proof = merkle.inclusion(conn, compartment, leaf, size)
            proofs.append({"leaf": leaf, "log": voice.origin, "proof": [base64(node) for node in proof]})
        for _, old, root in sorted(one for one in seen if one[0] == compartment and one[1] <= size):
            proof = merkle.consistency(conn, compartment, old, size)
            points.append({"log": voice.origin, "old": old, "proof": [base64(node) for node in proof], "root": root})
    draft.texts["proofs.ndjson"] = joined(proofs)
    draft.texts["checkpoints.ndjson"] = joined(points)
    for name in [one for one in draft.texts if one.startswith("chains/")]:
        draft.texts[name] = _with_origins(house, draft.texts[name])


def _with_origins(house: Instance, content: bytes) -> bytes:
    """The links with the origin of their log in place of the compartment's name, as everything in a bundle names it."""
    lines = [orjson.loads(line) for line in content.splitlines()]
    named = ({"log": house.keys.voice(line["log"]).origin} if line["shown"] else {} for line in lines)
    return joined([line | more for line, more in zip(lines, named, strict=True)])


def _people(conn: Connection, draft: Draft, links: dict[str, list[Linked]], pairs: list[tuple[Linked, Change]]) -> None:
    starts = {}
    for replica, chain in links.items():
        first = chain[0].n
        before = journal.chain_of(conn, replica, first - 1, first - 1)
        starts[replica] = START if first == 1 else before[0].chain if before else ""
    names = {one.id: one.name for one in people.everybody(conn)}
    wanted = {id for _, change in pairs for id in change.by}
    devices = {link.device for link, _ in pairs}
    draft.texts["people.json"] = canonical(
        {
            "devices": {id: found.name for id in devices if (found := people.device(conn, id)) is not None},
            "people": {id: names[id] for id in wanted if id in names},
            "replicas": {replica: chain[0].device for replica, chain in links.items()},
            "starts": starts,
        }
    )


# --- Grades -----------------------------------------------------------------------------------------------------------


def _grades(conn: Connection, house: Instance, shown: dict[str, _Shown]) -> list[dict[str, Any]]:
    """What the grade of each record is, and from which facts: inspections first, then the evidence that belongs to them."""
    grader = Grader(house, conn)
    return [
        _grade(grader, house, record, one)
        for kind in ("inspection", "patrol_note", "evidence")
        for record, one in sorted(shown.items())
        if one.state.kind == kind and kind in grading.GRADED
    ]


def _grade(grader: Grader, house: Instance, record: str, one: _Shown) -> dict[str, Any]:
    known = grader.known(one.state)
    graded = grading.grade_of(one.state.kind, one.values, known)
    assert graded is not None  # asked for kinds that have one
    return {
        "record": record,
        "kind": one.state.kind,
        "values": one.values,
        "covered": sorted(covered(house.registry[one.state.kind], one.values)),
        "content": known.content,
        "authors": [list(author) for author in known.authors],
        "officers": known.officers,
        "keys": known.keys,
        "contested": sorted(known.contested),
        "sources": [source.grade for source in known.sources],
        "grade": graded.grade,
        "reasons": [[reason.zh, reason.en] for reason in graded.reasons],
    }


# --- The report -------------------------------------------------------------------------------------------------------


def _report(
    conn: Connection,
    house: Instance,
    shown: dict[str, _Shown],
    record: str,
    pairs: list[tuple[Linked, Change]],
    told: list[Act],
    grades: list[dict[str, Any]],
    voice: Voice,
    trust: trusts.Published | None,
    points: dict[str, str],
    marks: dict[str, Marks],
) -> Report:
    names = {one.id: one.name for one in people.everybody(conn)}
    graded = {one["record"]: one for one in grades}
    first: dict[str, tuple[Linked, Change]] = {}
    for link, change in pairs:
        if change.kind == "evidence" and "sha256" in change.set:
            first.setdefault(change.record, (link, change))
    originals = [id for id in sorted(first) if shown[id].values.get("role") != "derived"]
    numbers = {id: number for number, id in enumerate(originals, start=1)}
    held = {str(act.body.get("sha256")): act for act in told if act.body["act"] == "blob-held"}
    items: list[Item] = []
    steps: list[Step] = []
    derived: list[Derivation] = []
    accesses: list[Access] = []
    for id in originals:
        link, change = first[id]
        values, number = shown[id].values, numbers[id]
        who = "、".join(names.get(one, one) for one in change.by)
        device = people.device(conn, link.device)
        clock, seen = change.body["clock"], change.body.get("seen")
        receipt = held.get(str(values["sha256"]))
        items.append(
            Item(
                number,
                id,
                str(values.get("caption") or values.get("item") or "照片或文件"),
                _zh(STATUTORY_KINDS, values.get("statutory_kind")),
                str(values["mime"]),
                int(values["size"]),
                str(values["sha256"]),
                values.get("sm3"),
                *_not_before(conn, link, seen, marks.get(link.log, Marks())),
                *_not_after(link, receipt, marks.get(link.log, Marks())),
                int(clock["wall"]) + int(clock["off"]),
                None,
                _place(values.get("place")),
                (who,),
                device.name if device else link.device,
                _zh(SOURCES, values.get("source")),
                graded[id]["grade"] if id in graded else "",
                blobs.get(conn, str(values["sha256"])) is not None,
            )  # fmt: skip
        )
        where = device.name if device else link.device
        steps.append(
            Step(number, int(clock["wall"]) + int(clock["off"]), "采集并签名", who, where, "平板（加密）", "采集时计算")
        )
        steps.append(Step(number, link.received, "变更写入日志", "服务器", "", "服务器", f"日志位置 {link.leaf}"))
        if receipt is not None:
            steps.append(Step(number, receipt.body["at"], "收到全部字节并重算", "服务器", "", "服务器", "SHA-256 一致"))
    for id in sorted(set(first) - set(originals)):
        values, (link, change) = shown[id].values, first[id]
        details = "；".join(f"{name} {value}" for name, value in (values.get("parameters") or {}).items())
        who = "、".join(names.get(one, one) for one in change.by)
        number = numbers.get(str(values.get("original")), 0)
        operation = _zh(OPERATIONS, values.get("operation"))
        derived.append(
            Derivation(
                number, link.received, operation, details, str(values.get("tool") or ""), str(values["sha256"]), who
            )
        )
    for act in told:
        if act.body["act"] in (acts.OPENED, acts.EXPORTED):
            who = names.get(str(act.body.get("by")), str(act.body.get("by")))
            what = "导出" if act.body["act"] == acts.EXPORTED else f"查阅 {str(act.body.get('blob'))[:12]}"
            accesses.append(Access(act.body["at"], who, what, str(act.body.get("purpose") or ""), act.leaf))
    accepted = [change for link, change in pairs if link.status == "accepted"]
    amended = amending.amended(house.registry, accepted, names)
    point = _point(points[voice.compartment])  # there is one: the export is a leaf of this log
    main = graded.get(record)
    party = next((str(one.values.get("name")) for one in shown.values() if one.state.kind == "institution"), "")
    parked = [
        f"{link.replica} 第 {link.n} 条未被采纳（{link.status}）" for link, _ in pairs if link.status != "accepted"
    ]
    parked += [
        f"证据 {numbers[id]}：记录所载{one.label.zh}与服务器由文件重算的不符（SHA-256 相符）"
        for id in originals
        if (found := digesting.compared(conn, shown[id].values)) is not None
        for one in found.wrong
    ]
    return Report(
        "", record, "", "", party, "", 0, "", fingerprint(trust.root) if trust is not None else "—",
        voice.origin, point.size, point.root.hex(),
        main["grade"] if main else "", tuple(zh for zh, _ in main["reasons"]) if main else (),
        tuple(items), tuple(steps), amended, tuple(derived), tuple(accesses), (), tuple(parked),
    )  # fmt: skip


def _not_before(conn: Connection, link: Linked, seen: Any, marks: Marks) -> tuple[int | None, str]:
    """Since when a change can have been written, and who says so: an authority, else this server about its checkpoint."""
    if not seen:
        return None, ""
    size = int(seen["size"])
    mark = marks.not_before(size)
    if mark is not None:
        return mark.ms, f"采集人所见日志（大小 {size}）含此前的{mark.by.zh}"
    return _made_at(conn, link.log, seen), f"采集人已见日志大小 {size}（服务器自述）"


def _not_after(link: Linked, receipt: Act | None, marks: Marks) -> tuple[int, str]:
    """By when it was written: witnesses or an authority, else this server's own receipt."""
    mark = marks.not_after(link.leaf)
    if mark is not None:
        return mark.ms, f"{mark.by.zh}，检查点大小 {mark.size}"
    if receipt is not None:
        return int(receipt.body["at"]), "服务器收讫（自述）"
    return link.received, "服务器收到变更（自述）"


def _made_at(conn: Connection, log: str, seen: Any) -> int | None:
    """When the checkpoint that somebody had seen was signed."""
    return merkle.made_at(conn, log, int(seen["size"])) if seen else None


def _place(place: Any) -> str:
    if not isinstance(place, dict):
        return ""
    return f"北纬 {place['lat'] / 1e7:.6f} 东经 {place['lon'] / 1e7:.6f}"


def _zh(options: dict[str, Label], value: Any) -> str:
    return options[value].zh if value in options else ""


def _title(house: Instance, one: _Shown) -> str:
    schema = house.registry[one.state.kind]
    return f"{schema.label.zh} {one.values.get(schema.title) or ''}".strip()


def _origin(house: Instance, act: Act) -> str:
    return house.keys.voice(act.log).origin


def _write(file: Path, draft: Draft, manifest: Manifest, signature: bytes) -> None:
    """Temporary name, fsync, rename: a bundle has its name only when it is whole."""
    scratch = file.with_name(f".{file.name}.new")
    try:
        with open(scratch, "wb") as out:
            draft.write(out, manifest, signature)
            out.flush()
            os.fsync(out.fileno())
        os.replace(scratch, file)
        sync_folder(file.parent)
    finally:
        scratch.unlink(missing_ok=True)


README = """电子证据包

本文件是普通 ZIP，可用任何解压软件打开。内容：
  report.pdf    电子证据保管链报告，先看它
  blobs/        原件和衍生件，文件名就是 SHA-256
  changes/      每台平板写下并签名的变更，一行一条
  chains/       变更的链：编号、校验值、签名；未展示的变更只有校验值
  acts.ndjson   服务器的动作：登记设备、收讫文件、查阅、导出
  proofs.ndjson、checkpoints.ndjson   日志的证明
  attested.ndjson、stamps/   见证会签和可信时间戳
  disclosed.ndjson   交办件的核验信息（如有）；组内信息只有承诺值，不在包内
  trust.json    信任文件，由根密钥签名

如何独立验证（不需要联网，也不需要服务器）：
  1. 从纸质文件、公告或当面取得根密钥指纹。不要用本包自称的指纹。
  2. 运行  python3 verify.py 证据包.fib --root "指纹"
     需要 Python 3.11 或更新；装有 cryptography 最好，没有时用本机的 openssl。
  3. 看最后一行和退出码：0 必查项目全部通过；1 有改动；2 材料不全；3 文件格式有误。
     “未检查”不等于通过。
"""
