"""Shifts and anchors at the server: honest days leave nothing to ask, and each way of going back is named."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from schemas.registry import shipped
from server.cli import main
from server.exchange import shifts
from server.proofs import anchors
from sync.core.anchors import Paper, paper_text, scan, show, spoken
from sync.core.change import START, Change
from sync.core.cosigning import written
from sync.core.signing import document_hash, document_of
from tests.support.server import TestDevice, TestServer, wsgi_server

AREA = "430102001001"
NOON = "2026-11-22T04:00:00.000Z"
LATER = "2026-11-22T09:00:00.000Z"
INSPECTION = shipped()["inspection"]


class Field:
    """A tablet that keeps its changes to itself until it brings them home, and can be put back to an earlier state."""

    def __init__(self, server: TestServer) -> None:
        self.server = server
        self.device: TestDevice = server.enrol("officer", "4301")
        self.waiting: list[Change] = []
        self.written = 0
        self.head = START

    def write(self, kind: str, record: str, values: dict[str, Any], **more: Any) -> Change:
        change = self.device.change(kind, record, values, **more)
        self.waiting.append(change)
        self._count()
        return change

    def _count(self) -> None:
        """Where the chain stands with what waits, without handing anything over."""
        n, prev = self.device.n, self.device.prev
        linked = self.device.carried(*self.waiting)
        self.written, self.head = self.device.n, self.device.prev
        self.device.n, self.device.prev = n, prev
        assert len(linked) == len(self.waiting)

    def work(self, count: int = 3) -> None:
        for _ in range(count):
            self.write("patrol_note", self.device.change("patrol_note", "x", {"seen": "y"}).id, {"area": AREA})

    def bring_home(self) -> list[dict[str, Any]]:
        some, self.waiting = self.waiting, []
        return self.device.push(*some) if some else []

    def put_back(self, count: int) -> None:
        """Restore a copy of the tablet that was made so many changes ago."""
        self.waiting = self.waiting[: len(self.waiting) - count]
        self._count()

    def begin_anew(self) -> None:
        """Go on as a new replica, as a tablet does that is told of a fork; what waits is numbered again."""
        fresh = self.device.change("patrol_note", "x", {"seen": "y"}).id
        self.device.replica, self.device.n, self.device.prev = fresh, 0, START
        self._count()

    def open(self, record: str, at: str = NOON, **more: Any) -> int:
        opened_n = self.written
        values = {"person": "p", "device": self.device.id, "area": AREA, "opened_at": at, "online": False,
                  "replica": self.device.replica, "opened_n": opened_n, "status": "open"}  # fmt: skip
        self.opening = self.write("shift", record, values | more)
        return opened_n

    def close(self, record: str, opened_n: int, **more: Any) -> None:
        values = {"closed_at": LATER, "closed_replica": self.device.replica, "closed_n": self.written,
                  "changes": self.written - opened_n, "files": 0, "safe": False, "status": "closed"}  # fmt: skip
        self.write("shift", record, values | more, parents={"status": [self.opening.id]})

    def show(self) -> str:
        key = self.device.key
        public = key.public_key().public_bytes_raw()
        return show(self.device.replica, self.written, self.head, public, key.sign)

    def note(self, record: str, text: str) -> None:
        """Note what another tablet showed."""
        peer = scan(text)
        values = {"sort": "peer", "area": AREA, "replica": peer.replica, "n": peer.n, "head": peer.head,
                  "taken_at": NOON, "key": peer.key, "signature": written(peer.signature)}  # fmt: skip
        self.write("anchor", record, values)


@pytest.fixture
def server(tmp_path: Path) -> TestServer:
    return wsgi_server(tmp_path)


@pytest.fixture
def field(server: TestServer) -> Field:
    return Field(server)


def seen(server: TestServer) -> dict[str, shifts.Seen]:
    with server.instance.database.read() as conn:
        return {one.record: one for one in shifts.every(server.instance, conn, server.clock())}


def odd(server: TestServer, record: str) -> str:
    return "; ".join(reason.en for reason in seen(server)[record].odd)


def loose(server: TestServer) -> str:
    with server.instance.database.read() as conn:
        return "; ".join(reason.en for one in shifts.loose(server.instance, conn) for reason in one.odd)


def verdicts(server: TestServer) -> dict[str, str]:
    with server.instance.database.read() as conn:
        return {one.record: one.verdict for one in anchors.every(server.instance, conn)}


def run(server: TestServer, *words: str) -> Result:
    data = {"PATROLBOOK_DATA": str(server.instance.settings.data), "PATROLBOOK_LANG": "en"}
    return CliRunner().invoke(main, list(words), env=data, catch_exceptions=False)


def test_an_honest_day_leaves_nothing_to_ask(server: TestServer, field: Field) -> None:
    opened = field.open("s1")
    field.work()
    field.close("s1", opened)
    assert {one["status"] for one in field.bring_home()} == {"accepted"}
    shift = seen(server)["s1"]
    assert (shift.open, shift.odd, shift.held) == (False, (), 4)
    assert loose(server) == ""


def test_a_day_that_is_not_over_is_open_and_not_odd(server: TestServer, field: Field) -> None:
    field.open("s1", at=f"{_now(server)}")
    field.bring_home()
    assert seen(server)["s1"].open and odd(server, "s1") == ""
    server.clock.ahead = 25 * 3600 * 1000
    assert "more than 24 hours" in odd(server, "s1")
    shown = orjson.loads(run(server, "shifts", "list", "--open", "--json").stdout)
    assert [one["record"] for one in shown["shifts"]] == ["s1"]


def test_the_next_shift_without_a_close_shows_on_the_first(server: TestServer, field: Field) -> None:
    field.open("s1")
    field.work()
    field.open("s2", at=LATER)
    field.bring_home()
    assert "without closing" in odd(server, "s1")
    assert "s1" in run(server, "shifts", "list", "--odd").output


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"changes": 9}, "reports 9 changes"),
        ({"closed_n": 40, "changes": 40}, "35 changes have not arrived"),
        ({"closed_n": 3, "changes": 3}, "not at number 4"),
    ],
)
def test_numbers_that_do_not_fit_are_named(server: TestServer, field: Field, more: dict[str, Any], why: str) -> None:
    opened = field.open("s1")
    field.work()
    field.close("s1", opened, **more)
    field.bring_home()
    assert why in odd(server, "s1")


def test_a_tablet_put_back_before_it_closed_leaves_numbers_that_overlap(server: TestServer, field: Field) -> None:
    opened = field.open("s1")
    field.work(5)
    field.close("s1", opened)
    field.bring_home()
    field.device.n, field.device.prev = 0, START  # a copy from before the shift, on a tablet that was registered anew
    field.begin_anew()
    field.open("s2", at=LATER, replica=_replica_of(server, "s1"), opened_n=2)
    field.bring_home()
    assert "overlap those of shift s2" in odd(server, "s1")
    assert "restored or copied" in loose(server)


def test_what_was_written_outside_a_shift_is_counted(server: TestServer, field: Field) -> None:
    field.work(2)
    opened = field.open("s1")
    field.work(3)
    field.close("s1", opened)
    field.work(1)
    field.bring_home()
    assert loose(server) == "3 changes outside any shift"
    assert odd(server, "s1") == ""


def test_a_clock_that_was_set_during_a_shift_is_noted(server: TestServer, field: Field) -> None:
    now = server.clock()
    opened = field.open("s1", at=NOON)
    for n, wall in enumerate((now, now + 60_000, now - 3_600_000)):
        clock = {"wall": wall, "mono": n * 60_000, "boot": "one-boot", "off": 0}
        field.write("patrol_note", f"note-{n}", {"area": AREA}, clock=clock)
    field.close("s1", opened)
    field.bring_home()
    assert "the clock was set by -3720 s at 4" in odd(server, "s1")


# --- Anchors ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def other(server: TestServer) -> Field:
    return Field(server)


def test_an_anchor_waits_until_its_changes_arrive_and_then_holds(
    server: TestServer, field: Field, other: Field
) -> None:
    field.work()
    other.note("a1", field.show())
    other.bring_home()
    assert verdicts(server) == {"a1": "waiting"}
    field.bring_home()
    assert verdicts(server) == {"a1": "held"}


def test_a_tablet_that_was_put_back_contradicts_the_other_one(server: TestServer, field: Field, other: Field) -> None:
    field.work(4)
    other.note("a1", field.show())
    field.put_back(2)
    field.work(5)
    field.bring_home()
    other.bring_home()
    assert verdicts(server) == {"a1": "contradicted"}
    shown = run(server, "anchor", "list", "--odd")
    assert "a1" in shown.output and "rolled back" in shown.output


def test_a_tablet_that_lost_its_last_changes_and_goes_on_as_a_new_one_is_found(
    server: TestServer, field: Field, other: Field
) -> None:
    field.work(2)
    field.bring_home()
    field.work(3)
    other.note("a1", field.show())
    field.put_back(3)
    field.begin_anew()
    field.work(4)
    field.bring_home()
    other.bring_home()
    assert verdicts(server) == {"a1": "lost"}


def test_a_tablet_that_goes_on_as_a_new_one_with_everything_is_not_accused(
    server: TestServer, field: Field, other: Field
) -> None:
    field.work(2)
    field.bring_home()
    field.work(3)
    other.note("a1", field.show())
    field.begin_anew()
    field.work(2)
    field.bring_home()
    other.bring_home()
    assert verdicts(server) == {"a1": "carried"}


def test_an_anchor_in_the_name_of_another_tablet_is_foreign(server: TestServer, field: Field, other: Field) -> None:
    field.work()
    field.bring_home()
    key = other.device.key
    forged = show(field.device.replica, 3, "ab" * 32, key.public_key().public_bytes_raw(), key.sign)
    other.note("a1", forged)
    other.bring_home()
    assert verdicts(server) == {"a1": "foreign"}
    assert "a1" in run(server, "anchor", "list", "--odd").output


def test_a_contradicted_anchor_shows_on_the_shift(server: TestServer, field: Field, other: Field) -> None:
    opened = field.open("s1")
    field.work(4)
    other.note("a1", field.show())
    field.put_back(2)
    field.work(2)
    field.close("s1", opened)
    field.bring_home()
    other.bring_home()
    assert "anchor a1 at 5" in odd(server, "s1")


def test_a_code_from_paper_is_checked_by_head_number_and_document(server: TestServer, field: Field) -> None:
    values = {"institution": "i1", "area": AREA, "mode": "patrol", "findings": "三间教室", "status": "draft"}
    field.write("inspection", "r1", values)
    paper = Paper(field.head, field.written, document_hash(document_of(INSPECTION, "r1", values)))
    anchor = {"sort": "paper", "area": AREA, "replica": field.device.replica, "n": paper.n, "head": paper.head,
              "taken_at": NOON, "inspection": "r1", "document": paper.document, "code": spoken(paper)}  # fmt: skip
    field.write("anchor", "a1", anchor)
    before = run(server, "anchor", "check", spoken(paper))
    assert before.exit_code == 1 and "rolled back" in before.output
    field.write("inspection", "r1", {"party_opinion": "无异议"})
    field.bring_home()
    for text in (spoken(paper), spoken(paper).lower().replace("-", " "), paper_text(paper)):
        told = run(server, "anchor", "check", text)
        assert told.exit_code == 0 and "the document is what the inspection said" in told.output, told.output
    other = paper._replace(document="00" * 32)
    field.write("anchor", "a2", {**anchor, "document": other.document, "code": spoken(other)})
    field.bring_home()
    told = run(server, "anchor", "check", spoken(other))
    assert told.exit_code == 1 and "not what the inspection ever said" in told.output


def test_a_code_whose_tablet_was_put_back_is_unknown_or_contradicted(server: TestServer, field: Field) -> None:
    field.work(3)
    paper = Paper(field.head, field.written, "cd" * 32)
    field.put_back(1)
    field.work(2)
    field.bring_home()
    assert run(server, "anchor", "check", spoken(paper)).exit_code == 1
    assert run(server, "anchor", "check", paper_text(paper)).exit_code == 1
    misheard = spoken(paper)[:-1] + ("0" if spoken(paper)[-1] != "0" else "1")
    assert "listen again" in run(server, "anchor", "check", misheard).output


def test_what_a_tablet_shows_is_checked_as_text_too(server: TestServer, field: Field) -> None:
    field.work()
    text = field.show()
    field.bring_home()
    told = run(server, "anchor", "check", text)
    assert told.exit_code == 0 and "agrees" in told.output


def _now(server: TestServer) -> str:
    return datetime.fromtimestamp(server.clock() / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _replica_of(server: TestServer, record: str) -> str:
    return str(seen(server)[record].values["replica"])
