"""The drop box: what a locked tablet seals goes in, and nothing on this tablet gets it out again.

Neither the store nor a PIN is needed: only the trust file (`trustfile.py`), which says to whom to seal, and the capture
key, which signs. `covert.py` takes the drop box into the store at the next unlock.

    covert/key                    the seed of the capture key (0600); readable without a PIN, see docs/operations.md
    covert/head.json              number and hash of the newest capture
    covert/.new-…/content.age     being sealed; what a killed program left is swept, and nobody can open it
    covert/00000007/content.age   one sealed object, fsynced; the folder was renamed into place when it was whole
    covert/00000007/capture.json  its statement, signature, key file, sealed facts, and what the team told, sealed apart

A file is one object however large it is: its source is still there should sealing be cut. A stream has no other copy, so
it is sealed in segments of at most 8 MiB or 10 seconds, each an object of its own, and a crash costs one at most.
Plaintext is never written anywhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import secrets
import shutil
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody import captures, media, sealing
from custody.captures import Capture
from custody.commitments import Part
from custody.sealing import Sealed, SealedMeta
from field_client.exchange import trustfile
from field_client.platform import Clock, locks
from field_client.platform.files import make_folder, replace_file, require_space, sync_folder, telling_disk_full
from schemas.labels import Label
from sync.core.change import START
from sync.core.errors import BrokenFile, EmptyFile, Problem, Refused

FOLDER = "covert"
CONTENT, CAPTURE = "content.age", "capture.json"
SEGMENT_BYTES = 8 << 20
SEGMENT_MS = 10_000
RESERVE_BYTES = 64 << 20
"""Stays free whatever is sealed: the store must still be able to take it in."""
LOOK_S = 0.25
"""How long a silent camera is waited for before it is looked whether to stop."""

_MIME = re.compile(r"[a-z]+/[a-z0-9.+-]{1,60}\Z")
_NEW = ".new-"
_LEFT_S = 60.0
_ABANDONED_S = 24 * 3600.0

Told = Callable[[int], None]
"""Called with how many more bytes were sealed."""


class Source(Protocol):
    """A camera: see `field_client.platform.pipes.Pipe`."""

    def take(self, wait_s: float) -> bytes | None: ...


class About(NamedTuple):
    """What a person tells of a capture. All of it is sealed, except `audit`, and but for `mime` none of it leaves the
    province with a hand-over.

    audit  the id of the audit, or a piece of it: a locked tablet cannot look it up. Other words stay in what is sealed
    name   of the file, where it is one; what comes from a camera has none
    place  a `Point` (schemas.fields)
    """

    audit: str = ""
    note: str = ""
    name: str = ""
    mime: str = ""
    place: Mapping[str, Any] | None = None


class Entry(NamedTuple):
    """One sealed object in the drop box."""

    folder: Path
    capture: Capture
    statement: bytes
    signature: bytes
    key: bytes
    key_file: bytes
    facts: bytes
    team: bytes

    @property
    def content(self) -> Path:
        return self.folder / CONTENT


class Stopped(Exception):
    """A person stopped the sealing of a file; nothing of it was kept, the file is as it was."""


class DropBox:
    """The drop box of the tablet in `home`."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self.home = home
        self.folder = home / FOLDER
        self._clock = clock

    # ---- the capture key -----------------------------------------------------------------------------------

    def key(self) -> Ed25519PrivateKey | None:
        """The capture key; None where this tablet has none."""
        try:
            return Ed25519PrivateKey.from_private_bytes(bytes.fromhex((self.folder / "key").read_text("ascii")))
        except (FileNotFoundError, ValueError):
            return None

    def make_key(self) -> Ed25519PrivateKey:
        """A new capture key, on the disk."""
        made = Ed25519PrivateKey.generate()
        make_folder(self.folder)
        replace_file(self.folder / "key", made.private_bytes_raw().hex().encode())
        return made

    # ---- sealing -------------------------------------------------------------------------------------------

    def sealer(self) -> Sealer:
        """What seals; made before anything is read, so that nothing is lost where it cannot be.

        :raises NoSealKeys: no trust file, one that the pinned root did not sign, or one that names nobody
        :raises Refused: this tablet has no capture key
        """
        trusted = trustfile.held(self.home)
        seal = trustfile.recipients(trusted)
        key = self.key()
        if key is None:
            raise Refused(
                detail=Label(
                    "这台平板没有采集密钥；暗访组的平板登记后首次解锁时生成",
                    "this tablet has no capture key; it is made when a tablet of an undercover team is first unlocked",
                )
            )
        make_folder(self.folder)
        return Sealer(self, self._clock, key, seal.recipients, seal.version, trusted.sha256)

    # ---- what is in it -------------------------------------------------------------------------------------

    def waiting(self) -> list[Entry]:
        """What waits to be taken in, oldest first; what cannot be read is in `damaged`."""
        found = []
        for folder in self._published():
            with contextlib.suppress(Problem):
                found.append(read_entry(folder))
        return found

    def numbers(self, recording: str) -> set[int]:
        """The segments of a recording that are here."""
        return {one.capture.number for one in self.waiting() if one.capture.recording == recording}

    def damaged(self) -> list[Path]:
        """The objects whose statement cannot be read or is not signed by its key; they stay where they are."""
        wrong = []
        for folder in self._published():
            try:
                read_entry(folder)
            except Problem:
                wrong.append(folder)
        return wrong

    def is_empty(self) -> bool:
        return not self._published()

    def clear(self, entry: Entry) -> None:
        """Forget an object that was taken in."""
        with contextlib.suppress(FileNotFoundError):
            self._note_head(entry.capture)
            (entry.folder / CAPTURE).unlink(missing_ok=True)
            entry.folder.rmdir()
            sync_folder(self.folder)

    def sweep(self, now_s: float) -> None:
        """Remove what killed programs left while sealing; `now_s` is seconds since 1970."""
        for left in self.folder.glob(f"{_NEW}*"):
            with contextlib.suppress(FileNotFoundError):
                age = now_s - left.stat().st_mtime
                content = left / CONTENT
                gone = age > _LEFT_S and content.exists() and locks.is_left(content)
                if gone or age > _ABANDONED_S:
                    shutil.rmtree(left, ignore_errors=True)
        for folder in self._published(whole=False):
            with contextlib.suppress(OSError):  # not empty: a whole object
                folder.rmdir()  # the power went while it was cleared

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Nobody else numbers or takes in meanwhile; sealing itself goes on."""
        make_folder(self.folder)
        return locks.alone(self.folder / "lock")

    def publish(self, scratch: Path, state: Callable[[int, str], Capture], rest: Callable[[Capture], bytes]) -> Capture:
        """Number a sealed object, write its statement, and give it its place."""
        with self.alone():
            seq, prev = self._head()
            capture = state(seq + 1, prev)
            replace_file(scratch / CAPTURE, rest(capture))
            os.rename(scratch, self.folder / f"{capture.seq:08d}")
            sync_folder(self.folder)
            self._note_head(capture)
        return capture

    def _published(self, whole: bool = True) -> list[Path]:
        if not self.folder.exists():
            return []
        named = [one for one in self.folder.iterdir() if one.name.isdecimal() and one.is_dir()]
        return sorted(one for one in named if not whole or any(one.iterdir()))

    def _head(self) -> tuple[int, str]:
        """Number and hash of the newest capture, whether it was noted or the power went before that."""
        seq, prev = noted, _ = self._noted_head()
        for folder in self._published():
            if int(folder.name) > noted:  # a long recording waits in hundreds of them; those before were noted
                with contextlib.suppress(Problem):
                    entry = read_entry(folder)
                    if entry.capture.seq > seq:
                        seq, prev = entry.capture.seq, entry.capture.hash
        taken = [int(one.name) for one in self._published(whole=False)]
        return max([seq, *taken]), prev  # a damaged one keeps its number

    def _noted_head(self) -> tuple[int, str]:
        try:
            noted = orjson.loads((self.folder / "head.json").read_bytes())
            return int(noted["seq"]), str(noted["hash"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return 0, START

    def _note_head(self, newest: Capture) -> None:
        if newest.seq > self._noted_head()[0]:
            replace_file(self.folder / "head.json", orjson.dumps({"seq": newest.seq, "hash": newest.hash}))


class Sealer:
    """Seals files and streams into a drop box."""

    def __init__(
        self, box: DropBox, clock: Clock, key: Ed25519PrivateKey, recipients: tuple[str, ...], version: int, trust: str
    ) -> None:
        self._box, self._clock, self._key = box, clock, key
        self._recipients, self._version, self._trust = recipients, version, trust

    def file(
        self, path: Path, about: About, *, told: Told = lambda more: None, stop: Callable[[], bool] = lambda: False
    ) -> Capture:
        """Seal a file as one object; on return it is safe against a power cut, and the source may go.

        :raises Refused: it cannot be opened
        :raises EmptyFile, DiskFull, Stopped: nothing was kept
        """
        with _opened(path) as source:
            require_space(self._box.home, os.fstat(source.fileno()).st_size + RESERVE_BYTES)
            watched = _Watched(source.read, told, stop)
            return self._seal(watched, about, self._clock.new_id(), 1, lambda: True)

    def stream(
        self, source: Source, about: About, *, told: Told = lambda more: None, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Capture]:
        """Seal what a camera gives, segment after segment; each one is safe when it is handed out.

        A stop ends the recording where it is, and what came before is kept.

        :raises EmptyFile: there was nothing at all
        :raises DiskFull: the segments before it are kept
        """
        tape, recording, number, last = _Tape(source, stop, self._clock.mono_ms), self._clock.new_id(), 0, False
        while not last:
            require_space(self._box.home, SEGMENT_BYTES + RESERVE_BYTES)
            number += 1
            watched = _Watched(tape.segment(), told)
            made = self._seal(watched, about, recording, number, lambda: tape.ended)
            last = made.last
            yield made

    def segment(self, content: bytes, about: About, recording: str, number: int, last: bool) -> Capture:
        """Seal one piece of what a camera gives, as segment `number` of a recording; safe on return.

        Whoever sends it once more, because the answer got lost, asks `DropBox.numbers` first.

        :raises EmptyFile: the first one has no byte
        :raises DiskFull: the segments before it are kept
        """
        require_space(self._box.home, len(content) + RESERVE_BYTES)
        return self._seal(_Watched(io.BytesIO(content).read, lambda more: None), about, recording, number, lambda: last)

    def _seal(
        self, source: _Watched, about: About, recording: str, number: int, is_last: Callable[[], bool]
    ) -> Capture:
        scratch = self._box.folder / f"{_NEW}{secrets.token_hex(8)}"
        with telling_disk_full(self._box.folder):
            scratch.mkdir(mode=0o700)
            try:
                begun = self._clock.wall_ms(), self._clock.mono_ms()
                made = self._content(source, scratch / CONTENT)
                if not made.plain.size and number == 1:
                    raise EmptyFile(file=about.name or Label("内容", "content"))
                segment = {"recording": recording, "number": number, "last": is_last()}
                facts = sealing.seal_meta(Part.FACTS, self._facts(made, source, about, segment, begun), self._recipients)
                team = sealing.seal_meta(Part.TEAM, self._team(made, about), self._recipients)

                def state(seq: int, prev: str) -> Capture:
                    return self._capture(seq, prev, made, facts, team, about, segment)

                def rest(capture: Capture) -> bytes:
                    return self._written(capture, made.key_file, facts.sealed, team.sealed)

                return self._box.publish(scratch, state, rest)
            finally:
                if scratch.exists():
                    shutil.rmtree(scratch, ignore_errors=True)

    def _content(self, source: _Watched, path: Path) -> Sealed:
        with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            locks.claim(out)
            made = sealing.seal(cast(BinaryIO, source), out, self._recipients)  # it is only read
            out.flush()
            os.fsync(out.fileno())
        return made

    def _facts(
        self, made: Sealed, source: _Watched, about: About, segment: Mapping[str, Any], begun: tuple[int, int]
    ) -> dict[str, Any]:
        """What whoever is handed the object needs to check it. No word of a person, and nothing that names the tablet."""
        wall, mono = begun
        return {
            "v": 1,
            "content": made.sha256,
            "plain": made.plain._asdict(),
            "mime": about.mime if _MIME.match(about.mime) else media.identify(source.head),
            "source": "file" if about.name else "camera",
            "clock": {"began": wall, "ended": self._clock.wall_ms(), "elapsed": self._clock.mono_ms() - mono},
            **segment,
        }

    def _team(self, made: Sealed, about: About) -> dict[str, Any]:
        """What the team told the province. The place is among it: where somebody stood with a camera can lead to them."""
        return {
            "v": 1,
            "content": made.sha256,
            "name": media.called(about.name),
            "note": about.note,
            "audit": about.audit,
            "place": dict(about.place) if about.place else None,
        }

    def _capture(
        self, seq: int, prev: str, made: Sealed, facts: SealedMeta, team: SealedMeta, about: About, segment: Mapping[str, Any]
    ) -> Capture:
        clock = self._clock
        return Capture(
            seq=seq,
            prev=prev,
            record=clock.new_id(),
            sha256=made.sha256,
            size=made.size,
            key_file=_sha256(made.key_file),
            facts=_sha256(facts.sealed),
            facts_commit=facts.commit,
            team=_sha256(team.sealed),
            team_commit=team.commit,
            recipients=self._version,
            trust=self._trust,
            audit=captures.as_id(about.audit),
            clock={"wall": clock.wall_ms(), "mono": clock.mono_ms(), "boot": clock.boot()},
            **segment,
        )

    def _written(self, capture: Capture, key_file: bytes, facts: bytes, team: bytes) -> bytes:
        return orjson.dumps(
            {
                "statement": capture.dump().decode(),
                "sig": _text(capture.sign(self._key.sign)),
                "key": _text(self._key.public_key().public_bytes_raw()),
                "key_file": _text(key_file),
                "facts": _text(facts),
                "team": _text(team),
            }
        )


def read_entry(folder: Path) -> Entry:
    """One object of a drop box, as far as its statement tells.

    :raises BrokenFile: it cannot be read, or pieces of it do not belong together
    :raises Malformed: its statement is of another version of this program
    :raises BadSignature: it is not signed by the key that it names
    """
    try:
        told = orjson.loads((folder / CAPTURE).read_bytes())
        statement = told["statement"].encode()
        signature, key, key_file = (b64decode(told[name], validate=True) for name in ("sig", "key", "key_file"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenFile(file=folder.name, detail=str(error)) from error
    capture = captures.open_capture(statement, signature, key)
    try:
        facts, team = (b64decode(told[name], validate=True) for name in ("facts", "team"))
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenFile(file=folder.name, detail=str(error)) from error
    if tuple(map(_sha256, (key_file, facts, team))) != (capture.key_file, capture.facts, capture.team):
        detail = Label("密钥文件或密封的信息与声明不符", "the key file or what is sealed beside it is not that of the statement")
        raise BrokenFile(file=folder.name, detail=detail)
    return Entry(folder, capture, statement, signature, key, key_file, facts, team)


# --- sources ---------------------------------------------------------------------------------------------------------


class _Watched:
    """What is read while it is sealed: its first bytes tell what it is, and somebody is told how far it is."""

    def __init__(self, read: Callable[[int], bytes], told: Told, stop: Callable[[], bool] = lambda: False) -> None:
        self.head = b""
        self._read, self._told, self._stop = read, told, stop

    def read(self, size: int) -> bytes:
        if self._stop():
            raise Stopped
        piece = self._read(size)
        self.head += piece[: media.HEAD_BYTES - len(self.head)]
        self._told(len(piece))
        return piece


class _Tape:
    """A camera's bytes, cut into segments."""

    def __init__(self, source: Source, stop: Callable[[], bool], mono_ms: Callable[[], int]) -> None:
        self.ended = False
        self._source, self._stop, self._mono_ms = source, stop, mono_ms
        self._left = b""

    def segment(self) -> Callable[[int], bytes]:
        """Reads the next segment: no byte where it ends. Its time runs from its first byte."""
        room, until = SEGMENT_BYTES, 0

        def read(size: int) -> bytes:
            nonlocal room, until
            piece = self._next(until, min(size, room)) if room else b""
            if piece and not until:
                until = self._mono_ms() + SEGMENT_MS
            room -= len(piece)
            if not room:
                self._peek()
            return piece

        return read

    def _next(self, until: int, most: int) -> bytes:
        while not self._left and not self.ended:
            if until and self._mono_ms() >= until:
                return b""
            piece = self._source.take(LOOK_S)
            self.ended = piece == b"" or (piece is None and self._stop())
            self._left = piece or b""
            if self._stop():
                self.ended = True  # what is here already is still sealed
        piece, self._left = self._left[:most], self._left[most:]
        return piece

    def _peek(self) -> None:
        """Whether that was all, as far as it can be told without waiting: then this segment is the last one."""
        if not self._left and not self.ended:
            piece = self._source.take(0)
            self.ended = piece == b"" or self._stop()
            self._left = piece or b""


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        stream = open(path, "rb")  # noqa: SIM115  closed below
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise Refused(detail=Label(f"打不开文件 {path}", f"the file {path} cannot be opened")) from error
    with stream:
        yield stream


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _text(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")
