"""The JSON shapes between a tablet and the server, as marshmallow schemas with a description for every field.

The server validates requests with them and publishes them as OpenAPI; contract tests hold both sides to them.
A request that holds a field nobody defined is refused, because a typing error must not pass as silence. An
answer may hold more than a tablet knows: what is new is left out, so old tablets and new servers still talk.

Changes themselves are no JSON body: they travel as the canonical lines that were hashed (`sync.core.change`).
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import marshmallow
from marshmallow import fields, validate

KEY_BYTES = 32
SIGNATURE_BYTES = 64
HASH_BYTES = 32

_ID = r"[A-Za-z0-9-]{1,64}\Z"
_BUCKET = r"((area|sealed):[0-9]{2,12}|ref:[a-z0-9_-]{1,40}|home:[A-Za-z0-9-]{1,64})\Z"
_CURSOR = r"[0-9]{1,19}(\.[0-9]{1,19})?\Z"
_DIGEST = r"[0-9a-f]{64}\Z"
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}\Z")

ROLES = ("original", "preview", "thumbnail")
DISPOSITIONS = ("accepted", "parked", "quarantined")


def said(description: str, **more: Any) -> dict[str, Any]:
    """The description of a field, in the form in which marshmallow passes it on to OpenAPI."""
    return {"description": description, **more}


# --- Fields -----------------------------------------------------------------------------------------------


class Whole(fields.Integer):
    """A whole number that is written as one: neither "3" nor 3.0 nor true, and not below `least`."""

    def __init__(self, *, least: int = 0, **kw: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(min=least), **kw)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kw: Any) -> int:
        if type(value) is not int:
            raise self.make_error("invalid", input=value)
        return value


class Base64(fields.String):
    """Bytes in base64 (RFC 4648 §4) with padding; of exactly `length` bytes where it is given."""

    default_error_messages = {"base64": "Not base64 of the expected length."}

    def __init__(self, *, length: int | None = None, **kw: Any) -> None:
        super().__init__(**kw)
        self.length = length

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kw: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kw)
        if not _BASE64.match(text) or len(text) % 4:
            raise self.make_error("base64")
        if self.length is not None and len(b64decode(text)) != self.length:
            raise self.make_error("base64")
        return text


def _text(description: str, pattern: str | None = None, most: int = 200, **kw: Any) -> fields.String:
    checks: list[Any] = [validate.Length(max=most)]
    if pattern is not None:
        checks.append(validate.Regexp(pattern))
    return fields.String(validate=checks, metadata=said(description), **kw)


def _id(description: str, **kw: Any) -> fields.String:
    return _text(description, _ID, **{"required": True, **kw})


def _digest(description: str, **kw: Any) -> fields.String:
    return _text(description, _DIGEST, **{"required": True, **kw})


def _hashes(description: str, **kw: Any) -> fields.List[Any]:
    return fields.List(Base64(length=HASH_BYTES), metadata=said(description), **{"required": True, **kw})


def _note(description: str, **kw: Any) -> fields.String:
    return _text(description, most=128 * 1024, **{"required": True, **kw})


class Request(marshmallow.Schema):
    """Base of what a tablet sends: an unknown field is an error."""

    class Meta:
        unknown = marshmallow.RAISE


class Answer(marshmallow.Schema):
    """Base of what the server answers: an unknown field is left out, so a newer server may say more."""

    class Meta:
        unknown = marshmallow.EXCLUDE


# --- Meeting each other -----------------------------------------------------------------------------------


class Log(Answer):
    """Which transparency log this is, and whose signature its checkpoints carry."""

    origin = _text("Name of the log, the first line of every checkpoint", required=True)
    key = Base64(length=KEY_BYTES, required=True, metadata=said("Ed25519 public key of the log"))


class Limits(Answer):
    """What the server takes at once."""

    push_changes = Whole(least=1, required=True, metadata=said("Most changes in one push"))
    push_bytes = Whole(least=1, required=True, metadata=said("Most bytes of one push, after inflating"))
    change_bytes = Whole(least=1, required=True, metadata=said("Most bytes of the content of one change"))
    pull_bytes = Whole(least=1, required=True, metadata=said("Most bytes in one page of a pull"))
    part_bytes = Whole(least=1, required=True, metadata=said("Most bytes in one part of a blob"))
    blob_bytes = Whole(least=1, required=True, metadata=said("Most bytes in one blob"))


class Capabilities(Answer):
    """GET /capabilities"""

    api = Whole(least=1, required=True, metadata=said("Version of this interface", example=1))
    epoch = _id("Incarnation of the server's database; another one means that it was restored from a backup")
    time = Whole(required=True, metadata=said("Server time in milliseconds since 1970-01-01 UTC"))
    encodings = fields.List(
        fields.String(), required=True, metadata=said("Content encodings of the server, best first")
    )
    limits = fields.Nested(Limits, required=True, metadata=said("What the server takes at once"))
    schemas = fields.Dict(
        keys=fields.String(),
        values=Whole(least=1),
        required=True,
        metadata=said("Version of every kind of record"),
    )
    logs = fields.List(
        fields.Nested(Log), required=True, metadata=said("The transparency logs, one for each compartment")
    )


class EnrolRequest(Request):
    """POST /enrol: a tablet introduces its key with a one-time code."""

    code = fields.String(
        required=True,
        validate=[validate.Length(min=8, max=64), validate.Regexp(r"[A-Za-z0-9 -]+\Z")],
        metadata=said("One-time enrolment code from the administrator"),
    )
    key = Base64(length=KEY_BYTES, required=True, metadata=said("Ed25519 public key of the device"))
    name = fields.String(
        required=True, validate=validate.Length(min=1, max=100), metadata=said("What people call this tablet")
    )
    model = _text("Make and model, as the system reports it", most=100, load_default="")
    proof = Base64(
        length=SIGNATURE_BYTES,
        required=True,
        metadata=said('Signature by `key` over "patrolbook/enrol/v1\\0", the code and the 32 bytes of the key'),
    )


class Person(Answer):
    """Who the tablet belongs to."""

    id = _id("Id of the person")
    name = _text("Name", required=True)
    role = _text("Role", required=True)


class Grant(Answer):
    """What a person may read and write."""

    area = _text("Division code prefix; empty is everywhere", r"[0-9]{0,12}\Z", required=True)
    role = _text("Role that the person has there", required=True)
    until = Whole(metadata=said("When the grant ends, in milliseconds; absent where it does not"))


class EnrolAnswer(Answer):
    """The device exists from here on; every later request is signed with its key."""

    device = _id("Id of the device")
    person = fields.Nested(Person, required=True, metadata=said("Whose tablet it is"))
    grants = fields.List(fields.Nested(Grant), required=True, metadata=said("What that person may see and do"))
    epoch = _id("Incarnation of the server's database")
    log = fields.Nested(Log, required=True, metadata=said("The transparency log; the tablet keeps its key"))
    time = Whole(required=True, metadata=said("Server time in milliseconds"))


class TrustFile(Answer):
    """GET /trust: whom to believe, signed by the authority's root key (sync/core/trust.py)."""

    content = Base64(required=True, metadata=said("The file, byte for byte as it was signed"))
    signature = Base64(required=True, metadata=said("The root's Ed25519 signature"))
    root = Base64(required=True, metadata=said("The root's public key; believed only where it is the pinned one"))


