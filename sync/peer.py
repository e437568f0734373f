"""The verbs that every peer answers, and the shapes that go over.

A peer is whoever a replica synchronises with: the county's server behind HTTP, or the same server's functions in
one process. `tests/contract/test_peer.py` is one test for all of them. Answers are plain values; whatever a peer
cannot or will not do it raises as a `sync.core.errors.Problem`, and what looks like a bad connection as
`Unavailable`.

Every verb may be repeated: an answer that was lost on the way is asked for again, and nothing happens twice.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

import orjson

from schemas.base import DELETED
from sync.core.change import canonical
from sync.core.errors import Unavailable
from sync.core.fold import Status, checksum

Role = Literal["original", "preview", "thumbnail"]

_PUT = b'"put":'


# ---- greeting and enrolling --------------------------------------------------------------------------------


class LogKey(NamedTuple):
    """Which log the server keeps and the 32-byte Ed25519 key that signs its checkpoints."""

    origin: str
    key: bytes


class Limits(NamedTuple):
    """What a peer takes at once. Bytes, except `push_changes`."""

    push_changes: int = 4000
    push_bytes: int = 8 * 1024 * 1024
    change_bytes: int = 1024 * 1024
    pull_bytes: int = 1024 * 1024
    part_bytes: int = 16 * 1024 * 1024
    blob_bytes: int = 1 << 40

    @classmethod
    def of(cls, told: Mapping[str, int]) -> Limits:
        """From what a server tells; limits that it does not name, or that we do not know, are left alone."""
        return cls(**{name: told[name] for name in cls._fields if name in told})


class Hello(NamedTuple):
    """Who the peer is. `time_ms`: its clock in milliseconds since 1970; `schemas`: kind → newest version."""

    epoch: str
    time_ms: int
    logs: tuple[LogKey, ...]
    limits: Limits = Limits()
    schemas: Mapping[str, int] = {}


class Person(NamedTuple):
    id: str
    name: str
    role: str


class Grant(NamedTuple):
    """What a person may do where; `until` is a moment in milliseconds since 1970, None for no end."""

    area: str
    role: str
    until: int | None = None


class TrustFile(NamedTuple):
    """The trust file of a server: its bytes, the root's signature, and the root's public key as the server says."""

    content: bytes
    signature: bytes
    root: bytes


class Enrolment(NamedTuple):
    """The answer to a one-time code."""

    device: str
    person: Person
    grants: tuple[Grant, ...]
    epoch: str
    log: LogKey
    time_ms: int


ENROL_TAG = b"patrolbook/enrol/v1\0"


def enrolment_proof_input(code: str, public_key: bytes) -> bytes:
    """The bytes that a device signs to show that it holds the private half of the key that it enrols."""
    return ENROL_TAG + code.encode() + public_key


# ---- the lease of a tablet's keys --------------------------------------------------------------------------


UNLOCK_TAG = b"patrolbook/unlock/v1\0"


class LeaseClaim(NamedTuple):
    """What an unlocked tablet tells with its wish for a lease.

    contact   the public key by which it asks when it is locked
    key       the public half of the key that only the right PIN gives
    recovery  the version of the recipients that its keys can be recovered by; None where nobody can
    """

    contact: bytes
    key: bytes
    recovery: int | None = None


class Lease(NamedTuple):
    """A share (32 bytes) that the server lends; both times are the server's, in milliseconds since 1970."""

    share: bytes
    granted_ms: int
    expires_ms: int


class Unlocking(NamedTuple):
    """How a locked tablet shows that somebody knows its PIN: a signature by the lease key, over a moment and a nonce."""

    at_ms: int
    nonce: str
    proof: bytes


def unlock_proof_input(device: str, at_ms: int, nonce: str) -> bytes:
    """The bytes that the lease key signs."""
    return UNLOCK_TAG + f"{device}\n{at_ms}\n{nonce}".encode()


# ---- changes going up --------------------------------------------------------------------------------------


class Run(NamedTuple):
    """Consecutive changes of one replica: the first one's number and `prev`, and the signature of each."""

    replica: str
    n: int
    prev: str
    signatures: tuple[bytes, ...]


