"""Hypothesis strategies for the values of fields: right ones for each type of field, and JSON of any kind."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from schemas.fields import (
    LARGEST_INTEGER,
    Answers,
    Area,
    Attachments,
    Captions,
    Choice,
    Composite,
    CreditCode,
    Date,
    Digest,
    Entries,
    Flag,
    Integer,
    Moment,
    Notes,
    Point,
    RecordField,
    Ref,
    Rows,
    Signatures,
    Tags,
    Text,
    Workflowed,
)

WHOLE = st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
SCALARS = st.none() | st.booleans() | WHOLE | st.text(max_size=20)
MEMBERS = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)


def _nested(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=6,
    )


PLAIN = _nested(SCALARS, MEMBERS)
"""JSON that a change may hold."""

ANY_JSON = _nested(SCALARS | st.floats() | st.integers(), MEMBERS | st.text(max_size=5))
"""JSON that a change may hold or not: floats, integers beyond 2**53, keys beyond ASCII."""

DIGESTS = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
DAYS = st.dates().map(lambda day: day.isoformat())
MOMENTS = st.datetimes().map(lambda at: at.isoformat(timespec="milliseconds") + "Z")
KEYS = st.from_regex(r"[A-Za-z0-9._-]{1,100}", fullmatch=True)
IDS = st.from_regex(r"[A-Za-z0-9-]{1,64}", fullmatch=True)
CREDIT_CODES = st.text(CreditCode.ALPHABET, min_size=17, max_size=17).map(
    lambda first: first + CreditCode.check_character(first)
)
AREAS = st.sampled_from((2, 4, 6, 9, 12)).flatmap(lambda n: st.text("0123456789", min_size=n, max_size=n))
POINTS = st.fixed_dictionaries(
    {"lat": st.integers(-900_000_000, 900_000_000), "lon": st.integers(-1_800_000_000, 1_800_000_000)},
    optional={"acc": st.integers(0, 10_000_000), "src": st.text(max_size=10)},
)
ANSWERS = st.fixed_dictionaries(
    {"answer": st.sampled_from(("yes", "no", "na"))},
    optional={"measured": st.text(max_size=9), "unit": st.text(max_size=4), "rows": st.lists(st.lists(st.text()))},
)
NOTES = st.fixed_dictionaries({"text": st.text(min_size=1).filter(str.strip)}, optional={"at": MOMENTS})
ATTACHMENTS = st.fixed_dictionaries(
    {"sha256": DIGESTS, "size": st.integers(1, LARGEST_INTEGER), "mime": st.just("image/jpeg")},
    optional={"item": st.just("FIR-05")},
)
SIGNATURES = st.fixed_dictionaries({"name": st.text(max_size=9), "content": DIGESTS, "at": MOMENTS})


def right_values(field: RecordField) -> st.SearchStrategy[Any]:
    """Values that the field accepts; for a keyed field, on one of its keys."""
    match field:
        case Text():
            texts = st.from_regex(field.pattern, fullmatch=True) if field.pattern else st.text()
            return texts.filter(lambda text: len(text) <= field.most)
        case Choice():
            return st.sampled_from(sorted(field.options))
        case Workflowed():
            return st.sampled_from(field.statuses)
        case Integer():
            return st.integers(field.least, field.most)
        case Composite():
            values = {name: right_values(part) for name, part in field.parts.items()}
            return st.fixed_dictionaries(
                {name: one for name, one in values.items() if name in field.needed},
                optional={name: one for name, one in values.items() if name not in field.needed},
            )
        case Entries():
            return st.dictionaries(MEMBERS, PLAIN, min_size=1, max_size=4)
    return _BY_TYPE[type(field)]


def right_keys(field: RecordField) -> st.SearchStrategy[str]:
    """Keys that a keyed field accepts."""
    options = getattr(field, "options", None)
    return st.sampled_from(sorted(options)) if options else KEYS


_BY_TYPE: dict[type[RecordField], st.SearchStrategy[Any]] = {
    Answers: ANSWERS,
    Area: AREAS,
    Attachments: ATTACHMENTS,
    Captions: st.text(max_size=200),
    CreditCode: CREDIT_CODES,
    Date: DAYS,
    Digest: DIGESTS,
    Flag: st.booleans(),
    Moment: MOMENTS,
    Notes: NOTES,
    Point: POINTS,
    Ref: IDS,
    Rows: PLAIN,
    Signatures: SIGNATURES,
    Tags: st.booleans(),
}
