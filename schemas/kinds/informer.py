"""举报人: who reported a clue and how to answer them. Kept at the desk: no tablet is ever sent one.

The law protects whoever reports. A tablet is carried about, shared and lost, so what it must not tell it must not have: a
field that only the screen hides would lie in its file. Records of this kind are in buckets that no grant of a device
leads to, and at the desk they are opened from the clue, each time for a purpose that is in the log first.
"""

from __future__ import annotations

from schemas.base import RecordSchema, Section
from schemas.fields import Area, Flag, Notes, Ref, Text
from schemas.labels import Label


class Informer(RecordSchema):
    """Who reported one clue."""

    kind = "informer"
    label = Label("举报人", "Informer")
    at_desk = True
    makers = frozenset({"staff", "lead", "city", "province"})
    indexed = ("clue",)
    sections = (
        Section(Label("举报人", "Informer"), ("clue", "area", "name", "phone", "contact", "relation")),
        Section(Label("答复", "Answering"), ("wants_answer", "answers")),
    )

    clue = Ref(Label("线索", "Clue"), "clue", required=True)
    area = Area(Label("行政区划代码", "Division code"), required=True)
    name = Text(Label("姓名", "Name"), most=60)
    phone = Text(Label("电话", "Telephone"), most=60)
    contact = Text(Label("其他联系方式", "Other ways to reach them"), most=200)
    relation = Text(Label("与机构的关系", "What they are to the institution"), most=100)
    wants_answer = Flag(Label("要求答复", "Wants an answer"))
    answers = Notes(Label("答复记录", "Answers given"))
