"""What waits for staff: conflicts and kept changes, in sight of whoever asks, the weightiest or the oldest first.

Scope is in the query: what lies outside is not read, not counted, and does not exist when it is asked for by its id. Records
without an area of their own are in sight of those who see the area of the tablet's owner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from schemas.base import DELETED, RecordSchema
from schemas.labels import Label
from schemas.registry import Registry
from schemas.words import label_of, same
from server.access.policy import Sight
from server.access.rights import BEHIND
from server.instance import Instance
from server.storage import conflicts, journal, people
from server.storage.conflicts import Mark, Order, Row, Tally, Wanted
from server.storage.database import Connection
from server.storage.journal import Kept
from sync.core.errors import NotFound

PAGE = 50

SORTS: Mapping[str, Label] = {
    "values": Label("取值不同", "different values"),
    "delete_edit": Label("删除时未见修改", "deleted without seeing an edit"),
    "late_edit": Label("锁定后的修改", "edited after it was locked"),
    "scope": Label("超出授权区划", "outside the granted area"),
    "stale": Label("状态已变", "the status had moved on"),
    "guard": Label("条件未满足", "a condition is not met"),
    "revoked": Label("平板已停用", "from a revoked tablet"),
    "not-permitted": Label("无权填写", "not permitted"),
    "locked": Label("记录已锁定", "the record was locked"),
    "bad-signature": Label("签名不符", "wrong signature"),
    "invalid-field": Label("字段无效", "invalid field"),
    "unknown-field": Label("未知字段", "unknown field"),
    "unknown-kind": Label("未知类型", "unknown kind"),
    "not-a-change": Label("无法读取", "not readable"),
    "id-collision": Label("编号重复", "its id is taken"),
}
"""Every sort of conflict and every reason for keeping a change without counting it."""

STATUSES: Mapping[str, Label] = {
    "open": Label("待裁决", "open"),
    "reopened": Label("再次出现", "reopened"),
    "resolved": Label("已裁决", "resolved"),
    "parked": Label("搁置", "parked"),
    "quarantined": Label("隔离", "quarantined"),
}


class Place(NamedTuple):
    """A group of sorts that has its own list, and what its two buttons do."""

    label: Label
    sorts: tuple[str, ...]
    about: Label


PLACES: Mapping[str, Place] = {
    "values": Place(
        Label("取值冲突", "Values"),
        ("values",),
        Label("两人对同一项填写不同，须选定一个", "Two people said different things; one has to be chosen"),
    ),
    "deleted": Place(
        Label("删改冲突", "Deleted and edited"),
        ("delete_edit",),
        Label("有人删除时没有看到别人的修改", "Somebody deleted without having seen another's edit"),
    ),
    "late": Place(
        Label("迟到修改", "Late edits"),
        ("late_edit",),
        Label("记录审核或归档之后才到达的修改", "Edits that arrived after the record was approved or archived"),
    ),
    "rights": Place(
        Label("权限已变", "Lost rights"),
        ("scope", "not-permitted", "revoked"),
        Label("填写时或到达时没有相应权限", "Written without the right to it"),
    ),
    "steps": Place(
        Label("步骤不符", "Steps"),
        ("stale", "guard"),
        Label("流程已被他人推进，或条件未满足", "Somebody had moved the record on, or a condition was not met"),
    ),
    "quarantine": Place(
        Label("隔离区", "Quarantine"),
        ("bad-signature", "invalid-field", "unknown-field", "unknown-kind", "id-collision", "locked"),
        Label("服务器不能核实或不认识的内容，原样保留", "What this server cannot verify or does not know, kept as it came"),
    ),
}
"""Where each sort of conflict is found, in the order of the tabs."""


def place_of(sort: str) -> str:
    """The list in which a sort of conflict is found; one that nobody named is in quarantine."""
    return next((name for name, place in PLACES.items() if sort in place.sorts), "quarantine")


class Filter(NamedTuple):
    """What to show of the backlog; `place` empty: all of it."""

    place: str = ""
    order: Order = "rank"
    record_kind: str = ""
    record: str = ""
    device: str = ""
    since: int | None = None
    until: int | None = None


EVERYTHING = Filter()


class Page(NamedTuple):
    """Rows, and where the next page begins."""

    rows: list[Row]
    after: Mark | None


def wanted(house: Instance, conn: Connection, sight: Sight, asked: Filter) -> Wanted:
    """The query for somebody."""
    walls = {wall for wall in sight.within if sight.prefixes(wall)}
    return Wanted(
        prefixes=(*sight.buckets(), "ref:"),
        exact=_homes(house, conn, sight, walls),
        hidden=[one.kind for one in house.registry if one.at_desk or (one.compartment and one.compartment not in walls)],
        kinds=_kinds(asked.place),
        record_kind=asked.record_kind,
        record=asked.record,
        device=asked.device,
        since=asked.since,
        until=asked.until,
    )


def page(house: Instance, sight: Sight, asked: Filter, after: Mark | None = None, size: int = PAGE) -> Page:
    """A page of what waits."""
    with house.database.read() as conn:
        rows = conflicts.page(conn, wanted(house, conn, sight, asked), asked.order, size + 1, after)
    return _paged(rows, size, lambda row: row.opened)


def decided(house: Instance, sight: Sight, after: Mark | None = None, size: int = PAGE) -> Page:
    """A page of what was closed, newest first."""
    with house.database.read() as conn:
        rows = conflicts.decided(conn, wanted(house, conn, sight, EVERYTHING), size + 1, after)
    return _paged(rows, size, lambda row: row.closed or 0)


def counts(house: Instance, sight: Sight, asked: Filter = EVERYTHING) -> dict[str, int]:
    """How many wait in each place."""
    with house.database.read() as conn:
        return {place: tally.number for place, tally in tallies(house, conn, sight, asked).items()}


def tallies(house: Instance, conn: Connection, sight: Sight, asked: Filter = EVERYTHING) -> dict[str, Tally]:
    """How many wait in each place, and since when."""
    totals = dict.fromkeys(PLACES, Tally(0, None))
    for sort, found in conflicts.tallies(conn, wanted(house, conn, sight, asked._replace(place=""))).items():
        place = place_of(sort)
        number, since = totals[place]
        totals[place] = Tally(number + found.number, min((one for one in (since, found.since) if one is not None), default=None))
    return totals


def find(house: Instance, conn: Connection, sight: Sight, id: str) -> Row:
    """The conflict of this id. Raises NotFound, out of sight too."""
    rows = conflicts.named(conn, [id])
    if len(rows) != 1 or not covers(wanted(house, conn, sight, EVERYTHING), rows[0].bucket, rows[0].record_kind):
        raise NotFound(what=id)
    return rows[0]


def unreadable(house: Instance, sight: Sight) -> list[tuple[Kept, bytes, int]]:
    """Kept lines that are no changes, from tablets in sight: (what was done, content, received), oldest first."""
    with house.database.read() as conn:
        asked = wanted(house, conn, sight, EVERYTHING)
        found = journal.unreadable(conn)
        owners = journal.devices(conn, [kept.id for kept, _, _ in found])
    seen = set(asked.exact)
    return [
        one
        for one in found
        if (not one[0].log or sight.prefixes(one[0].log)) and f"home:{owners[one[0].id][0]}" in seen
    ]


def said(registry: Registry, row: Row) -> Label:
    """What a conflict is about, in words."""
    return path_said(registry.get(row.record_kind), row.path)


def path_said(schema: type[RecordSchema] | None, path: str) -> Label:
    """A path in words; empty for a conflict that is about a whole record."""
    if not path:
        return Label("整条变更", "a whole change")
    if schema is None:
        return same(path)
    if path == DELETED:
        return Label("删除", "Deleted")
    label = label_of(schema, path)
    name, slash, key = path.partition("/")
    field = schema.fields_by_name().get(name)
    return Label(f"{field.label.zh} {key}", f"{field.label.en} {key}") if slash and field is not None and label.zh == key else label


def _kinds(place: str) -> Sequence[str] | None:
    if place == "quarantine":
        named = {sort for name, one in PLACES.items() if name != "quarantine" for sort in one.sorts}
        return [sort for sort in (*PLACES[place].sorts, *SORTS) if sort not in named]
    return PLACES[place].sorts if place else None


def _homes(house: Instance, conn: Connection, sight: Sight, walls: set[str]) -> list[str]:
    """The buckets of records without an area: those of tablets whose owners work where the reader sees."""
    return [
        f"home:{device}"
        for device, role, areas in people.homes(conn)
        if (not (wall := BEHIND.get(role, "")) or wall in walls) and any(sight.covers(area, wall) for area in areas)
    ]


def covers(asked: Wanted, bucket: str, record_kind: str = "") -> bool:
    """Whether what a query is for is in sight."""
    seen = bucket in asked.exact or any(bucket.startswith(prefix) for prefix in asked.prefixes)
    return seen and record_kind not in asked.hidden


def _paged(rows: list[Row], size: int, when: Callable[[Row], int]) -> Page:
    more = len(rows) > size
    rows = rows[:size]
    last = rows[-1] if rows and more else None
    return Page(rows, Mark(last.rank, when(last), last.id) if last is not None else None)
