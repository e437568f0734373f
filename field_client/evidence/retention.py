"""How long files stay on the tablet, and which of them may go: as few as the work allows, and none without a receipt.

    sealed      sealed by an undercover team, which cannot read it here       at once
    derived     previews and watermarked copies: the server can make them     with their original, and before it
    original    everything else that was captured                             a term after the receipt, and not before its
                                                                              inspection was handed in
    thumbnail   stays with its record

This says what may go; `tidying.py` looks at the receipts again, asks the server, and removes. The terms are the
authority's to set (`retention.json`), for the law leaves them to it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

from field_client.evidence.removals import Removals, What
from field_client.exchange.uploads import Blob
from field_client.platform.files import EncryptedFiles, replace_file
from field_client.tablet import Tablet
from schemas.labels import Label
from sync.core.errors import InvalidField, NotFound
from sync.core.fold import State, conflicts_of

FILE = "retention.json"
SEALED_MIME = "application/age"
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
MOST = 3650

ORDER: tuple[What, ...] = ("derived", "sealed", "original", "thumbnail")
"""What can be made again goes first, evidence last."""

_INSPECTION = "inspection"
_WORKED_ON = frozenset({"draft", "returned"})


class Terms(NamedTuple):
    """How long files stay: hours or days, as the names say.

    sealed_hours    after the receipt, of undercover teams
    original_days   after the receipt, all others
    closed_hours    and not before their inspection was handed in for so long, whichever is later
    draft_days      a draft that nobody touched for so long no longer keeps its files
    """

    sealed_hours: int = 0
    original_days: int = 7
    closed_hours: int = 24
    draft_days: int = 30


TERMS = {
    "sealed_hours": Label("密封件：有回执后（小时）", "Sealed files: hours after the receipt"),
    "original_days": Label(
        "原件、预览和水印副本：有回执后（天）", "Originals and their copies: days after the receipt"
    ),
    "closed_hours": Label("且检查提交后（小时）", "and hours after the inspection was handed in"),
    "draft_days": Label("草稿多久未动即不再占用（天）", "Days after which an untouched draft keeps nothing"),
}


class Line(NamedTuple):
    """A file that is here: why it stays, or `may` go; `due_ms` (server's time) where time alone is missing."""

    blob: Blob
    what: What
    why: Label
    due_ms: int | None = None
    may: bool = False


# ---- the terms ---------------------------------------------------------------------------------------------


def terms_of(home: Path) -> Terms:
    """What holds on this tablet. Raises InvalidField where the file says something else than whole numbers."""
    try:
        given = json.loads((home / FILE).read_bytes())
    except FileNotFoundError:
        return Terms()
    except ValueError as error:
        raise InvalidField(field=FILE, detail=str(error)) from error
    return _checked(given if type(given) is dict else {FILE: given})


def set_terms(home: Path, changed: dict[str, int]) -> Terms:
    """Change some of them. Raises InvalidField."""
    terms = _checked({**terms_of(home)._asdict(), **changed})
    replace_file(home / FILE, json.dumps(terms._asdict()).encode())
    return terms


def _checked(given: dict[str, object]) -> Terms:
    for name, value in given.items():
        if name not in Terms._fields:
            raise InvalidField(field=name, detail=Label("没有这一项", "there is no such term"))
        if type(value) is not int or not 0 <= value <= MOST:
            raise InvalidField(
                field=name, detail=Label(f"应为 0 到 {MOST} 的整数", f"is a whole number from 0 to {MOST}")
            )
    return Terms(**cast("dict[str, int]", given))


# ---- what is here, and why ---------------------------------------------------------------------------------


def lines(tablet: Tablet, only: Collection[What] = ORDER) -> list[Line]:
    """Every file of these sorts that is here, in the order in which files go."""
    files, rule = cast(EncryptedFiles, tablet.files), _Rule(tablet)
    some = [blob for blob in tablet.store.uploads.all() if _what(blob) in only]
    here = [rule.line(blob) for blob in some if files.has(blob.sha256)]
    return sorted(here, key=lambda line: (ORDER.index(line.what), -line.blob.size, line.blob.sha256))


def sizes(found: Iterable[Line]) -> Iterator[tuple[What, int, int]]:
    """(what, number, bytes) of each sort of file."""
    every = list(found)
    for what in ORDER:
        some = [line.blob.size for line in every if line.what == what]
        yield what, len(some), sum(some)


def server_ms(tablet: Tablet) -> int:
    """The server's time as far as the tablet knows it."""
    _, offset = tablet.store.time()
    return tablet.store.clock.wall_ms() + offset


class _Rule:
    """The rule as it stands at one moment."""

    def __init__(self, tablet: Tablet) -> None:
        self._tablet, self._terms, self._now = tablet, terms_of(tablet.home), server_ms(tablet)
        self._seen = tablet.witnessed()
        self._removed = Removals(tablet.store.database).all()
        self._owed = {_sha256_of(tablet, evidence) for evidence in tablet.store.chores.owing()}

    def line(self, blob: Blob) -> Line:
        what = _what(blob)
        if what == "thumbnail":
            return Line(blob, what, Label("缩略图随记录保留", "thumbnails stay with their record"))
        if not blob.held:
            return Line(blob, what, Label("服务器还没有", "the server does not have it yet"))
        if not blob.proven:
            return Line(blob, what, Label("回执还没有核验", "its receipt is not verified yet"))
        if not self._witnessed(blob):
            return Line(blob, what, Label("回执还没有见证会签", "too few witnesses stand behind its receipt yet"))
        if blob.sha256 in self._owed:
            return Line(
                blob, what, Label("还要用它生成小图或水印", "pictures or a marked copy are still to be made of it")
            )
        if blob.sha256 in self._removed:
            return Line(blob, what, Label("清理中断，未删完", "a tidying was cut off before it went"), may=True)
        states = [state for record in blob.records if (state := _state(self._tablet, record)) is not None]
        if any(conflicts_of(state, self._tablet.merge_of(state.kind)) for state in states):
            return Line(blob, what, Label("所属记录有未决冲突", "its record has an open conflict"))
        due = self._due(blob, what, states)
        if due is None:
            return Line(blob, what, Label("检查还没有提交", "its inspection is not handed in yet"))
        if self._now < due:
            return Line(blob, what, Label("保留期未到", "its term is not over"), due)
        return Line(blob, what, Label("可以清理", "may go"), due, may=True)

    def _witnessed(self, blob: Blob) -> bool:
        """Whether as many witnesses as the trust file asks for have seen the log with its receipt in it."""
        if self._seen is None:
            return True
        receipt = self._tablet.store.uploads.receipt(blob.sha256)
        return receipt is not None and receipt.leaf < self._seen.size

    def _due(self, blob: Blob, what: What, states: Collection[State]) -> int | None:
        """When its term is over; None while something must happen first."""
        receipt = self._tablet.store.uploads.receipt(blob.sha256)
        assert receipt is not None  # it is proven
        held_ms = int(json.loads(receipt.act)["at"])
        if what == "sealed":
            return held_ms + self._terms.sealed_hours * HOUR_MS
        ends = [held_ms + self._terms.original_days * DAY_MS]
        for state in states:
            closed = self._closed(state)
            if closed is None:
                return None
            ends.append(closed)
        return max(ends)

    def _closed(self, state: State) -> int | None:
        """Until when a record keeps its files; 0 for other kinds than inspections, None for one that is worked on."""
        if state.kind != _INSPECTION:
            return 0
        statuses = state.live.get("status", {})
        if not statuses or any(value in _WORKED_ON for value in statuses.values()):
            touched = max((_ms(act.hlc) for act in state.acts.values()), default=self._now)
            abandoned = touched + self._terms.draft_days * DAY_MS
            return abandoned if abandoned <= self._now else None
        return max(_ms(state.acts[id].hlc) for id in statuses) + self._terms.closed_hours * HOUR_MS


def _what(blob: Blob) -> What:
    if blob.role == "thumbnail":
        return "thumbnail"
    if blob.role != "original":
        return "derived"
    return "sealed" if blob.mime == SEALED_MIME else "original"


def _state(tablet: Tablet, record: str) -> State | None:
    """A record as it is shown; None where it left this tablet's scope."""
    with contextlib.suppress(NotFound):
        return tablet.view(record)
    return None


def _sha256_of(tablet: Tablet, evidence: str) -> str:
    with contextlib.suppress(NotFound):
        return str(tablet.values(evidence).get("sha256"))
    return ""


def _ms(stamp: str) -> int:
    return int(stamp[:12], 16)
