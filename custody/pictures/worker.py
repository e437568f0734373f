"""The worker: `python -m custody.pictures.worker`. Binds itself, then takes orders from its pipe until that is closed.

It loads as little as it can: a person waits for its start with the first photo of a program.
"""

from __future__ import annotations

import io
import json
import os
import sys
from typing import Any, BinaryIO

from custody.pictures import limits, pipe
from custody.pictures.orders import Edit, Mark, Order, Redaction, Stroke
from schemas.labels import Label


class _Asked(io.RawIOBase):
    """The file of the order: every read is asked of the workshop."""

    def __init__(self, orders: BinaryIO, answers: BinaryIO, size: int) -> None:
        self._orders, self._answers, self._size = orders, answers, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a position before the beginning")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = max(0, min(len(buffer), self._size - self._at, pipe.MOST_ASKED))
        if length:
            pipe.send(self._answers, b"R", pipe.SPAN.pack(self._at, length))
            letter, body = pipe.receive(self._orders)
            if letter != b"B" or len(body) != length:
                raise pipe.Broken
            buffer[:length] = body
            self._at += length
        return length


def main() -> None:
    orders, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what a library prints is no frame
    from custody.pictures import draw  # decoders are loaded before the limits count what they map

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy would map memory for a thread of each processor
    limits.bind()
    while True:
        try:
            letter, body = pipe.receive(orders)
        except pipe.Broken:
            return  # the workshop has closed
        if letter != b"O":
            return
        told = json.loads(body)
        limits.allow_one_job()
        file = io.BufferedReader(_Asked(orders, answers, told["bytes"]), buffer_size=1 << 20)
        try:
            made = draw.draw(file, _order(told))
        except draw.Unshowable as problem:
            _refuse(answers, problem.why)
            continue
        except MemoryError:
            _refuse(answers, Label("解码需要的内存过多", "decoding it takes too much memory"))
            return  # whatever is left of this process is not to be trusted
        except pipe.Broken:
            return
        except Exception as error:  # a decoder may raise anything; the file is to blame
            _refuse(answers, Label("解码失败", f"it cannot be decoded ({error.__class__.__name__})"))
            continue
        for name, content in made.files.items():
            pipe.send(answers, b"F", bytes([len(name)]) + name.encode("ascii") + content)
        facts = {name: value for name, value in made._asdict().items() if name != "files"}
        pipe.send(answers, b"D", json.dumps(facts).encode())


def _order(told: dict[str, Any]) -> Order:
    mark, edit = told["mark"], told["edit"]
    strokes = tuple(Stroke(shape, colour, tuple((x, y) for x, y in points)) for shape, colour, points in (edit or [0, []])[1])
    return Order(
        told["mime"],
        {name: (box[0], box[1]) for name, box in told["sizes"].items()},
        Mark(tuple((what, said) for what, said in mark[0]), mark[1], mark[2]) if mark else None,
        (told["marked"][0], told["marked"][1]),
        told["looks"],
        told["codes"],
        _redaction(told["redaction"]),
        Edit(edit[0], strokes) if edit else None,
    )


def _redaction(told: list[Any] | None) -> Redaction | None:
    if told is None:
        return None
    boxes, at_ms, page = told
    return Redaction(tuple((x, y, width, height) for x, y, width, height in boxes), at_ms, page)


def _refuse(answers: BinaryIO, why: Label) -> None:
    pipe.send(answers, b"X", json.dumps(list(why)).encode())


if __name__ == "__main__":
    main()
