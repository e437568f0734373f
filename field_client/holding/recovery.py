"""A forgotten PIN: the tablet's side of `custody/recovery.py`.

    recovery.json    the database key and the seed, age-sealed to the province and the escrow of the trust file
    recovery.asked   the secret of a request under way

The tablet writes the first before it depends on a lease, again when the recipients change, and cannot open it itself.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from custody import sealing
from custody.commitments import Part
from custody.recovery import Request, read_answer
from field_client.exchange import trustfile
from field_client.platform import database
from field_client.platform.files import replace_file
from field_client.platform.keys import Secrets, Vault
from schemas.labels import Label
from sync.core.errors import BrokenSeal, NoSealKeys, NotFound

FILE, ASKED = "recovery.json", "recovery.asked"
_CHECK_TAG = b"patrolbook/recovery-check/v1\0"


class Slot(NamedTuple):
    """The sealed keys, for whom, and of which version of them.

    check   tells whose keys they are to somebody who has these keys, and nothing to anybody else
    """

    device: str
    version: int
    recipients: tuple[str, ...]
    commit: str
    check: str
    sealed: bytes


# ---- on the tablet: beforehand -----------------------------------------------------------------------------


def keep(home: Path, secrets: Secrets, device: str) -> int | None:
    """See that the keys can be recovered by the recipients of the trust file that is here; their version.

    None where no trust file names any: then nobody can.
    """
    try:
        seal = trustfile.recipients(trustfile.held(home))
    except NoSealKeys:
        slot = held(home)
        return slot.version if slot is not None and _fits(slot, secrets) else None
    slot = held(home)
    if slot is None or not _fits(slot, secrets) or slot.recipients != seal.recipients:
        told = {"database_key": secrets.database_key.hex(), "seed": secrets.seed.hex(), "device": device}
        made = sealing.seal_meta(Part.KEYS, told, seal.recipients)
        slot = Slot(device, seal.version, seal.recipients, made.commit, _check_of(secrets), made.sealed)
        noted = {**slot._asdict(), "sealed": _text(slot.sealed), "v": 1}
        replace_file(home / FILE, json.dumps(noted).encode())
    return slot.version


def held(home: Path) -> Slot | None:
    """The slot that is here; None where there is none, or where it is damaged: it is then made again."""
    try:
        noted = json.loads((home / FILE).read_bytes())
        return Slot(
            str(noted["device"]),
            int(noted["version"]),
            tuple(map(str, noted["recipients"])),
            str(noted["commit"]),
            str(noted["check"]),
            b64decode(noted["sealed"], validate=True),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


# ---- on the tablet: when the PIN is gone --------------------------------------------------------------------


def ask(home: Path, file: Path) -> Request:
    """Write a request to `file`; an earlier one is void from now on.

    :raises NotFound: this tablet has no recovery slot
    """
    slot = held(home)
    if slot is None:
        raise NotFound(what=Label("恢复密钥（recovery.json）", "a recovery slot (recovery.json)"))
    made = sealing.new_identity()
    replace_file(home / ASKED, made.secret.encode())
    request = Request(slot.device, made.recipient, slot.sealed)
    replace_file(file.absolute(), request.written())
    return request


def finish(home: Path, vault: Vault, answer: Path, new_pin: Callable[[], str]) -> None:
    """Open an answer, and seal the keys by a new PIN, asked for only then; on return the tablet opens with it.

    :raises NotFound: nothing was asked for
    :raises WrongSealKey: the answer belongs to another request
    :raises BrokenSeal, BrokenFile: damaged, or not the keys of this tablet
    :raises Refused: the PIN is too simple
    """
    slot = held(home)
    try:
        identity = (home / ASKED).read_text("ascii")
    except FileNotFoundError:
        raise NotFound(what=Label("恢复请求（先运行 recover ask）", "a request (run recover ask first)")) from None
    opened = sealing.open_meta(read_answer(answer), identity)
    if slot is not None:
        sealing.check_commitment(Part.KEYS, slot.commit, opened)
    try:
        secrets = Secrets(bytes.fromhex(opened.meta["database_key"]), bytes.fromhex(opened.meta["seed"]))
    except (KeyError, ValueError, TypeError) as error:
        raise BrokenSeal(what=_KEYS, detail=str(error)) from error
    if not database.key_fits(home / "patrolbook.db", secrets.database_key):
        raise BrokenSeal(what=_KEYS, detail=Label("不是这台平板的密钥", "they belong to another tablet"))
    vault.restore(secrets, new_pin())
    (home / ASKED).unlink(missing_ok=True)


# ---- inside ------------------------------------------------------------------------------------------------

_KEYS = Label("平板的密钥", "the keys of the tablet")


def _fits(slot: Slot, secrets: Secrets) -> bool:
    return slot.check == _check_of(secrets)


def _check_of(secrets: Secrets) -> str:
    return hashlib.sha256(_CHECK_TAG + secrets.database_key + secrets.seed).hexdigest()


def _text(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")
