"""The checks of an evidence bundle, V01 to V21: what each asks, and what it found, in words.

Every check answers *pass*, *fail* or *not checked*; the last never counts as the first. All of them look at the bundle
alone: no network, no clock, no database. The module and those that it imports travel inside every bundle, where the
standard library and either `cryptography` or `openssl` are enough to run it (`custody.single`), so nothing here may
need more.

What is believed: the root key, whose fingerprint the reader brings from elsewhere. It signs the trust file, which names
the keys of logs and servers; the log vouches for devices, and devices for what they wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, BinaryIO, Literal, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from custody import captures, digests, regrading, timestamps
from custody.bundle import BUNDLE_TAG, MANIFEST, SIGNATURE, Bundle, broken, parsed, raw, split
from custody.commitments import Part, commitment
from custody.timeline import Mark, Marks, Placed, bracketed, written
from schemas.labels import Label
from sync.core import anchors, cosigning
from sync.core import grade as grading
from sync.core.bracket import Bracket
from sync.core.change import START, Change, chain_hash, signature_input
from sync.core.errors import Problem
from sync.core.fold import Entry
from sync.core.log import leaf_hash, verify_consistency, verify_inclusion
from sync.core.note import Checkpoint, OpenedNote, body_of, fingerprint, lines_of, open_note
from sync.core.trust import Trust, open_trust
from sync.core.witnessing import cosigners, signed_by_log, witnessed_at

Outcome = Literal["pass", "fail", "not-checked"]
ACT_TAG = b"patrolbook/act/v1\0"
REQUIRED = frozenset({"V01", "V02", "V03", "V04", "V05", "V06", "V07", "V09", "V10", "V11", "V15"})
"""The checks without which a bundle proves nothing; the others say more about it."""

WORDS: Mapping[Outcome, Label] = {
    "pass": Label("通过", "pass"),
    "fail": Label("不通过", "FAIL"),
    "not-checked": Label("未检查", "not checked"),
}
ENDS = (
    Label("必查项目全部通过", "Every required check passed"),
    Label("发现改动：有检查不通过", "Something was altered: a check failed"),
    Label("材料不全：有必查项目未检查", "Incomplete: a required check could not be made"),
)
"""What a verdict says, by its exit code."""

APART_MS = 120_000
"""How far the clocks of two authorities or witnesses may be apart: each was within a minute of the server's."""
BY_STAMP, BY_WITNESS = Label("可信时间戳", "a time stamp"), Label("见证会签", "witnesses")

Progress = Callable[[str, int], None]

_LINK = {"hash", "n", "shown", "sig"}
_PLACE = {"leaf", "log", "status"}


class Finding(NamedTuple):
    """One check: its code, what it asks, its outcome, and what was found and where."""

    code: str
    title: Label
    outcome: Outcome
    detail: Label

    @property
    def required(self) -> bool:
        return self.code in REQUIRED


class Verdict(NamedTuple):
    """All findings, and the exit code: 0 all required checks passed, 1 something failed, 2 something was not checked."""

    findings: tuple[Finding, ...]

    @property
    def status(self) -> int:
        if any(one.outcome == "fail" for one in self.findings):
            return 1
        return 2 if any(one.required and one.outcome == "not-checked" for one in self.findings) else 0


class Link(NamedTuple):
    """A link of a replica's chain. Of a change that is not shown, only what the chain needs: no content, no place."""

    replica: str
    n: int
    hash: bytes
    signature: bytes
    status: str
    leaf: int
    log: str
    content: bytes | None


class Act(NamedTuple):
    log: str
    leaf: int
    text: str
    body: dict[str, Any]


class Attested(NamedTuple):
    """A checkpoint that witnesses cosigned or an authority stamped; `signed` is its note as the log alone signed it.

    proof   that the newest checkpoint here extends it
    stamps  names of time stamps over `signed`
    """

    note: OpenedNote
    signed: str
    proof: tuple[bytes, ...]
    stamps: tuple[str, ...]


class Stamp(NamedTuple):
    """A time stamp that was verified: what it says, over which checkpoint, and the SHA-256 of its response."""

    log: str
    size: int
    token: timestamps.Token
    digest: str


class Failed(Exception):
    """A check does not hold; `detail` says why."""

    def __init__(self, zh: str, en: str) -> None:
        self.detail = Label(zh, en)
        super().__init__(en)


class NotChecked(Failed):
    """A check cannot be made with what is there."""


