"""网格: the smallest piece of ground that somebody looks after, inside one community or township.

Grids follow buildings and streets and not the codes of divisions, so they are kept as records: who looks after one, what
belongs to it, and when it is walked. Institutions keep the code of their community; a move of a grid loses nothing.
"""

from __future__ import annotations

from schemas.base import DESK_ROLES, RecordSchema, Section
from schemas.fields import Area, Integer, Notes, Point, Tags, Text
from schemas.labels import Label


class Grid(RecordSchema):
    """One grid and who looks after it."""

    kind = "grid"
    label = Label("网格", "Grid")
    makers = DESK_ROLES
    search = ("name", "bounds")
    sections = (
        Section(Label("网格", "Grid"), ("name", "area", "bounds", "place")),
        Section(Label("责任人", "Who looks after it"), ("keeper", "phone", "supervisor", "institutions", "every_days")),
    )

    name = Text(Label("网格名称", "Name"), most=60, merge="authority", required=True)
    area = Area(Label("行政区划代码", "Division code"), merge="authority", required=True)
    bounds = Text(
        Label("四至范围", "Bounds"),
        most=1000,
        lines=True,
        merge="authority",
        hint=Label("道路、楼栋、门牌号段", "Streets, buildings, house numbers"),
    )
    place = Point(Label("中心位置", "Its middle"), merge="authority")
    keeper = Text(Label("网格员", "Inspector of the grid"), most=60, merge="authority")
    phone = Text(Label("联系电话", "Telephone"), most=60, merge="latest")
    supervisor = Text(Label("责任督学", "Supervisor"), most=60, merge="authority")
    institutions = Tags(Label("包干机构", "Institutions in its care"), target="institution")
    every_days = Integer(Label("巡查周期", "Walked every"), least=1, most=366, unit="天", merge="authority")
    notes = Notes(Label("备忘", "Notes"))
