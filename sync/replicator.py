"""Drives a round: does what `sync.core.engine` asks for, against a peer and a replica, and tells it what came of it.

Everything about meaning is decided in the engine; here is only the doing. Parts of blobs go side by side when there is
a pool of threads, and one after the other when there is none. Only the calling thread touches the replica's store.

What the peer says of its log is checked before anything is kept: a page or an acknowledgement whose checkpoint does not
extend the one that the replica knows never reaches the store.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, Protocol

from schemas.labels import Label
from sync.core import engine, receipts, retry
from sync.core.batches import Batcher
from sync.core.errors import BrokenFile, EpochChanged, NotFound, Problem, Unavailable, UntrustedNote
from sync.core.note import Checkpoint, Verifier
from sync.core.parts import Part, part_size_for
from sync.peer import Batch, BlobOffer, BlobReceipt, Held, Limits, LogKey, Page, Peer, PullRequest, PushAnswer, Result
from sync.peer import Upload as PeerUpload

PROOFS_AT_ONCE = 500
IDS_AT_ONCE = 5_000

Phase = Literal["greeting", "pulling", "pushing", "proving", "files", "waiting"]


class BlobFiles(Protocol):
    """The bytes of the blobs on this device, as they were captured."""

    def open(self, sha256: str) -> BinaryIO:
        """Readable and seekable.

        :raises NotFound: not on this device
        :raises BrokenFile: damaged
        """

    def size(self, sha256: str) -> int:
        """In bytes; raises as `open`."""


class Standing(NamedTuple):
    """Where a replica stands before a round. `fresh`: it holds no cursor yet."""

    epoch: str | None
    replica: str
    registered: bool
    fresh: bool


class Applied(NamedTuple):
    """What a page did: `behind` counts the positions that are still to come, as far as the page tells."""

    moved: bool
    mismatched: tuple[str, ...]
    behind: int


class Unproven(NamedTuple):
    """Something acknowledged without a verified receipt: a change by its id or a blob by its SHA-256."""

    key: str
    is_blob: bool
    leaf_hash: bytes
    leaf: int


class Replica(Protocol):
    """The store of a replica, as far as a round needs it. Every call is one transaction."""

    def standing(self) -> Standing: ...

    def anchor(self, server_ms: int) -> None:
        """Take the server's time as the anchor of the clock."""

    def note_registered(self) -> None: ...

    def realign(self, epoch: str) -> None: ...

    def fork(self) -> None: ...

    def refill(self, bucket: str) -> None: ...

    def bury(self, change: str, problem: Problem) -> None: ...

    def set_aside(self, sha256: str, problem: Problem) -> None: ...

    def cursors(self) -> Mapping[str, str]: ...

    def apply(self, page: Page, newest: Checkpoint | None, note: str) -> Applied:
        """A page, its cursors and the newest checkpoint, all or nothing."""

    def fill(self, bucket: str, snapshot: Path) -> int:
        """A bucket from a snapshot file, replacing what was known of it; returns the number of records.

        :raises EpochChanged: the file belongs to another epoch than the replica
        """

    def queued(self) -> int: ...

    def queued_sizes(self) -> Iterable[int]:
        """Bytes of each queued change, in the order in which they will go."""

    def batch(self, count: int) -> Batch:
        """The first `count` queued changes."""

    def digests(self, ids: Sequence[str]) -> list[bytes]:
        """The content hashes of own changes.

        :raises NotFound: one is not ours
        """

    def acknowledge(
        self, results: Sequence[Result], proven: Collection[str], newest: Checkpoint | None, note: str
    ) -> None: ...

    def kept_ids(self) -> list[str]:
        """Every acknowledged change that is still here."""

    def requeue(self, ids: Collection[str]) -> int:
        """Put acknowledged changes back into the outbox; returns how many."""

    def checkpoint(self) -> Checkpoint:
        """The newest one seen in this epoch; the empty one before the first."""

    def remember(self, newest: Checkpoint, note: str) -> None: ...

    def unproven(self, limit: int) -> list[Unproven]: ...

    def unproven_count(self) -> int: ...

    def prove(self, proven: Sequence[Unproven]) -> None: ...

    def waiting_blobs(self, goal: int) -> list[engine.Waiting]: ...

    def blob_offer(self, sha256: str) -> BlobOffer:
        """Its `part_size` is 0 where none was agreed on yet."""

    def uploading(self, sha256: str, upload: str, part_size: int, have: Collection[int]) -> None: ...

    def part_sent(self, sha256: str, number: int) -> None: ...

    def hold(self, sha256: str, receipt: BlobReceipt) -> None: ...


class Progress(NamedTuple):
    """How far a round is: `done` of about `total` records, changes or parts, and the bytes that went over the line."""

    phase: Phase
    done: int
    total: int
    sent: int
    received: int