@dataclass
class Examination:
    """A bundle under examination.

    root     what the reader typed as the fingerprint of the root key; spaces and case do not matter
    anchors  codes from paper copies, `PB1|<head>|<n>|<document hash>`
    render   lays the report out again, where the library for it is there
    """

    bundle: Bundle
    root: str = ""
    anchors: tuple[str, ...] = ()
    render: Callable[[bytes], bytes] | None = None
    progress: Progress = lambda code, done: None

    @cached_property
    def links(self) -> dict[str, list[Link]]:
        """replica → its links in the order of their numbers, with the contents that are shown."""
        found = {}
        for name in self.bundle.under("chains"):
            replica = name.removesuffix(".ndjson")
            file = f"changes/{name}"
            shown = iter(split(self.bundle.text(file), file) if self.bundle.has(file) else [])
            lines = self.bundle.lines(f"chains/{name}")
            found[replica] = [self._link(replica, line, shown, f"chains/{name}") for line in lines]
            if next(shown, None) is not None:
                raise broken(file)
        return found

    def _link(self, replica: str, line: Mapping[str, Any], shown: Iterator[bytes], name: str) -> Link:
        try:
            content = next(shown) if line["shown"] is True else None
            digest, signature = bytes.fromhex(line["hash"]), raw(line["sig"], name)
            status, leaf, log = (line["status"], line["leaf"], line["log"]) if content is not None else ("", -1, "")
            link = Link(replica, line["n"], digest, signature, status, leaf, log, content)
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            raise broken(name) from error
        whole = line.keys() == (_LINK if content is None else _LINK | _PLACE) and digest.hex() == line["hash"]
        if not whole or len(digest) != 32 or [type(one) for one in link[1:2] + link[4:7]] != [int, str, int, str]:
            raise broken(name)
        return link

    @cached_property
    def changes(self) -> list[tuple[Link, Change]]:
        """Every change that is shown. Raises Problem for one that is none."""
        links = [link for replica in self.links.values() for link in replica if link.content is not None]
        return [(link, Change.read(link.content)) for link in links if link.content is not None]

    @cached_property
    def acts(self) -> list[Act]:
        found = []
        for line in self.bundle.lines("acts.ndjson"):
            text = line.get("act")
            if type(text) is not str or type(line.get("leaf")) is not int or type(line.get("log")) is not str:
                raise broken("acts.ndjson")
            found.append(Act(line["log"], line["leaf"], text, parsed(text.encode(), "acts.ndjson")))
        return found

    def acts_of(self, what: str) -> list[Act]:
        return [act for act in self.acts if act.body.get("act") == what]

    @cached_property
    def trust(self) -> Trust | None:
        """The trust file, where the root that the reader named has signed it."""
        if not self.bundle.has("trust.json") or not self.root:
            return None
        try:
            return open_trust(self.bundle.text("trust.json"), self._trust_signature(), self._root_key())
        except Problem:
            return None

    def _trust_signature(self) -> bytes:
        return raw(self.bundle.text("trust.sig").decode("ascii", "replace").removesuffix("\n"), "trust.sig")

    def _root_key(self) -> bytes:
        """The root key in the bundle, which counts only because its fingerprint is the one that the reader brought."""
        key = raw(self.bundle.text("root.pub").decode("ascii", "replace").removesuffix("\n"), "root.pub")
        if _plain(fingerprint(key)) != _plain(self.root):
            raise broken("root.pub")
        return key

    @cached_property
    def checkpoints(self) -> dict[str, OpenedNote]:
        """origin → its newest checkpoint here, with the signatures of known keys."""
        trust = self.trust
        if trust is None:
            raise NotChecked(
                "没有可信的信任文件，不知道日志公钥", "the log's key is not known without a trusted trust file"
            )
        found = {}
        for line in self.bundle.lines("checkpoints.ndjson"):
            if "note" in line:
                note = open_note(str(line["note"]), trust.verifiers())
                found[note.checkpoint.origin] = note
        return found

    @cached_property
    def attested(self) -> list[Attested]:
        """Older checkpoints that others spoke about, and the newest where they did, with the signatures of known keys."""
        trust = self.trust
        if trust is None:
            raise NotChecked(
                "没有可信的信任文件，不知道日志公钥", "the log's key is not known without a trusted trust file"
            )
        found = []
        for line in self.bundle.lines("attested.ndjson"):
            text = str(line["note"])
            signed = f"{body_of(text)}\n{lines_of(text)[0]}"
            proof = tuple(raw(node, "attested.ndjson") for node in line["proof"])
            found.append(Attested(open_note(text, trust.verifiers()), signed, proof, tuple(map(str, line["stamps"]))))
        return found

    @cached_property
    def stamps(self) -> list[Stamp]:
        """Every time stamp, verified. Raises Failed for one that does not hold, NotChecked where that cannot be told."""
        trust, found = self.trust, []
        for one in self.attested:
            for name in one.stamps:
                response = self.bundle.text(f"stamps/{name}.tsr")
                point = one.note.checkpoint
                if self.bundle.text(f"stamps/{name}.note") != one.signed.encode():
                    raise Failed(
                        f"时间戳 {name} 所附检查点不符", f"the time stamp {name} comes with another checkpoint"
                    )
                if trust is None or not trust.stampers:
                    raise NotChecked(
                        "信任文件没有列出时间戳机构", "the trust file names no time stamping authority to believe"
                    )
                try:
                    token = timestamps.verify(response, one.signed.encode(), trust.stampers)
                except timestamps.NoJudge:
                    raise NotChecked(
                        "本机没有 rfc3161-client，也没有 openssl，时间戳的签名无法核验",
                        "there is neither rfc3161-client nor openssl here to check the signatures of time stamps",
                    ) from None
                found.append(Stamp(point.origin, point.size, token, hashlib.sha256(response).hexdigest()))
        return found

    def marks(self) -> dict[str, Marks]:
        """origin → what its stamps and witnesses say about its times. Raises as `stamps`."""
        trust = self.trust
        upper: dict[str, list[Mark]] = {}
        lower: dict[str, list[Mark]] = {}
        if trust is None:
            return {}
        known = {one.digest: one for one in self.stamps}
        for stamp in known.values():
            upper.setdefault(stamp.log, []).append(Mark(stamp.size, stamp.token.latest, BY_STAMP))
        for note in [*self.checkpoints.values(), *(one.note for one in self.attested)]:
            seconds = witnessed_at(note, trust)
            if seconds is not None:
                point = note.checkpoint
                upper.setdefault(point.origin, []).append(Mark(point.size, seconds * 1000 + 999, BY_WITNESS))
        for act in self.acts_of("stamped"):
            stamped = known.get(str(act.body.get("stamp")))
            if stamped is not None and stamped.log == act.log:
                lower.setdefault(act.log, []).append(Mark(act.leaf, stamped.token.earliest, BY_STAMP))
        return {log: Marks(upper.get(log, ()), lower.get(log, ())) for log in upper.keys() | lower.keys()}

    def stated(self) -> dict[str, Checkpoint]:
        """The same checkpoints as the bundle states them, whoever signed them."""
        found = {}
        for line in self.bundle.lines("checkpoints.ndjson"):
            if "note" in line:
                origin, size, root = str(line["note"]).split("\n")[:3]
                found[origin] = Checkpoint(origin, int(size), raw(root, "checkpoints.ndjson"))
        return found

    @cached_property
    def devices(self) -> dict[str, bytes]:
        """replica → the public key that its changes must be signed with."""
        people = self.bundle.document("people.json")
        keys: dict[str, bytes] = {}
        enrolled = {str(act.body.get("device")): str(act.body.get("key")) for act in self.acts_of("device-enrolled")}
        servers = self.trust.replicas if self.trust is not None else {self.bundle.manifest.signer: self._server_key}
        for replica, device in dict(people.get("replicas", {})).items():
            key = enrolled.get(str(device), "")
            if replica in servers:
                keys[replica] = servers[replica]
            elif len(key) == 64:
                keys[replica] = bytes.fromhex(key)
        return keys

    @property
    def _server_key(self) -> bytes:
        return raw(self.bundle.manifest.key, MANIFEST)

    def values_of(self, kind: str) -> dict[str, dict[str, Any]]:
        """record → path → every value that accepted changes which are shown wrote, the newest last, for a kind."""
        found: dict[str, dict[str, Any]] = {}
        ordered = sorted((pair for pair in self.changes if pair[0].status == "accepted"), key=lambda pair: pair[1].hlc)
        for _, change in ordered:
            if change.kind == kind:
                for path in change.set:
                    found.setdefault(change.record, {})[path] = change.value(path)
        return found


