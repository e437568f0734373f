"""班次 at the server: whether the numbers of each shift fit what arrived.

A shift says where its tablet's chain stood when it was opened and when it was closed. Whatever does not fit is listed
with the reason and waits for a person; nothing is refused for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from schemas.labels import Label
from server.instance import Instance
from server.proofs import anchors
from server.storage import chains, journal
from server.storage.database import Connection
from sync.core.anchors import VERDICTS
from sync.core.bracket import Jump, jumps, tick

LONG_MS = 24 * 3600 * 1000
"""A shift that has been open for longer was not closed."""


class Seen(NamedTuple):
    """A shift as it arrived, and everything about it that does not fit."""

    record: str
    values: Mapping[str, Any]
    held: int
    odd: tuple[Label, ...]

    @property
    def open(self) -> bool:
        return self.values.get("status") != "closed"


class Loose(NamedTuple):
    """What a replica wrote outside any shift, and what is odd about the replica itself."""

    replica: str
    device: str
    outside: int
    odd: tuple[Label, ...]


def every(house: Instance, conn: Connection, now: int) -> list[Seen]:
    """Every shift, oldest first."""
    rows = list(house.projections.rows(conn, "shift"))
    by_device: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_device[str(row["device"])].append(row)
    broken = _contradicted(house, conn)
    return [_seen(conn, row, by_device[str(row["device"])], broken, now) for row in rows]


def loose(house: Instance, conn: Connection, device: str | None = None) -> list[Loose]:
    """The replicas, or those of one device, that wrote outside a shift, or that show that their tablet was restored or
    copied."""
    shifts = list(house.projections.rows(conn, "shift"))
    found = []
    for span in chains.spans(conn, device):
        own = chains.replicas_of(conn, span.device)
        if span.replica not in own:  # the server's own
            continue
        outside = _outside(conn, span, [row for row in shifts if span.replica in _replicas(row)])
        odd = [Label(f"有 {outside} 条变更不在任何班次内", f"{outside} changes outside any shift")] if outside else []
        if own.index(span.replica) > 0:
            before = own[own.index(span.replica) - 1][-8:]
            odd.append(
                Label(
                    f"平板曾被恢复或复制（此前为副本 {before}），或服务器曾被恢复",
                    f"the tablet was restored or copied (it was replica {before} before), or the server was restored",
                )
            )
        if span.held != span.last - span.first + 1:
            lost = span.last - span.first + 1 - span.held
            odd.append(Label(f"链中缺 {lost} 条变更", f"{lost} changes are missing in its chain"))
        if odd:
            found.append(Loose(span.replica, span.device, outside, tuple(odd)))
    return found


def clock_jumps(conn: Connection, values: Mapping[str, Any]) -> list[Jump]:
    """Where the tablet's clock was set during a shift."""
    first = int(values.get("opened_n") or 0) + 1
    closed = values.get("closed_n") if values.get("closed_replica") == values.get("replica") else None
    last = (
        int(closed) + 1 if closed is not None else (journal.last_link(conn, str(values.get("replica"))) or (0, ""))[0]
    )
    return jumps([tick(n, c.body["clock"]) for n, c, _ in chains.read(conn, str(values.get("replica")), first, last)])


def _seen(
    conn: Connection, row: dict[str, Any], of_device: list[dict[str, Any]], broken: Mapping[str, list[Label]], now: int
) -> Seen:
    replica, opened_n = str(row["replica"]), int(row["opened_n"] or 0)
    odd: list[Label] = []
    held = 0
    if row["status"] == "closed":
        held, odd = _closing(conn, row, replica, opened_n)
    else:
        held = chains.held(conn, replica, opened_n + 1, (journal.last_link(conn, replica) or (0, ""))[0])
        later = [one for one in of_device if str(one["opened_at"]) > str(row["opened_at"])]
        if later:
            odd.append(Label("没有结束就开始了下一班", "the next shift was opened without closing this one"))
        elif _age(row, now) > LONG_MS:
            odd.append(Label("超过 24 小时没有结束", "open for more than 24 hours"))
    for other in of_device:
        if other is not row and _overlaps(row, other):
            odd.append(
                Label(
                    f"与班次 {str(other['record'])[-8:]} 的链号重叠：平板曾被回退",
                    f"its chain numbers overlap those of shift {str(other['record'])[-8:]}: the tablet was rolled back",
                )
            )
    for one in {replica, str(row["closed_replica"] or replica)}:
        odd.extend(broken.get(one, []))
    odd.extend(
        Label(
            f"第 {one.n} 条处时钟被调 {one.ms / 1000:+.0f} 秒",
            f"the clock was set by {one.ms / 1000:+.0f} s at {one.n}",
        )
        for one in clock_jumps(conn, row)
    )
    return Seen(str(row["record"]), row, held, tuple(odd))