class LeaseRequest(Request):
    """POST /lease"""

    contact = Base64(
        length=KEY_BYTES, required=True, metadata=said("Ed25519 public key by which this tablet asks when it is locked")
    )
    key = Base64(
        length=KEY_BYTES, required=True, metadata=said("Ed25519 public key whose private half only the right PIN gives")
    )
    recovery = Whole(
        required=True,
        allow_none=True,
        metadata=said("Version of the recipients by which the tablet's keys can be recovered; null: by nobody"),
    )


class UnlockRequest(Request):
    """POST /lease/unlock"""

    at = Whole(required=True, metadata=said("Server time in milliseconds, within five minutes"))
    nonce = _text("32 hexadecimal digits", r"[0-9a-f]{32}\Z", required=True)
    proof = Base64(
        length=SIGNATURE_BYTES,
        required=True,
        metadata=said('Signature by `key` over "patrolbook/unlock/v1\\0" and the lines device, at, nonce'),
    )


class LeaseAnswer(Answer):
    """A share with its times."""

    share = Base64(length=KEY_BYTES, required=True, metadata=said("The share that the tablet's keys need besides the PIN"))
    granted = Whole(required=True, metadata=said("Server time when it was lent"))
    expires = Whole(required=True, metadata=said("Server time when the tablet must remove it"))


