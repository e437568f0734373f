"""What a witness cosigns and what it refuses, whatever it is shown and whenever it is stopped."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.core.errors import DiskFull, Malformed, NotFound, NotReady, Refused
from sync.core.note import SignatureType, Verifier, open_note, read_vkey, vkey
from sync.core.witnessing import Answer, read_submission, write_submission
from tests.support.witnesses import Log
from witness import book as books
from witness.book import Book

NOW = 1_795_345_423


@pytest.fixture
def book(tmp_path: Path) -> Book:
    made = Book.create(tmp_path / "w", "jw.example/witness", lambda: NOW)
    made.add_log(Log().key)
    return made


@pytest.fixture
def log() -> Log:
    made = Log()
    made.grow(20)
    return made


def test_a_log_that_grows_is_cosigned_with_the_time(book: Book, log: Log) -> None:
    for old, size in ((0, 3), (3, 3), (3, 16), (16, 20)):
        reply = book.add_checkpoint(log.submission(old, size))
        assert reply.answer is Answer.COSIGNED
        opened = open_note(log.note(size) + reply.line, [log.key, book.verifier])
        (mine,) = (one for one in opened.signatures if one.type is SignatureType.COSIGNATURE)
        assert (mine.name, mine.time, opened.checkpoint.size) == ("jw.example/witness", NOW, size)
    (watched,) = book.watched()
    assert watched.newest == log.checkpoint(20) and watched.doubts == 0


def test_an_old_size_that_is_not_the_known_one_is_answered_with_the_known_one(book: Book, log: Log) -> None:
    book.add_checkpoint(log.submission(0, 5))
    for old, size in ((0, 20), (4, 20), (6, 20), (0, 5)):
        reply = book.add_checkpoint(log.submission(old, size))
        assert (reply.answer, reply.known, reply.line) == (Answer.CONFLICT, 5, "")


def test_going_back_is_refused(book: Book, log: Log) -> None:
    book.add_checkpoint(log.submission(0, 20))
    assert book.add_checkpoint(log.submission(0, 10)).answer is Answer.CONFLICT
    assert book.add_checkpoint(log.submission(10, 10)).answer is Answer.CONFLICT
    assert book.add_checkpoint(write_submission(20, [], log.note(10))).answer is Answer.MALFORMED
    assert book.watched()[0].newest == log.checkpoint(20)


def test_another_log_of_the_same_size_is_refused_and_kept_as_proof(book: Book, log: Log) -> None:
    book.add_checkpoint(log.submission(0, 20))
    other = Log()
    other.grow(20, "forged")
    reply = book.add_checkpoint(write_submission(20, [], other.note(20)))
    assert (reply.answer, reply.known) == (Answer.CONFLICT, 20)
    (doubt,) = book.doubts()
    assert doubt.forked and read_submission(doubt.submission).note == other.note(20)
    assert book.watched()[0].forks == 1


def test_a_log_that_was_rewritten_and_grown_is_refused_whatever_proof_it_brings(book: Book, log: Log) -> None:
    book.add_checkpoint(log.submission(0, 7))
    other = Log()
    other.grow(20, "forged")
    for proof in (other.tree.consistency(7, 20), log.tree.consistency(7, 20), []):
        reply = book.add_checkpoint(write_submission(7, proof, other.note(20)))
        assert (reply.answer, reply.line) == (Answer.NOT_PROVEN, "")
    assert book.add_checkpoint(log.submission(7, 20)).answer is Answer.COSIGNED  # and the honest one goes on
    assert len(book.doubts()) == 3 and book.watched()[0].forks == 0


def test_what_no_known_log_has_signed_is_neither_cosigned_nor_kept(book: Book, log: Log) -> None:
    foreign = Log(seed=b"\x12" * 32)
    foreign.grow(3)
    unknown = Log("other.example/log")
    unknown.grow(3)
    assert book.add_checkpoint(foreign.submission(0, 3)).answer is Answer.UNTRUSTED
    assert book.add_checkpoint(unknown.submission(0, 3)).answer is Answer.UNKNOWN_LOG
    spoilt = log.note(3).replace("\n3\n", "\n4\n")
    assert book.add_checkpoint(write_submission(0, [], spoilt)).answer is Answer.UNTRUSTED
    assert book.doubts() == [] and book.watched()[0].newest is None


@pytest.mark.parametrize(
    "body",
    [b"", b"old 0", b"old 00\n\nx\n", b"old -1\n\nx\n", b"new 0\n\nx\n", b"old 0\nAAAA\n\nx\n", b"\xff\n\n", b"old 0\n\n",
     b"old 0\n" + b"A" * 43 + b"=\n" * 64 + b"\nx\n", b"old 1 \n\nx\n"],
)  # fmt: skip
def test_what_is_no_submission_is_malformed(book: Book, body: bytes) -> None:
    assert book.add_checkpoint(body).answer in (Answer.MALFORMED, Answer.UNKNOWN_LOG)
    assert book.watched()[0].newest is None


def test_the_checkpoint_is_stored_before_there_is_a_signature(
    book: Book, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power goes out between the two: what was not given out is still never contradicted."""

    def cut(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(books, "cosignature_line", cut)
    with pytest.raises(KeyboardInterrupt):
        book.add_checkpoint(log.submission(0, 20))
    monkeypatch.undo()
    again = Book(book.home, lambda: NOW)
    other = Log()
    other.grow(20, "forged")
    assert again.add_checkpoint(write_submission(20, [], other.note(20))).answer is Answer.CONFLICT
    assert again.add_checkpoint(log.submission(20, 20)).answer is Answer.COSIGNED


def test_what_cannot_be_stored_is_not_signed(book: Book, log: Log) -> None:
    with sqlite3.connect(book.home / "witness.db") as state:
        state.execute("CREATE TRIGGER full BEFORE INSERT ON newest BEGIN SELECT raise(ABORT, 'full'); END")
    with pytest.raises(DiskFull):
        book.add_checkpoint(log.submission(0, 20))
    (book.home / "witness.db").unlink()
    (book.home / "witness.db").mkdir()
    with pytest.raises(DiskFull):
        book.add_checkpoint(log.submission(0, 20))


def test_two_submissions_at_once_never_roll_the_record_back(book: Book, log: Log) -> None:
    """The race that the protocol warns of: whoever comes second is told the size of the first."""
    book.add_checkpoint(log.submission(0, 1))
    answers: list[tuple[int, Answer]] = []
    together = threading.Barrier(8)

    def submit(size: int) -> None:
        together.wait()
        answers.append((size, book.add_checkpoint(log.submission(1, size)).answer))

    threads = [threading.Thread(target=submit, args=(size,)) for size in range(5, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (cosigned,) = [size for size, answer in answers if answer is Answer.COSIGNED]
    assert book.watched()[0].newest == log.checkpoint(cosigned)


@settings(max_examples=40, deadline=None)
@given(
    moves=st.lists(
        st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 12), st.booleans()), min_size=1, max_size=12
    )
)
def test_whatever_comes_all_that_was_cosigned_is_of_one_log(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[bool, int, int, bool]]
) -> None:
    """C5: two logs under one key; at most one of them is ever cosigned beyond what they share."""
    book = Book.create(tmp_path_factory.mktemp("w") / "w", "jw.example/witness", lambda: NOW)
    honest, forged = Log(), Log()
    honest.grow(4)
    forged.grow(4)
    honest.grow(8)
    forged.grow(8, "forged")
    book.add_log(honest.key)
    cosigned = []
    for other, one, two, known in moves:
        log = forged if other else honest
        old, size = sorted((one, two))
        newest = book.watched()[0].newest
        if known and newest is not None and newest.size <= size:
            old = newest.size
        reply = book.add_checkpoint(log.submission(old, size))
        if reply.answer is Answer.COSIGNED:
            cosigned.append(log.checkpoint(size))
    for point in cosigned:
        assert point in (honest.checkpoint(point.size), forged.checkpoint(point.size))
    sides = {log.checkpoint(p.size) == p for p in cosigned if p.size > 4 for log in (honest,)}
    assert len(sides) <= 1
    assert [p.size for p in cosigned] == sorted(p.size for p in cosigned)


