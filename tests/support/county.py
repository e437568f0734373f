"""A server's core without HTTP: a real database, real keys, and replicas that push to it and pull from it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.base import RecordSchema
from schemas.fields import Answers, Area, Counter, Date, Notes, Tags, Text, Workflowed
from schemas.labels import Label
from schemas.registry import Registry
from schemas.workflow import Status, Transition, Workflow
from server import keys
from server.exchange import intake, outflow
from server.merging import decisions
from server.storage import tables_access, tables_desk, tables_photos  # noqa: F401  their tables belong to the same metadata
from server.storage.database import Database
from server.storage.projections import Projections
from server.storage.tables import metadata
from sync.core.change import START, Change, chain_hash, compose, signature_input
from sync.core.rules import Rights

EPOCH = "e-1"
OFFICER = Rights("officer", ("4301",))
DESK = Rights("staff", ("4301",), deciding=True)


def _label(text: str) -> Label:
    return Label(text, text)


class Visit(RecordSchema):
    """A small kind with one field of each merge type that the tests of the server's core need."""

    kind = "visit"
    label = _label("visit")
    workflow = Workflow(
        initial="draft",
        statuses={"draft": Status(_label("d")), "sent": Status(_label("s")), "approved": Status(_label("a"), True)},
        transitions=(
            Transition("draft", "sent", _label("send"), frozenset({"officer", "staff"})),
            Transition("sent", "approved", _label("approve"), frozenset({"staff"}), ("no_conflict",)),
        ),
    )
    area = Area(_label("area"), required=True)
    title = Text(_label("title"))  # type: ignore[assignment]
    amount = Text(_label("amount"))
    answers = Answers(_label("answers"))
    deadline = Date(_label("deadline"), merge="authority")
    notes = Notes(_label("notes"))
    tags = Tags(_label("tags"))
    visits = Counter(_label("visits"))
    status = Workflowed(_label("status"), ("draft", "sent", "approved"))


class County:
    """A server's core in a folder."""

    def __init__(self, folder: Path, *kinds: type[RecordSchema]) -> None:
        self.registry = Registry(kinds or (Visit,))
        self.projections = Projections(self.registry)
        self.database = Database(folder / "patrolbook.db")
        self.keys = keys.create(folder / "keys", "test.example/log")
        self.now = 1_795_000_000_000
        with self.database.write() as conn:
            metadata.create_all(conn)
            self.projections.renew(conn)
        self.desk = decisions.Desk(self.database, self.registry, self.projections, self.keys, self.tick)

    def tick(self) -> int:
        self.now += 7
        return self.now

    def push(self, body: bytes, *, signer: Ed25519PrivateKey, rights: Rights = OFFICER, device: str = "d1") -> Any:
        return intake.push(
            self.database,
            self.registry,
            self.projections,
            self.keys.open,
            epoch=EPOCH,
            device=device,
            public_key=signer.public_key().public_bytes_raw(),
            rights=lambda ms: rights,
            owner_of=lambda conn, replica: device,
            body=body,
            now=self.tick(),
            language="en",
        )

    def pull(
        self,
        cursors: dict[str, str] | None = None,
        *,
        prefixes: tuple[str, ...] = ("area:4301", "home:"),
        limit: int = 1 << 20,
    ) -> list[dict[str, Any]]:
        page = outflow.pull(
            self.database,
            self.keys.open,
            epoch=EPOCH,
            prefixes=list(prefixes),
            exact=[],
            request={"epoch": EPOCH, "cursors": cursors or {}, "limit_bytes": limit},
            now=self.tick(),
        )
        return [json.loads(line) for line in page.splitlines()]


class Replica:
    """A writer with a chain and a key of its own."""

    def __init__(self, county: County, name: str, rights: Rights = OFFICER, signer: Any = None) -> None:
        self.county, self.name, self.rights = county, name, rights
        self.signer = signer or Ed25519PrivateKey.generate()
        self.n, self.prev = 0, START

    def body(self, changes: Iterable[Change | bytes], *, epoch: str = EPOCH) -> bytes:
        """The body of a push of these changes (or raw lines) as the next run of this replica."""
        run: dict[str, Any] = {"replica": self.name, "n": self.n + 1, "prev": self.prev, "sigs": []}
        lines = []
        for one in changes:
            change = one if isinstance(one, Change) else intake.read_line(one)[0]
            self.n += 1
            self.prev = chain_hash(self.name, self.n, self.prev, change.hash)
            run["sigs"].append(base64.b64encode(self.signer.sign(signature_input(self.prev))).decode())
            lines.append(change.content)
        return b"\n".join([json.dumps({"epoch": epoch, "runs": [run]}).encode(), *lines])

    def push(self, *changes: Change | bytes) -> list[dict[str, Any]]:
        """Push and return the results."""
        return self.county.push(self.body(changes), signer=self.signer, rights=self.rights)["results"]  # type: ignore[no-any-return]

    def change(
        self, record: str, values: dict[str, Any], parents: dict[str, list[str]] | None = None, **more: Any
    ) -> Change:
        now = self.county.tick()
        return compose(
            id=self.county.keys.new_id(now),
            kind=more.pop("kind", "visit"),
            record=record,
            set={path: (value, (parents or {}).get(path, [])) for path, value in values.items()},
            by=["p1"],
            schema=more.pop("schema", 1),
            hlc=more.pop("hlc", f"{now:012x}-0000"),
            clock={"wall": now, "mono": 0, "boot": "b", "off": 0},
            **more,
        )
