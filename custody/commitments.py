"""Commitments: digests in the clear that fix what is sealed, before anybody opens it.

    commitment   SHA-256(tag of the part ‖ r ‖ canonical JSON of what is told), in hexadecimal

32 random bytes `r` keep what is told from being guessed; they are sealed together with it. Each part has a tag of its own,
so that one can never be shown in the place of another. Whoever holds what is told and `r` can check it with nothing but
SHA-256, which is why the verifier that travels in bundles has this module and not `custody.sealing`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import Enum
from typing import Any

from sync.core.change import canonical

R_BYTES = 32


class Part(Enum):
    """What is committed to, by its tag.

    FACTS  what whoever is handed a sealed object needs to check it: digests, type, source, times, its place in a recording
    TEAM   what the team told the province: name of the file, note, audit, place. It never leaves the province
    KEYS   a tablet's keys, sealed so that a forgotten PIN loses nothing
    """

    FACTS = b"patrolbook/seal-facts/v1\0"
    TEAM = b"patrolbook/seal-team/v1\0"
    KEYS = b"patrolbook/seal-keys/v1\0"


def commitment(part: Part, told: Mapping[str, Any], r: bytes) -> str:
    """The commitment to what is told of this part. Raises NotCanonical for what has no canonical form."""
    return hashlib.sha256(part.value + r + canonical(told)).hexdigest()
