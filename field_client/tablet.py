"""The tablet: the composition root of the client. Everything that people do goes through here.

    tablet = Tablet.create(home, key, seed, files)
    tablet.enrol("https://county.example", "K7M2-P9XD-4HTR", "T-14")
    change = tablet.write("inspection", None, {"area": "430102001", "name": "…"})
    tablet.values(change.record)
    tablet.sync(until="previews")
    tablet.ledger().safe_to_hand_in

A write is one transaction: what is shown, the parents that follow from it, the place in the chain and the signature
belong together. Nothing is sent by it; `sync` is the only method that needs a network, with `enrol` and `fetch`.

Each thread opens a tablet of its own (`another`); that costs a fraction of a millisecond.
"""

from __future__ import annotations

import contextlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from field_client.evidence.likeness import Shelf
from field_client.evidence.removals import Removals
from field_client.exchange import ledger, trustfile, uploads, witnessed
from field_client.exchange.ledger import Ledger
from field_client.exchange.outbox import Own
from field_client.exchange.witnessed import Seen
from field_client.platform import BlobFiles, Line, Platform, database
from field_client.store import Store
from schemas import registry as kinds
from schemas.base import DELETED, Invalid, RecordSchema
from schemas.labels import Label
from schemas.registry import Registry
from sync.core import clock as stamps
from sync.core import engine
from sync.core.change import Change, compose
from sync.core.errors import (
    InvalidField,
    LogInconsistent,
    NotAllowed,
    NotEnrolled,
    NotFound,
    Refused,
    Unavailable,
    UnknownKind,
    UntrustedNote,
)
from sync.core.fold import Conflict, MergeOf, State, conflicts_of, deleted, values_of
from sync.peer import Enrolment, Grant, LogKey, Peer, Person, Role, enrolment_proof_input
from sync.replicator import Progress, Replicator, RoundReport

DATABASE = "patrolbook.db"
LANES = 2
"""Parts of blobs that go at once."""
AUDIT_MS = 7 * 24 * 3600 * 1000
"""How often the server is asked whether it still has everything that it acknowledged."""

Until = Literal["records", "thumbnails", "previews", "originals", "everything"]
GOALS: Mapping[Until, int] = {
    "records": engine.RECORDS_ONLY,
    "thumbnails": uploads.THUMBNAIL,
    "previews": uploads.PREVIEW,
    "originals": uploads.ORIGINAL,
    "everything": uploads.VIDEO,
}


PRACTICE = Label("练习模式不与任何服务器相连", "practice is connected to no server")


class Identity(NamedTuple):
    """Who this tablet is to the server."""

    url: str
    device: str
    person: Person
    grants: tuple[Grant, ...]
    log: LogKey


class Retention(NamedTuple):
    """The acknowledged changes that are kept, to be offered again should the server lose them."""

    changes: int
    bytes: int