class Replica(Request):
    """POST /replicas, and its answer: one incarnation of a tablet's database. Safe to repeat."""

    replica = _id("Id that the tablet chose, a UUID")


# --- Push -------------------------------------------------------------------------------------------------


class Run(Request):
    """Consecutive changes of one replica; their lines follow the header in the order of the runs."""

    replica = _id("Replica whose changes these are")
    n = Whole(least=1, required=True, metadata=said("Number of the first change of the run"))
    prev = _digest("Chain hash before the first change; 64 zeros before number 1")
    sigs = fields.List(
        Base64(length=SIGNATURE_BYTES),
        required=True,
        validate=validate.Length(min=1),
        metadata=said("One Ed25519 signature for each change of the run"),
    )


class PushHeader(Request):
    """First line of POST /push."""

    epoch = _id("The epoch that the tablet believes in")
    runs = fields.List(fields.Nested(Run), required=True, metadata=said("What follows, run by run"))


class Result(Answer):
    """What the server did with one change. All three outcomes mean: kept, safe, visible to both sides."""

    id = _text("Id of the change, or line:<sha256> for a line that is no change", most=80, required=True)
    status = fields.String(
        required=True, validate=validate.OneOf(DISPOSITIONS), metadata=said("accepted, parked or quarantined")
    )
    duplicate = fields.Boolean(metadata=said("True where the change was known before; nothing was done"))
    reason = _text("Stable code of why it was parked or quarantined")
    field = _text("Path of the field that the reason is about")
    detail = _text("The reason in words, in the language asked for", most=1000)
    line = Whole(metadata=said("Index of the line, from 0, for a line that is no change"))
    record = _id("Root id of the record", required=False, allow_none=True)
    rev = Whole(allow_none=True, metadata=said("Revision of the record that contains the change"))
    bucket = _text("Bucket of the record", _BUCKET, allow_none=True)
    at = Whole(allow_none=True, metadata=said("Position in the feed of that bucket"))
    leaf = Whole(allow_none=True, metadata=said("Position in the transparency log"))


class TailReceipt(Answer):
    """Proof that the new changes of this push end the log: see `sync.core.log.verify_tail`."""

    before = Whole(required=True, metadata=said("Size of the log before this push"))
    frontier = _hashes("Frontier of the log of that size")
    leaves = fields.List(
        fields.String(), required=True, metadata=said("Ids of the new changes in the order of their leaves")
    )
    checkpoint = _note("Signed checkpoint of the log that ends with these leaves")


class PushAnswer(Answer):
    """Answer to POST /push. The HTTP status says that the batch was processed, not that it pleased."""

    epoch = _id("Incarnation of the server's database")
    results = fields.List(fields.Nested(Result), required=True, metadata=said("One result for each line"))
    log = fields.Nested(TailReceipt, required=True, metadata=said("Receipt for all new changes at once"))


# --- Pull -------------------------------------------------------------------------------------------------


class LogSize(Request):
    """The newest log size that the tablet has verified."""

    size = Whole(required=True, metadata=said("Number of leaves"))


