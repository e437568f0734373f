"""拍照: photos and films into a record, from the camera or from files; and looking at them.

    take       files as they were chosen; each is safe before it is answered for, its pictures are made after that
    pictures   the small pictures and the search for earlier photos that it is like
    live       the camera in the page: several in a row, taking one again, short films
    viewer     one of them, large: caption, where and when, what was made of it, why it is like an earlier one

An original is never changed. Turning and drawing make a copy that says of which original, and how.
"""

from __future__ import annotations

import io
import json
from contextlib import closing, suppress
from typing import BinaryIO, cast

from flask import Response, jsonify, request

from custody import codes
from custody.media import PICTURES
from custody.pictures.orders import COLOURS, MOST_POINTS, MOST_STROKES, SHAPES, WHOLE, Edit, Stroke
from field_client.evidence import capture as capturing
from field_client.evidence import derivatives, repeats
from field_client.evidence.capture import Captured, Source
from field_client.tablet import Tablet
from field_client.ui import here, places
from field_client.ui.here import Screen
from field_client.ui.told import Told, told
from field_client.work.showing import title_of
from schemas.kinds.evidence import OPERATIONS, REPEAT_REASONS, SOURCES, STAGES, Evidence
from schemas.labels import Label
from schemas.words import value_of
from sync.core.errors import BrokenFile, InvalidField, NotFound, Problem

KIND = Evidence.kind

screen = Screen("camera", __name__)

FACTS = ("captured_at", "taken_at", "place", "camera", "source", "duration_ms", "sha256", "sm3")
_SORTS = {"image": Label("图片", "a picture"), "video": Label("视频", "a film"), "audio": Label("录音", "a recording"),
          "application": Label("文件", "a file")}  # fmt: skip


# ---- taking --------------------------------------------------------------------------------------------------------


@screen.post("/records/<record>/photos")
def take(record: str) -> Response:
    """Files into a record. A script sends one at a time and asks for its pictures afterwards; a form sends all at once."""
    tablet = here.tablet()
    files = [one for one in request.files.getlist("file") if one.filename]
    if not files:
        raise InvalidField(field="file", detail=Label("请拍照或选择文件", "take a photo or choose a file"))
    script, taken = here.wants_json(), list[tuple[Captured, list[Label]]]()
    for one in files:
        try:
            made = _capture(tablet, record, cast(BinaryIO, one.stream), one.filename or "", pictures=not script)
        except Problem as problem:
            if script:
                raise
            here.warn(Label(f"{one.filename}：{problem.text('zh')}", f"{one.filename}: {problem.text('en')}"))
            continue
        taken.append((made, said_of(made, one.mimetype or "")))
    if script:
        made, words = taken[0]
        response = jsonify(evidence=made.evidence, again=made.again, words=[here.say(one) for one in words], view=_view(made.evidence))
        response.status_code = 200 if made.again else 201
        return response
    for made, words in taken:
        for word in [*words, *([made.note] if made.note else [])]:
            here.warn(word)
        if made.similar:
            here.warn(Label("有照片与已有照片相似，请点开写明原因", "One is like an earlier photo: open it and give the reason"))
    return here.back_to(here.posted("back"), "inspection.listed")


def _view(evidence: str) -> str:
    from flask import url_for

    return url_for(".viewer", evidence=evidence)


def _capture(tablet: Tablet, record: str, stream: BinaryIO, name: str, pictures: bool) -> Captured:
    source, stage = here.posted("source"), here.posted("stage")
    return capturing.capture(
        tablet,
        record,
        stream,
        item=here.posted("item") or None,
        caption=here.posted("caption") or None,
        source=cast(Source, source if source in SOURCES else "gallery"),
        name=name,
        place=places.posted(),
        stage=stage if stage in STAGES else None,
        pictures=pictures,
    )


def said_of(made: Captured, claimed: str) -> list[Label]:
    """What a person should know of a file that was taken in."""
    words = []
    if made.again:
        words.append(Label("这条记录已有这个文件，没有重复保存", "The record has this file already; it is kept once"))
    thinks, is_ = claimed.partition("/")[0], made.mime.partition("/")[0]
    if made.mime == "application/octet-stream":
        words.append(Label("认不出的文件类型，已原样保存", "An unknown sort of file: kept as it is"))
    elif thinks in _SORTS and thinks != is_ and is_ in _SORTS and claimed != "application/octet-stream":
        was, is_now = _SORTS[thinks], _SORTS[is_]
        words.append(
            Label(
                f"文件名像{was.zh}，内容是{is_now.zh}（{made.mime}），已按{is_now.zh}保存",
                f"Its name says {was.en}, its content is {is_now.en} ({made.mime}); it is kept as that",
            )
        )
    if made.elsewhere:
        words.append(Label("其他记录也有这个文件", "Other records have this file too"))
    return words


