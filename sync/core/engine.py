"""A round of synchronising as a pure step function: (state, event) → (state, actions).

Whoever drives it performs the actions and feeds back what came of them as events (`sync.replicator`, with
threads and a clock; a browser or a test without either). Nothing in here waits, sends or stores.

    greet → register → pull until complete → push until the outbox is empty → pull again → proofs → blobs

That order is nowhere a list of steps: `_wanted` derives the next action from what is still owed, so a round
that is cut, told of a new epoch or asked to hurry simply owes something else. What goes wrong is an event like
any other:

    no answer, overload        wait (back-off with jitter) and try again, `MAX_FAILURES` times
    a new epoch                forget what was pulled, offer everything again
    a fork                     continue as a new replica
    an expired cursor, a sum   read that bucket again, once
    a pull that is refused     read nothing more in this round; what waits still goes up
    a refused batch            halve it until one change is refused alone; that one is a dead letter
    a blob that cannot go      set it aside with its reason, go on with the others
    a contradicting log        stop at once

One serial action is under way at a time; only blob actions run side by side, at most `lanes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sync.core.batches import Batcher, is_dead
from sync.core.errors import (
    CursorExpired,
    DeviceRevoked,
    DigestMismatch,
    Diverged,
    EpochChanged,
    LogInconsistent,
    Malformed,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PartsMissing,
    Problem,
    Refused,
    ReplicaForked,
    TooLarge,
    Unavailable,
    UnsupportedEncoding,
    UntrustedNote,
)
from sync.core.parts import Part, PartPlan

MAX_FAILURES = 5
"""Failures in a row after which a round gives up; the next one begins where it stopped."""
PATIENCE_S = 30.0
"""The longest wait that a server may ask for within a round."""
MAX_REALIGNED = 3
MAX_FORKED = 3
MAX_BURIED = 25
"""Dead letters in one round. More means that the server refuses whatever it is given."""
MAX_BEGUN = 3
"""How often one blob is begun in a round."""
SNAPSHOT_FROM = 1_000
"""A new bucket with at least so many positions is taken as a file instead of page by page."""
FIRST_PAGE_BYTES = 64 * 1024
"""The first page ever is small: it shows which buckets are worth a snapshot."""

RECORDS_ONLY = -1
"""The goal of a round that moves no blobs. Else: the last blob priority to send, 0 being the most urgent."""


# ---- actions -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Greet:
    """Ask the peer who it is. → Greeted"""


@dataclass(frozen=True, slots=True)
class Register:
    """Make the replica known to the peer. → None"""


@dataclass(frozen=True, slots=True)
class Pull:
    """Ask for a page and apply it, in one transaction with its cursors. → PageApplied"""

    limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """Take a bucket as a snapshot and apply it. → None"""

    bucket: str


@dataclass(frozen=True, slots=True)
class Push:
    """Take a batch from the head of the outbox as the batcher says, push it, keep the answer. → Pushed"""

    batcher: Batcher


@dataclass(frozen=True, slots=True)
class Audit:
    """Ask which kept changes the peer lacks and put those back into the outbox. → the number of them"""


@dataclass(frozen=True, slots=True)
class Prove:
    """Fetch and verify receipts of acknowledged changes and blobs that lack one. → Proved"""


@dataclass(frozen=True, slots=True)
class ListBlobs:
    """List the blobs that wait, up to a priority, most urgent first. → tuple[Waiting, …]"""

    goal: int


@dataclass(frozen=True, slots=True)
class Offer:
    """Offer a blob. → Accepted, or True where the peer holds it and its receipt is kept"""

    sha256: str


@dataclass(frozen=True, slots=True)
class SendPart:
    """Send one part. → None"""

    sha256: str
    upload: str
    part: Part


@dataclass(frozen=True, slots=True)
class Complete:
    """Finish an upload and keep its receipt. → None"""

    sha256: str
    upload: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Pause as `sync.core.retry.wait_s` says. → None"""

    failures: int
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Realign:
    """Adopt an epoch: drop what was pulled, put every kept change and blob back on offer. No answer."""

    epoch: str


@dataclass(frozen=True, slots=True)
class Fork:
    """Continue as a new replica: renumber what is not acknowledged. No answer."""