def examine(
    stream: BinaryIO,
    *,
    name: str = "",
    root: str = "",
    anchors: Iterable[str] = (),
    render: Callable[[bytes], bytes] | None = None,
    progress: Progress = lambda code, done: None,
) -> Verdict:
    """Make every check of a bundle.

    :raises Problem: it is no bundle at all, so that nothing can be checked (exit code 3)
    """
    bundle = Bundle(stream, name)
    _ = bundle.manifest
    case = Examination(bundle, root, tuple(anchors), render, progress)
    return Verdict(tuple(_made(case, code, title, check) for code, (title, check) in CHECKS.items()))


def _made(case: Examination, code: str, title: Label, check: Callable[[Examination], Label]) -> Finding:
    case.progress(code, 0)
    try:
        return Finding(code, title, "pass", check(case))
    except NotChecked as unknown:
        return Finding(code, title, "not-checked", unknown.detail)
    except Failed as failed:
        return Finding(code, title, "fail", failed.detail)
    except Problem as problem:
        return Finding(code, title, "fail", Label(problem.text("zh"), problem.text("en")))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        # What was altered may no longer have the shape that its reader takes for granted: altered it is.
        return Finding(code, title, "fail", Label(f"内容读不出来：{error!r}", f"the content cannot be read: {error!r}"))


# --- V01–V04: the bundle itself -------------------------------------------------------------------------------------


def _whole(case: Examination) -> Label:
    bundle = case.bundle
    listed = [one.name for one in bundle.manifest.members]
    there = [name.removeprefix("fib/") for name in bundle.archive if name not in (MANIFEST, SIGNATURE)]
    if there != listed or list(bundle.archive)[:2] != [MANIFEST, SIGNATURE]:
        odd = sorted(set(there) ^ set(listed))[:5]
        raise Failed(f"成员与清单不符：{odd}", f"the members are not those of the manifest: {odd}")
    count = len(listed)
    return Label(f"{count} 个成员，格式唯一，没有多余内容", f"{count} members in their one form, and nothing else")


def _digests(case: Examination) -> Label:
    done = 0
    for one in case.bundle.manifest.members:
        content, digest = case.bundle.open(one.name), hashlib.sha256()
        size = 0
        while piece := content.read(1 << 20):
            digest.update(piece)
            size += len(piece)
            done += len(piece)
            case.progress("V02", done)
        stated = case.bundle.archive[f"fib/{one.name}"]
        if digest.hexdigest() != one.sha256 or size != one.size or content.crc != stated.crc:
            raise Failed(f"{one.name} 的内容与清单不符", f"{one.name} does not match the manifest")
    key, signature = case._server_key, case.bundle.text("bundle.sig").decode("ascii", "replace").removesuffix("\n")
    if not _verifies(key, raw(signature, "bundle.sig"), BUNDLE_TAG + case.bundle.text("bundle.json")):
        raise Failed("清单的签名不对", "the signature under the manifest is wrong")
    trust = case.trust
    if trust is not None and trust.replicas.get(case.bundle.manifest.signer) != key:
        raise Failed(
            "清单不是由信任文件所列服务器签名", "the manifest was not signed by a server that the trust file names"
        )
    return Label("全部成员的校验值一致，清单签名有效", "all digests agree and the manifest's signature is valid")