@dataclass(slots=True)
class RoundReport:
    """What a round did.

    problem     why it is not complete; None where everything asked for was done
    pushed      changes by what the server did with them: accepted, parked, quarantined
    dead        ids of changes that it could not read even alone; `set_aside` blobs that could not go, with the reason
    sent, received  bytes of bodies on the line; `seconds` from start to end
    """

    problem: Problem | None = None
    stopped: bool = False
    pulled: int = 0
    removed: int = 0
    filled: list[str] = field(default_factory=list)
    pushed: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    dead: list[str] = field(default_factory=list)
    blobs: int = 0
    parts: int = 0
    set_aside: dict[str, Problem] = field(default_factory=dict)
    proven: int = 0
    epoch_changed: bool = False
    forked: bool = False
    sent: int = 0
    received: int = 0
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        return self.problem is None and not self.stopped and not self.set_aside


class Surroundings(NamedTuple):
    """What a round takes from the world: a pause in seconds, chance from 0 to 1, seconds that never go back."""

    pause: Callable[[float], None]
    chance: Callable[[], float]
    monotonic: Callable[[], float]


class Replicator:
    """One round between a replica and a peer; make one for each round.

    trusted  the pinned key of the server's log
    scratch  a folder for a snapshot on its way; the caller removes it
    pool     threads for parts of blobs; `lanes` of them at a time
    """

    def __init__(
        self,
        peer: Peer,
        replica: Replica,
        files: BlobFiles,
        trusted: LogKey,
        around: Surroundings,
        scratch: Path,
        *,
        pool: Executor | None = None,
        lanes: int = 2,
        progress: Callable[[Progress], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.peer = peer
        self.replica = replica
        self.files = files
        self.trusted = Verifier(trusted.origin, trusted.key)
        self.around = around
        self.scratch = scratch
        self.pool = pool
        self.lanes = lanes
        self.report = RoundReport()
        self._progress = progress
        self._stop = stop
        self._limits = Limits()
        self._events: deque[engine.Event] = deque([engine.Started()])
        self._running: dict[Future[None], engine.SendPart] = {}
        self._totals: dict[Phase, int] = {}

    def run(self, goal: int = engine.RECORDS_ONLY, *, audit: bool = False) -> RoundReport:
        """The whole round. Problems of the other side are in the report; those of the own store are raised."""
        started = self.around.monotonic()
        standing = self.replica.standing()
        state = engine.begin(
            standing.epoch,
            goal=goal,
            lanes=self.lanes,
            fresh=standing.fresh,
            registered=standing.registered,
            audit=audit,
        )
        before = self.peer.traffic
        try:
            while not state.over:
                state, actions = engine.step(state, self._next_event())
                for action in actions:
                    self._start(action)
                self._look_around(state)
        finally:
            wait(self._running)
        assert state.outcome is not None  # over
        report, after = self.report, self.peer.traffic
        report.problem, report.stopped = state.outcome.problem, state.outcome.stopped
        report.sent, report.received = after.sent - before.sent, after.received - before.received
        report.seconds = self.around.monotonic() - started
        return report

    # ---- events --------------------------------------------------------------------------------------------

    def _next_event(self) -> engine.Event:
        if not self._events:
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
            for future in done:
                self._part_done(self._running.pop(future), future.exception())
        return self._events.popleft()

    def _look_around(self, state: engine.Round) -> None:
        """What happened meanwhile comes before the answers that wait, or they would start more of the same."""
        if self._stop() and state.ending is None:
            self._events.appendleft(engine.Stop())
        elif state.blobs and not state.outbox and self.replica.queued():
            self._events.appendleft(engine.NewChange())

    def _start(self, action: engine.Action) -> None:
        match action:
            case engine.Realign() | engine.Fork() | engine.Refill() | engine.Bury() | engine.SetAside():
                self._note(action)
            case engine.SendPart() if self.pool is not None:
                self._running[self.pool.submit(self._send_part, action)] = action
            case engine.SendPart():
                try:
                    self._send_part(action)
                except Problem as problem:
                    self._part_done(action, problem)
                else:
                    self._part_done(action, None)
            case engine.Push(batcher):
                self._events.append(self._push(action, batcher))
            case _:
                try:
                    self._events.append(engine.Answer(action, self._ask(action)))
                except Problem as problem:
                    self._events.append(engine.Failure(action, problem))

    def _part_done(self, action: engine.SendPart, problem: BaseException | None) -> None:
        """On the calling thread: only here the store learns of a part."""
        if isinstance(problem, Problem):
            self._events.append(engine.Failure(action, problem))
            return
        if problem is not None:
            raise problem
        self.replica.part_sent(action.sha256, action.part.number)
        self.report.parts += 1
        self._tell("files", self.report.parts)
        self._events.append(engine.Answer(action))

    # ---- notes to the own store ----------------------------------------------------------------------------

    def _note(self, action: engine.Noting) -> None:
        match action:
            case engine.Realign(epoch):
                self.report.epoch_changed = self.replica.standing().epoch is not None
                self.replica.realign(epoch)
            case engine.Fork():
                self.report.forked = True
                self.replica.fork()
            case engine.Refill(bucket):
                self.replica.refill(bucket)
            case engine.Bury(change, problem):
                self.report.dead.append(change)
                self.replica.bury(change, problem)
            case engine.SetAside(digest, problem):
                self.report.set_aside[digest] = problem
                self.replica.set_aside(digest, problem)

    # ---- questions to the peer -----------------------------------------------------------------------------

    def _ask(self, action: engine.Asking) -> engine.Result:
        match action:
            case engine.Greet():
                return self._greet()
            case engine.Register():
                self.peer.register(self.replica.standing().replica)
                self.replica.note_registered()
            case engine.Pull(limit):
                return self._pull(limit)
            case engine.Fill(bucket):
                self._fill(bucket)
            case engine.Audit():
                return self._audit()
            case engine.Prove():
                return self._prove()
            case engine.ListBlobs(goal):
                return self._list_blobs(goal)
            case engine.Offer(digest):
                return self._offer(digest)
            case engine.Complete(digest, upload):
                self._hold(digest, self.peer.complete(upload).receipt)
            case engine.Wait(failures, retry_after):
                self._tell("waiting", failures)
                self.around.pause(retry.wait_s(failures, self.around.chance(), retry_after))
        return None

    def _greet(self) -> engine.Greeted:
        self._tell("greeting", 0)
        hello = self.peer.hello()
        if self.trusted not in [Verifier(one.origin, one.key) for one in hello.logs]:
            raise UntrustedNote(detail=f"the server shows other logs: {', '.join(one.origin for one in hello.logs)}")
        self._limits = hello.limits
        self.replica.anchor(hello.time_ms)
        return engine.Greeted(hello.epoch, hello.limits.push_changes, hello.limits.push_bytes)

    def _pull(self, limit: int | None) -> engine.PageApplied:
        epoch = self.replica.standing().epoch or ""
        known = self.replica.checkpoint()
        cursors = self.replica.cursors()
        page = self.peer.pull(PullRequest(epoch, cursors, limit or self._limits.pull_bytes, known.size or None))
        if page.epoch != epoch:
            raise EpochChanged(epoch=page.epoch)
        newest, note = None, ""
        if page.log is not None:
            note = page.log.checkpoint
            newest = receipts.extended(known, receipts.opened(note, self.trusted), page.log.proof)
        applied = self.replica.apply(page, newest, note)
        self.report.pulled += page.records
        self.report.removed += len(page.gones)
        done = self.report.pulled + self.report.removed
        self._totals["pulling"] = done + applied.behind
        self._tell("pulling", done)
        granted = tuple((bucket, page.heads[bucket]) for bucket in page.granted)
        return engine.PageApplied(page.more, applied.moved, granted, applied.mismatched)

    def _fill(self, bucket: str) -> None:
        path = self._scratch_file(bucket)
        with open(path, "ab") as into:
            self.peer.snapshot(bucket, into)
        self.report.pulled += self.replica.fill(bucket, path)
        self.report.filled.append(bucket)
        path.unlink()
        self._tell("pulling", self.report.pulled)

    def _push(self, action: engine.Push, batcher: Batcher) -> engine.Event:
        queued = self.replica.queued()
        self._totals["pushing"] = self.report.pushed.total() + queued
        if not queued:
            return engine.Answer(action, engine.Pushed(0, 0, 0.0))
        batch = self.replica.batch(batcher.take(self.replica.queued_sizes()))
        started = self.around.monotonic()
        try:
            answer = self.peer.push(batch)
            proven, newest = self._proven(answer)
        except Problem as problem:
            return engine.Failure(action, problem, len(batch.ids), batch.size, batch.ids[0])
        sent = frozenset(batch.ids)
        results = [r if r.id in sent else r._replace(id=batch.ids[i]) for i, r in enumerate(answer.results)]
        self.replica.acknowledge(results, proven, newest, answer.receipt.checkpoint if answer.receipt else "")
        self.report.pushed.update(r.status for r in results)
        self.report.duplicates += sum(r.duplicate for r in results)
        self.report.proven += len(proven)
        self._tell("pushing", self.report.pushed.total())
        seconds = self.around.monotonic() - started
        return engine.Answer(action, engine.Pushed(len(results), queued - len(results), seconds,
                                                   len(results) - len(proven)))  # fmt: skip

    def _proven(self, answer: PushAnswer) -> tuple[Collection[str], Checkpoint | None]:
        """The changes that the answer's receipt proves to be in the log, and its checkpoint where it is newer."""
        receipt = answer.receipt
        if receipt is None or not receipt.leaves:
            return (), None
        seen = receipts.opened(receipt.checkpoint, self.trusted)
        try:
            digests = self.replica.digests(receipt.leaves)
        except NotFound:  # among ours are leaves that the server wrote itself: each needs a proof of its own
            return (), None
        receipts.check_tail(receipt.frontier, receipt.before, digests, seen)
        known = self.replica.checkpoint()
        if receipts.adjoins(known, receipt.before, receipt.frontier):
            return receipt.leaves, seen
        try:
            return receipt.leaves, self._extended(known, seen)
        except Unavailable:
            return (), None  # taken all the same; `_prove` asks again

    def _extended(self, known: Checkpoint, seen: Checkpoint) -> Checkpoint:
        if known.size in (0, seen.size):
            return receipts.extended(known, seen, ())
        sizes = sorted((known.size, seen.size))
        return receipts.extended(known, seen, self.peer.consistency(*sizes))

    def _audit(self) -> int:
        ids = self.replica.kept_ids()
        lacking: list[str] = []
        for start in range(0, len(ids), IDS_AT_ONCE):
            lacking += self.peer.have(ids[start : start + IDS_AT_ONCE])
        return self.replica.requeue(lacking) if lacking else 0

    def _prove(self) -> engine.Proved:
        waiting = self.replica.unproven(PROOFS_AT_ONCE)
        if not waiting:
            return engine.Proved(0, 0)
        known = self.replica.checkpoint()
        if any(one.leaf >= known.size for one in waiting):
            note = self.peer.checkpoint()
            known = self._extended(known, receipts.opened(note, self.trusted))
            self.replica.remember(known, note)
        proofs = self.peer.inclusion(known.size, sorted({one.leaf for one in waiting}))
        for one in waiting:
            receipts.check_inclusion(one.leaf_hash, one.leaf, proofs.get(one.leaf, ()), known)
        self.replica.prove(waiting)
        self.report.proven += len(waiting)
        self._tell("proving", self.report.proven)
        return engine.Proved(len(waiting), self.replica.unproven_count())

    # ---- blobs ---------------------------------------------------------------------------------------------

    def _list_blobs(self, goal: int) -> tuple[engine.Waiting, ...]:
        waiting = self.replica.waiting_blobs(goal)
        self._totals["files"] = self.report.parts + sum(-(-w.size // part_size_for(w.size)) for w in waiting)
        return tuple(waiting)

    def _offer(self, digest: str) -> engine.Result:
        offer = self.replica.blob_offer(digest)
        part_size = offer.part_size or min(part_size_for(offer.size), self._limits.part_bytes)
        answer = self.peer.offer(offer._replace(part_size=part_size))
        if isinstance(answer, Held):
            self._hold(digest, answer.receipt)
            return True
        assert isinstance(answer, PeerUpload)
        self.replica.uploading(digest, answer.upload, answer.part_size, answer.have)
        return engine.Accepted(answer.upload, answer.part_size, frozenset(answer.have))

    def _hold(self, digest: str, receipt: BlobReceipt) -> None:
        """Keep a receipt that fits its own checkpoint; that this one fits the others is `_prove`'s to find out."""
        checkpoint = receipts.opened(receipt.checkpoint, self.trusted)
        receipts.check_blob(receipt.act, digest, self.replica.blob_offer(digest).size)
        receipts.check_inclusion(receipts.act_leaf(receipt.act), receipt.leaf, receipt.proof, checkpoint)
        self.replica.hold(digest, receipt)
        self.report.blobs += 1

    def _send_part(self, action: engine.SendPart) -> None:
        """May run on another thread: touches nothing but the file and the peer."""
        self.peer.put_part(action.upload, action.part.number, self._read_part(action.sha256, action.part))

    def _read_part(self, digest: str, part: Part) -> bytes:
        try:
            with self.files.open(digest) as file:
                file.seek(part.offset)
                content = file.read(part.length)
        except NotFound as problem:
            detail = Label("不在这台平板上", "it is not on this tablet")
            raise BrokenFile(file=digest[:12], detail=detail) from problem
        if len(content) != part.length:
            detail = Label("比记录的短", "it is shorter than recorded")
            raise BrokenFile(file=digest[:12], detail=detail)
        return content

    # ---- around --------------------------------------------------------------------------------------------

    def _tell(self, phase: Phase, done: int) -> None:
        if self._progress is not None:
            traffic = self.peer.traffic
            self._progress(Progress(phase, done, max(done, self._totals.get(phase, 0)), *traffic))

    def _scratch_file(self, bucket: str) -> Path:
        """Kept over failures within a round, so that a download that was cut continues."""
        return self.scratch / f"{sha256(bucket.encode()).hexdigest()[:16]}.snapshot"
