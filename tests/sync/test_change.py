"""A change: its canonical bytes, what is refused, its hash and its place in a chain."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync.core.change import START, Change, Link, canonical, chain_hash, compose, signature_input
from sync.core.errors import InvalidField, Malformed, Problem

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def change(**more: Any) -> Change:
    values = more.pop("set", {"title": ("教室", [])})
    return compose(
        id="c-1",
        kind="inspection",
        record="r-1",
        set=values,
        by=["p-1"],
        schema=1,
        hlc="0192f3b11234-0000",
        clock={"wall": 1, "mono": 1, "boot": "b", "off": 0},
        **more,
    )


@settings(deadline=None)
@example(value={"\u007f": "\u2028", "a": '\x00\x1f\b\t\n\f\r"\\/'})
@example(value=["😀", "\ud7ff", "é"])
@given(plain)
def test_canonical_bytes_are_those_of_an_independent_rfc_8785(value: Any) -> None:
    try:
        expected = rfc8785.dumps(value)
    except UnicodeEncodeError:
        return
    assert canonical(value) == expected


@given(plain)
def test_reading_what_was_written_gives_the_same_change(value: Any) -> None:
    one = change(set={"title": (value, ["b", "a"])})
    again = Change.read(one.content)
    assert again == one and again.value("title") == value and again.parents("title") == ["a", "b"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c.replace(b'"by":', b'"by": '),
        lambda c: c.replace(b'{"by"', b'{"zz":1,"by"'),
        lambda c: c + b"\n",
        lambda c: c[:-1],
        lambda c: c.replace(b'"v":1', b'"v":1.0'),
        lambda c: c.replace(b'"v":1', b'"v":1,"v":1'),
    ],
)
def test_another_byte_form_of_the_same_content_is_refused(spoil: Any) -> None:
    with pytest.raises(Problem):
        Change.read(spoil(change().content))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("v", 2),
        ("id", ""),
        ("id", "a b"),
        ("record", "../x"),
        ("kind", "Inspection"),
        ("hlc", "now"),
        ("by", "p"),
        ("by", [1]),
        ("schema", "1"),
        ("schema", True),
        ("clock", []),
        ("set", {}),
        ("set", {"t": {"value": 1}}),
        ("set", {"t": {"parents": [1], "value": 1}}),
        ("set", {"标题": {"parents": [], "value": 1}}),
        ("extra", 1),
        ("clock", {}),
        ("clock", {"wall": 1.5, "mono": 0, "boot": "b", "off": 0}),
        ("seen", {"size": "1", "root": ""}),
        ("decision", {"do": [], "reason": "x"}),
        ("set", {"t": {"parents": ["a", "a"], "value": 1}}),
        ("set", {"t": {"parents": ["c-1"], "value": 1}}),
        ("decision", {"do": "explode", "reason": "x"}),
        ("decision", {"do": "merge", "reason": "x"}),
        ("decision", {"do": "close", "changes": [], "reason": "x"}),
        ("decision", {"do": "close", "changes": ["a"], "reason": " "}),
    ],
)
def test_a_malformed_field_is_named(field: str, value: Any) -> None:
    with pytest.raises(InvalidField) as caught:
        Change.make({**change().body, field: value})
    assert caught.value.facts["field"].split(".")[0] in {field, "t", "标题"}


def test_the_hash_is_what_the_protocol_page_says() -> None:
    one = change()
    assert one.hash == hashlib.sha256(b"patrolbook/change/v1\0" + one.content).digest()
    link = {"hash": one.hash.hex(), "n": 1, "prev": START, "replica": "rep"}
    body = json.dumps(link, sort_keys=True, separators=(",", ":")).encode()
    assert chain_hash("rep", 1, START, one.hash) == hashlib.sha256(b"patrolbook/chain/v1\0" + body).hexdigest()
    assert signature_input("00" * 32) == b"patrolbook/sig/v1\0" + bytes(32)


def test_renumbering_keeps_id_and_hash_and_changes_the_chain() -> None:
    one = change()
    first, second = Link("a", 7, START, b""), Link("b", 1, START, b"")
    assert first.chain(one.hash) != second.chain(one.hash)
    assert Change.read(one.content).hash == one.hash


def test_a_change_of_more_than_a_mebibyte_is_refused() -> None:
    with pytest.raises(Malformed):
        change(set={"title": ("x" * (1 << 20), [])})


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_no_bytes_make_the_parser_fail_in_any_other_way(content: bytes) -> None:
    with contextlib.suppress(Problem):
        Change.read(content)
