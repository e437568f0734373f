"""Taking evidence in: bytes first, then the record, then everything else.

    bytes → encrypted file, hashed on the way          safe on the disk, original bytes untouched
          → headers: type, time, place, orientation
          → one transaction: the evidence record, `evidence/<id>` on the record that it belongs to, the blob to send,
            and what is still owed to it               *saved*: a person may be told so
          → small pictures, watermarked copy (`derivatives.py`)

A program that is killed before the transaction leaves an encrypted file that no record names; `strays` finds those. Killed
after it, it leaves chores, which the next round does. A picture that cannot be decoded is evidence like any other: it is
kept as it is, and a note on the record says so.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple, cast

from custody import codes, media
from custody.media import Metadata
from field_client.evidence import derivatives
from field_client.evidence.derivatives import CaptureFiles
from field_client.moments import CHINA, as_moment, moment
from field_client.platform.files import Stored, require_space
from field_client.tablet import Tablet
from schemas.fields import Attachments
from schemas.labels import Label
from sync.core.errors import Refused

if TYPE_CHECKING:
    from field_client.evidence.likeness import Similar

Source = Literal["camera", "gallery", "recorder", "screen"]

RESERVE_BYTES = 64 * 1024 * 1024
"""Stays free whatever is captured: the change that names a photo must still fit, and so must its previews."""


class Captured(NamedTuple):
    """What became of a captured file.

    evidence   the id of its evidence record; of the first one where the record had the same file already
    again      the record had the same file already: nothing new was written
    elsewhere  other records on this tablet with the same file, for which a person should give the reason
    note       why it has no preview, where it should have one
    watermark  the evidence record of its watermarked copy, where one was made
    similar    earlier photos that it is like: a person should give the reason
    """

    evidence: str
    sha256: str
    size: int
    mime: str
    again: bool = False
    elsewhere: tuple[str, ...] = ()
    note: Label | None = None
    watermark: str | None = None
    similar: tuple[Similar, ...] = ()


def capture(
    tablet: Tablet,
    record: str,
    file: Path | BinaryIO,
    item: str | None = None,
    caption: str | None = None,
    source: Source = "camera",
    *,
    name: str = "",
    place: Mapping[str, Any] | None = None,
    watermark: bool | None = None,
    stage: str | None = None,
    saved: Callable[[Captured], None] = lambda captured: None,
    pictures: bool = True,
) -> Captured:
    """Take a file in as evidence of a record; on return it is safe against a power cut, and has its pictures.

    item       code of the checklist item that it belongs to
    name       what to call the file where `file` is a stream
    place      where the tablet is (`Point`); else what the picture says
    watermark  whether a photo gets a watermarked copy; where nothing is said, in an inspection
    stage      `before` or `after` a rectification
    saved      told as soon as it is safe, before any picture is made
    pictures   whether to make its pictures now; else they stay owed (`derivatives.make`)

    :raises NotFound: there is no such record
    :raises Refused: this kind of record holds no evidence, or the file cannot be opened
    :raises EmptyFile, DiskFull: nothing was kept
    """
    if isinstance(file, Path):
        try:
            stream = open(file, "rb")  # noqa: SIM115  closed below
        except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
            raise Refused(detail=Label(f"打不开文件 {file}", f"the file {file} cannot be opened")) from error
        with stream:
            return capture(
                tablet,
                record,
                stream,
                item,
                caption,
                source,
                name=name or file.name,
                place=place,
                watermark=watermark,
                stage=stage,
                saved=saved,
                pictures=pictures,
            )
    kind, name = _holder(tablet, record), media.called(name)
    if tablet.platform.pictures is not None:
        tablet.platform.pictures.warm()  # its process starts while the bytes are written
    files = cast(CaptureFiles, tablet.files)
    if file.seekable():
        require_space(tablet.home, file.seek(0, io.SEEK_END) + RESERVE_BYTES)
        file.seek(0)
    stored = files.add(file, name)
    with closing(files.open(stored.sha256)) as original:
        mime, said = media.examine(original)
    known = _known_in(tablet, record, stored.sha256)
    elsewhere = tuple(one for one in _users(tablet, stored.sha256) if one != record)
    if known is not None:
        with tablet.store.writing():  # it may be another tablet's evidence, whose bytes never arrive from there
            tablet.attach(record, stored.sha256, stored.size, mime, name=name)
        return Captured(known, stored.sha256, stored.size, mime, again=True, elsewhere=elsewhere)
    evidence = tablet.store.clock.new_id()
    given = {
        "item": item,
        "caption": caption,
        "source": source,
        "place": dict(place) if place else None,
        "stage": stage,
    }
    marked = kind == "inspection" if watermark is None else watermark
    with tablet.store.writing():
        circumstances = _circumstances(tablet, record, kind, stored, mime, said, given)
        circumstances["code"] = codes.code_of(stored.sha256, evidence)
        tablet.write("evidence", evidence, circumstances)
        tablet.write(kind, record, _mentions(tablet, kind, evidence, stored, mime, given))
        tablet.attach(record, stored.sha256, stored.size, mime, "original", name)
        tablet.store.chores.owe(evidence, derivatives.chores_for(tablet, mime, marked))
    captured = Captured(evidence, stored.sha256, stored.size, mime, elsewhere=elsewhere)
    saved(captured)
    if not pictures:
        return captured
    made = derivatives.make(tablet, evidence)
    if made.problem is not None:
        _note(tablet, kind, record, made.problem, item)
    return captured._replace(note=made.problem, watermark=made.watermark, similar=made.similar)


def strays(tablet: Tablet) -> list[str]:
    """The SHA-256 of files that were stored and that nothing names: the program was killed while it captured."""
    return sorted(set(cast(CaptureFiles, tablet.files).list()) - tablet.store.uploads.digests())


def _holder(tablet: Tablet, record: str) -> str:
    """The kind of the record; raises NotFound, and Refused where it holds no evidence."""
    shown = tablet.view(record)
    schema = tablet.registry.get(shown.kind)
    if schema is None or not isinstance(schema.fields_by_name().get("evidence"), Attachments):
        raise Refused(detail=Label("这种记录不能附证据", "this kind of record holds no evidence"))
    return shown.kind


def _known_in(tablet: Tablet, record: str, sha256: str) -> str | None:
    for path, value in tablet.values(record).items():
        if path.startswith("evidence/") and isinstance(value, dict) and value.get("sha256") == sha256:
            return path.removeprefix("evidence/")
    return None


def _users(tablet: Tablet, sha256: str) -> list[str]:
    """The records on this tablet that a blob was captured for."""
    rows = tablet.store.database.rows("SELECT record FROM uses WHERE sha256 = ? ORDER BY record", (sha256,))
    return [record for (record,) in rows]


def _circumstances(
    tablet: Tablet,
    record: str,
    kind: str,
    stored: Stored,
    mime: str,
    said: Metadata,
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """path → value of the evidence record: what was `given` counts more than what the picture said."""
    identity = tablet.identity
    values = {
        "subject": record,
        "subject_kind": kind,
        "area": tablet.registry[kind].area_of(tablet.values(record)),
        "sha256": stored.sha256,
        "size": stored.size,
        "mime": mime,
        "tree": stored.tree,
        "role": "original",
        "equipment": identity.device if identity else None,
        "taken_at": _utc(said.taken),
        "captured_at": moment(tablet),
        "camera": said.camera,
        "width": said.width,
        "height": said.height,
        "orientation": said.orientation,
        "duration_ms": said.duration_ms,
        "exif": said.exif,
        **given,
        "place": given["place"] or _point(said),
    }
    return {path: value for path, value in values.items() if value is not None}


def _mentions(
    tablet: Tablet, kind: str, evidence: str, stored: Stored, mime: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """path → value of what the record that holds the evidence says about it."""
    item = {"item": given["item"]} if given["item"] else {}
    written: dict[str, Any] = {
        f"evidence/{evidence}": {"sha256": stored.sha256, "size": stored.size, "mime": mime, **item}
    }
    if given["caption"]:
        written[f"captions/{evidence}"] = given["caption"]
    return _known(tablet, kind, written)


def _note(tablet: Tablet, kind: str, record: str, problem: Label, item: str | None) -> None:
    """A note on the record that a file has no pictures."""
    text = f"{problem.zh}（原件已原样保存）"
    value = {"text": text, "at": moment(tablet), **({"item": item} if item else {})}
    written = _known(tablet, kind, {f"notes/{tablet.store.clock.new_id()}": value})
    if written:
        tablet.write(kind, record, written)


def _known(tablet: Tablet, kind: str, written: dict[str, Any]) -> dict[str, Any]:
    known = tablet.registry[kind].field_of
    return {path: value for path, value in written.items() if known(path) is not None}


def _utc(taken: str | None) -> str | None:
    if taken is None:
        return None
    time = datetime.fromisoformat(taken)
    try:
        return as_moment((time if time.tzinfo else time.replace(tzinfo=CHINA)).astimezone(UTC))
    except OverflowError:  # a camera that has never been set, in year 1
        return None


def _point(said: Metadata) -> dict[str, Any] | None:
    if said.position is None:
        return None
    lat, lon, accuracy = said.position
    return {"lat": lat, "lon": lon, "src": "exif", **({"acc": accuracy} if accuracy is not None else {})}
