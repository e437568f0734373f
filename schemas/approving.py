"""What two people approve before it is done: the workflow of such proposals, one for every kind of them.

An approval names the hash of the frozen fields, so a later change of any of them takes it away (`sync.core.releasing`).
"""

from __future__ import annotations

from schemas.labels import Label
from schemas.workflow import Status, Transition, Workflow

PROVINCE = frozenset({"province"})
_STANDS = ("no_conflict", "two_people", "lawful")


def approved_by_two(*, approved: Label, refused: Label, refuse: Label, done: str, doing: Label, was_done: Label, later: str) -> Workflow:
    """proposed → approved → `done`, refused until then; the approvals stand until the last step. `later`: what that step writes."""
    return Workflow(
        initial="proposed",
        statuses={
            "proposed": Status(Label("待审批", "Proposed")),
            "approved": Status(approved, locked=True),
            "refused": Status(refused, locked=True),
            done: Status(was_done, locked=True),
        },
        transitions=(
            Transition("proposed", "approved", Label("批准", "Approve"), PROVINCE, ("required", *_STANDS)),
            Transition("proposed", "refused", refuse, PROVINCE),
            Transition("approved", "refused", Label("撤回批准", "Take back"), PROVINCE),
            Transition("approved", done, doing, PROVINCE, _STANDS),
        ),
        always_open=frozenset({"notes", "refusal", later}),
    )
