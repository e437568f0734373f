"""Verification codes: short, typed by people, and mistakes are found before anybody searches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.codes import ALPHABET, LENGTH, check_character, code_of, printed, read
from sync.core.errors import InvalidField

SHA256, EVIDENCE = "ab" * 32, "01a21433-0f7e-7734-a35f-c92010dee435"
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
IDS = st.uuids().map(str)


def test_a_code_follows_from_the_original_and_its_record_and_stays_the_same() -> None:
    code = code_of(SHA256, EVIDENCE)
    assert code == code_of(SHA256, EVIDENCE) == "SQF9VQG78W8VS"
    assert code != code_of("ac" * 32, EVIDENCE)
    assert code != code_of(SHA256, "01a21433-0f7e-7734-a35f-c92010dee436")


@given(DIGESTS, IDS)
def test_what_is_printed_is_read_back_however_people_type_it(sha256: str, evidence: str) -> None:
    code = code_of(sha256, evidence)
    shown = printed(code)
    assert [len(part) for part in shown.split("-")] == [4, 4, 4, 1]
    wide = "".join(chr(ord(sign) + 0xFEE0) if sign != " " else "\u3000" for sign in shown.replace("-", " "))
    sloppy = shown.replace("0", "o").replace("1", "l")
    for typed in (
        code,
        shown,
        shown.lower(),
        f"  {shown} ",
        shown.replace("-", "—"),
        shown.replace("-", " "),
        wide,
        sloppy,
    ):
        assert read(typed) == code


@given(DIGESTS, st.integers(0, LENGTH), st.integers(1, 31))
def test_every_single_mistyped_character_is_found(sha256: str, place: int, off: int) -> None:
    code = code_of(sha256, EVIDENCE)
    wrong = ALPHABET[(ALPHABET.index(code[place]) + off) % 32]
    with pytest.raises(InvalidField, match="mistyped"):
        read(code[:place] + wrong + code[place + 1 :])


@given(DIGESTS, st.integers(0, LENGTH), st.integers(0, LENGTH))
def test_every_two_characters_that_changed_places_are_found(sha256: str, one: int, other: int) -> None:
    signs = list(code_of(sha256, EVIDENCE))
    if signs[one] == signs[other]:
        return
    signs[one], signs[other] = signs[other], signs[one]
    with pytest.raises(InvalidField, match="mistyped"):
        read("".join(signs))


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "13 characters, not 0"),
        ("7K3M-9XQ2", "not 8"),
        ("U" * 13, "no U"),
        ("7K3M/9XQ2/V4TD", "no /"),
        ("核验码", "no"),
    ],
)
def test_what_cannot_be_a_code_is_told_with_the_reason(typed: str, told: str) -> None:
    with pytest.raises(InvalidField, match=told):
        read(typed)


@given(st.text(max_size=40))
def test_whatever_is_typed_is_a_code_or_told(typed: str) -> None:
    try:
        code = read(typed)
    except InvalidField:
        return
    assert code[-1] == check_character(code[:-1])
