"""A grade follows from the changes, or the server's word is named as what it is."""

from __future__ import annotations

from typing import Any

import pytest

from custody.regrading import Regraded, Wrong, Wrote, regraded
from schemas.labels import Label
from sync.core import grade as grading
from sync.core.change import compose
from sync.core.fold import Entry
from sync.core.grade import Author, Graded, Known
from sync.core.signing import signed_hash

RECORD = "e-1"
VALUES = {"role": "original", "mime": "image/jpeg"}


def wrote(
    id: str, values: dict[str, tuple[Any, list[str]]], *, role: str = "officer", status: Any = "accepted", **more: Any
) -> Wrote:
    """A change of the evidence by somebody whom the log enrolled under this role."""
    clock = {"wall": 1, "mono": 0, "boot": "b", "off": 0}
    decision = more.pop("decision", None)
    change = compose(
        id=id, kind="evidence", record=RECORD, set=values, by=["p-1"], schema=1, hlc="000000000001-0000", clock=clock,
        decision=decision,
    )  # fmt: skip
    return Wrote(Entry(change, status), role, **more)


FIRST = wrote("c-1", {path: (value, []) for path, value in VALUES.items()})


def line(values: dict[str, Any] = VALUES, **said: Any) -> dict[str, Any]:
    """What an honest server states of it, but for what is said otherwise."""
    authors = said.pop("authors", [["officer", False]])
    content = signed_hash("evidence", RECORD, values)
    sources = [Graded(grade, (Label("x", "x"),)) for grade in said.get("sources", [])]
    graded = grading.grade_of("evidence", values, Known(content, [Author(*one) for one in authors], sources=sources))
    assert graded is not None
    stated = {
        "record": RECORD, "kind": "evidence", "values": values, "covered": sorted(values), "content": content,
        "authors": authors, "officers": {}, "keys": {}, "contested": [], "sources": [], "grade": graded.grade,
        "reasons": [[reason.zh, reason.en] for reason in graded.reasons],
    }  # fmt: skip
    return stated | said


def test_what_follows_from_the_changes_needs_nobody_s_word() -> None:
    assert regraded([line()], [FIRST]) == [Regraded(RECORD, "A")]


def test_a_role_that_the_log_does_not_know_is_the_server_s_word() -> None:
    for first in (FIRST._replace(role=""), FIRST._replace(role="team"), FIRST._replace(server=True, role="")):
        (found,) = regraded([line()], [first])
        assert found.grade == "A" and "officer" in found.unproved[0].en


def test_a_grade_that_cannot_be_worse_needs_no_word_for_anything() -> None:
    assert regraded([line(authors=[["inspector", False]])], [FIRST]) == [Regraded(RECORD, "D")]


LATER = wrote("c-2", {"mime": ("image/png", ["c-1"])})
WITHDRAWN = wrote("c-3", {}, decision={"do": "withdraw", "changes": ["c-2"], "reason": "误"})


def test_a_value_counts_as_it_stands_after_all_changes() -> None:
    new = VALUES | {"mime": "image/png"}
    assert regraded([line(new)], [FIRST, LATER]) and regraded([line()], [FIRST, LATER, WITHDRAWN])
    for values, changes in ((VALUES, [FIRST, LATER]), (new, [FIRST, LATER, WITHDRAWN])):
        with pytest.raises(Wrong, match="mime"):
            regraded([line(values)], changes)


def test_a_value_that_is_left_out_or_added_is_found() -> None:
    for values in ({"role": "original"}, VALUES | {"caption": "x"}):
        with pytest.raises(Wrong):
            regraded([line(values)], [FIRST])


BESIDE = wrote("c-4", {"mime": ("image/webp", [])})


def test_a_disagreement_is_not_invented_and_not_kept_back_in_silence() -> None:
    with pytest.raises(Wrong, match="disagrees"):
        regraded([line(contested=["mime"])], [FIRST])
    assert regraded([line(contested=["mime"])], [FIRST, BESIDE])[0].unproved == ()
    (found,) = regraded([line()], [FIRST, BESIDE])
    assert "several values" in found.unproved[0].en


def test_who_wrote_after_a_revocation_is_told() -> None:
    late = wrote("c-1", FIRST.entry.change.set and {p: (v, []) for p, v in VALUES.items()}, revoked=True)
    assert regraded([line(authors=[["officer", True]])], [late])[0].grade == "D"
    with pytest.raises(Wrong, match="authors"):
        regraded([line()], [late])
    with pytest.raises(Wrong, match="authors"):
        regraded([line(authors=[["officer", True]])], [FIRST])
    with pytest.raises(Wrong, match="authors"):
        regraded([line(authors=[])], [FIRST])


def test_evidence_is_no_better_than_what_it_belongs_to() -> None:
    (found,) = regraded([line(sources=["B"])], [FIRST])
    assert found.grade == "B" and "not in the bundle" in found.unproved[0].en
    mine = {"subject": ("i-1", []), **{path: (value, []) for path, value in VALUES.items()}}
    values = VALUES | {"subject": "i-1"}
    clock = {"wall": 1, "mono": 0, "boot": "b", "off": 0}
    visit = compose(
        id="c-9", kind="inspection", record="i-1", set={"mode": ("patrol", [])}, by=["p-1"], schema=1,
        hlc="000000000001-0000", clock=clock,
    )  # fmt: skip
    graded = grading.grade_of("inspection", {"mode": "patrol"}, Known())
    assert graded is not None
    inspection = line({"mode": "patrol"}) | {
        "record": "i-1", "kind": "inspection", "content": signed_hash("inspection", "i-1", {"mode": "patrol"}),
        "grade": "D", "reasons": [[reason.zh, reason.en] for reason in graded.reasons],
    }  # fmt: skip
    changes = [wrote("c-1", mine), Wrote(Entry(visit), "officer")]
    below = line(values, sources=["D"]) | {"reasons": inspection["reasons"]}
    assert [one.grade for one in regraded([inspection, below], changes)] == ["D", "D"]
    with pytest.raises(Wrong, match="belongs"):
        regraded([inspection, line(values)], changes)


def test_another_reason_for_the_grade_is_found() -> None:
    with pytest.raises(Wrong, match="reasons"):
        regraded([line(reasons=[["另有原因", "something else"]])], [FIRST])