def test_a_log_that_was_put_back_goes_on_only_after_a_restart_that_is_kept_for_good(book: Book, log: Log) -> None:
    with pytest.raises(NotFound):
        book.restart(log.origin, "x")
    book.add_checkpoint(log.submission(0, 20))
    restored = Log()
    restored.grow(15)
    restored.grow(10, "after")
    assert book.add_checkpoint(restored.submission(0, 25)).answer is Answer.CONFLICT
    book.restart(log.origin, "硬盘损坏")
    assert book.add_checkpoint(restored.submission(0, 25)).answer is Answer.COSIGNED
    assert [(one.note, one.reason) for one in book.restarts()] == [(log.note(20), "硬盘损坏")]


def test_a_log_may_change_its_key(book: Book, log: Log) -> None:
    new = Log(seed=b"\x13" * 32)
    new.grow(20)
    book.add_checkpoint(log.submission(0, 5))
    assert book.add_checkpoint(new.submission(5, 9)).answer is Answer.UNTRUSTED
    book.add_log(new.key)
    assert book.add_checkpoint(new.submission(5, 9)).answer is Answer.COSIGNED
    assert len(book.watched()[0].keys) == 2


def test_a_witness_is_made_once_and_its_key_is_its_owners_alone(book: Book) -> None:
    with pytest.raises(Refused):
        Book.create(book.home, "other", lambda: NOW)
    with pytest.raises(Refused):
        Book.create(book.home.parent / "x", "a name", lambda: NOW)
    assert (book.home / "witness.key").stat().st_mode & 0o077 == 0
    (book.home / "witness.key").chmod(0o644)
    with pytest.raises(NotReady):
        Book(book.home, lambda: NOW)
    with pytest.raises(NotReady):
        Book(book.home.parent / "nowhere", lambda: NOW)


def test_a_key_has_one_written_form(book: Book, log: Log) -> None:
    for key in (book.verifier, log.key):
        assert read_vkey(vkey(key)) == key
    # The key that the documentation of Go's note package shows.
    published = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert vkey(read_vkey(published)) == published
    with pytest.raises(Malformed):
        read_vkey(published.replace("c74f20a3", "c74f20a4"))
    for wrong in ("", "a", "a+b", "a+b+c", vkey(log.key) + "=", vkey(log.key).replace("+", "-", 1)):
        with pytest.raises(Malformed):
            read_vkey(wrong)
    with pytest.raises(Refused):
        book.add_log(Verifier("x", log.key.public_key, SignatureType.COSIGNATURE))
