"""Makes pictures in a worker process of its own: the side that is trusted.

A picture from outside is the likeliest way to make a decoder misbehave. The worker gets bytes and an order through a
pipe, no path, no key and no environment; it binds its memory, processor time and files (`limits.py`) and is ended when an
order takes longer than `WAIT_S`. What it answers is believed as far as pictures go and no further.

One worker at a time. It serves `jobs_each` orders: many on a tablet, where starting a process takes longer than a
thumbnail, and one on a server, so that no file can reach those of somebody else. On Windows a process cannot be bound;
there only the time-out holds.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from custody.pictures import pipe
from custody.pictures.orders import DRAWN, EDITED, MARKED, MOST_CHARACTERS, MOST_CODES, REDACTED, Made, Order
from schemas.labels import Label
from sync.core.errors import BrokenFile

WAIT_S = 20.0
JOBS_EACH = 200
_ROOT = Path(__file__).resolve().parents[2]
_PASSED_ON = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH")
_GONE = Label("解码器异常退出", "the decoder broke off")
_SLOW = Label("解码超时", "it took too long to decode")


class Workshop:
    """Takes orders (`orders.Pictures`) from any thread, one after the other; the worker starts with the first."""

    def __init__(self, jobs_each: int = JOBS_EACH, wait_s: float = WAIT_S) -> None:
        self.jobs_each = jobs_each
        self.wait_s = wait_s
        self._turn = threading.Lock()
        self._worker: _Worker | None = None

    def make(self, stream: BinaryIO, order: Order, name: str = "") -> Made:
        """As `orders.Pictures.make`."""
        if order.mime not in DRAWN:
            detail = Label("不是可显示的图片", "it is no picture that can be shown")
            raise BrokenFile(file=name, detail=detail)
        size = stream.seek(0, 2)
        with self._turn:
            try:
                return self._carried_out(stream, size, order, name)
            except _WasGone:  # it ended while it had nothing to do; that says nothing about this file
                return self._carried_out(stream, size, order, name)

    def warm(self) -> None:
        """As `orders.Pictures.warm`."""
        if self._turn.acquire(blocking=False):
            try:
                self._ready()
            finally:
                self._turn.release()

    def close(self) -> None:
        """End the worker; the next order starts another."""
        with self._turn:
            self._close()

    def _carried_out(self, stream: BinaryIO, size: int, order: Order, name: str) -> Made:
        worker = self._ready()
        try:
            return worker.carry_out(stream, size, order, name)
        except _WasGone:
            if worker.jobs > 1:
                raise
            raise BrokenFile(file=name, detail=_GONE) from None
        finally:
            if worker.jobs >= self.jobs_each or not worker.alive():
                self._close()

    def _ready(self) -> _Worker:
        if self._worker is not None and not self._worker.alive():
            self._close()
        if self._worker is None:
            self._worker = _Worker(self.wait_s)
        return self._worker

    def _close(self) -> None:
        if self._worker is not None:
            self._worker.end()
            self._worker = None


class _WasGone(Exception):
    """The worker had ended before it looked at the file."""


class _Worker:
    """One process and its pipes."""

    def __init__(self, wait_s: float) -> None:
        environment = {"PYTHONPATH": str(_ROOT), "MALLOC_ARENA_MAX": "2", "PYTHONIOENCODING": "utf-8"}
        environment |= {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self.jobs = 0
        self._looked = False
        self._wait_s = wait_s
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "custody.pictures.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self._end = weakref.finalize(self, _ended, self._process, self._owner)

    def alive(self) -> bool:
        """Whether it can take an order: not one that a parent of this process has started."""
        return self._owner == os.getpid() and self._process.poll() is None

    def end(self) -> None:
        self._end()

    def carry_out(self, stream: BinaryIO, size: int, order: Order, name: str) -> Made:
        self.jobs += 1
        self._looked = False
        late = threading.Event()

        def too_late() -> None:
            late.set()
            self._process.kill()

        clock = threading.Timer(self._wait_s, too_late)
        clock.daemon = True
        clock.start()
        try:
            made = self._converse(stream, size, order)
        except pipe.Broken:
            self.end()
            if not self._looked and not late.is_set():
                raise _WasGone from None
            raise BrokenFile(file=name, detail=_SLOW if late.is_set() else _GONE) from None
        except BaseException:  # interrupted, or the original itself cannot be read: the worker waits for an answer
            self.end()
            raise
        finally:
            clock.cancel()
        if isinstance(made, Label):
            raise BrokenFile(file=name, detail=made)
        return made

    def _converse(self, stream: BinaryIO, size: int, order: Order) -> Made | Label:
        """What was made, or why it could not be."""
        orders, answers = cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)
        told = {
            **order._asdict(),
            "mark": tuple(order.mark) if order.mark else None,
            "redaction": tuple(order.redaction) if order.redaction else None,
            "edit": [order.edit.turns, [list(one) for one in order.edit.strokes]] if order.edit else None,
            "bytes": size,
        }
        pipe.send(orders, b"O", orjson.dumps(told))
        files: dict[str, bytes] = {}
        wanted = {REDACTED} if order.redaction else {*order.sizes, *([MARKED] if order.mark else []), *([EDITED] if order.edit else [])}
        while True:
            letter, body = pipe.receive(answers)
            self._looked = True
            match letter:
                case b"R":
                    pipe.send(orders, b"B", _asked(stream, size, body))
                case b"F":
                    length = body[0] if body else 0
                    file, content = body[1 : 1 + length].decode("ascii", "replace"), body[1 + length :]
                    if file not in wanted or not _is_picture(file, content):
                        raise pipe.Broken
                    files[file] = content
                case b"D":
                    return _made(files, body, wanted)
                case b"X":
                    return _why(body)
                case _:
                    raise pipe.Broken


def _is_picture(name: str, content: bytes) -> bool:
    if name == REDACTED and (content.startswith(b"\x89PNG\r\n\x1a\n") or content[4:8] == b"ftyp"):
        return True
    return content.startswith(b"\xff\xd8\xff")


def _ended(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:
        return
    for end in (process.stdin, process.stdout):
        if end is not None:
            with contextlib.suppress(OSError):  # it died with bytes still to be sent
                end.close()
    process.kill()
    process.wait()


def _asked(stream: BinaryIO, size: int, body: bytes) -> bytes:
    """What the worker asks for, checked: it may ask for any piece of the file and nothing else."""
    if len(body) != pipe.SPAN.size:
        raise pipe.Broken
    offset, length = pipe.SPAN.unpack(body)
    if length > pipe.MOST_ASKED or offset + length > size:
        raise pipe.Broken
    stream.seek(offset)
    piece = stream.read(length)
    if len(piece) != length:
        raise pipe.Broken
    return piece


def _made(files: dict[str, bytes], body: bytes, wanted: set[str]) -> Made:
    told = _object(body)
    looks = told.get("looks")
    described = looks if isinstance(looks, dict) and all(_is_hex(one) for one in looks.values()) else {}
    if files.keys() != wanted:
        raise pipe.Broken
    size = _count(told, "width"), _count(told, "height")
    return Made(files, *size, _count(told, "pages"), described, _line(told.get("tool")), _codes(told.get("codes")))


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except ValueError:
        raise pipe.Broken from None
    if not isinstance(told, dict):
        raise pipe.Broken
    return told


def _count(told: dict[str, Any], name: str) -> int | None:
    value = told.get(name)
    return value if type(value) is int and 0 < value < 2**31 else None


def _is_hex(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 8192 and all(sign in "0123456789abcdef" for sign in value)


def _codes(told: Any) -> tuple[str, ...]:
    """What was read from a picture: text from outside, to be checked by whoever asked."""
    texts = told if isinstance(told, list) else []
    return tuple(one for one in texts[:MOST_CODES] if isinstance(one, str) and len(one) <= MOST_CHARACTERS)


def _why(body: bytes) -> Label:
    try:
        zh, en = orjson.loads(body)
    except (ValueError, TypeError):
        raise pipe.Broken from None
    return Label(_line(zh), _line(en))


def _line(told: Any) -> str:
    """What can be shown of it, in one line."""
    return "".join(sign for sign in str(told or "")[:200] if sign.isprintable())
