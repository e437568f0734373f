"""The rules by which sealed material leaves its compartment, on merged records and nothing else.

An approval counts where a person of the province wrote it, alone, under their own id, of exactly what the proposal now
says. So nobody approves for another, nobody counts twice, and a proposal that was changed has to be approved again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from schemas.base import RecordSchema
from schemas.kinds.sealed_evidence import withheld
from schemas.labels import Label
from sync.core.fold import State, values_of
from sync.core.signing import content_hash

NEEDED = 2
APPROVING = "province"

Records = Callable[[str, Collection[str]], Mapping[str, Mapping[str, Any]]]
"""Of a kind, the values (path → value) of those of these records that are known, without what is in conflict."""


def approvers(state: State, schema: type[RecordSchema]) -> list[str]:
    """The people whose approval of the proposal as it stands counts."""
    content = content_hash(schema, state.record, values_of(state, schema.merge_of))
    return sorted(
        path.partition("/")[2]
        for path, live in state.live.items()
        if path.startswith("approvals/")
        and any(
            value["content"] == content
            and state.acts[change].by == (path.partition("/")[2],)
            and state.acts[change].role == APPROVING
            for change, value in live.items()
            if value is not None
        )
    )


def too_few(state: State, schema: type[RecordSchema]) -> Label | None:
    """Why a proposal may not go on: fewer than two people approved it as it stands."""
    count = len(approvers(state, schema))
    if count >= NEEDED:
        return None
    return Label(
        f"须有两人分别批准当前内容，现有 {count} 人",
        f"two people have to approve it as it stands, {count} did",
    )


def objects_of(values: Mapping[str, Any]) -> list[str]:
    """The ids of the sealed evidence that a proposal names."""
    return sorted(path[8:] for path, value in values.items() if path.startswith("objects/") and value is True)


def unlawful(state: State, schema: type[RecordSchema], records: Records) -> Label | None:
    """Why a proposal may not go on: it names nothing, or something that may not be shown outside."""
    named = objects_of(values_of(state, schema.merge_of))
    if not named:
        return Label("没有列出要移交的密封证据", "it names no sealed evidence")
    known = records("sealed_evidence", named)
    for id in named:
        problem = (
            withheld(known[id].get("review")) if id in known else Label("没有这件密封证据", "there is no such evidence")
        )
        if problem is not None:
            return Label(f"{id}：{problem.zh}", f"{id}: {problem.en}")
    return None


def receipted(state: State, schema: type[RecordSchema]) -> Label | None:
    """Why a hand-over does not count as received: nobody signed for it, alone and under their own id."""
    for path, live in state.live.items():
        who = path.partition("/")[2]
        if path.startswith("receipts/") and any(
            value is not None and state.acts[change].by == (who,) for change, value in live.items()
        ):
            return None
    return Label("没有签收", "nobody has signed for it")
