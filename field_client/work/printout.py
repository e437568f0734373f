"""The copy of an inspection that is left with the party, with its anchor: what the screen shows, and the PDF of it.

It says exactly what the document hash covers, the signed fields and the signatures, so whoever holds the paper holds
what was hashed. The same document gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from field_client.tablet import Tablet
from field_client.work.anchoring import Printed
from field_client.work.inspecting import all_groups
from field_client.work.showing import Line, lines_of
from schemas.kinds.inspection import Inspection
from schemas.labels import Label
from sync.core.signing import document_of

TITLE = Label("检查记录", "Record of inspection")
SPOKEN = "核对码（8 组，最后一组为校验）："
KEEP = "本码锚定了记录所在的链和上述内容。请妥善保管：凭此码可随时要求核对，记录此后有无改动、删除或回退。"


class Part(NamedTuple):
    """Lines of a document under one heading."""

    heading: Label
    lines: tuple[Line, ...]


def parts(tablet: Tablet, inspection: str, only: Collection[str] | None = None) -> list[Part]:
    """What the document of an inspection says, in its order: what its hash covers, or `only` these paths. Raises NotFound."""
    if only is None:
        document = document_of(Inspection, tablet.view(inspection).record, tablet.values(inspection))
        only = {*document["values"], *document["signatures"]}
    asked = {one.path: one.item.question for group in all_groups(tablet, inspection) for one in group.items}
    found: list[Part] = []
    heading, lines = Label("", ""), list[Line]()
    for line in [*lines_of(tablet, inspection), None]:
        if line is None or not line.path:
            if lines:
                found.append(Part(heading, tuple(lines)))
            heading, lines = line.label if line is not None else heading, []
        elif line.path in only:
            question = asked.get(line.path)
            code = line.label.zh
            lines.append(line._replace(label=Label(f"{code} {question.zh}", f"{code} {question.en}")) if question else line)
    return found


def headed(tablet: Tablet, title: Label) -> str:
    """What stands at the head of a paper; on one from practice, that it counts for nothing."""
    return f"{title.zh}（练习，无效）" if tablet.practice else title.zh


def pdf(tablet: Tablet, inspection: str, anchor: Printed) -> bytes:
    """The copy of an inspection as PDF. Raises NotFound."""
    from custody.documents import (  # the library takes a third of a second: only for whoever prints
        Document,
        Part,
        render,
    )

    said = (Part(part.heading.zh, tuple((line.label.zh, line.value.zh) for line in part.lines)) for part in parts(tablet, inspection))
    return render(
        Document(
            title=headed(tablet, TITLE),
            number=tablet.view(inspection).record[-8:],
            parts=tuple(said),
            code=anchor.text,
            spoken=anchor.spoken.replace("-", " "),
            beside=(SPOKEN, KEEP, anchor.text),
        )
    )
