"""Proposals that two people approve, as the command line lists them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from schemas.labels import Label
from server.cli.frame import Run
from server.evidence.approving import Approving
from server.reading import finding
from server.reading.finding import Seen
from sync.core.releasing import NEEDED
from sync.core.rules import Rights

Column = tuple[Label, Callable[[Seen], Any]]


def listed(run: Run, of: Approving, rights: Rights, columns: Sequence[Column], as_json: bool) -> None:
    """Every proposal in sight: its id, status and approvals, then these columns."""
    with run.house.database.read() as conn:
        found = list(finding.every(run.house, conn, rights, of.schema.kind))
    if as_json:
        run.json([as_said(of, one) for one in found])
        return
    first = [Label("编号", "id"), Label("状态", "status"), Label("已批准", "approved")]
    rows = [
        (one.record, status_of(run, one), f"{len(of.approvers(one))}/{NEEDED}", *(cell(one) for _, cell in columns)) for one in found
    ]
    run.table([*first, *(label for label, _ in columns)], rows)


def as_said(of: Approving, seen: Seen) -> dict[str, Any]:
    """A proposal for programs."""
    return {"id": seen.record, **seen.values, "approved_by": of.approvers(seen)}


def status_of(run: Run, seen: Seen) -> str:
    """The status of a record in words; what is in conflict says so."""
    workflow = run.house.registry[seen.state.kind].workflow
    status = str(seen.values.get("status"))
    if workflow is None or status not in workflow.statuses:
        return run.text(Label("冲突待决", "in conflict"))
    return run.text(workflow.statuses[status].label)