class PullRequest(Request):
    """POST /pull"""

    epoch = _id("The epoch that the tablet believes in")
    cursors = fields.Dict(
        keys=fields.String(validate=validate.Regexp(_BUCKET)),
        values=fields.String(validate=validate.Regexp(_CURSOR)),
        required=True,
        metadata=said("Position in every bucket that is known; one left out starts at the beginning"),
    )
    limit_bytes = Whole(least=1, metadata=said("Most bytes that the tablet takes in this page"))
    log = fields.Nested(LogSize, metadata=said("Asks for a proof that the log still extends the one known"))


class PullHead(Answer):
    """What the first line of a pull says."""

    epoch = _id("Incarnation of the server's database")
    time = Whole(required=True, metadata=said("Server time in milliseconds"))
    buckets = fields.Dict(
        keys=fields.String(), values=Whole(), required=True, metadata=said("Head of each bucket in scope")
    )
    granted = fields.List(fields.String(), required=True, metadata=said("Buckets in scope that had no cursor"))
    revoked = fields.List(fields.String(), required=True, metadata=said("Buckets with a cursor, out of scope by now"))


class LogGrowth(Answer):
    """The log today, and that it extends the size that the tablet named."""

    checkpoint = _note("Signed checkpoint")
    consistency = _hashes(
        "Consistency proof from the size asked for (RFC 9162 §2.1.4); left out where the log did not grow",
        required=False,
    )


class PullEnd(Answer):
    """What the last line of a pull says."""

    cursors = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata=said("Cursors to keep, in the same transaction as the page"),
    )
    more = fields.Boolean(required=True, metadata=said("True where another page waits"))
    sums = fields.Dict(
        keys=fields.String(),
        values=fields.Tuple((Whole(), Whole())),
        metadata=said("Count and checksum of the records of each bucket; on the last page only"),
    )
    log = fields.Nested(LogGrowth, metadata=said("Present where the request named a log size"))


class PullLine(Answer):
    """One line of a pull: a head, then records that changed or left, then an end."""

    head = fields.Nested(PullHead, metadata=said("First line"))
    b = _text("Bucket", _BUCKET)
    q = Whole(metadata=said("Position in the bucket's feed"))
    put = fields.Dict(metadata=said("A merged record, in the bytes in which the server stores it"))
    gone = _id("Record that left the bucket", required=False)
    why = fields.String(validate=validate.OneOf(("moved", "merged")), metadata=said("Why it left"))
    into = _id("Root of the record into which it was merged", required=False)
    end = fields.Nested(PullEnd, metadata=said("Last line"))


class HaveRequest(Request):
    """POST /have: after a restore, and now and then."""

    ids = fields.List(_id("Change id"), required=True, metadata=said("Ids of changes that the tablet keeps"))


class HaveAnswer(Answer):
    """Answer to POST /have."""

    lacking = fields.List(fields.String(), required=True, metadata=said("Those of the ids that the server lacks"))


# --- Blobs ------------------------------------------------------------------------------------------------


class BlobDeclaration(Request):
    """POST /blobs: announces bytes by their digest. Safe to repeat: it finds the upload again."""

    sha256 = _digest("SHA-256 of the whole blob")
    size = Whole(least=1, required=True, metadata=said("Bytes"))
    mime = _text("Media type", r"[a-z0-9.+-]+/[A-Za-z0-9.+-]+\Z", most=100, required=True)
    part_size = Whole(least=1, required=True, metadata=said("Bytes of every part but a shorter last one"))
    role = fields.String(required=True, validate=validate.OneOf(ROLES), metadata=said("original, preview or thumbnail"))
    name = _text("File name, for people only", load_default="")


class Receipt(Answer):
    """Proof that the server holds a blob: an act in the transparency log.

    The leaf's data is SHA-256("patrolbook/act/v1\\0" followed by the bytes of `act`).
    """

    act = _text(
        'Canonical JSON {"act": "blob-held", "at", "sha256", "size", "v": 1}, with the recomputed digest',
        most=1000,
        required=True,
    )
    leaf = Whole(required=True, metadata=said("Position in the log"))
    proof = _hashes("Inclusion proof (RFC 9162 §2.1.3)")
    checkpoint = _note("Signed checkpoint that the proof leads to")