class Batch(NamedTuple):
    """Changes on their way: contents in the order of the runs, and their ids in the same order."""

    epoch: str
    runs: tuple[Run, ...]
    contents: tuple[bytes, ...]
    ids: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of content."""
        return sum(map(len, self.contents))

    def body(self) -> bytes:
        """The batch as NDJSON: a line for the envelope, then the canonical content of each change."""
        envelope = {
            "epoch": self.epoch,
            "runs": [
                {"replica": r.replica, "n": r.n, "prev": r.prev, "sigs": [_base64(s) for s in r.signatures]}
                for r in self.runs
            ],
        }
        return b"\n".join([canonical(envelope), *self.contents, b""])


class Result(NamedTuple):
    """What the server did with one change, and where it stands.

    record  the root of the record at that time; `rev` its revision that contains the change
    bucket  where the record is, `at` its position in there
    leaf    the change's index in the log; -1 where it has none
    """

    id: str
    status: Status
    record: str
    rev: int
    bucket: str
    at: int
    leaf: int = -1
    duplicate: bool = False
    reason: str = ""
    field: str = ""
    detail: str = ""


class TailReceipt(NamedTuple):
    """Proof that the new changes of a batch are the last leaves of the log with this checkpoint.

    before    the size of the log before them; `frontier` its frontier (`sync.core.log`)
    leaves    their ids in the order of the log
    """

    before: int
    frontier: tuple[bytes, ...]
    leaves: tuple[str, ...]
    checkpoint: str


class PushAnswer(NamedTuple):
    epoch: str
    results: tuple[Result, ...]
    receipt: TailReceipt | None


# ---- states coming down ------------------------------------------------------------------------------------


class PullRequest(NamedTuple):
    """`log_size`: the size of the newest checkpoint that the reader knows, None where it wants no proof."""

    epoch: str
    cursors: Mapping[str, str]
    limit_bytes: int | None = None
    log_size: int | None = None

    def body(self) -> bytes:
        asked: dict[str, Any] = {"epoch": self.epoch, "cursors": dict(self.cursors)}
        if self.limit_bytes is not None:
            asked["limit_bytes"] = self.limit_bytes
        if self.log_size is not None:
            asked["log"] = {"size": self.log_size}
        return orjson.dumps(asked)


Put = tuple[str, str, int, bytes, int, int]
"""A record as merged: id, kind, revision, the exact bytes of its `State`, their checksum, 1 where it `is_special`.

