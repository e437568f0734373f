"""整改告知单: what is to be put right and by when, as it is handed over: on the screen, on paper, and read by any telephone."""

from __future__ import annotations

from typing import Any, NamedTuple

from field_client.evidence.looking import picture_of
from field_client.moments import moment
from field_client.tablet import Tablet
from field_client.work import inspecting
from field_client.work.printout import headed
from field_client.work.showing import title_of
from schemas.certificates import day_of
from schemas.kinds.hazard import Hazard
from schemas.labels import Label
from schemas.words import value_of
from sync.core.errors import NotFound, Problem

TITLE = Label("隐患整改告知单", "Order to rectify")
BESIDE = "扫码可读出以上内容。请按期整改并保留整改后的照片，期满复查。"
SIGN = ("签收人：＿＿＿＿＿＿＿＿＿", "日期：＿＿＿＿＿＿")
SEALED = Label(
    "本单不代替加盖印章的责令改正通知书。", "It does not stand in for a sealed order to rectify."
)
PHOTOS = 4
"""At most so many from before are on it."""


class Order(NamedTuple):
    """What the order says: its head and number, its lines (what it is, what is said), evidence ids of photos, the text of its QR code."""

    title: str
    number: str
    lines: tuple[tuple[str, str], ...]
    photos: tuple[str, ...]
    text: str


def of(tablet: Tablet, hazard: str) -> Order:
    """The order for a hazard as it stands today. Raises NotFound."""
    values = tablet.values(hazard)
    if tablet.view(hazard).kind != Hazard.kind:
        raise NotFound(what=Label("这处隐患", "this hazard"))
    place = str(values.get("institution") or "")
    about = tablet.values(place) if tablet.store.knows(place) else {}
    grade, identity = value_of(Hazard, "grade", values.get("grade")), tablet.identity
    said = (
        ("机构", about.get("name")),
        ("地址", about.get("address")),
        ("问题", values.get("description")),
        ("等级", grade.zh if grade else ""),
        ("依据", "\n".join(_basis(tablet, values))),
        ("整改期限", values.get("deadline") or "未定"),
        ("责任人", values.get("responsible")),
        ("整改要求", values.get("measures")),
        ("检查人员", identity.person.name if identity is not None else ""),
        ("日期", day_of(moment(tablet))),
    )
    lines = tuple((name, str(text)) for name, text in said if text)
    return Order(headed(tablet, TITLE), hazard[-8:], lines, _photos(tablet, values), order_text(tablet, hazard))


def pdf(tablet: Tablet, hazard: str) -> bytes:
    """The order as PDF: the same bytes for the same order and photos. A photo that cannot be had is named in words.

    :raises NotFound:
    """
    from custody.documents import (  # the library takes a third of a second: only for whoever prints
        Document,
        Part,
        render,
    )

    order = of(tablet, hazard)
    pictures = tuple((_picture(tablet, one), f"整改前照片 {at}") for at, one in enumerate(order.photos, 1))
    return render(
        Document(order.title, order.number, (Part("", order.lines),), order.text, pictures, beside=(BESIDE, SEALED.zh), blanks=("　".join(SIGN),))
    )


def order_text(tablet: Tablet, hazard: str) -> str:
    """What is to be put right, by when, as one text: for a QR code that any telephone reads."""
    values = tablet.values(hazard)
    lines = [
        "隐患整改告知",
        f"机构：{title_of(tablet, str(values.get('institution') or ''))}",
        f"问题：{str(values.get('description') or '')[:300]}",
        f"期限：{values.get('deadline') or '未定'}",
        *([f"责任人：{values['responsible']}"] if values.get("responsible") else []),
        f"编号：{hazard[-8:]}",
    ]
    return "\n".join(lines)


def _picture(tablet: Tablet, evidence: str) -> bytes:
    try:
        return picture_of(tablet, evidence, "preview")
    except Problem:
        return b""


def _photos(tablet: Tablet, values: dict[str, Any]) -> tuple[str, ...]:
    """The photos from before, in the order of their taking; those of no stage where none says so."""
    found: dict[str, list[str]] = {"before": [], "": []}
    for path in sorted(one for one in values if one.startswith("evidence/")):
        id = path.removeprefix("evidence/")
        stage = str(tablet.values(id).get("stage") or "") if tablet.store.knows(id) else ""
        found.setdefault(stage, []).append(id)
    return tuple((found["before"] or found[""])[:PHOTOS])


def _basis(tablet: Tablet, values: dict[str, Any]) -> list[str]:
    """The places in the law of the item that it was found at."""
    inspection, item = str(values.get("inspection") or ""), str(values.get("item") or "")
    if not item or not tablet.store.knows(inspection):
        return []
    try:
        one = inspecting.item_of(inspecting.all_groups(tablet, inspection), item)
    except NotFound:
        return []
    return [f"{place.text}（{place.verified.zh}）" if place.mark != "T" else place.text for place in one.basis]