class Tablet:
    """One tablet. Use `create` or `open`.

    home      the folder with everything
    seed      of the device's Ed25519 key; `key` opens the database. 32 bytes each, random, and the caller's to guard
    """

    def __init__(
        self,
        home: Path,
        key: bytes,
        seed: bytes,
        store: Store,
        files: BlobFiles,
        registry: Registry,
        platform: Platform,
    ) -> None:
        self.home = home
        self.store = store
        self.files = files
        self.registry = registry
        self.platform = platform
        self._key = key
        self._seed = seed
        self._peer: Peer | None = None
        self.before_write: Callable[[Tablet, str], None] | None = None
        """Called with the kind before a person's write, in the same transaction: the first of a day opens a shift."""

    @classmethod
    def create(
        cls,
        home: Path,
        key: bytes,
        seed: bytes,
        files: BlobFiles,
        *,
        registry: Registry | None = None,
        platform: Platform | None = None,
    ) -> Tablet:
        """A new tablet in a folder. Raises FileExistsError where there is one already.

        It is made under another name and renamed when it is whole: a process killed here leaves nothing to repair.
        """
        home.mkdir(parents=True, exist_ok=True)
        if (home / DATABASE).exists():
            raise FileExistsError(home / DATABASE)
        scratch = home / f"{DATABASE}.new"
        database.discard(scratch)
        made = database.create(scratch, key)
        try:
            cls._with(made, home, key, seed, files, registry, platform, Store.create)
            # Now and not at the first photo: the description of a table that is made late lies at the end of the file,
            # and a file that lost its end would then give nothing (`platform/salvage.py`).
            Shelf(made)
            Removals(made)
        finally:
            made.close()
        database.publish(scratch, home / DATABASE)
        return cls.open(home, key, seed, files, registry=registry, platform=platform)

    @classmethod
    def open(
        cls,
        home: Path,
        key: bytes,
        seed: bytes,
        files: BlobFiles,
        *,
        registry: Registry | None = None,
        platform: Platform | None = None,
    ) -> Tablet:
        """The tablet in a folder.

        :raises NotFound: there is none; WrongKey: the key belongs to another; BrokenStore: damaged or cut short
        """
        opened = database.open_existing(home / DATABASE, key)
        try:
            return cls._with(opened, home, key, seed, files, registry, platform, Store)
        except BaseException:
            opened.close()
            raise

    @classmethod
    def _with(
        cls,
        opened: database.Database,
        home: Path,
        key: bytes,
        seed: bytes,
        files: BlobFiles,
        registry: Registry | None,
        platform: Platform | None,
        make: Callable[..., Store],
    ) -> Tablet:
        platform = platform or _this_device()
        store = make(opened, platform.clock, Ed25519PrivateKey.from_private_bytes(seed).sign)
        return cls(home, key, seed, store, files, registry or kinds.shipped(), platform)

    def another(self) -> Tablet:
        """The same tablet again, for another thread."""
        made = Tablet.open(self.home, self._key, self._seed, self.files, registry=self.registry, platform=self.platform)
        made.before_write = self.before_write
        return made

    def close(self) -> None:
        self.store.close()

    # ---- who it is -----------------------------------------------------------------------------------------

    @property
    def public_key(self) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self._seed).public_key().public_bytes_raw()

    @property
    def identity(self) -> Identity | None:
        """None before it is enrolled."""
        noted = self.store.meta("identity")
        if noted is None:
            return None
        grants = tuple(Grant(*one) for one in noted["grants"])
        log = LogKey(noted["log"][0], b64decode(noted["log"][1]))
        return Identity(noted["url"], noted["device"], Person(*noted["person"]), grants, log)

    @property
    def practice(self) -> bool:
        """Whether this is made-up data for practice: whichever program opens it, it never reaches a server."""
        return self.store.meta("practice") is True

    def practise(self) -> None:
        """Make this empty tablet one for practice, for good."""
        with self.store.writing():
            self.store.note("practice", True)

    def refuse_practice(self) -> None:
        """Raises Refused where this is practice."""
        if self.practice:
            raise Refused(detail=PRACTICE)

    def enrol(self, url: str, code: str, name: str, model: str = "") -> Identity:
        """Spend a one-time code: the tablet becomes a device of the server at `url`, and pins its log's key.

        What was written before goes up with the next round. Enrolling again, even with another server, loses nothing.

        :raises CodeNotValid, BadSignature, Unavailable, InvalidField: the url is none
        :raises Refused: this is practice
        """
        self.refuse_practice()
        sign = Ed25519PrivateKey.from_private_bytes(self._seed).sign
        peer = self.platform.connect(Line(url, "", sign, self._server_clock()))
        proof = sign(enrolment_proof_input(code, self.public_key))
        answer = peer.enrol(code, self.public_key, name, model, proof)
        self._note_identity(url, answer)
        self.store.anchor(answer.time_ms)
        enrolled = self.identity
        assert enrolled is not None  # just noted
        return enrolled

    def _note_identity(self, url: str, answer: Enrolment) -> None:
        self._peer = None
        with self.store.writing():
            self.store.note(
                "identity",
                {
                    "url": url,
                    "device": answer.device,
                    "person": list(answer.person),
                    "grants": [list(grant) for grant in answer.grants],
                    "log": [answer.log.origin, b64encode(answer.log.key).decode()],
                },
            )
            if self.store.epoch != answer.epoch:
                self.store.realign(answer.epoch)

    def sign(self, message: bytes) -> bytes:
        """The device's signature under a message, which begins with a tag that says what it is for."""
        return Ed25519PrivateKey.from_private_bytes(self._seed).sign(message)

    # ---- writing -------------------------------------------------------------------------------------------

    def may_write(self, kind: str) -> bool:
        """Whether this tablet's person writes records of a kind; while it belongs to no server (practice), whoever is there."""
        makers = self.registry[kind].makers
        return self.identity is None or not makers.isdisjoint({self.identity.person.role, *(one.role for one in self.identity.grants)})

    def require_maker(self, kind: str) -> None:
        """Raises NotAllowed where `may_write` does not hold, before somebody fills in what staff could only set aside."""
        if not self.may_write(kind):
            name = self.registry[kind].label
            raise NotAllowed(
                detail=Label(f"您的角色不填写{name.zh}；看到的情况请写巡查记录", f"your role does not write this ({name.en}): write a patrol note")
            )

    def write(
        self,
        kind: str,
        record: str | None,
        values: Mapping[str, Any],
        by: Sequence[str] | None = None,
        *,
        decision: Mapping[str, Any] | None = None,
    ) -> Change:
        """Write fields of a record (path → value); None for a new record. Replaces exactly what the tablet shows now.

        `by`: ids of the people who decided it, the tablet's person where none are named.

        :raises UnknownKind, InvalidField: nothing was written
        :raises DiskFull, BrokenStore: nothing was written
        """
        schema = self.registry.get(kind)
        if schema is None:
            raise UnknownKind(kind=kind)
        _check(schema, values)
        with self.store.writing():
            if self.before_write is not None:
                self.before_write(self, kind)
            target = self.store.clock.new_id() if record is None else record
            shown = self._shown(target)
            if shown is not None and shown.kind != kind:
                detail = Label(f"记录属于“{shown.kind}”", f"the record is of the kind {shown.kind}")
                raise InvalidField(field="kind", detail=detail)
            written = {path: (value, _parents(schema, shown, path)) for path, value in values.items()}
            return self._append(kind, target, written, schema.version, by, shown, decision)

    def delete(self, record: str, reason: str, by: Sequence[str] | None = None) -> Change:
        """Delete a record as it is shown; an edit that was not seen here brings it back as a conflict.

        :raises NotFound:
        """
        with self.store.writing():
            shown = self.store.view(record)
            seen = sorted({id for path, live in shown.live.items() if path != DELETED for id in live})
            written = {DELETED: ({"seen": seen, "reason": reason}, shown.ids(DELETED))}
            schema = self.registry.get(shown.kind)
            return self._append(shown.kind, record, written, schema.version if schema else 1, by, shown, None)

    def attach(self, record: str, sha256: str, size: int, mime: str, role: Role = "original", name: str = "") -> None:
        """A blob of a record, to be sent in a coming round; its bytes are in `files` already."""
        with self.store.writing():
            self.store.uploads.attach(record, sha256, size, mime, role, name)

    def _append(
        self,
        kind: str,
        record: str,
        written: Mapping[str, tuple[Any, list[str]]],
        schema: int,
        by: Sequence[str] | None,
        shown: State | None,
        decision: Mapping[str, Any] | None,
    ) -> Change:
        clock = self.store.clock
        wall = clock.wall_ms()
        newest, offset = self.store.time()
        if shown is not None and shown.acts:
            newest = stamps.receive(newest, max(act.hlc for act in shown.acts.values()), wall + offset, None)
        seen = self.store.checkpoint()
        identity = self.identity if by is None else None
        change = compose(
            id=clock.new_id(),
            kind=kind,
            record=record,
            set=written,
            by=[identity.person.id] if identity else list(by or ()),
            schema=schema,
            hlc=stamps.tick(newest, wall + offset),
            clock={"wall": wall, "mono": clock.mono_ms(), "boot": clock.boot(), "off": offset},
            seen={"size": seen.size, "root": seen.root.hex()} if seen.size else None,
            decision=decision,
        )
        self.store.outbox.append(change)
        self.store.touch([self.store.pulled.root(record)])
        return change

    # ---- reading -------------------------------------------------------------------------------------------

    def view(self, record: str) -> State:
        """A record as it is shown: what the server has merged, and own pending changes over it. Raises NotFound."""
        return self.store.view(record)

    def values(self, record: str) -> dict[str, Any]:
        """path → value to show. On a conflict it is provisional: see `conflicts_in`. Raises NotFound."""
        shown = self.view(record)
        return values_of(shown, self.merge_of(shown.kind))

    def records(self, kind: str) -> list[str]:
        """The ids of all records of a kind that are not deleted, oldest first."""
        return [id for id, special in self.store.ids(kind) if not special or not self._is_deleted(id)]

    def browse(self, kind: str) -> Iterator[State]:
        """All records of a kind that are not deleted, oldest first."""
        return (shown for shown in self.store.browse(kind) if not deleted(shown))

    def kinds(self) -> dict[str, int]:
        """kind → number of its records, of every kind that has any."""
        names = {*self.store.pulled.kinds(), *self.store.outbox.pending_kinds()}
        return {name: count for name in sorted(names) if (count := len(self.records(name)))}

    def conflicts(self) -> list[Conflict]:
        """Everything in scope that waits for a person."""
        shown = filter(None, map(self._shown, self.store.disputable()))
        return [conflict for one in shown for conflict in conflicts_of(one, self.merge_of(one.kind))]

    def conflicts_in(self, record: str) -> list[Conflict]:
        """What waits for a person in one record. Raises NotFound."""
        shown = self.view(record)
        return conflicts_of(shown, self.merge_of(shown.kind))

    def history(self, record: str) -> list[Own]:
        """What was written here of a record, oldest first, and how far each change is."""
        root = self.store.pulled.root(record)
        found = {own.change.id: own for id in {record, root} for own in self.store.outbox.of(id)}
        return sorted(found.values(), key=lambda own: own.change.id)

    def merge_of(self, kind: str) -> MergeOf:
        """How the values of a path meet; a kind that this program does not know keeps all of them."""
        schema = self.registry.get(kind)
        return schema.merge_of if schema is not None else lambda path: "scalar"

    def fetch(self, sha256: str, width: int | None = None, purpose: str = "") -> bytes:
        """The bytes of somebody's blob, or a smaller picture of it, from the server.

        :raises NotFound, Unavailable:
        :raises InvalidField: a restricted original is not opened without a `purpose`, which is logged
        """
        return self.peer().blob(sha256, width, purpose=purpose)

    # ---- synchronising -------------------------------------------------------------------------------------

    def sync(
        self,
        progress: Callable[[Progress], None] | None = None,
        until: Until = "everything",
        stop: Callable[[], bool] = lambda: False,
    ) -> RoundReport:
        """One round with the server. What goes wrong out there is in the report; nothing written here can get lost.

        `stop` is asked between steps. Raises NotEnrolled, and DiskFull or BrokenStore of the own store.
        """
        identity = self._enrolled()
        now = self._server_clock()()
        audit = now - (self.store.meta("audited_ms") or 0) > AUDIT_MS
        with contextlib.ExitStack() as stack:
            pool = self.platform.pool if until != "records" else None
            report = Replicator(
                self.peer(),
                self.store,
                self.files,
                identity.log,
                self.platform.around,
                stack.enter_context(self.platform.scratch(self.home)),
                pool=stack.enter_context(pool(LANES)) if pool is not None else None,
                lanes=LANES,
                progress=progress,
                stop=stop,
            ).run(GOALS[until], audit=audit)
        if report.problem is None and not report.stopped:
            self.renew_trust()
            try:
                witnessed.renew(self.home, self.store, self.peer(), identity.log)
            except (LogInconsistent, UntrustedNote) as problem:  # as it would have been within the round
                report.problem = problem
        if audit and report.problem is None and not report.stopped:
            with self.store.writing():
                self.store.note("audited_ms", now)
        return report

    def renew_trust(self) -> None:
        """Keep the newest trust file, as plain files: sealing must work while the tablet is locked.

        The first root that is seen is pinned; another one afterwards, or an older edition, is never believed.
        """
        try:
            told = self.peer().trust()
        except (NotFound, Unavailable):
            return
        trustfile.pin(self.home, told.root)
        trustfile.keep(self.home, told.content, told.signature)

    def peer(self) -> Peer:
        """The server that the tablet is enrolled with. Raises NotEnrolled, and Refused where this is practice."""
        self.refuse_practice()
        identity = self._enrolled()
        if self._peer is None:
            sign = Ed25519PrivateKey.from_private_bytes(self._seed).sign
            self._peer = self.platform.connect(Line(identity.url, identity.device, sign, self._server_clock()))
        return self._peer

    def queued(self) -> int:
        """How many changes wait to be sent."""
        return self.store.queued()

    def ledger(self) -> Ledger:
        """Where everything that was made here is by now."""
        return ledger.read(self.store.database, self.store.uploads, self.witnessed())

    def witnessed(self) -> Seen | None:
        """The newest checkpoint that witnesses have cosigned; None where the trust file asks for none."""
        return witnessed.seen(self.home, self.store)

    @property
    def retention(self) -> Retention:
        """Acknowledged changes are never deleted: after a restore of the server they are offered again."""
        sql = "SELECT count(*), coalesce(sum(length(content)), 0) FROM changes WHERE status IN ('held', 'settled')"
        return Retention(*self.store.database.row(sql))

    def send_first(self, digests: Collection[str]) -> int:
        """Send these files before all others from the next round on; returns how many of them still wait."""
        with self.store.writing():
            return self.store.uploads.hurry(digests)

    def revive(self) -> int:
        """Put the dead letters back into the outbox; returns how many."""
        with self.store.writing():
            return self.store.outbox.revive()

    # ---- around --------------------------------------------------------------------------------------------

    def _enrolled(self) -> Identity:
        identity = self.identity
        if identity is None:
            raise NotEnrolled()
        return identity

    def _server_clock(self) -> Callable[[], int]:
        """The server's time as far as it is known now; may be asked by any thread, so it does not touch the store."""
        clock, (_, offset) = self.store.clock, self.store.time()
        return lambda: clock.wall_ms() + offset

    def _shown(self, record: str) -> State | None:
        try:
            return self.store.view(record)
        except NotFound:
            return None

    def _is_deleted(self, record: str) -> bool:
        shown = self._shown(record)
        return shown is None or deleted(shown)


def _check(schema: type[RecordSchema], values: Mapping[str, Any]) -> None:
    for path, value in values.items():
        try:
            known = schema.check_path(path, value)
        except Invalid as invalid:
            raise InvalidField(field=invalid.path, detail=invalid.problem) from invalid
        if not known:
            raise InvalidField(field=path, detail=Label("没有这个字段", "there is no such field"))


def _parents(schema: type[RecordSchema], shown: State | None, path: str) -> list[str]:
    """The changes whose values a write replaces: all that are live, and none where values add up."""
    return [] if shown is None or schema.merge_of(path) == "counter" else shown.ids(path)


def _this_device() -> Platform:
    from field_client.platform.desktop import desktop  # only where nothing else was given: it needs threads and sockets

    return desktop()