def _trusted(case: Examination) -> Label:
    if not case.bundle.has("trust.json"):
        raise NotChecked("证据包没有信任文件", "the bundle has no trust file")
    if not case.root:
        shown = fingerprint(raw(case.bundle.text("root.pub").decode().removesuffix("\n"), "root.pub"))
        raise NotChecked(
            f"没有给出根密钥指纹（--root）。包内声称为 {shown}，请与纸质或公告核对",
            f"no fingerprint of the root key was given (--root). The bundle claims {shown}: compare it with paper",
        )
    if case.trust is None:
        raise Failed("信任文件不是由该根密钥签名", "the trust file is not signed by this root key")
    return Label(f"第 {case.trust.edition} 版，由根密钥签名", f"edition {case.trust.edition}, signed by the root key")


def _canonical(case: Examination) -> Label:
    for link, change in case.changes:
        if change.hash != link.hash:
            raise Failed(
                f"{link.replica} 第 {link.n} 条内容与其校验值不符",
                f"change {link.n} of {link.replica} has another hash",
            )
    count = len(case.changes)
    return Label(f"{count} 条变更均为规范格式，校验值一致", f"{count} changes in canonical form, each with its hash")


# --- V05–V08: who wrote it --------------------------------------------------------------------------------------------


def _signatures(case: Examination) -> Label:
    heads, count = _heads(case), 0
    for link in (link for links in case.links.values() for link in links):
        key = case.devices.get(link.replica)
        if key is None:
            raise Failed(f"不知道 {link.replica} 的设备公钥", f"the key of the device of {link.replica} is not known")
        if not _verifies(key, link.signature, signature_input(heads[link.replica, link.n])):
            raise Failed(
                f"{link.replica} 第 {link.n} 条的设备签名不对",
                f"the device did not sign change {link.n} of {link.replica}",
            )
        count += 1
        case.progress("V05", count)
    return Label(f"{count} 个设备签名有效", f"{count} valid signatures of devices")


def _chained(case: Examination) -> Label:
    starts = case.bundle.document("people.json").get("starts", {})
    gaps = []
    for replica, links in case.links.items():
        numbers = [link.n for link in links]
        if numbers != sorted(set(numbers)):
            raise Failed(
                f"{replica} 的编号重复或颠倒（分叉）", f"numbers of {replica} are doubled or out of order (a fork)"
            )
        gaps += [f"{replica} {a + 1}–{b - 1}" for a, b in zip(numbers, numbers[1:], strict=False) if b != a + 1]
        if numbers and numbers[0] == 1 and starts.get(replica) != START:
            raise Failed(f"{replica} 的链没有从头开始", f"the chain of {replica} does not begin at its beginning")
    if gaps:
        raise Failed(f"链上有缺口：{'、'.join(gaps)}", f"the chain has gaps: {', '.join(gaps)}")
    _heads(case)
    return Label(f"{len(case.links)} 条链首尾相扣，没有缺口", f"{len(case.links)} chains without a gap")


def _enrolled(case: Examination) -> Label:
    people = case.bundle.document("people.json").get("replicas", {})
    enrolled = {str(act.body.get("device")): act for act in case.acts_of("device-enrolled")}
    revoked = {str(act.body.get("device")): act for act in case.acts_of("device-revoked")}
    servers = case.trust.replicas if case.trust is not None else {case.bundle.manifest.signer: b""}
    late = []
    for replica, links in case.links.items():
        device = str(people.get(replica, ""))
        if replica in servers:
            continue
        if device not in enrolled:
            raise Failed(f"日志中没有 {replica} 的设备登记", f"no log says that the device of {replica} was enrolled")
        act = enrolled[device]
        stop = revoked.get(device)
        late += [
            f"{replica} {link.n}"
            for link in links
            if link.content is not None
            and link.log == act.log
            and (link.leaf < act.leaf or (stop is not None and link.leaf > stop.leaf and link.status == "accepted"))
        ]
    if late:
        raise Failed(
            f"登记之前或停用之后被采纳：{'、'.join(late)}",
            f"accepted before enrolment or after revocation: {', '.join(late)}",
        )
    return Label(f"{len(enrolled)} 台设备的登记在日志中", f"the log has the enrolment of {len(enrolled)} devices")


def _cosigned(case: Examination) -> Label:
    graded = case.bundle.lines("grades.ndjson")
    if not any(one["kind"] == "inspection" for one in graded):
        raise NotChecked("没有检查记录", "there is no inspection")
    told = []
    for one in graded:
        if one["kind"] == "inspection":
            names, refused = grading.cosigners(one["values"], _known(one))
            told.append((one["record"], len(names), refused))
    short = [(record, count, refused) for record, count, refused in told if count < 2]
    if short:
        zh = "；".join(
            f"{record[-8:]} 有效会签 {count} 个{'：' + '、'.join(r.zh for r in refused) if refused else ''}"
            for record, count, refused in short
        )
        en = "; ".join(
            f"{record[-8:]}: {count} valid{': ' + ', '.join(r.en for r in refused) if refused else ''}"
            for record, count, refused in short
        )
        raise NotChecked(
            f"会签不足两人，等级因此降低：{zh}", f"fewer than two co-signatures, which lowers the grade: {en}"
        )
    return Label("每份检查均有两名持证人员会签", "two officers co-signed each inspection")


# --- V09–V13: files, log, witnesses, stamps ---------------------------------------------------------------------------


