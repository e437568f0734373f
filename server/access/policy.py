"""Who may do what at a desk: one table of actions and roles. What is not in it nobody may.

Two questions are asked of every request. May this role do this at all? `ACTIONS` answers, and a page says so in its
decorator. On which records? `Sight` answers, and every query takes it: what is out of sight is not there, whatever a
person was given as an id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from schemas.base import READ_ROLES
from schemas.labels import Label
from server.access import rights
from server.storage.people import Grant
from sync.core.rules import Rights

FIELD = frozenset({"inspector", "officer", "supervisor", "team"})
COUNTY = frozenset({"staff", "lead"})
PROVINCE = frozenset({"province"})
UPPER = frozenset({"city"}) | PROVINCE
LEADS = frozenset({"lead"}) | UPPER
DESK = COUNTY | UPPER
ADMIN = frozenset({"admin"})
OVERSIGHT = frozenset({"oversight"})
DEPARTMENT = frozenset({"department"})
READERS = DESK | ADMIN | OVERSIGHT
EVERYBODY = FIELD | READERS | DEPARTMENT


class Action(NamedTuple):
    """Something that can be done at a desk, by which roles, and whether it changes anything for others."""

    label: Label
    roles: frozenset[str]
    writes: bool = False


ACTIONS: Mapping[str, Action] = {
    "home": Action(Label("首页", "Home page"), EVERYBODY),
    "account": Action(Label("自己的账号", "One's own account"), EVERYBODY),
    # Records
    "records.read": Action(Label("查看记录", "Read records"), READERS | DEPARTMENT),
    "records.write": Action(Label("录入和更正记录", "Enter and correct records"), DESK, writes=True),
    "records.export": Action(Label("导出", "Export"), READERS | DEPARTMENT),
    "records.open": Action(Label("打开原件", "Open originals"), READERS | DEPARTMENT),
    "views.keep": Action(Label("保存列表视图", "Keep views of lists"), READERS | DEPARTMENT),
    "handovers.read": Action(Label("查看交办", "Read hand-overs"), READERS),
    "handovers.write": Action(Label("办理交办", "Work on hand-overs"), DESK, writes=True),
    "bundles.make": Action(Label("导出证据包", "Make evidence bundles"), DESK, writes=True),
    # Clues and tasks
    "clues.read": Action(Label("查看线索", "See clues"), READERS),
    "clues.write": Action(Label("受理、分派、办结线索", "Receive, assign and close clues"), DESK, writes=True),
    "informers.open": Action(Label("查看和登记举报人", "See and note who reported a clue"), DESK, writes=True),
    "tasks.read": Action(Label("查看任务", "See tasks"), READERS),
    "tasks.write": Action(Label("安排、取消任务", "Give and cancel tasks"), DESK, writes=True),
    # Deciding
    "merge.read": Action(Label("查看冲突", "See conflicts"), READERS),
    "merge.decide": Action(Label("裁决冲突", "Decide conflicts"), DESK, writes=True),
    "merge.confirm": Action(Label("复核敏感字段的裁决", "Confirm decisions on sensitive fields"), LEADS, writes=True),
    "duplicates.read": Action(Label("查看疑似重复", "See likely duplicates"), READERS),
    "duplicates.decide": Action(Label("合并重复机构", "Merge duplicates"), DESK, writes=True),
    "review.read": Action(Label("查看审核进度", "See how far reviews are"), READERS),
    "review.decide": Action(Label("审核、退回", "Approve and return"), DESK, writes=True),
    "tracing.read": Action(Label("责任倒查", "Trace who knew what when"), LEADS | OVERSIGHT),
    # Tablets and people
    "devices.read": Action(Label("查看平板", "See tablets"), READERS),
    "devices.enrol": Action(Label("登记平板", "Enrol tablets"), DESK | ADMIN, writes=True),
    "devices.approve": Action(Label("复核平板登记", "Approve enrolments"), LEADS | ADMIN, writes=True),
    "devices.revoke": Action(Label("停用平板", "Revoke tablets"), DESK | ADMIN, writes=True),
    "people.read": Action(Label("查看人员和授权", "See people and grants"), LEADS | ADMIN | OVERSIGHT),
    "people.manage": Action(Label("管理账号", "Manage accounts"), ADMIN, writes=True),
    # Administration
    "templates.read": Action(Label("查看检查清单", "See checklists"), READERS),
    "templates.write": Action(Label("编辑、发布检查清单", "Edit and publish checklists"), ADMIN | PROVINCE, writes=True),
    "areas.read": Action(Label("查看区划和责任区", "See areas and who is responsible"), READERS),
    "areas.write": Action(Label("导入区划名称", "Import names of areas"), ADMIN | PROVINCE, writes=True),
    "responsible.write": Action(Label("落实包保责任人", "Put in who is responsible"), DESK, writes=True),
    "access.read": Action(Label("查看查阅记录", "Read the access log"), LEADS | ADMIN | OVERSIGHT),
    "settings.read": Action(Label("查看设置", "See settings"), ADMIN | OVERSIGHT),
    "settings.write": Action(Label("更改设置", "Change settings"), ADMIN, writes=True),
    "backup.make": Action(Label("备份", "Back up"), ADMIN, writes=True),
}

ALWAYS = frozenset({"home", "account"})
"""What somebody may do while no grant of theirs runs: see that it is so, and look after their own account."""

if any(action.writes and action.roles & READ_ROLES for action in ACTIONS.values()):
    raise RuntimeError("roles that only read are given nothing to write")


def may(role: str, action: str) -> bool:
    """Whether a role may do this. What the table does not name nobody may."""
    known = ACTIONS.get(action)
    return known is not None and role in known.roles


def allows(sight: Sight, action: str) -> bool:
    """Whether somebody with this sight may do this: by their role, and only while a grant runs."""
    return may(sight.role, action) and (sight.runs or action in ALWAYS)


class Sight(NamedTuple):
    """The records that somebody sees now.

    areas       division code prefixes in front of the wall; "" is everywhere
    within      compartment → the same for what lies behind that wall
    departments where it is not None: of those areas only the records that name one of these departments
    """

    role: str = ""
    areas: tuple[str, ...] = ()
    within: Mapping[str, tuple[str, ...]] = {}
    departments: frozenset[str] | None = None

    @property
    def runs(self) -> bool:
        """Whether any grant runs, on either side of a wall."""
        return bool(self.areas) or any(self.within.values())

    def prefixes(self, compartment: str = "") -> tuple[str, ...]:
        """The prefixes of division codes that are seen in a compartment, shortest first, none within another."""
        found: list[str] = []
        for one in sorted(self.within.get(compartment, ()) if compartment else self.areas):
            if not any(one.startswith(wider) for wider in found):
                found.append(one)
        return tuple(found)

    def covers(self, area: str | None, compartment: str = "") -> bool:
        """Whether a place is in sight. What has no place is seen by those who see everything."""
        return any((area or "").startswith(prefix) for prefix in self.prefixes(compartment))

    def buckets(self) -> list[str]:
        """How the ids of the buckets in sight begin; with departments, what they hold has to be looked at further."""
        walls = ("", *sorted(self.within))
        return [f"{wall or 'area'}:{prefix}" for wall in walls for prefix in self.prefixes(wall)]

    def rights(self) -> Rights:
        """The same for those functions that read with the rights of a person: what may be read, never what may be written."""
        return Rights(self.role, self.areas, within=dict(self.within))

    def covers_bucket(self, bucket: str) -> bool:
        """Whether a bucket is in sight."""
        return any(bucket.startswith(prefix) for prefix in self.buckets())


NOTHING = Sight()


def sight_of(grants: Iterable[Grant], role: str, now: int) -> Sight:
    """What a person with these grants sees now."""
    running = rights.active(grants, now)
    held = rights.rights_of(running, role, now)
    departments = frozenset(one.department for one in running) if held.role == "department" else None
    return Sight(held.role, held.areas, held.within, departments)


def rights_at_desk(grants: Iterable[Grant], role: str, now: int) -> Rights:
    """What a person with these grants may write now: nothing, for roles that only read."""
    held = rights.rights_of(grants, role, now)
    return Rights(held.role, ()) if held.role in READ_ROLES else held