def _closing(conn: Connection, row: dict[str, Any], replica: str, opened_n: int) -> tuple[int, list[Label]]:
    """How many changes of a closed shift are held, and what does not fit its numbers."""
    closed_n, said = int(row["closed_n"] or 0), int(row["changes"] or 0)
    if str(row["closed_replica"] or replica) != replica:
        held = chains.held(conn, str(row["closed_replica"]), 1, closed_n)
        return held, [
            Label("班次中平板换了副本：曾被恢复或复制", "it went on as another replica: restored or copied on the way")
        ]
    odd = []
    held = chains.held(conn, replica, opened_n + 1, closed_n)
    if closed_n - opened_n != said:
        odd.append(
            Label(
                f"所报变更数 {said} 与链号之差 {closed_n - opened_n} 不符",
                f"it reports {said} changes, its chain numbers differ by {closed_n - opened_n}",
            )
        )
    if held != closed_n - opened_n:
        lost = closed_n - opened_n - held
        odd.append(Label(f"有 {lost} 条变更没有收到", f"{lost} changes have not arrived"))
    for place, status in ((opened_n + 1, "open"), (closed_n + 1, "closed")):
        if not _is_there(conn, replica, place, str(row["record"]), status):
            odd.append(
                Label(
                    f"链号 {place} 处不是本班次的{'开始' if status == 'open' else '结束'}：平板曾被回退",
                    f"its {'opening' if status == 'open' else 'close'} is not at number {place}: "
                    "the tablet was rolled back",
                )
            )
    return held, odd


def _is_there(conn: Connection, replica: str, n: int, record: str, status: str) -> bool:
    for _, change, _ in chains.read(conn, replica, n, n):
        return change.record == record and "status" in change.set and change.value("status") == status
    return False


def _contradicted(house: Instance, conn: Connection) -> dict[str, list[Label]]:
    """replica → what anchors say against it."""
    found: dict[str, list[Label]] = defaultdict(list)
    for one in anchors.every(house, conn, documents=False):
        if one.verdict in ("contradicted", "lost"):
            said = VERDICTS[one.verdict]
            found[one.replica].append(
                Label(
                    f"锚定 {one.record[-8:]}（链号 {one.n}）：{said.zh}",
                    f"anchor {one.record[-8:]} at {one.n}: {said.en}",
                )
            )
    return found


def _overlaps(row: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two shifts of a replica claim the same numbers, which a tablet that only goes forward never gives."""
    if row["replica"] != other["replica"] or str(row["opened_at"]) > str(other["opened_at"]):
        return False
    return int(other["opened_n"] or 0) <= int(row["closed_n"] or row["opened_n"] or 0)


def _outside(conn: Connection, span: chains.Span, shifts: Iterable[dict[str, Any]]) -> int:
    """How many of a replica's changes no shift covers. One that was never closed covers what came until the next one."""
    ranges = sorted(_range(row, span) for row in shifts)
    covered, at = 0, 0
    for number, (first, last) in enumerate(ranges):
        if last is None:
            last = ranges[number + 1][0] - 1 if number + 1 < len(ranges) else span.last
        first = max(first, at + 1)
        if last >= first:
            covered += chains.held(conn, span.replica, first, last)
            at = last
    return span.held - covered


def _range(row: dict[str, Any], span: chains.Span) -> tuple[int, int | None]:
    """The first and the last number of a shift in a replica, its opening and its close included."""
    first = int(row["opened_n"] or 0) + 1 if row["replica"] == span.replica else 1
    if row["status"] != "closed":
        return first, None
    return first, int(row["closed_n"] or 0) + 1 if row["closed_replica"] == span.replica else span.last


def _replicas(row: dict[str, Any]) -> set[str]:
    return {str(row["replica"]), str(row["closed_replica"] or row["replica"])}


def _age(row: dict[str, Any], now: int) -> int:
    try:
        return now - int(datetime.fromisoformat(str(row["opened_at"])).timestamp() * 1000)
    except ValueError:
        return 0
