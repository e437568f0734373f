"""Request bodies: bounded, whole, and what their digest says."""

import gzip
import io
import resource
import time
import zlib
from base64 import b64encode
from hashlib import sha256

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from server.api import bodies
from sync.core.errors import DigestMismatch, Malformed, TooLarge, UnsupportedEncoding

LIMIT = 1 << 20


def zstd(plain: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(plain)


def zstd_without_size(plain: bytes) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(plain) + packer.flush()


PACKERS = {"zstd": zstd, "zstd streamed": zstd_without_size, "gzip": gzip.compress}
packers = pytest.mark.parametrize("name", PACKERS)


def inflate(name: str, content: bytes, limit: int = LIMIT) -> bytes:
    return bodies.inflate(content, bodies.encoding_of(name.split()[0]), limit)


@packers
@given(plain=st.binary(max_size=5000))
def test_what_was_packed_comes_out(name: str, plain: bytes) -> None:
    assert inflate(name, PACKERS[name](plain)) == plain


@packers
def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not(name: str) -> None:
    assert len(inflate(name, PACKERS[name](b"x" * LIMIT))) == LIMIT
    with pytest.raises(TooLarge):
        inflate(name, PACKERS[name](b"x" * (LIMIT + 1)))


@packers
def test_a_bomb_costs_the_limit_and_not_the_bomb(name: str) -> None:
    bomb = PACKERS[name](bytes(200 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    with pytest.raises(TooLarge):
        inflate(name, bomb, 8 << 20)
    assert time.perf_counter() - start < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB on Linux


@packers
@given(plain=st.binary(min_size=1, max_size=2000), cut=st.integers(min_value=1, max_value=2000))
def test_a_truncated_body_is_malformed(name: str, plain: bytes, cut: int) -> None:
    packed = PACKERS[name](plain)
    with pytest.raises(Malformed):
        inflate(name, packed[: -min(cut, len(packed))])


@packers
@given(plain=st.binary(max_size=2000), junk=st.binary(min_size=1, max_size=2000))
def test_anything_after_the_frame_is_malformed(name: str, plain: bytes, junk: bytes) -> None:
    with pytest.raises(Malformed):
        inflate(name, PACKERS[name](plain) + junk)


@packers
def test_a_second_frame_is_malformed(name: str) -> None:
    with pytest.raises(Malformed):
        inflate(name, PACKERS[name](b"one") + PACKERS[name](b"two"))


@pytest.mark.parametrize("encoding", ["zstd", "gzip"])
@given(junk=st.binary(max_size=500))
def test_garbage_is_malformed_or_too_large_and_nothing_else(encoding: str, junk: bytes) -> None:
    try:
        bodies.inflate(junk, bodies.encoding_of(encoding), 1000)
    except (Malformed, TooLarge):
        return
    raise AssertionError("garbage was read")


def test_a_frame_that_lies_about_its_size_is_malformed() -> None:
    packed = bytearray(zstd(b"x" * 300))
    assert zstandard.get_frame_parameters(bytes(packed)).content_size == 300
    at = bytes(packed).index((300 - 256).to_bytes(2, "little"))
    packed[at : at + 2] = (200 - 256 + 65536 & 0xFFFF).to_bytes(2, "little")
    with pytest.raises((Malformed, TooLarge)):
        bodies.inflate(bytes(packed), "zstd", LIMIT)


@pytest.mark.parametrize("header", ["br", "deflate", "gzip, gzip", "zstd,gzip", "gzip;q=1", "snappy"])
def test_other_and_double_encodings_are_unsupported(header: str) -> None:
    with pytest.raises(UnsupportedEncoding):
        bodies.encoding_of(header)


@pytest.mark.parametrize("header", [None, "", "identity", "Identity"])
def test_no_encoding_means_the_bytes_as_they_are(header: str | None) -> None:
    assert bodies.inflate(b"plain", bodies.encoding_of(header), 5) == b"plain"
    with pytest.raises(TooLarge):
        bodies.inflate(b"plain!", "identity", 5)


def test_a_stream_is_read_up_to_its_limit_and_no_further() -> None:
    assert bodies.read(io.BytesIO(b"x" * 100), 100) == b"x" * 100
    endless = io.BytesIO(b"x" * 10_000)
    with pytest.raises(TooLarge):
        bodies.read(endless, 100)
    assert endless.tell() == 101


def test_a_digest_is_compared_with_the_bytes_as_sent() -> None:
    good = f"sha-256=:{b64encode(sha256(b'body').digest()).decode()}:"
    bodies.check_digest(b"body", good)
    bodies.check_digest(b"body", None)
    bodies.check_digest(b"body", f"sha-512=:AAAA:, {good}")
    with pytest.raises(DigestMismatch):
        bodies.check_digest(b"bodY", good)


@pytest.mark.parametrize("header", ["sha-256=:AAAA:", "sha-256=:!!!!:x", "md5=:AAAA:"])
def test_a_digest_that_is_none_is_malformed_or_absent(header: str) -> None:
    try:
        assert bodies.claimed_digest(header) is None
    except Malformed:
        return


def test_raw_deflate_is_not_gzip() -> None:
    with pytest.raises(Malformed):
        bodies.inflate(zlib.compress(b"x"), "gzip", 100)
