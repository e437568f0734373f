"""The door: what every request passes before a verb sees it. Who is it, what did they send, how are they answered.

The signature covers the body as sent, so a body is read (under its bound) before anything in it is believed. A part
of a blob is too long to hold: there the Content-Digest stands for the body, is checked against the signature first,
and against the bytes as they stream to the disk.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import sha256
from typing import Any, ParamSpec
from urllib.parse import quote, urlsplit

import orjson
import zstandard
from flask import Response, current_app, g, request
from marshmallow import Schema, ValidationError

from schemas.labels import Language
from server.access import signatures
from server.access.rights import Scope, compartment_of, scope_of
from server.access.signatures import KeyOf, device_key
from server.api import bodies
from server.errors import language_of
from server.exchange import leases, revocations
from server.exchange.uploads import Depot
from server.instance import Instance
from server.keys import Voice
from server.storage import contacts
from server.storage.people import Device
from sync.core.errors import DigestMismatch, InvalidField, Malformed, Problem, TooLarge

EXTENSION = "patrolbook"
SMALLEST_PACKED = 600
"""Answers of fewer bytes fit one packet and are not worth compressing."""
LEVEL = 3

P = ParamSpec("P")
View = Callable[P, Response]


def instance() -> Instance:
    """The server that this application belongs to."""
    return current_app.extensions[EXTENSION]  # type: ignore[no-any-return]


def device() -> Device:
    """The device that signed this request."""
    return g.device  # type: ignore[no-any-return]


def scope() -> Scope:
    """The buckets that the device reads now."""
    house = instance()
    with house.database.read() as conn:
        return scope_of(conn, device(), house.now())


def voice() -> Voice:
    """How the server speaks to this device: the log and the chain of its compartment."""
    house = instance()
    with house.database.read() as conn:
        return house.keys.voice(compartment_of(conn, device()))


def depot() -> Depot:
    """Where the blobs of this device are taken in."""
    return instance().depot(voice().compartment)


def language() -> Language:
    return language_of(request.headers.get("Accept-Language"))


# --- Who it is ------------------------------------------------------------------------------------------------


def signed(*, revoked: bool = False) -> Callable[[View[P]], View[P]]:
    """Only for enrolled devices; `revoked` says whether one that was revoked may still come (to hand in its work)."""

    def wrap(view: View[P]) -> View[P]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
            g.sent = bodies.read(request.stream, _room())
            bodies.check_digest(g.sent, request.headers.get("Content-Digest"))
            _admit(sha256(g.sent).hexdigest(), revoked)
            return view(*args, **kwargs)

        return _policy(guarded, "device, also revoked" if revoked else "device")

    return wrap


def signed_by_contact(view: View[P]) -> View[P]:
    """Only for tablets that are locked: signed by the contact key, which opens no other verb."""

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
        g.sent = bodies.read(request.stream, _room())
        bodies.check_digest(g.sent, request.headers.get("Content-Digest"))
        _admit(sha256(g.sent).hexdigest(), False, lambda conn, device: leases.contact_of(conn, device.id))
        return view(*args, **kwargs)

    return _policy(guarded, "locked device")


def signed_stream(view: View[P]) -> View[P]:
    """As `signed(revoked=True)`, for a body that is not held in memory: see `part_body`."""

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
        claimed = bodies.claimed_digest(request.headers.get("Content-Digest"))
        if claimed is None:
            raise Malformed(detail="Content-Digest: sha-256")
        _room()
        _admit(claimed.hex(), True)
        g.claimed = claimed
        return view(*args, **kwargs)

    return _policy(guarded, "device, also revoked")


def anybody(view: View[P]) -> View[P]:
    """Open to all; said aloud, so that a verb without a policy is found by a test."""

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
        g.sent = bodies.read(request.stream, _room())
        return view(*args, **kwargs)

    return _policy(guarded, "anybody")


def _policy(view: View[P], who: str) -> View[P]:
    view.policy = who  # type: ignore[attr-defined]
    return view


def _admit(body_digest: str, revoked_may: bool, key_of: KeyOf = device_key) -> None:
    house = instance()
    now = house.now()
    credentials = signatures.read(request.headers.get("Authorization"), now)
    message = signatures.signed_bytes(request.method, target(), body_digest, credentials.time, credentials.nonce)
    with house.database.read() as conn:
        found = signatures.check(conn, house.nonces, credentials, message, now, house.settings.clock_ms, key_of)
        if found.revoked is not None and not revoked_may:
            raise revocations.told(house, conn, found)
        fresh = contacts.fresh(conn, found.id, now)
    if not fresh:
        with suppress(Problem), house.database.write() as conn:  # what it came for matters more
            contacts.heard(conn, found.id, now)
    g.device = found


def target() -> str:
    """path?query exactly as the client wrote it, which is what it signed."""
    raw = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI")
    if raw:
        split = urlsplit(raw)
        return split.path + (f"?{split.query}" if split.query else "")
    path = quote(request.environ.get("SCRIPT_NAME", "") + request.path, safe="/:@!$&'()*+,;=~")
    query = request.query_string.decode("ascii", "replace")
    return path + (f"?{query}" if query else "")


# --- What they sent -------------------------------------------------------------------------------------------


def plain() -> bytes:
    """The body, inflated. Raises UnsupportedEncoding, TooLarge or Malformed."""
    encoding = bodies.encoding_of(request.headers.get("Content-Encoding"))
    return bodies.inflate(g.sent, encoding, instance().settings.json_bytes)


def sent_json() -> Any:
    """The body as JSON. Raises Malformed where it is none."""
    try:
        return orjson.loads(plain())
    except orjson.JSONDecodeError as error:
        raise Malformed(detail=str(error)) from error


def checked(schema: Schema) -> dict[str, Any]:
    """The body as this schema wants it; raises InvalidField for the first thing that it does not."""
    return checked_value(schema, sent_json())


def checked_value(schema: Schema, value: Any) -> dict[str, Any]:
    try:
        return schema.load(value)  # type: ignore[no-any-return]
    except ValidationError as error:
        field, detail = _first(error.messages)
        raise InvalidField(field=field, detail=detail) from error


def part_body(limit: int) -> tuple[Iterable[bytes], bytes]:
    """The plain body in pieces, of at most `limit` bytes, and the SHA-256 that they must turn out to have.

    Whoever writes the pieces away compares, and keeps nothing when they differ.
    """
    encoding = bodies.encoding_of(request.headers.get("Content-Encoding"))
    if encoding == "identity":
        return bodies.pieces(request.stream, limit), g.claimed
    sent = bodies.read(request.stream, instance().settings.body_bytes)
    if sha256(sent).digest() != g.claimed:
        raise DigestMismatch(what="body")
    content = bodies.inflate(sent, encoding, limit)
    return [content], sha256(content).digest()


def _room() -> int:
    """How many bytes of body are taken; a length that is announced as larger is not even begun."""
    limit = instance().settings.body_bytes
    if request.content_length is not None and request.content_length > limit:
        raise TooLarge(limit=limit)
    return limit


def _first(messages: Any, path: str = "") -> tuple[str, str]:
    """The path and text of the first message in marshmallow's nested ones."""
    while isinstance(messages, dict) and messages:
        key, messages = next(iter(messages.items()))
        if key != "_schema":
            path = f"{path}.{key}" if path else str(key)
    text = messages[0] if isinstance(messages, list) and messages else messages
    return path or "body", str(text)


# --- How they are answered ------------------------------------------------------------------------------------


def answer(value: Any) -> Response:
    """JSON, compressed where that helps and the client takes it."""
    return packed(orjson.dumps(value), "application/json")


def packed(content: bytes, media_type: str) -> Response:
    """Bytes of this media type, compressed where that helps and the client takes it."""
    response = Response(content, mimetype=media_type)
    response.vary.add("Accept-Encoding")
    if len(content) >= SMALLEST_PACKED:
        encoding = accepted_encoding()
        if encoding == "zstd":
            response.data = zstandard.ZstdCompressor(level=LEVEL).compress(content)
        elif encoding == "gzip":
            response.data = bodies.gzipped(content)
        if encoding != "identity":
            response.content_encoding = encoding
    return response


def accepted_encoding() -> bodies.Encoding:
    """The best encoding that the client takes."""
    accepted = request.accept_encodings
    return next((one for one in bodies.ENCODINGS if accepted[one] > 0), "identity")
