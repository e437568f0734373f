"""签字: the exact document first, then whoever signs it, on this screen; a refusal with its reason; the copy for the party.

What is signed is named by its digest (`content`), which the form carries: where anything changed after the page was shown,
in another window for instance, nothing is signed and the document is shown anew. The time at which the inspection ended is
part of it, so it is noted before.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Callable, Mapping

from flask import Response, request

from field_client.holding.officers import OfficerKeys, in_groups
from field_client.ui import here, papers, scanning
from field_client.ui.here import Screen
from field_client.ui.inspection import Visit
from field_client.ui.told import told
from field_client.work import anchoring, inspecting, printout
from schemas.kinds.inspection import Inspection
from schemas.labels import Label
from sync.core.errors import InvalidField, NotFound, Problem, Refused
from sync.core.signing import covered

KIND = Inspection.kind

screen = Screen("signing", __name__, writes=Inspection.kind)

REFUSALS = (
    Label("当事人拒绝签字，未说明理由", "The party refuses to sign and gives no reason"),
    Label("当事人对检查情况有异议，拒绝签字", "The party disputes the findings and refuses"),
    Label("负责人不在场，无人有权签字", "The person in charge is away and nobody may sign"),
    Label("当事人身体原因不能签字", "The party cannot sign for reasons of health"),
)
ROLES = ("party", "officer", "witness")
PNG = "data:image/png;base64,"
LARGEST_DRAWING = 2 << 20


@screen.get("/inspections/<record>/sign")
def sheet(record: str) -> str:
    return _sheet(Visit(here.tablet(), record))


def _sheet(visit: Visit, problem: Problem | None = None) -> str:
    """What is signed, and who may sign it."""
    tablet, keys = visit.tablet, OfficerKeys(visit.tablet)
    wrong, content = problem, ""
    try:
        content = inspecting.content_of(tablet, visit.record)
    except Problem as conflict:
        wrong = wrong or conflict
    signed = [told(value) for path, value in visit.values.items() if path.startswith("signatures/")]
    officers = []
    for id in sorted(inspecting.officers_of(visit.values)):
        about = told(tablet.values(id) if tablet.store.knows(id) else None)
        fresh = [one for one in signed if one["officer"] == id and one["content"] == content]
        officers.append((id, about, keys.of(id), bool(fresh)))
    frozen = covered(Inspection, visit.values)
    return here.page(
        "signing/sheet.html",
        visit=visit,
        values=visit.values,
        ended=bool(visit.values["ended_at"]),
        parts=printout.parts(tablet, visit.record, set(frozen)),
        content=content,
        signed=signed,
        party=[one for one in signed if one["as"] == "party"],
        officers=officers,
        makes_keys=tablet.identity is not None and tablet.identity.person.role in tablet.registry["officer_key"].makers,
        in_groups=in_groups,
        refusals=REFUSALS,
        problem=wrong,
    )


@screen.post("/inspections/<record>/end")
def end(record: str) -> Response:
    """The inspection is over: the time is noted, and what is to be signed is complete."""
    visit = Visit(here.tablet(), record)
    _open(visit)
    inspecting.finish(visit.tablet, visit.record)
    return here.go(".sheet", record=visit.record)


@screen.post("/inspections/<record>/sign")
def sign(record: str) -> Response | tuple[str, int]:
    """One signature under what the page showed."""
    tablet = here.tablet()
    visit = Visit(tablet, record)
    role, officer, name = here.posted("as"), here.posted("officer"), here.posted("name")
    try:
        _open(visit)
        if role not in ROLES:
            raise InvalidField(field="as", detail=Label("请选择签字身份", "say in which capacity"))
        if role == "officer":
            name = str(tablet.values(officer).get("name") or "") if officer in inspecting.officers_of(visit.values) else ""
        if not name:
            raise InvalidField(field="name", detail=Label("请写签字人姓名", "write the signer's name"))
        image, cosign = _drawn(), _cosign(visit, officer) if role == "officer" else None
        if image is None and cosign is None:
            raise InvalidField(field="drawn", detail=Label("请在框内签名", "sign in the box"))
        inspecting.sign(tablet, visit.record, name, role, image, officer or None, cosign, shown=here.posted("content"))
    except Problem as problem:
        return _sheet(Visit(tablet, record), problem), 409
    return here.done(Label(f"{name} 已签字", f"{name} has signed"), ".sheet", record=visit.record, _anchor="signed")


def _open(visit: Visit) -> None:
    if visit.locked:
        raise Refused(detail=Label("已审核或已归档，不能再签字", "it is approved or archived and not signed any more"))


def _drawn() -> io.BytesIO | None:
    """The signature as a picture: drawn on the screen, or a photo of one; None where there is neither."""
    text, file = request.form.get("drawn", ""), request.files.get("image")
    if text.startswith(PNG):
        try:
            content = base64.b64decode(text[len(PNG) :], validate=True)
        except (binascii.Error, ValueError):
            content = b""
        if not content or len(content) > LARGEST_DRAWING:
            raise InvalidField(field="drawn", detail=Label("签名读不出，请重签", "the drawing cannot be read: sign again"))
        return _Named(content, "signature.png")
    if file is not None and file.filename:
        content = file.read()
        if not content:
            raise InvalidField(field="image", detail=Label("图片是空的", "the picture is empty"))
        return _Named(content, file.filename)
    return None


class _Named(io.BytesIO):
    """A picture with the name that its file is called by."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def _cosign(visit: Visit, officer: str) -> Callable[[str], Mapping[str, str]] | None:
    """How an officer signs with a key of their own; None where they have none here or gave no PIN."""
    keys, pin = OfficerKeys(visit.tablet), request.form.get("pin", "")
    held = keys.of(officer)
    if held is None or not pin:
        return None
    return lambda content: keys.cosign(held, pin, content)


