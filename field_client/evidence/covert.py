"""Taking the drop box in: what was sealed while the tablet was locked becomes records, blobs to send, and nothing else.

    box: 00000007/ → the sealed file moves to its shelf (a rename) → one transaction: the record, the blob to send
                   → the folder is cleared

A program that is killed anywhere in between goes on there the next time: the record has the id that the statement
names, a file that was moved already is found on its shelf, and a folder is cleared only after all that.
"""

from __future__ import annotations

from base64 import b64encode
from typing import NamedTuple, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from field_client.evidence.dropbox import DropBox, Entry
from field_client.moments import moment
from field_client.platform.files import EncryptedFiles
from field_client.tablet import Tablet
from schemas.labels import Label
from sync.core.errors import NotFound, Refused
from sync.core.fold import State

TEAM = "team"
KIND, KEYS, AUDITS = "sealed_evidence", "capture_key", "audit"
MIME = "application/age"


class Count(NamedTuple):
    """What is told of a recording, and nothing more: its segments, sealed bytes, and how many the server holds."""

    recording: str
    segments: int
    size: int
    held: int
    ended: bool


def is_covert(tablet: Tablet) -> bool:
    """Whether this tablet belongs to an undercover team."""
    return tablet.identity is not None and tablet.identity.person.role == TEAM


def settle(tablet: Tablet) -> int:
    """Name the capture key in the chain, and take in what waits in the drop box; returns how much was taken in.

    Does nothing on a tablet of anybody but an undercover team.
    """
    if not is_covert(tablet):
        return 0
    box = DropBox(tablet.home, tablet.platform.clock)
    with box.alone():
        _name_key(tablet, box.key() or box.make_key())
        waiting = box.waiting()
        for entry in waiting:
            _take_in(tablet, entry)
            box.clear(entry)
    return len(waiting)


def counts(tablet: Tablet) -> list[Count]:
    """Every recording that was sealed here, oldest first."""
    held = {blob.sha256 for blob in tablet.store.uploads.all() if blob.held}
    found: dict[str, list[State]] = {}
    for state in tablet.browse(KIND):
        values = tablet.values(state.record)
        found.setdefault(str(values["recording"]), []).append(state)
    told = []
    for recording, states in found.items():
        segments = [tablet.values(state.record) for state in states]
        size = sum(int(one["size"]) for one in segments)
        there = sum(one["sha256"] in held for one in segments)
        told.append(Count(recording, len(segments), size, there, any(bool(one.get("last")) for one in segments)))
    return told


def _name_key(tablet: Tablet, key: Ed25519PrivateKey) -> None:
    public = b64encode(key.public_key().public_bytes_raw()).decode()
    if any(tablet.values(record).get("key") == public for record in tablet.records(KEYS)):
        return
    identity = tablet.identity
    assert identity is not None  # `settle` looked
    values = {"device": identity.device, "key": public, "made_at": moment(tablet), "area": _area(tablet)}
    tablet.write(KEYS, None, values)


def _take_in(tablet: Tablet, entry: Entry) -> None:
    capture = entry.capture
    cast(EncryptedFiles, tablet.files).shelve(entry.content, capture.sha256)
    audit = _audit(tablet, capture.audit)
    values = {
        "audit": audit,
        "area": str(tablet.values(audit)["area"]) if audit else _area(tablet),
        "recording": capture.recording,
        "number": capture.number,
        "last": capture.last,
        "sha256": capture.sha256,
        "size": capture.size,
        "key_file": b64encode(entry.key_file).decode(),
        "recipients_version": capture.recipients,
        "facts_commit": capture.facts_commit,
        "facts": b64encode(entry.facts).decode(),
        "team_commit": capture.team_commit,
        "team": b64encode(entry.team).decode(),
        "capture": entry.statement.decode(),
        "capture_sig": b64encode(entry.signature).decode(),
        "capture_key": b64encode(entry.key).decode(),
    }
    with tablet.store.writing():
        try:
            tablet.view(capture.record)
        except NotFound:
            given = {path: value for path, value in values.items() if value is not None}
            tablet.write(KIND, capture.record, given)
        tablet.attach(capture.record, capture.sha256, capture.size, MIME, "original")


def _audit(tablet: Tablet, text: str) -> str | None:
    """The audit that a person named by a piece of its id; None where it fits none, or several: what the team told keeps the text."""
    fits = [id for id in tablet.records(AUDITS) if text and (id.startswith(text) or id.endswith(text))]
    return fits[0] if len(fits) == 1 else None


def _area(tablet: Tablet) -> str:
    """Where sealed material of no audit belongs: the area that the team may work in."""
    identity = tablet.identity
    areas = [grant.area for grant in identity.grants if grant.area] if identity is not None else []
    if not areas:
        raise Refused(
            detail=Label("此平板没有授权区划，请省级授权后同步", "this tablet has no area; have one granted, then sync")
        )
    return areas[0]
