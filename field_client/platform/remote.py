"""A server behind HTTP, as a peer.

Every request is signed by the device's key over method, path, body, time and a nonce; the time is the server's as far
as it is known, so a tablet whose clock is days off is understood (at the latest the second time: a refusal tells the
server's time). There is no token that could be stolen or expire.

Whatever is not surely an answer of our server counts as no answer: a login page of a hotel's network has status 200 and
none of our headers. Only an answer that names its epoch may say that something was refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import secrets
import threading
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

import orjson
import requests
import urllib3
import zstandard

from field_client.platform import Line
from schemas.labels import Label, Language
from sync.core.errors import (
    DigestMismatch,
    InvalidField,
    NotAuthenticated,
    Overloaded,
    Problem,
    Refused,
    TooLarge,
    Unavailable,
    UnsupportedEncoding,
    by_code,
)
from sync.peer import (
    Batch,
    BlobOffer,
    BlobReceipt,
    Enrolment,
    Grant,
    Held,
    Hello,
    Lease,
    LeaseClaim,
    Limits,
    LogKey,
    Original,
    Page,
    Person,
    PullRequest,
    PushAnswer,
    Result,
    TailReceipt,
    Traffic,
    TrustFile,
    Unlocking,
    Upload,
)

BASE = "/api/v1"
CONNECT_S = 10.0
READ_S = 60.0
LARGEST_ANSWER = 64 * 1024 * 1024
"""An answer is inflated up to here; snapshots and blobs, which may be larger, are not held in memory."""
CLOCK_SLIP_MS = 60_000
"""A refusal is worth a second try when it moved what we know of the server's clock by more than this."""
SMALLEST_PACKED = 512
"""Bodies below this many bytes are sent as they are."""

REQUEST_TAG = b"patrolbook/request/v1\0"

_JSON = {"Content-Type": "application/json"}
_NDJSON = {"Content-Type": "application/x-ndjson"}
_PIECE = 1 << 18
_STANDARD = frozenset({"type", "title", "status", "code", "detail", "hint", "instance"})


