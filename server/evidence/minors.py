"""Minors in evidence: what shows them uncovered leaves this server only in a bundle that says so.

A person says on the evidence whether minors are visible. A copy shows what its original shows, unless somebody said of
the copy itself that they are covered, or that there are none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sync.core.errors import MinorsVisible

COVERED = frozenset({"hidden", "none"})
VISIBLE = "visible"

Values = Mapping[str, Any]


def exposing(evidence: Mapping[str, Values]) -> set[str]:
    """Of these evidence records (id → path → value), those whose file shows minors."""
    return {id for id in evidence if _shows(id, evidence, set())}


def require_covered(evidence: Mapping[str, Values], exposed: Collection[str]) -> None:
    """Raise MinorsVisible for an original that shows minors and has no copy here in which they are covered."""
    covered = {values.get("original") for values in evidence.values() if values.get("minors") == "hidden"}
    for id in sorted(exposed):
        if evidence[id].get("role") == "original" and id not in covered:
            raise MinorsVisible(what=str(evidence[id].get("sha256", id))[:12])


def _shows(id: str, evidence: Mapping[str, Values], seen: set[str]) -> bool:
    values = evidence.get(id)
    if values is None or id in seen:
        return False
    own = values.get("minors")
    if own is not None:
        return bool(own == VISIBLE)
    return _shows(str(values.get("original") or ""), evidence, seen | {id})