A plain tuple of plain values, because thousands of them go straight into a table.
"""


class Gone(NamedTuple):
    """A record left a bucket: `why` is moved or merged; `into` is the root that it was merged into."""

    id: str
    bucket: str
    why: str = "moved"
    into: str = ""


class Consistency(NamedTuple):
    """A newer checkpoint and the proof that its log extends the one whose size was asked about."""

    checkpoint: str
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a pull. To be applied in one transaction together with its cursors.

    heads     bucket → its newest position
    granted   buckets that the reader had no cursor for; `revoked` those that are no longer his
    sums      only where `more` is false: bucket → (number of records, sum of their checksums)
    puts      bucket → the records that came or changed; `members` root → the records merged into it, of those with any
    positions bucket → the last position in this page
    """

    epoch: str
    time_ms: int
    heads: Mapping[str, int]
    granted: tuple[str, ...]
    revoked: tuple[str, ...]
    cursors: Mapping[str, str]
    more: bool
    sums: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    puts: Mapping[str, Sequence[Put]] = field(default_factory=dict)
    gones: Sequence[Gone] = ()
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    positions: Mapping[str, int] = field(default_factory=dict)
    log: Consistency | None = None

    @property
    def records(self) -> int:
        """How many records came or changed."""
        return sum(map(len, self.puts.values()))

    @classmethod
    def read(cls, lines: Iterable[bytes]) -> Page:
        """From the lines of the answer, each parsed once.

        :raises Unavailable: cut short or garbled on the way; nothing of such a page may be applied
        """
        head: dict[str, Any] | None = None
        end: dict[str, Any] | None = None
        puts: defaultdict[str, list[Put]] = defaultdict(list)
        gones: list[Gone] = []
        members: dict[str, Sequence[str]] = {}
        positions: dict[str, int] = {}
        try:
            for line in lines:
                item = orjson.loads(line)
                if "b" in item:
                    positions[item["b"]] = item["q"]
                if "put" in item:
                    if not line.endswith(b"}}"):
                        raise ValueError("a line with something behind it")
                    state = item["put"]
                    content = line[line.index(_PUT) + len(_PUT) : -1]  # in a text the quotes would be escaped
                    special = int(is_special(state))
                    puts[item["b"]].append(
                        (state["id"], state["kind"], state["rev"], content, checksum(content), special)
                    )
                    if "members" in state:
                        members[state["id"]] = state["members"]
                elif "gone" in item:
                    gones.append(Gone(item["gone"], item["b"], item.get("why", ""), item.get("into", "")))
                elif "head" in item:
                    head = item["head"]
                elif "end" in item:
                    end = item["end"]
            if head is None or end is None:
                raise Unavailable(detail="a page without its end")
            return cls(
                epoch=head["epoch"],
                time_ms=head["time"],
                heads=head["buckets"],
                granted=tuple(head.get("granted", ())),
                revoked=tuple(head.get("revoked", ())),
                cursors=end["cursors"],
                more=end["more"],
                sums={bucket: (count, total) for bucket, (count, total) in end.get("sums", {}).items()},
                puts=puts,
                gones=gones,
                members=members,
                positions=positions,
                log=_consistency(end.get("log")),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Unavailable(detail=f"a page that cannot be read: {error!r}") from error


def is_special(state: Mapping[str, Any]) -> bool:
    """Whether a decoded state may hold a conflict, a deletion or waiting changes: more than a value per path."""
    live = state["live"]
    if "parked" in state or DELETED in live:
        return True
    # One act is one change, and one change has one value of a path; most records have no more.
    return len(state["acts"]) > 1 and max(map(len, live.values()), default=0) > 1


def _consistency(told: Mapping[str, Any] | None) -> Consistency | None:
    return Consistency(told["checkpoint"], tuple(map(b64decode, told.get("consistency", ())))) if told else None


# ---- blobs -------------------------------------------------------------------------------------------------


class BlobOffer(NamedTuple):
    """What a replica has to give. `part_size` is a wish; the answer says what it will be."""

    sha256: str
    size: int
    mime: str
    part_size: int
    role: Role = "original"
    name: str = ""


class Original(NamedTuple):
    """What a verification code leads to: the evidence record of an original.

    values  path → value of that record as merged
    held    whether the server has the bytes
    copies  path → value of the records of what was made from it
    """

    id: str
    values: dict[str, Any]
    held: bool
    copies: tuple[dict[str, Any], ...]


class BlobReceipt(NamedTuple):
    """The server's proof that it holds a blob, having recomputed its hash: `act` is a leaf of the log.

    act         canonical JSON text {"act":"blob-held","at","sha256","size","v":1}
    leaf        its index; `proof` that it is in the log of `checkpoint`
    """

    act: str
    leaf: int
    proof: tuple[bytes, ...]
    checkpoint: str


class Upload(NamedTuple):
    """An upload under way: the numbers of the parts that the peer has."""

    upload: str
    part_size: int
    have: tuple[int, ...]


class Held(NamedTuple):
    """The peer holds the blob."""

    receipt: BlobReceipt


# ---- the verbs ---------------------------------------------------------------------------------------------


class Traffic(NamedTuple):
    """Bytes of bodies as they went over the line."""

    sent: int = 0
    received: int = 0


class Peer(Protocol):
    """Whoever a replica synchronises with."""

    @property
    def traffic(self) -> Traffic:
        """What has gone over so far."""

    def hello(self) -> Hello: ...

    def enrol(self, code: str, public_key: bytes, name: str, model: str, proof: bytes) -> Enrolment:
        """:raises CodeNotValid: unknown, used or expired"""

    def trust(self) -> TrustFile:
        """The trust file as the server published it.

        :raises NotFound: there is none yet
        """

    def register(self, replica: str) -> None:
        """Make a replica of this device known.

        :raises ReplicaForked: it belongs to another device
        """

    def lease(self, claim: LeaseClaim) -> Lease:
        """Have the share of this device, for as long as its role is granted it; asking again renews it.

        :raises DeviceRevoked: it gets none any more
        """

    def unlock(self, unlocking: Unlocking) -> Lease:
        """The same for a locked tablet: asked with its contact key, `Line.sign`, and not the device's.

        :raises WrongPin: the proof is not by the lease key; says how many seconds to wait
        :raises NotAuthenticated: the server knows no such contact key, or has no share for it
        :raises DeviceRevoked: as for `lease`
        """

    def push(self, batch: Batch) -> PushAnswer:
        """Hand over changes. The answer has a result for each, in their order, whatever the server thinks.

        :raises EpochChanged, ReplicaForked: nothing of the batch was taken
        :raises TooLarge, Malformed: the batch as a whole; nothing of it was taken
        """

    def pull(self, request: PullRequest) -> Page:
        """States since the cursors.

        :raises EpochChanged, CursorExpired, DeviceRevoked:
        """

    def snapshot(self, bucket: str, into: BinaryIO) -> None:
        """A whole bucket as a plain SQLite file.

        Goes on where `into` ends, so a download that was cut continues. Returns once the digest is right.

        :raises NotFound: there is none; read the bucket page by page
        :raises DigestMismatch: begin again with an empty file
        """

    def have(self, ids: Sequence[str]) -> list[str]:
        """Which of these changes the peer lacks."""

    def offer(self, blob: BlobOffer) -> Upload | Held: ...

    def put_part(self, upload: str, number: int, content: bytes) -> None:
        """Any number of times, in any order.

        :raises NotFound: the upload is unknown or over
        :raises PartConflict: other bytes came before as this part
        :raises DigestMismatch: damaged on the way
        """

    def upload(self, upload: str) -> Upload:
        """:raises NotFound: the upload is unknown or over"""

    def complete(self, upload: str) -> Held:
        """:raises PartsMissing, NotFound: see `upload`
        :raises DigestMismatch: the whole is not what was offered; the upload is over
        """

    def blob(self, sha256: str, width: int | None = None, start: int = 0, purpose: str = "") -> bytes:
        """The bytes, from `start`, of a blob that a record in scope names; `width` asks for a smaller picture.

        :raises NotFound:
        :raises InvalidField: a restricted original, and no `purpose` was given
        :raises NotLogged: it could not be logged, so nothing is given out
        """

    def original(self, code: str) -> Original:
        """What a verification code on a watermarked copy leads to.

        :raises NotFound: there is none in scope
        :raises InvalidField: no code, or a mistyped one
        """

    def checkpoint(self) -> str:
        """The newest signed note of the log."""

    def witnessed(self) -> str:
        """The newest one that as many witnesses have cosigned as the trust file asks for.

        :raises NotFound: there is none yet
        """

    def inclusion(self, size: int, leaves: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        """leaf → proof that it is in the log of that size."""

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Proof that the log of size `new` extends that of size `old`."""


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")
