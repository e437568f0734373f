"""Real time stamping authorities for tests: `openssl ts` behind a loopback socket, and forgers who know the format.

with running_authority(folder) as tsa:
    server asks tsa.url; its root is tsa.root
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from custody import timestamps
from custody.timestamps import _OCTETS, _TIME, _der, _int, _oid, _seq
from demo import authority
from demo.authority import FOR_STAMPS, OTHER_POLICY, POLICY

Twist = Callable[[bytes, bytes], bytes]
"""(request, honest reply) → what is sent instead."""


class Authority(authority.Authority):
    """One that also stamps without being asked, and signs what it should not."""

    twist: Twist = staticmethod(lambda query, reply: reply)

    def answer(self, query: bytes) -> bytes:
        return self.twist(query, self.reply(query))

    def stamp(self, message: bytes, nonce: int = 7) -> bytes:
        return self.reply(timestamps.request(message, nonce))

    def signed(
        self, message: bytes, at: datetime | str | None = None, *, nonce: int = 7, policy: str = POLICY
    ) -> bytes:
        """A response of any content that this authority's key signs, whether or not it is fit for that."""
        written = at if isinstance(at, str) else (at or datetime.now(UTC)).strftime("%Y%m%d%H%M%SZ")
        imprint = _seq(_seq(_oid(timestamps.SHA256)) + _der(_OCTETS, hashlib.sha256(message).digest()))
        parts = [_int(1), _oid(policy), imprint, _int(5), _der(_TIME, written.encode()), _seq(_int(1)), _int(nonce)]
        (self.folder / "info").write_bytes(_seq(b"".join(parts)))
        self._openssl("cms", "-sign", "-binary", "-nodetach", "-cades", "-md", "sha256", "-in", "info", "-outform", "DER",
                      "-signer", "tsa.pem", "-inkey", "tsa.key", "-econtent_type", "1.2.840.113549.1.9.16.1.4",
                      "-out", "token")  # fmt: skip
        return _seq(_seq(_int(0)) + (self.folder / "token").read_bytes())


@contextmanager
def running_authority(folder: Path, twist: Twist = lambda query, reply: reply, **more: bool) -> Iterator[Authority]:
    """A new authority behind a loopback socket."""
    made = Authority(folder, **more)  # type: ignore[arg-type]
    made.twist = twist
    with authority.running(made):
        yield made


__all__ = ["FOR_STAMPS", "OTHER_POLICY", "POLICY", "Authority", "Twist", "running_authority"]