def _originals(case: Examination) -> Label:
    said = {str(values.get("sha256")): values for values in case.values_of("evidence").values()}
    there = set(case.bundle.under("blobs"))
    named = {change.value("sha256") for _, change in case.changes if "sha256" in change.set}  # in conflict, too
    if there - named:
        odd = min(there - named)[:12]
        raise Failed(f"没有记录写明文件 {odd}", f"no record names the file {odd}")
    done = 0
    for name in sorted(there):
        content = case.bundle.open(f"blobs/{name}")
        found = digests.digests_of(content)  # type: ignore[arg-type]
        if found.sha256 != name:
            raise Failed(f"文件 {name[:12]} 内容已变", f"the file {name[:12]} holds other bytes")
        values = said.get(name, {})
        if values and (values.get("size") != found.size or values.get("tree", found.tree) != found.tree):
            raise Failed(f"文件 {name[:12]} 与其记录不符", f"the file {name[:12]} does not match its record")
        sm3 = values.get("sm3")
        if sm3 and digests.sm3_of(case.bundle.open(f"blobs/{name}")) != sm3:  # type: ignore[arg-type]
            raise Failed(f"文件 {name[:12]} 的 SM3 不符", f"the SM3 of {name[:12]} does not match")
        done += found.size
        case.progress("V09", done)
    missing = sorted(digest for digest in said if digest not in there)
    lost = [digest for digest in missing if digest not in case.bundle.manifest.withheld]
    if lost:
        raise Failed(f"原件 {lost[0][:12]} 不见了", f"the original {lost[0][:12]} is gone")
    if missing:
        count = len(missing)
        raise NotChecked(
            f"{count} 件原件未附在包内，只有校验值", f"{count} originals are not in the bundle, only their digests"
        )
    return Label(
        f"{len(there)} 个文件的 SHA-256、分块树、SM3 一致", f"SHA-256, chunk tree and SM3 of {len(there)} files agree"
    )


def _included(case: Examination) -> Label:
    proofs = {(one["log"], one["leaf"]): one for one in case.bundle.lines("proofs.ndjson")}
    points = case.stated()
    wanted = [(link.log, link.leaf, leaf_hash(link.hash), f"{link.replica} {link.n}") for link, _ in case.changes]
    wanted += [
        (act.log, act.leaf, leaf_hash(hashlib.sha256(ACT_TAG + act.text.encode()).digest()), str(act.body.get("act")))
        for act in case.acts
    ]
    for log, leaf, digest, what in wanted:
        proof, point = proofs.get((log, leaf)), points.get(log)
        if proof is None or point is None:
            raise Failed(f"缺少包含性证明：{what}", f"no inclusion proof for {what}")
        path = [raw(node, "proofs.ndjson") for node in proof["proof"]]
        if not verify_inclusion(digest, leaf, point.size, path, point.root):
            raise Failed(f"不在日志中：{what}", f"not in the log: {what}")
    return Label(f"{len(wanted)} 条变更和动作都在日志中", f"{len(wanted)} changes and acts are in the log")


def _noted(case: Examination) -> Label:
    notes, trust = case.checkpoints, case.trust
    if trust is None:  # `checkpoints` raised already
        raise NotChecked("", "")
    for origin in case.stated():
        note = notes.get(origin)
        if note is None or not signed_by_log(note) or origin not in trust.logs:
            raise Failed(f"检查点不是由日志 {origin} 签名", f"the checkpoint is not signed by the log {origin}")
        seen = len(cosigners(note, trust))
        if seen < trust.quorum:
            raise Failed(f"见证 {seen} 个，应有 {trust.quorum} 个", f"{seen} witnesses, {trust.quorum} are needed")
    for one in case.attested:
        if not signed_by_log(one.note) or one.note.checkpoint.origin not in trust.logs:
            origin = one.note.checkpoint.origin
            raise Failed(f"检查点不是由日志 {origin} 签名", f"the checkpoint is not signed by the log {origin}")
    return Label(
        f"{len(notes)} 个检查点签名有效，见证数达到要求",
        f"{len(notes)} checkpoints signed, with as many witnesses as asked",
    )


def _consistent(case: Examination) -> Label:
    points, count = case.stated(), 0
    views: set[str] = set()
    for line in case.bundle.lines("checkpoints.ndjson"):
        if "note" in line:
            origin = str(line["note"]).split("\n")[0]
            if origin in views:
                raise Failed(
                    f"日志 {origin} 有两个检查点（两份视图）", f"the log {origin} has two checkpoints (a split view)"
                )
            views.add(origin)
        if "old" in line:
            point = points[line["log"]]
            path = [raw(node, "checkpoints.ndjson") for node in line["proof"]]
            if not verify_consistency(line["old"], point.size, bytes.fromhex(line["root"]), point.root, path):
                raise Failed(
                    f"日志没有延续大小 {line['old']} 的检查点",
                    f"the log does not extend its checkpoint of size {line['old']}",
                )
            count += 1
    count += _attested_consistent(case, points)
    return Label(f"{count} 个较早的检查点均被延续", f"{count} earlier checkpoints are extended")


def _attested_consistent(case: Examination, points: Mapping[str, Checkpoint]) -> int:
    """That the newest checkpoint extends every one that others spoke about; how many there are."""
    if not case.bundle.has("attested.ndjson") or case.trust is None:
        return 0
    for one in case.attested:
        old = one.note.checkpoint
        point = points[old.origin]
        if not verify_consistency(old.size, point.size, old.root, point.root, one.proof):
            raise Failed(
                f"日志没有延续大小 {old.size} 的检查点", f"the log does not extend its checkpoint of size {old.size}"
            )
    return len(case.attested)


