"""The trust file: only what the root signed, only in one form."""

from __future__ import annotations

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sync.core.errors import BadSignature, Problem
from sync.core.trust import Seal, Trust, Witness, open_trust, read_trust, sign_trust

ROOT = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(ROOT).public_key().public_bytes_raw()
AGE = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"  # of the age specification's examples


def trust(**other: object) -> Trust:
    made = {
        "edition": 3,
        "authority": "湖南省教育厅",
        "made": 1_795_000_000_000,
        "logs": {"fi.example/prov-log-1": PUBLIC},
        "replicas": {"server-1": PUBLIC},
        "witnesses": (Witness("city.example/witness", PUBLIC, "http://127.0.0.1:1"),),
        "quorum": 1,
        "seal": Seal(7, (AGE,), (AGE,), {"430104": (AGE,), "4301": ()}),
    } | other
    return Trust(**made)  # type: ignore[arg-type]


def test_what_the_root_signed_is_read_back_whole() -> None:
    content = trust().dump()
    assert open_trust(content, sign_trust(content, ROOT), PUBLIC) == trust()


def test_another_root_is_not_believed() -> None:
    content = trust().dump()
    with pytest.raises(BadSignature):
        open_trust(content, sign_trust(content, bytes(32)), PUBLIC)


@given(st.data())
def test_no_flipped_bit_is_believed(data: st.DataObject) -> None:
    content = bytearray(trust().dump())
    signature = sign_trust(bytes(content), ROOT)
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BadSignature):
        open_trust(bytes(content), signature, PUBLIC)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quorum", 2),
        ("edition", -1),
        ("edition", True),
        ("logs", {"a": "AAAA"}),
        ("witnesses", [{"name": "a b", "key": "A" * 43 + "=", "url": ""}]),
        ("seal", {"version": 1, "province": [], "escrow": [], "counties": {}}),
        ("seal", {"version": 1, "province": ["age1x"], "escrow": [], "counties": {}}),
        ("stampers", "PEM"),
        ("more", 1),
    ],
)
def test_what_is_signed_but_wrong_is_refused(name: str, value: object) -> None:
    body = orjson.loads(trust().dump()) | {name: value}
    with pytest.raises(Problem):
        read_trust(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))


@given(st.binary(max_size=200))
def test_rubbish_is_refused_with_a_problem(content: bytes) -> None:
    with pytest.raises(Problem):
        read_trust(content)


def test_a_county_is_wrapped_to_its_nearest_division() -> None:
    other = AGE[:-1] + "f"
    seal = Seal(1, (AGE,), counties={"43": (AGE,), "430104": (other,)})
    assert seal.county("430104001003") == (other,)
    assert seal.county("430105") == (AGE,)
    assert seal.county("44") == ()
