"""Captures: one written form, a signature, and an order in which nothing can be left out unnoticed."""

from __future__ import annotations

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from custody.captures import Capture, gaps, open_capture, read_capture
from sync.core.change import START, canonical
from sync.core.errors import BadSignature, InvalidField, Malformed, NotCanonical

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
FIRST = Capture(
    seq=1, prev=START, record="01932-a", recording="01932-r", number=1, last=True, sha256="ab" * 32, size=1234,
    key_file="cd" * 32, facts="ef" * 32, facts_commit="01" * 32, team="45" * 32, team_commit="67" * 32, recipients=7, trust="23" * 32, audit="",
    clock={"wall": 1, "mono": 2, "boot": "b"},
)  # fmt: skip


def chain(length: int) -> list[Capture]:
    made = [FIRST]
    while len(made) < length:
        made.append(FIRST._replace(seq=len(made) + 1, prev=made[-1].hash, number=len(made) + 1))
    return made


def test_a_signed_statement_is_read_back() -> None:
    assert open_capture(FIRST.dump(), FIRST.sign(KEY.sign), PUBLIC) == FIRST


def test_another_key_another_statement_or_another_signature_is_refused() -> None:
    signature = FIRST.sign(KEY.sign)
    stranger = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    for statement, signed, key in (
        (FIRST.dump(), signature, stranger),
        (FIRST._replace(size=1235).dump(), signature, PUBLIC),
        (FIRST.dump(), bytes(64), PUBLIC),
        (FIRST.dump(), signature, b"short"),
    ):
        with pytest.raises(BadSignature):
            open_capture(statement, signed, key)


@given(at=st.integers(0, len(FIRST.dump()) - 1), bit=st.integers(0, 7))
def test_every_flipped_bit_is_found(at: int, bit: int) -> None:
    statement = FIRST.dump()
    bad = statement[:at] + bytes([statement[at] ^ (1 << bit)]) + statement[at + 1 :]
    with pytest.raises((BadSignature, Malformed)):
        open_capture(bad, FIRST.sign(KEY.sign), PUBLIC)


@pytest.mark.parametrize(
    "wrong",
    [{"seq": 0}, {"seq": True}, {"prev": "x"}, {"record": "../x"}, {"last": 1}, {"audit": "a b"}, {"clock": {}},
     {"clock": {"wall": 1.5, "mono": 2, "boot": "b"}}, {"size": 0}],
)  # fmt: skip
def test_a_field_of_another_form_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidField) as caught:
        read_capture(FIRST._replace(**wrong).dump())
    assert caught.value.facts["field"] in wrong


def test_spaces_and_further_members_are_no_written_form() -> None:
    for bad in (FIRST.dump() + b" ", b"[]", b"{", FIRST.dump().replace(b'{"audit"', b'{"a":1,"audit"')):
        with pytest.raises((Malformed, NotCanonical)):
            read_capture(bad)


def test_a_statement_of_the_first_version_is_refused_in_words() -> None:
    body = orjson.loads(FIRST.dump())
    old = {name: value for name, value in body.items() if not name.startswith(("facts", "team"))}
    with pytest.raises(Malformed) as refused:
        read_capture(canonical(old | {"v": 1, "meta": "ef" * 32, "commit": "01" * 32}))
    assert "第 1 版" in refused.value.text("zh") and "version 1" in refused.value.text("en")


@given(st.permutations(range(6)))
def test_a_whole_chain_has_no_gaps_in_whatever_order_it_arrives(order: list[int]) -> None:
    made = chain(6)
    assert gaps([made[at] for at in order]) == []


@given(st.integers(0, 4))
def test_what_was_left_out_is_named(dropped: int) -> None:
    made = chain(6)
    assert gaps(made[:dropped] + made[dropped + 1 :]) == [range(dropped + 1, dropped + 2)]


def test_a_replaced_or_doubled_number_is_named() -> None:
    made = chain(4)
    other = made[1]._replace(size=99)
    assert gaps([made[0], other, *made[2:]]) == [range(3, 4)]  # the third does not follow the one that was put in
    assert gaps([*made, other]) == [range(2, 3)]
    assert gaps([]) == []


@given(st.sets(st.integers(1, 12)))
def test_the_stretches_hold_exactly_the_numbers_that_are_missing(left: set[int]) -> None:
    found = gaps([one for one in chain(12) if one.seq in left])
    named = [seq for stretch in found for seq in stretch]
    assert named == [seq for seq in range(1, max(left, default=0)) if seq not in left]
    assert all(one.stop < after.start for one, after in zip(found, found[1:], strict=False))


def test_a_number_beyond_all_counting_costs_no_more_than_another() -> None:
    far = FIRST._replace(seq=2**62)
    assert gaps([FIRST, far]) == [range(2, 2**62)]
