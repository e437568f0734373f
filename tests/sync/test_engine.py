"""A round without any I/O: what it asks for, in which order, and that no sequence of faults stops it for good."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.core import engine
from sync.core.batches import Batcher
from sync.core.engine import (
    FIRST_PAGE_BYTES,
    MAX_BEGUN,
    MAX_BURIED,
    MAX_FAILURES,
    SNAPSHOT_FROM,
    Accepted,
    Answer,
    Audit,
    Bury,
    Complete,
    Failure,
    Fill,
    Fork,
    Greet,
    Greeted,
    ListBlobs,
    NewChange,
    Offer,
    PageApplied,
    Prove,
    Proved,
    Pull,
    Push,
    Pushed,
    Realign,
    Refill,
    Register,
    SendPart,
    SetAside,
    Started,
    Stop,
    Wait,
    Waiting,
)
from sync.core.errors import (
    BrokenFile,
    CursorExpired,
    DeviceRevoked,
    DigestMismatch,
    EpochChanged,
    LogInconsistent,
    Malformed,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    Overloaded,
    PartConflict,
    Problem,
    ReplicaForked,
    TooLarge,
    Unavailable,
    UntrustedNote,
)

GREETED = Greeted("e-1", push_changes=1000, push_bytes=1 << 20)
EVERYTHING = 3


class Script:
    """A round in a test: `asks` checks the next action, `answers` and `fails` tell what came of it."""

    def __init__(self, **begun: object) -> None:
        self.state = engine.begin("e-1", **{"registered": True, **begun})  # type: ignore[arg-type]
        self.noted: list[engine.Action] = []
        self.todo: deque[engine.Action] = deque()
        self.feed(Started())

    def feed(self, event: engine.Event) -> None:
        self.state, actions = engine.step(self.state, event)
        for action in actions:
            (self.noted if isinstance(action, engine.Noting) else self.todo).append(action)

    def next(self, kind: type) -> engine.Asking:
        assert self.todo, f"nothing is under way, expected {kind.__name__}; outcome {self.state.outcome}"
        action = self.todo.popleft()
        assert isinstance(action, kind), action
        return action  # type: ignore[return-value]

    def answer(self, kind: type, result: engine.Result = None) -> engine.Asking:
        action = self.next(kind)
        self.feed(Answer(action, result))
        return action

    def fail(self, kind: type, problem: Problem, **more: object) -> engine.Asking:
        action = self.next(kind)
        self.feed(Failure(action, problem, **more))  # type: ignore[arg-type]
        return action

    def to_push(self) -> Script:
        self.answer(Greet, GREETED)
        self.answer(Pull, PageApplied(more=False, moved=False))
        return self

    def to_blobs(self, *waiting: Waiting) -> Script:
        self.to_push()
        self.answer(Push, Pushed(0, 0, 0.0))
        self.answer(Prove, Proved(0, 0))
        self.answer(ListBlobs, waiting)
        return self

    @property
    def problem(self) -> Problem | None:
        assert self.state.outcome is not None, "the round is not over"
        return self.state.outcome.problem


# ---- the usual round ---------------------------------------------------------------------------------------


def test_a_round_goes_from_greeting_over_pull_and_push_to_blobs() -> None:
    script = Script(goal=EVERYTHING, registered=False)
    script.answer(Greet, GREETED)
    script.answer(Register)
    script.answer(Pull, PageApplied(more=True, moved=True))
    script.answer(Pull, PageApplied(more=False, moved=True))
    script.answer(Push, Pushed(sent=500, left=3, seconds=1.0))
    script.answer(Push, Pushed(sent=3, left=0, seconds=1.0))
    script.answer(Pull, PageApplied(more=False, moved=True))
    script.answer(Prove, Proved(3, 0))
    script.answer(ListBlobs, (Waiting("a", 10, 0),))
    script.answer(Offer, Accepted("u-1", 10))
    script.answer(SendPart)
    script.answer(Complete)
    script.answer(Prove, Proved(1, 0))
    assert script.state.outcome is not None and script.state.outcome.complete


def test_nothing_is_pulled_again_when_nothing_was_pushed() -> None:
    script = Script().to_push()
    script.answer(Push, Pushed(0, 0, 0.0))
    script.answer(Prove, Proved(0, 0))
    assert script.problem is None and not script.todo


def test_the_first_page_ever_is_a_small_one() -> None:
    script = Script(fresh=True)
    script.answer(Greet, GREETED)
    assert script.answer(Pull, PageApplied(more=True, moved=True)) == Pull(FIRST_PAGE_BYTES)
    assert script.next(Pull) == Pull(None)


def test_a_large_new_bucket_is_taken_as_a_snapshot_before_the_next_page() -> None:
    script = Script(fresh=True)
    script.answer(Greet, GREETED)
    granted = (("area:43", SNAPSHOT_FROM), ("ref:library", SNAPSHOT_FROM - 1))
    script.answer(Pull, PageApplied(more=True, moved=True, granted=granted))
    assert script.answer(Fill) == Fill("area:43")
    script.answer(Pull, PageApplied(more=False, moved=True))
    script.next(Push)


def test_a_bucket_without_snapshot_is_read_page_by_page() -> None:
    script = Script(fresh=True)
    script.answer(Greet, GREETED)
    script.answer(Pull, PageApplied(more=True, moved=True, granted=(("area:43", 5000),)))
    script.fail(Fill, NotFound(what="area:43"))
    assert script.noted == [Refill("area:43")]
    script.answer(Pull, PageApplied(more=False, moved=True, granted=(("area:43", 5000),)))
    script.next(Push)


def test_an_audit_that_finds_changes_lacking_pushes_them() -> None:
    script = Script(audit=True).to_push()
    script.answer(Push, Pushed(0, 0, 0.0))
    script.answer(Audit, 2)
    script.answer(Push, Pushed(2, 0, 0.1))
    script.answer(Pull, PageApplied(more=False, moved=True))
    script.answer(Prove, Proved(0, 0))
    assert script.problem is None


# ---- the network -------------------------------------------------------------------------------------------


def test_a_lost_answer_is_asked_for_again_after_a_pause() -> None:
    script = Script()
    script.fail(Greet, Unavailable(detail="cut"))
    assert script.answer(Wait) == Wait(1)
    script.answer(Greet, GREETED)
    script.next(Pull)


def test_a_round_gives_up_after_so_many_failures_in_a_row() -> None:
    script = Script()
    for _ in range(MAX_FAILURES):
        script.fail(Greet, Unavailable(detail="cut"))
        script.answer(Wait)
    problem = Unavailable(detail="cut")
    script.fail(Greet, problem)
    assert script.problem is problem


def test_success_forgives_earlier_failures() -> None:
    script = Script()
    script.answer(Greet, GREETED)
    for _ in range(3 * MAX_FAILURES):
        script.fail(Pull, Unavailable(detail="cut"))
        script.answer(Wait)
        script.answer(Pull, PageApplied(more=True, moved=True))
    assert script.state.outcome is None


def test_a_short_wish_of_the_server_is_waited_for_and_a_long_one_ends_the_round() -> None:
    script = Script()
    script.fail(Greet, Overloaded(retry_after=5))
    assert script.answer(Wait) == Wait(1, 5.0)
    busy = Overloaded(retry_after=120)
    script.fail(Greet, busy)
    assert script.problem is busy


def test_a_push_that_timed_out_goes_again_with_half_the_changes() -> None:
    script = Script().to_push()
    first = script.fail(Push, Unavailable(timeout=True), sent=500, size=1000, first="c0")
    script.answer(Wait)
    second = script.next(Push)
    assert isinstance(first, Push) and isinstance(second, Push)
    assert second.batcher.count == first.batcher.count // 2


def test_an_answer_that_nobody_waits_for_changes_nothing() -> None:
    script = Script()
    before = script.state
    script.feed(Answer(Register()))
    script.feed(Failure(Pull(), Unavailable(detail="late")))
    assert script.state == before and script.next(Greet)


# ---- histories that part -----------------------------------------------------------------------------------


def test_a_new_epoch_offers_everything_again_and_starts_over() -> None:
    script = Script(goal=EVERYTHING)
    script.answer(Greet, replace(GREETED, epoch="e-2"))
    assert script.noted == [Realign("e-2")]
    script.answer(Register)
    assert script.next(Pull) == Pull(FIRST_PAGE_BYTES)


@pytest.mark.parametrize("kind", [Pull, Push])
def test_a_new_epoch_in_the_middle_of_a_round_starts_over(kind: type) -> None:
    script = Script()
    script.answer(Greet, GREETED)
    if kind is Push:
        script.answer(Pull, PageApplied(more=False, moved=False))
    script.fail(kind, EpochChanged(epoch="e-2"))
    assert script.noted == [Realign("e-2")]
    script.answer(Register)
    script.next(Pull)


def test_a_server_that_changes_its_epoch_all_the_time_ends_the_round() -> None:
    script = Script()
    script.answer(Greet, GREETED)
    for number in range(2, 10):
        if script.state.over:
            break
        script.fail(Pull, EpochChanged(epoch=f"e-{number}"))
        if script.todo:
            script.answer(Register)
    assert isinstance(script.problem, EpochChanged)


def test_a_new_epoch_while_files_are_sent_pushes_again_before_it_lists_them_again() -> None:
    script = Script(goal=EVERYTHING).to_blobs(Waiting("a", 10, 0))
    script.fail(Offer, EpochChanged(epoch="e-2"))
    script.answer(Register)
    script.answer(Pull, PageApplied(more=False, moved=True))
    script.answer(Push, Pushed(3, 0, 0.1))
    script.answer(Pull, PageApplied(more=False, moved=True))
    script.answer(Prove, Proved(0, 0))
    script.next(ListBlobs)


@pytest.mark.parametrize("problem", [EpochChanged(), EpochChanged(epoch=7), EpochChanged(epoch="")])
def test_a_new_epoch_without_a_name_ends_the_round(problem: EpochChanged) -> None:
    script = Script()
    script.answer(Greet, GREETED)
    script.fail(Pull, problem)
    assert script.problem is problem and not script.noted


def test_a_fork_continues_as_a_new_replica() -> None:
    script = Script().to_push()
    script.fail(Push, ReplicaForked(n=7), sent=9, size=90, first="c0")
    assert script.noted == [Fork()]
    script.answer(Register)
    script.answer(Push, Pushed(9, 0, 0.1))


def test_a_replica_of_another_device_continues_as_a_new_one() -> None:
    script = Script(registered=False)
    script.answer(Greet, GREETED)
    script.fail(Register, ReplicaForked(replica="r"))
    assert script.noted == [Fork()]
    script.answer(Register)
    script.next(Pull)


def test_a_server_that_does_not_know_the_replica_is_told_again() -> None:
    script = Script().to_push()
    script.fail(Push, NotAllowed(detail="replica r"), sent=1, size=9, first="c0")
    script.answer(Wait)
    script.answer(Register)
    script.answer(Push, Pushed(1, 0, 0.1))


def test_an_expired_cursor_reads_that_bucket_again_and_only_once() -> None:
    script = Script()
    script.answer(Greet, GREETED)
    script.fail(Pull, CursorExpired(bucket="area:43"))
    assert script.answer(Fill) == Fill("area:43")
    script.fail(Pull, CursorExpired(bucket="area:43"))
    script.answer(Push, Pushed(0, 0, 0.0))
    script.answer(Prove, Proved(0, 0))
    assert isinstance(script.problem, CursorExpired)


def test_a_checksum_that_differs_reads_the_bucket_again() -> None:
    script = Script()
    script.answer(Greet, GREETED)
    script.answer(Pull, PageApplied(more=False, moved=True, mismatched=("area:43",)))
    script.answer(Fill)
    script.answer(Pull, PageApplied(more=False, moved=True))
    script.next(Push)


def test_a_checksum_that_keeps_differing_does_not_keep_changes_from_going_up() -> None:
    script = Script()
    script.answer(Greet, GREETED)
    for _ in range(2):
        script.answer(Pull, PageApplied(more=False, moved=True, mismatched=("area:43",)))
        if isinstance(script.todo[0], Fill):
            script.answer(Fill)
    script.answer(Push, Pushed(4, 0, 0.1))
    script.answer(Prove, Proved(0, 0))
    assert script.problem is not None and script.problem.code == "diverged"


def test_pages_that_do_not_move_are_not_asked_for_for_ever() -> None:
    script = Script()
    script.answer(Greet, GREETED)
    script.answer(Pull, PageApplied(more=True, moved=False))
    script.next(Push)


@pytest.mark.parametrize("problem", [LogInconsistent(), UntrustedNote(detail="x")])
@pytest.mark.parametrize("kind", [Pull, Push])
def test_a_log_that_contradicts_itself_stops_the_round_at_once(kind: type, problem: Problem) -> None:
    script = Script()
    script.answer(Greet, GREETED)
    if kind is Push:
        script.answer(Pull, PageApplied(more=False, moved=False))
    script.fail(kind, problem)
    assert script.problem is problem and not script.todo and not script.noted


def test_a_revoked_tablet_reads_nothing_and_still_hands_in_its_work() -> None:
    script = Script(goal=EVERYTHING)
    script.answer(Greet, GREETED)
    revoked = DeviceRevoked()
    script.fail(Pull, revoked)
    script.answer(Push, Pushed(2, 0, 0.1))
    script.answer(Prove, Proved(2, 0))
    script.answer(ListBlobs, (Waiting("a", 10, 0),))
    script.answer(Offer, True)
    script.answer(Prove, Proved(1, 0))
    assert script.problem is revoked


def test_credentials_that_are_not_accepted_end_the_round_and_cost_nothing() -> None:
    script = Script().to_push()
    problem = NotAuthenticated()
    script.fail(Push, problem, sent=1, size=9, first="c0")
    assert script.problem is problem and not script.noted


# ---- batches that are refused ------------------------------------------------------------------------------


def refuse(script: Script, outbox: list[str], bad: Callable[[str], bool], problem: Problem) -> None:
    """Answer pushes from an outbox until it is empty: a batch with a bad change in it is refused as a whole."""
    while outbox:
        action = script.next(Push)
        assert isinstance(action, Push)
        batch = outbox[: action.batcher.take([10] * len(outbox))]
        if any(map(bad, batch)):
            script.feed(Failure(action, problem, len(batch), 10 * len(batch), batch[0]))
            for bury in [one for one in script.noted if isinstance(one, Bury) and one.change in outbox]:
                outbox.remove(bury.change)
        else:
            del outbox[: len(batch)]
            script.feed(Answer(action, Pushed(len(batch), len(outbox), 0.1)))


@pytest.mark.parametrize("problem", [Malformed(detail="x"), TooLarge(limit=9)])
def test_one_unreadable_change_is_found_by_halving_and_buried_alone(problem: Problem) -> None:
    script = Script().to_push()
    refuse(script, [f"c{n}" for n in range(40)], lambda id: id == "c23", problem)
    assert [one.change for one in script.noted if isinstance(one, Bury)] == ["c23"]
    assert script.state.outcome is None


def test_a_server_that_refuses_everything_does_not_empty_the_outbox_into_the_dead_letters() -> None:
    script = Script().to_push()
    outbox = [f"c{n}" for n in range(100)]
    while not script.state.over:
        action = script.next(Push)
        assert isinstance(action, Push)
        sent = action.batcher.take([10] * len(outbox))
        script.feed(Failure(action, Malformed(detail="bug"), sent, 10 * sent, outbox[0]))
        if sent == 1 and len(script.noted) + len(outbox) > 100:
            outbox.pop(0)
    assert len(script.noted) == MAX_BURIED and isinstance(script.problem, Malformed)


def test_damage_on_the_way_buries_nothing() -> None:
    script = Script().to_push()
    script.fail(Push, DigestMismatch(what="body"), sent=1, size=10, first="c0")
    assert not script.noted
    script.answer(Wait)
    script.next(Push)


# ---- blobs -------------------------------------------------------------------------------------------------


def test_two_parts_go_at_once_and_the_whole_is_completed_after_the_last() -> None:
    script = Script(goal=EVERYTHING).to_blobs(Waiting("a", 25, 0))
    script.answer(Offer, Accepted("u-1", 10))
    assert [action.part.number for action in script.todo if isinstance(action, SendPart)] == [1, 2]
    script.answer(SendPart)
    script.answer(SendPart)
    assert [action.part.number for action in script.todo if isinstance(action, SendPart)] == [3]
    script.answer(SendPart)
    script.answer(Complete)


def test_parts_that_the_peer_has_are_not_sent_again() -> None:
    script = Script(goal=EVERYTHING).to_blobs(Waiting("a", 25, 0))
    script.answer(Offer, Accepted("u-1", 10, frozenset({1, 3})))
    (part,) = script.todo
    assert isinstance(part, SendPart) and part.part.number == 2


def test_the_most_urgent_blob_goes_first() -> None:
    script = Script(goal=EVERYTHING, lanes=1).to_blobs(Waiting("thumbnail", 5, 0), Waiting("video", 99, 3))
    assert script.answer(Offer, True) == Offer("thumbnail")
    assert script.next(Offer) == Offer("video")


def test_a_new_change_goes_before_the_next_part() -> None:
    script = Script(goal=EVERYTHING).to_blobs(Waiting("a", 100, 0))
    script.answer(Offer, Accepted("u-1", 10))
    script.feed(NewChange())
    script.answer(SendPart)
    script.answer(SendPart)
    script.answer(Push, Pushed(1, 0, 0.1))
    script.answer(Pull, PageApplied(more=False, moved=True))
    assert [a.part.number for a in script.todo if isinstance(a, SendPart)] == [3, 4]


@pytest.mark.parametrize("problem", [NotFound(what="u-1"), DigestMismatch(what="part")])
def test_an_upload_that_is_over_is_begun_again_a_few_times(problem: Problem) -> None:
    script = Script(goal=EVERYTHING).to_blobs(Waiting("a", 10, 0))
    for number in range(MAX_BEGUN):
        script.answer(Offer, Accepted(f"u-{number}", 10))
        script.fail(SendPart, problem)
    assert script.noted == [SetAside("a", problem)]


@pytest.mark.parametrize("problem", [PartConflict(part=1), BrokenFile(file="a", detail="cut")])
def test_a_blob_that_cannot_go_is_set_aside_and_the_others_go(problem: Problem) -> None:
    script = Script(goal=EVERYTHING, lanes=1).to_blobs(Waiting("a", 10, 0), Waiting("b", 10, 0))
    script.answer(Offer, Accepted("u-1", 10))
    script.fail(SendPart, problem)
    assert script.noted == [SetAside("a", problem)]
    script.answer(Offer, True)
    script.answer(Prove, Proved(1, 0))
    assert script.problem is None


def test_a_late_answer_of_an_upload_that_was_given_up_counts_for_nothing() -> None:
    script = Script(goal=EVERYTHING).to_blobs(Waiting("a", 20, 0))
    script.answer(Offer, Accepted("u-1", 10))
    first, second = script.next(SendPart), script.next(SendPart)
    script.feed(Failure(first, NotFound(what="u-1")))
    script.answer(Offer, Accepted("u-2", 10))
    script.feed(Answer(second))
    assert sorted(a.part.number for a in script.todo if isinstance(a, SendPart)) == [1, 2]


def test_stopping_waits_for_what_is_under_way() -> None:
    script = Script(goal=EVERYTHING).to_blobs(Waiting("a", 100, 0))
    script.answer(Offer, Accepted("u-1", 10))
    script.feed(Stop())
    assert script.state.outcome is None
    script.answer(SendPart)
    script.answer(SendPart)
    assert script.state.outcome is not None and script.state.outcome.stopped and not script.todo


# ---- any sequence of faults --------------------------------------------------------------------------------

FAULTS = ("", "", "", "before", "after", "busy", "epoch", "fork", "expired", "mismatch", "revoked", "unknown-upload")


@dataclass
class World:
    """A peer and a replica as numbers and sets; each request may be hit by a fault, and between them somebody may
    write or stop the round."""

    faults: deque[str]
    meanwhile: deque[str]
    outbox: list[int]
    poison: frozenset[int]
    pages: int
    blobs: dict[str, int]
    broken: frozenset[str]
    written: int
    epoch: int = 1
    replica_epoch: int = 1
    acknowledged: set[int] = field(default_factory=set)
    taken: set[int] = field(default_factory=set)
    dead: set[int] = field(default_factory=set)
    uploads: dict[str, tuple[str, set[int]]] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    aside: set[str] = field(default_factory=set)
    read: int = 0
    begun: int = 0

    def run(self, pick: Callable[[int], int]) -> engine.Outcome:
        state = engine.begin(f"e-{self.replica_epoch}", goal=EVERYTHING, lanes=2)
        todo: list[engine.Action] = []
        event: engine.Event = Started()
        for _ in range(3_000):
            state, actions = engine.step(state, event)
            for action in actions:
                if isinstance(action, engine.Noting):
                    self.note(action)
                else:
                    todo.append(action)
            if state.outcome is not None:
                assert not todo, "a round is over while something is under way"
                return state.outcome
            what = self.meanwhile.popleft() if self.meanwhile else ""
            if what == "write":
                self.outbox.append(self.written)
                self.written += 1
            event = {"write": NewChange(), "stop": Stop()}.get(what) or self.perform(todo.pop(pick(len(todo))))  # type: ignore[arg-type]
        raise AssertionError("the round does not end")

    def note(self, action: engine.Noting) -> None:
        match action:
            case Realign(epoch):
                self.replica_epoch = int(epoch.removeprefix("e-"))
                self.outbox = sorted({*self.outbox, *self.acknowledged})
                self.acknowledged, self.read = set(), 0
            case Bury(change):
                assert int(change) in self.poison, "a good change was buried"
                self.outbox.remove(int(change))
                self.dead.add(int(change))
            case SetAside(sha256):
                self.aside.add(sha256)
            case Refill():
                self.read = 0

    def perform(self, action: engine.Asking) -> engine.Event:
        fault = self.faults.popleft() if self.faults and not isinstance(action, Wait) else ""
        batch = self.outbox[: action.batcher.take([10] * len(self.outbox))] if isinstance(action, Push) else []
        try:
            if problem := self.hit(fault, action):
                raise problem
            result = self.do(action, batch)
            if fault == "after":
                raise Unavailable(detail="the answer was lost")
            if isinstance(action, Push):
                self.acknowledged.update(batch)
                self.outbox = self.outbox[len(batch) :]
            return Answer(action, result)
        except Problem as problem:
            return Failure(action, problem, len(batch), 10 * len(batch), str(batch[0]) if batch else "")

    def hit(self, fault: str, action: engine.Asking) -> Problem | None:
        if fault == "before":
            return Unavailable(detail="cut")
        if fault == "busy":
            return Overloaded(retry_after=1)
        if fault == "epoch":
            self.epoch += 1
            self.taken, self.uploads, self.held = set(), {}, set()
        if not isinstance(action, Greet | Wait | ListBlobs) and self.epoch != self.replica_epoch:
            return EpochChanged(epoch=f"e-{self.epoch}")
        if fault == "fork" and isinstance(action, Push | Register):
            return ReplicaForked()
        if fault == "expired" and isinstance(action, Pull):
            return CursorExpired(bucket="b")
        if fault == "revoked" and isinstance(action, Pull):
            return DeviceRevoked()
        if fault == "unknown-upload" and isinstance(action, SendPart | Complete):
            return NotFound(what="upload")
        return None

    def do(self, action: engine.Asking, batch: list[int]) -> engine.Result:
        match action:
            case Greet():
                return Greeted(f"e-{self.epoch}", 8, 1000)
            case Pull():
                self.read = min(self.read + 1, self.pages)
                mismatched = ("b",) if self.faults and self.faults[0] == "mismatch" else ()
                more = self.read < self.pages
                return PageApplied(more, True, (("b", SNAPSHOT_FROM),), () if more else mismatched)
            case Fill():
                self.read = max(0, self.pages - 1)
            case Push():
                if self.poison & set(batch):
                    raise Malformed(detail="poison")
                self.taken.update(batch)
                return Pushed(len(batch), len(self.outbox) - len(batch), 0.1)
            case Prove():
                return Proved(0, 0)
            case ListBlobs():
                missing = [sha256 for sha256 in self.blobs if sha256 not in self.held]
                return tuple(Waiting(sha256, self.blobs[sha256], 0) for sha256 in missing)
            case Offer(sha256):
                if sha256 in self.held:
                    return True
                self.begun += 1
                upload, have = self.uploads.setdefault(sha256, (f"u-{self.begun}", set()))
                return Accepted(upload, 10, frozenset(have))
            case SendPart(sha256, upload, part):
                if sha256 in self.broken:
                    raise BrokenFile(file=sha256, detail="cut")
                if self.uploads.get(sha256, ("", set()))[0] != upload:
                    raise NotFound(what=upload)
                self.uploads[sha256][1].add(part.number)
            case Complete(sha256, upload):
                if self.uploads.get(sha256, ("", set()))[0] != upload and sha256 not in self.held:
                    raise NotFound(what=upload)
                assert self.uploads[sha256][1] == set(range(1, -(-self.blobs[sha256] // 10) + 1))
                self.held.add(sha256)
        return None


@settings(max_examples=400, deadline=None)
@given(
    faults=st.lists(st.sampled_from(FAULTS), max_size=60),
    changes=st.integers(0, 30),
    poison=st.frozensets(st.integers(0, 29), max_size=3),
    pages=st.integers(1, 4),
    blobs=st.dictionaries(st.sampled_from("abcde"), st.integers(1, 45), max_size=4),
    broken=st.frozensets(st.sampled_from("abcde"), max_size=1),
    meanwhile=st.lists(st.sampled_from(["", "", "", "write", "stop"]), max_size=20),
    data=st.data(),
)
def test_whatever_goes_wrong_a_round_ends_and_loses_nothing_and_the_next_one_finishes(
    faults: list[str],
    changes: int,
    poison: frozenset[int],
    pages: int,
    blobs: dict[str, int],
    broken: frozenset[str],
    meanwhile: list[str],
    data: st.DataObject,
) -> None:
    world = World(deque(faults), deque(meanwhile), list(range(changes)), poison, pages, blobs, broken, changes)

    def pick(count: int) -> int:
        return data.draw(st.integers(0, count - 1)) if count > 1 else 0

    outcome = world.run(pick)
    if outcome.complete:
        assert not world.outbox and world.held | world.aside >= set(blobs)
    assert {*world.outbox, *world.acknowledged, *world.dead} == set(range(world.written))
    assert world.acknowledged <= world.taken or world.epoch != world.replica_epoch

    world.faults.clear()
    world.meanwhile.clear()
    everything = set(range(world.written))
    outcome = world.run(pick)
    assert outcome.complete
    assert not world.outbox and world.dead == poison & everything
    assert world.acknowledged == world.taken == everything - world.dead
    assert world.held == set(blobs) - broken and world.aside >= broken & set(blobs)


def test_a_round_that_is_over_stays_over() -> None:
    script = Script()
    script.feed(Stop())
    script.answer(Greet, GREETED)
    assert script.state.over
    assert engine.step(script.state, NewChange()) == (script.state, [])


def test_a_round_needs_a_lane() -> None:
    with pytest.raises(ValueError):
        engine.begin("e-1", lanes=0)


def test_the_limits_of_the_peer_bound_the_batches() -> None:
    script = Script().to_push()
    push = script.next(Push)
    assert isinstance(push, Push)
    assert (push.batcher.max_count, push.batcher.max_bytes) == (1000, 1 << 20)
    assert push.batcher.count <= Batcher().count
