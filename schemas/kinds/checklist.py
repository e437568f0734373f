"""检查清单: a template of items to check, in editions. Reference data that everybody reads.

A published edition is locked: an inspection names the edition that it followed, and an answer must be
readable beside the words that were asked. A new text is a new record. Publishing asks for the day from
which the edition applies, because the using authority answers for it; the shipped library therefore arrives
as a draft.
"""

from __future__ import annotations

from schemas.base import RecordSchema
from schemas.fields import Date, Entries, Rows, Text, Workflowed
from schemas.labels import Label
from schemas.workflow import Status, Transition, Workflow

EDITORS = frozenset({"province", "admin"})


class Checklist(RecordSchema):
    """One edition of a template."""

    kind = "checklist"
    label = Label("检查清单", "Checklist")
    area_field = None
    makers = EDITORS
    search = ("name",)
    workflow = Workflow(
        initial="draft",
        statuses={
            "draft": Status(Label("草案", "Draft")),
            "published": Status(Label("已发布", "Published"), locked=True),
            "retired": Status(Label("已停用", "Retired"), locked=True),
        },
        transitions=(
            Transition("draft", "published", Label("发布", "Publish"), EDITORS, ("required", "no_conflict")),
            Transition("published", "retired", Label("停用", "Retire"), EDITORS),
        ),
        always_open=frozenset(),
    )

    name = Text(Label("清单名称", "Name"), required=True)
    edition = Text(Label("版次", "Edition"), most=40, required=True)
    effective_from = Date(Label("施行日期", "Applies from"), required=True)
    status = Workflowed(Label("状态", "Status"), tuple(workflow.statuses))
    notice = Text(Label("使用须知", "Notice"), most=1000, lines=True)
    groups = Rows(
        Label("分组", "Groups"),
        hint=Label("有序：代码、中文名、英文名", "In order: code, Chinese name, English name"),
    )
    items = Entries(
        Label("检查事项", "Items"),
        {
            "group": Label("分组", "Group"),
            "zh": Label("检查内容", "Question in Chinese"),
            "en": Label("英文", "Question in English"),
            "answer": Label("作答方式", "How it is answered"),
            "photo": Label("拍照要求", "Photo rule"),
            "severity": Label("严重程度", "Severity"),
            "applies_to": Label("适用范围", "Applies to"),
            "basis": Label("依据", "Legal basis"),
            "penalty": Label("罚则", "Penalty"),
            "violation": Label("违法类别", "Violation"),
            "handler": Label("处理部门", "Department that handles it"),
        },
    )
