"""An evidence bundle: everything about one case that somebody needs who trusts neither the tablet nor the server.

    fib/bundle.json                number, case, purpose, and every other member with its size and SHA-256
    fib/bundle.sig                 the server's signature under it
    fib/trust.json, fib/trust.sig  whom to believe, signed by the authority's root key
    fib/changes/<replica>.ndjson   the changes that are shown, one exact content a line
    fib/chains/<replica>.ndjson    the links of that replica, also of changes that are not shown: their hashes alone
    fib/acts.ndjson                acts of the server: devices enrolled and revoked, blobs held, openings, exports
    fib/proofs.ndjson              an inclusion proof for every change and act that is shown
    fib/checkpoints.ndjson         the newest checkpoint of each log, and proofs that it extends those that were seen
    fib/attested.ndjson            older checkpoints that witnesses cosigned or an authority stamped, with such proofs
    fib/stamps/<name>.tsr, .note   responses of time stamping authorities as they came, and what each is over
    fib/disclosed.ndjson           the facts of sealed files that were handed over, where the county discloses them
    fib/people.json                names of people and devices, to be read by people
    fib/grades.json                the facts that grades were computed from
    fib/blobs/<sha256>             originals and what was made from them
    fib/report.json, report.pdf    the custody report;  fib/verify.py, README-zh.txt

It is an archive in one written form (`custody.archive`), so equal content is equal bytes. Lines are canonical JSON.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, BinaryIO

import orjson

from custody import archive
from custody.archive import Content, Member
from schemas.labels import Label
from sync.core.change import canonical
from sync.core.errors import BrokenFile

PREFIX = "fib/"
MANIFEST = PREFIX + "bundle.json"
SIGNATURE = PREFIX + "bundle.sig"
BUNDLE_TAG = b"patrolbook/bundle/v1\0"
VERSION = 2
"""1 came from servers that handed over sealed files together with what the team had told."""
LARGEST_TEXT = 256 << 20  # bytes of a member that is read into memory; blobs are streamed
UNTOLD = frozenset({"report.json", "report.pdf", "verify.py", "README-zh.txt"})
"""Members that say nothing of their own: not part of the digest that the report prints."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A member as the manifest names it (without the prefix): size in bytes and SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the bundle is.

    root     the record that it is about;  signer: the server's replica whose key signs it, and that key
    withheld SHA-256 of originals that exist and were left out
    """

    number: str
    root: str
    kind: str
    title: str
    purpose: str
    authority: str
    made: int
    signer: str
    key: str
    members: tuple[Listed, ...]
    withheld: tuple[str, ...] = ()

    def dump(self) -> bytes:
        """The one written form."""
        members = [[one.name, one.size, one.sha256] for one in self.members]
        names = ("number", "root", "kind", "title", "purpose", "authority", "made", "signer", "key")
        told = {name: getattr(self, name) for name in names}
        return canonical({"v": VERSION, **told, "members": members, "withheld": list(self.withheld)})

    @property
    def content(self) -> str:
        """SHA-256 over what is evidence in it: names, sizes and digests of all members but `UNTOLD`."""
        told = [[one.name, one.size, one.sha256] for one in self.members if one.name not in UNTOLD]
        return hashlib.sha256(canonical(told)).hexdigest()


def read_manifest(content: bytes) -> Manifest:
    """The manifest that `Manifest.dump` wrote. Raises BrokenFile for anything else."""
    try:
        body = orjson.loads(content)
        _require_version(body["v"])
        members = tuple(Listed(*one) for one in body.pop("members"))
        version, withheld = body.pop("v"), tuple(body.pop("withheld"))
        manifest = Manifest(**body, members=members, withheld=withheld)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise broken("bundle.json") from error
    texts = [
        getattr(manifest, name) for name in ("number", "root", "kind", "title", "purpose", "authority", "signer", "key")
    ]
    plain = all(type(one.name) is str and type(one.size) is int and type(one.sha256) is str for one in members)
    if version != VERSION or not all(type(one) is str for one in texts) or type(manifest.made) is not int or not plain:
        raise broken("bundle.json")
    if manifest.dump() != content:
        raise broken("bundle.json")
    return manifest


def _require_version(version: Any) -> None:
    if type(version) is int and version != VERSION:
        detail = Label(
            f"证据包是第 {version} 版格式，本程序只认第 {VERSION} 版；请用包内自带的 verify.py 核验，或请服务器重新出具",
            f"the bundle is of version {version} and this program knows {VERSION} only; check it with the verify.py inside of it, or "
            "have the server make it anew",
        )
        raise BrokenFile(file="bundle.json", detail=detail)


class Bundle:
    """A bundle that lies in a seekable stream. Opening it checks the form of the archive and no digest yet.

    :raises BrokenFile: not an archive in its one form, or without a manifest
    """

    def __init__(self, stream: BinaryIO, name: str = "") -> None:
        self._stream = stream
        self.name = name
        self.archive: dict[str, Member] = {one.name: one for one in archive.read(stream, name)}
        if MANIFEST not in self.archive:
            raise broken("bundle.json")

    @cached_property
    def manifest(self) -> Manifest:
        return read_manifest(self.text("bundle.json"))

    def has(self, name: str) -> bool:
        return PREFIX + name in self.archive

    def open(self, name: str) -> Content:
        """The content of a member, to be read piece by piece. Raises BrokenFile where there is none."""
        member = self.archive.get(PREFIX + name)
        if member is None:
            raise broken(name)
        return Content(self._stream, member)

    def text(self, name: str) -> bytes:
        """A whole member that is no blob. Raises BrokenFile where it is missing, damaged or too large to be one."""
        member = self.archive.get(PREFIX + name)
        if member is None or member.size > LARGEST_TEXT:
            raise broken(name)
        content = self.open(name)
        whole = content.read()
        if content.crc != member.crc:
            raise broken(name)
        return whole

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The objects of an NDJSON member, each in its one form; none where there is no such member."""
        if not self.has(name):
            return []
        return [parsed(line, name) for line in split(self.text(name), name)]

    def document(self, name: str) -> dict[str, Any]:
        """The object of a JSON member in its one form."""
        return parsed(self.text(name), name)

    def under(self, folder: str) -> Iterator[str]:
        """The names of the members in a folder, without it."""
        start = f"{PREFIX}{folder}/"
        return (name.removeprefix(start) for name in self.archive if name.startswith(start))