@screen.post("/evidence/<evidence>/pictures")
def pictures(evidence: str) -> Response:
    """Make what is owed to a photo that was just taken, and say what it is like."""
    tablet = here.tablet()
    tablet.values(evidence)  # raises NotFound
    made = derivatives.make(tablet, evidence)
    alike = _alike(tablet, evidence)
    words = [made.problem] if made.problem is not None else []
    notice = here.page("camera/alike.html", evidence=evidence, alike=alike, reasons=REPEAT_REASONS, brief=True) if alike else ""
    return jsonify(words=[here.say(Label(f"{one.zh}（原件已原样保存）", f"{one.en} (the original is kept as it is)")) for one in words],
                   alike=notice)  # fmt: skip


def _alike(tablet: Tablet, evidence: str) -> list[Told]:
    """The earlier photos that one is like and for which no reason was given."""
    from field_client.evidence.likeness import SORTS

    found = []
    for one in repeats.pending(tablet).get(evidence, []):
        found.append(Told({**one, "sort_words": SORTS.get(str(one.get("sort"))), "subject_title": title_of(tablet, str(one.get("subject") or ""))}))
    return found


@screen.get("/records/<record>/camera")
def live(record: str) -> str:
    """The camera in the page; the earlier photo beside it where there is one to take again."""
    tablet = here.tablet()
    state = tablet.view(record)
    beside = request.args.get("beside", "")
    return here.page(
        "camera/live.html",
        record=state.record,
        title=title_of(tablet, state.record) or str(tablet.values(record).get("name") or ""),
        item=request.args.get("item", ""),
        stage=request.args.get("stage", ""),
        back=_ours(request.args.get("back", "")),
        beside=beside if beside and tablet.store.knows(beside) else "",
        largest=_largest(),
    )


def _ours(back: str) -> str:
    return back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/"


def _largest() -> int:
    from field_client.platform.serving import BODY_BYTES

    return BODY_BYTES


# ---- looking -------------------------------------------------------------------------------------------------------


@screen.get("/evidence/<evidence>")
def viewer(evidence: str) -> str:
    return _viewer(evidence)


def _viewer(evidence: str, problem: Problem | None = None) -> str:
    tablet = here.tablet()
    values = told(tablet.values(evidence))
    if tablet.view(evidence).kind != KIND:
        raise NotFound(what=Label("这件证据", "this piece of evidence"))
    subject = str(values["subject"] or "")
    around = _around(tablet, subject)
    at = around.index(evidence) if evidence in around else -1
    fields = Evidence.fields_by_name()
    mime = str(values["mime"] or "")
    original = str(values["original"] or "")
    copies = [(id, told(one), OPERATIONS.get(str(one.get("operation")))) for id, one in derivatives.copies_of(tablet, evidence)]
    reason = REPEAT_REASONS.get(str(values["repeat_reason"] or ""))
    return here.page(
        "camera/viewer.html",
        evidence=evidence,
        values=values,
        sort=mime.partition("/")[0],
        drawable=mime in PICTURES and values["role"] == "original",
        here_now=_is_here(tablet, str(values["sha256"] or "")),
        facts=[(fields[name].label, value_of(Evidence, name, values[name])) for name in FACTS],
        code=codes.printed(str(values["code"])) if values["code"] else "",
        subject=subject,
        subject_title=title_of(tablet, subject) or str((tablet.values(subject) if tablet.store.knows(subject) else {}).get("name") or ""),
        subject_page=_page_of(tablet, subject),
        before=around[at - 1] if at > 0 else None,
        after=around[at + 1] if 0 <= at < len(around) - 1 else None,
        number=(at + 1, len(around)),
        original=original,
        operation=OPERATIONS.get(str(values["operation"] or "")),
        copies=copies,
        alike=_alike(tablet, evidence),
        reasons=REPEAT_REASONS,
        reason=reason,
        problem=problem,
        owing=any(one.what in derivatives.DRAWING for one in tablet.store.chores.of(evidence)),
    )


def _is_here(tablet: Tablet, sha256: str) -> bool:
    """Whether the bytes lie on this tablet."""
    with suppress(Problem), closing(tablet.files.open(sha256)):
        return True
    return False


def _around(tablet: Tablet, subject: str) -> list[str]:
    """The evidence of the record that one belongs to, in the order of its taking."""
    if not tablet.store.knows(subject):
        return []
    return sorted(path.removeprefix("evidence/") for path, value in tablet.values(subject).items()
                  if path.startswith("evidence/") and isinstance(value, dict))  # fmt: skip


def _page_of(tablet: Tablet, record: str) -> str:
    """Where a record is shown."""
    from flask import url_for

    pages = {"inspection": "inspection.show", "hazard": "hazards.show", "patrol_note": "notes.show", "institution": "institutions.card"}
    if not tablet.store.knows(record):
        return ""
    endpoint = pages.get(tablet.view(record).kind)
    return url_for(endpoint, record=record) if endpoint else ""


