"""What is made of evidence after it was saved, each thing once: small pictures, a watermarked copy, the SM3 digest.

    make(tablet, evidence)     now, right behind capture
    catch_up(tablet)           whatever is owed, before a round or before an inspection is handed in

The original is only read. What a decoder cannot read is evidence all the same, without pictures. A watermarked copy is
evidence of its own that names its original and says what was done.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from custody import codes
from custody.digests import sm3_of
from custody.media import PICTURES as PHOTOS
from custody.pictures.orders import DRAWN, EDITED, MARKED, Edit, Made, Mark, Order
from field_client.evidence import repeats
from field_client.evidence.chores import What
from field_client.moments import CHINA, moment
from field_client.platform import BlobFiles
from field_client.platform.files import Stored
from field_client.tablet import Tablet
from schemas.base import DELETED
from schemas.kinds.evidence import OPERATIONS
from schemas.labels import Label
from schemas.words import PLACED_BY
from sync.core.errors import BrokenFile, NotFound

if TYPE_CHECKING:
    from field_client.evidence.likeness import Similar

SIZES = {"preview": (1600, 1600), "thumbnail": (320, 320)}
WATERMARKED = (2000, 2000)
"""Enough for a printed page; a photo of twelve megapixels is decoded at half its size for all three."""

DRAWING: tuple[What, ...] = ("pictures", "mark")
_SIDES = (("N", "S"), ("E", "W"))
FOOTER = "水印副本，原件另存"


class CaptureFiles(BlobFiles, Protocol):
    """Blob files that also take new ones."""

    def add(self, stream: io.BufferedIOBase | Any, name: str = "") -> Stored: ...

    def list(self) -> Any: ...


class Derived(NamedTuple):
    """What became of the chores of one original.

    problem    why there are no pictures, where there should be some
    watermark  the evidence record of the watermarked copy that was made now
    similar    earlier photos that it is like
    """

    problem: Label | None = None
    watermark: str | None = None
    similar: tuple[Similar, ...] = ()


def chores_for(tablet: Tablet, mime: str, marked: bool) -> list[What]:
    """What is owed to new evidence of this type."""
    owed: list[What] = ["sm3"]
    if mime in DRAWN and tablet.platform.pictures is not None:
        owed += ["pictures", *(["mark"] if marked and mime in PHOTOS else [])]  # type: ignore[list-item]
    return owed


def make(tablet: Tablet, evidence: str, chores: Collection[What] = DRAWING) -> Derived:
    """Do what is owed of these chores to one original; nothing where nothing is owed."""
    owed = [one.what for one in tablet.store.chores.of(evidence) if one.what in chores]
    if not owed:
        return Derived()
    values = tablet.values(evidence)
    try:
        if "sm3" in owed:
            _digest(tablet, evidence, str(values["sha256"]))
        drawing = [what for what in owed if what in DRAWING]
        return _draw(tablet, evidence, values, drawing) if drawing else Derived()
    except NotFound:  # the bytes are not on this tablet any more: the server can make its own
        with tablet.store.writing():
            tablet.store.chores.done(evidence, owed)
        return Derived()


def catch_up(
    tablet: Tablet,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
    only: Collection[str] | None = None,
) -> int:
    """Do everything that is owed, to these originals `only`; returns how many were dealt with.

    `stop` is asked before each, and `progress` told after it.
    """
    owing = [one for one in tablet.store.chores.owing() if only is None or one in only]
    for number, evidence in enumerate(owing):
        if stop():
            return number
        make(tablet, evidence, (*DRAWING, "sm3"))
        progress(number + 1, len(owing))
    return len(owing)


def edit(tablet: Tablet, evidence: str, how: Edit) -> str:
    """A copy of a picture, turned and drawn on, as evidence of its own that names its original; returns its id.

    The original stays as it is. What was done stands in the record, so that anybody can do it again.

    :raises NotFound: there is no such evidence, or its bytes are not here; BrokenFile: it cannot be shown
    """
    values = tablet.values(evidence)
    pictures, files = tablet.platform.pictures, cast(CaptureFiles, tablet.files)
    if pictures is None:
        raise NotFound(what=Label("解码器", "a decoder"))
    name = _name_of(tablet, values)
    order = Order(str(values["mime"]), SIZES, marked=WATERMARKED, edit=how)
    with closing(files.open(str(values["sha256"]))) as original:
        made = pictures.make(original, order, name)
    copy = files.add(io.BytesIO(made.files[EDITED]))
    id = tablet.store.clock.new_id()
    parameters = {"turns": how.turns % 4, "strokes": [[one.shape, one.colour, [list(point) for point in one.points]] for one in how.strokes]}
    operation = "annotate" if how.strokes else "rotate"
    with tablet.store.writing():
        tablet.write("evidence", id, _derived(tablet, evidence, values, copy, made, operation, parameters))
        title = f"{name}（{OPERATIONS[operation].zh}）" if name else ""
        tablet.attach(str(values["subject"]), copy.sha256, copy.size, "image/jpeg", "preview", title)
    return id


def copies_of(tablet: Tablet, original: str) -> list[tuple[str, dict[str, Any]]]:
    """What was made of an original on this tablet or elsewhere: (evidence id, values), oldest first."""
    known = [(id, tablet.values(id)) for id in tablet.store.mentioning("evidence", original)]
    return [(id, values) for id, values in known if values.get("original") == original and DELETED not in values]


def watermark_of(tablet: Tablet, original: str) -> str | None:
    """The evidence record of the watermarked copy of an original, None where there is none on this tablet."""
    for one in tablet.browse("evidence"):
        if original in one.live.get("original", {}).values() and "watermark" in one.live.get("operation", {}).values():
            return one.record
    return None


def _digest(tablet: Tablet, evidence: str, sha256: str) -> None:
    with closing(tablet.files.open(sha256)) as original:
        sm3 = sm3_of(original)
    with tablet.store.writing():
        if "sm3" not in tablet.values(evidence):
            tablet.write("evidence", evidence, {"sm3": sm3})
        tablet.store.chores.done(evidence, ["sm3"])


def _draw(tablet: Tablet, evidence: str, values: Mapping[str, Any], owed: list[What]) -> Derived:
    mark = _mark(tablet, evidence, values) if "mark" in owed else None
    order = Order(str(values["mime"]), SIZES, mark, WATERMARKED, looks=values["mime"] in PHOTOS)
    pictures, files = tablet.platform.pictures, cast(CaptureFiles, tablet.files)
    name = _name_of(tablet, values)
    try:
        if pictures is None:
            raise NotFound(what=Label("解码器", "a decoder"))
        with closing(files.open(str(values["sha256"]))) as original:
            made = pictures.make(original, order, name)
    except BrokenFile as broken:
        with tablet.store.writing():
            tablet.store.chores.failed(evidence, owed)
        return Derived(Label(broken.text("zh"), broken.text("en")))
    stored = {what: files.add(io.BytesIO(content)) for what, content in made.files.items()}
    subject = str(values["subject"])
    marked = tablet.store.clock.new_id() if mark is not None else None
    with tablet.store.writing():
        still = {one.what for one in tablet.store.chores.of(evidence)}
        if "pictures" in still:  # not done by another program meanwhile
            tablet.write("evidence", evidence, _small(tablet, stored, made))
            for role in ("thumbnail", "preview"):
                tablet.attach(subject, stored[role].sha256, stored[role].size, "image/jpeg", role, name)
        if "mark" in still and mark is not None and marked is not None:
            copy = stored[MARKED]
            said = {"lines": [list(line) for line in mark.lines], "code": mark.code}
            tablet.write("evidence", marked, _derived(tablet, evidence, values, copy, made, "watermark", said))
            tablet.attach(subject, copy.sha256, copy.size, "image/jpeg", "preview", f"{name}（水印）" if name else "")
        tablet.store.chores.done(evidence, owed)
    return Derived(watermark=marked, similar=_similar(tablet, evidence, made))


def _small(tablet: Tablet, stored: Mapping[str, Stored], made: Made) -> dict[str, Any]:
    """path → value of the original's record: its small pictures, and what was seen in making them."""
    from field_client.evidence import likeness  # NumPy: only for whoever took a photo

    known = tablet.registry["evidence"].field_of
    values = {role: stored[role].sha256 for role in ("thumbnail", "preview")}
    seen = {"pages": made.pages, **(likeness.fields(made.looks) if made.looks else {})}
    return values | {path: value for path, value in seen.items() if value is not None and known(path) is not None}


