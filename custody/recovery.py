"""A way back for those who have no PIN any more: a tablet's keys, which it sealed to the province beforehand.

The province's secret never leaves its station, the tablet's data never leaves the tablet: two small files travel.

    tablet   asks     with a recipient that it made for this once, and its sealed keys
    station  answers  by wrapping them for that recipient; a person decides whether
    tablet   opens    the answer (`field_client/holding/recovery.py`)

    request  {"is": "patrolbook/recovery-request/v1", "device", "recipient", "sealed"}   JSON; sealed is base64
    answer   {"is": "patrolbook/recovery-answer/v1", "device", "sealed"}
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from custody import sealing
from sync.core.errors import BrokenFile
from sync.core.note import fingerprint

LARGEST = 64 * 1024

_REQUEST, _ANSWER = "patrolbook/recovery-request/v1", "patrolbook/recovery-answer/v1"


class Request(NamedTuple):
    """What a tablet asks for; `code` is what two people compare on the telephone."""

    device: str
    recipient: str
    sealed: bytes

    @property
    def code(self) -> str:
        return fingerprint(self.recipient.encode())

    def written(self) -> bytes:
        """The content of the file."""
        return _written(_REQUEST, device=self.device, recipient=self.recipient, sealed=_text(self.sealed))


def read_request(file: Path) -> Request:
    """A request, to be shown to the person who decides. Raises BrokenFile."""
    said = _read(file, _REQUEST)
    return Request(str(said.get("device")), str(said.get("recipient")), _sealed(file, said))


def answer(request: Request, identity: str) -> bytes:
    """The content of the answer: the keys wrapped for the tablet that asked, by a secret of the province or the escrow.

    :raises WrongSealKey: they are sealed to others
    :raises BrokenSeal, InvalidField: damaged
    """
    wrapped = sealing.rewrap(request.sealed, identity, [request.recipient])
    return _written(_ANSWER, device=request.device, sealed=_text(wrapped))


def read_answer(file: Path) -> bytes:
    """The wrapped keys. Raises BrokenFile."""
    return _sealed(file, _read(file, _ANSWER))


def _written(what: str, **said: str) -> bytes:
    return json.dumps({"is": what, **said}, indent=1).encode() + b"\n"


def _read(file: Path, what: str) -> Mapping[str, Any]:
    try:
        if file.stat().st_size > LARGEST:
            raise ValueError("too large")
        said = json.loads(file.read_bytes())
        if type(said) is not dict or said.get("is") != what:
            raise ValueError("another kind of file")
    except (OSError, ValueError) as error:
        raise BrokenFile(file=file.name, detail=str(error)) from error
    return said


def _sealed(file: Path, said: Mapping[str, Any]) -> bytes:
    try:
        return b64decode(str(said["sealed"]), validate=True)
    except (KeyError, ValueError) as error:
        raise BrokenFile(file=file.name, detail=str(error)) from error


def _text(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")
