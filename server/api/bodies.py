"""Request bodies: read under a bound, inflated under a bound, compared with their digest.

A compressed body is a promise that may be a bomb. The output buffer is never larger than the limit, so the worst case
costs the limit, not the bomb. One encoding and one frame are accepted; what follows the frame is an error, because a
proxy and this server could disagree about it.
"""

from __future__ import annotations

import binascii
import re
import zlib
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256
from typing import IO, Literal

import zstandard

from sync.core.errors import DigestMismatch, Malformed, TooLarge, UnsupportedEncoding

Encoding = Literal["identity", "zstd", "gzip"]
ENCODINGS: tuple[Encoding, ...] = ("zstd", "gzip")

PIECE = 1 << 20
"""Bytes asked for at a time while reading."""
_SLICE = 512
"""Compressed bytes fed at a time where the frame hides its size: zstd makes at most 128 KiB of every 4 of them."""
_LARGEST_WINDOW = 8 << 20
_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/]+={0,2}):\s*(?=,|;|$)")


def encoding_of(header: str | None) -> Encoding:
    """The encoding that a Content-Encoding header names; raises UnsupportedEncoding for others and for several."""
    name = (header or "identity").strip().lower()
    if name == "x-gzip":
        name = "gzip"
    if name == "identity" or name in ENCODINGS:
        return name  # type: ignore[return-value]
    raise UnsupportedEncoding(encoding=name[:40])


def pieces(stream: IO[bytes], limit: int) -> Iterator[bytes]:
    """The stream in pieces as they come; raises TooLarge at the first byte beyond the limit."""
    total = 0
    while piece := stream.read(min(PIECE, limit - total + 1)):
        total += len(piece)
        if total > limit:
            raise TooLarge(limit=limit)
        yield piece


def read(stream: IO[bytes], limit: int) -> bytes:
    """The whole stream, of at most `limit` bytes; raises TooLarge beyond."""
    return b"".join(pieces(stream, limit))


def inflate(content: bytes, encoding: Encoding, limit: int) -> bytes:
    """The plain body in at most `limit` bytes of memory besides what was sent.

    Raises TooLarge beyond the limit, Malformed for a truncated or damaged frame or anything after it.
    """
    if encoding == "zstd":
        return _unzstd(content, limit)
    if encoding == "gzip":
        return _gunzip(content, limit)
    if len(content) > limit:
        raise TooLarge(limit=limit)
    return content


def claimed_digest(header: str | None) -> bytes | None:
    """The SHA-256 in a Content-Digest header (RFC 9530), None where it has none; raises Malformed for a bad one."""
    if not header:
        return None
    found = _DIGEST.search(header)
    if not found:
        return None
    try:
        digest = b64decode(found[1], validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != 32:
        raise Malformed(detail="Content-Digest")
    return digest


def check_digest(content: bytes, header: str | None) -> None:
    """Compare a body as sent with its Content-Digest, if it has one; raises DigestMismatch."""
    claimed = claimed_digest(header)
    if claimed is not None and claimed != sha256(content).digest():
        raise DigestMismatch(what="body")


def _gunzip(content: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(content, limit + 1)
    except zlib.error as error:
        raise Malformed(detail=f"gzip: {error}") from error
    if len(plain) > limit:
        raise TooLarge(limit=limit)
    if not inflater.eof:
        raise Malformed(detail="gzip: truncated")
    if inflater.unused_data:
        raise Malformed(detail="gzip: data after the end")
    return plain


def _unzstd(content: bytes, limit: int) -> bytes:
    try:
        frame = zstandard.get_frame_parameters(content)
        if frame.content_size in (0, zstandard.CONTENTSIZE_UNKNOWN):  # of an empty frame, decompress() reads no further
            return _unzstd_slowly(content, limit)
        if frame.content_size > limit:
            raise TooLarge(limit=limit)
        return zstandard.ZstdDecompressor().decompress(content, max_output_size=limit, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Malformed(detail=f"zstd: {error}") from error


def _unzstd_slowly(content: bytes, limit: int) -> bytes:
    """A frame that does not say its size: small slices in, so that no single step can burst."""
    inflater = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()
    plain: list[bytes] = []
    total = at = 0
    while at < len(content) and not inflater.eof:
        piece = inflater.decompress(content[at : at + _SLICE])
        at += _SLICE
        total += len(piece)
        if total > limit:
            raise TooLarge(limit=limit)
        if piece:
            plain.append(piece)
    if not inflater.eof:
        raise Malformed(detail="zstd: truncated")
    if inflater.unused_data or at < len(content):
        raise Malformed(detail="zstd: data after the end")
    return b"".join(plain)


def gzipped(content: bytes) -> bytes:
    """An answer for a client that does not know zstd."""
    packer = zlib.compressobj(level=1, wbits=16 + zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()
