"""What a person signs: the hash of exactly the content that was shown, and of nothing else.

A kind marks the fields that a signature covers (`frozen`). Their values, as they stood on the screen, make one
canonical text; its SHA-256 is the `content` of the signature. Whoever has the values of that moment can compute it
again. The document that is left with the party is that text and the signatures under it; its hash is computed the same
way, so what is hashed is what is printed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sync.core.change import canonical

if TYPE_CHECKING:  # the verifier that travels in a bundle has no schemas
    from schemas.base import RecordSchema

SIGNED_TAG = b"patrolbook/signed/v1\0"
DOCUMENT_TAG = b"patrolbook/document/v1\0"


def covered(schema: type[RecordSchema], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values (path → value) that a signature covers."""
    fields = ((path, schema.field_of(path)) for path in values)
    return {path: values[path] for path, field in fields if field is not None and field.frozen}


def content_hash(schema: type[RecordSchema], record: str, values: Mapping[str, Any]) -> str:
    """The `content` of a signature under the values (path → value) of a record: SHA-256 in hexadecimal."""
    return signed_hash(schema.kind, record, covered(schema, values))


def signed_hash(kind: str, record: str, values: Mapping[str, Any]) -> str:
    """The same for values of which it is known that a signature covers all of them."""
    shown = {"kind": kind, "record": record, "values": dict(values)}
    return hashlib.sha256(SIGNED_TAG + canonical(shown)).hexdigest()


def document_of(schema: type[RecordSchema], record: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the printed document of a record says: the signed values and the signatures."""
    signatures = {path: value for path, value in values.items() if path.startswith("signatures/")}
    return {"kind": schema.kind, "record": record, "signatures": signatures, "values": covered(schema, values)}


def document_hash(document: Mapping[str, Any]) -> str:
    """The hash that stands on the print: SHA-256 of the tag and the canonical document, in hexadecimal."""
    return hashlib.sha256(DOCUMENT_TAG + canonical(document)).hexdigest()
