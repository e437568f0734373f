"""Digests: the published vector, any slicing of the same bytes, and what a chunk proves."""

import hashlib
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody.digests import CHUNK, Hasher, all_of, chunk_belongs, digests_of, leaves_of, proof_of_chunk, sm3_of
from sync.core import log

VECTOR = b"abc" * 1_000_000


def test_the_reference_vector_comes_out() -> None:
    made = digests_of(io.BytesIO(VECTOR))
    assert made.sha256 == "f4096a131e7e6ebfa7a512b5c299e13b065df34d15624ee1202ab394cc4d7e90"
    assert made.size == 3_000_000
    assert made.tree == "98f690b23c33a6f9d3fbf2c7615b0dc7ec12601f8f4c4522447aee35e2807b5e"
    assert sm3_of(io.BytesIO(VECTOR)) == "7be3061430249769f476ff0d2646396e9e4c63a1456e07b33def5b56f7fad1d5"
    assert all_of(io.BytesIO(VECTOR)) == (made, sm3_of(io.BytesIO(VECTOR)))


def test_sm3_of_abc_is_that_of_the_standard() -> None:
    # GB/T 32905-2016, appendix A.1
    assert sm3_of(io.BytesIO(b"abc")) == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 1])
def test_the_tree_is_that_of_the_chunks_by_definition(size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    leaves = [log.leaf_hash(content[at : at + CHUNK]) for at in range(0, size, CHUNK)]
    made = digests_of(io.BytesIO(content))
    assert made == (hashlib.sha256(content).hexdigest(), size, log.root_of(leaves).hex())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, CHUNK + 7), max_size=6))
def test_how_the_bytes_are_sliced_makes_no_difference(cuts: list[int]) -> None:
    hasher, rest = Hasher(), memoryview(VECTOR)
    for cut in cuts:
        hasher.update(rest[:cut])
        rest = rest[cut:]
        hasher.digests()  # asking in between changes nothing
    hasher.update(rest)
    assert hasher.digests() == digests_of(io.BytesIO(VECTOR))


def test_a_chunk_proves_that_it_belongs_and_no_other_does() -> None:
    leaves, made = leaves_of(io.BytesIO(VECTOR)), digests_of(io.BytesIO(VECTOR))
    for number in range(3):
        chunk = VECTOR[number * CHUNK : (number + 1) * CHUNK]
        proof = proof_of_chunk(leaves, number)
        assert chunk_belongs(chunk, number, made.size, proof, made.tree)
        assert not chunk_belongs(chunk[:-1], number, made.size, proof, made.tree)
        assert not chunk_belongs(b"x" + chunk[1:], number, made.size, proof, made.tree)
        assert not chunk_belongs(chunk, (number + 1) % 3, made.size, proof, made.tree)
