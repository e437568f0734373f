"""What names a file and holds it together: SHA-256, size and chunk tree in one pass; SM3 apart, for it is slow.

The chunk tree is an RFC 6962 tree whose leaves are the 1 MiB chunks of the file, the last one shorter: with it a part of
an upload is checked before the rest arrives, and a clip can be shown to belong to a recording that is not shown. An
empty file has the root of the empty tree.

    with open("MOV_1.mp4", "rb") as file:
        digests_of(file)        # Digests(sha256="f409…", size=3000000, tree="98f6…")

SM3 (GB/T 32905) runs at a fifth of SHA-256's speed, so capture does not wait for it; it is added to the record later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from sync.core import log

if TYPE_CHECKING:
    from cryptography.hazmat.primitives import hashes

CHUNK = 1 << 20

_LEAF = b"\x00"  # the prefix of `log.leaf_hash`, given to the digest ahead of the chunk

Piece = bytes | bytearray | memoryview


class Digests(NamedTuple):
    """SHA-256 and root of the chunk tree in hexadecimal, size in bytes."""

    sha256: str
    size: int
    tree: str


class Hasher:
    """Takes a file in pieces of any length; `digests` may be asked at any time and again."""

    def __init__(self) -> None:
        self.size = 0
        self._whole = hashlib.sha256()
        self._chunk = hashlib.sha256(_LEAF)
        self._leaves: list[bytes] = []

    def update(self, piece: Piece) -> None:
        self._whole.update(piece)
        view = memoryview(piece)
        while view:
            filled = self.size % CHUNK
            if not filled and self.size:
                self._leaves.append(self._chunk.digest())
                self._chunk = hashlib.sha256(_LEAF)
            part = view[: CHUNK - filled]
            self._chunk.update(part)
            self.size += len(part)
            view = view[len(part) :]

    def leaves(self) -> list[bytes]:
        """The leaf hash of every chunk so far, the unfinished one included."""
        return [*self._leaves, self._chunk.digest()] if self.size else []

    def digests(self) -> Digests:
        return Digests(self._whole.hexdigest(), self.size, log.root_of(self.leaves()).hex())


def digests_of(stream: BinaryIO) -> Digests:
    """SHA-256, size and chunk tree of what the stream still holds, in bounded memory."""
    hasher = Hasher()
    for piece in _pieces(stream):
        hasher.update(piece)
    return hasher.digests()


def all_of(stream: BinaryIO) -> tuple[Digests, str]:
    """As `digests_of`, and the SM3 digest in the same pass."""
    hasher, digest = Hasher(), _sm3()
    for piece in _pieces(stream):
        hasher.update(piece)
        digest.update(piece)
    return hasher.digests(), digest.finalize().hex()


def leaves_of(stream: BinaryIO) -> list[bytes]:
    """The leaf hashes of a file's chunks, for `proof_of_chunk`."""
    hasher = Hasher()
    for piece in _pieces(stream):
        hasher.update(piece)
    return hasher.leaves()


def proof_of_chunk(leaves: Sequence[bytes], number: int) -> list[bytes]:
    """The inclusion proof of a chunk; `chunk_belongs` checks it with nothing but the chunk and the record's `tree`."""
    tiles: log.Tiles = {}
    tree = log.Tree(lambda level, index: tiles.get((level, index), b""), 0)
    tiles.update(tree.append(leaves))
    return tree.inclusion(number, len(leaves))


def chunk_belongs(chunk: bytes, number: int, size: int, proof: Sequence[bytes], tree: str) -> bool:
    """Whether this is chunk `number`, from 0, of the file with that size and tree, both taken from its signed record."""
    chunks = -(-size // CHUNK)
    length = CHUNK if number < chunks - 1 else size - CHUNK * (chunks - 1)
    if not 0 <= number < chunks or len(chunk) != length:
        return False
    return log.verify_inclusion(log.leaf_hash(chunk), number, chunks, proof, bytes.fromhex(tree))


def sm3_of(stream: BinaryIO) -> str:
    """The SM3 digest of what the stream still holds, in hexadecimal."""
    digest = _sm3()
    for piece in _pieces(stream):
        digest.update(piece)
    return digest.finalize().hex()


def _sm3() -> hashes.Hash:
    from cryptography.hazmat.primitives import hashes  # only here: the rest needs the standard library alone

    return hashes.Hash(hashes.SM3())


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(CHUNK):
        yield piece
