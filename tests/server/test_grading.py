"""Grades at the server: from real pushes, real keys and real decisions, and what no decision can do to them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.registry import shipped
from server.evidence.grading import Grader
from server.merging import decisions
from server.reading.listing import Listing
from server.storage import conflicts, journal, people
from sync.core.cosigning import cosignature_input, key_id, proof_input, written
from sync.core.grade import Graded
from sync.core.rules import Rights
from sync.core.signing import content_hash
from tests.support.server import TestDevice, TestServer, wsgi_server

AREA = "430102001001"
NOW = "2026-11-22T04:30:45.118Z"
STAFF = Rights("staff", ("43",))
INSPECTION = shipped()["inspection"]


class Officers:
    """Two certified officers with confirmed keys, and the tablet that they share."""

    def __init__(self, server: TestServer) -> None:
        self.server = server
        self.tablet = server.enrol("officer", "4301")
        self.keys = {self.officer(name, number): Ed25519PrivateKey.generate() for name, number in
                     (("罗雨", "43-001"), ("周宁", "43-002"))}  # fmt: skip
        for officer, key in self.keys.items():
            public = key.public_key().public_bytes_raw()
            values = {
                "officer": officer, "area": AREA, "device": self.tablet.id, "public_key": public.hex(),
                "proof": written(key.sign(proof_input(officer, self.tablet.id))), "status": "proposed",
            }  # fmt: skip
            assert self.push("officer_key", key_id(public), values)["status"] == "accepted"
            self.desk("officer_key", key_id(public), {"status": "confirmed"})

    def officer(self, name: str, number: str) -> str:
        values = {"name": name, "certificate_number": number, "area": AREA, "status": "active"}
        return self.desk("officer", None, values)

    def desk(self, kind: str, record: str | None, values: dict[str, Any]) -> str:
        desk = self.server.instance.desk
        return decisions.write(desk, kind, record, values, by=["p"], rights=STAFF).record

    def push(self, kind: str, record: str, values: dict[str, Any], tablet: TestDevice | None = None) -> dict[str, Any]:
        tablet = tablet or self.tablet
        return tablet.push(tablet.change(kind, record, values))[0]

    def inspection(self, record: str, tablet: TestDevice | None = None, **more: Any) -> None:
        """An inspection with everything in order, but for what is said in `more`."""
        values = {
            "institution": "i1", "name": "学雅口才", "area": AREA, "mode": "enforcement", "started_at": NOW,
            "ended_at": NOW, "notice_number": "检通〔2026〕17号", "findings": "三间教室",
            "answers/PRC-03": {"answer": "yes"}, "status": "draft", **{f"officers/{id}": True for id in self.keys},
            **more,
        }  # fmt: skip
        content = content_hash(INSPECTION, record, values)
        for officer, key in self.keys.items():
            values[f"signatures/{officer}"] = {
                "name": officer, "content": content, "at": NOW, "as": "officer", "officer": officer,
                "key": key_id(key.public_key().public_bytes_raw()), "cosig": written(key.sign(cosignature_input(content))),
            }  # fmt: skip
        values["signatures/party"] = {"name": "负责人", "content": content, "at": NOW, "as": "party"}
        assert self.push("inspection", record, values, tablet)["status"] == "accepted"

    def grade(self, record: str) -> Graded | None:
        with self.server.instance.database.read() as conn:
            return Grader(self.server.instance, conn).grade(record)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> TestServer:
    return wsgi_server(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def officers(server: TestServer) -> Officers:
    return Officers(server)


def test_what_two_officers_co_signed_is_a_and_the_evidence_in_it_too(officers: Officers) -> None:
    officers.inspection("a1")
    assert officers.grade("a1") == Graded("A")
    photo = {"subject": "a1", "subject_kind": "inspection", "area": AREA, "sha256": "ab" * 32, "size": 9,
             "mime": "image/jpeg", "role": "original"}  # fmt: skip
    officers.push("evidence", "e1", photo)
    assert officers.grade("e1") == Graded("A")
    officers.push("evidence", "e2", photo | {"subject": "nowhere"})
    assert officers.grade("e2") == Graded("D")


def test_a_remark_of_the_reviewer_changes_nothing_and_an_amendment_makes_it_b(officers: Officers) -> None:
    officers.inspection("a2")
    officers.desk("inspection", "a2", {"review/r1": {"text": "请核对面积"}})
    assert officers.grade("a2") == Graded("A")
    officers.desk("inspection", "a2", {"findings": "四间教室"})
    graded = officers.grade("a2")
    assert graded is not None and graded.grade == "B"


def test_a_decision_between_values_is_worth_no_more_than_the_lowest_of_them(officers: Officers) -> None:
    officers.inspection("a3")
    inspector = officers.server.enrol("inspector", "4301")
    officers.push("inspection", "a3", {"findings": "无人"}, inspector)
    (row,) = [one for one in _conflicts(officers.server) if one["record"] == "a3"]
    take = next(id for id in row["candidates"] if officers.tablet.answer["person"]["id"] in _by(officers.server, id))
    decisions.resolve(officers.server.instance.desk, row["id"], take=take, seen=row["candidates"], reason="现场复核",
                      by=["p", "q"], rights=STAFF)  # fmt: skip
    graded = officers.grade("a3")
    assert graded is not None and graded.grade == "D"


def test_a_merge_has_the_lowest_grade_of_what_was_merged(officers: Officers) -> None:
    officers.inspection("a4")
    officers.push("inspection", "b4", {"institution": "i1", "area": AREA, "mode": "patrol", "status": "draft"})
    decisions.merge(officers.server.instance.desk, "a4", "b4", reason="同一次检查", by=["p"], rights=STAFF)
    graded = officers.grade("a4")
    assert graded is not None and graded.grade == "D"
    decisions.unmerge(officers.server.instance.desk, "a4", "b4", reason="并非同一次", by=["p"], rights=STAFF)
    assert officers.grade("a4") == Graded("A")


def test_what_a_revoked_tablet_wrote_is_d_even_where_staff_admit_it(officers: Officers) -> None:
    server = officers.server
    officers.inspection("a5")
    lost = server.enrol("officer", "4301")
    with server.instance.database.write() as conn:
        people.revoke(conn, lost.id, server.clock(), "丢失")
    result = officers.push("inspection", "a5", {"answers/FIR-05": {"answer": "no"}}, lost)
    assert result["reason"] == "revoked" and officers.grade("a5") == Graded("A")
    decisions.admit(server.instance.desk, [result["id"]], reason="情况属实", by=["p"], rights=STAFF)
    graded = officers.grade("a5")
    assert graded is not None and graded.grade == "D"


def test_a_withdrawn_key_no_longer_counts_from_then_on(server: TestServer) -> None:
    officers = Officers(server)
    officers.inspection("a6")
    key = key_id(next(iter(officers.keys.values())).public_key().public_bytes_raw())
    officers.desk("officer_key", key, {"status": "withdrawn", "withdrawn_at": "2026-11-22T04:00:00.000Z"})
    graded = officers.grade("a6")
    assert graded is not None and graded.grade == "B"


def test_lists_and_exports_have_the_grade_as_a_column_that_nobody_can_write(officers: Officers, tmp_path: Path) -> None:
    refused = officers.push("inspection", "g1", {"area": AREA, "grade": "A"})
    assert (refused["status"], refused["reason"]) == ("quarantined", "unknown-field")
    officers.inspection("g2", mode="patrol")
    officers.inspection("g3")
    listing = Listing(officers.server.instance, "inspection", "en")
    assert {row["record"]: row["grade"] for row in listing.rows()}["g2"] == "D"
    listing.write_csv(tmp_path / "inspections.csv")
    with open(tmp_path / "inspections.csv", encoding="utf-8-sig") as file:
        rows = {row["id"]: row["Grade"] for row in csv.DictReader(file)}
    assert rows["g2"] == "D" and rows["g3"] == "A"


def _conflicts(server: TestServer) -> list[dict[str, Any]]:
    with server.instance.database.read() as conn:
        return [one._asdict() for one in conflicts.waiting(conn)]


def _by(server: TestServer, id: str) -> list[str]:
    with server.instance.database.read() as conn:
        kept = journal.known(conn, [id])[id]
        return next(change.by for change, _, _ in journal.history(conn, [kept.record]) if change.id == id)
