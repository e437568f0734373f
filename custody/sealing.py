"""Sealing: bytes go in, and only the province gets them out again. Not the tablet that sealed them, not the server.

Every object has an age X25519 identity of its own that exists in memory only, for as long as sealing lasts:

    content   age(bytes → the object's recipient), streamed in bounded memory
    key file  age(the object's secret → the recipients of the trust file), about 500 bytes
    meta      age(canonical {"meta", "r"}, padded → the same recipients), twice: the facts that whoever is handed the object
              needs to check it, and what the team told the province
    commit    of each of the two, in the clear part of the record (`custody.commitments`)

The commitments fix both before anybody opens them. Hand-over wraps the object's secret and the facts again for a county,
`rewrap`, and of what the team told gives its commitment only; the content is never touched, so its digest, its place in
the log and its receipt stay what they are.

    secret, recipient = new_identity()              # the province's, made on its own station
    sealed = seal(video, file, [recipient])         # Sealed(sha256, size, plain, key_file)
    told = seal_meta(Part.TEAM, {"name": "MOV_1.mp4"}, [recipient])
    open_sealed(file, open_key(sealed.key_file, secret), Path("MOV_1.mp4"), sealed=sealed[:2], plain=sealed.plain)

age (age-encryption.org/v1) because it is a reviewed format with several implementations: `age -d` opens these files too.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson
import pyrage

from custody.commitments import R_BYTES, Part, commitment
from custody.digests import Digests, Hasher
from schemas.labels import Label
from sync.core.change import canonical
from sync.core.errors import BrokenSeal, InvalidField, NoSealKeys, WrongSealKey
from sync.passphrases import unlocked

PIECE = 1 << 20
LARGEST_SMALL = 256 * 1024
"""Key files and sealed meta are small; anything larger is not read into memory."""
META_BLOCK = 1024
"""Meta is padded to a multiple of this, so that its size does not tell how long a name or a note is."""

_SECRET_LENGTH = 74  # "AGE-SECRET-KEY-1" and 58 characters


class Identity(NamedTuple):
    """An age identity: the secret (`AGE-SECRET-KEY-1…`) and its public recipient (`age1…`)."""

    secret: str
    recipient: str


class Sealed(NamedTuple):
    """A sealed object: digest and size of the sealed bytes, digests of what is inside, and the key file."""

    sha256: str
    size: int
    plain: Digests
    key_file: bytes


class SealedMeta(NamedTuple):
    """The commitment (64 hexadecimal digits) for the clear part of the record, and the sealed meta that it is to."""

    commit: str
    sealed: bytes


class OpenedMeta(NamedTuple):
    """What was told about an object, and the random bytes of its commitment."""

    meta: dict[str, Any]
    r: bytes


def new_identity() -> Identity:
    """A new identity, for a province, an escrow or a county: made where its secret is to stay."""
    made = pyrage.x25519.Identity.generate()
    return Identity(str(made), str(made.to_public()))


def recipient_of(identity: str) -> str:
    """The public recipient of a secret. Raises WrongSealKey where the text is no secret."""
    return str(_identity(identity).to_public())


def lock_identity(secret: str, passphrase: str) -> bytes:
    """A secret for a file: encrypted with a passphrase, in age's armour. `age -d` opens it too."""
    locked: bytes = pyrage.passphrase.encrypt(secret.encode("ascii"), passphrase, armored=True)
    return locked


def unlock_identity(content: bytes, passphrase: str) -> str:
    """The secret in a file of `lock_identity`.

    :raises WrongSealKey: the passphrase is not that of the file
    :raises TooSlow: this machine cannot tell
    """
    inside = unlocked(content, passphrase)
    if inside is None or not inside.isascii():
        raise WrongSealKey(what=Label("口令加密的私钥文件", "the file with the private key"))
    return str(_identity(inside.decode("ascii")))


# --- sealing ---------------------------------------------------------------------------------------------------------


def seal(source: BinaryIO, target: BinaryIO, recipients: Sequence[str]) -> Sealed:
    """Seal what `source` still holds into `target`, in one pass and bounded memory. Flushing to disk is the caller's.

    Whatever the streams raise is raised here. Then `target` holds a beginning that nobody can open: its secret is gone.

    :raises NoSealKeys: there is nobody to seal it for
    """
    readers = _recipients(recipients)
    own = pyrage.x25519.Identity.generate()
    key_file = pyrage.encrypt(str(own).encode("ascii"), readers)
    reader, writer = _Reader(source), _Writer(target)
    with _passing_on(reader, writer):
        pyrage.encrypt_io(io.BufferedReader(reader, PIECE), writer, [own.to_public()])
    return Sealed(writer.digest.hexdigest(), writer.size, reader.hasher.digests(), key_file)


