"""What a person signs: the hash of exactly the content that was shown, and of nothing else.

A kind marks the fields that a signature covers (`frozen`). Their values, as they stood on the screen, make one
canonical text; its SHA-256 is the `content` of the signature. Whoever has the values of that moment can compute it
again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from schemas.base import RecordSchema
from sync.core.change import canonical

SIGNED_TAG = b"patrolbook/signed/v1\0"


def covered(schema: type[RecordSchema], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values (path → value) that a signature covers."""
    fields = ((path, schema.field_of(path)) for path in values)
    return {path: values[path] for path, field in fields if field is not None and field.frozen}


def content_hash(schema: type[RecordSchema], record: str, values: Mapping[str, Any]) -> str:
    """The `content` of a signature under the values (path → value) of a record: SHA-256 in hexadecimal."""
    shown = {"kind": schema.kind, "record": record, "values": covered(schema, values)}
    return hashlib.sha256(SIGNED_TAG + canonical(shown)).hexdigest()