@dataclass(frozen=True, slots=True)
class Refill:
    """Begin a bucket again; what it does not bring again is dropped once it is complete. No answer."""

    bucket: str


@dataclass(frozen=True, slots=True)
class Bury:
    """Put a change on the dead-letter list. No answer."""

    change: str
    problem: Problem = field(compare=False)


@dataclass(frozen=True, slots=True)
class SetAside:
    """Note why a blob could not go in this round. No answer."""

    sha256: str
    problem: Problem = field(compare=False)


BlobAction = Offer | SendPart | Complete
Asking = Greet | Register | Pull | Fill | Push | Audit | Prove | ListBlobs | BlobAction | Wait
Noting = Realign | Fork | Refill | Bury | SetAside
Action = Asking | Noting


# ---- what comes of them ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Greeted:
    """The peer's epoch and what it takes in one push."""

    epoch: str
    push_changes: int
    push_bytes: int


@dataclass(frozen=True, slots=True)
class PageApplied:
    """A page of a pull.

    moved       whether a cursor did
    granted     (bucket, newest position) of buckets that were new to the reader
    mismatched  buckets whose count or checksum differs after the last page
    """

    more: bool
    moved: bool
    granted: tuple[tuple[str, int], ...] = ()
    mismatched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pushed:
    """`sent` changes were acknowledged after `seconds`, `unproven` of them without a receipt; `left` wait."""

    sent: int
    left: int
    seconds: float
    unproven: int = 0


@dataclass(frozen=True, slots=True)
class Proved:
    proven: int
    left: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A blob that the peer does not hold yet."""

    sha256: str
    size: int
    priority: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The peer takes the blob as this upload and has these parts of it."""

    upload: str
    part_size: int
    have: frozenset[int] = frozenset()


Result = Greeted | PageApplied | Pushed | Proved | Accepted | tuple[Waiting, ...] | int | bool | None


# ---- events ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The first event of a round."""


@dataclass(frozen=True, slots=True)
class Answer:
    action: Asking
    result: Result = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An action that came to nothing; of a push also how many changes and bytes went, and the first id."""

    action: Asking
    problem: Problem
    sent: int = 0
    size: int = 0
    first: str = ""


@dataclass(frozen=True, slots=True)
class NewChange:
    """Somebody wrote: the outbox goes before the next part of a blob."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the round as soon as what is under way has come back."""


Event = Started | Answer | Failure | NewChange | Stop