def seal_meta(part: Part, meta: Mapping[str, Any], recipients: Sequence[str]) -> SealedMeta:
    """Seal one part of what is told about an object (canonical JSON: no floats), and commit to it.

    :raises NoSealKeys, NotCanonical:
    """
    r = secrets.token_bytes(R_BYTES)
    body = canonical({"meta": meta, "r": r.hex()})
    padded = body.ljust(-(-len(body) // META_BLOCK) * META_BLOCK)
    return SealedMeta(commitment(part, meta, r), pyrage.encrypt(padded, _recipients(recipients)))


# --- opening ---------------------------------------------------------------------------------------------------------


def open_key(key_file: bytes, identity: str) -> str:
    """The object's secret, for one of those whom the key file was made for.

    :raises WrongSealKey: the identity is not one of them
    :raises BrokenSeal: damaged, or no key file
    """
    secret = _opened_small(key_file, identity, _KEY_FILE).decode("ascii", "replace")
    with contextlib.suppress(WrongSealKey):
        if len(secret) == _SECRET_LENGTH:
            _identity(secret)
            return secret
    raise BrokenSeal(what=_KEY_FILE, detail=Label("里面不是密钥", "what is inside is no key"))


def rewrap(sealed: bytes, identity: str, recipients: Sequence[str]) -> bytes:
    """A key file or sealed meta again, for other recipients; the content of the object stays as it is.

    :raises WrongSealKey, BrokenSeal, NoSealKeys:
    """
    opened: bytes = pyrage.encrypt(_opened_small(sealed, identity, _SMALL), _recipients(recipients))
    return opened


def open_meta(sealed: bytes, identity: str) -> OpenedMeta:
    """What was told about an object; `check_commitment` says whether it is what was committed to.

    :raises WrongSealKey, BrokenSeal:
    """
    body = _opened_small(sealed, identity, _META).rstrip(b" ")
    try:
        told = orjson.loads(body)
        if told.keys() == {"meta", "r"} and type(told["meta"]) is dict and len(told["r"]) == 2 * R_BYTES:
            return OpenedMeta(told["meta"], bytes.fromhex(told["r"]))
    except (ValueError, AttributeError, TypeError):
        pass
    raise BrokenSeal(what=_META, detail=Label("里面不是元数据", "what is inside is no meta"))


def check_commitment(part: Part, commit: str, opened: OpenedMeta) -> None:
    """Raise BrokenSeal where the meta is not what the record committed to as this part."""
    if commitment(part, opened.meta, opened.r) != commit:
        raise BrokenSeal(what=_META, detail=Label("与记录中的承诺值不符", "it is not what the record committed to"))


def plain_of(facts: Mapping[str, Any]) -> Digests:
    """The digests of what is inside, as the tablet noted them in the facts. Raises BrokenSeal where there are none."""
    try:
        return Digests(**facts["plain"])
    except (KeyError, TypeError) as error:
        raise BrokenSeal(what=_META, detail=Label("其中没有原件的校验值", "it has no digests of what is inside")) from error


def open_sealed(
    stream: BinaryIO,
    secret: str,
    target: Path,
    *,
    sealed: tuple[str, int] | None,
    plain: Digests | None,
) -> Digests:
    """Decrypt an object into `target`, which appears only when all of it is there and right.

    sealed  SHA-256 and size of the sealed bytes, from the signed record
    plain   digests of what is inside, from the facts; None for either is a decision not to check it

    age hands out what it has decrypted before it knows that the rest is whole, so it goes to a temporary file first.

    :raises WrongSealKey: the secret belongs to another object; the sealed bytes are sound
    :raises BrokenSeal: cut, changed, or not what the digests say; nothing of it is left
    """
    scratch = target.with_name(f".opening-{secrets.token_hex(8)}")
    reader = _Sum(stream)
    try:
        with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            writer = _Taker(file)
            try:
                with _passing_on(reader, writer):
                    pyrage.decrypt_io(io.BufferedReader(reader, PIECE), writer, [_identity(secret)])
            except (pyrage.DecryptError, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise  # of the disk; what age has to complain about carries no number
                raise _why_not(error, reader, sealed, _CONTENT) from error
            found = writer.hasher.digests()
            reader.finish()
            if sealed is not None and (reader.digest.hexdigest(), reader.size) != tuple(sealed):
                raise BrokenSeal(what=_CONTENT, detail=_OTHER_BYTES)
            if plain is not None and found != plain:
                raise BrokenSeal(what=_CONTENT, detail=Label("解开后的校验值不符", "what is inside has another digest"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, target)
        _sync_folder(target.parent)
    finally:
        scratch.unlink(missing_ok=True)
    return found


# --- inside ----------------------------------------------------------------------------------------------------------

_CONTENT = Label("密封内容", "the sealed content")
_KEY_FILE = Label("密钥文件", "the key file")
_META = Label("密封的元数据", "the sealed meta")
_SMALL = Label("密封的小文件", "the small sealed file")
_OTHER_BYTES = Label("字节与记录的校验值不符", "the bytes are not those of the record")
_CUT_OR_CHANGED = Label("不完整或被改动", "cut short or changed")


class _Noting(io.RawIOBase):
    """A stream between age and another one. age turns every exception into a text; `raised` keeps the real one."""

    raised: BaseException | None = None

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.raised = error
            raise


class _Source(_Noting):
    def __init__(self, source: BinaryIO, count: Callable[[memoryview], None]) -> None:
        self._source, self._count = source, count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self.noting():
            piece = self._source.read(len(buffer))
            buffer[: len(piece)] = piece
            self._count(memoryview(piece))
            return len(piece)


class _Target(_Noting):
    def __init__(self, target: BinaryIO, count: Callable[[memoryview], None]) -> None:
        self._target, self._count = target, count

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        with self.noting():
            self._count(piece)
            self._target.write(piece)
            return len(piece)


class _Reader(_Source):
    """What is to be sealed, hashed on its way."""

    def __init__(self, source: BinaryIO) -> None:
        self.hasher = Hasher()
        super().__init__(source, self.hasher.update)


class _Sum(_Source):
    """Sealed bytes on their way in."""

    def __init__(self, source: BinaryIO) -> None:
        self.digest, self.size = hashlib.sha256(), 0
        super().__init__(source, self._add)

    def _add(self, piece: memoryview) -> None:
        self.digest.update(piece)
        self.size += len(piece)

    def finish(self) -> None:
        """Take the rest too, so that the digest is that of the whole."""
        while piece := self._source.read(PIECE):
            self._add(memoryview(piece))


class _Writer(_Target):
    """Sealed bytes on their way out."""

    def __init__(self, target: BinaryIO) -> None:
        self.digest, self.size = hashlib.sha256(), 0
        super().__init__(target, self._add)

    def _add(self, piece: memoryview) -> None:
        self.digest.update(piece)
        self.size += len(piece)


class _Taker(_Target):
    """What was inside, hashed on its way to the disk."""

    def __init__(self, target: BinaryIO) -> None:
        self.hasher = Hasher()
        super().__init__(target, self.hasher.update)


@contextlib.contextmanager
def _passing_on(*streams: _Noting) -> Iterator[None]:
    """Raise what a stream raised: age makes a text of it, or, of the last write, nothing at all."""
    try:
        yield
    finally:
        for stream in streams:
            if stream.raised is not None:
                raise stream.raised from None


def _recipients(names: Sequence[str]) -> list[Any]:
    if not names:
        raise NoSealKeys(detail=Label("没有列出任何人", "nobody is named"))
    try:
        return [pyrage.x25519.Recipient.from_str(name) for name in names]
    except pyrage.RecipientError as error:
        raise InvalidField(field="recipients", detail="holds age recipients (age1…)") from error


def _identity(secret: str) -> Any:
    try:
        return pyrage.x25519.Identity.from_str(secret.strip())
    except pyrage.IdentityError as error:
        raise WrongSealKey(what=Label("密封内容", "the seal")) from error


def _opened_small(sealed: bytes, identity: str, what: Label) -> bytes:
    own = _identity(identity)
    if len(sealed) > LARGEST_SMALL:
        raise BrokenSeal(what=what, detail=_CUT_OR_CHANGED)
    try:
        opened: bytes = pyrage.decrypt(sealed, [own])
        return opened
    except pyrage.DecryptError as error:
        raise (WrongSealKey(what=what) if _is_no_match(error) else _broken(what)) from error


def _why_not(error: Exception, reader: _Sum, sealed: tuple[str, int] | None, what: Label) -> Exception:
    """Damage and a wrong key can look alike to age; where the digest is known, it decides."""
    reader.finish()
    if sealed is not None and (reader.digest.hexdigest(), reader.size) != tuple(sealed):
        return BrokenSeal(what=what, detail=_OTHER_BYTES)
    return WrongSealKey(what=what) if _is_no_match(error) else _broken(what)


def _is_no_match(error: Exception) -> bool:
    return str(error) == "No matching keys found"


def _broken(what: Label) -> BrokenSeal:
    return BrokenSeal(what=what, detail=_CUT_OR_CHANGED)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
