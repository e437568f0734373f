"""What the side of every page offers, in its order. An entry is shown to roles that may open it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flask import request, url_for

from schemas.labels import Label
from server.console.frame import Seat


class Entry(NamedTuple):
    """A page: its endpoint (and values for it), an icon of `screens.icons`, and the action that it takes."""

    label: Label
    icon: str
    endpoint: str
    action: str
    values: Mapping[str, Any] = {}


class Group(NamedTuple):
    label: Label
    entries: Sequence[Entry]


_KINDS = (
    ("institution", Label("机构", "Institutions"), "building"),
    ("inspection", Label("检查", "Inspections"), "checklist"),
    ("patrol_note", Label("巡查记录", "Patrol notes"), "eye"),
    ("hazard", Label("隐患", "Hazards"), "hazard"),
    ("case", Label("案件", "Cases"), "law"),
    ("evidence", Label("证据", "Evidence"), "image"),
)

GROUPS: Sequence[Group] = (
    Group(Label("", ""), (Entry(Label("首页", "Home"), "home", "console.home.start", "home"),)),
    Group(
        Label("记录", "Records"),
        (
            *(Entry(label, icon, "console.records.listing", "records.read", {"kind": kind}) for kind, label, icon in _KINDS),
            Entry(Label("全部记录", "All records"), "archive", "console.records.overview", "records.read"),
            Entry(Label("地图", "Map"), "map", "console.map.start", "records.read"),
        ),
    ),
    Group(
        Label("任务与线索", "Tasks and clues"),
        (
            Entry(Label("线索", "Clues"), "bell", "console.clues.listing", "clues.read"),
            Entry(Label("任务", "Tasks"), "calendar", "console.tasks.listing", "tasks.read"),
        ),
    ),
    Group(
        Label("合并与审核", "Merging and review"),
        (
            Entry(Label("合并台", "Merge desk"), "merge", "console.merge.queue", "merge.read"),
            Entry(Label("疑似重复", "Duplicates"), "copy", "console.duplicates.listing", "duplicates.read"),
            Entry(Label("逐级审核", "Review"), "checklist", "console.review.queue", "review.read"),
        ),
    ),
    Group(
        Label("平板与人员", "Tablets and people"),
        (
            Entry(Label("平板", "Tablets"), "tablet", "console.devices.listing", "devices.read"),
            Entry(Label("人员", "People"), "people", "console.people.listing", "people.read"),
        ),
    ),
    Group(
        Label("管理", "Administration"),
        (
            Entry(Label("检查清单", "Checklists"), "checklist", "console.checklists.listing", "templates.read"),
            Entry(Label("区划与责任", "Places"), "map", "console.places.listing", "areas.read"),
            Entry(Label("责任倒查", "Tracing"), "history", "console.tracing.listing", "tracing.read"),
            Entry(Label("查阅记录", "Access log"), "eye", "console.access.listing", "access.read"),
            Entry(Label("设置与备份", "Settings"), "settings", "console.settings.show", "settings.read"),
        ),
    ),
)


class Shown(NamedTuple):
    """An entry on this page."""

    label: Label
    icon: str
    address: str
    here: bool


class ShownGroup(NamedTuple):
    label: Label
    entries: list[Shown]


def shown(seat: Seat) -> list[ShownGroup]:
    """The entries for whoever sits there, without empty groups."""
    groups = [
        ShownGroup(group.label, [_shown(one) for one in group.entries if seat.may(one.action)]) for group in GROUPS
    ]
    return [group for group in groups if group.entries]


def _shown(entry: Entry) -> Shown:
    desk = entry.endpoint.rpartition(".")[0]
    values = request.view_args or {}
    alone = sum(other.endpoint.rpartition(".")[0] == desk for group in GROUPS for other in group.entries) == 1
    fits = all(values.get(name) == value for name, value in entry.values.items())
    here = request.blueprint == desk and fits and (alone or bool(entry.values) or request.endpoint == entry.endpoint)
    return Shown(entry.label, entry.icon, url_for(entry.endpoint, **entry.values), here)
