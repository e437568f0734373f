"""One sealed object, before anything is done with it: is it what the tablet stated when it sealed it, and does this key open it.

Both ways out of the sealed compartment, a hand-over (`releases.py`) and a clip (`exports.py`), begin here.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any, NamedTuple

from custody import sealing
from custody.captures import open_capture
from custody.commitments import Part
from custody.sealing import OpenedMeta
from schemas.labels import Label
from server.instance import Instance
from server.reading.finding import Seen
from server.storage import blobs
from server.storage.blobs import Blob
from sync.core.errors import BrokenSeal, Malformed, NotReady

_WHAT = Label("密封证据", "the sealed evidence")
_NEEDED = ("key_file", "facts", "facts_commit", "team", "team_commit")


class Checked(NamedTuple):
    """An object that holds: its blob, the key file as it was sealed, the object's secret, and its facts, sealed and opened."""

    blob: Blob
    key_file: bytes
    secret: str
    facts: bytes
    told: OpenedMeta


def check(house: Instance, evidence: Seen, secret: str, action: Label) -> Checked:
    """Everything that can be said about a sealed object without its content.

    secret: of the province's or the escrow's identity

    :raises NotReady: the server does not hold its bytes; `action` says for what
    :raises WrongSealKey: the secret opens neither key file nor facts
    :raises BrokenSeal: it was written by a program of another version, it is not what its signed statement says, or its facts
        are not what was committed to
    """
    values = evidence.values
    with house.database.read() as conn:
        held = blobs.get(conn, values["sha256"])
    if held is None or held.size != values["size"]:
        detail = Label(f"{evidence.record} 的密封文件还没有收到", f"the sealed file of {evidence.record} has not arrived")
        raise NotReady(action=action, detail=detail)
    missing = [name for name in _NEEDED if name not in values]
    if missing:
        detail = Label(
            f"{evidence.record} 缺少 {missing[0]}：由另一版本的平板程序写成，请升级后重新采集",
            f"{evidence.record} has no {missing[0]}: a tablet's program of another version wrote it; update it and capture anew",
        )
        raise BrokenSeal(what=_WHAT, detail=detail)
    _check_statement(evidence.record, values)
    key_file, facts = b64decode(values["key_file"]), b64decode(values["facts"])
    own = sealing.open_key(key_file, secret)
    told = sealing.open_meta(facts, secret)
    sealing.check_commitment(Part.FACTS, values["facts_commit"], told)
    if told.meta.get("content") != values["sha256"]:
        detail = Label("说的是另一个文件", "it is about another file")
        raise BrokenSeal(what=Label("密封的核验信息", "the sealed facts"), detail=detail)
    return Checked(held, key_file, own, facts, told)


def _check_statement(record: str, values: Mapping[str, Any]) -> None:
    """The record says what its statement says, which the capture key signed. One without a statement has none to differ from."""
    if not values.get("capture"):
        return
    statement, signature, key = (str(values.get(name) or "") for name in ("capture", "capture_sig", "capture_key"))
    try:
        said = open_capture(statement.encode(), b64decode(signature), b64decode(key))
    except Malformed as problem:
        raise BrokenSeal(what=_WHAT, detail=Label(problem.text("zh"), problem.text("en"))) from problem
    if not said.states(record, values):
        raise BrokenSeal(what=_WHAT, detail=Label("与其采集声明不符", "it is not what its statement of the capture says"))
