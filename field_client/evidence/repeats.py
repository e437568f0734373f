"""Photos that are like an earlier one and for which nobody has said why yet: noted when they are found, until they are explained.

Nothing waits for the reason. It is asked for where the photo is shown, after a restart too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from field_client.evidence.likeness import Similar
    from field_client.tablet import Tablet

_NOTED = "repeats"
MOST = 500
"""Photos; older ones are forgotten, and the server looks for itself."""
EACH = 3


def pending(tablet: Tablet) -> dict[str, list[dict[str, Any]]]:
    """Evidence id → the earlier photos that it is like: evidence, sort, captured_at, institution, subject, repeated."""
    noted = tablet.store.meta(_NOTED)
    return noted if isinstance(noted, dict) else {}


def note(tablet: Tablet, evidence: str, similar: Sequence[Similar]) -> None:
    """Keep what a new photo is like; nothing is noted for none."""
    if not similar:
        return
    told = [one._asdict() | {"alike": None, "sort": one.alike.sort} for one in similar[:EACH]]
    with tablet.store.writing():
        known = pending(tablet) | {evidence: told}
        tablet.store.note(_NOTED, dict(list(known.items())[-MOST:]))


def settle(tablet: Tablet, evidence: str) -> None:
    """Somebody gave the reason."""
    with tablet.store.writing():
        known = pending(tablet)
        if known.pop(evidence, None) is not None:
            tablet.store.note(_NOTED, known)