# ---- state -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BlobOnItsWay:
    """A blob in this round; `upload` is empty until its offer was accepted, `begun` counts the offers."""

    sha256: str
    size: int
    upload: str = ""
    part_size: int = 0
    have: frozenset[int] = frozenset()
    begun: int = 0

    def accepted(self, as_: Accepted) -> BlobOnItsWay:
        return replace(self, upload=as_.upload, part_size=as_.part_size, have=as_.have, begun=self.begun + 1)

    def sent(self, upload: str, part: Part) -> BlobOnItsWay:
        return replace(self, have=self.have | {part.number}) if upload == self.upload else self

    def dropped(self) -> BlobOnItsWay:
        return replace(self, upload="", have=frozenset())


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a round ended: complete when there is no problem and nobody stopped it."""

    problem: Problem | None = None
    stopped: bool = False

    @property
    def complete(self) -> bool:
        return self.problem is None and not self.stopped


@dataclass(frozen=True, slots=True)
class Round:
    """What a round still owes, and what it has learnt. Begin with `begin`.

    epoch       the one that the copy belongs to, None before the first contact
    fresh       nothing was ever pulled
    fills       buckets to take as a snapshot before the next page; `filled` those that were
    no_pull     why nothing more is read in this round
    paged       buckets that have no snapshot; `mended` those that were begun again in this round
    outbox      whether it may hold something; `pushed` whether anything went since the last pull
    unproven    acknowledged changes may lack a receipt; `receipts` the same of blobs held in this round
    blobs       what waits, most urgent first; None where the list is not made yet
    outcome     set when the round is over
    """

    epoch: str | None
    goal: int = RECORDS_ONLY
    lanes: int = 2
    fresh: bool = False
    greeted: bool = False
    registered: bool = False
    no_pull: Problem | None = None
    pull_due: bool = True
    fills: tuple[str, ...] = ()
    filled: frozenset[str] = frozenset()
    paged: frozenset[str] = frozenset()
    mended: frozenset[str] = frozenset()
    outbox: bool = True
    pushed: bool = False
    batcher: Batcher = Batcher()
    audit_due: bool = False
    unproven: bool = True
    receipts: bool = False
    blobs: tuple[BlobOnItsWay, ...] | None = None
    under_way: tuple[Asking, ...] = ()
    failures: int = 0
    realigned: int = 0
    forked: int = 0
    buried: int = 0
    ending: Outcome | None = None
    outcome: Outcome | None = None

    @property
    def over(self) -> bool:
        return self.outcome is not None


Step = tuple[Round, list[Action]]


def begin(
    epoch: str | None,
    *,
    goal: int = RECORDS_ONLY,
    lanes: int = 2,
    fresh: bool = False,
    registered: bool = False,
    audit: bool = False,
) -> Round:
    """A round for a copy that belongs to `epoch`. `registered`: the peer of that epoch knows the replica."""
    if lanes < 1:
        raise ValueError("a round needs a lane")
    return Round(epoch, goal, lanes, fresh, registered=registered, audit_due=audit)


def step(state: Round, event: Event) -> Step:
    """The round after an event, and the actions to start now. A round that is over stays as it is."""
    if state.over:
        return state, []
    noted: list[Action] = []
    match event:
        case Answer(action, result) if action in state.under_way:
            state = _returned(state, action)
            if not isinstance(action, Greet | Register | Wait):
                state = replace(state, failures=0)
            state, noted = _answered(state, action, result)
        case Failure(action) if action in state.under_way:
            state, noted = _failed(_returned(state, action), event)
        case NewChange():
            state = replace(state, outbox=True)
        case Stop():
            state = _end(state, Outcome(stopped=True))
    state, started = _proceed(state)
    return state, [*noted, *started]


# ---- what to do next ---------------------------------------------------------------------------------------


def _wanted(state: Round) -> list[Asking]:
    """What the round owes next, in order; empty when it owes nothing."""
    if not state.greeted:
        return [Greet()]
    if not state.registered:
        return [Register()]
    if state.pull_due and state.no_pull is None:
        return [Fill(state.fills[0])] if state.fills else [Pull(FIRST_PAGE_BYTES if state.fresh else None)]
    if state.outbox:
        return [Push(state.batcher)]
    if state.audit_due:
        return [Audit()]
    if state.unproven:
        return [Prove()]
    if state.goal > RECORDS_ONLY and state.blobs is None:
        return [ListBlobs(state.goal)]
    if state.blobs:
        return [action for blob in state.blobs[: state.lanes] for action in _wanted_by(blob, state)]
    return [Prove()] if state.receipts else []


def _wanted_by(blob: BlobOnItsWay, state: Round) -> list[Asking]:
    if not blob.upload:
        return [Offer(blob.sha256)]
    plan = PartPlan(blob.size, blob.part_size)
    going = {a.part.number for a in state.under_way if isinstance(a, SendPart) and a.upload == blob.upload}
    parts = plan.next_parts(blob.have, going, parallel=state.lanes)
    if parts or going:
        return [SendPart(blob.sha256, blob.upload, part) for part in parts]
    return [Complete(blob.sha256, blob.upload)]


def _proceed(state: Round) -> Step:
    """Start what can be started now, or end."""
    if any(isinstance(action, Wait) for action in state.under_way):
        return state, []
    if state.ending is not None:
        return (state if state.under_way else replace(state, outcome=state.ending)), []
    wanted = _wanted(state)
    if not wanted and not state.under_way:
        return replace(state, outcome=Outcome(state.no_pull)), []
    if state.under_way and not all(isinstance(action, BlobAction) for action in wanted):
        return state, []
    fresh = [action for action in wanted if action not in state.under_way]
    started = fresh[: state.lanes - len(state.under_way)]
    return replace(state, under_way=(*state.under_way, *started)), list(started)


# ---- answers -----------------------------------------------------------------------------------------------


def _answered(state: Round, action: Asking, result: Result) -> Step:
    match action, result:
        case Greet(), Greeted():
            return _greeted(state, result)
        case Register(), _:
            return replace(state, registered=True), []
        case Pull(), PageApplied():
            return _page_applied(state, result)
        case Fill(bucket), _:
            left = tuple(b for b in state.fills if b != bucket)
            return replace(state, fills=left, filled=state.filled | {bucket}), []
        case Push(), Pushed():
            return _pushed(state, result), []
        case Audit(), int():
            return replace(state, audit_due=False, outbox=result > 0), []
        case Prove(), Proved():
            again = result.left > 0 and result.proven > 0
            return replace(state, unproven=again, receipts=again and not state.unproven), []
        case ListBlobs(), tuple():
            return replace(state, blobs=tuple(BlobOnItsWay(w.sha256, w.size) for w in result)), []
        case Offer(sha256), True:
            return _without(replace(state, receipts=True), sha256), []
        case Offer(sha256), Accepted():
            return _change(state, sha256, lambda b: b.accepted(result)), []
        case SendPart(sha256, upload, part), _:
            return _change(state, sha256, lambda b: b.sent(upload, part)), []
        case Complete(sha256, _), _:
            return _without(replace(state, receipts=True), sha256), []
    return state, []


def _greeted(state: Round, greeted: Greeted) -> Step:
    batcher = replace(state.batcher, max_count=greeted.push_changes, max_bytes=greeted.push_bytes)
    state = replace(state, greeted=True, batcher=batcher)
    return (state, []) if greeted.epoch == state.epoch else _realigned(state, greeted.epoch)


def _page_applied(state: Round, page: PageApplied) -> Step:
    state = replace(state, fresh=False)
    if page.more and not page.moved:
        return replace(state, no_pull=Diverged()), []
    known = state.paged | state.filled | set(state.fills)
    large = tuple(b for b, head in page.granted if head >= SNAPSHOT_FROM and b not in known)
    state = replace(state, fills=state.fills + large, pull_due=page.more or bool(large))
    noted: list[Action] = []
    for bucket in page.mismatched:
        state, more = _mend(state, bucket, Diverged(bucket=bucket))
        noted += more
    return state, noted


def _pushed(state: Round, pushed: Pushed) -> Round:
    if pushed.sent == 0:
        return replace(state, outbox=False, pull_due=state.pushed, pushed=False)
    done = pushed.left == 0
    return replace(
        state,
        batcher=state.batcher.answered(pushed.sent, pushed.seconds),
        outbox=not done,
        pull_due=done,
        pushed=not done,
        unproven=state.unproven or pushed.unproven > 0,
    )


# ---- failures ----------------------------------------------------------------------------------------------


def _failed(state: Round, failure: Failure) -> Step:
    action, problem = failure.action, failure.problem
    match problem:
        case LogInconsistent() | UntrustedNote():
            return _end(state, Outcome(problem)), []
        case EpochChanged():
            return _realigned(state, problem.facts.get("epoch"), problem)
        case ReplicaForked():
            return _forked(state, problem)
        case Unavailable():
            if isinstance(action, Push):
                state = replace(state, batcher=state.batcher.timed_out())
            return _backed_off(state, problem)
    match action, problem:
        case _, NotAuthenticated():
            return _end(state, Outcome(problem)), []
        case Push(), _:
            return _push_refused(state, failure)
        case Pull(), CursorExpired():
            return _mend(state, str(problem.facts.get("bucket")), problem)
        case Pull(), _:
            return replace(state, no_pull=problem), []
        case Fill(bucket), Refused() | Malformed():
            left = tuple(b for b in state.fills if b != bucket)
            return replace(state, fills=left, paged=state.paged | {bucket}), [Refill(bucket)]
        case ((Audit() | Prove()), DeviceRevoked()):
            return replace(state, audit_due=False, unproven=False, receipts=False), []
        case Offer(sha256) | SendPart(sha256) | Complete(sha256), _:
            return _blob_failed(state, sha256, action, problem)
    return _end(state, Outcome(problem)), []


def _push_refused(state: Round, failure: Failure) -> Step:
    """A batch that was not taken. Only a refusal of its content bisects it and can bury a change."""
    problem = failure.problem
    match problem:
        case DigestMismatch():
            return _backed_off(state, problem)
        case NotFound() | NotAllowed():  # the peer does not know the replica, or not as ours
            return _backed_off(replace(state, registered=False), problem)
        case UnsupportedEncoding():
            return _end(state, Outcome(problem)), []
        case TooLarge():
            batcher = state.batcher.too_large(failure.sent, failure.size)
        case Malformed():
            batcher = state.batcher.refused(failure.sent)
        case _:
            return _end(state, Outcome(problem)), []
    state = replace(state, batcher=batcher)
    if not is_dead(failure.sent):
        return state, []
    if state.buried == MAX_BURIED:
        return _end(state, Outcome(problem)), []
    return replace(state, buried=state.buried + 1), [Bury(failure.first, problem)]


def _blob_failed(state: Round, sha256: str, action: Asking, problem: Problem) -> Step:
    upload = "" if isinstance(action, Offer) else action.upload  # type: ignore[union-attr]
    blob = next((b for b in state.blobs or () if b.sha256 == sha256), None)
    if blob is None or blob.upload != upload:
        return state, []  # of an upload that was given up while this was under way
    if isinstance(problem, DeviceRevoked):
        return _end(state, Outcome(problem)), []
    over = isinstance(problem, NotFound | PartsMissing | DigestMismatch)
    if over and upload and blob.begun < MAX_BEGUN:
        return _change(state, sha256, BlobOnItsWay.dropped), []
    return _without(state, sha256), [SetAside(sha256, problem)]


def _backed_off(state: Round, problem: Problem) -> Step:
    failures = state.failures + 1
    wish = problem.retry_after if isinstance(problem, Unavailable) else None
    state = replace(state, failures=failures)
    if failures > MAX_FAILURES or (wish or 0) > PATIENCE_S:
        return _end(state, Outcome(problem)), []
    if any(isinstance(action, Wait) for action in state.under_way):
        return state, []
    wait = Wait(failures, wish)
    return replace(state, under_way=(*state.under_way, wait)), [wait]


def _realigned(state: Round, epoch: object, problem: Problem | None = None) -> Step:
    """The other side is another incarnation. What is under way belongs to the old one: it is ignored."""
    if not isinstance(epoch, str) or not epoch or state.realigned == MAX_REALIGNED:
        return _end(state, Outcome(problem or EpochChanged())), []
    return replace(
        state,
        epoch=epoch,
        realigned=state.realigned + 1,
        registered=False,
        fresh=True,
        pull_due=True,
        fills=(),
        filled=frozenset(),
        mended=frozenset(),
        outbox=True,
        unproven=True,
        blobs=None,
    ), [Realign(epoch)]


def _forked(state: Round, problem: Problem) -> Step:
    if state.forked == MAX_FORKED:
        return _end(state, Outcome(problem)), []
    return replace(state, forked=state.forked + 1, registered=False, outbox=True), [Fork()]


def _mend(state: Round, bucket: str, problem: Problem) -> Step:
    """Read a bucket again, once in a round: by snapshot, or page by page where it has none."""
    if bucket in state.mended:
        return replace(state, no_pull=problem), []
    state = replace(state, mended=state.mended | {bucket}, pull_due=True)
    if bucket in state.paged:
        return state, [Refill(bucket)]
    return replace(state, fills=(*state.fills, bucket)), []


def _end(state: Round, outcome: Outcome) -> Round:
    """The first reason to end stays."""
    return state if state.ending is not None else replace(state, ending=outcome)


# ---- parts of the state ------------------------------------------------------------------------------------


def _returned(state: Round, action: Asking) -> Round:
    return replace(state, under_way=tuple(a for a in state.under_way if a != action))


def _change(state: Round, sha256: str, change: Callable[[BlobOnItsWay], BlobOnItsWay]) -> Round:
    if state.blobs is None:
        return state  # the list was given up while this was under way
    return replace(state, blobs=tuple(change(b) if b.sha256 == sha256 else b for b in state.blobs))


def _without(state: Round, sha256: str) -> Round:
    if state.blobs is None:
        return state
    return replace(state, blobs=tuple(b for b in state.blobs if b.sha256 != sha256))