@screen.post("/inspections/<record>/refusal")
def refusal(record: str) -> Response | tuple[str, int]:
    """The party does not sign: why, and who saw it."""
    tablet = here.tablet()
    visit = Visit(tablet, record)
    reason, witness = here.posted("reason"), here.posted("witness")
    try:
        _open(visit)
        if not reason:
            raise InvalidField(field="refusal", detail=Label("请写明拒签原因", "say why the party does not sign"))
        inspecting.refuse(tablet, visit.record, reason, witness)
    except Problem as problem:
        return _sheet(Visit(tablet, record), problem), 409
    return here.done(Label("已记录拒签，请见证人和执法人员签字", "Noted; witness and officers sign it"), ".sheet", record=visit.record)


@screen.post("/inspections/<record>/key")
def key(record: str) -> Response | tuple[str, int]:
    """A key of an officer's own, under a PIN of their own; staff confirm it by its characters."""
    tablet = here.tablet()
    visit = Visit(tablet, record)
    pin, again = (request.form.get(name, "") for name in ("pin", "again"))
    try:
        if pin != again:
            raise InvalidField(field="PIN", detail=Label("两次输入不一样", "the two are not the same"))
        made = OfficerKeys(tablet).make(here.posted("officer"), pin)
    except Problem as problem:
        return _sheet(visit, problem), 409
    told_key = in_groups(made)
    return here.done(Label(f"密钥已生成，请本人念给县级确认：{told_key}", f"The key was made; its officer reads it to staff: {told_key}"),
                     ".sheet", record=visit.record)  # fmt: skip


# ---- the copy for the party ----------------------------------------------------------------------------------------


@screen.get("/inspections/<record>/copy")
def copy(record: str) -> str:
    """The copy as a page: to be printed or taken as PDF; with its anchor once one was made."""
    visit = Visit(here.tablet(), record)
    made = anchoring.printed(visit.tablet, visit.record)
    return here.page(
        "signing/copy.html",
        visit=visit,
        parts=printout.parts(visit.tablet, visit.record),
        made=made,
        head=printout.headed(visit.tablet, printout.TITLE),
        sticks=papers.sticks(),
        spoken_words=printout.SPOKEN,
        keep_words=printout.KEEP,
        qr=scanning.drawn(made.text) if made is not None else "",
        signed=any(path.startswith("signatures/") for path in visit.values),
    )


@screen.post("/inspections/<record>/copy")
def anchor(record: str) -> Response:
    """Anchor the document as it stands; the same one gets the same code however often."""
    visit = Visit(here.tablet(), record)
    anchoring.anchor_document(visit.tablet, visit.record)
    return here.go(".copy", record=visit.record)


@screen.get("/inspections/<record>/copy.pdf")
def copy_pdf(record: str) -> Response:
    """The same as PDF."""
    return papers.download(_copy_of(Visit(here.tablet(), record)), printout.TITLE.zh, record)


@screen.post("/inspections/<record>/copy/stick")
def copy_to_stick(record: str) -> Response:
    """The same as PDF onto a USB stick."""
    visit = Visit(here.tablet(), record)
    return here.done(papers.to_stick(_copy_of(visit), printout.TITLE.zh, visit.record), ".copy", record=visit.record)


def _copy_of(visit: Visit) -> bytes:
    made = anchoring.printed(visit.tablet, visit.record)
    if made is None:
        raise NotFound(what=Label("打印件的核对码，请先生成", "the code of this copy: make it first"))
    return printout.pdf(visit.tablet, visit.record, made)
