"""Witnesses for tests: real ones, behind a real socket of this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from werkzeug.serving import WSGIRequestHandler, make_server

from server.instance import Instance
from server.proofs import trusts
from sync.core.log import Tree, leaf_hash
from sync.core.note import Checkpoint, Verifier, checkpoint_body, fingerprint, sign_note
from sync.core.trust import Trust, Witness
from sync.core.witnessing import write_submission
from witness.book import Book
from witness.web import application


class Running(NamedTuple):
    """A witness that is being served at `url`."""

    book: Book
    url: str

    @property
    def named(self) -> Witness:
        """As a trust file names it."""
        return Witness(self.book.name, self.book.verifier.public_key, self.url)


@contextmanager
def running_witness(
    home: Path, name: str, house: Instance | None = None, now: Callable[[], int] = lambda: int(time.time())
) -> Iterator[Running]:
    """A new witness that watches every log of `house`."""
    book = Book.create(home, name, now)
    for voice in house.keys.voices.values() if house is not None else ():
        book.add_log(Verifier(voice.origin, voice.log_public))
    listener = make_server("127.0.0.1", 0, application(book), threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield Running(book, f"http://127.0.0.1:{listener.server_port}")
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Says nothing."""


def publish_trust(
    house: Instance, folder: Path, witnesses: Sequence[Witness] = (), quorum: int = 0, **more: object
) -> str:
    """The next edition of the trust file, signed with a root key in `folder`; the root's fingerprint."""
    file = folder / "root.age"
    if not file.exists():
        trusts.create_root(file, "竹子")
    held = trusts.published(house.settings)
    before = held.trust if held is not None else None
    made: Trust = trusts.next_edition(
        house.keys,
        "湖南省教育厅",
        house.now(),
        before,
        witnesses=tuple(witnesses),
        quorum=quorum,
        **more,  # type: ignore[arg-type]
    )
    return fingerprint(trusts.publish(house.settings, made, trusts.open_root(file, "竹子")).root)


class Log:
    """A log of its own, with its key, to be shown to a witness: honest until it is told to forge."""

    def __init__(self, origin: str = "test.example/log", seed: bytes = b"\x11" * 32) -> None:
        self.origin, self.seed = origin, seed
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.tree = Tree(lambda level, index: self.tiles.get((level, index), b""), 0)

    @property
    def key(self) -> Verifier:
        return Verifier(self.origin, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def grow(self, count: int, salt: str = "") -> None:
        start = self.tree.size
        self.tiles.update(self.tree.append([leaf_hash(f"{salt}{start + n}".encode()) for n in range(count)]))

    def checkpoint(self, size: int) -> Checkpoint:
        from sync.core.log import frontier_root

        return Checkpoint(self.origin, size, frontier_root(self.tree.frontier(size)))

    def note(self, size: int) -> str:
        return sign_note(checkpoint_body(self.checkpoint(size)), self.origin, self.seed)

    def submission(self, old: int, size: int) -> bytes:
        """What an honest log sends to a witness that knows `old`."""
        return write_submission(old, self.tree.consistency(old, size), self.note(size))