@screen.get("/evidence/<evidence>/content")
def content(evidence: str) -> Response:
    """The bytes as they are kept, in ranges where a player asks for one. They are not stored by the browser."""
    tablet = here.tablet()
    values = tablet.values(evidence)
    with closing(tablet.files.open(str(values.get("sha256")))) as stream:
        whole = stream.seek(0, io.SEEK_END)
        first, last = _range(whole)
        stream.seek(first)
        body = stream.read(last - first + 1)
    mime = str(values.get("mime") or "")
    shown = mime if mime.partition("/")[0] in ("image", "video", "audio") else "application/octet-stream"
    response = Response(body, 206 if "Range" in request.headers else 200, content_type=shown)
    if response.status_code == 206:
        response.headers["Content-Range"] = f"bytes {first}-{last}/{whole}"
    if shown == "application/octet-stream":
        response.headers["Content-Disposition"] = "attachment"
    response.headers.update({"Accept-Ranges": "bytes", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
    return response


MOST_AT_ONCE = 8 << 20
"""Of a film that is played."""


def _range(whole: int) -> tuple[int, int]:
    """(first, last) byte that is asked for; all of them where nothing is, or nothing that can be read."""
    said = request.headers.get("Range", "")
    first, dash, last = said.removeprefix("bytes=").partition("-")
    if not said.startswith("bytes=") or not dash or "," in said:
        return 0, whole - 1
    with suppress(ValueError):
        if not first:
            return max(0, whole - int(last)), whole - 1
        start = min(int(first), whole - 1)
        return start, min(int(last) if last else whole - 1, whole - 1, start + MOST_AT_ONCE - 1)
    return 0, whole - 1


@screen.get("/evidence/<evidence>/beside/<other>")
def beside(evidence: str, other: str) -> str:
    """Two photos side by side: before and after, or the ones that are alike."""
    tablet = here.tablet()
    pair = [(id, told(tablet.values(id))) for id in (evidence, other)]
    return here.page("camera/beside.html", pair=pair, stages=STAGES, back=_ours(request.args.get("back", "")))


@screen.post("/evidence/<evidence>/caption")
def caption(evidence: str) -> Response:
    """What is to be seen on it; kept on the record that it belongs to as well."""
    tablet = here.tablet()
    values, text = tablet.values(evidence), here.posted("caption") or None
    subject = str(values.get("subject") or "")
    with tablet.store.writing():
        if text != values.get("caption"):
            tablet.write(KIND, evidence, {"caption": text})
        kind = tablet.view(subject).kind if tablet.store.knows(subject) else ""
        if kind and text and f"evidence/{evidence}" in tablet.values(subject):
            schema = tablet.registry.get(kind)
            if schema is not None and schema.field_of(f"captions/{evidence}") is not None and tablet.values(subject).get(f"captions/{evidence}") != text:
                tablet.write(kind, subject, {f"captions/{evidence}": text})
    return here.done(Label("已保存", "Saved"), ".viewer", evidence=evidence)


@screen.post("/evidence/<evidence>/reason")
def reason(evidence: str) -> Response | tuple[str, int]:
    """Why it is like an earlier photo."""
    from field_client.evidence import likeness

    tablet = here.tablet()
    earlier = here.posted("repeats")
    try:
        likeness.explain(tablet, evidence, earlier if earlier and tablet.store.knows(earlier) else None, here.posted("reason"), here.posted("note"))
    except InvalidField as problem:
        return _viewer(evidence, problem), 422
    if here.posted("back"):
        return here.back_to(here.posted("back"), "inspection.listed")
    return here.done(Label("已记下原因", "The reason is noted"), ".viewer", evidence=evidence)


@screen.post("/evidence/<evidence>/edit")
def edit(evidence: str) -> Response | tuple[str, int]:
    """A copy, turned or drawn on; the original stays."""
    tablet = here.tablet()
    try:
        how = _edit()
        if not how.turns % 4 and not how.strokes:
            raise InvalidField(field="strokes", detail=Label("还没有旋转或标注", "nothing was turned or drawn yet"))
        made = derivatives.edit(tablet, evidence, how)
    except (InvalidField, BrokenFile) as problem:
        return _viewer(evidence, problem), 422
    return here.done(Label("已另存为副本，原件未动", "Kept as a copy; the original is as it was"), ".viewer", evidence=made)


def _edit() -> Edit:
    """What a page asks for, checked: numbers within the picture, and no more than a person draws."""
    wrong = InvalidField(field="strokes", detail=Label("标注读不出，请重画", "the drawing cannot be read: draw again"))
    try:
        turns = int(here.posted("turns") or 0) % 4
        said = json.loads(request.form.get("strokes") or "[]")
        strokes = tuple(Stroke(shape, colour, tuple((int(x), int(y)) for x, y in points)) for shape, colour, points in said)
    except (ValueError, TypeError):
        raise wrong from None
    fits = len(strokes) <= MOST_STROKES and all(
        one.shape in SHAPES and one.colour in COLOURS and 2 <= len(one.points) <= MOST_POINTS
        and all(0 <= x <= WHOLE and 0 <= y <= WHOLE for x, y in one.points) for one in strokes
    )  # fmt: skip
    if not fits:
        raise wrong
    return Edit(turns, strokes)