def split(content: bytes, name: str) -> list[bytes]:
    """The lines of an NDJSON member, each of which ends with a newline."""
    if not content:
        return []
    if not content.endswith(b"\n"):
        raise broken(name)
    return content[:-1].split(b"\n")


def joined(lines: Sequence[Any]) -> bytes:
    """Objects as the lines of an NDJSON member."""
    return b"".join(canonical(line) + b"\n" for line in lines)


def base64(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")


def raw(text: Any, name: str) -> bytes:
    """Bytes from base64 in its only form. Raises BrokenFile naming the member that holds it."""
    try:
        found = b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise broken(name) from None
    if base64(found) != text:
        raise broken(name)
    return found


@dataclass
class Draft:
    """A bundle in the making: texts are kept, blobs are streamed when it is written."""

    texts: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, tuple[int, str, Any]] = field(default_factory=dict)  # name → size, SHA-256, what opens it

    def listed(self) -> tuple[Listed, ...]:
        """The members so far, in the order of their names."""
        texts = [Listed(name, len(text), hashlib.sha256(text).hexdigest()) for name, text in self.texts.items()]
        blobs = [Listed(name, size, sha256) for name, (size, sha256, _) in self.blobs.items()]
        return tuple(sorted([*texts, *blobs], key=lambda one: one.name))

    def write(self, out: BinaryIO, manifest: Manifest, signature: bytes) -> None:
        """Write the archive; the manifest must be of exactly these members.

        :raises ValueError: a blob turned out to have another size than was announced
        """
        writer = archive.Writer(out)
        writer.add(MANIFEST, manifest.dump())
        writer.add(SIGNATURE, base64(signature).encode() + b"\n")
        for one in manifest.members:
            if one.name in self.texts:
                writer.add(PREFIX + one.name, self.texts[one.name])
            else:
                with self.blobs[one.name][2]() as stream:
                    writer.add(PREFIX + one.name, stream, one.size)
        writer.close()


def broken(member: str) -> BrokenFile:
    return BrokenFile(file=member, detail="not a member of an evidence bundle in its only form")


def parsed(line: bytes, name: str) -> dict[str, Any]:
    """A JSON object in its one form. Raises BrokenFile naming the member that holds it."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise broken(name) from None
    if not isinstance(value, Mapping) or canonical(value) != line:
        raise broken(name)
    return dict(value)
