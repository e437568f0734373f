"""Taking evidence in: hash first, then look, then one transaction that says it all.

    bytes → encrypted file, hashed on the way (safe on the disk from here on, original bytes untouched)
          → what the file says about itself, thumbnail and preview as blobs of their own
          → one transaction: the evidence record, `evidence/<id>` on the record that it belongs to, the blobs to send

A program that is killed in between leaves an encrypted file that no record names; `strays` finds those. A picture that
cannot be decoded is evidence like any other: it is kept as it is, and a note on the record says so.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol, cast

from field_client.platform import BlobFiles, images
from field_client.platform.files import Stored, require_space
from field_client.platform.images import Metadata, Previews
from field_client.tablet import Tablet
from schemas.fields import Attachments
from schemas.labels import Label
from sync.core.errors import BrokenFile, Refused
from sync.peer import Role

Source = Literal["camera", "gallery", "recorder", "screen"]

RESERVE_BYTES = 64 * 1024 * 1024
"""Stays free whatever is captured: the change that names a photo must still fit, and so must its previews."""

CHINA = timezone(timedelta(hours=8))
"""The zone of a camera that does not write its own: Beijing time is the legal time of the whole country."""


class CaptureFiles(BlobFiles, Protocol):
    """Blob files that also take new ones."""

    def add(self, stream: BinaryIO, name: str = "") -> Stored: ...

    def list(self) -> Any: ...


class Captured(NamedTuple):
    """What became of a captured file.

    evidence   the id of its evidence record; of the first one where the record had the same file already
    again      the record had the same file already: nothing new was written
    elsewhere  other records on this tablet with the same file, for which a person should give the reason
    note       why it has no preview, where it should have one
    """

    evidence: str
    sha256: str
    size: int
    mime: str
    again: bool = False
    elsewhere: tuple[str, ...] = ()
    note: Label | None = None


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
) -> Captured:
    """Take a file in as evidence of a record; on return it is safe against a power cut.

    item    code of the checklist item that it belongs to
    name    what to call the file where `file` is a stream
    place   where the tablet is (`Point`); else what the picture says

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
            require_space(tablet.home, file.stat().st_size + RESERVE_BYTES)
            return capture(tablet, record, stream, item, caption, source, name=name or file.name, place=place)
    kind = _holder(tablet, record)
    files = cast(CaptureFiles, tablet.files)
    stored = files.add(file, name)
    with closing(files.open(stored.sha256)) as original:
        mime = images.identify(original.read(images.HEAD_BYTES))
    known = _known_in(tablet, record, stored.sha256)
    elsewhere = tuple(one for one in _users(tablet, stored.sha256) if one != record)
    if known is not None:
        with tablet.store.writing():  # it may be another tablet's evidence, whose bytes never arrive from there
            tablet.attach(record, stored.sha256, stored.size, mime, name=name)
        return Captured(known, *stored, mime, again=True, elsewhere=elsewhere)
    look = _Look.at(files, stored.sha256, mime, name)
    made = [(role, files.add(io.BytesIO(content))) for role, content in look.derived()]
    evidence = tablet.store.clock.new_id()
    given = {"item": item, "caption": caption, "source": source, "place": dict(place) if place else None}
    with tablet.store.writing():
        tablet.write("evidence", evidence, _circumstances(tablet, record, kind, stored, mime, look.metadata, given))
        tablet.write(kind, record, _mentions(tablet, kind, evidence, stored, mime, look.problem, made, given))
        tablet.attach(record, *stored, mime, "original", name)
        for role, blob in made:
            tablet.attach(record, *blob, "image/jpeg", role, name)
    return Captured(evidence, *stored, mime, elsewhere=elsewhere, note=look.problem)


def strays(tablet: Tablet) -> list[str]:
    """The SHA-256 of files that were stored and that nothing names: the program was killed while it captured."""
    named = {blob.sha256 for blob in tablet.store.uploads.all()}
    return sorted(set(cast(CaptureFiles, tablet.files).list()) - named)


class _Look(NamedTuple):
    """What a file says and shows; `problem` where it should show something and cannot."""

    metadata: Metadata
    previews: Previews | None
    problem: Label | None

    @classmethod
    def at(cls, files: BlobFiles, sha256: str, mime: str, name: str) -> _Look:
        metadata = Metadata()
        try:
            with closing(files.open(sha256)) as original:
                metadata = images.metadata(original, mime, name)
                original.seek(0)
                return cls(metadata, images.previews(original, mime, name), None)
        except BrokenFile as broken:
            return cls(metadata, None, Label(broken.text("zh"), broken.text("en")))

    def derived(self) -> list[tuple[Role, bytes]]:
        if self.previews is None:
            return []
        return [("thumbnail", self.previews.thumbnail), ("preview", self.previews.preview)]


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
        "role": "original",
        "equipment": identity.device if identity else None,
        "taken_at": _utc(said.taken),
        "captured_at": moment(tablet),
        "width": said.width,
        "height": said.height,
        **given,
        "place": given["place"] or _point(said),
    }
    return {path: value for path, value in values.items() if value is not None}


def _mentions(
    tablet: Tablet,
    kind: str,
    evidence: str,
    stored: Stored,
    mime: str,
    problem: Label | None,
    made: list[tuple[Role, Stored]],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """path → value of what the record that holds the evidence says about it.

    `evidence/<id>` names the small pictures too: they are at the server before the original is.
    """
    item = {"item": given["item"]} if given["item"] else {}
    value = {"sha256": stored.sha256, "size": stored.size, "mime": mime, **item}
    written: dict[str, Any] = {f"evidence/{evidence}": value | {role: blob.sha256 for role, blob in made}}
    if given["caption"]:
        written[f"captions/{evidence}"] = given["caption"]
    if problem is not None:
        text = f"{problem.zh}（原件已原样保存）"
        written[f"notes/{tablet.store.clock.new_id()}"] = {"text": text, "at": moment(tablet), **item}
    known = tablet.registry[kind].field_of
    return {path: value for path, value in written.items() if known(path) is not None}


def moment(tablet: Tablet) -> str:
    """Now in UTC as a `Moment`, by the tablet's clock set right by the server's as far as that is known."""
    _, offset = tablet.store.time()
    return _moment(datetime.fromtimestamp((tablet.store.clock.wall_ms() + offset) / 1000, UTC))


def _moment(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


def _utc(taken: str | None) -> str | None:
    if taken is None:
        return None
    time = datetime.fromisoformat(taken)
    try:
        return _moment((time if time.tzinfo else time.replace(tzinfo=CHINA)).astimezone(UTC))
    except OverflowError:  # a camera that has never been set, in year 1
        return None


def _point(said: Metadata) -> dict[str, Any] | None:
    if said.position is None:
        return None
    lat, lon, accuracy = said.position
    return {"lat": lat, "lon": lon, "src": "exif", **({"acc": accuracy} if accuracy is not None else {})}