class Remote:
    """A `sync.peer.Peer` over HTTP; may be used by several threads at once."""

    def __init__(self, line: Line, *, language: Language = "zh", session: requests.Session | None = None) -> None:
        self._line = line
        self._language = language
        self._session = session or requests.Session()
        self._encodings: tuple[str, ...] = ()
        self._ahead_ms = 0  # what the server's clock turned out to be ahead of `line.server_ms`
        self._lock = threading.Lock()
        self._traffic = Traffic()

    @property
    def traffic(self) -> Traffic:
        return self._traffic

    # ---- verbs ---------------------------------------------------------------------------------------------

    def hello(self) -> Hello:
        told = self._json("GET", "/capabilities", signed=False)
        with _as_told():
            self._encodings = tuple(told.get("encodings", ()))
            logs = tuple(LogKey(one["origin"], b64decode(one["key"])) for one in told["logs"])
            return Hello(told["epoch"], told["time"], logs, Limits.of(told.get("limits", {})), told.get("schemas", {}))

    def enrol(self, code: str, public_key: bytes, name: str, model: str, proof: bytes) -> Enrolment:
        claim = {"code": code, "key": _text(public_key), "name": name, "model": model, "proof": _text(proof)}
        told = self._json("POST", "/enrol", claim, signed=False)
        with _as_told():
            person = told["person"]
            return Enrolment(
                told["device"],
                Person(person["id"], person["name"], person["role"]),
                tuple(Grant(one["area"], one["role"], one.get("until")) for one in told["grants"]),
                told["epoch"],
                LogKey(told["log"]["origin"], b64decode(told["log"]["key"])),
                told["time"],
            )

    def trust(self) -> TrustFile:
        told = self._json("GET", "/trust")
        with _as_told():
            return TrustFile(*(b64decode(told[name]) for name in TrustFile._fields))

    def lease(self, claim: LeaseClaim) -> Lease:
        said = {"contact": _text(claim.contact), "key": _text(claim.key), "recovery": claim.recovery}
        return _lease(self._json("POST", "/lease", said))

    def unlock(self, unlocking: Unlocking) -> Lease:
        said = {"at": unlocking.at_ms, "nonce": unlocking.nonce, "proof": _text(unlocking.proof)}
        return _lease(self._json("POST", "/lease/unlock", said))

    def register(self, replica: str) -> None:
        self._json("POST", "/replicas", {"replica": replica})

    def push(self, batch: Batch) -> PushAnswer:
        told = _decoded(self._exchange("POST", "/push", batch.body(), _NDJSON))
        with _as_told():
            log = told.get("log")
            receipt = None
            if log:
                receipt = TailReceipt(log["before"], _proof(log["frontier"]), tuple(log["leaves"]), log["checkpoint"])
            return PushAnswer(told["epoch"], tuple(map(_result, told["results"])), receipt)

    def pull(self, request: PullRequest) -> Page:
        return Page.read(self._exchange("POST", "/pull", request.body(), _JSON).splitlines())

    def snapshot(self, bucket: str, into: BinaryIO) -> None:
        start = into.seek(0, io.SEEK_END)
        asked = {"Range": f"bytes={start}-", "Accept-Encoding": "identity"} if start else {"Accept-Encoding": "zstd"}
        with self._open("GET", f"/snapshots/{bucket}", headers=asked) as response:
            digest = _repr_digest(response.headers.get("Repr-Digest", ""))
            if start and response.status_code != 206:
                into.truncate(0)  # the whole again, from its start
                into.seek(0)
            self._copy(response, into)
        into.flush()
        if digest != _digest_of(into):
            into.truncate(0)
            raise DigestMismatch(what=bucket)

    def have(self, ids: Sequence[str]) -> list[str]:
        told = self._json("POST", "/have", {"ids": list(ids)})
        with _as_told():
            return list(told["lacking"])

    def offer(self, blob: BlobOffer) -> Upload | Held:
        told = self._json("POST", "/blobs", blob._asdict())
        with _as_told():
            if told.get("held"):
                return Held(_receipt(told["receipt"]))
            return Upload(told["upload"], told["part_size"], tuple(told["have"]))

    def put_part(self, upload: str, number: int, content: bytes) -> None:
        headers = {"Content-Type": "application/octet-stream", "Content-Digest": _content_digest(content)}
        self._exchange("PUT", f"/blobs/{upload}/parts/{number}", content, headers, pack=False)

    def upload(self, upload: str) -> Upload:
        told = self._json("GET", f"/blobs/{upload}")
        with _as_told():
            return Upload(told["upload"], told["part_size"], tuple(told["have"]))

    def complete(self, upload: str) -> Held:
        told = self._json("POST", f"/blobs/{upload}/complete")
        with _as_told():
            return Held(_receipt(told["receipt"]))

    def blob(self, sha256: str, width: int | None = None, start: int = 0, purpose: str = "") -> bytes:
        asked = {name: value for name, value in (("width", width), ("purpose", purpose)) if value}
        query = f"?{urlencode(asked)}" if asked else ""
        return self._exchange("GET", f"/blobs/{sha256}{query}", headers={"Range": f"bytes={start}-"} if start else {})

    def original(self, code: str) -> Original:
        told = self._json("GET", f"/evidence/{quote(code, safe='')}")
        with _as_told():
            return Original(told["id"], dict(told["values"]), bool(told["held"]), tuple(map(dict, told["copies"])))

    def checkpoint(self) -> str:
        note = self._exchange("GET", "/log/checkpoint")
        with _as_told():
            return note.decode()

    def witnessed(self) -> str:
        note = self._exchange("GET", "/log/witnessed")
        with _as_told():
            return note.decode()

    def inclusion(self, size: int, leaves: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        told = self._json("POST", "/log/inclusion", {"size": size, "leaves": list(leaves)})
        with _as_told():
            return {int(leaf): _proof(proof) for leaf, proof in told["proofs"].items()}

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        told = self._json("GET", f"/log/consistency?old={old}&new={new}")
        with _as_told():
            return _proof(told["proof"])

    def close(self) -> None:
        self._session.close()

    # ---- one exchange --------------------------------------------------------------------------------------

    def _json(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, signed: bool = True) -> Any:
        content = orjson.dumps(body) if body is not None else b""
        return _decoded(self._exchange(method, path, content, _JSON if content else {}, signed=signed))

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        signed: bool = True,
        pack: bool = True,
    ) -> bytes:
        """Send and read the whole answer, inflated."""
        asked = {"Accept-Encoding": "zstd, gzip", **(headers or {})}
        content, encoding = self._packed(body) if pack else (body, "")
        headers = asked | {"Content-Encoding": encoding} if encoding else asked
        try:
            with self._open(method, path, content, headers, signed) as response:
                return _inflated(self._read(response), response.headers.get("Content-Encoding", ""))
        except UnsupportedEncoding:
            if not encoding:
                raise
            self._encodings = ()  # it said otherwise; from now on as it is
            return self._exchange(method, path, body, asked, signed=signed, pack=False)

    @contextlib.contextmanager
    def _open(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, signed: bool = True
    ) -> Iterator[requests.Response]:
        """A response whose status is a good one; its body is still to be read.

        :raises Problem: what the server said, or Unavailable
        """
        with _telling_network(), contextlib.ExitStack() as stack:
            believed = self._ahead_ms
            response = stack.enter_context(contextlib.closing(self._send(method, path, body, headers, signed)))
            problem = self._problem(response)
            if isinstance(problem, NotAuthenticated) and abs(self._ahead_ms - believed) > CLOCK_SLIP_MS:
                stack.close()
                response = stack.enter_context(contextlib.closing(self._send(method, path, body, headers, signed)))
                problem = self._problem(response)
            if problem is not None:
                raise problem
            yield response

    def _send(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None, signed: bool
    ) -> requests.Response:
        try:
            request = self._session.prepare_request(
                requests.Request(
                    method,
                    self._line.url.rstrip("/") + BASE + path,
                    data=body,
                    headers={"Accept-Language": self._language, **(headers or {})},
                )
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
            detail = Label("不是有效的服务器地址", "is not the address of a server")
            raise InvalidField(field="url", detail=detail) from error
        if signed:
            request.headers["Authorization"] = self._authorization(method, request.path_url, body)
        # Proxies and certificates of the system, which a session's `send` alone does not look at.
        system = self._session.merge_environment_settings(request.url, {}, True, None, None)
        response = self._session.send(request, timeout=(CONNECT_S, READ_S), allow_redirects=False, **system)
        self._count(sent=len(body))
        self._learn(response.headers.get("Patrolbook-Time"))
        return response

    def _authorization(self, method: str, target: str, body: bytes) -> str:
        nonce = secrets.token_hex(16)
        time = str(self._line.server_ms() + self._ahead_ms)
        said = "\n".join([method, target, hashlib.sha256(body).hexdigest(), time, nonce])
        signature = _text(self._line.sign(REQUEST_TAG + said.encode()))
        return f'Patrolbook device="{self._line.device}", time="{time}", nonce="{nonce}", sig="{signature}"'

    def _learn(self, told_ms: str | None) -> None:
        """Take the server's time from an answer."""
        if told_ms is not None and told_ms.isdigit():
            self._ahead_ms = int(told_ms) - self._line.server_ms()

    def _packed(self, body: bytes) -> tuple[bytes, str]:
        if len(body) < SMALLEST_PACKED:
            return body, ""
        if "zstd" in self._encodings:
            return zstandard.ZstdCompressor(level=3).compress(body), "zstd"
        if "gzip" in self._encodings:
            packer = zlib.compressobj(level=6, wbits=16 + zlib.MAX_WBITS)
            return packer.compress(body) + packer.flush(), "gzip"
        return body, ""

    def _count(self, sent: int = 0, received: int = 0) -> None:
        with self._lock:
            self._traffic = Traffic(self._traffic.sent + sent, self._traffic.received + received)

    # ---- reading answers -----------------------------------------------------------------------------------

    def _read(self, response: requests.Response, limit: int = LARGEST_ANSWER) -> bytes:
        pieces = []
        total = 0
        for piece in self._pieces(response):
            pieces.append(piece)
            total += len(piece)
            if total > limit:
                raise Unavailable(detail=Label("应答过大", "the answer is too large"))
        return b"".join(pieces)

    def _pieces(self, response: requests.Response) -> Iterator[bytes]:
        """The body as it comes over the line, not inflated."""
        while piece := response.raw.read(_PIECE, decode_content=False):
            self._count(received=len(piece))
            yield piece

    def _copy(self, response: requests.Response, into: BinaryIO) -> None:
        """Write the body inflated; what arrived before a cut stays, and is the beginning of the whole."""
        encoding = response.headers.get("Content-Encoding", "")
        if encoding not in ("", "identity", "zstd"):
            raise UnsupportedEncoding(encoding=encoding)
        inflater = zstandard.ZstdDecompressor().decompressobj() if encoding == "zstd" else None
        try:
            for piece in self._pieces(response):
                into.write(inflater.decompress(piece) if inflater is not None else piece)
        except zstandard.ZstdError as error:
            raise Unavailable(detail=f"zstd: {error}") from error

    def _problem(self, response: requests.Response) -> Problem | None:
        """What the answer says went wrong, None where nothing did."""
        status = response.status_code
        ours = "Patrolbook-Epoch" in response.headers
        if status < 300 and ours:
            return None
        retry_after = _seconds(response.headers.get("Retry-After"))
        if not ours:
            return _of_something_between(status, retry_after)
        try:
            told = orjson.loads(_inflated(self._read(response, 1 << 20), response.headers.get("Content-Encoding", "")))
            return self._told_problem(told, status, retry_after)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return Unavailable(detail=f"HTTP {status}: {error!r}")

    def _told_problem(self, told: Mapping[str, Any], status: int, retry_after: float | None) -> Problem:
        kind = by_code().get(told["code"])
        facts = {name: value for name, value in told.items() if name not in _STANDARD}
        if retry_after is not None:
            facts["retry_after"] = retry_after
        if status >= 500 and not (kind and issubclass(kind, Unavailable)) and status != 507:
            return Unavailable(**{**facts, "detail": told["detail"]})  # its fault, not that of what we sent
        if kind is None:
            return Refused(**{**facts, "detail": told["detail"]})
        return kind(**{**facts, "detail": _inner_detail(kind, facts, told["detail"], self._language)})


def _of_something_between(status: int, retry_after: float | None) -> Problem:
    """Answers of proxies, gateways and login pages."""
    if status == 413:
        return TooLarge(limit="?")
    if status in (429, 503):
        return Overloaded(retry_after=retry_after)
    detail = Label(f"应答不是来自服务器（HTTP {status}）", f"something else answered in its place (HTTP {status})")
    return Unavailable(detail=detail, retry_after=retry_after)


def _inner_detail(kind: type[Problem], facts: Mapping[str, Any], told: str, language: Language) -> str:
    """The fact behind "{detail}": what the server's text says beyond the frame that both sides know."""
    before, found, after = kind.message.text(language).partition("{detail}")
    if not found:
        return told
    try:
        before, after = before.format(**facts), after.format(**facts)
    except (KeyError, IndexError):
        return told
    return told[len(before) : len(told) - len(after)] if told.startswith(before) and told.endswith(after) else told


@contextlib.contextmanager
def _telling_network() -> Iterator[None]:
    try:
        yield
    except requests.exceptions.Timeout as error:
        raise Unavailable(detail=Label("超时", "no answer in time"), timeout=True) from error
    except requests.exceptions.SSLError as error:
        detail = Label("服务器证书不可信", "the server's certificate is not trusted")
        raise Unavailable(detail=detail) from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        detail = Label("网络不通或连接中断", "no network, or the connection was cut")
        raise Unavailable(detail=detail, error=repr(error)) from error


@contextlib.contextmanager
def _as_told() -> Iterator[None]:
    """An answer that lacks what it must have is no answer."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unavailable(detail=f"an answer that cannot be read: {error!r}") from error


def _decoded(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Unavailable(detail=f"an answer that cannot be read: {error}") from error


def _inflated(raw: bytes, encoding: str) -> bytes:
    """:raises Unavailable: damaged, too large, or an encoding that nobody asked for"""
    try:
        if encoding == "zstd":
            with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)) as reader:
                plain = reader.read(LARGEST_ANSWER + 1)
        elif encoding == "gzip":
            plain = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(raw, LARGEST_ANSWER + 1)
        elif encoding in ("", "identity"):
            return raw
        else:
            raise Unavailable(detail=f"an answer encoded as {encoding}")
    except (zstandard.ZstdError, zlib.error) as error:
        raise Unavailable(detail=f"a damaged answer: {error}") from error
    if len(plain) > LARGEST_ANSWER:
        raise Unavailable(detail=Label("应答过大", "the answer is too large"))
    return plain


def _result(told: Mapping[str, Any]) -> Result:
    leaf = told.get("leaf")
    return Result(
        id=told["id"],
        status=told["status"],
        record=told.get("record") or "",
        rev=told.get("rev") or 0,
        bucket=told.get("bucket") or "",
        at=told.get("at") or 0,
        leaf=-1 if leaf is None else leaf,
        duplicate=bool(told.get("duplicate")),
        reason=told.get("reason") or "",
        field=told.get("field") or "",
        detail=told.get("detail") or "",
    )


def _lease(told: Mapping[str, Any]) -> Lease:
    with _as_told():
        return Lease(b64decode(told["share"]), told["granted"], told["expires"])


def _receipt(told: Mapping[str, Any]) -> BlobReceipt:
    return BlobReceipt(told["act"], told["leaf"], _proof(told["proof"]), told["checkpoint"])


def _proof(told: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(b64decode(one, validate=True) for one in told)


def _text(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")


def _content_digest(content: bytes) -> str:
    """RFC 9530 `Content-Digest`."""
    return f"sha-256=:{_text(hashlib.sha256(content).digest())}:"


def _repr_digest(header: str) -> bytes | None:
    before, _, rest = header.partition("sha-256=:")
    text, end, _ = rest.partition(":")
    with contextlib.suppress(ValueError):
        return b64decode(text, validate=True) if end else None
    return None


def _digest_of(file: BinaryIO) -> bytes:
    with open(file.name, "rb") as written:
        return hashlib.file_digest(written, "sha256").digest()


def _seconds(header: str | None) -> float | None:
    """`Retry-After` in seconds; its other form, a date, is no use to a tablet whose clock is wrong."""
    return float(header) if header is not None and header.isdigit() else None