class BlobAnswer(Answer):
    """Answer to POST /blobs: an upload to go on with, or the receipt where the bytes are held already."""

    upload = _id("Id of the upload, beginning with u-", required=False)
    part_size = Whole(least=1, metadata=said("Bytes of a part in this upload, as first declared"))
    have = fields.List(Whole(least=1), metadata=said("Numbers of the parts that have arrived, from 1"))
    held = fields.Boolean(metadata=said("True where the server holds the whole blob"))
    receipt = fields.Nested(Receipt, metadata=said("Proof of that"))


class UploadState(Answer):
    """GET /blobs/{upload}"""

    upload = _id("Id of the upload")
    sha256 = _digest("SHA-256 that was declared")
    size = Whole(least=1, required=True, metadata=said("Bytes"))
    part_size = Whole(least=1, required=True, metadata=said("Bytes of a part"))
    have = fields.List(Whole(least=1), required=True, metadata=said("Numbers of the parts that have arrived"))


class BlobHeld(Answer):
    """Answer to POST /blobs/{upload}/complete, after the server has read everything back and hashed it."""

    sha256 = _digest("SHA-256 that the server computed from the bytes it stored")
    size = Whole(least=1, required=True, metadata=said("Bytes that it stored"))
    receipt = fields.Nested(Receipt, required=True, metadata=said("Proof that it holds them"))


class EvidenceFound(Answer):
    """GET /evidence/{code}: what a verification code leads to."""

    id = _id("Id of the evidence record of the original")
    values = fields.Dict(required=True, metadata=said("Fields of that record as merged, without those in conflict"))
    held = fields.Boolean(required=True, metadata=said("Whether the server holds the bytes"))
    copies = fields.List(fields.Dict(), required=True, metadata=said("Fields of the records of what was made from it"))


# --- The log ----------------------------------------------------------------------------------------------


class InclusionRequest(Request):
    """POST /log/inclusion"""

    size = Whole(least=1, required=True, metadata=said("Size of the log that the proofs are for"))
    leaves = fields.List(
        Whole(), required=True, validate=validate.Length(max=1000), metadata=said("Positions to prove")
    )


class InclusionAnswer(Answer):
    """Answer to POST /log/inclusion."""

    size = Whole(least=1, required=True, metadata=said("Size of the log that the proofs are for"))
    proofs = fields.Dict(
        keys=fields.String(),
        values=fields.List(Base64(length=HASH_BYTES)),
        required=True,
        metadata=said("Inclusion proof by position, written in decimal"),
    )


class ConsistencyQuery(Request):
    """The query of GET /log/consistency. A query is text, so these two are read from digits."""

    old = fields.Integer(required=True, validate=validate.Range(min=0), metadata=said("Size that is known"))
    new = fields.Integer(required=True, validate=validate.Range(min=0), metadata=said("Larger size"))


class ConsistencyAnswer(Answer):
    """Answer to GET /log/consistency."""

    proof = _hashes("Consistency proof between the two sizes")


# --- Errors -----------------------------------------------------------------------------------------------


class ProblemBody(marshmallow.Schema):
    """Every error: application/problem+json (RFC 9457), a stable code and the next step. Facts may follow."""

    class Meta:
        unknown = marshmallow.INCLUDE

    type = _text("urn:patrolbook:<code>", r"urn:patrolbook:[a-z0-9-]+\Z", required=True)
    title = _text("What went wrong, in the language asked for", most=1000, required=True)
    status = Whole(least=400, required=True, metadata=said("HTTP status"))
    code = _text("Stable code of the problem", r"[a-z0-9-]+\Z", required=True)
    detail = _text("The same with the facts of this case", most=4000, required=True)
    hint = _text("What to do next", most=1000, required=True)
    field = _text("Path of the field that is wrong")
    file = _text("File that is wrong", most=1000)
