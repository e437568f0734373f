"""What the custody report tells of values that were written again: not of drafts, always of what was signed or submitted."""

from __future__ import annotations

from typing import Any

from custody.report import Amendment
from schemas.registry import shipped
from server.evidence.amending import MOST, amended
from sync.core.change import Change, compose

NAMES = {"p-1": "李敏", "p-2": "王芳"}
REGISTRY = shipped()


def change(id: str, by: str = "p-1", decision: dict[str, Any] | None = None, **written: tuple[Any, list[str]]) -> Change:
    clock = {"wall": 1_795_147_200_000, "mono": 0, "boot": "b", "off": 500}
    values = {path.replace("__", "/"): value for path, value in written.items()}
    return compose(id=id, kind="inspection", record="r-1", set=values, by=[by], schema=1, hlc=f"00000000000{id[-1]}-0000",
                   clock=clock, decision=decision)  # fmt: skip


def told(*changes: Change) -> tuple[Amendment, ...]:
    return amended(REGISTRY, reversed(changes), NAMES)


def test_a_draft_that_is_written_over_is_nobody_s_business() -> None:
    assert told(change("c-1", findings=("三间", [])), change("c-2", findings=("四间", ["c-1"]))) == ()


def test_after_the_hand_in_each_replaced_value_is_told_with_reason_and_name() -> None:
    resolve = {"do": "resolve", "reason": "照片为证"}
    found = told(
        change("c-1", findings=("三间", []), answers__FIR_05=({"answer": "no"}, [])),
        change("c-2", status=("submitted", [])),
        change("c-3", "p-2", resolve, findings=("四间", ["c-1"]), answers__FIR_05=({"answer": "yes"}, ["c-1"])),
    )
    assert {(one.old, one.new) for one in found} == {("三间", "四间"), ("不符合", "符合")}
    assert {(one.at, one.reason, one.who) for one in found} == {(1_795_147_200_500, "照片为证", "王芳")}


def test_from_the_first_signature_on_it_counts_as_settled() -> None:
    signature = {"name": "李敏", "content": "ab" * 32, "at": "2026-11-22T00:00:00.000Z"}
    found = told(
        change("c-1", findings=("三间", [])),
        change("c-2", signatures__p=(signature, [])),
        change("c-3", findings=("", ["c-1"])),
    )
    assert [(one.old, one.new) for one in found] == [("三间", "（空）")]


def test_steps_further_signatures_additions_and_the_same_value_again_are_no_amendments() -> None:
    assert (
        told(
            change("c-1", findings=("三间", []), status=("submitted", [])),
            change("c-2", status=("approved", ["c-1"]), findings=("三间", ["c-1"]), notes__n=({"text": "补充"}, [])),
        )
        == ()
    )


def test_a_long_value_is_cut_and_of_two_that_contradicted_each_other_both_are_told() -> None:
    (found,) = told(
        change("c-1", findings=("甲" * 999, []), status=("submitted", [])),
        change("c-2", findings=("乙", [])),
        change("c-3", findings=("丙", ["c-1", "c-2"])),
    )
    assert found.old == f"{'甲' * MOST}…；乙" and found.new == "丙"