def _stamped(case: Examination) -> Label:
    acts = case.acts_of("stamped")
    if not any(True for _ in case.bundle.under("stamps")) and not acts:
        raise NotChecked("包内没有可信时间戳", "the bundle holds no time stamps")
    stamps = sorted(case.stamps, key=lambda one: (one.log, one.size))
    known = {one.digest for one in stamps}
    for act in acts:
        if act.body.get("stamp") not in known:
            raise Failed(
                f"日志 {act.log} 位置 {act.leaf} 所记的时间戳不在包内",
                f"the time stamp that leaf {act.leaf} of {act.log} is about is not here",
            )
    for before, after in pairwise(stamps):
        if before.log == after.log and before.token.earliest > after.token.latest + APART_MS:
            raise Failed(
                f"大小 {after.size} 的时间戳早于大小 {before.size} 的",
                f"the time stamp at {after.size} is older than the one at {before.size}",
            )
    shown = "、".join(written(one.token.at) for one in stamps[:10])
    return Label(
        f"{len(stamps)} 个时间戳由信任文件所列机构签发：{shown}",
        f"{len(stamps)} time stamps by authorities of the trust file: {shown}",
    )


# --- V14–V21: time, anchors, derivation, access, report, grade, seals -----------------------------------------------------


def _bracketed(case: Examination) -> Label:
    if not any(change.kind == "evidence" for _, change in case.changes):
        raise NotChecked("没有证据", "there is no evidence")
    try:
        marks = case.marks()
    except (Failed, Problem) as unusable:
        raise NotChecked(
            "时间戳或检查点没有通过核验（见 V11、V13），不能据以定时间",
            "the stamps or checkpoints did not hold (see V11, V13), so no time can rest on them",
        ) from unusable
    told, bare = [], 0
    for replica, chain in _chains_shown(case).items():
        log = chain[0][0].log
        placed = [
            Placed(link.n, change.body["clock"], link.leaf, (change.body.get("seen") or {}).get("size"))
            for link, change in chain
        ]
        for (link, change), bounds in zip(chain, bracketed(placed, marks.get(log, Marks())), strict=True):
            if bounds.contradictory and (bounds.proven_from or 0) > (bounds.proven_to or 0) + APART_MS:
                raise Failed(
                    f"{replica} 第 {link.n} 条的时间上下限矛盾",
                    f"the bounds of change {link.n} of {replica} contradict",
                )
            if change.kind == "evidence" and "sha256" in change.set:
                bare += change.body.get("seen") is None
                told.append(_told(change, bounds))
    count = len(told)
    zh, en = "；".join(one.zh for one in told[:20]), "; ".join(one.en for one in told[:20])
    if bare:
        raise NotChecked(
            f"{bare} 条采集时尚未见过检查点，没有下限。{zh}",
            f"{bare} were captured before any checkpoint was seen: no lower bound. {en}",
        )
    return Label(
        f"{count} 件证据的采集不早于其载明的检查点，不晚于其日志位置。{zh}",
        f"{count} were captured after the checkpoint that they name and before their place in the log. {en}",
    )


def _chains_shown(case: Examination) -> dict[str, list[tuple[Link, Change]]]:
    found: dict[str, list[tuple[Link, Change]]] = {}
    for link, change in case.changes:
        found.setdefault(link.replica, []).append((link, change))
    return found


def _told(change: Change, bounds: Bracket) -> Label:
    """The bracket of one piece of evidence, as far as others than the server vouch for it."""
    name = change.record[-8:]
    if bounds.proven_from is None and bounds.proven_to is None:
        return Label(f"{name}：没有外部时间", f"{name}: no outside time")
    start = written(bounds.proven_from) if bounds.proven_from is not None else None
    end = written(bounds.proven_to) if bounds.proven_to is not None else None
    zh = [f"不早于 {start}"] * bool(start) + [f"不晚于 {end}"] * bool(end)
    en = [f"not before {start}"] * bool(start) + [f"not after {end}"] * bool(end)
    return Label(f"{name}：{'，'.join(zh)}", f"{name}: {', '.join(en)}")


def _seen(case: Examination) -> Label:
    points, count = case.stated(), 0
    proofs = {(one["log"], one["old"], one["root"]) for one in case.bundle.lines("checkpoints.ndjson") if "old" in one}
    for link, change in case.changes:
        seen = change.body.get("seen")
        if seen is None:
            continue
        point = points.get(link.log)
        same = point is not None and (seen["size"], seen["root"]) == (point.size, point.root.hex())
        if not same and (link.log, seen["size"], seen["root"]) not in proofs:
            raise Failed(
                f"{link.replica} 第 {link.n} 条所见的日志不是这一份（分叉）",
                f"change {link.n} of {link.replica} saw another log (a fork)",
            )
        count += 1
    return Label(
        f"{count} 条变更所见的检查点都在这份日志里", f"the checkpoints that {count} changes saw are of this log"
    )


