"""The copy of an inspection that is left with the party: one HTML file that any browser prints, with its anchor.

It says exactly what the document hash covers, the signed fields and the signatures, so whoever holds the paper holds
what was hashed. The same document gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Collection
from html import escape
from typing import NamedTuple

import segno

from field_client.anchoring import Printed
from field_client.inspecting import all_groups
from field_client.showing import Line, lines_of
from field_client.tablet import Tablet
from schemas.kinds.inspection import Inspection
from schemas.labels import Label
from sync.core.signing import document_of

_PAGE = """<!doctype html>
<html lang="zh">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
@page {{ size: A4; margin: 20mm }}
body {{ font-family: "Noto Serif CJK SC", SimSun, "Droid Sans Fallback", serif; font-size: 11pt; line-height: 1.5 }}
h1 {{ font-size: 18pt; text-align: center }}
h2 {{ font-size: 12pt; border-bottom: 1px solid #000; break-after: avoid }}
table {{ width: 100%; border-collapse: collapse }}
td {{ vertical-align: top; padding: 1mm 2mm; white-space: pre-wrap; overflow-wrap: anywhere }}
td:first-child {{ width: 38mm; color: #333 }}
.anchor {{ margin-top: 8mm; border: 1px solid #000; padding: 4mm; break-inside: avoid; display: flex; gap: 6mm }}
.code {{ font-family: monospace; font-size: 13pt; letter-spacing: 0.05em }}
.small {{ font-size: 8pt; overflow-wrap: anywhere }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
<div class="anchor">
<div>{qr}</div>
<div>
<p>核对码（8 组，最后一组为校验）：</p>
<p class="code">{spoken}</p>
<p>本码锚定了记录所在的链和上述内容。请妥善保管：凭此码可随时要求核对，记录此后有无改动、删除或回退。</p>
<p class="small">{text}</p>
</div>
</div>
</body>
</html>
"""


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


def page(tablet: Tablet, inspection: str, anchor: Printed) -> str:
    """The document of an inspection as HTML. Raises NotFound."""
    return _PAGE.format(
        title="检查记录",
        body="\n".join(_table(part) for part in parts(tablet, inspection)),
        qr=segno.make(anchor.text, error="m").svg_inline(scale=3),
        spoken=escape(anchor.spoken.replace("-", " ")),
        text=escape(anchor.text),
    )


def _table(part: Part) -> str:
    rows = (f"<tr><td>{escape(line.label.zh)}</td><td>{escape(line.value.zh)}</td></tr>" for line in part.lines)
    return f"<h2>{escape(part.heading.zh)}</h2>\n<table>\n" + "\n".join(rows) + "\n</table>"
