"""Conflicts as they come about: two tablets that edit the same record without a network, over HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from server.storage import conflicts
from server.storage.conflicts import Row
from tests.support.server import TestDevice, TestServer

AREA = "430102001001"


@dataclass
class Scene:
    """A county with two inspectors' tablets, and records that both know."""

    server: TestServer
    area: str = AREA
    a: TestDevice = field(init=False)
    b: TestDevice = field(init=False)

    def __post_init__(self) -> None:
        self.a = self.server.enrol("officer", self.area[:6])
        self.b = self.server.enrol("officer", self.area[:6])

    def record(self, kind: str = "hazard", **values: Any) -> tuple[str, str]:
        """A record that tablet A began: its id, and the id of the change that began it."""
        record = str(uuid4())
        defaults: dict[str, Any] = {"area": self.area}
        if kind == "hazard":
            defaults |= {"institution": str(uuid4()), "description": "疏散通道堆放杂物", "grade": "general", "status": "open"}
        if kind == "inspection":
            defaults |= {"institution": str(uuid4()), "name": "启文艺术培训中心", "mode": "patrol", "status": "draft"}
        change = self.a.change(kind, record, defaults | values)
        assert self.a.push(change)[0]["status"] == "accepted"
        return record, change.id

    def conflict(
        self, path: str = "measures", one: Any = "已清理杂物", other: Any = "加装常闭式防火门", kind: str = "hazard", **values: Any
    ) -> Row:
        """Both tablets write the same path without having seen each other; returns the conflict."""
        record, _ = self.record(kind, **values)
        self.write(self.a, record, path, one, kind=kind)
        self.write(self.b, record, path, other, kind=kind)
        return self.waiting(record)[0]

    def write(self, device: TestDevice, record: str, path: str, value: Any, *, parents: list[str] | None = None, kind: str = "hazard") -> str:
        """One edit, over what the tablet had seen; returns the change's id."""
        change = device.change(kind, record, {path: value}, {path: parents or []})
        device.push(change)
        return change.id

    def waiting(self, record: str) -> list[Row]:
        """What waits on a record."""
        with self.server.instance.database.read() as conn:
            return [row for row in conflicts.of_records(conn, [record]) if row.status != "resolved"]

    def row(self, id: str) -> Row:
        with self.server.instance.database.read() as conn:
            return conflicts.named(conn, [id])[0]