def _anchored(case: Examination) -> Label:
    """Codes that the reader typed, and the anchors that other tablets and the paper copies left in the changes."""
    heads = _heads(case)
    for code in case.anchors:
        paper = anchors.read_paper(code)
        if not any(n == paper.n and head == paper.head for (_, n), head in heads.items()):
            raise Failed(f"第 {paper.n} 条的链头与纸上不同", f"the chain's head at {paper.n} is not the one on paper")
    held, beyond = len(case.anchors), 0
    for record, values in case.values_of("anchor").items():
        replica, n, head = str(values.get("replica")), int(values["n"]), str(values.get("head"))
        if values.get("sort") == "peer":
            told = anchors.Peer(replica, n, head, str(values.get("key")), cosigning.read(values.get("signature")))
            key = case.devices.get(replica)
            if not anchors.vouched(told) or (key is not None and key.hex() != told.key):
                raise Failed(f"锚定 {record} 不是该平板签名", f"the anchor {record} was not signed by that tablet")
        if (replica, n) not in heads:
            beyond += 1
        elif heads[replica, n] != head:
            raise Failed(
                f"{replica} 第 {n} 条的链头与锚定不同（平板曾被回退）",
                f"the head of {replica} at {n} is not the one that was anchored (the tablet was rolled back)",
            )
        else:
            held += 1
    if not held:
        raise NotChecked(
            f"没有给出纸质锚（--anchor），包内有 {beyond} 个锚定指向包外的链段",
            f"no paper anchor was given (--anchor); {beyond} anchors in the bundle name changes outside of it",
        )
    outside = (
        (f"；另有 {beyond} 个指向包外", f"; {beyond} more name changes outside of the bundle") if beyond else ("", "")
    )
    return Label(f"{held} 个锚定与链一致{outside[0]}", f"{held} anchors agree with the chain{outside[1]}")


def _derived(case: Examination) -> Label:
    evidence = case.values_of("evidence")
    made = {record: values for record, values in evidence.items() if values.get("role") == "derived"}
    lost = [record for record, values in made.items() if values.get("original") not in evidence]
    if lost:
        raise Failed(f"衍生件没有对应的原件：{lost}", f"derived without their originals: {lost}")
    return Label(f"{len(made)} 个衍生件都指明了原件", f"{len(made)} derived files name their originals")


def _accessed(case: Examination) -> Label:
    number = case.bundle.manifest.number
    exports = [act for act in case.acts_of("exported") if act.body.get("bundle") == number]
    if not exports:
        raise Failed("日志中没有本证据包的导出记录", "the log does not say that this bundle was exported")
    opened = len(case.acts_of("opened"))
    return Label(f"本次导出及 {opened} 次查阅均在日志中", f"the log has this export and {opened} openings")


def _rendered(case: Examination) -> Label:
    report, shown = case.bundle.document("report.json"), case.values_of("evidence")
    known = {(record, values.get("sha256")) for record, values in shown.items()}
    for item in report["items"]:
        if (item["evidence"], item["sha256"]) not in known:
            raise Failed(
                f"报告中的 {item['evidence']} 与变更不符", f"the report's {item['evidence']} is not what was written"
            )
    if report["content"] != case.bundle.manifest.content:
        raise Failed("报告所列内容校验值与证据包不符", "the report names another content digest than the bundle has")
    if case.render is None:
        raise NotChecked(
            "报告数据一致；本机不能重排 PDF", "the report's data agree; this machine cannot lay out the PDF again"
        )
    if case.render(case.bundle.text("report.json")) != case.bundle.text("report.pdf"):
        raise Failed("报告 PDF 与其数据不符", "the PDF is not the report of these data")
    return Label("报告与数据一致，PDF 逐字节相同", "the report agrees with the data, and the PDF byte by byte")


def _graded(case: Examination) -> Label:
    lines = case.bundle.lines("grades.ndjson")
    if not lines:
        raise NotChecked("没有需要定级的记录", "there is nothing that has a grade")
    try:
        found = regrading.regraded(lines, list(_wrote(case)))
    except regrading.Wrong as wrong:
        raise Failed(wrong.detail.zh, wrong.detail.en) from wrong
    shown = "、".join(f"{one.record[-8:]} {one.grade}" for one in found[:20])
    unproved = sorted({label for one in found for label in one.unproved})
    if unproved:
        raise NotChecked(
            f"重新计算的等级一致：{shown}；但{'；'.join(one.zh for one in unproved)}",
            f"grades computed again agree: {shown}; but {'; '.join(one.en for one in unproved)}",
        )
    return Label(f"重新计算的等级一致：{shown}", f"grades computed again agree: {shown}")


def _committed(case: Examination) -> Label:
    """Sealed files: what the capture key stated about them, and what was disclosed of what they were committed to."""
    count, handed, told = _stated(case), dict(_handed(case)), 0
    for line in case.bundle.lines("disclosed.ndjson"):
        named = handed.get((line["handover"], line["object"]))
        if named is None:
            raise Failed(
                f"没有交办件 {line['handover']} 第 {line['object']} 件", f"there is no object {line['object']} of {line['handover']}"
            )
        sha256, commit = named
        if commitment(Part.FACTS, line["facts"], bytes.fromhex(line["r"])) != commit or line["facts"]["content"] != sha256:
            raise Failed(
                f"交办第 {line['object']} 件的核验信息与采集时的承诺值不符",
                f"the facts of object {line['object']} are not what was committed to when it was captured",
            )
        told += 1
    if not count and not handed:
        raise NotChecked("没有密封证据", "there is no sealed evidence")
    zh = [f"{count} 件密封证据与采集密钥签名的声明一致"] * bool(count)
    en = [f"{count} sealed files are as the capture key stated"] * bool(count)
    if handed:
        zh.append(f"交办 {len(handed)} 件，其中 {told} 件的核验信息与承诺值一致")
        en.append(f"{len(handed)} files handed over, the facts of {told} of them fit their commitments")
    zh.append("组内信息（名称、说明、暗访编号、位置）只有承诺值，未披露")
    en.append("what the team told (name, note, audit, place): commitment only, not disclosed")
    if told < len(handed):
        raise NotChecked("；".join(zh), "; ".join(en))
    return Label("；".join(zh), "; ".join(en))