def _derived(
    tablet: Tablet,
    evidence: str,
    original: Mapping[str, Any],
    copy: Stored,
    made: Made,
    operation: str,
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    """path → value of the record of a copy: what was done to which bytes, and with what."""
    same = ("subject", "subject_kind", "item", "area", "equipment", "taken_at", "place")
    return {path: original[path] for path in same if path in original} | {
        "sha256": copy.sha256,
        "size": copy.size,
        "tree": copy.tree,
        "mime": "image/jpeg",
        "role": "derived",
        "original": evidence,
        "operation": operation,
        "parameters": {"original_sha256": original["sha256"], "longest_px": max(WATERMARKED), **parameters},
        "tool": f"{_program()}, {made.tool}",
        "captured_at": moment(tablet),
    }


@cache
def _program() -> str:
    """This program with its version."""
    try:
        return f"patrolbook {version('patrolbook')}"
    except PackageNotFoundError:  # run from a folder, not installed
        return "patrolbook"


def _similar(tablet: Tablet, evidence: str, made: Made) -> tuple[Similar, ...]:
    if not made.looks:
        return ()
    from field_client.evidence import likeness

    similar = likeness.similar(tablet, evidence, made.looks)
    repeats.note(tablet, evidence, similar)
    return similar


def _name_of(tablet: Tablet, values: Mapping[str, Any]) -> str:
    return tablet.store.uploads.name_of(str(values["sha256"]))


# ---- what the watermark says ---------------------------------------------------------------------------------


def _mark(tablet: Tablet, evidence: str, values: Mapping[str, Any]) -> Mark:
    holder = _values(tablet, values.get("subject"))
    lines = [
        ("拍摄时间", _time(values.get("taken_at"))),
        ("采集时间", _time(values.get("captured_at"))),
        ("地点", " ".join(filter(None, (str(holder.get("address") or ""), _place(values.get("place")))))),
        ("机构", _institution(tablet, holder)),
        ("人员", _officers(tablet, holder)),
    ]
    code = codes.printed(codes.code_of(str(values["sha256"]), evidence))
    return Mark(tuple((what, said) for what, said in lines if said), code, FOOTER)


def _time(moment: Any) -> str:
    if not isinstance(moment, str):
        return ""
    return datetime.fromisoformat(moment).astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _place(point: Any) -> str:
    """`28.22815°N 112.93880°E ±4.5 米（照片自带）`; whole numbers all the way, so nothing is rounded twice."""
    if not isinstance(point, dict):
        return ""
    told = []
    for value, (positive, negative) in zip((point["lat"], point["lon"]), _SIDES, strict=True):
        degrees, rest = divmod(abs(value) // 100, 10**5)
        told.append(f"{degrees}.{rest:05d}°{positive if value >= 0 else negative}")
    accuracy = point.get("acc")
    if accuracy:
        told.append(f"±{accuracy // 100}.{accuracy % 100 // 10} 米")
    source = PLACED_BY.get(str(point.get("src", "")))
    return " ".join(told) + (f"（{source.zh}）" if source else "")


def _institution(tablet: Tablet, holder: Mapping[str, Any]) -> str:
    named = _values(tablet, holder.get("institution")).get("name") or holder.get("name")
    return str(named or "")


def _officers(tablet: Tablet, holder: Mapping[str, Any]) -> str:
    """Names and certificates of the officers of the record; the tablet's person where it names none."""
    ids = sorted(
        path.removeprefix("officers/") for path, there in holder.items() if path.startswith("officers/") and there
    )
    known = [one for one in (_values(tablet, id) for id in ids) if one.get("name")]
    if known:
        return "、".join(f"{one['name']} {one.get('certificate_number') or ''}".strip() for one in known)
    return tablet.identity.person.name if tablet.identity is not None else ""


def _values(tablet: Tablet, record: Any) -> Mapping[str, Any]:
    """What a record shows, nothing where it is not on this tablet."""
    try:
        return tablet.values(record) if isinstance(record, str) else {}
    except NotFound:
        return {}
