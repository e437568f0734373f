"""A blob on its way: how it is cut into numbered parts, and which to send next.

Parts are numbered from 1 and each goes alone, in any order, as often as needed: there is no shared offset to
lose. The numbers follow S3 multipart uploads, so a store may pass them straight on: at most 10,000 parts, of
5 MiB or more except the last (docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from schemas.labels import Label
from sync.core.errors import InvalidField, NotFound

MIB = 1024 * 1024
USUAL_PART = 8 * MIB
"""At 1 Mbit/s a cut connection costs at most 67 seconds of sending."""
SLOW_PART = 5 * MIB
"""For links below 2 Mbit/s, and the smallest part that S3 takes."""
MAX_PARTS = 10_000
AIMED_PARTS = 9_000
"""The most parts that `part_size_for` plans, to stay clear of `MAX_PARTS`."""


def part_size_for(size: int, slow: bool = False) -> int:
    """The part size in bytes for a blob of `size` bytes: 8 MiB, on a slow link 5 MiB, more for a giant.

    :raises InvalidField: nothing to send: the size is below 1
    """
    _require_content(size)
    mebibytes = -(-size // (AIMED_PARTS * MIB))
    return max(SLOW_PART if slow else USUAL_PART, mebibytes * MIB)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a blob: its number from 1, where it starts and how long it is, in bytes."""

    number: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class PartPlan:
    """How a blob of `size` bytes is cut: into parts of `part_size` bytes, the last one shorter if need be.

    :raises InvalidField: the blob has no bytes; the part size is not positive, or makes more than `MAX_PARTS`
    parts
    """

    size: int
    part_size: int

    def __post_init__(self) -> None:
        _require_content(self.size)
        if self.part_size < 1 or self.count > MAX_PARTS:
            raise InvalidField(field="part_size", detail=f"makes more than {MAX_PARTS} parts, or none")

    @property
    def count(self) -> int:
        """How many parts there are, at least 1."""
        return -(-self.size // self.part_size)

    def part(self, number: int) -> Part:
        """The part of this number.

        :raises NotFound: the plan has no such part
        """
        if not 1 <= number <= self.count:
            what = Label(f"第 {number} 部分（共 {self.count} 部分）", f"part {number} of {self.count}")
            raise NotFound(what=what)
        offset = (number - 1) * self.part_size
        return Part(number, offset, min(self.part_size, self.size - offset))

    def __iter__(self) -> Iterator[Part]:
        return (self.part(number) for number in range(1, self.count + 1))

    def missing(self, have: Collection[int]) -> list[int]:
        """The numbers of the parts that the other side does not have yet, lowest first.

        :raises NotFound: it claims a part that the plan does not know, so it speaks of another blob
        """
        held = {self.part(number).number for number in have}
        return [number for number in range(1, self.count + 1) if number not in held]

    def next_parts(self, have: Collection[int], under_way: Collection[int] = (), parallel: int = 1) -> list[Part]:
        """The parts to start now, so that at most `parallel` are under way. Empty: wait, or all is there.

        :raises NotFound: as `missing`
        """
        free = max(0, parallel - len(under_way))
        waiting = [number for number in self.missing(have) if number not in under_way]
        return [self.part(number) for number in waiting[:free]]


def _require_content(size: int) -> None:
    if size < 1:
        raise InvalidField(field="size", detail="a file of 0 bytes shows nothing and cannot be sent")
