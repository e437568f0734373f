"""Officers' own keys on this tablet: made, listed, dropped, and used to co-sign.

Two officers enforce, often with one tablet between them. Each has a key of their own on it, under their own PIN, so a
co-signature says that this officer held that tablet and saw exactly this. Nobody's PIN opens a colleague's key, and the
PIN of the tablet opens none of them.

The private half lies in `officers/<key id>.key` (`platform/wrapping.py`), the public half is a record that staff
confirm. It never leaves the tablet and cannot be brought back: whoever forgets the PIN drops the key and makes a new one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from field_client.platform.files import make_folder, replace_file
from field_client.platform.wrapping import USUAL, Attempts, Cost, check_pin, read_wrapped, wrap
from field_client.tablet import Identity, Tablet
from schemas.kinds.officer_key import OfficerKey
from schemas.labels import Label
from sync.core.cosigning import cosignature_input, key_id, proof_input, written
from sync.core.errors import NotAllowed, NotEnrolled, NotFound, Refused

KIND = OfficerKey.kind
FOLDER = "officers"
_INFO = "patrolbook/officer-key/v1\0"


class Held(NamedTuple):
    """A key whose private half lies here. `values` are its record's; empty where a crash left none."""

    id: str
    values: dict[str, Any]

    @property
    def officer(self) -> str:
        return str(self.values.get("officer") or "")


class OfficerKeys:
    """The keys in the folder of a tablet. `cost` is what a guess of a PIN costs; `now` counts its delays."""

    def __init__(self, tablet: Tablet, *, cost: Cost = USUAL, now: Callable[[], float] = time.time) -> None:
        self._tablet, self._cost, self._now = tablet, cost, now
        self._folder = tablet.home / FOLDER

    def held(self) -> Iterator[Held]:
        """Every key here, in the order of their ids."""
        for file in sorted(self._folder.glob("*.key")):
            values: dict[str, Any] = {}
            with suppress(NotFound):
                values = self._tablet.values(file.stem)
            yield Held(file.stem, values)

    def of(self, officer: str) -> Held | None:
        """The key of an officer, None where they have none here or it was withdrawn."""
        usable = (one for one in self.held() if one.values.get("status") != "withdrawn")
        return next((one for one in usable if one.officer == officer), None)

    def make(self, officer: str, pin: str) -> str:
        """Make a key for an officer and propose it; returns its id.

        :raises NotEnrolled: the key belongs to a device, and this is none yet
        :raises NotAllowed: the person of this tablet proposes no keys
        :raises Refused: the officer has a key here already, or the PIN is too simple
        """
        identity = self._tablet.identity
        if identity is None:
            raise NotEnrolled()
        if identity.person.role not in OfficerKey.makers:
            raise NotAllowed(
                detail=Label("只有执法人员的平板可以登记密钥", "keys are made on the tablet of a certified officer")
            )
        about = self._tablet.values(officer)
        if self.of(officer) is not None:
            raise Refused(
                detail=Label(
                    f"{about.get('name')} 在本机已有密钥；忘记 PIN 时先删除：patrolbook officer key drop",
                    f"{about.get('name')} has a key here; if the PIN is forgotten: patrolbook officer key drop",
                )
            )
        check_pin(pin)
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes_raw()
        id = key_id(public)
        values = {
            "officer": officer,
            "name": about.get("name"),
            "area": _area(identity, str(about.get("area") or "")),
            "device": identity.device,
            "public_key": public.hex(),
            "proof": written(key.sign(proof_input(officer, identity.device))),
            "status": "proposed",
        }
        wrapped = wrap(key.private_bytes_raw(), pin, self._cost, _info(id))
        make_folder(self._folder)
        with self._tablet.store.writing():
            self._tablet.write(KIND, id, values)
            # Before the record counts: one without its private half would wait for staff for nothing.
            replace_file(self._file(id), json.dumps(wrapped).encode())
        return id

    def drop(self, id: str) -> None:
        """Forget the private half. Its record, and what was signed with it, stay. Raises NotFound."""
        if not self._file(id).exists():
            raise NotFound(what=Label(f"密钥 {id}", f"the key {id}"))
        for suffix in ("key", "attempts", "lock"):
            (self._folder / f"{id}.{suffix}").unlink(missing_ok=True)

    def cosign(self, held: Held, pin: str, content: str) -> dict[str, str]:
        """The parts that make a signature over a content hash the officer's own.

        :raises WrongPin: says how many seconds to wait
        :raises BrokenStore: the key file is damaged
        """
        attempts = Attempts(self._folder / f"{held.id}.attempts", self._now)
        seed = attempts.open(read_wrapped(self._file(held.id)), pin, _info(held.id))
        signature = Ed25519PrivateKey.from_private_bytes(seed).sign(cosignature_input(content))
        return {"officer": held.officer, "key": held.id, "cosig": written(signature)}

    def _file(self, id: str) -> Path:
        return self._folder / f"{id}.key"


def in_groups(id: str) -> str:
    """A key id as it is read out on the telephone."""
    return " ".join(id[at : at + 4] for at in range(0, len(id), 4))


def _info(id: str) -> bytes:
    """Bound to the key's name: a file under another name opens for no PIN."""
    return (_INFO + id).encode()


def _area(identity: Identity, area: str) -> str:
    """The officer's area; the tablet's own where the officer comes from elsewhere and the record would lie out of scope."""
    granted = [grant.area for grant in identity.grants]
    if area and any(area.startswith(one) for one in granted):
        return area
    return next(filter(None, granted), area)