def _stated(case: Examination) -> int:
    """How many pieces of sealed evidence say what their signed statement says."""
    count = 0
    for record, values in case.values_of("sealed_evidence").items():
        if values.get("capture"):
            statement, member = str(values["capture"]).encode(), "sealed_evidence"
            said = captures.open_capture(statement, raw(values.get("capture_sig"), member), raw(values.get("capture_key"), member))
            if not said.states(record, values):
                raise Failed(f"密封证据 {record} 与其采集声明不符", f"the sealed evidence {record} is not what was stated of it")
            count += 1
    return count


def _handed(case: Examination) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """(hand-over, object) → digest of the sealed file and the commitment to its facts. Raises Failed where one has not both."""
    for record, values in case.values_of("handover").items():
        for path, named in values.items():
            name, _, key = path.partition("/")
            if name != "objects" or named is None:
                continue
            keys = values.get(f"keys/{key}") or {}
            commits = [str(keys.get(one)) for one in ("facts_commit", "team_commit")]
            if any(len(one) != 64 or set(one) - set("0123456789abcdef") for one in commits):
                raise Failed(f"交办第 {key} 件没有两个承诺值", f"object {key} of a hand-over has not both commitments")
            yield (record, key), (str(named["sha256"]), commits[0])


def _wrote(case: Examination) -> Iterator[regrading.Wrote]:
    """Every change that is shown with what the log says of its device."""
    devices = dict(case.bundle.document("people.json").get("replicas", {}))
    enrolled = {str(act.body.get("device")): act for act in case.acts_of("device-enrolled")}
    revoked = {str(act.body.get("device")): act for act in case.acts_of("device-revoked")}
    servers = case.trust.replicas if case.trust is not None else {case.bundle.manifest.signer: b""}
    for link, change in case.changes:
        device = str(devices.get(link.replica))
        act, stop = enrolled.get(device), revoked.get(device)
        yield regrading.Wrote(
            Entry(change, "accepted" if link.status == "accepted" else "parked"),
            str(act.body.get("role") or "") if act is not None else "",
            stop is not None and link.log == stop.log and link.leaf > stop.leaf,
            link.replica in servers,
        )


CHECKS: dict[str, tuple[Label, Callable[[Examination], Label]]] = {
    "V01": (Label("压缩包安全完整", "the archive is safe and whole"), _whole),
    "V02": (Label("清单校验值与签名", "digests and signature of the manifest"), _digests),
    "V03": (Label("信任文件由根密钥签名", "the trust file is signed by the root key"), _trusted),
    "V04": (Label("变更为规范格式", "changes are in canonical form"), _canonical),
    "V05": (Label("设备签名", "signatures of devices"), _signatures),
    "V06": (Label("链：编号、前后相扣、缺口", "chains: numbers, links, gaps"), _chained),
    "V07": (Label("设备已登记且未停用", "devices were enrolled and not revoked"), _enrolled),
    "V08": (Label("两名持证人员会签", "two officers co-signed"), _cosigned),
    "V09": (Label("原件：SHA-256、SM3、分块树", "originals: SHA-256, SM3, chunk tree"), _originals),
    "V10": (Label("日志包含性证明", "inclusion in the log"), _included),
    "V11": (Label("检查点签名与见证", "signatures of checkpoints, and witnesses"), _noted),
    "V12": (Label("日志前后一致", "the log extends its earlier checkpoints"), _consistent),
    "V13": (Label("可信时间戳", "time stamps (RFC 3161)"), _stamped),
    "V14": (Label("采集时间区间", "time bracket of capture"), _bracketed),
    "V15": (Label("所见检查点与日志一致", "what was seen of the log is of this log"), _seen),
    "V16": (Label("纸质锚与互证锚", "anchors on paper and with others"), _anchored),
    "V17": (Label("衍生件有原件", "derived files have their originals"), _derived),
    "V18": (Label("查阅与导出有记录", "openings and exports are logged"), _accessed),
    "V19": (Label("报告与数据一致", "the report agrees with the data"), _rendered),
    "V20": (Label("等级重新计算一致", "grades computed again"), _graded),
    "V21": (Label("密封证据与承诺值一致", "sealed evidence fits what was committed to"), _committed),
}


# --- Pieces ----------------------------------------------------------------------------------------------------------


def _heads(case: Examination) -> dict[tuple[str, int], str]:
    """(replica, n) → the chain hash after that change, computed from the link before the first one on."""
    starts = case.bundle.document("people.json").get("starts", {})
    found = {}
    for replica, links in case.links.items():
        head = str(starts.get(replica, START))
        for link in links:
            head = chain_hash(replica, link.n, head, link.hash)
            found[replica, link.n] = head
    return found


def _known(one: Mapping[str, Any]) -> grading.Known:
    return grading.Known(
        content=one["content"],
        authors=[grading.Author(*author) for author in one["authors"]],
        officers=one["officers"],
        keys=one["keys"],
        contested=one["contested"],
        sources=[grading.Graded(grade) for grade in one["sources"]],
    )


def _verifies(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _plain(text: str) -> str:
    return "".join(text.split()).lower()


__all__ = ["CHECKS", "REQUIRED", "Examination", "Finding", "Verdict", "examine"]
